//! Counts of requests and connections. Actions are known by the catalog and the queues: whatever else a client names is
//! `unknown`, so no client can add a series.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, OF_REQUESTS};
use crate::front::Port;

/// The counts of an endpoint.
#[derive(Debug)]
pub(crate) struct Requests {
    /// The known actions of both ports, and one for those that are unknown to each.
    actions: Vec<Action>,
    /// The places of actions in that list, by name.
    of_aci: HashMap<Box<str>, Place>,
    of_service: HashMap<Box<str>, Place>,
    refused: [AtomicU64; Reason::ALL.len()],
    connections: Arc<AtomicU64>,
}

/// The place of an action among those that are known to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// The counts of one action. All that most requests change is in one line of the cache, which the workers send each other: so
/// they do it once a request.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Action {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    pub(super) durations: Histogram,
    pub(super) port: Port,
    pub(super) name: Box<str>,
}

impl Action {
    fn new(port: Port, name: &str) -> Self {
        let durations = Histogram::new(OF_REQUESTS);
        Self { outcomes: Default::default(), durations, port, name: name.into() }
    }

    pub(super) fn number(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).map(read).unwrap_or_default()
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Error,
    /// The client had gone before its reply.
    Gone,
}

impl Outcome {
    pub(super) const ALL: [Self; 3] = [Self::Success, Self::Error, Self::Gone];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Gone => "gone",
        }
    }
}

/// The reason for which a request, or a connection, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its sender may not do that.
    Permission,
    /// It came from a web page of another server, or for a host that this server is not.
    WebPage,
    /// Its client sends too many requests a second.
    RequestRate,
    /// Its client has too many connections.
    Connections,
    /// The queue is full.
    QueueFull,
    /// Something in it is too large.
    TooLarge,
    /// It can't be read, or a parameter is missing or wrong.
    Invalid,
    /// It names an action that there is not.
    UnknownAction,
    /// It may succeed later: the store or a queue is down, or there is no memory for it.
    Unavailable,
    /// A worker spoke of an action that is not its own any more.
    WorkLost,
}

impl Reason {
    pub(super) const ALL: [Self; 10] = [
        Self::Permission,
        Self::WebPage,
        Self::RequestRate,
        Self::Connections,
        Self::QueueFull,
        Self::TooLarge,
        Self::Invalid,
        Self::UnknownAction,
        Self::Unavailable,
        Self::WorkLost,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::WebPage => "web_page",
            Self::RequestRate => "request_rate",
            Self::Connections => "connections",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::UnknownAction => "unknown_action",
            Self::Unavailable => "unavailable",
            Self::WorkLost => "work_lost",
        }
    }
}

impl Requests {
    /// Makes the counts of an endpoint with these actions.
    pub(crate) fn new<'a>(known: impl IntoIterator<Item = (Port, &'a str)>) -> Self {
        let mut requests = Self {
            actions: Vec::new(),
            of_aci: HashMap::new(),
            of_service: HashMap::new(),
            refused: Default::default(),
            connections: Arc::default(),
        };
        // First, so that a queue of this name has the same series: a second one of equal labels would spoil the whole scrape.
        let unknown = [Port::Aci, Port::Service].map(|port| (port, UNKNOWN));
        for (port, name) in unknown.into_iter().chain(known) {
            let Self { actions, of_aci, of_service, .. } = &mut requests;
            let places = if port == Port::Service { of_service } else { of_aci };
            // A queue may have the name of an action that answers at once; no client reaches it then.
            places.entry(name.into()).or_insert_with(|| {
                actions.push(Action::new(port, name));
                Place(actions.len() - 1)
            });
        }
        requests
    }

    /// Returns the place of an action of a port, by the name that the catalog or its queue has; that of unknown ones without a
    /// name.
    pub(crate) fn place(&self, port: Port, name: Option<&str>) -> Option<Place> {
        let places = if port == Port::Service { &self.of_service } else { &self.of_aci };
        places.get(name.unwrap_or(UNKNOWN)).copied()
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, place: Place, outcome: Outcome, took: Duration) {
        if let Some(action) = self.actions.get(place.0) {
            action.outcomes.get(outcome as usize).map(add_one);
            action.durations.observe_time(took);
        }
    }

    /// Counts a refusal.
    pub(crate) fn refuse(&self, reason: Reason) {
        self.refused.get(reason as usize).map(add_one);
    }

    /// Counts a connection as open until the returned guard is dropped.
    pub(crate) fn connect(&self) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.connections))
    }

    pub(super) fn actions(&self) -> &[Action] {
        &self.actions
    }

    pub(super) fn refused(&self, reason: Reason) -> u64 {
        self.refused.get(reason as usize).map(read).unwrap_or_default()
    }

    pub(super) fn connections(&self) -> u64 {
        read(&self.connections)
    }
}

/// The name of all actions that are none.
const UNKNOWN: &str = "unknown";

/// Guard of an open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<AtomicU64>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_of_each_port_has_one_place() {
        let aci = ["Process", "GetStatus", "unknown", "Process"].map(|name| (Port::Aci, name));
        let requests = Requests::new(aci.into_iter().chain([(Port::Service, "GetStatus")]));
        let named: Vec<_> =
            requests.actions().iter().map(|action| (action.port, &*action.name)).collect();
        assert_eq!(
            named,
            [
                (Port::Aci, "unknown"),
                (Port::Service, "unknown"),
                (Port::Aci, "Process"),
                (Port::Aci, "GetStatus"),
                (Port::Service, "GetStatus"),
            ]
        );
        let place = |port, name| requests.place(port, name).map(|place| place.0);
        assert_eq!(place(Port::Aci, None), Some(0));
        assert_eq!(place(Port::Aci, Some("unknown")), Some(0));
        assert_eq!(place(Port::Service, None), Some(1));
        assert_eq!(place(Port::Aci, Some("GetStatus")), Some(3));
        assert_eq!(place(Port::Service, Some("GetStatus")), Some(4));
        assert_eq!(place(Port::Service, Some("Process")), None);
    }

    #[test]
    fn what_has_ended_is_counted_by_its_outcome_and_its_time() {
        let requests = Requests::new([(Port::Aci, "Process")]);
        let place = requests.place(Port::Aci, Some("Process")).unwrap();
        for (outcome, times) in [(Outcome::Success, 3), (Outcome::Error, 2), (Outcome::Gone, 1)] {
            (0..times).for_each(|_| requests.count(place, outcome, Duration::from_secs(2)));
        }
        let of = |at: usize| Outcome::ALL.map(|outcome| requests.actions()[at].number(outcome));
        assert_eq!((of(2), of(0)), ([3, 2, 1], [0, 0, 0]));
        let read = requests.actions()[2].durations.read();
        assert_eq!((read.count, read.sum), (6, 12.0));
    }

    #[test]
    fn a_connection_counts_until_it_ends() {
        let requests = Requests::new([]);
        let open: Vec<_> = (0..3).map(|_| requests.connect()).collect();
        assert_eq!(requests.connections(), 3);
        drop(open);
        assert_eq!(requests.connections(), 0);
    }

    #[test]
    fn words_are_all_different() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
        let requests = Requests::new([]);
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| requests.refuse(reason));
        }
        let counts: Vec<_> =
            Reason::ALL.into_iter().map(|reason| requests.refused(reason)).collect();
        assert_eq!(counts, (1..=Reason::ALL.len() as u64).collect::<Vec<_>>());
    }
}
