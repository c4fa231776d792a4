//! The limits of one client: requests a second, and connections at a time.
//!
//! A client is an address, of IPv6 a network of 64 bits: to one machine all of those are free to use. A request counts for
//! the address that [`caller`](super::caller) finds, a connection for that of its peer, unless that is a trusted proxy. The
//! endpoint owns both limits, for all its workers and ports. One that is off has nothing here, and costs nothing.
//!
//! | module | contents |
//! |---|---|
//! | here | the client, and what becomes of a request beyond a limit |
//! | `rate` | the requests of each client: token buckets, pure, in a bounded table |
//! | `connections` | the open connections of each client |
//! | `refusals` | counts what was refused, for a line of the log now and then |

mod connections;
mod rate;
mod refusals;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::Method;

pub use connections::ConnectionLimit;
pub(crate) use connections::{OpenConnections, Place, TIME_BEYOND};
pub(crate) use rate::RequestLimit;

use super::connection::Connection;
use super::{caller, has_body};
use crate::aci::error::AciError;
use crate::front::Endpoint;
use crate::metrics::Reason;

/// The value of `Retry-After`, in seconds. A bucket has a token again after a second at most; when a connection ends, nobody
/// knows.
pub(super) const RETRY_AFTER: &str = "1";
pub(super) const RETRY_AFTER_SECS: u32 = 1;

/// One client, as the limits count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Client {
    /// An address of IPv4, whether written as one of IPv6 or not.
    V4(u32),
    /// The first half of an address of IPv6.
    V6(u64),
}

impl Client {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits) => Ipv4Addr::from_bits(bits).fmt(f),
            Self::V6(half) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(half) << 64)),
        }
    }
}

/// A request that is not let in, because its client is beyond a limit.
pub(super) struct Beyond {
    pub(super) error: AciError,
    /// The limit, for metrics.
    pub(super) reason: Reason,
    /// True if the connection takes no further request.
    pub(super) is_last: bool,
}

/// Counts a request, and returns why it is not let in, if it is not; boxed, because nearly all are.
pub(super) fn beyond(
    request: &HttpRequest,
    endpoint: &Endpoint,
    connection: Option<&Connection>,
) -> Option<Box<Beyond>> {
    if let Some(error) = connection.and_then(Connection::refusal) {
        let reason = Reason::Connections;
        return Some(Box::new(Beyond { error, reason, is_last: true }));
    }
    let limit = endpoint.request_limit();
    let limit = limit.as_ref()?;
    // Over a socket of Unix there are no addresses.
    let address = caller::address(request, &endpoint.access())?;
    let error = limit.take(address).err()?;
    // What is not read would be taken for the next request.
    let is_whole = !has_body(request)
        && matches!(*request.method(), Method::GET | Method::POST | Method::HEAD | Method::OPTIONS);
    Some(Box::new(Beyond { error, reason: Reason::RequestRate, is_last: !is_whole }))
}
