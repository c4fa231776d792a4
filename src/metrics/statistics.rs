//! The figures that the service port shows as a list (source: the page about its action `GetStatistics`). Beside a few of real
//! servers they are our own: those of the metrics, without histograms.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actiond_actors::{QueueHandle, State, System};

use super::Counted;
use super::process::Process;
use super::requests::{Outcome, Reason, Requests};
use super::write::word;
use crate::front::Port;

/// One figure.
#[derive(Debug)]
pub(crate) struct Statistic {
    /// The group of what it is about: the service, requests, a queue, its actions, the store.
    pub(crate) class: &'static str,
    /// Which of those: the name of a queue or of an action, or of a part of the service.
    pub(crate) of: String,
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) value: String,
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    /// Events since the start.
    Count,
    /// Things that there are now.
    Number,
    Seconds,
    Milliseconds,
}

impl Unit {
    /// Returns its number in replies (source: the page about `GetStatistics`).
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::Bytes => "1",
            Self::Count => "5",
            Self::Number => "6",
            Self::Seconds => "8",
            Self::Milliseconds => "9",
        }
    }
}

/// Returns all figures as they stand, all of them from memory but for the size of the database, as for a scrape, and those of the
/// process. Without `counted` there are fewer.
pub(crate) async fn statistics(
    counted: Option<&Arc<Counted>>,
    system: &System,
    began: Instant,
) -> Vec<Statistic> {
    let mut all = Figures::default();
    all.add("Service", "Statistics", "ServiceDuration", Unit::Seconds, began.elapsed().as_secs());
    if let Some(counted) = counted {
        all.requests(&counted.requests);
    }
    for queue in system.queues() {
        all.queue(&queue, counted.map(AsRef::as_ref));
    }
    if let Some(counted) = counted
        && let Some(size) = counted.store.read(system).await.size
    {
        let of_file = size.file.map(|file| [("FreeBytes", file.free), ("LogBytes", file.log)]);
        for (name, bytes) in
            [("Bytes", size.database)].into_iter().chain(of_file.into_iter().flatten())
        {
            all.add("Store", "Database", name, Unit::Bytes, bytes);
        }
    }
    if let Some(process) = Process::read() {
        all.process(&process);
    }
    all.0
}

/// The figures so far.
#[derive(Default)]
struct Figures(Vec<Statistic>);

impl Figures {
    fn add(
        &mut self,
        class: &'static str,
        of: &str,
        name: impl Into<String>,
        unit: Unit,
        value: impl ToString,
    ) {
        let (of, value) = (of.to_owned(), value.to_string());
        self.0.push(Statistic { class, of, name: name.into(), unit, value });
    }

    fn requests(&mut self, requests: &Requests) {
        let total = |outcome| {
            let each = requests.actions().iter().map(|action| action.number(outcome));
            each.fold(0_u64, u64::saturating_add)
        };
        for outcome in Outcome::ALL {
            let name = format!("Requests{}", capitalized(outcome.word()));
            self.add("Service", "Statistics", name, Unit::Count, total(outcome));
        }
        self.add("Service", "Statistics", "Connections", Unit::Number, requests.connections());
        for reason in Reason::ALL {
            let name = capitalized(reason.word());
            self.add("Service", "Refused", name, Unit::Count, requests.refused(reason));
        }
        for action in requests.actions() {
            let class = match action.port {
                Port::Aci => "Requests",
                Port::Service => "ServiceRequests",
            };
            for outcome in Outcome::ALL {
                let name = capitalized(outcome.word());
                self.add(class, &action.name, name, Unit::Count, action.number(outcome));
            }
            let average = format!("{:.3}", action.durations.average() * 1000.0);
            self.add(class, &action.name, "ResponseAverage", Unit::Milliseconds, average);
        }
    }

    fn queue(&mut self, queue: &QueueHandle, counted: Option<&Counted>) {
        let (name, summary, load) = (queue.name(), queue.summary(), queue.load());
        for state in State::ALL {
            self.add(
                "Queue",
                name,
                capitalized(word(state)),
                Unit::Number,
                summary.counts.of(state),
            );
        }
        self.add("Queue", name, "QueuePaused", Unit::Number, u8::from(summary.paused));
        self.add("Queue", name, "MaximumThreads", Unit::Number, load.slots);
        self.add("Queue", name, "ThreadsInUse", Unit::Number, load.slots_used);
        let Some(counted) = counted else { return };
        let events = counted.metrics.queues.of(name);
        for (what, count) in [("Submitted", &events.submitted), ("Attempts", &events.attempts)] {
            self.add("Actions", name, what, Unit::Count, count.load(Ordering::Relaxed));
        }
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            self.add("Actions", name, capitalized(word(state)), Unit::Count, events.ended(state));
        }
    }

    fn process(&mut self, process: &Process) {
        let cpu = format!("{:.2}", process.cpu_seconds);
        self.add("Service", "Process", "CPUTime", Unit::Seconds, cpu);
        self.add("Service", "Process", "ResidentBytes", Unit::Bytes, process.resident_bytes);
        self.add("Service", "Process", "Threads", Unit::Number, process.threads);
        self.add("Service", "Process", "OpenFiles", Unit::Number, process.open_fds);
    }
}

/// Returns the word of a label as names of statistics are written: `QueueFull` for `queue_full`.
fn capitalized(word: &str) -> String {
    let part = |part: &str| {
        let mut part = part.to_owned();
        if let Some(first) = part.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        part
    };
    word.split('_').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_labels_become_names() {
        let table = [("success", "Success"), ("queue_full", "QueueFull"), ("", "")];
        for (word, name) in table {
            assert_eq!(capitalized(word), name);
        }
    }
}
