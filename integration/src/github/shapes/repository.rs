//! Repositories.

use serde_json::{Map, Value, json};

use crate::github::model::Role;
use crate::github::shapes::{node_id, stamp, with};
use crate::github::state::State;

/// How much of a repository is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// In lists and inside other things.
    Short,
    /// By itself.
    Full,
}

/// The addresses below a repository's own: field, rest.
const ADDRESSES: [(&str, &str); 36] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

impl State {
    /// The API's address of a repository.
    pub(crate) fn repository_url(&self, id: u64) -> String {
        format!("{}/repos/{}", self.url, self.repository(id).full_name())
    }

    /// The address of a repository's page for people.
    pub(crate) fn page(&self, id: u64) -> String {
        format!("{}/{}", self.url, self.repository(id).full_name())
    }

    pub(crate) fn repository_json(&self, id: u64, detail: Detail) -> Value {
        let repository = self.repository(id);
        let (url, page) = (self.repository_url(id), self.page(id));
        let addresses =
            ADDRESSES.iter().map(|(field, rest)| ((*field).to_owned(), json!(format!("{url}{rest}"))));
        let open_issues = repository.pulls.values().filter(|pull| pull.is_open()).count();
        let forks = self.repositories.values().filter(|other| other.parent == Some(id)).count();
        let shown = json!({
            "id": id,
            "node_id": node_id("Repository", id),
            "name": repository.name,
            "full_name": repository.full_name(),
            "owner": self.user(&repository.owner),
            "private": repository.private,
            "visibility": if repository.private { "private" } else { "public" },
            "html_url": page,
            "description": null,
            "fork": repository.parent.is_some(),
            "url": url,
            "git_url": format!("git://{}.git", page.trim_start_matches("http://")),
            "ssh_url": format!("git@localhost:{}.git", repository.full_name()),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "mirror_url": null,
            "homepage": null,
            "language": null,
            "license": null,
            "forks": forks,
            "forks_count": forks,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "size": 0,
            "default_branch": repository.default_branch,
            "open_issues": open_issues,
            "open_issues_count": open_issues,
            "pushed_at": stamp(repository.pushed_at),
            "created_at": stamp(repository.created_at),
            "updated_at": stamp(repository.pushed_at),
        });
        let shown = with(with(Value::Object(addresses.collect::<Map<_, _>>()), features()), shown);
        match detail {
            Detail::Short => shown,
            Detail::Full => with(shown, self.only_by_itself(id, forks)),
        }
    }

    fn only_by_itself(&self, id: u64, forks: usize) -> Value {
        let mut more = json!({
            "subscribers_count": 0,
            "network_count": forks,
            "allow_squash_merge": true,
            "allow_merge_commit": true,
            "allow_rebase_merge": true,
        });
        let parent = self.repository(id).parent.filter(|parent| self.repositories.contains_key(parent));
        if let Some(parent) = parent {
            more["parent"] = self.repository_json(parent, Detail::Short);
            more["source"] = self.repository_json(parent, Detail::Short);
        }
        more
    }
}

/// What is the same for every repository here.
fn features() -> Value {
    json!({
        "topics": [],
        "is_template": false,
        "has_issues": true,
        "has_projects": true,
        "has_wiki": true,
        "has_pages": false,
        "has_downloads": true,
        "has_discussions": false,
        "archived": false,
        "disabled": false,
        "allow_forking": true,
        "web_commit_signoff_required": false,
    })
}

impl Role {
    /// GitHub's name of the role.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The four permissions from before there were roles.
    pub(crate) fn legacy_name(self) -> &'static str {
        match self {
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}
