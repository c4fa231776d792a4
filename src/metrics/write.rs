//! The text of a scrape: what a snapshot holds, family by family. The library knows the two forms.

use std::fmt;
use std::time::Duration;

use actiond_actors::{Standing, State, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
    NoLabelSet, prometheus_text, text,
};
use prometheus_client::registry::Registry;

use super::Format;
use super::families::{self as of, Family};
use super::histogram::Histogram;
use super::process::Process;
use super::queues::Why;
use super::requests::{Outcome, Reason};
use super::snapshot::{OneQueue, Snapshot};
use crate::front::Port;

/// Writes a snapshot.
pub(super) fn write(snapshot: Snapshot, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut written = String::new();
    match format {
        Format::Text => prometheus_text::encode(&mut written, &registry)?,
        Format::OpenMetrics => text::encode(&mut written, &registry)?,
    }
    Ok(written)
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.server(&mut out)?;
        self.queues(&mut out)?;
        self.store(&mut out)?;
        self.backups(&mut out)?;
        self.http(&mut out)?;
        self.process.as_ref().map_or(Ok(()), |process| process.write(&mut out))
    }
}

/// The text as far as it is written.
struct Out<'a>(DescriptorEncoder<'a>);

/// The label of a queue.
type OfQueue<'a> = [(&'static str, &'a str); 1];

impl Out<'_> {
    fn family(&mut self, family: &Family) -> Result<MetricEncoder<'_>, fmt::Error> {
        // Names say the unit already.
        self.0.encode_descriptor(family.name, family.help, None, family.kind)
    }

    fn gauge(&mut self, family: &Family, value: impl EncodeGaugeValue) -> fmt::Result {
        self.family(family)?.encode_gauge(&value)
    }

    fn flag(&mut self, family: &Family, is_so: bool) -> fmt::Result {
        self.gauge(family, u64::from(is_so))
    }

    fn counter(&mut self, family: &Family, value: impl EncodeCounterValue) -> fmt::Result {
        counter(&mut self.family(family)?, &value)
    }

    fn histogram(&mut self, family: &Family, values: &Histogram) -> fmt::Result {
        histogram(&mut self.family(family)?, values)
    }

    /// Writes a family with one gauge of each queue.
    fn gauges<'q, G: EncodeGaugeValue>(
        &mut self,
        family: &Family,
        queues: &'q [OneQueue],
        value: impl Fn(&'q OneQueue) -> G,
    ) -> fmt::Result {
        self.each(family, queues, |queue, out| out.encode_gauge(&value(queue)))
    }

    /// Writes a family with one counter of each queue.
    fn counters<'q>(
        &mut self,
        family: &Family,
        queues: &'q [OneQueue],
        value: impl Fn(&'q OneQueue) -> u64,
    ) -> fmt::Result {
        self.each(family, queues, |queue, out| counter(out, &value(queue)))
    }

    /// Writes a family with one series of each queue.
    fn each<'q>(
        &mut self,
        family: &Family,
        queues: &'q [OneQueue],
        one: impl Fn(&'q OneQueue, &mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut out = self.family(family)?;
        queues.iter().try_for_each(|queue| one(queue, &mut out.encode_family(&queue.label())?))
    }
}

fn counter(out: &mut MetricEncoder<'_>, value: &impl EncodeCounterValue) -> fmt::Result {
    out.encode_counter::<NoLabelSet, _, f64>(value, None)
}

fn histogram(out: &mut MetricEncoder<'_>, values: &Histogram) -> fmt::Result {
    let read = values.read();
    out.encode_histogram::<NoLabelSet>(read.sum, read.count, &read.buckets, None)
}

/// Writes one counter of a family that has several labels.
fn labelled(out: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    counter(&mut out.encode_family(labels)?, &value)
}

impl OneQueue {
    fn label(&self) -> OfQueue<'_> {
        [("queue", &self.name)]
    }
}

impl Snapshot {
    fn server(&self, out: &mut Out<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.family(&of::BUILD_INFO)?.encode_family(&version)?.encode_gauge(&1_u64)?;
        out.gauge(&of::UPTIME, self.uptime.as_secs_f64())?;
        out.flag(&of::READY, self.is_ready)?;
        out.flag(&of::DRAINING, self.is_draining)
    }

    fn queues(&self, out: &mut Out<'_>) -> fmt::Result {
        let queues = &self.queues;
        let mut actions = out.family(&of::ACTIONS)?;
        for (queue, state) in each_with(queues, State::ALL) {
            let labels = [("queue", &*queue.name), ("state", word(state))];
            actions.encode_family(&labels)?.encode_gauge(&queue.counts.of(state))?;
        }
        out.counters(&of::SUBMITTED, queues, |queue| load(&queue.counted.submitted))?;
        let mut ended = out.family(&of::ENDED)?;
        for (queue, state) in each_with(queues, State::ALL).filter(|(_, state)| state.is_final()) {
            let labels = [("queue", &*queue.name), ("outcome", word(state))];
            labelled(&mut ended, &labels, queue.counted.ended(state))?;
        }
        out.counters(&of::ATTEMPTS, queues, |queue| load(&queue.counted.attempts))?;
        let mut requeued = out.family(&of::REQUEUED)?;
        for (queue, why) in each_with(queues, Why::ALL) {
            let labels = [("queue", &*queue.name), ("reason", why.word())];
            labelled(&mut requeued, &labels, queue.counted.requeued(why))?;
        }
        out.each(&of::WAIT, queues, |queue, out| histogram(out, &queue.counted.wait))?;
        out.each(&of::RUN, queues, |queue, out| histogram(out, &queue.counted.run))?;
        out.gauges(&of::INBOX, queues, |queue| queue.load.inbox)?;
        if let Some(oldest) = &self.store.oldest {
            let age = |queue: &OneQueue| oldest.get(&*queue.name).map_or(0.0, |at| self.since(*at));
            out.gauges(&of::OLDEST, queues, age)?;
        }
        out.gauges(&of::SLOTS, queues, |queue| queue.load.slots)?;
        out.gauges(&of::SLOTS_USED, queues, |queue| queue.load.slots_used)?;
        out.gauges(&of::QUEUE_LIMIT, queues, |queue| limit(queue.limit))?;
        out.gauges(&of::PAUSED, queues, |queue| u64::from(queue.paused))?;
        out.gauges(&of::UP, queues, |queue| u64::from(queue.load.is_up))?;
        out.counters(&of::STALE_REPORTS, queues, |queue| queue.stale_reports)
    }

