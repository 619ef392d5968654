//! The clock: each tick only enqueues a job, so that it does not matter how many replicas tick.

use anyhow::Context as _;
use tokio_cron_scheduler::{Job as Tick, JobScheduler};
use tokio_util::sync::CancellationToken;

use crate::domain::job::Job;
use crate::store::{Store, jobs};

/// Seconds, minutes, hours, day, month, weekday.
const SCHEDULE: [(&str, Job); 4] = [
    ("15 */10 * * * *", Job::Sweep),
    ("45 * * * * *", Job::EmptyTrash),
    ("30 5/10 * * * *", Job::TrimLayers),
    ("30 20 * * * *", Job::CheckLayer),
];

/// Starts ticking; stops when the scheduler is shut down. A tick that the end of the service overtakes is left to the
/// next one.
pub async fn start(store: &Store, shutdown: &CancellationToken) -> anyhow::Result<JobScheduler> {
    let scheduler = JobScheduler::new().await.context("making the scheduler")?;
    for (cron, job) in SCHEDULE {
        let (store, shutdown) = (store.clone(), shutdown.clone());
        let tick = Tick::new_async(cron, move |_, _| {
            let (store, shutdown, job) = (store.clone(), shutdown.clone(), job.clone());
            Box::pin(async move {
                if let Some(Err(error)) = shutdown.run_until_cancelled(enqueue(&store, &job)).await {
                    tracing::warn!(%job, %error, "a scheduled job could not be enqueued; the next tick tries again");
                }
            })
        });
        scheduler.add(tick.context("a schedule")?).await.context("adding to the schedule")?;
    }
    scheduler.start().await.context("starting the scheduler")?;
    Ok(scheduler)
}

async fn enqueue(store: &Store, job: &Job) -> Result<(), crate::store::StoreError> {
    let client = store.client().await?;
    jobs::enqueue(&client, job).await
}
