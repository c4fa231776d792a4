//! The limit of open connections. One beyond it is let in for a moment all the same, so that its client is told why; it counts
//! too, or a client could have any number of them. A client that has far more than it may is told nothing: its connections are
//! closed at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Client;
use super::refusals::Refusals;
use crate::aci::error::AciError;
use crate::front::Endpoint;
use crate::metrics::{Counted, OpenConnection, Reason};

const KEY: &str = "MaxConnectionsPerClient";

/// Time in which a connection beyond the limit is done: for its TLS handshake, and then for its request and the answer.
pub(crate) const TIME_BEYOND: Duration = Duration::from_secs(1);

/// Number of connections beyond twice the limit that a client may have open before further ones are closed at once: where the
/// limit is small, a browser that opens a few more is still told why.
const MORE_BEYOND: u32 = 16;

/// A connection that is closed at once, because its client has far more than it may.
#[derive(Debug)]
pub(crate) struct FarBeyond;

/// The open connections of each client, where `MaxConnectionsPerClient` limits them. There are no more entries than
/// connections, whose number is limited for each worker.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    open: Mutex<HashMap<Client, u32>>,
    refusals: Arc<Refusals>,
}

impl OpenConnections {
    /// Makes a limit of so many connections; 0 is no limit.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        let refusals = Arc::new(Refusals::new("connections", KEY, limit));
        Arc::new(Self { open: Mutex::default(), refusals })
    }

    /// Sets the limit of the connections that begin from now on. Those that began while there was none do not count.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.refusals.set_limit(limit);
    }

    /// Returns the limit, if there is one.
    fn limit(&self) -> Option<u32> {
        Some(self.refusals.limit()).filter(|limit| *limit > 0)
    }

    /// Counts a connection until the returned place is dropped; `None` if there is no limit. One that is far beyond the limit is
    /// an error.
    pub(super) fn enter(self: &Arc<Self>, client: Client) -> Result<Option<Place>, FarBeyond> {
        let Some(limit) = self.limit() else { return Ok(None) };
        let most = limit.saturating_mul(2).saturating_add(MORE_BEYOND);
        let number = {
            let mut open = self.lock();
            let number = open.entry(client).or_default();
            let entered = number.saturating_add(1);
            if entered <= most {
                *number = entered;
            }
            entered
        };
        let is_beyond = number > limit;
        if is_beyond {
            self.refusals.note(client);
        }
        if number > most {
            return Err(FarBeyond);
        }
        let beyond = is_beyond.then_some(limit);
        Ok(Some(Place { connections: Arc::clone(self), client, beyond }))
    }

    fn leave(&self, client: Client) {
        let mut open = self.lock();
        if let Some(number) = open.get_mut(&client) {
            *number = number.saturating_sub(1);
            if *number == 0 {
                open.remove(&client);
            }
        }
    }

    /// Locks the table. Nothing that holds the lock can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<Client, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.lock().len()
    }
}

/// A connection that counts, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<OpenConnections>,
    client: Client,
    /// The limit, if it is beyond that.
    beyond: Option<u32>,
}

impl Place {
    pub(crate) const fn is_beyond(&self) -> bool {
        self.beyond.is_some()
    }

    /// Returns the error for the first request of a connection beyond the limit, which then ends.
    pub(crate) fn refusal(&self) -> Option<AciError> {
        self.beyond.map(|limit| {
            AciError::unavailable(&format!(
                "a client may have {limit} connections at a time ({KEY}={limit}), and this one had as many; end one, or use it \
                 again"
            ))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.leave(self.client);
    }
}

/// The limit of connections for each client, as [`server::serve`](crate::http::server::serve) holds it: that of an
/// [`Endpoint`], or none (the default).
///
/// A connection beyond it gets an error to its first ACI request, and then ends; it ends after a second at the latest. Routes
/// of an application's own answer that request as ever, within that second, and the connection ends all the same. One of a
/// client that has more than twice the limit and 16 open ends at once, without an answer.
#[derive(Debug, Clone, Default)]
pub struct ConnectionLimit {
    limit: Option<(Arc<OpenConnections>, Endpoint)>,
    /// What counts connections for metrics, limited or not.
    counted: Option<Arc<Counted>>,
}

impl ConnectionLimit {
    /// Makes the limit of an endpoint, which knows the proxies that it trusts.
    pub(crate) fn of(endpoint: &Endpoint, open: &Arc<OpenConnections>) -> Self {
        let limit = Some((Arc::clone(open), endpoint.clone()));
        Self { limit, counted: endpoint.counted().cloned() }
    }

    /// Counts a connection for the metrics until the returned guard is dropped.
    pub(in crate::http) fn connect(&self) -> Option<OpenConnection> {
        self.counted.as_ref().map(|counted| counted.requests.connect())
    }

    /// Counts a connection, unless nothing limits those of its peer. One that is far beyond the limit is to be closed at once.
    pub(in crate::http) fn enter(
        &self,
        peer: Option<SocketAddr>,
    ) -> Result<Option<Place>, FarBeyond> {
        let Some((open, endpoint)) = self.limit.as_ref() else { return Ok(None) };
        let Some(address) = peer.map(|peer| peer.ip().to_canonical()) else { return Ok(None) };
        if open.limit().is_none() || endpoint.access().trusts(address) {
            return Ok(None);
        }
        let entered = open.enter(Client::of(address));
        if let (Err(FarBeyond), Some(counted)) = (&entered, &self.counted) {
            // Nothing that it would send is answered, so nothing else counts it.
            counted.requests.refuse(Reason::Connections);
        }
        entered
    }
}
