//! Strangers' SQL: each attack is a pull request through the whole service, many at the same time, beside a branch that must not notice.

mod attack;
mod bases;
mod excess;
mod flow;
mod holders;
mod neighbour;
mod outside;
mod report;
mod roles;
mod seeds;
mod server;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use integration::git::Change;
use integration::github::NewPullRequest;
use integration::offshoot::{Answer, BranchRef};
use tokio::time::Instant;

use self::attack::{Attack, Told};
use self::neighbour::{Latencies, Working};
use self::outside::Census;
use crate::shop::{self, SHOP, column};
use crate::world::World;

const NEIGHBOUR: &str = "acme/neighbour";
const SEEDED: &str = "[[database]]\nname = \"main\"\nseed = [\"seed/*.sql\", \"seed/*.csv\"]\n";
/// How long all attacks together may take.
const LIMIT: Duration = Duration::from_secs(600);
/// What an attack may cost a neighbour: the bound that fails the suite. What it does cost is printed.
const SLOWEST_P99: Duration = Duration::from_secs(1);
/// How long the neighbour works undisturbed, for the comparison.
const QUIET: Duration = Duration::from_secs(3);

/// Short, so that what runs into a limit does so soon.
const LIMITS: [(&str, &str); 7] = [
    ("OFFSHOOT_STATEMENT_TIMEOUT", "3s"),
    ("OFFSHOOT_LOCK_TIMEOUT", "1s"),
    ("OFFSHOOT_IDLE_IN_TRANSACTION_TIMEOUT", "4s"),
    ("OFFSHOOT_JOB_TIMEOUT", "6s"),
    ("OFFSHOOT_TEMP_FILE_LIMIT", "16MB"),
    ("OFFSHOOT_SIZE_LIMIT", "200MB"),
    ("OFFSHOOT_CONNECTION_LIMIT", "6"),
];

/// What `make test` runs of each class: the first, and each so many after it.
const STEP: usize = 5;

/// All attacks, by what they are after.
fn classes() -> impl Iterator<Item = Vec<Attack>> {
    [server::classes(), roles::classes(), flow::classes(), excess::classes(), vec![seeds::attacks()]]
        .into_iter()
        .flatten()
}

#[tokio::test]
async fn attacks_of_each_class_are_contained() -> Result<()> {
    suite("18", classes().flat_map(|class| class.into_iter().step_by(STEP)).collect()).await
}

#[tokio::test]
#[ignore = "minutes long: `make hostile`"]
async fn all_attacks_on_postgresql_18_are_contained() -> Result<()> {
    suite("18", classes().flatten().collect()).await
}

#[tokio::test]
#[ignore = "minutes long: `make hostile`"]
async fn all_attacks_on_postgresql_15_are_contained() -> Result<()> {
    suite("15", classes().flatten().collect()).await
}

/// One pull request of the suite.
struct Proposal {
    attack: Attack,
    branch: BranchRef,
    sha: String,
}

async fn suite(version: &str, attacks: Vec<Attack>) -> Result<()> {
    let stage = Stage::set(version).await?;
    let quiet = stage.quiet().await?;
    let working = Working::begin(&stage.neighbour_url);
    let begun = Instant::now();
    let proposals = stage.propose(attacks)?;
    let (push, problems) = tokio::join!(stage.neighbour_pushes(), stage.judge_all(&proposals));
    let push = push?;
    let took = begun.elapsed();
    let attacked = working.end().await?;
    println!("{}", problems.join("\n"));
    println!(
        "PostgreSQL {version}: {} attacks in {:.1} s, {} not contained\n  the neighbour alone:   {quiet}\n  \
         under attack:          {attacked}\n  its push became ready in {:.0} ms",
        proposals.len(),
        took.as_secs_f64(),
        problems.len(),
        push.as_secs_f64() * 1e3
    );
    ensure!(problems.is_empty(), "{} of {}:\n{}", problems.len(), proposals.len(), problems.join("\n"));
    holders::attack(&stage).await.context("by those who have a URL")?;
    bases::attack(&stage).await.context("by a base")?;
    ensure!(
        attacked.quantile(0.99) < SLOWEST_P99 && attacked.rounds() > 0,
        "the neighbour was slowed: {attacked}"
    );
    stage.end(&proposals).await
}

/// A service on a server of this version, a neighbour with data, and what the server was like before.
struct Stage {
    world: World,
    neighbour: BranchRef,
    neighbour_url: String,
    neighbour_contents: String,
    before: Census,
}

