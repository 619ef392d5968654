//! `offshoot preview`, without a service: two at once on one directory, and the end of what they leave running.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use integration::git::{Author, GitRepository, Parent};
use integration::offshoot::connect;
use serde_json::Value;
use tokio::process::Command;

use crate::shop;

fn offshoot(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
    command.args(["preview", "--data-dir"]).arg(data).kill_on_drop(true);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Stops the server whatever becomes of the test.
struct Stopped<'a>(&'a Path);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(env!("CARGO_BIN_EXE_offshoot"));
        // The test itself has looked at how a stop ends.
        _ = stop.args(["preview", "--stop", "--data-dir"]).arg(self.0).output();
    }
}

#[tokio::test]
async fn previews_of_one_directory_wait_for_each_other_and_are_stopped_without_the_key() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix("offshoot-preview-").tempdir_in("/var/tmp")?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    let (source, data) = (directory.path().join("shop"), directory.path().join("data"));
    let repository = GitRepository::init(&source, "main")?;
    let author = Author::named("ada");
    repository.commit("refs/heads/main", Parent::Tip, "base", &author, &shop::base())?;
    let base = repository.tip("refs/heads/main")?.context("a commit on main")?;
    for name in ["color", "size"] {
        repository.commit(
            &format!("refs/heads/{name}"),
            Parent::Commit(base),
            name,
            &author,
            &[shop::column(name)],
        )?;
    }
    let _stopped = Stopped(&data);
    let preview =
        |head: &str| offshoot(&data).arg(repository.path()).args(["--head", head, "--json"]).output();
    let (color, size) = tokio::join!(preview("color"), preview("size"));
    let mut urls = Vec::new();
    for output in [color?, size?] {
        ensure!(output.status.success(), "{}: {}", output.status, said(&output));
        let documents: Value = serde_json::from_slice(&output.stdout)?;
        urls.push(documents[0]["database_url"].as_str().context("a URL")?.to_owned());
    }
    ensure!(urls[0] != urls[1], "two heads have one database");
    for url in &urls {
        connect(url).await.context("a preview's URL works after it")?;
    }

    std::fs::write(data.join("secret.key"), "not a key")?;
    let output = offshoot(&data).arg("--stop").output().await?;
    ensure!(output.status.success(), "{}: {}", output.status, said(&output));
    ensure!(connect(&urls[0]).await.is_err(), "the server runs on");
    let again = offshoot(&data).arg("--stop").output().await?;
    ensure!(again.status.success() && said(&again).contains("no PostgreSQL"), "{}", said(&again));
    Ok(())
}
