//! The handshake with a client.
//!
//! It has a deadline, it runs on the thread of the connection between the others, and it is one of the connections that the
//! server takes at the same time ([`crate::http::server::MAX_CONNECTIONS`] a worker): that and the deadline bound how many
//! clients can begin a handshake and stall, and no other client waits for them.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Tls, certificate, lock, now};

/// The longest time that a handshake may take.
const LONGEST: Duration = Duration::from_secs(10);

/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE: u8 = 0x16;

/// The answer to clients that speak HTTP without TLS.
const USE_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n\
                       Connection: close\r\n\r\nthis port speaks TLS: use https://\n";

/// Number of bytes that a client without TLS may send before its method is told from junk.
const LONGEST_METHOD: usize = 20;

/// Time for which a client that is being disconnected may go on sending, so that it reads why: bytes that nobody reads make
/// the system throw away the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Shortest time between two warnings that handshakes have failed.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// A connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The names in the certificate of the client, which was verified; `None` if it has none.
    pub(crate) names: Option<Vec<String>>,
}

/// Why there is no connection.
enum Failure {
    /// The client went without a word, as those do that only look whether the port is open.
    Gone,
    /// Something that may be worth a warning.
    Because(String),
}

impl Tls {
    /// Makes the handshake, within this time and [`LONGEST`]. `None` if it failed; that is logged, and the connection closed.
    pub(crate) async fn accept(&self, socket: TcpStream, within: Duration) -> Option<Accepted> {
        let peer = socket.peer_addr().ok();
        let within = within.min(LONGEST);
        let failure = match timeout(within, self.handshake(socket, peer)).await {
            Ok(done) => return done,
            Err(_) => {
                Failure::Because(format!("it was not done within {} s", within.as_secs_f32()))
            }
        };
        self.log(peer, failure);
        None
    }

    async fn handshake(&self, socket: TcpStream, peer: Option<SocketAddr>) -> Option<Accepted> {
        match begins_tls(&socket).await {
            Ok(true) => {}
            Ok(false) => {
                self.log(peer, Failure::Because("it speaks no TLS".to_owned()));
                answer_plain(socket).await;
                return None;
            }
            Err(failure) => {
                self.log(peer, failure);
                return None;
            }
        }
        let acceptor = TlsAcceptor::from(self.config());
        let stream = match acceptor.accept(socket).into_fallible().await {
            Ok(stream) => stream,
            Err((error, socket)) => {
                self.log(peer, Failure::Because(error.to_string()));
                linger(socket).await;
                return None;
            }
        };
        match names(&stream, self.end_of_authorities()) {
            Ok(names) => Some(Accepted { stream, names }),
            Err(why) => {
                self.log(peer, Failure::Because(why));
                None
            }
        }
    }

    fn log(&self, peer: Option<SocketAddr>, failure: Failure) {
        let peer = peer.map_or_else(|| "nobody".to_owned(), |peer| peer.to_string());
        let Failure::Because(why) = failure else {
            log::debug!("{peer} has left before the TLS handshake");
            return;
        };
        log::debug!("the TLS handshake with {peer} failed: {why}");
        match self.0.failures.count(Instant::now()) {
            None => {}
            Some(1) => log::warn!("the TLS handshake with {peer} failed: {why}"),
            Some(count) => {
                log::warn!(
                    "{count} TLS handshakes have failed since the last such line, the latest with {peer}: {why}"
                );
            }
        }
    }
}

/// Waits for the first byte, which stays to be read, and returns true if it may be one of TLS.
async fn begins_tls(socket: &TcpStream) -> Result<bool, Failure> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(0) => Err(Failure::Gone),
        Ok(_) => Ok(first == [HANDSHAKE]),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Failure::Gone),
        Err(error) => Err(Failure::Because(error.to_string())),
    }
}

