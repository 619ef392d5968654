//! How a request is carried to an answer: repeated where that is safe, logged, counted, and its refusals understood.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::header::LINK;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use metrics::{counter, histogram};
use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tower::BoxError;
use tracing::debug;

use super::ask::Ask;
use super::error::{self, Complaint, GithubError, classify};
use super::transport::Addresses;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    asked: String,
    pub headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, GithubError> {
        let unreadable =
            |error| GithubError::unavailable(&self.asked, format!("its answer cannot be read: {error}"));
        serde_json::from_slice(&self.body).map_err(unreadable)
    }

    /// The address of the next page, by the `Link` header.
    fn next(&self) -> Option<&str> {
        self.headers.get(LINK)?.to_str().ok()?.split(',').find_map(|link| {
            let (address, relation) = link.split_once('>')?;
            relation.contains("rel=\"next\"").then(|| address.trim().trim_start_matches('<'))
        })
    }
}

/// What GitHub answers when it wrote something down. It is read even where nothing in it is wanted: something on the way, too, may say 200, and
/// what GitHub never heard would be taken for told.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    #[serde(rename = "id")]
    _id: i64,
}

/// What GitHub last said of the quota of its REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub limit: i64,
    pub remaining: i64,
    pub reset: DateTime<Utc>,
}

/// What all requests to one GitHub share.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub addresses: Addresses,
    /// The pause before the first repetition; each further one is four times as long.
    pub backoff: Duration,
    pub quota: Mutex<Option<Quota>>,
}

impl Surroundings {
    fn observe(&self, ask: &Ask, status: Option<StatusCode>, headers: &HeaderMap, started: Instant) {
        let elapsed = started.elapsed();
        let class = status.map_or_else(|| "none".to_owned(), |status| format!("{}xx", status.as_u16() / 100));
        counter!("offshoot_github_requests_total", "status" => class).increment(1);
        histogram!("offshoot_github_request_seconds").record(elapsed.as_secs_f64());
        debug!(
            method = %ask.method,
            path = ask.template,
            status = status.map(|status| status.as_u16()),
            milliseconds = elapsed.as_millis(),
            "asked GitHub"
        );
        let figure = |name| error::number(headers, name);
        let resource = error::text(headers, "x-ratelimit-resource").unwrap_or("core");
        if let (Some(limit), Some(remaining), Some(reset), "core") =
            (figure("x-ratelimit-limit"), figure("x-ratelimit-remaining"), error::reset(headers), resource)
        {
            let mut quota = self.quota.lock().expect("nobody panics while holding the quota");
            *quota = Some(Quota { limit, remaining, reset });
        }
    }
}

/// Asks GitHub with one set of credentials.
#[derive(Debug)]
pub(super) struct Caller {
    octocrab: Octocrab,
    /// Held while an installation's token is made, so that requests at the same time share one; none for other credentials.
    renewal: Option<tokio::sync::Mutex<()>>,
    surroundings: Arc<Surroundings>,
}

/// How often a request is sent at most.
const ATTEMPTS: u32 = 3;
/// An installation's token lives an hour; it is renewed when less than this is left.
const RENEWAL: TimeDelta = TimeDelta::minutes(5);
/// The longest body that is read: GitHub's largest are listings of 7 MB and blobs, which base64 makes a third longer.
const BODY_LIMIT: usize = 140 << 20;

/// A request that came to nothing, and whether it may be sent again.
struct Failed {
    error: GithubError,
    again: bool,
}

impl Caller {
    pub fn new(octocrab: Octocrab, surroundings: Arc<Surroundings>) -> Self {
        Self { octocrab, renewal: None, surroundings }
    }

    /// The same App as one of its installations.
    pub fn of_installation(&self, id: i64) -> Result<Self, GithubError> {
        let id =
            u64::try_from(id).map_err(|_| GithubError::Setting(format!("{id} is no installation's id")))?;
        let unfit =
            |_| GithubError::Setting("an installation can be asked only with an App's key".to_owned());
        let octocrab = self.octocrab.installation(id.into()).map_err(unfit)?;
        Ok(Self {
            octocrab,
            renewal: Some(tokio::sync::Mutex::new(())),
            surroundings: self.surroundings.clone(),
        })
    }

