//! Brings GitHub to what is to be said of a pull request: the verdict on its head, the end of earlier ones, the comment.
//!
//! Everything is decided from what is stored, and what was said last is remembered by its digest: an outage delays a report and loses none.

use chrono::Utc;
use sha2::{Digest, Sha256};

use super::{JobError, Worker};
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::domain::report::{self, COMMENT_MARKER, CheckStatus, Conclusion, Subject, Verdict};
use crate::github::{GithubError, RepositoryClient};
use crate::store::reports::{Check, Comment};
use crate::store::{branches, jobs, pulls, reports, repositories};

impl Worker {
    pub(super) async fn report_pull(&self, id: PullId) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let Some(stored) = pulls::find(&client, id).await? else { return Ok(()) };
        let Some(repository) =
            repositories::find(&client, id.repository).await?.filter(|known| !known.removed)
        else {
            return Ok(());
        };
        let branches = branches::last_of_pull(&client, id).await?;
        drop(client);
        let facts = &repository.facts;
        let subject = Subject {
            repository: &facts.name,
            pull: &stored.pull,
            branches: &branches,
            notice: stored.notice.as_ref(),
            wanted: stored.wanted(),
            approved_by: stored.approved_by(),
            public_url: &self.public_url,
            idle_ttl: self.idle_ttl,
            now: Utc::now(),
        };
        let github = self.github.repository(&facts.name, facts.installation);
        self.end_earlier_checks(&github, &subject).await?;
        self.tell_verdict(&github, &subject).await?;
        self.tell_comment(&github, &subject).await
    }

    /// Checks on commits that are no longer the head end: their verdict will never come.
    async fn end_earlier_checks(
        &self,
        github: &RepositoryClient,
        subject: &Subject<'_>,
    ) -> Result<(), JobError> {
        let id = subject.pull.id;
        let client = self.store.client().await?;
        let unended = reports::unended_checks(&client, id).await?;
        drop(client);
        for check in unended {
            if check.sha == subject.pull.head_sha {
                continue;
            }
            let text = format!("Superseded by {}", subject.pull.head_sha.short());
            let verdict = Verdict {
                sha: check.sha.clone(),
                status: CheckStatus::Completed(Conclusion::Cancelled),
                title: text.clone(),
                summary: text,
                details_url: subject.dashboard_url(),
                annotations: Vec::new(),
            };
            self.tell_the_last(github, id, Some(check), &verdict).await?;
        }
        Ok(())
    }

    async fn tell_verdict(&self, github: &RepositoryClient, subject: &Subject<'_>) -> Result<(), JobError> {
        let verdict = report::verdict(subject);
        let id = subject.pull.id;
        let client = self.store.client().await?;
        let told = reports::find_check(&client, id, &verdict.sha).await?;
        drop(client);
        match &told {
            // Nothing was begun, so nothing needs an end. A commit status may have been told, and its answer lost.
            None if !subject.pull.open && (self.github.is_app() || subject.branches.is_empty()) => {
                return Ok(());
            }
            Some(check) if check.ended && report::is_final(subject) => return Ok(()),
            Some(check) if check.digest == digest(&verdict) => return Ok(()),
            _ => {}
        }
        match subject.pull.open {
            true => self.tell(github, id, told, &verdict).await,
            false => self.tell_the_last(github, id, told, &verdict).await,
        }
    }

    /// The same of a commit that nobody waits for: where GitHub no longer has it, its check is gone with it, and the rest is still to be told.
    async fn tell_the_last(
        &self,
        github: &RepositoryClient,
        id: PullId,
        told: Option<Check>,
        verdict: &Verdict,
    ) -> Result<(), JobError> {
        if !self.github.is_app() && self.leave_to_others(id, verdict).await? {
            return self.note_end(id, verdict).await;
        }
        match self.tell(github, id, told, verdict).await {
            Err(JobError::Retry(error))
                if error.downcast_ref::<GithubError>().is_some_and(GithubError::knows_no_such_commit) =>
            {
                tracing::info!(pull = %id, sha = %verdict.sha, "GitHub no longer has the commit; its check has ended with it");
                self.note_end(id, verdict).await
            }
            told => told,
        }
    }

    /// A commit has one status: where it is the head of another pull request, that one says its own again.
    async fn leave_to_others(&self, id: PullId, verdict: &Verdict) -> Result<bool, JobError> {
        let client = self.store.client().await?;
        let others = pulls::others_of_head(&client, id, &verdict.sha).await?;
        for other in &others {
            let branches = branches::of_pull(&client, other.pull.id).await?;
            if branches.iter().all(|branch| branch.state.is_gone()) {
                // What it had to say, it cannot say again.
                continue;
            }
            reports::reopen_check(&client, other.pull.id, &verdict.sha).await?;
            jobs::enqueue(&client, &Job::ReportPull(other.pull.id)).await?;
        }
        Ok(!others.is_empty())
    }

    /// Remembers that there is nothing more to tell of a commit.
    async fn note_end(&self, id: PullId, verdict: &Verdict) -> Result<(), JobError> {
        let check = Check { sha: verdict.sha.clone(), github_id: None, ended: true, digest: digest(verdict) };
        let client = self.store.client().await?;
        Ok(reports::save_check(&client, id, &check).await?)
    }

    async fn tell(
        &self,
        github: &RepositoryClient,
        id: PullId,
        told: Option<Check>,
        verdict: &Verdict,
    ) -> Result<(), JobError> {
        let github_id = if self.github.is_app() {
            self.note_beginning(id, told.as_ref(), verdict).await?;
            Some(tell_check_run(github, id, told, verdict).await?)
        } else {
            github.create_status(verdict).await?;
            None
        };
        let ended = matches!(verdict.status, CheckStatus::Completed(_));
        let check = Check { sha: verdict.sha.clone(), github_id, ended, digest: digest(verdict) };
        let client = self.store.client().await?;
        Ok(reports::save_check(&client, id, &check).await?)
    }

    /// Remembers a check run before it is begun, or goes on: one whose answer is lost is looked for, and ends whatever becomes of its commit. A crash of
    /// the control database's server must not take that back.
    async fn note_beginning(
        &self,
        id: PullId,
        told: Option<&Check>,
        verdict: &Verdict,
    ) -> Result<(), JobError> {
        let github_id = match told {
            Some(check) if begins_anew(check, verdict) => None,
            // It was asked for again, which a moment ago may not be on the disk yet.
            Some(check) if check.digest.is_empty() => check.github_id,
            Some(_) => return Ok(()),
            None => None,
        };
        let check = Check { sha: verdict.sha.clone(), github_id, ended: false, digest: String::new() };
        let client = self.store.durable().client().await?;
        Ok(reports::save_check(&client, id, &check).await?)
    }

    async fn tell_comment(&self, github: &RepositoryClient, subject: &Subject<'_>) -> Result<(), JobError> {
        let Some(text) = report::comment(subject) else { return Ok(()) };
        let id = subject.pull.id;
        let digest = digest_of(&text);
        let client = self.store.client().await?;
        let known = reports::find_comment(&client, id).await?;
        drop(client);
        if known.as_ref().is_some_and(|comment| comment.digest == digest) {
            return Ok(());
        }
        let told_before = match known {
            Some(comment) => Some(comment.github_id),
            // The store may have been lost, or an answer: look before saying it twice.
            None => github.find_comment(id.number, COMMENT_MARKER).await?.map(|comment| comment.id),
        };
        let github_id = match told_before {
            Some(comment) => update_comment(github, id, comment, &text).await?,
            None => github.create_comment(id.number, &text).await?,
        };
        let client = self.store.client().await?;
        Ok(reports::save_comment(&client, id, &Comment { github_id, digest }).await?)
    }
}

