//! How a job ends that could not do its work. The author's mistakes are not among these: they are results.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::room::NoRoom;
use crate::engine::{EngineError, InvalidIdent};
use crate::github::GithubError;
use crate::queue::Outcome;
use crate::source::SourceError;
use crate::store::StoreError;

/// How long a job waits for room before it looks again, where no queue calls it.
const ROOM_POLL: TimeDelta = TimeDelta::seconds(15);

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Somebody asked to come back later; nothing is wrong.
    #[error("{why}; waiting until {until}")]
    Wait { until: DateTime<Utc>, why: String },
    /// The branch server's disk has no room for it, or others wait for that before.
    #[error("{}", .0.reason())]
    NoRoom(NoRoom),
    /// Something newer came; its job takes over.
    #[error("superseded by a newer delivery")]
    Superseded,
    /// The job is another worker's by now, who decides.
    #[error("the job is another worker's by now")]
    NotHeld,
    /// Worth another try, after a pause.
    #[error(transparent)]
    Retry(anyhow::Error),
}

impl JobError {
    /// What a pull request may be told of it: whose trouble it is, without internals.
    pub fn for_people(&self) -> String {
        match self {
            Self::Wait { why, .. } => why.clone(),
            Self::NoRoom(why) => why.reason(),
            Self::Superseded => "a newer push came".to_owned(),
            Self::NotHeld => "another worker took it up".to_owned(),
            Self::Retry(error) if error.is::<GithubError>() || error.is::<SourceError>() => {
                format!("GitHub could not be asked ({error})")
            }
            Self::Retry(error) => match error.downcast_ref::<EngineError>() {
                Some(EngineError::ExtensionNotAllowed { name }) => format!(
                    "the extension `{name}` is not on the operator's allow-list (OFFSHOOT_ALLOWED_EXTENSIONS)"
                ),
                Some(EngineError::UsedUp { resource, .. }) => {
                    format!("the branch server has run out of {resource}")
                }
                Some(_) => "the branch server did not do its part; the operator finds the cause in the log"
                    .to_owned(),
                None => "an internal error; the operator finds the cause in the log".to_owned(),
            },
        }
    }
}

impl From<JobError> for Outcome {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Wait { until, why } => Self::Snooze { until, why },
            JobError::NoRoom(why) => Self::Snooze { until: Utc::now() + ROOM_POLL, why: why.reason() },
            // What becomes of the job is not this worker's to say: its word is not taken.
            JobError::Superseded | JobError::NotHeld => Self::Done,
            JobError::Retry(error) => {
                metrics::counter!("offshoot_errors_total", "kind" => kind(&error)).increment(1);
                Self::Retry(error)
            }
        }
    }
}

/// By whose fault it failed, for figures.
fn kind(error: &anyhow::Error) -> &'static str {
    if error.is::<GithubError>() || error.is::<SourceError>() {
        "github"
    } else if error.is::<EngineError>() {
        "branch_server"
    } else if error.is::<StoreError>() {
        "control_database"
    } else {
        "internal"
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotHeld => Self::NotHeld,
            error => Self::Retry(error.into()),
        }
    }
}

impl From<InvalidIdent> for JobError {
    fn from(error: InvalidIdent) -> Self {
        EngineError::from(error).into()
    }
}

impl From<EngineError> for JobError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoRoom(shortage) => Self::NoRoom(NoRoom::Disk(shortage)),
            error => Self::Retry(error.into()),
        }
    }
}

impl From<GithubError> for JobError {
    fn from(error: GithubError) -> Self {
        match error {
            GithubError::Wait { until, .. } => Self::Wait { until, why: error.to_string() },
            error => Self::Retry(error.into()),
        }
    }
}

impl From<SourceError> for JobError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Wait { until, why } => Self::Wait { until, why },
            error => Self::Retry(error.into()),
        }
    }
}
