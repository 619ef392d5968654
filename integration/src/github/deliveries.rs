//! Webhook deliveries: sent one after the other by a task of their own, recorded, and sent again on demand.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::{Notify, watch};

/// GitHub gives a receiver this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether, and how rightly, a delivery is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Right,
    Wrong,
    Missing,
}

/// One time a delivery was sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub headers: HeaderMap,
    /// The receiver's status, or why there is none.
    pub answer: Result<u16, String>,
    pub answer_body: String,
}

/// A webhook delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The same at every redelivery.
    pub guid: String,
    pub event: String,
    /// The payload's `action`; none for `push` and `ping`.
    pub action: Option<String>,
    /// The body, byte for byte as it is sent and signed.
    pub body: Bytes,
    pub attempts: Vec<Attempt>,
}

impl Delivery {
    /// The body as JSON.
    pub fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a payload is JSON")
    }

    /// The status of the last attempt that was answered.
    pub fn status(&self) -> Option<u16> {
        self.attempts.iter().rev().find_map(|attempt| attempt.answer.clone().ok())
    }
}

#[derive(Debug)]
struct Outbox {
    url: Option<String>,
    secret: String,
    log: Vec<Delivery>,
    /// Places in the log.
    queue: VecDeque<(usize, Signing)>,
    held: bool,
}

#[derive(Debug)]
pub(crate) struct Deliveries {
    outbox: Mutex<Outbox>,
    wake: Notify,
    /// How many are waiting or on their way.
    pending: watch::Sender<usize>,
}

impl Deliveries {
    pub(crate) fn new(url: Option<String>, secret: String) -> Self {
        let outbox = Outbox { url, secret, log: Vec::new(), queue: VecDeque::new(), held: false };
        Self { outbox: Mutex::new(outbox), wake: Notify::new(), pending: watch::Sender::new(0) }
    }

    pub(crate) fn set_url(&self, url: Option<String>) {
        self.outbox().url = url;
        self.wake.notify_one();
    }

    /// Records a delivery and, if there is a receiver, queues it. Returns its GUID.
    pub(crate) fn emit(&self, event: &str, payload: &Value) -> String {
        let guid = uuid::Uuid::new_v4().to_string();
        let delivery = Delivery {
            guid: guid.clone(),
            event: event.to_owned(),
            action: payload["action"].as_str().map(str::to_owned),
            body: Bytes::from(payload.to_string()),
            attempts: Vec::new(),
        };
        let mut outbox = self.outbox();
        outbox.log.push(delivery);
        if outbox.url.is_some() {
            let index = outbox.log.len() - 1;
            outbox.queue.push_back((index, Signing::Right));
            self.pending.send_modify(|pending| *pending += 1);
        }
        drop(outbox);
        self.wake.notify_one();
        guid
    }

    pub(crate) fn log(&self) -> Vec<Delivery> {
        self.outbox().log.clone()
    }

    /// Records an attempt that was made by somebody else.
    pub(crate) fn note(&self, guid: &str, attempt: Attempt) -> Result<()> {
        let mut outbox = self.outbox();
        let delivery = outbox.log.iter_mut().find(|delivery| delivery.guid == guid);
        delivery.with_context(|| format!("there was no delivery {guid}"))?.attempts.push(attempt);
        Ok(())
    }

    /// Queues a recorded delivery once more.
    pub(crate) fn send_again(&self, guid: &str, signing: Signing) -> Result<()> {
        let mut outbox = self.outbox();
        let index = outbox.log.iter().position(|d| d.guid == guid);
        let index = index.with_context(|| format!("there was no delivery {guid}"))?;
        if outbox.url.is_none() {
            bail!("there is no webhook address to send delivery {guid} to: set one");
        }
        outbox.queue.push_back((index, signing));
        self.pending.send_modify(|pending| *pending += 1);
        drop(outbox);
        self.wake.notify_one();
        Ok(())
    }

    pub(crate) fn hold(&self) {
        self.outbox().held = true;
    }

    /// Lets go of what is held, rearranged: `arrange` gets the GUIDs in order and returns those to send, in the
    /// order to send them. A GUID left out is dropped; one named twice is sent twice.
    pub(crate) fn release(&self, arrange: impl FnOnce(Vec<String>) -> Vec<String>) -> Result<()> {
        let mut outbox = self.outbox();
        let queued: Vec<_> = outbox.queue.iter().copied().collect();
        let guid = |(index, _): &(usize, Signing)| outbox.log[*index].guid.clone();
        let guids: Vec<String> = queued.iter().map(guid).collect();
        let mut rearranged = VecDeque::new();
        for wanted in arrange(guids.clone()) {
            let at = guids.iter().position(|guid| *guid == wanted);
            rearranged.push_back(queued[at.with_context(|| format!("delivery {wanted} is not held"))?]);
        }
        let (before, after) = (queued.len(), rearranged.len());
        outbox.queue = rearranged;
        outbox.held = false;
        self.pending.send_modify(|pending| *pending = *pending - before + after);
        drop(outbox);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits until nothing is queued or on its way; an error after `limit`, or at once if deliveries are held.
    pub(crate) async fn settled(&self, limit: Duration) -> Result<()> {
        if self.outbox().held {
            bail!("deliveries are held: release them before waiting for them");
        }
        let mut pending = self.pending.subscribe();
        let waited = tokio::time::timeout(limit, pending.wait_for(|pending| *pending == 0)).await;
        let left = *self.pending.borrow();
        waited.with_context(|| format!("{left} deliveries were still on their way after {limit:?}"))??;
        Ok(())
    }

    /// Sends what is queued, in order, for ever.
    pub(crate) async fn send_all(&self) {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS files of its own can be built");
        loop {
            let Some((index, request)) = self.take(&client) else {
                self.wake.notified().await;
                continue;
            };
            let headers = request.headers().clone();
            let (answer, answer_body) = match client.execute(request).await {
                Ok(response) => (Ok(response.status().as_u16()), response.text().await.unwrap_or_default()),
                Err(error) => (Err(format!("{error:?}")), String::new()),
            };
            self.outbox().log[index].attempts.push(Attempt { headers, answer, answer_body });
            self.pending.send_modify(|pending| *pending -= 1);
        }
    }

    fn take(&self, client: &reqwest::Client) -> Option<(usize, reqwest::Request)> {
        let mut outbox = self.outbox();
        if outbox.held {
            return None;
        }
        // Without an address what is queued stays queued.
        let url = outbox.url.clone()?;
        let (index, signing) = outbox.queue.pop_front()?;
        let delivery = &outbox.log[index];
        let mut request = client
            .post(url)
            .header("Content-Type", "application/json")
            .header("User-Agent", "GitHub-Hookshot/0ffb007")
            .header("X-GitHub-Event", &delivery.event)
            .header("X-GitHub-Delivery", &delivery.guid)
            .header("X-GitHub-Hook-ID", "1")
            .header("X-GitHub-Hook-Installation-Target-Type", "integration");
        let secret = match signing {
            Signing::Right => Some(outbox.secret.clone()),
            Signing::Wrong => Some(format!("not {}", outbox.secret)),
            Signing::Missing => None,
        };
        if let Some(secret) = secret {
            request = request.header("X-Hub-Signature-256", signature(&secret, &delivery.body));
        }
        let request = request.body(delivery.body.clone()).build().expect("a webhook address was given");
        Some((index, request))
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of `X-Hub-Signature-256` for this body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
