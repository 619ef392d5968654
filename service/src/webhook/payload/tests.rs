use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn repository() -> Value {
    json!({"id": 7, "full_name": "acme/shop", "default_branch": "main"})
}

fn pull(action: &str) -> Value {
    let end =
        |git_ref: &str, digit: &str| json!({"ref": git_ref, "sha": digit.repeat(40), "repo": repository()});
    json!({
        "action": action,
        "number": 42,
        "before": "c".repeat(40),
        "pull_request": {
            "number": 42, "state": "open", "draft": false, "title": "Add tags", "merged_at": null,
            "user": {"login": "ada"}, "updated_at": "2026-01-02T03:04:05Z",
            "head": end("tags", "a"), "base": end("main", "b"),
        },
        "repository": repository(),
        "installation": {"id": 5},
        "label": {"name": "offshoot:approve"},
        "sender": {"login": "grace"},
    })
}

fn check(pull_requests: Value, external_id: &str) -> Value {
    json!({
        "action": "rerequested",
        "check_run": {
            "name": CHECK_NAME, "head_sha": "a".repeat(40), "external_id": external_id, "pull_requests": pull_requests
        },
        "repository": repository(),
    })
}

fn comment(action: &str, text: &str, author: &str, sender: &str) -> Value {
    json!({
        "action": action,
        "issue": {"number": 42, "pull_request": {"url": "https://api.github.com/repos/acme/shop/pulls/42"}},
        "comment": {
            "id": 99, "body": text, "user": {"login": author, "type": "User"}, "created_at": "2026-01-02T03:04:05Z",
            "performed_via_github_app": null,
        },
        "repository": repository(),
        "sender": {"login": sender},
    })
}

fn read_value(event: &str, value: &Value) -> Result<Received, Malformed> {
    read(event, value.to_string().as_bytes())
}

fn job(event: &str, value: &Value) -> Option<Job> {
    read_value(event, value).unwrap().job
}

const PULL: PullId = PullId { repository: 7, number: 42 };

#[test]
fn whatever_happens_to_a_pull_request_reconciles_it() {
    for action in ["opened", "synchronize", "edited", "closed", "converted_to_draft", "labeled", "unheard_of"]
    {
        let received = read_value("pull_request", &pull(action)).unwrap();
        assert_eq!(received.job, Some(Job::ReconcilePull(PULL)), "{action}");
        assert_eq!((received.subject.as_deref(), received.outcome), (Some("7#42"), None));
        assert_eq!(received.repository.unwrap().installation, Some(5));
    }
}

#[test]
fn a_pull_request_is_told_with_what_happened() {
    let told_action = |action: &str| match told("pull_request", pull(action).to_string().as_bytes()).unwrap()
    {
        Told::Pull { action, pull, facts } => {
            assert_eq!((pull.id, facts.installation), (PULL, Some(5)));
            action
        }
        other => panic!("{other:?}"),
    };
    let before = "c".repeat(40).parse().ok();
    for (text, action) in [
        ("opened", PullAction::Opened),
        ("reopened", PullAction::Reopened),
        ("synchronize", PullAction::Synchronize { before }),
        ("closed", PullAction::Closed),
        ("edited", PullAction::Described),
        ("labeled", PullAction::Labeled { label: "offshoot:approve".into(), by: "grace".into() }),
    ] {
        assert_eq!(told_action(text), action);
    }
}

#[test]
fn a_push_to_a_branch_is_followed() {
    let push = |git_ref: &str, deleted: bool| json!({"ref": git_ref, "after": "d".repeat(40), "deleted": deleted, "repository": repository()});
    let tip = "d".repeat(40).parse().unwrap();
    let received = read_value("push", &push("refs/heads/main", false)).unwrap();
    assert_eq!(received.job, Some(Job::FollowBase { repository: 7, tip }));
    assert_eq!(received.subject, None, "the job says it all");
    assert!(received.outcome.unwrap().starts_with("asked for follow_base 7@"));
    assert_eq!(job("push", &push("refs/heads/main", true)), None);
    assert_eq!(job("push", &push("refs/tags/v1", false)), None);
}

#[test]
fn a_check_that_is_asked_for_again_finds_its_pull_request() {
    let listed = check(json!([{"number": 42}]), "");
    let fork = check(json!([]), "7#42");
    for value in [&listed, &fork, &check(json!([{"number": 42}]), "8#1")] {
        assert_eq!(job("check_run", value), Some(Job::ReconcilePull(PULL)));
    }
    assert_eq!(job("check_run", &check(json!([]), "")), Some(Job::SyncRepository(7)));
    let rerequested = Told::Rerequested { sha: "a".repeat(40).parse().unwrap() };
    assert_eq!(told("check_run", fork.to_string().as_bytes()), Ok(rerequested));

    let mut another = listed.clone();
    another["check_run"]["name"] = json!("ci");
    assert_eq!(job("check_run", &another), None);
    let mut created = listed;
    created["action"] = json!("created");
    assert_eq!(job("check_run", &created), None);
}

