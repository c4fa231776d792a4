//! One other server: its client, what is known of it, and how much it is asked at once. All queues that forward to it share it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::clock::{Clock as _, SystemClock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::absence::Absence;
use super::find::Found;
use super::outgoing::Outgoing;
use super::trouble::{Asked, Trouble, is_ours};
use crate::aci::client::{Client, ClientError, Fault, Reply};
use crate::aci::element::{Content, Element};
use crate::aci::request::Pairs;

/// Name of the product that `GetVersion` of an actiond tells.
const ACTIOND: &str = "actiond";

/// Facts about a server, found out when it is first asked and after each time that it was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// It is an actiond: it knows `Wait`, and never takes an action twice under one `Idempotency-Key`.
    pub(super) is_actiond: bool,
    /// Milliseconds by which its clock is ahead of ours, as far as it tells.
    pub(super) ahead_ms: i64,
}

/// Another server.
#[derive(Debug)]
pub(super) struct Server {
    /// As errors, notes and the progress name it.
    pub(super) url: String,
    client: Client,
    /// Number of attempts that are there, or on their way.
    load: AtomicUsize,
    /// Held by each look at an action, which may wait for its end; and by each order, which must not wait behind those.
    looks: Semaphore,
    orders: Semaphore,
    most: usize,
    /// Locked while it is found out, so that only one request asks a server that may be away.
    known: tokio::sync::Mutex<Option<Known>>,
    away: Mutex<Absence>,
    /// By the action there: each has a queue of its own.
    full: Mutex<HashMap<String, Absence>>,
}

/// A place at a server that an attempt takes while it is there.
#[derive(Debug)]
pub(super) struct Place(Arc<Server>);

