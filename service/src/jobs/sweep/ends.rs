//! Branches whose time is over, or that nobody uses, go until their next push; the pull request is told before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::mended;
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::expiry::{Because, Expiry};
use crate::domain::job::Job;
use crate::domain::state::BranchState;
use crate::engine::DatabaseRecord;
use crate::jobs::{JobError, Worker};
use crate::store::branches::{self, Aging, Change};
use crate::store::{Store, StoreError, audit, jobs, pulls, repositories};

impl Worker {
    pub(super) async fn end_branches(&self, standing: &[DatabaseRecord]) -> Result<(), JobError> {
        let standing: HashMap<&str, &DatabaseRecord> =
            standing.iter().map(|database| (database.name.as_str(), database)).collect();
        let client = self.store.client().await?;
        let aging = branches::aging(&client).await?;
        drop(client);
        for mut branch in aging {
            let now = Utc::now();
            let was_told = branch.lifetime.told_end(self.idle_ttl, now).is_some();
            if let Some(database) = standing.get(branch.database_name.as_str()) {
                self.note_use(&mut branch, database).await?;
            }
            let end = branch.lifetime.told_end(self.idle_ttl, now);
            match end {
                Some(end) if end.at <= now => self.end_branch(&branch, now).await?,
                // Said once, and taken back where somebody came: the report knows what it said last.
                _ if was_told || end.is_some() => {
                    let client = self.store.client().await?;
                    jobs::enqueue(&client, &Job::ReportPull(branch.pull)).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn note_use(&self, branch: &mut Aging, database: &DatabaseRecord) -> Result<(), JobError> {
        let (sessions, open) = (database.sessions, database.connections > 0);
        if !open && branch.sessions_seen == Some(sessions) && self.idle_ttl.is_none() {
            return Ok(());
        }
        let client = self.store.client().await?;
        let active_at = branches::note_sessions(&client, branch.id, sessions, open).await?;
        if branch.lifetime.active_at.is_some() {
            branch.lifetime.active_at = active_at;
        }
        Ok(())
    }

    async fn end_branch(&self, aging: &Aging, now: DateTime<Utc>) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        // Somebody may have pushed or extended it since.
        let Some(branch) = branches::find_by_id(&tx, aging.id).await? else { return Ok(()) };
        let end = branch.lifetime().end(self.idle_ttl).filter(|end| end.at <= now);
        let Some(Expiry { because, at, .. }) = end else { return Ok(()) };
        pulls::unwant(&tx, branch.pull, &branch.head_sha).await?;
        let reason = match because {
            Because::Age => "It expired without a push; the next push, or a reset, brings a fresh one.",
            Because::Idle => "Nobody used it for long; the next push, or a reset, brings a fresh one.",
        };
        let change = Change { reason: Some(reason.to_owned()), ..Change::default() };
        match branches::transition(&tx, branch.id, BranchState::Deleting, &change).await {
            Ok(_) => {}
            Err(StoreError::IllegalTransition { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        jobs::enqueue(&tx, &Job::ReconcilePull(branch.pull)).await?;
        let repository = repositories::find(&tx, branch.pull.repository).await?;
        let name = repository.map_or_else(String::new, |repository| repository.facts.name.to_string());
        let subject = format!("{name}#{}/{}", branch.pull.number, branch.database);
        let entry = Entry::new(Actor::Service, Action::BranchExpired, subject);
        audit::record(&tx, &entry.with(json!({ "because": because.as_str(), "at": at }))).await?;
        Store::commit(tx).await?;
        mended(because.as_str());
        tracing::info!(
            repository = name, pull = branch.pull.number, database = %branch.database, branch = branch.id,
            because = because.as_str(), "a branch's time is over"
        );
        Ok(())
    }
}
