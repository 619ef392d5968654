//! Pull requests.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::github::model::{Label, PullRequest, Side};
use crate::github::shapes::{Detail, node_id, stamp, with};
use crate::github::state::State;

impl State {
    /// A pull request as lists show it.
    pub(crate) fn pull_in_list(&self, repository: u64, pull: &PullRequest) -> Value {
        let (url, page) = (self.repository_url(repository), self.page(repository));
        let number = pull.number;
        let own = format!("{url}/pulls/{number}");
        let statuses = format!("{url}/statuses/{}", pull.head.sha);
        let link = |href: String| json!({ "href": href });
        let links = json!({
            "self": link(own.clone()),
            "html": link(format!("{page}/pull/{number}")),
            "issue": link(format!("{url}/issues/{number}")),
            "comments": link(format!("{url}/issues/{number}/comments")),
            "review_comments": link(format!("{own}/comments")),
            "review_comment": link(format!("{url}/pulls/comments{{/number}}")),
            "commits": link(format!("{own}/commits")),
            "statuses": link(statuses.clone()),
        });
        json!({
            "id": pull.id,
            "node_id": node_id("PullRequest", pull.id),
            "number": number,
            "url": own,
            "html_url": format!("{page}/pull/{number}"),
            "diff_url": format!("{page}/pull/{number}.diff"),
            "patch_url": format!("{page}/pull/{number}.patch"),
            "issue_url": format!("{url}/issues/{number}"),
            "commits_url": format!("{own}/commits"),
            "review_comments_url": format!("{own}/comments"),
            "review_comment_url": format!("{url}/pulls/comments{{/number}}"),
            "comments_url": format!("{url}/issues/{number}/comments"),
            "statuses_url": statuses,
            "state": if pull.is_open() { "open" } else { "closed" },
            "locked": false,
            "active_lock_reason": null,
            "title": pull.title,
            "user": self.user(&pull.author),
            "body": pull.body,
            "labels": pull.labels.iter().map(|label| self.label(repository, label)).collect::<Vec<_>>(),
            "milestone": null,
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "draft": pull.draft,
            "created_at": stamp(pull.created_at),
            "updated_at": stamp(pull.updated_at),
            "closed_at": pull.closed_at.map(stamp),
            "merged_at": pull.merged_at.map(stamp),
            "merge_commit_sha": pull.merge_commit,
            "head": self.side(&pull.head),
            "base": self.side(&pull.base),
            "author_association": self.association(repository, &pull.author),
            "auto_merge": null,
            "_links": links,
        })
    }

    /// A pull request by itself, and in webhooks.
    pub(crate) fn pull_json(&self, repository: u64, number: u64) -> Result<Value> {
        let pull = self.pull(repository, number)?;
        let git = &self.repository(repository).git;
        let divergence = git.divergence(pull.base.sha, pull.head.sha)?;
        let from = divergence.merge_base.unwrap_or(pull.base.sha);
        let difference = git.difference(from, pull.head.sha).context("compare a pull request's two sides")?;
        let mergeable = pull.is_open().then(|| pull.merge_commit.is_some());
        let comments = self.repository(repository).comments.values().filter(|c| c.issue == number).count();
        let more = json!({
            "merged": pull.merged_at.is_some(),
            "merged_by": pull.merged_by.as_deref().map(|login| self.user(login)),
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": match mergeable {
                Some(true) => "clean",
                Some(false) => "dirty",
                None => "unknown",
            },
            "maintainer_can_modify": false,
            "comments": comments,
            "review_comments": 0,
            "commits": divergence.ahead.len(),
            "additions": difference.additions,
            "deletions": difference.deletions,
            "changed_files": difference.changed_files,
        });
        Ok(with(self.pull_in_list(repository, pull), more))
    }

    pub(crate) fn label(&self, repository: u64, label: &Label) -> Value {
        json!({
            "id": label.id,
            "node_id": node_id("Label", label.id),
            "url": format!("{}/labels/{}", self.repository_url(repository), label.name),
            "name": label.name,
            "color": "ededed",
            "default": false,
            "description": "",
        })
    }

    /// The issue that a pull request also is, as `issue_comment` payloads carry it.
    pub(crate) fn issue_json(&self, repository: u64, number: u64) -> Result<Value> {
        let pull = self.pull(repository, number)?;
        let shown = self.pull_in_list(repository, pull);
        let url = format!("{}/issues/{number}", self.repository_url(repository));
        let kept =
            ["number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone"];
        let times = [
            "created_at",
            "updated_at",
            "closed_at",
            "author_association",
            "active_lock_reason",
            "body",
            "draft",
        ];
        let kept = kept.iter().chain(&times).map(|field| ((*field).to_owned(), shown[field].clone()));
        let reactions = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes", "total_count"];
        let mut counts: serde_json::Map<_, _> =
            reactions.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
        counts.insert("url".to_owned(), json!(format!("{url}/reactions")));
        let comments = self.repository(repository).comments.values().filter(|c| c.issue == number).count();
        Ok(with(
            Value::Object(kept.collect()),
            json!({
                "id": pull.id,
                "node_id": shown["node_id"],
                "url": url,
                "repository_url": self.repository_url(repository),
                "labels_url": format!("{url}/labels{{/name}}"),
                "comments_url": format!("{url}/comments"),
                "events_url": format!("{url}/events"),
                "html_url": shown["html_url"],
                "comments": comments,
                "performed_via_github_app": null,
                "state_reason": null,
                "reactions": counts,
                "timeline_url": format!("{url}/timeline"),
                "pull_request": {
                    "url": shown["url"],
                    "html_url": shown["html_url"],
                    "diff_url": shown["diff_url"],
                    "patch_url": shown["patch_url"],
                    "merged_at": shown["merged_at"],
                },
            }),
        ))
    }

    /// How an author stands to a repository.
    pub(crate) fn association(&self, repository: u64, login: &str) -> &'static str {
        let repository = self.repository(repository);
        match repository.collaborators.get(login) {
            _ if repository.owner.eq_ignore_ascii_case(login) => "OWNER",
            Some(_) => "COLLABORATOR",
            None => "NONE",
        }
    }

    fn side(&self, side: &Side) -> Value {
        let repository = side.repository.map(|id| self.repository_json(id, Detail::Short));
        json!({
            "label": format!("{}:{}", side.owner, side.git_ref),
            "ref": side.git_ref,
            "sha": side.sha,
            "user": self.user(&side.owner),
            "repo": repository,
        })
    }
}