#[test]
fn the_report_s_comment_is_guarded_against_others_only() {
    let report = format!("{COMMENT_MARKER}\nready");
    let touched = comment("edited", &report, "offshoot[bot]", "eve");
    assert_eq!(job("issue_comment", &touched), Some(Job::ReconcilePull(PULL)));
    assert_eq!(
        told("issue_comment", touched.to_string().as_bytes()),
        Ok(Told::ReportTouched { comment: 99 })
    );
    assert_eq!(
        job("issue_comment", &comment("deleted", &report, "offshoot[bot]", "eve")),
        Some(Job::ReconcilePull(PULL))
    );
    for value in [
        comment("edited", &report, "offshoot[bot]", "offshoot[bot]"),
        comment("created", &report, "offshoot[bot]", "offshoot[bot]"),
        comment("edited", "hello", "eve", "eve"),
    ] {
        assert_eq!(job("issue_comment", &value), None, "{value}");
    }
    let mut emptied = comment("edited", "gone", "offshoot[bot]", "eve");
    emptied["changes"] = json!({"body": {"from": report}});
    assert_eq!(job("issue_comment", &emptied), Some(Job::ReconcilePull(PULL)));
    let mut on_issue = comment("deleted", &report, "offshoot[bot]", "eve");
    on_issue["issue"]["pull_request"] = Value::Null;
    assert_eq!(job("issue_comment", &on_issue), None);
}

#[test]
fn a_person_s_new_comment_may_approve() {
    let asked = comment("created", "/offshoot approve\nlooks fine", "grace", "grace");
    assert_eq!(job("issue_comment", &asked), Some(Job::ReconcilePull(PULL)));
    match told("issue_comment", asked.to_string().as_bytes()).unwrap() {
        Told::Approval { word, facts } => {
            assert_eq!((word.by.as_str(), word.commit, facts.github_id), ("grace", None, 7));
            assert_eq!(word.at.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        }
        other => panic!("{other:?}"),
    }
    let changed = |pointer: &str, value: Value| {
        let mut comment = asked.clone();
        *comment.pointer_mut(pointer).unwrap() = value;
        comment
    };
    for (odd, why) in [
        (changed("/action", json!("edited")), "an edited comment"),
        (changed("/action", json!("deleted")), "a deleted comment"),
        (changed("/sender/login", json!("eve")), "another's comment"),
        (changed("/comment/user/type", json!("Bot")), "a bot's comment"),
        (changed("/comment/performed_via_github_app", json!({"id": 1})), "an App's comment"),
        (changed("/issue/pull_request", Value::Null), "a comment on an issue"),
        (changed("/comment/body", json!(format!("/offshoot approve\n{COMMENT_MARKER}"))), "the report"),
        (changed("/comment/body", json!("`/offshoot approve`")), "a quotation"),
    ] {
        assert_eq!(job("issue_comment", &odd), None, "{why}");
    }
}

#[test]
fn installations_and_repositories_are_synchronised() {
    let installation = json!({"action": "created", "installation": {"id": 5}, "repositories": []});
    for event in ["installation", "installation_repositories"] {
        assert_eq!(job(event, &installation), Some(Job::SyncInstallation(5)));
    }
    let renamed = json!({"action": "renamed", "repository": repository()});
    assert_eq!(job("repository", &renamed), Some(Job::SyncRepository(7)));
}

#[test]
fn what_needs_nothing_is_said_to_be_ignored() {
    for event in ["ping", "star", "an_event_of_next_year"] {
        let received = read_value(event, &json!({"zen": 1, "action": {"odd": true}})).unwrap();
        assert_eq!((received.job, received.action, received.repository), (None, None, None));
        assert!(received.outcome.unwrap().starts_with("ignored: "));
    }
}

/// GitHub's own samples of every event, from npm's `@octokit/webhooks-examples`.
#[test]
fn every_sample_of_github_s_is_understood() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/node/node_modules");
    let path = modules.join("@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("GitHub's samples are not at {}: {error}; run `npm ci` in integration/node", path.display())
    });
    let events: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut jobs = std::collections::BTreeMap::<_, usize>::new();
    for event in &events {
        let name = event["name"].as_str().unwrap();
        for sample in event["examples"].as_array().unwrap() {
            let body = sample.to_string();
            let received = read(name, body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
            assert_eq!(received.action.as_deref(), sample["action"].as_str(), "{name}");
            assert_ne!(received.subject.is_some(), received.outcome.is_some(), "{name}");
            if received.subject.is_some() {
                assert_ne!(told(name, body.as_bytes()), Ok(Told::Nothing), "{name}");
            }
            let kind = received.job.as_ref().map_or("none", Job::kind);
            *jobs.entry((name.to_owned(), kind)).or_default() += 1;
        }
    }
    let count = |event: &str, kind: &'static str| jobs.get(&(event.to_owned(), kind)).copied().unwrap_or(0);
    assert!(count("pull_request", "reconcile_pull") >= 29, "{jobs:?}");
    assert!(count("push", "follow_base") > 0 && count("push", "none") > 0, "{jobs:?}");
    assert!(count("installation", "sync_installation") > 0 && count("repository", "sync_repository") > 0);
    assert_eq!(
        count("pull_request", "none") + count("installation", "none") + count("repository", "none"),
        0
    );
}

