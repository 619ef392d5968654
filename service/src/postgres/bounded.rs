//! Sessions in which strangers' SQL runs. An answer of the server's is held in memory until it is whole, and one value can be a
//! gigabyte: so no message is taken that is larger than [`LARGEST`]. In its place the client gets an error of the server's kind,
//! and the session ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::Client;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_util::io::poll_read_buf;

use super::{
    CONNECT_TIMEOUT, ConnectError, DEFAULT_PORT, Endpoint, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL,
    KEEPALIVE_RETRIES, drive,
};

/// Above all that a migration has to say for itself.
const LARGEST: usize = 16 * 1024 * 1024;
/// What the client is told in place of one that is larger.
pub const TOO_LARGE: &str = "an answer of the server is larger than the 16 MB that are taken of it";
/// `program_limit_exceeded`.
const SQLSTATE: &str = "54000";
/// A message's type, and the length of all but that.
const HEADER: usize = 5;
/// What is read from the server at once.
const CHUNK: usize = 8 * 1024;

/// The message that ends an answer, and what it says of a session that is in no transaction.
const READY: u8 = b'Z';
const IDLE: u8 = b'I';
/// In one that has failed, and that the client has to end.
const FAILED: u8 = b'E';

/// A session, and what the server last said of its transaction.
#[derive(Debug)]
pub struct Watched {
    pub client: Client,
    pub transaction: TransactionStatus,
}

/// What the server last said of a session's transaction. The driver does not pass it on.
#[derive(Debug, Clone, Default)]
pub struct TransactionStatus(Arc<AtomicU8>);

impl TransactionStatus {
    /// Whether the last answer that was read left no transaction open. False where nothing is known.
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == IDLE
    }

    /// Whether it left one open that has failed.
    pub fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FAILED
    }
}

impl Endpoint {
    /// A session of its own, in which the server cannot say more at a time than is good for us. Where the URL names several servers, the
    /// driver itself chooses among them and nothing is bounded.
    pub async fn connect_bounded(&self) -> Result<Watched, ConnectError> {
        let transaction = TransactionStatus::default();
        let [Host::Tcp(host)] = self.config.get_hosts() else {
            return Ok(Watched { client: self.connect().await?, transaction });
        };
        let port = self.config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        let refused = |source| ConnectError::Refused { server: self.address(), source };
        let unreachable = |source| ConnectError::Unreachable { server: self.address(), source };
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, open(host, port)).await;
        let stream = opened.map_err(io::Error::from).flatten().map_err(unreachable)?;
        let sight = match self.config.get_ssl_mode() {
            SslMode::Disable => Sight::Messages,
            _ => Sight::Negotiation,
        };
        let stream = Bounded::new(stream, sight, transaction.clone());
        let Ok(tls) = MakeTlsConnect::<Bounded<TcpStream>>::make_tls_connect(&mut self.tls.clone(), host);
        let tls = BoundedTls(tls, transaction.clone());
        let (client, connection) = self.config.connect_raw(stream, tls).await.map_err(refused)?;
        drive(connection);
        Ok(Watched { client, transaction })
    }
}

async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

/// A server's stream, as far as it may be read.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    sight: Sight,
    /// What was read and not handed on. Its first `allowed` bytes may be.
    read: BytesMut,
    allowed: usize,
    /// Of the message under way, what is still to come.
    expected: usize,
    transaction: TransactionStatus,
    /// Takes the place of all that would have come.
    last_words: Option<Bytes>,
}

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// First one that says whether the server speaks TLS.
    Negotiation,
    Messages,
    /// Encrypted: somebody else looks at what is inside.
    Opaque,
}

impl<S> Bounded<S> {
    fn new(stream: S, sight: Sight, transaction: TransactionStatus) -> Self {
        Self { stream, sight, read: BytesMut::new(), allowed: 0, expected: 0, transaction, last_words: None }
    }

    /// Looks at what was read and not looked at.
    fn look(&mut self) {
        while self.last_words.is_none() && self.allowed < self.read.len() {
            match self.sight {
                Sight::Opaque => self.allowed = self.read.len(),
                Sight::Negotiation => {
                    let encrypted = self.read[self.allowed] == b'S';
                    self.allowed += 1;
                    self.sight = if encrypted { Sight::Opaque } else { Sight::Messages };
                }
                Sight::Messages if self.expected > 0 => {
                    let come = self.expected.min(self.read.len() - self.allowed);
                    self.allowed += come;
                    self.expected -= come;
                }
                Sight::Messages => {
                    let Some(header) = self.read.get(self.allowed..self.allowed + HEADER) else { return };
                    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                    if header[0] == READY && length == HEADER {
                        let Some(status) = self.read.get(self.allowed + HEADER) else { return };
                        self.transaction.0.store(*status, Ordering::Relaxed);
                    }
                    if length > LARGEST {
                        self.last_words = Some(too_large());
                    } else {
                        // The length counts itself. Whatever is shorter is the driver's to complain of.
                        self.expected = 1 + length.max(HEADER - 1);
                    }
                }
            }
        }
    }
}

