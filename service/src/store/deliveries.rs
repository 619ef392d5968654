//! Received webhooks: stored before they are answered, absorbed by the job that takes them up.

use chrono::{DateTime, Utc};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::StoreError;
use super::page::{Page, PageRequest, Total};
use super::query::{FromRow, get, query};
use crate::domain::ids::{PullId, RepositoryName};
use crate::domain::job::Job;

/// A webhook as it came in.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// GitHub's `X-GitHub-Delivery`; a redelivery has the same.
    pub id: &'a str,
    pub event: &'a str,
    pub action: Option<&'a str>,
    /// Whose job takes it up later; none for one that is done with on arrival.
    pub subject: Option<&'a str>,
    /// `OWNER/NAME`, for people.
    pub repository: Option<&'a str>,
    pub payload: &'a [u8],
    /// What became of one that is done with on arrival, for people.
    pub outcome: Option<&'a str>,
    /// The request's trace, as a W3C `traceparent`.
    pub trace: Option<&'a str>,
}

/// Whether a delivery was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    Stored,
    Repeated,
}

/// A stored webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: String,
    pub event: String,
    pub action: Option<String>,
    pub subject: Option<String>,
    pub repository: Option<String>,
    /// Rises with each arrival.
    pub sequence: i64,
    pub payload: Vec<u8>,
    pub received_at: DateTime<Utc>,
    pub absorbed_at: Option<DateTime<Utc>>,
    pub outcome: Option<String>,
    pub trace: Option<String>,
}

impl FromRow for Delivery {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            event: get(row, "event")?,
            action: get(row, "action")?,
            subject: get(row, "subject")?,
            repository: get(row, "repository")?,
            sequence: get(row, "sequence")?,
            payload: get(row, "payload")?,
            received_at: get(row, "received_at")?,
            absorbed_at: get(row, "absorbed_at")?,
            outcome: get(row, "outcome")?,
            trace: get(row, "trace")?,
        })
    }
}

impl FromRow for Receipt {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(if get(row, "stored")? { Self::Stored } else { Self::Repeated })
    }
}

/// Stores a delivery and enqueues its job: one statement, so both or neither, and durable when it returns.
/// A delivery that is known already changes nothing.
///
/// A job that waits already is not written to, but its row is locked until this is committed: whoever claims it sees this delivery, and passes the row by
/// meanwhile, so workers are to be woken afterwards in any case.
///
/// Nothing is announced: commits that announce something wait for one another, each for the other's disk. Whoever received it wakes its own
/// workers, and other replicas look at the queue by themselves.
pub async fn receive(
    client: &impl GenericClient,
    delivery: &NewDelivery<'_>,
    job: Option<&Job>,
) -> Result<Receipt, StoreError> {
    let (kind, subject) = (job.map(Job::kind), job.map(Job::subject));
    query(
        "store a delivery",
        "with stored as (
             insert into deliveries (id, event, action, subject, repository, payload, outcome, absorbed_at, trace)
             values ($1, $2, $3, $4, $5, $6, $7, case when $4::text is null then now() end, $11)
             on conflict (id) do nothing
             returning id
         ), queued as (
             insert into jobs as waiting (kind, subject, priority)
             select $8::text, $9::text, $10::smallint from stored where $8 is not null
             on conflict (kind, subject) where state = 'available'
             do update set run_at = excluded.run_at where waiting.run_at > excluded.run_at
         )
         select exists (select from stored) as stored",
    )
    .one(
        client,
        &[
            &delivery.id,
            &delivery.event,
            &delivery.action,
            &delivery.subject,
            &delivery.repository,
            &delivery.payload,
            &delivery.outcome,
            &kind,
            &subject,
            &job.map_or(0, Job::priority),
            &delivery.trace,
        ],
    )
    .await
}

/// The deliveries of a pull request that no job has taken up, in the order of their arrival.
pub async fn unabsorbed(client: &impl GenericClient, pull: PullId) -> Result<Vec<Delivery>, StoreError> {
    query(
        "list a pull request's new deliveries",
        "select id, event, action, subject, repository, sequence, payload, received_at, absorbed_at, outcome, trace
         from deliveries where subject = $1 and absorbed_at is null order by sequence",
    )
    .all(client, &[&pull.to_string()])
    .await
}

/// Whether a pull request has a delivery that no job has taken up and that changes what is wanted: the cheap question between two
/// steps. A label or an assignee can wait until the work is done.
pub async fn has_unabsorbed(client: &impl GenericClient, pull: PullId) -> Result<bool, StoreError> {
    let Total(found) = query(
        "look for a pull request's new deliveries",
        "select count(*) as total
         from (
             select from deliveries
             where subject = $1 and absorbed_at is null and action in ('closed', 'reopened', 'synchronize', 'edited')
             limit 1
         ) as any_delivery",
    )
    .one(client, &[&pull.to_string()])
    .await?;
    Ok(found > 0)
}

/// Marks deliveries as taken up, in the transaction that stores what they changed.
pub async fn absorb(tx: &Transaction<'_>, ids: &[String], outcome: &str) -> Result<(), StoreError> {
    query(
        "mark deliveries as absorbed",
        "update deliveries set absorbed_at = now(), outcome = $2 where id = any($1) and absorbed_at is null",
    )
    .execute(tx, &[&ids, &outcome])
    .await?;
    Ok(())
}

pub async fn find(client: &impl GenericClient, id: &str) -> Result<Option<Delivery>, StoreError> {
    query(
        "find a delivery",
        "select id, event, action, subject, repository, sequence, payload, received_at, absorbed_at, outcome, trace
         from deliveries where id = $1",
    )
    .optional(client, &[&id])
    .await
}

/// All deliveries, or those about a repository, the last first, without their payloads.
pub async fn list(
    client: &impl GenericClient,
    repository: Option<&RepositoryName>,
    request: PageRequest,
) -> Result<Page<Delivery>, StoreError> {
    let repository = repository.map(ToString::to_string);
    let items = query(
        "list the deliveries",
        "select id, event, action, subject, repository, sequence, ''::bytea as payload, received_at,
             absorbed_at, outcome, trace
         from deliveries where $3::text is null or lower(repository) = lower($3)
         order by sequence desc limit $1 offset $2",
    )
    .all(client, &[&request.limit(), &request.offset(), &repository])
    .await?;
    let Total(total) = query(
        "count the deliveries",
        "select count(*) as total from deliveries where $1::text is null or lower(repository) = lower($1)",
    )
    .one(client, &[&repository])
    .await?;
    Ok(Page { items, total, request })
}

/// Forgets the absorbed deliveries that came before a time; says how many.
pub async fn prune(client: &impl GenericClient, before: DateTime<Utc>) -> Result<u64, StoreError> {
    query(
        "forget old deliveries",
        "delete from deliveries where received_at < $1 and absorbed_at is not null",
    )
    .execute(client, &[&before])
    .await
}
