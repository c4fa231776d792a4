//! The presence of a client: work or a wait for that client alone ends once it has left.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Time for which work for one client alone goes on after the client has ended its side of the connection. Some clients end
/// their side and still read: they get a reply that is ready soon (our choice).
const LAST_CALL: Duration = Duration::from_secs(1);

/// The sender of a client's presence, held by its connection. Dropping it means that the client has left.
#[derive(Debug, Default)]
pub struct Leaving(Arc<watch::Sender<Standing>>);

/// The connection is over.
impl Drop for Leaving {
    fn drop(&mut self) {
        self.left();
    }
}

/// The presence of a client.
#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    left: Option<Instant>,
    /// Time since which it has sent as many more requests as are read ahead.
    goes_on: Option<Instant>,
}

impl Leaving {
    /// Notes that the client has ended its side of the connection; once is enough.
    pub fn left(&self) {
        self.0.send_if_modified(|standing| {
            let is_first = standing.left.is_none();
            standing.left.get_or_insert_with(Instant::now);
            is_first
        });
    }

    /// Sets if the client goes on: it has sent so much after the request that is being answered that no more of it is read.
    pub fn goes_on(&self, goes_on: bool) {
        self.0.send_if_modified(|standing| {
            let differs = standing.goes_on.is_some() != goes_on;
            if differs {
                standing.goes_on = goes_on.then(Instant::now);
            }
            differs
        });
    }

    /// Returns true if it has left.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.0.borrow().left.is_some()
    }

    /// Returns the client, for those that work for it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client(Some(Arc::clone(&self.0)))
    }
}

/// The client that sent a request, whose leaving can be awaited; the default one never leaves. Each request has one, but few
/// wait on it, so it subscribes only then.
#[derive(Debug, Clone, Default)]
pub struct Client(Option<Arc<watch::Sender<Standing>>>);

impl Client {
    /// Waits until the client has left, and a second longer. Nothing tells one that has closed the connection from one that sends
    /// no more and still reads, so a reply is sent all the same.
    pub async fn gone(&self) {
        self.since(|standing| standing.left).await;
    }

    /// Waits until the client has left or goes on with other requests, and a second longer. A client that waits for a reply does
    /// neither; and the leaving of one whose requests are no longer read is not noticed.
    pub async fn waits_no_more(&self) {
        self.since(|standing| standing.left.or(standing.goes_on)).await;
    }

    /// Waits until the client has ended its side of the connection, and no longer: for what must not reach one that has left.
    pub async fn left(&self) {
        let Some(standing) = &self.0 else { return std::future::pending().await };
        // It can't fail: the sender is held here.
        let _ = standing.subscribe().wait_for(|standing| standing.left.is_some()).await;
    }

    /// Returns true if the client has ended its side of the connection.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.0.as_ref().is_some_and(|standing| standing.borrow().left.is_some())
    }

    /// Returns true if the client has left more than a second ago.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let left = self.0.as_ref().and_then(|standing| standing.borrow().left);
        left.is_some_and(|left| left.elapsed() >= LAST_CALL)
    }

    async fn since(&self, which: fn(&Standing) -> Option<Instant>) {
        let Some(standing) = &self.0 else { return std::future::pending().await };
        let mut standing = standing.subscribe();
        loop {
            // It can't fail: the sender is held here.
            let since = standing.wait_for(|standing| which(standing).is_some()).await;
            let Some(since) = since.ok().and_then(|standing| which(&standing)) else { return };
            tokio::time::sleep_until(since + LAST_CALL).await;
            // It may have changed meanwhile.
            if which(&standing.borrow()).is_some_and(|now| now <= since) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_waits_no_more_unless_it_stops_in_time() {
        let leaving = Leaving::default();
        let client = leaving.client();
        leaving.goes_on(true);
        tokio::time::sleep(LAST_CALL / 2).await;
        leaving.goes_on(false);
        leaving.goes_on(true);
        tokio::time::sleep(LAST_CALL * 3 / 4).await;
        assert!(client.waits_no_more().now_or_never().is_none(), "it had stopped");
        tokio::time::sleep(LAST_CALL / 2).await;
        tokio::time::timeout(LAST_CALL / 4, client.waits_no_more()).await.unwrap();
        assert!(client.gone().now_or_never().is_none());
        leaving.goes_on(false);
        assert!(client.waits_no_more().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_gone_a_second_after_it_has_left() {
        let leaving = Leaving::default();
        let (early, unknown) = (leaving.client(), Client::default());
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(early.gone().now_or_never().is_none() && !leaving.has_left());
        leaving.left();
        tokio::time::sleep(LAST_CALL / 2).await;
        leaving.left();
        assert!(leaving.has_left());
        for client in [&early, &leaving.client()] {
            assert!(client.gone().now_or_never().is_none(), "no time for what is soon there");
            assert!(!client.is_gone());
        }
        tokio::time::sleep(LAST_CALL / 2).await;
        for client in [&early, &leaving.client()] {
            tokio::time::timeout(LAST_CALL / 4, client.gone()).await.unwrap();
            assert!(client.is_gone());
        }
        assert!(!unknown.is_gone());
        assert!(unknown.gone().now_or_never().is_none());
        drop(leaving);
        early.gone().await;
    }
}
