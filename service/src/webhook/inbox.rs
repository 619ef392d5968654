//! Deliveries on their way to the disk. Those that come while others are being stored are stored together after them: one statement, and one wait
//! for the disk. So a flood costs the database less for each delivery than a trickle does, and one of its sessions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::payload::Received;
use super::problem::Problem;
use crate::store::deliveries::{self, Arrival, NewDelivery, Receipt};
use crate::store::{Listener, Store, StoreError};
use crate::telemetry::traces;

/// Deliveries of one statement, and about how many bytes: one that is larger goes alone.
const TOGETHER: usize = 16;
const TOGETHER_BYTES: usize = 1024 * 1024;
/// GitHub does not deliver twice by itself, so a session that was just severed must not cost a delivery.
const TRIES: u32 = 3;
/// Where the control database hangs, those that wait for their turn are told so.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where deliveries are handed in. The task behind it ends when the last of these is dropped and all is stored.
#[derive(Debug, Clone)]
pub(super) struct Inbox(mpsc::Sender<Parcel>);

/// A delivery whose signature is right, and who waits for it to be stored.
#[derive(Debug)]
struct Parcel {
    id: String,
    received: Received,
    payload: Bytes,
    /// The request's, as a W3C `traceparent`.
    trace: Option<String>,
    stored: oneshot::Sender<Result<Receipt, Problem>>,
}

impl Inbox {
    pub(super) fn open(store: Store, listener: Arc<Listener>) -> Self {
        let (inbox, parcels) = mpsc::channel(TOGETHER);
        tokio::spawn(Clerk { store, listener }.work(parcels));
        Self(inbox)
    }

    /// Returns when the delivery is durable. It may be stored although whoever sent it was told otherwise: then it is a repetition the next time.
    pub(super) async fn store(
        &self,
        id: &str,
        received: Received,
        payload: Bytes,
    ) -> Result<Receipt, Problem> {
        let (stored, answer) = oneshot::channel();
        let parcel = Parcel { id: id.to_owned(), received, payload, trace: traces::current(), stored };
        let handed_in = async {
            // Neither fails unless the task is gone.
            self.0.send(parcel).await.map_err(|_| Problem::Internal)?;
            answer.await.map_err(|_| Problem::Internal)?
        };
        timeout(PATIENCE, handed_in).await.unwrap_or(Err(Problem::Unavailable))
    }
}

#[derive(Debug)]
struct Clerk {
    store: Store,
    listener: Arc<Listener>,
}

impl Clerk {
    async fn work(self, mut parcels: mpsc::Receiver<Parcel>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(parcel) => parcel,
                None => match parcels.recv().await {
                    Some(parcel) => parcel,
                    None => return,
                },
            };
            let mut bytes = first.payload.len();
            let mut together = vec![first];
            while together.len() < TOGETHER
                && let Ok(parcel) = parcels.try_recv()
            {
                bytes += parcel.payload.len();
                if bytes > TOGETHER_BYTES {
                    next = Some(parcel);
                    break;
                }
                together.push(parcel);
            }
            // Whoever waits for those is told of a panic by their senders' end; the next ones are stored all the same.
            _ = AssertUnwindSafe(self.store_all(together)).catch_unwind().await;
        }
    }

    async fn store_all(&self, together: Vec<Parcel>) {
        let stored = match self.try_to_store(&together).await {
            Err(error) if !error.is_transient() && together.len() > 1 => {
                // One of them may be to blame; the others do not suffer for it.
                let mut stored = Vec::with_capacity(together.len());
                for parcel in &together {
                    let alone = self.try_to_store(std::slice::from_ref(parcel)).await;
                    stored.push(alone.map(|receipts| receipts[0]));
                }
                stored
            }
            Err(error) => {
                let failed = problem(&together, error);
                return together.into_iter().for_each(|parcel| parcel.tell(Err(failed.clone())));
            }
            Ok(receipts) => receipts.into_iter().map(Ok).collect(),
        };
        for (parcel, stored) in together.into_iter().zip(stored) {
            let stored = stored.map_err(|error| problem(std::slice::from_ref(&parcel), error));
            parcel.tell(stored);
        }
    }

    async fn try_to_store(&self, parcels: &[Parcel]) -> Result<Vec<Receipt>, StoreError> {
        let mut tries_left = TRIES;
        loop {
            tries_left -= 1;
            match self.store_once(parcels).await {
                Err(error @ StoreError::Database { .. }) if error.is_transient() && tries_left > 0 => {}
                other => return other,
            }
        }
    }

    async fn store_once(&self, parcels: &[Parcel]) -> Result<Vec<Receipt>, StoreError> {
        let names: Vec<Option<String>> = parcels.iter().map(Parcel::repository).collect();
        let arrivals: Vec<Arrival<'_>> =
            parcels.iter().zip(&names).map(|(parcel, name)| parcel.arrival(name.as_deref())).collect();
        let client = self.store.client().await?;
        let receipts = deliveries::receive(&client, &arrivals).await?;
        for job in parcels.iter().filter_map(|parcel| parcel.received.job.as_ref()) {
            self.listener.wake(job);
        }
        Ok(receipts)
    }
}

impl Parcel {
    fn repository(&self) -> Option<String> {
        self.received.repository.as_ref().map(|facts| facts.name.to_string())
    }

    fn arrival<'a>(&'a self, repository: Option<&'a str>) -> Arrival<'a> {
        let delivery = NewDelivery {
            id: &self.id,
            event: &self.received.event,
            action: self.received.action.as_deref(),
            subject: self.received.subject.as_deref(),
            repository,
            payload: &self.payload,
            outcome: self.received.outcome.as_deref(),
            trace: self.trace.as_deref(),
        };
        Arrival { delivery, job: self.received.job.as_ref() }
    }

    fn tell(self, stored: Result<Receipt, Problem>) {
        // Whoever sent it may have gone.
        _ = self.stored.send(stored);
    }
}

/// What those are told whose deliveries could not be stored; why, the log says.
fn problem(parcels: &[Parcel], error: StoreError) -> Problem {
    let transient = error.is_transient();
    let ids: Vec<&str> = parcels.iter().map(|parcel| parcel.id.as_str()).collect();
    let error = anyhow::Error::from(error);
    tracing::error!(deliveries = ids.join(" "), error = format!("{error:#}"), "could not store deliveries");
    if transient { Problem::Unavailable } else { Problem::Internal }
}
