//! Waiting for room on the branch server's disk: new work stops before the disk is full, and goes on in the order in which it came.

use std::time::Duration;

use super::{Order, Preparer};
use crate::domain::branch::Branch;
use crate::domain::job::Job;
use crate::domain::room::NoRoom;
use crate::domain::state::BranchState;
use crate::jobs::JobError;
use crate::store::branches::{self, Change};
use crate::store::{Store, jobs};

/// How long those that moved up in the queue wait to be told, so that many steps are told at once.
const PLACES_TOLD_AFTER: Duration = Duration::from_secs(60);

impl Preparer<'_> {
    /// New work waits while the disk is below its floor, and behind those that wait already. Whether a clone fits the engine decides, when it
    /// knows how large it is.
    pub(super) async fn take_turn(&self, branch: &Branch) -> Result<(), JobError> {
        self.engine.room_for(0).await?;
        if branch.queue.ahead > 0 {
            return Err(JobError::NoRoom(NoRoom::Turn));
        }
        Ok(())
    }

    /// Puts a branch into the queue, or back to its place in it.
    pub(super) async fn wait_for_room(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        why: NoRoom,
    ) -> Result<Branch, JobError> {
        let change = Change {
            reason: Some(why.reason()),
            room_needed: Some(match why {
                // What was found out of this commit still holds.
                NoRoom::Turn if branch.head_sha == order.pull.head_sha => branch.queue.needs,
                why => why.needs(),
            }),
            head_sha: Some(order.pull.head_sha.clone()),
            base_ref: Some(order.pull.base_ref.clone()),
            ..Change::default()
        };
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        branches::transition(&tx, branch.id, BranchState::Blocked, &change).await?;
        jobs::enqueue(&tx, &Job::MakeRoom).await?;
        // Now that it is in the queue it has a place.
        let branch = branches::find_by_id(&tx, branch.id).await?;
        Store::commit(tx).await?;
        let gone = || JobError::Retry(anyhow::anyhow!("the branch is not stored any more"));
        let branch = branch.ok_or_else(gone)?;
        tracing::info!(
            repository = %order.repository, pull = order.pull.id.number, branch = branch.id, place = branch.place(), ?why,
            "a branch waits for room"
        );
        Ok(branch)
    }

    /// A branch has its room, if it waited for some: the next one's turn has come, and the others have moved up.
    pub(super) async fn leave_queue(&self, branch: &Branch) -> Result<(), JobError> {
        if branch.queue.wanted_at.is_none() {
            return Ok(());
        }
        let client = self.store.client().await?;
        if branches::leave_queue(&client, branch.id).await? {
            jobs::enqueue(&client, &Job::MakeRoom).await?;
            for pull in branches::waiting_pulls(&client).await? {
                jobs::enqueue_after(&client, &Job::ReportPull(pull), PLACES_TOLD_AFTER).await?;
            }
        }
        Ok(())
    }
}
