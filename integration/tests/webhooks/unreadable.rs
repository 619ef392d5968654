//! Repositories and pull requests that cannot be read: the author is told what to mend.

use anyhow::{Context, Result, ensure};
use integration::git::Change;
use integration::github::NewPullRequest;
use integration::offshoot::BranchRef;

use crate::shop::{self, MIGRATIONS, column};
use crate::world::World;

struct Case {
    name: &'static str,
    base: Vec<Change>,
    head: Vec<Change>,
    /// What the comment and the check must speak of.
    told: &'static str,
}

fn cases() -> Vec<Case> {
    let lock = |directory: &str| {
        Change::write(format!("{directory}/migration_lock.toml"), "provider = \"postgresql\"\n")
    };
    let first = |directory: &str| Change::write(format!("{directory}/1_init/migration.sql"), "select 1;\n");
    vec![
        Case {
            name: "another-provider",
            base: shop::base(),
            head: vec![Change::write(format!("{MIGRATIONS}/migration_lock.toml"), "provider = \"mysql\"\n")],
            told: "mysql",
        },
        Case {
            name: "without-migration-sql",
            base: shop::base(),
            head: vec![Change::write(format!("{MIGRATIONS}/20260202000000_empty/README.md"), "to do\n")],
            told: "20260202000000_empty",
        },
        Case {
            name: "several-chains",
            base: vec![
                lock("a/migrations"),
                first("a/migrations"),
                lock("b/migrations"),
                first("b/migrations"),
            ],
            head: vec![Change::write("README.md", "which?\n")],
            told: ".offshoot.toml",
        },
        Case {
            name: "bad-configuration",
            base: [shop::base(), vec![Change::write(".offshoot.toml", "[[database]]\nnmae = \"main\"\n")]]
                .concat(),
            head: vec![column("color")],
            told: "nmae",
        },
    ]
}

#[tokio::test]
async fn the_author_is_told_what_to_mend() -> Result<()> {
    let world = World::start().await?;
    for case in cases() {
        let full_name = format!("odd/{}", case.name);
        world.github.create_repository("odd", case.name, "main", &case.base)?;
        let sha = world.github.push(&full_name, "change", &case.head)?;
        let number = world.github.open_pull_request(&NewPullRequest::new(&full_name, "main", "change"))?;
        world.settle().await.context(case.name)?;
        let branch = BranchRef::new(&full_name, number);
        let answer = world.offshoot.branch(&branch).await?;
        ensure!(matches!(answer.status.as_u16(), 404 | 409), "{}: {answer:?}", case.name);
        let runs = world.github.check_runs(&full_name, sha)?;
        let run = runs.last().with_context(|| format!("{}: no check run", case.name))?;
        ensure!(run.conclusion.as_deref() == Some("failure"), "{}: {run:?}", case.name);
        let comment = world.the_comment(&branch).context(case.name)?;
        ensure!(comment.contains(case.told), "{}: nothing of {} in {comment}", case.name, case.told);
    }
    world.finish().await
}