/// Returns the names of a client with a certificate; fails if that is no longer valid, because a session that is resumed is not
/// verified again, or if no authority is: the certificates of authorities that are in use stay while there is none better.
fn names(
    stream: &TlsStream<TcpStream>,
    end_of_authorities: Option<DateTime<Utc>>,
) -> Result<Option<Vec<String>>, String> {
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(|chain| chain.first()) else {
        return Ok(None);
    };
    let of_client = |problem| format!("the client's certificate: {problem}");
    let certificate = certificate::read(certificate).map_err(of_client)?;
    let now = now();
    certificate.check(now).map_err(of_client)?;
    if end_of_authorities.is_some_and(|end| now > end) {
        return Err("all authorities for certificates of clients have expired".to_owned());
    }
    Ok(Some(certificate.names))
}

/// Tells a client that speaks HTTP without TLS what to do instead, and nothing to any other.
async fn answer_plain(mut socket: TcpStream) {
    let mut start = Vec::new();
    let is_http = loop {
        if let Some(is_http) = is_http(&start) {
            break is_http;
        }
        match socket.read_buf(&mut start).await {
            Ok(0) | Err(_) => break false,
            Ok(_) => {}
        }
    };
    // One that has gone gets no answer.
    if is_http && socket.write_all(USE_TLS.as_bytes()).await.is_ok() {
        linger(socket).await;
    }
}

/// Returns true for the start of a request, a method and a space; `None` if that can't be told yet.
fn is_http(start: &[u8]) -> Option<bool> {
    let end = start.iter().position(|byte| !byte.is_ascii_alphabetic());
    match end {
        Some(length) => {
            let is_space = start.get(length) == Some(&b' ');
            Some(is_space && (1..=LONGEST_METHOD).contains(&length))
        }
        None if start.len() > LONGEST_METHOD => Some(false),
        None => None,
    }
}

/// Ends the server's side, and reads what still comes for a moment.
async fn linger(mut socket: TcpStream) {
    let rest = async {
        if socket.shutdown().await.is_ok() {
            // It ends with the client's side, and at the latest with the time.
            let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
        }
    };
    let _ = timeout(LINGER, rest).await;
}

/// Counts failed handshakes, so that there is a line in the log now and then and not one for each.
#[derive(Default)]
pub(super) struct Failures(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    told: Option<Instant>,
    since: u64,
}

impl Failures {
    /// Counts one; returns how many there were since the last line if it is time for the next.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut counted = lock(&self.0);
        counted.since += 1;
        if counted.told.is_some_and(|told| now.duration_since(told) < WARN_EVERY) {
            return None;
        }
        counted.told = Some(now);
        Some(std::mem::take(&mut counted.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_from_junk() {
        for (start, expected) in [
            ("", None),
            ("GE", None),
            ("GET", None),
            ("GET /", Some(true)),
            ("POST action=x HTTP/1.1", Some(true)),
            ("get /", Some(true)),
            (" GET", Some(false)),
            ("GET\r\n", Some(false)),
            ("SSH-2.0-OpenSSH_9.2p1 x", Some(false)),
            ("\u{0}\u{1}", Some(false)),
            (&"A".repeat(LONGEST_METHOD), None),
            (&format!("{} ", "A".repeat(LONGEST_METHOD)), Some(true)),
            (&"A".repeat(LONGEST_METHOD + 1), Some(false)),
        ] {
            assert_eq!(is_http(start.as_bytes()), expected, "{start:?}");
        }
    }

    #[test]
    fn the_answer_in_plain_http_has_the_length_that_it_says() {
        let (head, body) = USE_TLS.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }

    #[test]
    fn failures_are_told_now_and_then_with_their_number() {
        let (failures, start) = (Failures::default(), Instant::now());
        assert_eq!(failures.count(start), Some(1));
        for second in 1..10 {
            assert_eq!(failures.count(start + Duration::from_secs(second)), None);
        }
        assert_eq!(failures.count(start + WARN_EVERY), Some(10));
        assert_eq!(failures.count(start + WARN_EVERY + WARN_EVERY), Some(1));
    }
}
