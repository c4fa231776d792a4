//! The statistics of a queue as elements, for `queueStatus` with `Statistics=true` (our extension): how its actions stand, and what its
//! last hour was like.

use actiond_actors::store::query::{Query, States};
use actiond_actors::{State, Summary};
use std::time::Duration;

use super::endpoint::Endpoint;
use super::errors::queue_error;
use super::render::{states, time};
use super::served_queue::ServedQueue;
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::metrics::{LastHour, Minute, Percentiles};

/// Returns the statistics of a queue with these counts. The last hour is what this server has seen of it, and is left out where
/// nothing is counted.
pub(super) async fn of_queue(
    endpoint: &Endpoint,
    served: &ServedQueue,
    summary: &Summary,
) -> Result<Element, AciError> {
    let queue = &served.queue;
    let load = queue.load();
    let limit = queue.settings().max_queue_size;
    let limit = limit.map(|limit| Element::text("limit", limit.to_string()));
    let last_hour = endpoint.counted().map(|counted| last_hour(&counted.last_hour(queue.name())));
    Ok(Element::new("statistics")
        .child(states(&summary.counts))
        .child(Element::text("slots", load.slots.to_string()))
        .child(Element::text("slots_used", load.slots_used.to_string()))
        .children(limit)
        .children(oldest(endpoint, served).await?)
        .children(last_hour))
}

/// Returns when the oldest action was queued that waits, and for how long it does; nothing if none waits.
async fn oldest(endpoint: &Endpoint, served: &ServedQueue) -> Result<Vec<Element>, AciError> {
    let states = States::NONE.with(State::Queued);
    let mut waiting = served.queue.list(Query { states, descending: false, ..Query::default() }, 0);
    let first = waiting.next_page(1).await;
    let first = first.map_err(|e| queue_error(&e, served.queue.name(), None))?;
    let now = endpoint.system().clock().now();
    Ok(first.first().map_or_else(Vec::new, |status| {
        let waited = status.in_queue(now).as_secs().to_string();
        vec![
            time("oldest_queued_time", status.record.queued_at),
            Element::text("oldest_time_in_queue", waited),
        ]
    }))
}

fn last_hour(LastHour { minutes, wait, run }: &LastHour) -> Element {
    let sum = |of: fn(&Minute) -> u64| minutes.iter().map(of).fold(0, u64::saturating_add);
    let total = |name: &'static str, of| Element::text(name, sum(of).to_string());
    let minute = |minute: &Minute| {
        Element::new("minute")
            .attribute("submitted", minute.submitted.to_string())
            .attribute("ended", minute.ended.to_string())
            .attribute("failed", minute.failed.to_string())
    };
    let times = [("time_in_queue", wait), ("time_processing", run)];
    let times = times.into_iter().filter_map(|(name, of)| Some(percentiles(name, (*of)?)));
    Element::new("last_hour")
        .child(total("submitted", |minute| minute.submitted))
        .child(total("ended", |minute| minute.ended))
        .child(total("failed", |minute| minute.failed))
        .children(times)
        .children(minutes.iter().map(minute))
}

fn percentiles(name: &'static str, of: Percentiles) -> Element {
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    Element::new(name)
        .attribute("p50", seconds(of.half))
        .attribute("p90", seconds(of.ninety))
        .attribute("p99", seconds(of.ninety_nine))
}
