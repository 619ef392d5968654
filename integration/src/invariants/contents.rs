//! What is in the database of each branch that says ready, and where its URL leads.

use anyhow::Result;
use http::Method;
use serde_json::json;

use super::chain;
use super::facts::{BranchFact, Facts};
use super::reports::{PullTold, Told};
use super::server::identity;
use crate::github::SimulatedGitHub;
use crate::offshoot::{BranchRef, Offshoot, connect};
use crate::prisma::bookkeeping_rows;

/// What is wrong with the branches that say ready, of every pull request that is open.
pub(super) async fn wrong(
    facts: &Facts,
    told: &Told,
    github: &SimulatedGitHub,
    offshoot: &Offshoot,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for pull in told.pulls.iter().filter(|pull| pull.pull.open) {
        let own = facts.branches.iter().filter(|branch| branch.is_of(pull.repository, pull.pull.number));
        for branch in own.filter(|branch| branch.state == "ready") {
            let place = format!("{pull}, {branch}");
            found.extend(recorded(facts, pull, branch).map(|what| format!("{place}: {what}")));
            let found_inside = inside(pull, branch, github, offshoot).await?;
            found.extend(found_inside.into_iter().map(|what| format!("{place}: {what}")));
        }
    }
    Ok(found)
}

/// The head that it is ready for, and what its database says of itself.
fn recorded(facts: &Facts, pull: &PullTold, branch: &BranchFact) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    if pull.pull.head != branch.head_sha.as_str() {
        found.push(format!("it is ready for {} while the head is {}", branch.head_sha, pull.pull.head));
    }
    let expected = json!({
        "offshoot": 1,
        "repository": pull.name,
        "pull_request": pull.pull.number,
        "database": branch.database,
        "generation": branch.generation,
        "sha": branch.head_sha,
    });
    match facts.databases.iter().find(|database| database.name == branch.database_name) {
        None => found.push("its database is gone".to_owned()),
        Some(database) if identity(database) != expected => {
            found.push(format!("its database says that it is {:?}", database.comment));
        }
        Some(_) => {}
    }
    found.into_iter()
}

/// Logs in by the URL that is handed out, and reads the database's own table.
async fn inside(
    pull: &PullTold,
    branch: &BranchFact,
    github: &SimulatedGitHub,
    offshoot: &Offshoot,
) -> Result<Vec<String>> {
    let path = BranchRef::new(&pull.name, pull.pull.number).path();
    let path = format!("{path}?database={}&sha={}", branch.database, branch.head_sha);
    let answer = offshoot.call(Method::GET, &path, None).await?;
    let Ok(url) = answer.database_url() else {
        return Ok(vec![format!("no URL is handed out: {} {}", answer.status, answer.body)]);
    };
    let client = match connect(url).await {
        Ok(client) => client,
        Err(error) => return Ok(vec![format!("its URL does not let in: {error:#}")]),
    };
    let mut found = Vec::new();
    let row = client.query_one("select current_database()::text as name", &[]).await?;
    let name: String = row.try_get("name")?;
    if name != branch.database_name {
        found.push(format!("its URL leads to {name}"));
    }
    let git = github.git(&pull.name)?;
    let Some(wanted) = chain::wanted(&git, pull.pull.head, &pull.pull.base_ref, &branch.database)? else {
        return Ok(found);
    };
    let rows = bookkeeping_rows(&client).await?;
    let unfinished = rows.iter().filter(|row| !row.finished || row.rolled_back);
    found.extend(unfinished.map(|row| format!("{} is not finished in its table", row.migration_name)));
    let held: chain::Chain = rows.into_iter().map(|row| (row.migration_name, row.checksum)).collect();
    if held != wanted {
        found.push(format!("it holds {}, not {}", short(&held), short(&wanted)));
    }
    Ok(found)
}

fn short(chain: &chain::Chain) -> String {
    let one = |(name, checksum): &(String, String)| {
        format!("{name} {}", checksum.get(..6).unwrap_or(checksum.as_str()))
    };
    format!("[{}]", chain.iter().map(one).collect::<Vec<_>>().join(", "))
}
