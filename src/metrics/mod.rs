//! Metrics for Prometheus, at `/metrics` beside the actions: what queues, store, requests and process have done, and how they
//! stand.
//!
//! An endpoint has them once it is given a [`Metrics`] that observes its system. Whoever may see them has the role
//! `ServiceStatus`.
//!
//! ```
//! use actix_web::{App, test};
//! use actiond::front::Endpoint;
//! use actiond::kinds::echo::Echo;
//! use actiond::metrics::Metrics;
//! use actiond_actors::{Parameters, QueueSettings, Submission, System};
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let metrics = Metrics::default();
//! let system = System::builder(directory.path())
//!     .observer(metrics.observer())
//!     .queue("Process", QueueSettings::default(), Echo)
//!     .start()
//!     .await?;
//! let endpoint = Endpoint::builder(system.clone()).metrics(metrics).build();
//! let app = test::init_service(App::new().configure(actiond::http::configure(&endpoint))).await;
//!
//! let queue = system.queue("Process").ok_or("no such queue")?;
//! queue.submit(Submission::new(Parameters::default())).await?;
//! let request = test::TestRequest::get().uri("/metrics").to_request();
//! let text = test::call_and_read_body(&app, request).await;
//! assert!(String::from_utf8_lossy(&text).contains("actiond_actions_submitted_total{queue=\"Process\"} 1"));
//! # system.shutdown(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! # What it costs
//!
//! Each event and each request adds to a few atomics; nothing is kept of it, so nothing grows if nobody scrapes. A scrape reads
//! those and what the queues have in memory. Of the database its size is read and where each queue begins, every few seconds at most.
//!
//! No label has a value that a client chooses: queues, actions, states, outcomes and reasons are known when the server starts.
//! So the number of series is fixed.
//!
//! | module | contents |
//! |---|---|
//! | here | [`Metrics`], and what an endpoint counts with it |
//! | `backups` | counts of backups |
//! | `families` | all metrics, with their names and meanings |
//! | `queues` | counts of the events of queues |
//! | `requests` | counts of requests and connections |
//! | `histogram` | histograms of atomics |
//! | `history` | the last hour of each queue, for `QueueInfo` |
//! | `process` | figures of the process |
//! | `snapshot` | what a scrape reads |
//! | `write` | the text of a scrape |
//! | `statistics` | the same figures for the service port |

mod backups;
mod families;
mod histogram;
mod history;
mod process;
mod queues;
mod requests;
mod snapshot;
mod statistics;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;
use std::time::Instant;

use actiond_actors::System;
use actiond_actors::events::{Interest, Observer, QueueEvent};
use prometheus_client::encoding::prometheus_text;

use crate::events::LiveEvents;
use backups::Backups;
use history::History;
pub(crate) use history::{LastHour, Minute, Percentiles};
use queues::Queues;
pub use requests::Reason;
pub(crate) use requests::{OpenConnection, Outcome, Place, Requests};
use snapshot::{KnownOfStore, Snapshot};
pub(crate) use statistics::{Statistic, statistics};

/// The metrics of a system of queues. Cheap to clone; all clones count together.
///
/// Give an observer of it to the builder of the system, and itself to that of the endpoint
/// ([`EndpointBuilder::metrics`](crate::front::EndpointBuilder::metrics)). It is for one system.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    queues: Arc<Queues>,
}

impl Metrics {
    /// Makes an observer that counts the events of queues, for [`Builder::observer`](actiond_actors::Builder::observer). Without
    /// one the counters of queues stay 0.
    #[must_use]
    pub fn observer(&self) -> impl Observer + use<> {
        Counting(Arc::clone(&self.queues))
    }
}

/// The observer of a [`Metrics`].
struct Counting(Arc<Queues>);

impl Observer for Counting {
    fn interest(&self) -> Interest {
        self.0.interest()
    }

    fn on_event(&self, queue: &str, event: &QueueEvent<'_>) {
        self.0.on_event(queue, event);
    }
}

/// The form of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus' text format, version 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Chooses the form that a client takes, by its header `Accept`: OpenMetrics if it is named, and nothing is preferred to it.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or_default();
        match (weight(accept, OPEN_METRICS), weight(accept, "text/plain")) {
            (Some(open), text) if open > 0.0 && text.is_none_or(|text| open >= text) => {
                Self::OpenMetrics
            }
            _ => Self::Text,
        }
    }

    /// Returns the content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text";

/// Returns the greatest weight that a header `Accept` gives this type by name.
fn weight(accept: &str, wanted: &str) -> Option<f32> {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_wanted = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_wanted.then(|| weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0))
    });
    ranges.reduce(f32::max)
}

/// What an endpoint counts, with the metrics of its system.
#[derive(Debug)]
pub(crate) struct Counted {
    metrics: Metrics,
    pub(crate) requests: Requests,
    pub(crate) backups: Backups,
    live: Option<LiveEvents>,
    store: KnownOfStore,
    history: History,
    began: Instant,
}

/// Number of bytes that a scrape has at least, and more of them for each queue. It reserves memory for as much before it writes.
const BASE_BYTES: usize = 64 << 10;
const QUEUE_BYTES: usize = 12 << 10;

impl Counted {
    pub(crate) fn new(
        metrics: Metrics,
        requests: Requests,
        live: Option<LiveEvents>,
        began: Instant,
    ) -> Self {
        let (backups, store) = (Backups::default(), KnownOfStore::default());
        Self { metrics, requests, backups, live, store, history: History::default(), began }
    }

    /// Returns the number of clients that listen to live events.
    fn listeners(&self) -> u64 {
        let listeners = self.live.as_ref().map_or(0, LiveEvents::listeners);
        u64::try_from(listeners).unwrap_or(u64::MAX)
    }

    /// Returns an estimate of the bytes of a scrape.
    pub(crate) fn expected(system: &System) -> usize {
        system.queues().len().saturating_mul(QUEUE_BYTES).saturating_add(BASE_BYTES)
    }

    /// Writes the metrics as they stand.
    pub(crate) async fn scrape(self: &Arc<Self>, system: &System, format: Format) -> String {
        let snapshot = Snapshot::take(self, system).await;
        // Writing to a string can't fail.
        write::write(snapshot, format).unwrap_or_default()
    }
}