#[test]
fn bodies_of_the_wrong_shape_are_malformed() {
    for body in ["", "{", "[]", "null", "42", "\"x\"", "{\"a\":1}x", "\u{feff}{}"] {
        for event in ["pull_request", "ping"] {
            assert!(read(event, body.as_bytes()).is_err(), "{event} {body:?}");
        }
    }
    assert!(read("ping", b"{\"zen\":\"\xff\"}").is_err(), "not UTF-8");
    let odd = |pointer: &str, value: Value| {
        let mut payload = pull("opened");
        *payload.pointer_mut(pointer).unwrap() = value;
        read_value("pull_request", &payload)
    };
    for (pointer, value) in [
        ("/pull_request/number", json!("42")),
        ("/pull_request/number", json!(99_999_999_999_i64)),
        ("/pull_request/number", json!(1e300)),
        ("/pull_request/head/sha", json!("HEAD")),
        ("/pull_request/head/sha", Value::Null),
        ("/pull_request/updated_at", json!("yesterday")),
        ("/pull_request/title", json!("a\0b")),
        ("/pull_request/base/ref", json!(7)),
        ("/repository/id", json!("7")),
        ("/repository/full_name", json!("no slash")),
        ("/repository", Value::Null),
        ("/pull_request", json!([])),
        ("/action", Value::Null),
    ] {
        assert!(odd(pointer, value.clone()).is_err(), "{pointer} {value}");
    }
    assert!(odd("/pull_request/head/repo", Value::Null).is_ok(), "the fork is gone");
    assert!(odd("/pull_request/user", Value::Null).is_ok(), "the account is gone");
}

/// A payload with one of its values replaced or removed.
fn damaged(payload: Value) -> impl Strategy<Value = Value> {
    let mut pointers = Vec::new();
    collect_pointers(&payload, String::new(), &mut pointers);
    let odd = prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        any::<i64>().prop_map(|number| Some(json!(number))),
        ".{0,20}".prop_map(|text| Some(json!(text))),
        Just(Some(json!([[[]]]))),
        Just(Some(json!({"id": -1}))),
    ];
    (proptest::sample::select(pointers), odd).prop_map(move |(pointer, odd)| {
        let mut payload = payload.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match (payload.pointer_mut(parent), odd) {
            (Some(Value::Object(fields)), None) => _ = fields.remove(key),
            (Some(parent), Some(odd)) if parent.is_object() => parent[key] = odd,
            _ => {}
        }
        payload
    })
}

fn collect_pointers(value: &Value, at: String, pointers: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        for (key, field) in fields {
            let pointer = format!("{at}/{key}");
            pointers.push(pointer.clone());
            collect_pointers(field, pointer, pointers);
        }
    }
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(
        pull in damaged(pull("synchronize")),
        comment in damaged(comment("edited", COMMENT_MARKER, "a", "b")),
        check in damaged(check(json!([{"number": 42}]), "7#42")),
    ) {
        for (event, value) in [("pull_request", pull), ("issue_comment", comment), ("check_run", check)] {
            let body = value.to_string();
            if let Ok(received) = read(event, body.as_bytes()) && received.subject.is_some() {
                prop_assert!(told(event, body.as_bytes()).is_ok(), "what was stored can be taken up: {}", body);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(event in "[a-z_]{1,20}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = read(&event, &body);
        _ = told(&event, &body);
    }
}
