//! The connections that submit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::failure::Failure;
use crate::aci::client::{Client, ClientError, Fault, Refusal};
use crate::aci::request::Pairs;

/// Time for which a connection rests after a refusal, so that a full queue is not asked without end.
const REST: Duration = Duration::from_millis(20);

/// Number of digits to which times are kept.
const DIGITS: u8 = 3;

/// The end of submitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// After this time.
    Time(Duration),
    /// After so many actions.
    Number(u64),
}

/// The submissions to be sent.
pub(super) struct Load<'a> {
    pub(super) client: &'a Client,
    pub(super) action: &'a str,
    pub(super) parameters: Pairs,
    pub(super) connections: u16,
    pub(super) until: Until,
}

/// The submissions that were sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// Times in microseconds from the request to the token, of those that were accepted.
    pub(super) times: Histogram<u64>,
    /// Number of submissions that were refused.
    pub(super) refused: u64,
    /// The reason of the last one.
    pub(super) refusal: Option<String>,
    /// The time from the first request to the last answer.
    pub(super) took: Duration,
    pub(super) began: Instant,
    /// The error that ended it before its time.
    pub(super) failure: Option<ClientError>,
    /// True if Ctrl-C has ended it.
    pub(super) was_interrupted: bool,
}

impl Sent {
    /// Returns the number of actions that were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.times.len()
    }
}

/// State that all connections share.
struct Shared {
    left: AtomicU64,
    is_over: AtomicBool,
}

/// Figures of one connection.
struct Seen {
    times: Histogram<u64>,
    refused: u64,
    refusal: Option<String>,
    failure: Option<ClientError>,
}

impl Load<'_> {
    /// Submits until the end, or until Ctrl-C.
    pub(super) async fn run(&self) -> Result<Sent, Failure> {
        let (number, time) = match self.until {
            Until::Number(number) => (number, None),
            Until::Time(time) => (u64::MAX, Some(time)),
        };
        let shared =
            Arc::new(Shared { left: AtomicU64::new(number), is_over: AtomicBool::new(false) });
        let began = Instant::now();
        let end = time.and_then(|time| began.checked_add(time));
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let (client, action) = (self.client.clone(), self.action.to_owned());
            let (parameters, shared) = (self.parameters.clone(), Arc::clone(&shared));
            connections.spawn(async move { submit(&client, &action, &parameters, &shared).await });
        }
        let mut sent = Sent {
            times: histogram()?,
            refused: 0,
            refusal: None,
            took: Duration::ZERO,
            began,
            failure: None,
            was_interrupted: false,
        };
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                seen = connections.join_next() => match seen {
                    None => break,
                    Some(seen) => {
                        let lost = |_| Failure::Local("a connection was lost here".to_owned());
                        sent.add(seen.map_err(lost)??)?;
                        // One that has failed fails for all: what is measured then says nothing.
                        if sent.failure.is_some() {
                            shared.is_over.store(true, Ordering::Relaxed);
                        }
                    }
                },
                () = &mut over, if !shared.is_over.load(Ordering::Relaxed) => {
                    shared.is_over.store(true, Ordering::Relaxed);
                }
                _ = tokio::signal::ctrl_c() => {
                    sent.was_interrupted = true;
                    shared.is_over.store(true, Ordering::Relaxed);
                }
            }
        }
        sent.took = began.elapsed();
        Ok(sent)
    }
}

impl Sent {
    fn add(&mut self, seen: Seen) -> Result<(), Failure> {
        self.times.add(&seen.times).map_err(|_| no_histogram())?;
        self.refused = self.refused.saturating_add(seen.refused);
        self.refusal = seen.refusal.or(self.refusal.take());
        self.failure = seen.failure.or(self.failure.take());
        Ok(())
    }
}

fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new(DIGITS).map_err(|_| no_histogram())
}

fn no_histogram() -> Failure {
    Failure::Local("the times can't be counted".to_owned())
}

/// Returns true for a refusal that may be over a moment later: the queue is full, or something is not available now.
fn may_pass(refusal: &Refusal) -> bool {
    matches!(refusal.number, Some(503 | 506))
}

/// Submits over one connection, one action after another.
async fn submit(
    client: &Client,
    action: &str,
    parameters: &Pairs,
    shared: &Shared,
) -> Result<Seen, Failure> {
    let mut seen = Seen { times: histogram()?, refused: 0, refusal: None, failure: None };
    while !shared.is_over.load(Ordering::Relaxed) {
        let taken = shared
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken.is_err() {
            break;
        }
        let asked = Instant::now();
        match client.submit(action, parameters.clone()).await {
            Ok(_) => {
                let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                // It grows by itself, and a time that it can't hold would be one of centuries.
                let _ = seen.times.record(micros.max(1));
            }
            Err(ClientError { fault: Fault::Refused(refusal), .. }) if may_pass(&refusal) => {
                seen.refused = seen.refused.saturating_add(1);
                seen.refusal = Some(refusal.to_string());
                sleep(REST).await;
            }
            Err(error) => {
                seen.failure = Some(error);
                break;
            }
        }
    }
    Ok(seen)
}
