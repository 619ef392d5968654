#[cfg(feature = "harness")]
mod production;
#[cfg(feature = "harness")]
mod truth;

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_sample_loads_and_its_steps_fit_their_trees() {
    let samples = all().unwrap();
    let names: Vec<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names, ["crm", "flowhq", "isekai-core", "lumelia-saas", "prj-core"]);
    for sample in &samples {
        let slugs: BTreeSet<_> = sample.pulls.iter().map(|pull| &pull.slug).collect();
        assert_eq!(slugs.len(), sample.pulls.len(), "{}: two pull requests of one name", sample.name);
        for moment in sample.moments().unwrap() {
            let lock = format!("{}/migration_lock.toml", sample.migrations);
            assert!(moment.head.get(&lock).is_some(), "{}: no {lock}", sample.name);
            assert!(moment.head.get(".offshoot.toml").is_some(), "{}: no configuration", sample.name);
        }
    }
}

#[test]
fn a_story_begins_open_and_never_continues_after_a_merge() {
    for pull in all().unwrap().iter().flat_map(|sample| &sample.pulls) {
        let (first, rest) = pull.steps.split_first().unwrap();
        assert_eq!(first.action, Action::Open, "{}", pull.slug);
        assert!(rest.iter().all(|step| step.action != Action::Open), "{}", pull.slug);
        let merge = pull.steps.iter().position(|step| step.action == Action::Merge);
        assert!(merge.is_none_or(|at| at + 1 == pull.steps.len()), "{}", pull.slug);
    }
}

#[test]
fn the_stories_tell_every_action_state_finding_and_fault() {
    let samples = all().unwrap();
    let steps: Vec<_> =
        samples.iter().flat_map(|sample| &sample.pulls).flat_map(|pull| &pull.steps).collect();
    let told = |action: &Action| steps.iter().any(|step| step.action == *action);
    for action in [
        Action::Push,
        Action::PushToBase,
        Action::Rebase,
        Action::Retarget { onto: "develop".to_owned() },
        Action::Close,
        Action::Reopen,
        Action::Merge,
    ] {
        assert!(told(&action), "no story has {action:?}");
    }
    let expected: Vec<_> = steps.iter().filter_map(|step| step.expect.as_ref()).collect();
    let findings: BTreeSet<_> = expected.iter().flat_map(|expect| &expect.findings).collect();
    assert_eq!(findings.len(), 5, "{findings:?}");
    let states: BTreeSet<_> = expected.iter().map(|expect| expect.state as u8).collect();
    assert_eq!(states.len(), 4, "{states:?}");
    let failures = expected.iter().filter_map(|expect| expect.failure.as_ref());
    let sqlstates: BTreeSet<_> = failures.map(|failure| failure.sqlstate.as_str()).collect();
    assert_eq!(sqlstates, BTreeSet::from(["23502", "23505", "25001", "42601", "42P01"]));
}

#[test]
fn a_rename_moves_a_directory_and_a_removal_needs_something_to_remove() {
    let mut files = Files::default();
    files
        .apply(&[Change::write("m/1_a/migration.sql", "a"), Change::write("m/1_ab/migration.sql", "b")])
        .unwrap();
    files.apply(&[Change::Rename { from: "m/1_a".into(), to: "m/2_a".into() }]).unwrap();
    let paths: Vec<_> = files.below("m").map(|(path, _)| path).collect();
    assert_eq!(paths, ["1_ab/migration.sql", "2_a/migration.sql"]);
    assert!(files.apply(&[Change::remove("m/1_a")]).is_err());
}
