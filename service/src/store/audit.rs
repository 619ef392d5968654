//! The audit log.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::page::{Page, PageRequest, Total};
use super::query::{FromRow, get, json, query};
use crate::domain::audit::Entry;

/// An entry as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub via: String,
    pub action: String,
    pub subject: String,
    pub request_id: Option<String>,
    pub details: Value,
}

impl FromRow for Recorded {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            at: get(row, "at")?,
            actor: get(row, "actor")?,
            via: get(row, "via")?,
            action: get(row, "action")?,
            subject: get(row, "subject")?,
            request_id: get(row, "request_id")?,
            details: json(row, "details")?,
        })
    }
}

/// What of the log is wanted; none stands for all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `branch.reset`
    pub action: Option<String>,
    /// What the subject begins with: `acme/shop`, `acme/shop#42`.
    pub subject: Option<String>,
    /// As it is listed: `token 3 (ci)`.
    pub actor: Option<String>,
}

/// Writes an entry down, together with what it tells of, and logs it. The table is the authority: where the transaction is undone, only the
/// line in the log remains.
pub async fn record(tx: &impl GenericClient, entry: &Entry) -> Result<(), StoreError> {
    query(
        "record an action",
        "insert into audit (actor, via, action, subject, request_id, details) values ($1, $2, $3, $4, $5, $6)",
    )
    .execute(
        tx,
        &[
            &entry.actor.to_string(),
            &entry.via.as_str(),
            &entry.action.as_str(),
            &entry.subject,
            &entry.request_id,
            &Json(&entry.details),
        ],
    )
    .await?;
    tracing::info!(
        actor = %entry.actor, via = entry.via.as_str(), action = entry.action.as_str(), subject = entry.subject,
        request_id = entry.request_id, details = %entry.details, "audit"
    );
    Ok(())
}

/// A page of the log, the last entry first.
pub async fn list(
    client: &impl GenericClient,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<Recorded>, StoreError> {
    let Filter { action, subject, actor } = filter;
    let items = query(
        "list the audit log",
        "select id, at, actor, via, action, subject, request_id, details from audit
         where ($1::text is null or action = $1) and ($2::text is null or starts_with(subject, $2))
             and ($3::text is null or actor = $3)
         order by id desc limit $4 offset $5",
    )
    .all(client, &[action, subject, actor, &request.limit(), &request.offset()])
    .await?;
    let Total(total) = query(
        "count the audit log",
        "select count(*) as total from audit
         where ($1::text is null or action = $1) and ($2::text is null or starts_with(subject, $2))
             and ($3::text is null or actor = $3)",
    )
    .one(client, &[action, subject, actor])
    .await?;
    Ok(Page { items, total, request })
}

/// Forgets the entries from before a time; says how many.
pub async fn prune(client: &impl GenericClient, before: DateTime<Utc>) -> Result<u64, StoreError> {
    query("forget old entries of the audit log", "delete from audit where at < $1")
        .execute(client, &[&before])
        .await
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::super::Store;
    use super::super::test_support::TestStore;
    use super::*;
    use crate::domain::audit::{Action, Actor};

    #[tokio::test]
    async fn what_is_undone_was_not_done() {
        let test = TestStore::new().await;
        let mut client = test.store.client().await.unwrap();
        let entry = Entry::new(Actor::Administrator, Action::BranchReset, "acme/shop#42/main");
        let tx = Store::begin(&mut client).await.unwrap();
        record(&tx, &entry).await.unwrap();
        drop(tx);
        let all = list(&client, &Filter::default(), PageRequest::first(10)).await.unwrap();
        assert_eq!(all.total, 0);
    }

    #[tokio::test]
    async fn entries_are_found_and_forgotten() {
        let test = TestStore::new().await;
        let mut client = test.store.client().await.unwrap();
        let token = || Actor::Token { id: 3, name: "ci".to_owned() };
        let tx = Store::begin(&mut client).await.unwrap();
        for entry in [
            Entry::new(Actor::Service, Action::BranchExpired, "acme/shop#41/main"),
            Entry::new(token(), Action::BranchReset, "acme/shop#42/main").with(json!({ "generation": 2 })),
            Entry::new(token(), Action::BranchReset, "acme/other#42/main").asked_by(Some("r-1".to_owned())),
        ] {
            record(&tx, &entry).await.unwrap();
        }
        Store::commit(tx).await.unwrap();

        let found = async |filter: Filter| {
            let page = list(&client, &filter, PageRequest::first(10)).await.unwrap();
            assert_eq!(page.total as usize, page.items.len());
            page.items.into_iter().map(|item| item.subject).collect::<Vec<_>>()
        };
        let all = ["acme/other#42/main", "acme/shop#42/main", "acme/shop#41/main"];
        assert_eq!(found(Filter::default()).await, all);
        let by = |text: &str| Some(text.to_owned());
        assert_eq!(found(Filter { subject: by("acme/shop"), ..Filter::default() }).await, all[1..]);
        assert_eq!(found(Filter { action: by("branch.expire"), ..Filter::default() }).await, all[2..]);
        assert_eq!(found(Filter { actor: by("token 3 (ci)"), ..Filter::default() }).await, all[..2]);

        assert_eq!(prune(&client, Utc::now() - TimeDelta::days(1)).await.unwrap(), 0);
        assert_eq!(prune(&client, Utc::now() + TimeDelta::days(1)).await.unwrap(), 3);
    }
}
