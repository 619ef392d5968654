//! A TCP proxy that breaks on demand: between the service and its PostgreSQL.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to bytes that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Connections stay and nothing passes, in either direction.
    Stalled,
}

/// Listens on a port of its own. Dropping it ends every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    switch: Arc<Switch>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Switch {
    target: SocketAddr,
    flow: watch::Sender<Flow>,
    /// Counts how often everything was severed.
    severed: watch::Sender<usize>,
    /// The next message of a client's that contains this is its connection's last.
    fatal: Mutex<Option<String>>,
}

impl Proxy {
    /// Starts one in front of a server.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a proxy to a free port")?;
        let address = listener.local_addr()?;
        let switch = Arc::new(Switch {
            target,
            flow: watch::Sender::new(Flow::Open),
            severed: watch::Sender::new(0),
            fatal: Mutex::default(),
        });
        let listener = tokio::spawn(accept(listener, Arc::clone(&switch)));
        Ok(Self { address, switch, listener })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, whatever is on its way.
    pub fn sever(&self) {
        self.switch.severed.send_modify(|count| *count += 1);
    }

    /// Lets the next statement that contains this text reach the server, and its answer reach nobody.
    pub fn sever_after(&self, text: &str) {
        *self.switch.fatal() = Some(text.to_owned());
    }

    /// Holds everything that arrives until [`Proxy::flow`]; connections stay.
    pub fn stall(&self) {
        self.switch.flow.send_replace(Flow::Stalled);
    }

    /// Lets everything pass again, and forgets the text that was to be the last.
    pub fn flow(&self) {
        *self.switch.fatal() = None;
        self.switch.flow.send_replace(Flow::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.sever();
    }
}

impl Switch {
    fn fatal(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether these bytes are the last of their connection's; then nothing more is waited for.
    fn ends(&self, bytes: &[u8]) -> bool {
        let mut fatal = self.fatal();
        let is_there = |text: &String| bytes.windows(text.len().max(1)).any(|part| part == text.as_bytes());
        fatal.take_if(|text| is_there(text)).is_some()
    }

    async fn open(&self) {
        let mut flow = self.flow.subscribe();
        // The sender lives as long as this does.
        _ = flow.wait_for(|flow| *flow == Flow::Open).await;
    }
}

async fn accept(listener: TcpListener, switch: Arc<Switch>) {
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(connection(client, Arc::clone(&switch)));
        }
    }
}

/// One connection, until a side ends it or it is severed.
async fn connection(client: TcpStream, switch: Arc<Switch>) {
    let mut severed = switch.severed.subscribe();
    let joined = async {
        switch.open().await;
        let server = TcpStream::connect(switch.target).await?;
        // A statement and its answer are small: waiting for more would only make them slow.
        _ = (client.set_nodelay(true)?, server.set_nodelay(true)?);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            ended = pump(from_client, to_server, &switch, |bytes| switch.ends(bytes)) => ended,
            ended = pump(from_server, to_client, &switch, |_| false) => ended,
        }
    };
    tokio::select! {
        // However it ended, both sides learn of it when their sockets are dropped here.
        _ended = joined => {}
        _ = severed.changed() => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    switch: &Switch,
    is_last: impl Fn(&[u8]) -> bool,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        switch.open().await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        if is_last(&buffer[..count]) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Answers every message with itself, and tells of each.
    async fn echo() -> Result<(SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (heard, told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let heard = heard.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        _ = heard.send(buffer[..count].to_vec());
                        _ = stream.write_all(&buffer[..count]).await;
                    }
                });
            }
        });
        Ok((address, told))
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; 64];
        if stream.write_all(text).await.is_err() {
            return Vec::new();
        }
        let count = stream.read(&mut answer).await.unwrap_or_default();
        answer[..count].to_vec()
    }

    #[tokio::test]
    async fn it_passes_stalls_and_severs() -> Result<()> {
        let (target, mut told) = echo().await?;
        let proxy = Proxy::start(target).await?;
        let mut stream = TcpStream::connect(proxy.address()).await?;
        assert_eq!(say(&mut stream, b"one").await, b"one");
        proxy.stall();
        assert!(timeout(Duration::from_millis(50), say(&mut stream, b"two")).await.is_err());
        proxy.flow();
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"two");

        proxy.sever_after("DATABASE");
        assert_eq!(say(&mut stream, b"CREATE DATABASE x").await, b"", "the answer is lost");
        let heard = [told.recv().await, told.recv().await, told.recv().await];
        assert_eq!(heard[2].as_deref(), Some(b"CREATE DATABASE x".as_slice()), "it was carried out");

        let mut stream = TcpStream::connect(proxy.address()).await?;
        assert_eq!(say(&mut stream, b"again").await, b"again");
        proxy.sever();
        assert_eq!(say(&mut stream, b"gone").await, b"");
        Ok(())
    }
}
