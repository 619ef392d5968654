//! What the control database alone can be wrong about.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use crate::github::Delivery;

/// Deliveries that were answered and are not stored, or were stored and nobody took them up. A 200 may be for one that needs nothing.
pub(super) fn lost(facts: &Facts, sent: &[Delivery]) -> Vec<String> {
    let stored: BTreeSet<&str> = facts.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
    let answered = |delivery: &&Delivery| delivery.attempts.iter().any(|attempt| attempt.answer == Ok(202));
    let lost = sent.iter().filter(answered).filter(|delivery| !stored.contains(delivery.guid.as_str()));
    let lost = lost
        .map(|delivery| format!("the delivery {} was answered with 202 and is not stored", delivery.guid));
    let waiting = facts.deliveries.iter().filter(|delivery| delivery.waits);
    lost.chain(waiting.map(|delivery| format!("the delivery {} was never taken up", delivery.id))).collect()
}

/// More than one live branch of the same database.
pub(super) fn twice(facts: &Facts) -> Vec<String> {
    let mut live: BTreeMap<_, usize> = BTreeMap::new();
    for branch in facts.branches.iter().filter(|branch| branch.is_live()) {
        *live.entry((branch.repository, branch.pull_request, &branch.database)).or_default() += 1;
    }
    let twice = live.into_iter().filter(|(_, count)| *count > 1);
    twice.map(|(branch, count)| format!("{count} branches of {branch:?} are live")).collect()
}

/// What a deleted branch left, and what was begun and is at rest all the same.
pub(super) fn left_over(facts: &Facts) -> Vec<String> {
    let mut found: Vec<String> =
        facts.jobs.iter().map(|job| format!("the job {job} is still to be done")).collect();
    for branch in facts.branches.iter().filter(|branch| !branch.is_live()) {
        if branch.has_credentials {
            found.push(format!("{branch} still has credentials"));
        }
        let instances = facts.instances.iter().filter(|instance| instance.branch == Some(branch.id));
        found.extend(
            instances.map(|instance| format!("{branch} still has the instance {}", instance.database_name)),
        );
    }
    let between = ["pending", "preparing", "deleting", "errored"];
    let halfway = facts.branches.iter().filter(|branch| between.contains(&branch.state.as_str()));
    found.extend(halfway.map(|branch| format!("nothing is left to be done, but not for {branch}")));
    let begun =
        facts.instances.iter().filter(|one| ["filling", "preparing", "trash"].contains(&one.state.as_str()));
    found.extend(begun.map(|one| {
        format!("nothing is left to be done, but the instance {} is {}", one.database_name, one.state)
    }));
    let begun = facts.forks.iter().filter(|one| ["filling", "trash"].contains(&one.state.as_str()));
    found.extend(begun.map(|one| {
        format!("nothing is left to be done, but the fork {} is {}", one.database_name, one.state)
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::super::facts::{BranchFact, DeliveryFact, InstanceFact};
    use super::*;

    fn branch(id: i64, state: &str) -> BranchFact {
        BranchFact {
            id,
            repository: 1,
            pull_request: 7,
            database: "main".to_owned(),
            state: state.to_owned(),
            generation: 1,
            head_sha: String::new(),
            database_name: format!("pr_{id}"),
            has_credentials: true,
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let facts = Facts {
            branches: vec![branch(1, "ready"), branch(2, "preparing"), branch(3, "deleted")],
            instances: vec![InstanceFact {
                branch: Some(3),
                layer: None,
                state: "live".to_owned(),
                database_name: "pr_3".to_owned(),
                role_name: "pr_3".to_owned(),
            }],
            deliveries: vec![DeliveryFact { id: "one".to_owned(), waits: true }],
            ..Facts::default()
        };
        assert_eq!(lost(&facts, &[]), ["the delivery one was never taken up"]);
        assert_eq!(twice(&facts), ["2 branches of (1, 7, \"main\") are live"]);
        let expected = [
            "branch 3 (pr_3, deleted) still has credentials",
            "branch 3 (pr_3, deleted) still has the instance pr_3",
            "nothing is left to be done, but not for branch 2 (pr_2, preparing)",
        ];
        assert_eq!(left_over(&facts), expected);
    }
}
