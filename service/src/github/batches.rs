//! Which blobs are asked for one by one, and which many at a time. Pure: sizes in, requests out.

use std::collections::HashSet;

use crate::domain::ids::Oid;

/// A GraphQL query asks for at most this many blobs, …
const BATCH_COUNT: usize = 100;
/// … and for at most this many bytes of them: GitHub gives a query ten seconds.
const BATCH_BYTES: u64 = 1 << 20;
/// GraphQL cuts the text of large blobs.
const GRAPHQL_BYTES: u64 = 256 << 10;
/// A blob of unknown size counts as this many bytes.
const UNKNOWN_BYTES: u64 = 16 << 10;
/// Up to this many blobs, one request for each is no slower than a query, and exact at once.
const FEW: usize = 2;

/// The requests that bring all blobs, each asked for once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub single: Vec<Oid>,
    pub batches: Vec<Vec<Oid>>,
}

pub(super) fn plan(wanted: &[(Oid, Option<u64>)]) -> Plan {
    let mut seen = HashSet::new();
    let unique: Vec<_> = wanted.iter().filter(|(oid, _)| seen.insert(oid)).collect();
    if unique.len() <= FEW {
        return Plan {
            single: unique.into_iter().map(|(oid, _)| oid.clone()).collect(),
            batches: Vec::new(),
        };
    }
    let mut plan = Plan::default();
    let mut room = 0;
    for (oid, size) in unique {
        let bytes = size.unwrap_or(UNKNOWN_BYTES);
        if bytes > GRAPHQL_BYTES {
            plan.single.push(oid.clone());
            continue;
        }
        match plan.batches.last_mut() {
            Some(batch) if batch.len() < BATCH_COUNT && bytes <= room => {
                batch.push(oid.clone());
                room -= bytes;
            }
            _ => {
                plan.batches.push(vec![oid.clone()]);
                room = BATCH_BYTES - bytes;
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn oid(number: usize) -> Oid {
        format!("{number:040x}").parse().unwrap()
    }

    fn wanted(sizes: &[Option<u64>]) -> Vec<(Oid, Option<u64>)> {
        sizes.iter().enumerate().map(|(number, size)| (oid(number), *size)).collect()
    }

    #[test]
    fn one_new_migration_is_one_request() {
        let twice = [(oid(1), Some(300)), (oid(1), Some(300))];
        assert_eq!(plan(&twice), Plan { single: vec![oid(1)], batches: vec![] });
        assert_eq!(plan(&[]), Plan::default());
    }

    #[test]
    fn a_long_chain_is_few_requests() {
        let plan = plan(&wanted(&[Some(2_000); 434]));
        assert_eq!((plan.single.len(), plan.batches.len()), (0, 5));
    }

    #[test]
    fn large_blobs_go_alone_and_bytes_are_bounded() {
        let sizes = [Some(10 << 20), Some(200 << 10), Some(200 << 10), None];
        let split = plan(&wanted(&sizes));
        assert_eq!((split.single.as_slice(), split.batches.len()), ([oid(0)].as_slice(), 1));
        assert_eq!(plan(&wanted(&[Some(200 << 10); 12])).batches.len(), 3);
    }

    proptest! {
        #[test]
        fn every_blob_is_asked_for_exactly_once(sizes in prop::collection::vec(prop::option::of(0..2_000_000_u64), 0..500)) {
            let wanted = wanted(&sizes);
            let plan = plan(&wanted);
            let mut asked: Vec<_> = plan.single.iter().chain(plan.batches.iter().flatten()).cloned().collect();
            asked.sort();
            prop_assert_eq!(asked, wanted.iter().map(|(oid, _)| oid.clone()).collect::<Vec<_>>());
            prop_assert!(plan.batches.iter().all(|batch| batch.len() <= BATCH_COUNT && !batch.is_empty()));
        }
    }
}
