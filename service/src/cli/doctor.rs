//! `offshoot doctor`: is everything in place, and what is to be done where it is not.

mod cloning;

use console::style;
use tokio_util::sync::CancellationToken;

use super::{Exit, Stop};
use crate::config::ServeArgs;
use crate::domain::size::ByteSize;
use crate::embedded::EmbeddedError;
use crate::github::Github;
use crate::service::Servers;
use crate::telemetry;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// What was found, or what is wrong and how to mend it.
    verdict: Result<String, String>,
}

pub(super) async fn run(args: ServeArgs) -> Result<Exit, Stop> {
    telemetry::log(true);
    let mut findings = settings(&args);
    findings.extend(servers(&args).await);
    findings.extend(github(&args).await);
    for finding in &findings {
        match &finding.verdict {
            Ok(text) => println!("{} {}: {text}", style("ok").green(), finding.what),
            Err(text) => println!("{} {}: {text}", style("not ok").red(), finding.what),
        }
    }
    let healthy = findings.iter().all(|finding| finding.verdict.is_ok());
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

fn settings(args: &ServeArgs) -> Vec<Finding> {
    let text = |checked: anyhow::Result<String>| checked.map_err(|error| format!("{error:#}"));
    let secrets = args.webhook_secrets().map(|secrets| format!("{} in use", secrets.len()));
    let key = args.databases.vault().map(|_| "the key for credentials is well formed".to_owned());
    let token = match &args.api_token {
        Some(token) if token.expose().len() < 16 => {
            Err("it is shorter than 16 characters; make one with `openssl rand -hex 32`".to_owned())
        }
        Some(_) => Ok("an administrator's token is set".to_owned()),
        None => Err("OFFSHOOT_API_TOKEN is not set, so nobody can use the API or make the first token; set it to the output of `openssl rand -hex 32`".to_owned()),
    };
    let url = match args.public_url.as_deref() {
        Some(url)
            if url.starts_with("http://") && !url.contains("localhost") && !url.contains("127.0.0.1") =>
        {
            Err(format!("{url} is not https: tokens would cross the network in the clear"))
        }
        Some(url) => Ok(url.to_owned()),
        None => Err(format!(
            "OFFSHOOT_PUBLIC_URL is not set; links in reports lead to {}, which only this machine reaches",
            args.public_url()
        )),
    };
    vec![
        Finding { what: "webhook secret", verdict: text(secrets) },
        Finding { what: "secret key", verdict: text(key) },
        Finding { what: "API token", verdict: token },
        Finding { what: "public URL", verdict: url },
    ]
}

/// Both servers, their versions and the privileges on them, and how clones are made there. An embedded one is started for the look,
/// unless a service runs on it.
async fn servers(args: &ServeArgs) -> Vec<Finding> {
    let what = "databases";
    let servers = match Servers::connect(&args.databases).await {
        Ok(servers) => servers,
        Err(error) => {
            let verdict = match error.downcast_ref::<EmbeddedError>() {
                Some(EmbeddedError::InUse { .. }) => Ok("a running service has the embedded PostgreSQL; ask its /readyz, and its log for how it clones".to_owned()),
                _ => Err(format!("{error:#}")),
            };
            return vec![Finding { what, verdict }];
        }
    };
    let found =
        format!("control schema current; branch server PostgreSQL {}, as a superuser", version(&servers));
    let (disk, clones) = (disk(&servers).await, clones(args, &servers).await);
    let stopped = servers.stop().await.map(|()| found).map_err(|error| format!("{error:#}"));
    vec![Finding { what, verdict: stopped }, disk, clones]
}

/// What is free of the branch server's disk, against what new databases leave alone.
async fn disk(servers: &Servers) -> Finding {
    let size = |bytes: i64| ByteSize(u64::try_from(bytes).unwrap_or_default());
    let verdict = match servers.engine.disk().await {
        Ok(Some(disk)) => {
            let floor = servers.engine.floor().of(&disk);
            let found = format!(
                "{} of {} free; below {} no new database is begun",
                size(disk.free_bytes),
                size(disk.size_bytes),
                size(floor)
            );
            if disk.free_bytes >= floor {
                Ok(found)
            } else {
                Err(format!("{found}: enlarge it, remove branches, or lower OFFSHOOT_DISK_FLOOR"))
            }
        }
        Ok(None) => Err("the branch server does not tell what is free of its disk (it runs `df` for that), so OFFSHOOT_DISK_FLOOR cannot be held: \
             watch that disk by other means"
            .to_owned()),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    };
    Finding { what: "disk", verdict }
}

/// Measured now: what a service measured lives in that service.
async fn clones(args: &ServeArgs, servers: &Servers) -> Finding {
    let own = servers.embedded.is_some() && args.databases.branch_server_url.is_none();
    let host = cloning::Host {
        version_num: servers.engine.server().version_num,
        embedded: own.then_some(args.databases.data_dir.as_path()),
    };
    let measured = servers.engine.calibrate_clones(&CancellationToken::new()).await;
    let verdict = match measured {
        Ok(methods) => Ok(cloning::describe(&methods, &host)),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    };
    Finding { what: "clones", verdict }
}

fn version(servers: &Servers) -> String {
    let number = servers.engine.server().version_num;
    format!("{}.{}", number / 10_000, number % 10_000)
}

async fn github(args: &ServeArgs) -> Vec<Finding> {
    let what = "GitHub";
    let checked = async {
        let github = Github::connect(args.github.settings()?)?;
        anyhow::Ok(github.check().await?)
    };
    let checkup = match checked.await {
        Ok(checkup) => checkup,
        Err(error) => return vec![Finding { what, verdict: Err(format!("{error:#}")) }],
    };
    let problems = checkup.problems();
    if problems.is_empty() {
        return vec![Finding { what, verdict: Ok(checkup.to_string()) }];
    }
    problems.into_iter().map(|problem| Finding { what, verdict: Err(problem) }).collect()
}
