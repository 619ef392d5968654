//! How often one token, one address and one guesser may ask, and how much of a request is waited for.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sha2::{Digest as _, Sha256};

use super::App;
use super::identity::Client;
use super::problem::Problem;
use crate::secret::Secret;

/// What the API and the pages take: a token's name, an expiry.
const BODY_SIZE: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(20);
/// Above the longest wait for a branch (300 s).
const WHOLE_TIME: Duration = Duration::from_secs(330);
/// The keys that are remembered before those at rest are forgotten.
const REMEMBERED: usize = 10_000;

/// A first burst, then so many a second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    a_second: f64,
    burst: u32,
}

/// An address may be that of a whole company's proxy.
const ADDRESS: Rate = Rate { a_second: 200.0, burst: 2_000 };
/// Above what can be stored, and far above what GitHub sends for the busiest organisation: what it sends is not sent again by itself.
const DELIVERIES: Rate = Rate { a_second: 2_000.0, burst: 10_000 };
const TOKEN: Rate = Rate { a_second: 100.0, burst: 1_000 };
/// Tokens cannot be guessed; this keeps trying cheap for us.
const WRONG_TOKENS: Rate = Rate { a_second: 1.0, burst: 30 };
const LOGINS: Rate = Rate { a_second: 1.0 / 30.0, burst: 10 };

/// The counts of everybody who asks.
pub struct Limits {
    addresses: Limit<IpAddr>,
    deliveries: Limit<IpAddr>,
    tokens: Limit<[u8; 32]>,
    wrong_tokens: Limit<IpAddr>,
    logins: Limit<IpAddr>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: Limit::new(ADDRESS),
            deliveries: Limit::new(DELIVERIES),
            tokens: Limit::new(TOKEN),
            wrong_tokens: Limit::new(WRONG_TOKENS),
            logins: Limit::new(LOGINS),
        }
    }
}

impl Limits {
    /// Counts a call with a token that is valid.
    pub(super) fn token(&self, token: &Secret) -> Result<(), Problem> {
        self.tokens.count(&Sha256::digest(token.expose()).into())
    }

    /// Counts a call with a token that is not.
    pub(super) fn wrong_token(&self, client: Client) -> Result<(), Problem> {
        self.wrong_tokens.count(&site(client.address))
    }

    /// Counts an attempt to log in, whether it succeeds or not.
    pub(super) fn login(&self, client: Client) -> Result<(), Problem> {
        self.logins.count(&site(client.address))
    }
}

struct Limit<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.burst).expect("a rate has a burst");
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate.a_second))
            .expect("a rate is above none")
            .allow_burst(burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    fn count(&self, key: &K) -> Result<(), Problem> {
        if self.limiter.len() > REMEMBERED {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| {
            metrics::counter!("offshoot_throttled_total").increment(1);
            let wait = until.wait_time_from(self.clock.now());
            Problem::too_many(wait.as_secs() + 1)
        })
    }
}

/// An address, or the network that one customer gets of IPv6's.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Refuses an address that asks too often. GitHub's deliveries are counted for themselves.
pub(super) async fn throttle(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Client>().map(|client| site(client.address));
    let limit = if is_delivery(&request) { &limits.deliveries } else { &limits.addresses };
    match client.map_or(Ok(()), |client| limit.count(&client)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Reads the body before anything is done, as far as it is no delivery, which has limits of its own; and ends what takes too long.
pub(super) async fn bound(request: Request, next: Next) -> Response {
    let whole = async {
        if is_delivery(&request) {
            return Ok(next.run(request).await);
        }
        let (parts, body) = request.into_parts();
        let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_SIZE).collect());
        let body = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::too_large(BODY_SIZE)),
            Ok(Err(_)) => return Err(Problem::bad_request("The body did not arrive whole.")),
            Err(_) => return Err(Problem::timed_out(BODY_TIME)),
        };
        Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
    };
    match tokio::time::timeout(WHOLE_TIME, whole).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            tracing::error!("a request took longer than any may");
            Problem::internal().into_response()
        }
    }
}

fn is_delivery(request: &Request) -> bool {
    request.uri().path() == "/webhooks/github"
}

impl axum::extract::FromRef<App> for Arc<Limits> {
    fn from_ref(app: &App) -> Self {
        app.limits.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_no_more_with_the_time_to_wait() {
        let limit = Limit::new(Rate { a_second: 0.1, burst: 3 });
        for _ in 0..3 {
            assert!(limit.count(&"ann").is_ok());
        }
        let refused = limit.count(&"ann").unwrap_err().into_response();
        assert_eq!(refused.status(), 429);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=11).contains(&wait), "{wait}");
        assert!(limit.count(&"bob").is_ok(), "another is not throttled");
    }

    #[test]
    fn a_customer_s_addresses_count_together() {
        let at = |text: &str| site(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_ne!(at("203.0.113.1"), at("203.0.113.2"));
    }
}
