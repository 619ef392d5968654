//! The sockets below the routes: how many there are, how long one may take to say what it wants, and how all end.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Below the 1,024 open files that many systems grant a process, which also holds its sessions with PostgreSQL.
const CONNECTIONS: usize = 800;
/// So that one address alone cannot take all of them.
const CONNECTIONS_OF_ONE: usize = 400;
/// From the connection to the end of its first request's headers.
const FIRST_HEADERS: Duration = Duration::from_secs(10);
/// The same for those that follow, and so how long an idle connection is kept: longer than load balancers keep theirs (60 s), which
/// would otherwise send a delivery into a connection that is just being closed.
const HEADERS: Duration = Duration::from_secs(75);
const HEADERS_SIZE: usize = 64 * 1024;
/// What was sent has to be taken in so long; it ends those that read nothing and those that are gone.
const UNREAD: Duration = Duration::from_secs(30);
/// After asking all to end: what waits for a branch answers at once, so this is for what is at work.
const GRACE: Duration = Duration::from_secs(3);
/// Where the system has no room for another socket.
const PAUSE: Duration = Duration::from_millis(100);

/// The address at the other end of the connection, which may be a proxy's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connected(pub(super) IpAddr);

/// Serves until it is told to stop; then takes nothing new, and lets what is under way end.
pub async fn serve(socket: TcpListener, router: Router, stop: CancellationToken) {
    let room = Room::default();
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&socket, &room) => accepted,
        };
        if let Some((stream, address, place)) = accepted {
            let connection = Connection { address, router: router.clone(), stop: stop.clone() };
            connections.spawn(async move {
                connection.run(stream).await;
                drop(place);
            });
        }
    }
    drop(socket);
    connections.close();
    if timeout(GRACE, connections.wait()).await.is_err() {
        tracing::info!(connections = connections.len(), "cut the connections that did not end in time");
    }
}

/// The next connection; none where there is no room for it, or it is gone already.
async fn accept(socket: &TcpListener, room: &Room) -> Option<(TcpStream, IpAddr, Place)> {
    // Those that wait for a place wait in the system's queue.
    let permit = room.all.clone().acquire_owned().await.expect("the semaphore is never closed");
    match socket.accept().await {
        Ok((stream, SocketAddr::V6(address))) => room.enter(stream, address.ip().to_canonical(), permit),
        Ok((stream, address)) => room.enter(stream, address.ip(), permit),
        Err(error) => {
            tracing::debug!(%error, "a connection could not be accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// How many connections there are, in all and for each address.
struct Room {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Default for Room {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS)), by_address: Arc::default() }
    }
}

impl Room {
    fn enter(
        &self,
        stream: TcpStream,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
    ) -> Option<(TcpStream, IpAddr, Place)> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= CONNECTIONS_OF_ONE {
            metrics::counter!("offshoot_connections_refused_total").increment(1);
            return None;
        }
        *count += 1;
        drop(by_address);
        Some((stream, address, Place { address, by_address: self.by_address.clone(), _permit: permit }))
    }
}

/// A connection's place, given back when it is dropped.
struct Place {
    address: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

struct Connection {
    address: IpAddr,
    router: Router,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Neither is worth a connection where the system has it not.
        _ = stream.set_nodelay(true);
        _ = setsockopt(&stream, sockopt::TcpUserTimeout, &(UNREAD.as_millis() as u32));
        let asked = CancellationToken::new();
        let (router, connected, begun) = (self.router, Connected(self.address), asked.clone());
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            begun.cancel();
            request.extensions_mut().insert(connected);
            router.clone().oneshot(request.map(Body::new))
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADERS_SIZE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let silent = async {
            if timeout(FIRST_HEADERS, asked.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // What went wrong is the other end's: it went away, or spoke no HTTP.
            _ = serving.as_mut() => return,
            () = silent => return,
            () = self.stop.cancelled() => {}
        }
        serving.as_mut().graceful_shutdown();
        _ = serving.await;
    }
}
