//! Sessions of a branch's own role, in which a pull request's SQL runs, and how they end.

use std::pin::pin;

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryStream};

use super::Engine;
use super::blame::{Cause, Resource};
use super::error::EngineError;
use super::failure::{ReplayError, Script};
use super::instance::Access;
use super::roles::may_be_own_doing;
use crate::domain::failure::Failure;
use crate::postgres::{ConnectError, Endpoint, TransactionStatus, Watched};
use crate::secret::Secret;

/// As Prisma's own engine begins: whatever the role's settings say, the schema is `public`.
const BEGIN: &str = "SET search_path = \"public\"; SELECT pg_catalog.pg_backend_pid()";
/// After a session was told to end, how long its last words may take.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(10);

/// A session that an administrator can end from outside.
pub(super) struct Session<'e> {
    engine: &'e Engine,
    pub(super) client: Client,
    pub(super) transaction: TransactionStatus,
    process: i32,
    deadline: Instant,
    database: String,
}

/// What the server will have said of a message that was sent.
pub(super) struct Answers(Result<SimpleQueryStream, Error>);

/// How running a script ended before its end.
#[derive(Debug)]
pub(super) struct Stop {
    /// How many of its statements had ended.
    completed: usize,
    pub(super) error: Error,
    pub(super) by_deadline: bool,
}

impl Stop {
    /// Whether none of its statements had ended.
    pub(super) fn is_at_first(&self) -> bool {
        self.completed == 0
    }
}

impl Engine {
    /// A fresh session of a branch's role, whose scripts together may run until `deadline`.
    pub(super) async fn session(
        &self,
        access: &Access,
        deadline: Instant,
    ) -> Result<Session<'_>, EngineError> {
        let connected = self.connect_as(access, "").await?;
        let doing = || EngineError::refused(format!("begin a session in {:?}", access.database));
        let answer = connected.client.simple_query(BEGIN).await.map_err(doing())?;
        Ok(Session::new(self, access, connected, process_in(&answer), deadline))
    }

    /// The same after more SQL, sent with it in one message to spare round trips. Where the server refuses that, the session has begun without it.
    pub(super) async fn session_after(
        &self,
        access: &Access,
        deadline: Instant,
        sql: &str,
    ) -> Result<(Session<'_>, Result<(), Error>), EngineError> {
        let connected = self.connect_as(access, "").await?;
        let client = &connected.client;
        let (answer, after) = match client.simple_query(&format!("{BEGIN}; {sql}")).await {
            Ok(answer) => (answer, Ok(())),
            Err(error) if error.as_db_error().is_some() && !error.is_closed() => {
                let doing = EngineError::refused(format!("begin a session in {:?}", access.database));
                (client.simple_query(BEGIN).await.map_err(doing)?, Err(error))
            }
            Err(error) => {
                return Err(EngineError::refused(format!("begin a session in {:?}", access.database))(error));
            }
        };
        Ok((Session::new(self, access, connected, process_in(&answer), deadline), after))
    }

    /// Connects as a branch's role. What ran as the role may have closed its own way in: then that is mended once.
    pub(super) async fn connect_as(&self, access: &Access, options: &str) -> Result<Watched, EngineError> {
        let endpoint = self.administrator.with_database(&access.database);
        let endpoint = endpoint.with_credentials(&access.role, &access.password).with_options(options);
        match endpoint.connect_bounded().await {
            Err(ConnectError::Refused { source, server }) => match source.code() {
                Some(code)
                    if *code == SqlState::TOO_MANY_CONNECTIONS && self.is_at_its_limit(access).await? =>
                {
                    self.connect_alone(access, &endpoint).await
                }
                Some(code) if may_be_own_doing(code) => {
                    self.make_way(access, code).await?;
                    Ok(endpoint.connect_bounded().await?)
                }
                _ => Err(ConnectError::Refused { source, server }.into()),
            },
            connected => Ok(connected?),
        }
    }

    /// Connects as a role all of whose connections are in use. Whoever has its URL may take each one again as soon as it is free, so
    /// for that moment nobody else knows the password. A kill in between leaves one that the next replay finds wrong, and sets.
    async fn connect_alone(&self, access: &Access, endpoint: &Endpoint) -> Result<Watched, EngineError> {
        let alone = Access { password: Secret::generate(), ..access.clone() };
        self.restore_login(&alone).await?;
        self.end_sessions_of(access).await?;
        let connected = endpoint.with_credentials(&alone.role, &alone.password).connect_bounded().await;
        self.restore_login(access).await?;
        Ok(connected?)
    }

    async fn terminate(&self, process: i32) -> Result<(), EngineError> {
        let doing = "end a session that ran out of time";
        let client = self.client(doing).await?;
        let end = client.execute("select pg_catalog.pg_terminate_backend($1)", &[&process]).await;
        end.map(drop).map_err(EngineError::refused(doing))
    }
}

