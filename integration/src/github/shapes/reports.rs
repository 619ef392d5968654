//! What a service reports: check runs, statuses, comments, deployments.

use serde_json::{Value, json};

use crate::git::Sha;
use crate::github::model::{CheckRun, Comment, CommitStatus, Deployment, DeploymentStatus};
use crate::github::shapes::{node_id, stamp, with};
use crate::github::state::State;

impl State {
    pub(crate) fn check_run_json(&self, repository: u64, run: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.repository_url(repository), run.id);
        let page = format!("{}/runs/{}", self.page(repository), run.id);
        json!({
            "id": run.id,
            "node_id": node_id("CheckRun", run.id),
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": run.external_id.clone().unwrap_or_default(),
            "url": url,
            "html_url": page,
            "details_url": run.details_url.clone().unwrap_or(page),
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": stamp(run.started_at),
            "completed_at": run.completed_at.map(stamp),
            "output": {
                "title": run.title,
                "summary": run.summary,
                "text": run.text,
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": { "id": suite_id(run.head_sha) },
            "app": self.app_json(),
            "pull_requests": self.pulls_at(repository, run.head_sha),
        })
    }

    /// The open pull requests of this repository whose head is this commit; never those from forks.
    fn pulls_at(&self, repository: u64, sha: Sha) -> Vec<Value> {
        let own = self.repository(repository);
        let url = self.repository_url(repository);
        let side = |git_ref: &str, sha: Sha| json!({ "ref": git_ref, "sha": sha, "repo": { "id": own.id, "url": url, "name": own.name } });
        let mut found = Vec::new();
        for pull in own.pulls.values() {
            if pull.is_open() && pull.head.sha == sha && pull.head.repository == Some(repository) {
                found.push(json!({
                    "id": pull.id,
                    "number": pull.number,
                    "url": format!("{url}/pulls/{}", pull.number),
                    "head": side(&pull.head.git_ref, pull.head.sha),
                    "base": side(&pull.base.git_ref, pull.base.sha),
                }));
            }
        }
        found
    }

    pub(crate) fn status_json(&self, repository: u64, status: &CommitStatus) -> Value {
        let creator = self.user(&status.creator);
        json!({
            "id": status.id,
            "node_id": node_id("StatusContext", status.id),
            "url": format!("{}/statuses/{}", self.repository_url(repository), status.sha),
            "avatar_url": creator["avatar_url"],
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "created_at": stamp(status.created_at),
            "updated_at": stamp(status.created_at),
            "creator": creator,
        })
    }

    pub(crate) fn comment_json(&self, repository: u64, comment: &Comment) -> Value {
        let url = format!("{}/issues/comments/{}", self.repository_url(repository), comment.id);
        let counts = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes", "total_count"];
        let counts: serde_json::Map<_, _> =
            counts.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
        let app = if comment.by_app { self.app_json() } else { Value::Null };
        json!({
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": url,
            "html_url": format!("{}/pull/{}#issuecomment-{}", self.page(repository), comment.issue, comment.id),
            "issue_url": format!("{}/issues/{}", self.repository_url(repository), comment.issue),
            "user": self.user(&comment.author),
            "body": comment.body,
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "author_association": self.association(repository, &comment.author),
            "performed_via_github_app": app,
            "reactions": with(Value::Object(counts), json!({ "url": format!("{url}/reactions") })),
        })
    }

    pub(crate) fn deployment_json(&self, repository: u64, deployment: &Deployment) -> Value {
        let repository_url = self.repository_url(repository);
        let url = format!("{repository_url}/deployments/{}", deployment.id);
        json!({
            "id": deployment.id,
            "node_id": node_id("Deployment", deployment.id),
            "url": url,
            "sha": deployment.sha,
            "ref": deployment.git_ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "environment": deployment.environment,
            "original_environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(&deployment.creator),
            "created_at": stamp(deployment.created_at),
            "updated_at": stamp(deployment.updated_at),
            "statuses_url": format!("{url}/statuses"),
            "repository_url": repository_url,
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": if deployment.by_app { self.app_json() } else { Value::Null },
        })
    }

    pub(crate) fn deployment_status_json(
        &self,
        repository: u64,
        deployment: &Deployment,
        status: &DeploymentStatus,
    ) -> Value {
        let repository_url = self.repository_url(repository);
        let url = format!("{repository_url}/deployments/{}", deployment.id);
        json!({
            "id": status.id,
            "node_id": node_id("DeploymentStatus", status.id),
            "url": format!("{url}/statuses/{}", status.id),
            "state": status.state,
            "creator": self.user(&status.creator),
            "description": status.description,
            "environment": status.environment,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "environment_url": status.environment_url,
            "created_at": stamp(status.created_at),
            "updated_at": stamp(status.created_at),
            "deployment_url": url,
            "repository_url": repository_url,
            "performed_via_github_app": if deployment.by_app { self.app_json() } else { Value::Null },
        })
    }
}

/// One suite a commit, as GitHub makes them for each App.
pub(crate) fn suite_id(sha: Sha) -> u32 {
    u32::from_str_radix(&sha.to_string()[..7], 16).expect("an object's name is hexadecimal")
}
