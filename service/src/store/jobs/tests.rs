use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use deadpool_postgres::Client;

use super::*;
use crate::domain::ids::PullId;
use crate::domain::job::Lane;
use crate::store::test_support::TestStore;

const LEASE: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::ZERO;

fn reconcile(number: i32) -> Job {
    Job::ReconcilePull(PullId { repository: 7, number })
}

async fn claim_one(client: &Client) -> ClaimedJob {
    claim(client, Lane::Foreground, Uuid::new_v4(), LEASE).await.unwrap().expect("a job is due")
}

async fn nothing_is_due(client: &Client) -> bool {
    claim(client, Lane::Foreground, Uuid::new_v4(), LEASE).await.unwrap().is_none()
}

async fn counted(client: &Client) -> HashMap<String, i64> {
    let figures = figures(client).await.unwrap();
    figures.into_iter().map(|figure| (figure.state, figure.jobs)).collect()
}

#[tokio::test]
async fn asking_twice_is_one_job_and_asking_while_it_runs_is_another() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    enqueue_after(&client, &reconcile(1), Duration::from_secs(3600)).await.unwrap();
    assert!(nothing_is_due(&client).await);
    enqueue(&client, &reconcile(1)).await.unwrap();
    let first = claim_one(&client).await;
    assert_eq!((first.job.clone(), first.lease.attempt, first.failures), (reconcile(1), 1, 0));
    enqueue(&client, &reconcile(1)).await.unwrap();
    assert!(nothing_is_due(&client).await, "never two of one subject at once");
    assert!(complete(&client, first.lease).await.unwrap());
    let second = claim_one(&client).await;
    assert_ne!(second.lease.id, first.lease.id);
    assert!(!complete(&client, first.lease).await.unwrap(), "a lease ends once");
}

#[tokio::test]
async fn the_urgent_goes_before_the_old() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    for job in [Job::SyncRepository(1), Job::SyncInstallation(2), reconcile(1)] {
        enqueue(&client, &job).await.unwrap();
    }
    assert_eq!(claim_one(&client).await.job, reconcile(1));
    assert_eq!(claim_one(&client).await.job, Job::SyncRepository(1));
}

#[tokio::test]
async fn eight_workers_lose_nothing_and_never_meet() {
    let test = TestStore::new().await;
    let (subjects, rounds) = (12, 6);
    let running: Mutex<HashSet<Job>> = Mutex::default();
    let done: Mutex<HashMap<Job, usize>> = Mutex::default();
    let work = async || {
        let client = test.store.client().await.unwrap();
        let worker = Uuid::new_v4();
        loop {
            let Some(claimed) = claim(&client, Lane::Foreground, worker, LEASE).await.unwrap() else {
                let waiting = counted(&client).await;
                if waiting.contains_key("available") || waiting.contains_key("running") {
                    continue;
                }
                return;
            };
            assert!(running.lock().unwrap().insert(claimed.job.clone()), "two run {}", claimed.job);
            tokio::task::yield_now().await;
            let again = {
                let mut done = done.lock().unwrap();
                let count = done.entry(claimed.job.clone()).or_default();
                *count += 1;
                *count < rounds
            };
            // Half of the work is asked for anew while it runs, half of it fails and comes back.
            let fails = claimed.lease.id % 2 == 0;
            if again && !fails {
                enqueue(&client, &claimed.job).await.unwrap();
            }
            running.lock().unwrap().remove(&claimed.job);
            let held = if again && fails {
                fail(&client, claimed.lease, "not yet", Duration::ZERO).await
            } else {
                complete(&client, claimed.lease).await
            };
            assert!(held.unwrap());
        }
    };
    let client = test.store.client().await.unwrap();
    for number in 0..subjects {
        enqueue(&client, &reconcile(number)).await.unwrap();
    }
    futures_util::future::join_all((0..8).map(|_| work())).await;
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), subjects as usize);
    assert!(done.values().all(|count| *count == rounds), "{done:?}");
}

