//! HTTP that costs next to nothing, so that what is measured is the service: connections that stay open, and requests whose bytes are ready.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An HTTP/1.1 connection that stays open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects to `HOST:PORT`.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4_096) })
    }

    /// Sends a whole request; the answer's status and body.
    pub async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the service closed the connection");
            }
            if let Some((status, body)) = whole_answer(&self.answer)? {
                return Ok((status, &self.answer[body..]));
            }
        }
    }
}

/// Sends a webhook again and again.
#[derive(Debug)]
pub struct Sender {
    connection: Connection,
    /// A whole request; the id within it changes each time.
    request: Vec<u8>,
    id_at: usize,
}

impl Sender {
    /// Connects to `HOST:PORT`. Each request will be this body, signed so, of this event.
    pub async fn connect(address: &str, event: &str, signature: &str, body: &[u8]) -> Result<Self> {
        let connection = Connection::open(address).await?;
        let mut head = String::new();
        write!(
            head,
            "POST /webhooks/github HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
        )?;
        write!(
            head,
            "X-GitHub-Event: {event}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n",
            body.len()
        )?;
        head.push_str("X-GitHub-Delivery: ");
        let id_at = head.len();
        write!(head, "{}\r\n\r\n", uuid::Uuid::nil())?;
        let request = [head.as_bytes(), body].concat();
        Ok(Self { connection, request, id_at })
    }

    /// Sends the webhook under a new id and returns the answer's status.
    pub async fn send(&mut self) -> Result<u16> {
        let id = uuid::Uuid::new_v4().to_string();
        self.request[self.id_at..self.id_at + id.len()].copy_from_slice(id.as_bytes());
        Ok(self.connection.ask(&self.request).await?.0)
    }
}

/// The status of an answer, and where its body begins, once all of it is there.
fn whole_answer(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("an answer's head is text")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status in {head}"))?;
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = length
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse());
    let length: usize =
        length.next().transpose().context("understand an answer's length")?.unwrap_or_default();
    let body = end + 4;
    Ok((bytes.len() >= body + length).then_some((status, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_the_last_byte_of_its_body() {
        assert_eq!(whole_answer(b"HTTP/1.1 202 Accepted\r\n").unwrap(), None);
        assert_eq!(whole_answer(b"HTTP/1.1 202 Accepted\r\nx: y\r\n\r\n").unwrap(), Some((202, 31)));
        let answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nno!";
        assert_eq!(whole_answer(answer).unwrap(), Some((500, answer.len() - 3)));
        assert_eq!(whole_answer(&answer[..answer.len() - 1]).unwrap(), None);
        assert!(whole_answer(b"what\r\n\r\n").is_err());
    }
}
