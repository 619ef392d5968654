//! The queue of branches that wait for room on the branch server's disk.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::query::{FromRow, get, query};
use crate::domain::branch::{Branch, BranchId};
use crate::domain::ids::PullId;

/// The branch whose turn it is; one that is being tried again keeps the others waiting until it has its room.
pub async fn first_waiting(client: &impl GenericClient) -> Result<Option<Branch>, StoreError> {
    query(
        "look who waits for room",
        concat!(
            "select ",
            columns!(),
            " from branches
         where branches.room_wanted_at is not null and branches.state in ('blocked', 'preparing')
         order by branches.room_wanted_at, branches.id limit 1"
        ),
    )
    .optional(client, &[])
    .await
}

/// Records that a branch has its room; the next one's turn has come. False where it did not wait.
pub async fn leave_queue(client: &impl GenericClient, id: BranchId) -> Result<bool, StoreError> {
    let left = query(
        "take a branch out of the queue",
        "update branches set room_wanted_at = null, room_needed = null
         where id = $1 and room_wanted_at is not null",
    )
    .execute(client, &[&id])
    .await?;
    Ok(left > 0)
}

struct Count(i64);

impl FromRow for Count {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "waiting")?))
    }
}

/// How many branches wait for room.
pub async fn waiting_for_room(client: &impl GenericClient) -> Result<i64, StoreError> {
    let Count(waiting) = query(
        "count who waits for room",
        "select count(*) as waiting from branches where room_wanted_at is not null and state in ('blocked', 'preparing')",
    )
    .one(client, &[])
    .await?;
    Ok(waiting)
}

struct Waiting(PullId);

impl FromRow for Waiting {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(PullId { repository: get(row, "repository")?, number: get(row, "pull_request")? }))
    }
}

/// The pull requests with a branch that waits for room, the first one first.
pub async fn waiting_pulls(client: &impl GenericClient) -> Result<Vec<PullId>, StoreError> {
    let waiting: Vec<Waiting> = query(
        "list who waits for room",
        "select repository, pull_request from branches
         where room_wanted_at is not null and state = 'blocked'
         group by repository, pull_request order by min(room_wanted_at), min(id)",
    )
    .all(client, &[])
    .await?;
    Ok(waiting.into_iter().map(|Waiting(pull)| pull).collect())
}