#[tokio::test]
async fn a_lease_that_ran_out_is_another_worker_s() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    enqueue(&client, &reconcile(1)).await.unwrap();
    let gone = claim(&client, Lane::Foreground, Uuid::new_v4(), OVER).await.unwrap().unwrap();
    let rescue = async |lane, own: &[Lease]| rescue(&client, lane, own).await.unwrap();
    assert_eq!(rescue(Lane::Foreground, &[gone.lease]).await, 0, "who asks is there");
    assert_eq!(rescue(Lane::Background, &[]).await, 0, "another lane's are another's to judge");
    assert_eq!(rescue(Lane::Foreground, &[]).await, 1);
    assert_eq!(rescue(Lane::Foreground, &[]).await, 0);
    let next = claim_one(&client).await;
    assert_eq!((next.lease.id, next.lease.attempt, next.failures), (gone.lease.id, 2, 1));
    for held in [
        complete(&client, gone.lease).await,
        fail(&client, gone.lease, "late", OVER).await,
        snooze(&client, gone.lease, Utc::now(), "late").await,
        release(&client, gone.lease).await,
        give_up(&client, gone.lease, "late").await,
    ] {
        assert!(!held.unwrap(), "who was given up writes nothing");
    }
    let lost = heartbeat(&client, &[gone.lease, next.lease], LEASE).await.unwrap();
    assert_eq!(lost, [gone.lease]);
    assert!(complete(&client, next.lease).await.unwrap());
}

#[tokio::test]
async fn a_heartbeat_keeps_a_job() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    enqueue(&client, &reconcile(1)).await.unwrap();
    let held = claim(&client, Lane::Foreground, Uuid::new_v4(), OVER).await.unwrap().unwrap();
    assert_eq!(heartbeat(&client, &[held.lease], LEASE).await.unwrap(), []);
    assert_eq!(rescue(&client, Lane::Foreground, &[]).await.unwrap(), 0);
    assert!(complete(&client, held.lease).await.unwrap());
}

#[tokio::test]
async fn what_is_put_back_says_why_and_counts_only_failures() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    enqueue(&client, &reconcile(1)).await.unwrap();
    let held = claim_one(&client).await;
    assert!(snooze(&client, held.lease, Utc::now(), "rate limited").await.unwrap());
    let held = claim_one(&client).await;
    assert_eq!((held.lease.attempt, held.failures), (2, 0));
    assert!(fail(&client, held.lease, "it broke", OVER).await.unwrap());
    let held = claim_one(&client).await;
    assert_eq!((held.lease.attempt, held.failures), (3, 1));
    assert!(release(&client, held.lease).await.unwrap());
    let held = claim_one(&client).await;
    assert_eq!((held.lease.attempt, held.failures), (4, 1));
    let row = client.query_one("select last_error from jobs", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>("last_error"), "it broke");
    assert!(fail(&client, held.lease, "it broke", Duration::from_secs(300)).await.unwrap());
    assert!(nothing_is_due(&client).await, "it is tried again later");
    enqueue(&client, &reconcile(1)).await.unwrap();
    assert_eq!(claim_one(&client).await.lease.id, held.lease.id, "unless something new happened");
}

#[tokio::test]
async fn what_goes_back_to_its_like_is_done_with() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    enqueue(&client, &reconcile(1)).await.unwrap();
    for round in 0..2 {
        let length = if round == 0 { LEASE } else { OVER };
        let held = claim(&client, Lane::Foreground, Uuid::new_v4(), length).await.unwrap().unwrap();
        enqueue(&client, &reconcile(1)).await.unwrap();
        if round == 0 {
            assert!(fail(&client, held.lease, "it broke", LEASE).await.unwrap());
        } else {
            assert_eq!(rescue(&client, Lane::Foreground, &[]).await.unwrap(), 1);
        }
        assert_eq!(
            counted(&client).await,
            HashMap::from([("available".into(), 1), ("done".into(), round + 1)])
        );
    }
}

#[tokio::test]
async fn a_job_of_another_version_is_left_to_that_version() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    client
        .execute("insert into jobs (kind, subject, priority) values ('make_tea', '', 0)", &[])
        .await
        .unwrap();
    enqueue(&client, &Job::SyncRepository(1)).await.unwrap();
    assert_eq!(claim_one(&client).await.job, Job::SyncRepository(1));
    assert!(nothing_is_due(&client).await);
    assert_eq!(counted(&client).await["available"], 1);
}