    /// Returns the seconds since this time; 0 where a clock was set back.
    fn since(&self, at: Timestamp) -> f64 {
        let age = self.now.millis().saturating_sub(at.millis());
        Duration::from_millis(u64::try_from(age).unwrap_or_default()).as_secs_f64()
    }

    fn store(&self, out: &mut Out<'_>) -> fmt::Result {
        let batches = &self.counted.metrics.queues;
        out.histogram(&of::COMMIT_TIME, &batches.commits)?;
        out.histogram(&of::COMMIT_CHANGES, &batches.changes)?;
        if let Some(size) = self.store.size {
            out.gauge(&of::DATABASE, size.database)?;
        }
        if let Some(file) = self.store.size.and_then(|size| size.file) {
            out.gauge(&of::DATABASE_FREE, file.free)?;
            out.gauge(&of::DATABASE_LOG, file.log)?;
            out.gauge(&of::DISK, file.disk)?;
            out.gauge(&of::DISK_FREE, file.disk_free)?;
        }
        out.flag(&of::STORE_UP, self.is_store_available)?;
        if let Some(standing) = self.standing {
            out.flag(&of::LEASE, standing == Standing::Holds)?;
            out.counter(&of::LEASES_LOST, self.leases_lost)?;
        }
        Ok(())
    }

    fn backups(&self, out: &mut Out<'_>) -> fmt::Result {
        let counted = &self.counted.backups;
        let mut backups = out.family(&of::BACKUPS)?;
        for (outcome, number) in counted.numbers() {
            labelled(&mut backups, &[("outcome", outcome)], number)?;
        }
        out.gauge(&of::LAST_BACKUP, counted.last())
    }

    fn http(&self, out: &mut Out<'_>) -> fmt::Result {
        let counted = &self.counted.requests;
        let mut requests = out.family(&of::REQUESTS)?;
        for action in counted.actions() {
            for outcome in Outcome::ALL {
                let labels = [
                    ("port", port(action.port)),
                    ("action", &*action.name),
                    ("outcome", outcome.word()),
                ];
                labelled(&mut requests, &labels, action.number(outcome))?;
            }
        }
        let mut durations = out.family(&of::REQUEST_TIME)?;
        for action in counted.actions() {
            let labels = [("port", port(action.port)), ("action", &*action.name)];
            histogram(&mut durations.encode_family(&labels)?, &action.durations)?;
        }
        let mut refused = out.family(&of::REFUSED)?;
        for reason in Reason::ALL {
            labelled(&mut refused, &[("reason", reason.word())], counted.refused(reason))?;
        }
        out.gauge(&of::CONNECTIONS, counted.connections())?;
        out.gauge(&of::LISTENERS, self.counted.listeners())
    }
}

impl Process {
    fn write(&self, out: &mut Out<'_>) -> fmt::Result {
        out.counter(&of::CPU, self.cpu_seconds)?;
        out.gauge(&of::RESIDENT, self.resident_bytes)?;
        out.gauge(&of::VIRTUAL, self.virtual_bytes)?;
        out.gauge(&of::THREADS, self.threads)?;
        out.gauge(&of::OPEN_FDS, self.open_fds)?;
        out.gauge(&of::MAX_FDS, self.max_fds)?;
        out.gauge(&of::STARTED, self.start_time_seconds)
    }
}

/// Pairs each queue with each of these.
fn each_with<T: Copy, const N: usize>(
    queues: &[OneQueue],
    each: [T; N],
) -> impl Iterator<Item = (&OneQueue, T)> {
    queues.iter().flat_map(move |queue| each.into_iter().map(move |one| (queue, one)))
}

fn load(count: &std::sync::atomic::AtomicU64) -> u64 {
    count.load(std::sync::atomic::Ordering::Relaxed)
}

/// Returns the word for a state in labels.
pub(super) const fn word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Processing => "processing",
        State::Paused => "paused",
        State::Stopping => "stopping",
        State::Finished => "finished",
        State::Error => "error",
        State::Cancelled => "cancelled",
        State::Stopped => "stopped",
    }
}

const fn port(port: Port) -> &'static str {
    match port {
        Port::Aci => "aci",
        Port::Service => "service",
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many actions")]
fn limit(limit: Option<u64>) -> f64 {
    limit.map_or(f64::INFINITY, |limit| limit as f64)
}
