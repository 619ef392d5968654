//! Received webhooks: stored before they are answered, absorbed by the job that takes them up.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
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

/// A delivery that came, and the job that it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub delivery: NewDelivery<'a>,
    pub job: Option<&'a Job>,
}

struct Stored {
    id: String,
}

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { id: get(row, "id")? })
    }
}

/// Stores deliveries in the order in which they came, and enqueues their jobs: one statement, so all or none, and durable when it returns.
/// A delivery that is known already changes nothing.
///
/// A job that waits already is not written to, but its row is locked until this is committed: whoever claims it sees these deliveries, and passes the row by
/// meanwhile, so workers are to be woken afterwards in any case.
///
/// Nothing is announced: commits that announce something wait for one another, each for the other's disk. Whoever received them wakes its own
/// workers, and other replicas look at the queue by themselves.
pub async fn receive(
    client: &impl GenericClient,
    arrivals: &[Arrival<'_>],
) -> Result<Vec<Receipt>, StoreError> {
    let of = |field: for<'a> fn(&NewDelivery<'a>) -> Option<&'a str>| {
        arrivals.iter().map(|arrival| field(&arrival.delivery)).collect::<Vec<_>>()
    };
    let payloads: Vec<&[u8]> = arrivals.iter().map(|arrival| arrival.delivery.payload).collect();
    let kinds: Vec<_> = arrivals.iter().map(|arrival| arrival.job.map(Job::kind)).collect();
    let subjects: Vec<_> = arrivals.iter().map(|arrival| arrival.job.map(Job::subject)).collect();
    let priorities: Vec<i16> = arrivals.iter().map(|arrival| arrival.job.map_or(0, Job::priority)).collect();
    let stored: Vec<Stored> = query(
        "store deliveries",
        // Jobs in an order that is everybody's: who locks them in another would wait for ever.
        "with arrived as (
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                 $9::text[], $10::text[], $11::smallint[])
             with ordinality as arrived (id, event, action, subject, repository, payload, outcome, trace, job, job_subject, priority, place)
         ), stored as (
             insert into deliveries (id, event, action, subject, repository, payload, outcome, absorbed_at, trace)
             select id, event, action, subject, repository, payload, outcome, case when subject is null then now() end, trace
             from arrived order by place
             on conflict (id) do nothing
             returning id
         ), queued as (
             insert into jobs as waiting (kind, subject, priority)
             select distinct on (job, job_subject) job, job_subject, priority
             from arrived where job is not null and id in (select id from stored)
             order by job, job_subject
             on conflict (kind, subject) where state = 'available'
             do update set run_at = excluded.run_at where waiting.run_at > excluded.run_at
         )
         select id from stored",
    )
    .all(
        client,
        &[
            &of(|delivery| Some(delivery.id)),
            &of(|delivery| Some(delivery.event)),
            &of(|delivery| delivery.action),
            &of(|delivery| delivery.subject),
            &of(|delivery| delivery.repository),
            &payloads,
            &of(|delivery| delivery.outcome),
            &of(|delivery| delivery.trace),
            &kinds,
            &subjects,
            &priorities,
        ],
    )
    .await?;
    // Of one that came twice at once, the first is the one that was stored.
    let mut stored: HashSet<String> = stored.into_iter().map(|stored| stored.id).collect();
    let receipt = |arrival: &Arrival<'_>| match stored.remove(arrival.delivery.id) {
        true => Receipt::Stored,
        false => Receipt::Repeated,
    };
    Ok(arrivals.iter().map(receipt).collect())
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
pub async fn absorb(tx: &impl GenericClient, ids: &[String], outcome: &str) -> Result<(), StoreError> {
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