    /// Sends a request, up to three times where GitHub is in trouble and a repetition does no harm.
    pub async fn send(&self, ask: Ask) -> Result<Answer, GithubError> {
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(&ask).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if !failed.again || attempt == ATTEMPTS {
                return Err(failed.error);
            }
            let pause = self.surroundings.backoff * 4_u32.pow(attempt - 1);
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
            attempt += 1;
        }
    }

    /// Sends a request and those for the pages after the first, and gives them to `take` until that wants no more.
    pub async fn pages<T: DeserializeOwned>(
        &self,
        ask: Ask,
        mut take: impl FnMut(T) -> Result<bool, GithubError>,
    ) -> Result<(), GithubError> {
        let template = ask.template;
        let mut next = Some(ask);
        while let Some(ask) = next.take() {
            let answer = self.send(ask).await?;
            if !take(answer.json()?)? {
                break;
            }
            let path = answer.next().and_then(|address| self.surroundings.addresses.path_of(address));
            next = path.map(|path| Ask { path, ..Ask::get(template, &[]) });
        }
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "github", skip_all, fields(method = %ask.method, path = ask.template))]
    async fn attempt(&self, ask: &Ask) -> Result<Answer, Failed> {
        self.renew().await?;
        let started = Instant::now();
        let (status, headers, body) = match self.exchange(ask).await {
            Ok(answer) => answer,
            Err(error) => {
                self.surroundings.observe(ask, None, &HeaderMap::new(), started);
                let unsent = is_unsent(&error);
                let error = understood(&ask.name(), &error);
                let again = (ask.repeatable || unsent) && matches!(error, GithubError::Unavailable { .. });
                return Err(Failed { error, again });
            }
        };
        self.surroundings.observe(ask, Some(status), &headers, started);
        if status.is_success() {
            return Ok(Answer { asked: ask.name(), headers, body });
        }
        let error = classify(&ask.name(), status, &headers, &Complaint::read(&body), Utc::now());
        let again = ask.repeatable && matches!(error, GithubError::Unavailable { .. });
        Err(Failed { error, again })
    }

    async fn exchange(&self, ask: &Ask) -> Result<(StatusCode, HeaderMap, Bytes), BoxError> {
        let request = http::Request::builder().method(ask.method.clone()).uri(&ask.path);
        let request = self.octocrab.build_request(request, ask.body.as_ref())?;
        let (parts, body) = self.octocrab.execute(request).await?.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await?.to_bytes();
        Ok((parts.status, parts.headers, body))
    }

    /// Makes a new installation's token where there is none or it ends soon. octocrab keeps the token and would make one
    /// too, but one for each request that finds none.
    async fn renew(&self) -> Result<(), Failed> {
        let Some(renewal) = &self.renewal else { return Ok(()) };
        let _one_at_a_time = renewal.lock().await;
        let renewed = self.octocrab.installation_token_with_buffer(RENEWAL).await;
        renewed.map(drop).map_err(|error| {
            let error = understood("POST /app/installations/{installation}/access_tokens", &error.into());
            Failed { again: matches!(error, GithubError::Unavailable { .. }), error }
        })
    }
}

/// The errors below an error, itself first.
fn causes(error: &BoxError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(&**error as &(dyn Error + 'static)), |error| (*error).source())
}

fn is_unsent(error: &BoxError) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_connect)
}

/// What an error on the way to an answer means. octocrab wraps what happened several times; only the innermost cause
/// says it, and the rest is backtraces.
fn understood(asked: &str, error: &BoxError) -> GithubError {
    if let Some(octocrab::Error::GitHub { source, .. }) = error.downcast_ref() {
        let complaint =
            Complaint { message: source.message.clone(), errors: source.errors.clone().unwrap_or_default() };
        let none = HeaderMap::new();
        return classify(
            asked,
            source.status_code,
            source.headers.as_ref().unwrap_or(&none),
            &complaint,
            Utc::now(),
        );
    }
    if let Some(octocrab::Error::JWT { source, .. }) = error.downcast_ref() {
        return GithubError::Setting(format!("the GitHub App's private key cannot sign: {source}"));
    }
    let timed_out = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
    };
    if causes(error).any(timed_out) {
        return GithubError::unavailable(asked, "it did not answer in time");
    }
    if causes(error).any(|cause| cause.is::<LengthLimitError>()) {
        return GithubError::unavailable(
            asked,
            format!("its answer is longer than {} MiB", BODY_LIMIT >> 20),
        );
    }
    let innermost = causes(error).last().map_or_else(String::new, ToString::to_string);
    GithubError::unavailable(asked, innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_s() {
        let answer = |link: &str| Answer {
            asked: String::new(),
            headers: HeaderMap::from_iter([(LINK, link.parse().unwrap())]),
            body: Bytes::new(),
        };
        let both = answer(r#"<https://x/a?page=1>; rel="prev", <https://x/a?page=3>; rel="next""#);
        assert_eq!(both.next(), Some("https://x/a?page=3"));
        assert_eq!(answer(r#"<https://x/a?page=1>; rel="first""#).next(), None);
    }
}