impl<'e> Session<'e> {
    /// `process` is the server's number of it.
    pub(super) fn new(
        engine: &'e Engine,
        access: &Access,
        connected: Watched,
        process: i32,
        deadline: Instant,
    ) -> Self {
        let Watched { client, transaction } = connected;
        Self { engine, client, transaction, process, deadline, database: access.database.clone() }
    }

    pub(super) fn into_parts(self) -> (Watched, i32) {
        (Watched { client: self.client, transaction: self.transaction }, self.process)
    }
}

impl Session<'_> {
    /// Sends a file whole, as one message. The failure is the author's; an error is not.
    pub(super) async fn run(&self, script: &Script<'_>) -> Result<(), ReplayError> {
        let ended = self.send(script.text).await;
        self.told(script, ended).await
    }

    /// What became of a file that was sent, for its author.
    pub(super) async fn told(
        &self,
        script: &Script<'_>,
        ended: Result<usize, Ended>,
    ) -> Result<(), ReplayError> {
        if let Some(failure) = script.zero_byte() {
            // The driver sends nothing of it.
            return Err(failure.into());
        }
        match ended {
            Ok(_) => Ok(()),
            Err(Ended::Lost(error)) => Err(error.into()),
            Err(Ended::Stopped(stop)) => Err(self.judge(script, &stop).await),
        }
    }

    pub(super) async fn send(&self, text: &str) -> Result<usize, Ended> {
        self.hear(self.ask(text).await).await
    }

    /// Sends a message, and does not wait for the server. What is sent later runs later.
    pub(super) async fn ask(&self, text: &str) -> Answers {
        Answers(self.client.simple_query_raw(text).await)
    }

    /// Waits for the end of what the server says of a message, and counts what completes and the rows, which are read and dropped one by one; notices
    /// never get here.
    pub(super) async fn hear(&self, answers: Answers) -> Result<usize, Ended> {
        let (mut completed, mut rows) = (0, 0);
        let (mut by_deadline, mut deadline) = (false, self.deadline);
        let stop = |completed, error, by_deadline| Ended::Stopped(Stop { completed, error, by_deadline });
        let mut answers = pin!(answers.0.map_err(|error| stop(0, error, false))?);
        let mut refused = None;
        loop {
            tokio::select! {
                answer = answers.next() => match answer {
                    None => return refused.map_or(Ok(rows), Err),
                    Some(Ok(SimpleQueryMessage::CommandComplete(_))) => completed += 1,
                    Some(Ok(SimpleQueryMessage::Row(_))) => rows += 1,
                    Some(Ok(_)) => {}
                    // How the transaction stands comes after that.
                    Some(Err(error)) if error.as_db_error().is_some() => {
                        if refused.is_none() || by_deadline {
                            refused = Some(stop(completed, error, by_deadline));
                        }
                    }
                    Some(Err(error)) => return Err(refused.unwrap_or_else(|| stop(completed, error, by_deadline))),
                },
                () = tokio::time::sleep_until(deadline) => {
                    if by_deadline {
                        return Err(Ended::Lost(EngineError::Lost { doing: "end a session that ran out of time".to_owned() }));
                    }
                    // The server keeps what it has to say until the end, so only its last words tell which statement ran.
                    self.engine.terminate(self.process).await.map_err(Ended::Lost)?;
                    (by_deadline, deadline) = (true, Instant::now() + LAST_WORDS);
                }
            }
        }
    }

    /// Waits for something shorter than a file, and ends the session where even that runs out of time: triggers are SQL as well.
    pub(super) async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<Option<T>, EngineError> {
        match tokio::time::timeout_at(self.deadline, work).await {
            Ok(done) => Ok(Some(done)),
            Err(_) => self.engine.terminate(self.process).await.map(|()| None),
        }
    }

    async fn judge(&self, script: &Script<'_>, stop: &Stop) -> ReplayError {
        if stop.by_deadline {
            return self.overrun(script, stop.completed).into();
        }
        if let Some(lost) = self.lost(&stop.error, script.path).await {
            return lost.into();
        }
        match stop.error.as_db_error() {
            Some(refused) => script.refused(stop.completed, refused).into(),
            // The one message that a session of ours does not expect: the server asks for COPY's data.
            None => {
                let message = "the statement asks its client for data, and a file of SQL has none to send";
                let hint = "COPY … FROM STDIN works only in psql. Write the rows as INSERT, or put them into a CSV seed.";
                script.at_statement(message, stop.completed, None).with_hint(hint).into()
            }
        }
    }

    pub(super) fn overrun(&self, script: &Script<'_>, completed: usize) -> Failure {
        let limit = self.engine.limits().job_timeout;
        let message = format!(
            "the whole run took longer than the {} that a branch allows; this statement was running",
            humantime::format_duration(limit)
        );
        let mut failure = script.at_statement(&message, completed, None);
        failure.sqlstate = Some("57014".to_owned());
        failure.hint = super::hints::hint("57014", "", "").map(str::to_owned);
        failure
    }

    /// The error, if it is the server's or ours. A session that was ended on a server that runs on was ended by what ran in it, and what the
    /// branch used up itself is its author's.
    pub(super) async fn lost(&self, error: &Error, path: &str) -> Option<EngineError> {
        let doing = || format!("run {path:?}");
        let lost = || EngineError::Lost { doing: doing() };
        let Some(refused) = error.as_db_error() else {
            return (!is_unexpected_message(error)).then(lost);
        };
        match Cause::of(refused) {
            Cause::Author => None,
            Cause::Ended => (!self.engine.is_still_up().await).then(lost),
            Cause::Server => Some(lost()),
            Cause::UsedUp(resource) => match self.used_up(resource).await {
                Ok(true) => None,
                Ok(false) => {
                    let source = Box::new(refused.clone());
                    Some(EngineError::UsedUp { doing: doing(), resource, source })
                }
                Err(error) => Some(error),
            },
        }
    }

    /// Whether it was this session, or its database, that used up what the server has run out of.
    async fn used_up(&self, resource: Resource) -> Result<bool, EngineError> {
        match resource {
            Resource::Disk => self.engine.has_outgrown(&self.database).await,
            Resource::Locks => {
                // An error is told before its transaction is undone; the next answer comes after. Then what is left is the others'.
                drop(self.bounded(self.client.batch_execute("")).await?);
                Ok(!self.engine.is_short_of_locks().await?)
            }
            Resource::Memory | Resource::Connections | Resource::Other => Ok(false),
        }
    }
}

fn process_in(answer: &[SimpleQueryMessage]) -> i32 {
    let process = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    process.expect("pg_backend_pid() answers a number")
}

pub(super) enum Ended {
    Stopped(Stop),
    Lost(EngineError),
}

/// The driver's own complaint, which has no cause and is no closed connection.
fn is_unexpected_message(error: &Error) -> bool {
    !error.is_closed() && std::error::Error::source(error).is_none()
}