impl Place {
    pub(super) fn at(server: &Arc<Server>) -> Self {
        server.load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(server))
    }

    pub(super) const fn server(&self) -> &Arc<Server> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    /// Makes a server that is sent at most so many requests at once.
    pub(super) fn new(url: String, client: Client, most: usize) -> Self {
        Self {
            url,
            client,
            load: AtomicUsize::new(0),
            looks: Semaphore::new(most),
            orders: Semaphore::new(most),
            most,
            known: tokio::sync::Mutex::default(),
            away: Mutex::default(),
            full: Mutex::default(),
        }
    }

    /// Returns the number of attempts that are there.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Tells whether each attempt there may have a request of its own that waits.
    pub(super) fn has_room_to_wait(&self) -> bool {
        self.load() <= self.most
    }

    /// Returns the time until which it is left alone, and why.
    pub(super) fn away(&self) -> Option<(Instant, String)> {
        lock(&self.away).left()
    }

    /// Tells whether it is away for a reason that waiting alone does not mend.
    pub(super) fn absence_lasts(&self) -> bool {
        lock(&self.away).lasts()
    }

    fn note_away(&self, trouble: &Trouble) {
        let mut away = lock(&self.away);
        away.note(trouble.text());
        away.set_lasts(matches!(trouble, Trouble::Away { lasts: true, .. }));
    }

    /// Returns the time until which it is sent none of these actions, and why.
    pub(super) fn takes_no(&self, action: &str) -> Option<(Instant, String)> {
        self.away().or_else(|| lock(&self.full).get(action)?.left())
    }

    /// Notes that its queue of these actions took one, or that it is full.
    pub(super) fn note_full(&self, action: &str, why: Option<&str>) {
        let mut full = lock(&self.full);
        match (why, full.get_mut(action)) {
            (Some(why), Some(absence)) => absence.note(why),
            (Some(why), None) => full.entry(action.to_owned()).or_default().note(why),
            (None, Some(absence)) => absence.end(),
            (None, None) => {}
        }
    }

    /// Returns what is known of it, and finds it out if need be.
    pub(super) async fn known(&self) -> Result<Known, Trouble> {
        let mut known = self.known.lock().await;
        if let Some(known) = *known {
            return Ok(known);
        }
        if let Some((_, why)) = self.away() {
            // Another request has just asked in vain.
            return Err(Trouble::Away { why, maybe: false, lasts: self.absence_lasts() });
        }
        let found = match self.client.send("GetVersion", Pairs::default()).await {
            Ok(reply) => Known::read(&reply, SystemClock.now().millis()),
            // It may not be asked, or has no such action.
            Err(ClientError { fault, .. }) if matches!(fault, Fault::Refused(_)) => {
                Known { is_actiond: is_ours(&fault), ahead_ms: 0 }
            }
            Err(ClientError { fault, .. }) => {
                let trouble = Trouble::of(fault, Asked::Other);
                self.note_away(&trouble);
                return Err(trouble);
            }
        };
        lock(&self.away).end();
        *known = Some(found);
        Ok(found)
    }

    /// Looks at an action, when there are few enough looks.
    pub(super) async fn look<T>(
        &self,
        request: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Trouble> {
        // The semaphore is never closed.
        let _turn = self.looks.acquire().await;
        self.heard(request(&self.client).await, Asked::Token).await
    }

    /// Sends anything else, when there is little enough of it; it does not wait behind the looks.
    pub(super) async fn order<T>(
        &self,
        asked: Asked,
        request: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Trouble> {
        let _turn = self.orders.acquire().await;
        self.heard(request(&self.client).await, asked).await
    }

    /// Searches for an action that it may have.
    pub(super) async fn find(&self, outgoing: &Outgoing) -> Result<Found, Trouble> {
        let known = self.known().await?;
        let sought = outgoing.sought(known);
        self.order(Asked::Other, async |client| sought.find(client, known).await).await
    }

    /// Returns the tokens of the actions that it has under this key, but for this one.
    pub(super) async fn find_others(
        &self,
        outgoing: &Outgoing,
        token: &str,
    ) -> Result<Vec<String>, Trouble> {
        let known = self.known().await?;
        let sought = outgoing.sought(known);
        self.order(Asked::Other, async |client| sought.find_others(client, token).await).await
    }

    /// Learns from an answer whether the server is there.
    async fn heard<T>(&self, answer: Result<T, ClientError>, asked: Asked) -> Result<T, Trouble> {
        let trouble = match answer {
            Ok(answer) => {
                lock(&self.away).end();
                return Ok(answer);
            }
            Err(ClientError { fault, .. }) => Trouble::of(fault, asked),
        };
        match &trouble {
            Trouble::Away { .. } => {
                self.note_away(&trouble);
                // It may be another one when it comes back.
                *self.known.lock().await = None;
            }
            Trouble::Busy(_) | Trouble::Refused(_) | Trouble::Failed(_) | Trouble::Unknown => {
                lock(&self.away).end();
            }
        }
        Err(trouble)
    }

    /// Returns the time to the next look at an action, after one of this length: longer where many are looked at.
    pub(super) fn pace(&self, longest: Duration, known: Known) -> Duration {
        // At most so many looks a second all in all.
        let each = Duration::from_millis(if known.is_actiond { 4 } else { 10 });
        let crowd = u32::try_from(self.load()).unwrap_or(u32::MAX);
        longest.max(each.saturating_mul(crowd)).min(Duration::from_secs(60))
    }
}

impl Known {
    fn read(reply: &Reply, now_ms: i64) -> Self {
        let named = |name: &str| reply.data.iter().find(|element| is(element, name));
        let text = |element: &Element| match &element.content {
            Content::Text(text) => text.trim().to_owned(),
            Content::Elements(_) => String::new(),
        };
        let product = named("productname").map(text).unwrap_or_default();
        let epoch = named("servertime").and_then(|time| match &time.content {
            Content::Elements(parts) => parts.iter().find(|part| is(part, "epoch")).map(text),
            Content::Text(_) => None,
        });
        let epoch: Option<i64> = epoch.and_then(|text| text.parse().ok());
        // It is cut to the second.
        let ahead =
            epoch.and_then(|epoch| epoch.checked_mul(1000)?.checked_add(500)?.checked_sub(now_ms));
        Self {
            is_actiond: product.eq_ignore_ascii_case(ACTIOND),
            ahead_ms: ahead.unwrap_or_default(),
        }
    }
}

fn is(element: &Element, name: &str) -> bool {
    element.name.rsplit(':').next().is_some_and(|local| local.eq_ignore_ascii_case(name))
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds the lock can leave it half changed.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
