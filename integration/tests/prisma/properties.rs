//! Whatever the chain, both sides agree. `PROPTEST_CASES` asks for more of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::bench::Bench;
use super::chains;

const CASES: u32 = 24;
/// Each step of shrinking costs what a case does.
const SHRINKING: u32 = 60;

#[test]
fn a_branch_is_what_prisma_would_have_made() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bench = std::cell::RefCell::new(runtime.block_on(Bench::start()).unwrap());
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let config =
        Config { cases, max_shrink_iters: SHRINKING, failure_persistence: None, ..Config::default() };
    let verdicts = std::cell::RefCell::new(BTreeMap::new());
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&chains::case(), |case| {
        let checked = runtime.block_on(case.check(&mut bench.borrow_mut()));
        let verdict = checked.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        *verdicts.borrow_mut().entry(verdict).or_insert(0) += 1;
        Ok(())
    });
    println!("{:?}", verdicts.borrow());
    drop(bench);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

proptest! {
    /// What the property is worth depends on what is drawn: chains that run are not the exception.
    #[test]
    fn drawn_chains_fit_on_disk(case in chains::case()) {
        let mut paths: Vec<_> = case.head().into_iter().map(|(path, _)| path).collect();
        let count = paths.len();
        paths.sort();
        paths.dedup();
        prop_assert_eq!(paths.len(), count);
    }
}
