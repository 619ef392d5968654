//! Works off the queue of branches that wait for room on the branch server's disk, and gives back what nobody waits for meanwhile.
//!
//! It stays in the queue of jobs, asleep between its rounds, for as long as anybody waits or the disk is below its floor. There is one of it at a
//! time, so branches go on in their order however many replicas there are.

use chrono::{TimeDelta, Utc};

use super::{JobError, Worker};
use crate::domain::job::Job;
use crate::domain::state::BranchState;
use crate::engine::EngineError;
use crate::queue::Claim;
use crate::store::{branches, instances, jobs};

const ROUND: TimeDelta = TimeDelta::seconds(5);
/// Rounds between two times that spares and layers are given back.
const GIVE_BACK_EVERY: i32 = 12;

impl Worker {
    pub(super) async fn make_room(&self, claim: &Claim) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let first = branches::first_waiting(&client).await?;
        drop(client);
        let needs = first.as_ref().map_or(0, |branch| branch.queue.needs);
        let room = self.engine.room_for(needs).await;
        let client = self.store.client().await?;
        let why = match (room, &first) {
            (Ok(()), None) => {
                for layer in instances::pooled_layers(&client).await? {
                    jobs::enqueue(&client, &Job::RefillPool(layer)).await?;
                }
                return Ok(());
            }
            (Ok(()), Some(branch)) => {
                if branch.state == BranchState::Blocked {
                    jobs::enqueue(&client, &Job::ReconcilePull(branch.pull)).await?;
                }
                "a branch is being given its room".to_owned()
            }
            (Err(EngineError::NoRoom(shortage)), _) => {
                if claim.lease.attempt % GIVE_BACK_EVERY == 1 {
                    tracing::warn!(
                        %shortage, free = shortage.free, floor = shortage.floor, needs, waiting = first.is_some(),
                        "there is no room for new databases; giving back spares and layers that nobody needs"
                    );
                    for layer in instances::pooled_layers(&client).await? {
                        jobs::enqueue(&client, &Job::RefillPool(layer)).await?;
                    }
                    jobs::enqueue(&client, &Job::TrimLayers).await?;
                    jobs::enqueue(&client, &Job::EmptyTrash).await?;
                }
                shortage.to_string()
            }
            (Err(error), _) => return Err(error.into()),
        };
        Err(JobError::Wait { until: Utc::now() + ROUND, why })
    }

    /// Whether the disk has nothing to spare for what nobody waits for.
    pub(super) async fn is_pressed(&self) -> Result<bool, JobError> {
        let client = self.store.client().await?;
        if branches::first_waiting(&client).await?.is_some() {
            return Ok(true);
        }
        drop(client);
        match self.engine.room_for(0).await {
            Ok(()) => Ok(false),
            Err(EngineError::NoRoom(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