impl Stage {
    async fn set(version: &str) -> Result<Self> {
        let bin = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../.tools/postgresql/{version}/bin"))
            .canonicalize();
        let bin = bin.with_context(|| {
            format!("PostgreSQL {version}; `scripts/setup postgres {version}` fetches it")
        })?;
        let world = World::start_with(|options| {
            options.environment.push(("OFFSHOOT_POSTGRES_BIN".to_owned(), bin.display().to_string()));
            options.environment.extend(LIMITS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        })
        .await?;
        world.open_shop_with(&[Change::write(".offshoot.toml", SEEDED)])?;
        world.github.create_repository("acme", "neighbour", "main", &shop::base())?;
        let sha = world.github.push(NEIGHBOUR, "quiet", &[column("color")])?;
        let number = world.github.open_pull_request(&NewPullRequest::new(NEIGHBOUR, "main", "quiet"))?;
        let neighbour = BranchRef::new(NEIGHBOUR, number);
        let ready = world.offshoot.ready(&neighbour, &sha.to_string()).await?;
        let neighbour_url = ready.database_url()?.to_owned();
        let client = integration::offshoot::connect(&neighbour_url).await?;
        client
            .batch_execute("insert into items (name) select 'item ' || i from generate_series(1, 1000) i")
            .await?;
        drop(client);
        world.settle().await?;
        let before = Census::take(&world.offshoot).await?;
        let neighbour_contents = outside::contents(&neighbour_url).await?;
        Ok(Self { world, neighbour, neighbour_url, neighbour_contents, before })
    }

    /// The neighbour's database and role.
    fn neighbour_name(&self) -> String {
        format!("acme_neighbour_pr_{}", self.neighbour.number)
    }

    fn close(&self, branch: &BranchRef) -> Result<()> {
        self.world.github.close(&branch.repository, branch.number)
    }

    async fn quiet(&self) -> Result<Latencies> {
        let working = Working::begin(&self.neighbour_url);
        tokio::time::sleep(QUIET).await;
        working.end().await
    }

    /// Opens a pull request for each attack, all at once.
    fn propose(&self, attacks: Vec<Attack>) -> Result<Vec<Proposal>> {
        let name = self.neighbour_name();
        let propose = |(at, attack): (usize, Attack)| {
            let attack = attack.aimed_at(&name, "offshoot");
            let proposed = self.world.propose(&format!("attack-{at}"), &attack.files);
            let (branch, sha) = proposed.with_context(|| attack.name)?;
            Ok(Proposal { attack, branch, sha })
        };
        attacks.into_iter().enumerate().map(propose).collect()
    }

    /// The neighbour's own work goes on: how long its next push takes to be ready amid all this.
    async fn neighbour_pushes(&self) -> Result<Duration> {
        let begun = Instant::now();
        let sha = self.world.push(&self.neighbour, &[column("size")])?;
        let answer = self.verdict(&self.neighbour, &sha).await?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(begun.elapsed())
    }

    /// What was not as it must be, a line for each attack.
    async fn judge_all(&self, proposals: &[Proposal]) -> Vec<String> {
        let mut problems = Vec::new();
        for proposal in proposals {
            if let Err(error) = self.judge(proposal).await {
                problems.push(format!("{}: {error:#}", proposal.attack.name));
            }
        }
        problems
    }

    /// The answer for a commit once it is final, however long the queue is.
    async fn verdict(&self, branch: &BranchRef, sha: &str) -> Result<Answer> {
        let deadline = Instant::now() + LIMIT;
        let path = format!("{}?sha={sha}&wait=10", branch.path());
        loop {
            let answer = self.world.offshoot.call(Method::GET, &path, None).await?;
            match answer.status.as_u16() {
                200 | 409 => return Ok(answer),
                _ if Instant::now() > deadline => bail!("still {}: {}", answer.status, answer.body),
                // 404 until the delivery was absorbed.
                404 => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => {}
            }
        }
    }

    async fn judge(&self, proposal: &Proposal) -> Result<()> {
        let Proposal { attack, branch, sha } = proposal;
        let answer = self.verdict(branch, sha).await?;
        match attack.told {
            Told::Ready => ensure!(answer.status == 200, "{}", answer.body),
            Told::Failed(with) => ensure_failed(&answer, with)?,
            Told::Either(with) if answer.status != 200 => ensure_failed(&answer, with)?,
            Told::Either(_) => {}
        }
        self.is_reported(proposal, answer.status == 200).await
    }

    /// GitHub was told the same, in a comment that an attacker's words did not break.
    async fn is_reported(&self, proposal: &Proposal, ready: bool) -> Result<()> {
        let Proposal { branch, sha, .. } = proposal;
        let deadline = Instant::now() + LIMIT;
        let conclusion = loop {
            let runs = self.world.github.check_runs(SHOP, sha.parse()?)?;
            match runs.last().and_then(|run| run.conclusion.clone()) {
                Some(conclusion) => break conclusion,
                None if Instant::now() > deadline => bail!("no check run ended: {runs:?}"),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        ensure!(conclusion == if ready { "success" } else { "failure" }, "the check run says {conclusion}");
        self.world.github.wait_for_deliveries(LIMIT).await?;
        self.world.offshoot.idle(LIMIT).await?;
        let comment = self.world.the_comment(branch)?;
        report::ensure_intact(&comment, &self.world.offshoot.url())
    }

    /// The server is what it was, the neighbour has what it had, and everything goes when it is closed.
    async fn end(self, proposals: &[Proposal]) -> Result<()> {
        let after = Census::take(&self.world.offshoot).await?;
        self.before.ensure_unchanged(&after)?;
        outside::ensure_roles_are_plain(&self.world.offshoot).await?;
        let contents = outside::contents(&self.neighbour_url).await;
        ensure!(contents? == self.neighbour_contents, "the neighbour's data changed");
        for proposal in proposals {
            self.world.github.close(SHOP, proposal.branch.number)?;
        }
        self.world.github.wait_for_deliveries(LIMIT).await?;
        self.world.offshoot.idle(LIMIT).await?;
        self.world.finish().await
    }
}

fn ensure_failed(answer: &Answer, with: &[&str]) -> Result<()> {
    ensure!(answer.status == 409, "it is ready");
    let (sqlstate, text) = (answer.text("sqlstate"), answer.body.to_string());
    let told = with.iter().any(|with| *with == sqlstate || (with.len() != 5 && text.contains(with)));
    ensure!(told, "none of {with:?} in {}", text.chars().take(600).collect::<String>());
    Ok(())
}