/// Updates the comment, or writes another where somebody deleted it. An outage of GitHub's, too, says that it is gone: the list has to say so as well.
async fn update_comment(
    github: &RepositoryClient,
    id: PullId,
    comment: i64,
    text: &str,
) -> Result<i64, JobError> {
    match github.update_comment(comment, text).await {
        Ok(()) => return Ok(comment),
        Err(GithubError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match github.find_comment(id.number, COMMENT_MARKER).await? {
        Some(found) => {
            github.update_comment(found.id, text).await?;
            Ok(found.id)
        }
        None => Ok(github.create_comment(id.number, text).await?),
    }
}

/// Whether a check that ended is to go on again: then another run is begun, and GitHub shows that one.
fn begins_anew(check: &Check, verdict: &Verdict) -> bool {
    check.ended && !matches!(verdict.status, CheckStatus::Completed(_))
}

/// Updates the check run that there is, or begins one.
async fn tell_check_run(
    github: &RepositoryClient,
    id: PullId,
    told: Option<Check>,
    verdict: &Verdict,
) -> Result<i64, JobError> {
    let external_id = external_id(id);
    let running = match told {
        Some(check) if begins_anew(&check, verdict) => None,
        Some(Check { github_id: Some(run), .. }) => Some(run),
        // It was to be begun, and whether GitHub heard of it is not known. One that ended goes on only to end again: it may be an earlier one's, or
        // have been begun and ended in one request.
        Some(_) => {
            let ends = matches!(verdict.status, CheckStatus::Completed(_));
            let found = github.find_check_run(&verdict.sha, &external_id).await?;
            found.filter(|run| ends || !run.has_ended()).map(|run| run.id)
        }
        None => github.find_check_run(&verdict.sha, &external_id).await?.map(|run| run.id),
    };
    if let Some(run) = running {
        match github.update_check_run(run, verdict).await {
            Ok(()) => return Ok(run),
            Err(GithubError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // An outage of GitHub's, too, says that nothing is there: another one is begun where the list does not have it either.
        let found = github.find_check_run(&verdict.sha, &external_id).await?;
        if let Some(found) = found.filter(|found| found.id == run) {
            github.update_check_run(found.id, verdict).await?;
            return Ok(found.id);
        }
    }
    Ok(github.create_check_run(verdict, &external_id).await?)
}

/// By this a check run is known to be this pull request's: two of them may have the same head.
fn external_id(id: PullId) -> String {
    id.to_string()
}

fn digest(verdict: &Verdict) -> String {
    digest_of(&serde_json::json!(verdict).to_string())
}

fn digest_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
