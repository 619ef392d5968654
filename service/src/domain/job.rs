//! The kinds of work. A job names what to converge, never what to do: it decides from stored state when it runs.

use std::fmt;
use std::str::FromStr;

use super::branch::BranchId;
use super::ids::{InvalidId, Oid, PullId};
use super::layer::LayerKey;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Job {
    /// Bring a pull request's branches to what its head, its base and its state ask for.
    ReconcilePull(PullId),
    /// Bring GitHub to what is to be said of a pull request.
    ReportPull(PullId),
    /// Bring a repository's name, installation and open pull requests to what GitHub says. By GitHub's number.
    SyncRepository(i64),
    /// Bring the repositories of an installation of the App to what GitHub says.
    SyncInstallation(i64),
    /// Read the chain at a base's new tip and have its layer built.
    FollowBase { repository: i64, tip: Oid },
    /// Bring the number of a layer's spares to what its pool should hold.
    RefillPool(LayerKey),
    /// Make the forks of a branch that are wanted, and keep some spare ones.
    FillForks(BranchId),
    /// Drop the databases and roles that are no longer wanted.
    EmptyTrash,
    /// Compare the store, the branch server and GitHub, and mend what differs.
    Sweep,
    /// Let those that wait for room on the branch server's disk go on, in their order, and give back what nobody waits for.
    MakeRoom,
    /// Drop the layers that nobody needs and that there is no room for.
    TrimLayers,
    /// Compare the layer whose turn it is with a replay from empty.
    CheckLayer,
}

/// Which workers do a job: those that somebody waits for are never behind those that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    Foreground,
    Background,
}

const FOREGROUND: [&str; 5] =
    ["reconcile_pull", "report_pull", "sync_repository", "sync_installation", "fill_forks"];
const BACKGROUND: [&str; 7] =
    ["follow_base", "refill_pool", "empty_trash", "sweep", "make_room", "trim_layers", "check_layer"];

impl Lane {
    pub const ALL: [Self; 2] = [Self::Foreground, Self::Background];

    /// The kinds of its jobs.
    pub const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Foreground => &FOREGROUND,
            Self::Background => &BACKGROUND,
        }
    }

    /// Whose a kind of job is; none for a kind that this version does not know.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.kinds().contains(&kind))
    }
}

impl Job {
    /// Every kind, for figures: both lanes' one after the other.
    pub const KINDS: &[&str] = &{
        let mut all = [""; FOREGROUND.len() + BACKGROUND.len()];
        let (before, after) = all.split_at_mut(FOREGROUND.len());
        before.copy_from_slice(&FOREGROUND);
        after.copy_from_slice(&BACKGROUND);
        all
    };

    pub fn kind(&self) -> &'static str {
        match self {
            Self::ReconcilePull(_) => "reconcile_pull",
            Self::ReportPull(_) => "report_pull",
            Self::SyncRepository(_) => "sync_repository",
            Self::SyncInstallation(_) => "sync_installation",
            Self::FollowBase { .. } => "follow_base",
            Self::RefillPool(_) => "refill_pool",
            Self::FillForks(_) => "fill_forks",
            Self::EmptyTrash => "empty_trash",
            Self::Sweep => "sweep",
            Self::MakeRoom => "make_room",
            Self::TrimLayers => "trim_layers",
            Self::CheckLayer => "check_layer",
        }
    }

    /// What of its kind it is about; two jobs of one kind and subject never run at once.
    pub fn subject(&self) -> String {
        match self {
            Self::ReconcilePull(pull) | Self::ReportPull(pull) => pull.to_string(),
            Self::SyncRepository(id) | Self::SyncInstallation(id) => id.to_string(),
            Self::FollowBase { repository, tip } => format!("{repository}@{tip}"),
            Self::RefillPool(layer) => layer.to_string(),
            Self::FillForks(branch) => branch.to_string(),
            Self::EmptyTrash | Self::Sweep | Self::MakeRoom | Self::TrimLayers | Self::CheckLayer => {
                String::new()
            }
        }
    }

    /// Lower runs first: people wait for branches, nobody for the trash.
    pub fn priority(&self) -> i16 {
        match self {
            Self::ReconcilePull(_) => 0,
            Self::ReportPull(_) => 5,
            // A test run waits for it.
            Self::FillForks(_) => 3,
            Self::SyncRepository(_) | Self::SyncInstallation(_) => 10,
            Self::FollowBase { .. } => 15,
            // People wait for it.
            Self::MakeRoom => 12,
            Self::RefillPool(_) => 16,
            Self::EmptyTrash | Self::Sweep | Self::TrimLayers => 20,
            Self::CheckLayer => 30,
        }
    }

    /// The job that a row's kind and subject stand for.
    pub fn parse(kind: &str, subject: &str) -> Result<Self, InvalidId> {
        let number = || subject.parse().map_err(|_| InvalidId::new(subject, "one of GitHub's numbers"));
        Ok(match kind {
            "reconcile_pull" => Self::ReconcilePull(subject.parse()?),
            "report_pull" => Self::ReportPull(subject.parse()?),
            "sync_repository" => Self::SyncRepository(number()?),
            "sync_installation" => Self::SyncInstallation(number()?),
            "follow_base" => {
                let (repository, tip) =
                    subject.split_once('@').ok_or_else(|| InvalidId::new(subject, "REPOSITORY_ID@COMMIT"))?;
                let repository =
                    repository.parse().map_err(|_| InvalidId::new(subject, "REPOSITORY_ID@COMMIT"))?;
                Self::FollowBase { repository, tip: Oid::from_str(tip)? }
            }
            "refill_pool" => Self::RefillPool(LayerKey::recorded(subject)),
            "fill_forks" => {
                Self::FillForks(subject.parse().map_err(|_| InvalidId::new(subject, "a branch's number"))?)
            }
            "empty_trash" => Self::EmptyTrash,
            "sweep" => Self::Sweep,
            "make_room" => Self::MakeRoom,
            "trim_layers" => Self::TrimLayers,
            "check_layer" => Self::CheckLayer,
            _ => return Err(InvalidId::new(kind, "a kind of job")),
        })
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.subject())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_survives_its_row() {
        let pull = PullId { repository: 77, number: 42 };
        let tip = "ab".repeat(20).parse().unwrap();
        for job in [
            Job::ReconcilePull(pull),
            Job::ReportPull(pull),
            Job::SyncRepository(77),
            Job::SyncInstallation(5),
            Job::FollowBase { repository: 77, tip },
            Job::RefillPool(LayerKey::recorded("ab".repeat(32))),
            Job::FillForks(12),
            Job::EmptyTrash,
            Job::Sweep,
            Job::MakeRoom,
            Job::TrimLayers,
            Job::CheckLayer,
        ] {
            assert!(Lane::of_kind(job.kind()).is_some(), "{job} is nobody's");
            assert_eq!(Job::parse(job.kind(), &job.subject()), Ok(job));
        }
        assert!(Job::parse("make_coffee", "").is_err());
        assert!(Job::parse("reconcile_pull", "42").is_err());
    }
}