/// An error as the server writes them.
fn too_large() -> Bytes {
    let mut fields = BytesMut::new();
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', SQLSTATE), (b'M', TOO_LARGE)] {
        fields.put_u8(kind);
        fields.put_slice(text.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut error = BytesMut::new();
    error.put_u8(b'E');
    error.put_u32(u32::try_from(fields.len() + 4).expect("an error is short"));
    error.put(fields);
    error.freeze()
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.allowed > 0 {
                let count = this.allowed.min(into.remaining());
                into.put_slice(&this.read[..count]);
                this.read.advance(count);
                this.allowed -= count;
                return Poll::Ready(Ok(()));
            }
            if let Some(words) = &mut this.last_words {
                let count = words.len().min(into.remaining());
                into.put_slice(&words.split_to(count));
                return Poll::Ready(Ok(()));
            }
            this.read.reserve(CHUNK);
            if ready!(poll_read_buf(Pin::new(&mut this.stream), context, &mut this.read))? == 0 {
                // The end, perhaps in the middle of a header.
                this.read.clear();
                return Poll::Ready(Ok(()));
            }
            this.look();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Bounded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Looks at what is inside.
struct BoundedTls<T>(T, TransactionStatus);

impl<S, T> TlsConnect<S> for BoundedTls<T>
where
    T: TlsConnect<S> + Send,
    T::Future: Send + 'static,
    T::Stream: 'static,
{
    type Stream = Bounded<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self(tls, transaction) = self;
        let connecting = tls.connect(stream);
        Box::pin(async move { Ok(Bounded::new(connecting.await?, Sight::Messages, transaction)) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.put_u32(u32::try_from(length + 4).unwrap());
        message.resize(HEADER + length, b'x');
        message
    }

    /// What is read of bytes that arrive in pieces.
    fn read(sent: Vec<u8>, piece: usize, sight: Sight) -> Vec<u8> {
        read_watched(sent, piece, sight).0
    }

    fn read_watched(sent: Vec<u8>, piece: usize, sight: Sight) -> (Vec<u8>, TransactionStatus) {
        let transaction = TransactionStatus::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let (mut server, client) = duplex(piece);
            tokio::spawn(async move { server.write_all(&sent).await });
            let mut come = Vec::new();
            Bounded::new(client, sight, transaction.clone()).read_to_end(&mut come).await.unwrap();
            (come, transaction)
        })
    }

    proptest! {
        #[test]
        fn what_is_small_passes_as_it_is(lengths in prop::collection::vec(0_usize..40_000, 0..8), piece in 1_usize..20_000, tail in 0_usize..HEADER) {
            let mut sent: Vec<u8> = lengths.iter().flat_map(|length| message(b'D', *length)).collect();
            prop_assert_eq!(read(sent.clone(), piece, Sight::Messages), sent.clone());
            // A connection that breaks in the middle of a header.
            let whole = sent.clone();
            sent.extend(&message(b'Z', 1)[..tail]);
            prop_assert_eq!(read(sent, piece, Sight::Messages), whole);
        }

        #[test]
        fn what_is_too_large_is_an_error_and_the_end(before in 0_usize..20_000, piece in 1_usize..20_000) {
            let mut sent = message(b'D', before);
            let passes = sent.clone();
            sent.extend(&message(b'D', LARGEST)[..100]);
            sent.extend(message(b'Z', 1));
            prop_assert_eq!(read(sent, piece, Sight::Messages), [&passes[..], &too_large()].concat());
        }
    }

    #[test]
    fn what_the_server_says_of_the_transaction_is_heard() {
        let ready = |status| [&message(b'C', 7)[..], &[READY, 0, 0, 0, 5, status]].concat();
        for piece in 1..10 {
            let idle_after = |said: &[u8]| {
                let sent: Vec<u8> = said.iter().flat_map(|status| ready(*status)).collect();
                let (come, transaction) = read_watched(sent.clone(), piece, Sight::Messages);
                assert_eq!(come, sent);
                transaction.is_idle()
            };
            assert!(!idle_after(b""), "nothing is known");
            assert!(idle_after(b"TI") && !idle_after(b"IT") && !idle_after(b"IE"));
        }
        let hidden = [b"S", &ready(IDLE)[..]].concat();
        assert!(
            !read_watched(hidden, 3, Sight::Negotiation).1.is_idle(),
            "what is encrypted is not looked into"
        );
    }

    #[test]
    fn the_largest_passes() {
        assert!(TOO_LARGE.contains(&format!(" {} MB ", LARGEST >> 20)));
        let sent = message(b'N', LARGEST - 4);
        assert_eq!(read(sent.clone(), 100_000, Sight::Messages).len(), sent.len());
    }

    #[test]
    fn what_is_encrypted_is_not_looked_into_and_what_is_not_is() {
        let large = &message(b'D', LARGEST)[..100];
        let encrypted = [b"S", large].concat();
        assert_eq!(read(encrypted.clone(), 7, Sight::Negotiation), encrypted);
        let plain = [b"N", large].concat();
        assert_eq!(read(plain, 7, Sight::Negotiation), [b"N", &too_large()[..]].concat());
    }
}
