//! What only a simulation can do: faults, expiry, limits, and the webhooks' fate.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::json;

use crate::github::SimulatedGitHub;
use crate::github::deliveries::{Attempt, Delivery, Signing};
use crate::github::faults::{Fault, Matcher};
use crate::github::state::now;

impl SimulatedGitHub {
    /// Where webhooks are sent from now on; none: they are only recorded.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.hub.deliveries.set_url(url);
    }

    /// Sends the `ping` that a new webhook starts with. Returns the delivery's GUID.
    pub fn ping(&self) -> String {
        let hook = json!({
            "type": "App",
            "id": 1,
            "name": "web",
            "active": true,
            "events": ["pull_request", "push"],
            "config": { "content_type": "json", "insecure_ssl": "0", "secret": "********", "url": "https://offshoot.example/webhooks/github" },
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        });
        self.hub
            .deliveries
            .emit("ping", &json!({ "zen": "Keep it logically awesome.", "hook_id": 1, "hook": hook }))
    }

    /// Every delivery so far, in the order of the events.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.hub.deliveries.log()
    }

    /// Sends a delivery again with the same GUID, as GitHub's "Redeliver" does.
    pub fn redeliver(&self, guid: &str) -> Result<()> {
        self.hub.deliveries.send_again(guid, Signing::Right)
    }

    /// Sends a delivery's body again, signed wrongly or not at all.
    pub fn forge(&self, guid: &str, signing: Signing) -> Result<()> {
        self.hub.deliveries.send_again(guid, signing)
    }

    /// Notes that somebody else than this GitHub's own sender carried a delivery to its receiver.
    pub fn note_attempt(&self, guid: &str, attempt: Attempt) -> Result<()> {
        self.hub.deliveries.note(guid, attempt)
    }

    /// Keeps deliveries back until they are released.
    pub fn hold_deliveries(&self) {
        self.hub.deliveries.hold();
    }

    /// Lets go of what was kept back, in the order of the events.
    pub fn release_deliveries(&self) -> Result<()> {
        self.hub.deliveries.release(|guids| guids)
    }

    /// Lets go of what was kept back as `arrange` says: it gets the GUIDs in the order of the events and returns
    /// those to send in the order to send them. One left out is lost, one named twice arrives twice.
    pub fn release_arranged(&self, arrange: impl FnOnce(Vec<String>) -> Vec<String>) -> Result<()> {
        self.hub.deliveries.release(arrange)
    }

    /// Waits until every delivery was answered or gave up; an error after `limit`.
    pub async fn wait_for_deliveries(&self, limit: Duration) -> Result<()> {
        self.hub.deliveries.settled(limit).await
    }

    /// Lets matching requests meet a fault: so many of them, or with none all until faults are cleared.
    pub fn fail(&self, matcher: Matcher, fault: Fault, times: Option<usize>) {
        self.hub.faults.set(matcher, fault, times);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.hub.faults.clear();
    }

    /// Lets every installation token given out so far expire.
    pub fn expire_tokens(&self) {
        for token in self.hub.state().tokens.values_mut() {
            token.expires_at = now();
        }
    }

    /// Sets how many requests are allowed and left; the count starts again after `reset_in`.
    pub fn set_rate_limit(&self, limit: u64, left: u64, reset_in: Duration) {
        let rate = &mut self.hub.state().rate_limit;
        (rate.limit, rate.used) = (limit, limit.saturating_sub(left));
        rate.reset = now() + TimeDelta::seconds(i64::try_from(reset_in.as_secs()).unwrap_or(i64::MAX / 2));
    }
}
