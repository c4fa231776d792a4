//! What the clients of a storm asked for and were told, and whether all of it fits together.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actiond_actors::State;

use super::super::calls::id_of;
use super::QUEUES;
use super::seen::{Between, Seen, Wrong};

/// What an action was given to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) queue: usize,
    /// A number of its own; copies have that of their source.
    pub(crate) mark: u64,
    pub(crate) priority: i32,
    pub(crate) sleep_ms: u64,
    pub(crate) fails: bool,
    /// The file that it takes in and removes, in a queue of Ingest.
    pub(crate) source: Option<PathBuf>,
}

/// Sleeps of this length end only because they are stopped.
pub(crate) const LONG_MS: u64 = 600_000;

/// When a request was sent and its reply received, since the storm began, and in which life of the
/// server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) sent: Duration,
    pub(crate) received: Duration,
    pub(crate) life: usize,
}

/// An acknowledged action.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) plan: Plan,
    pub(crate) copy: bool,
    pub(crate) span: Span,
    pub(crate) changes: Vec<Change>,
    /// Whether a cancel or a stop of it was ever sent.
    pub(crate) end_asked: bool,
    pub(crate) seen: Vec<(Span, Seen)>,
}

/// A change of priority that was sent.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) priority: i32,
    pub(crate) sent: Duration,
    /// When it was confirmed or refused; a kill may have swallowed the answer.
    pub(crate) received: Option<Duration>,
    pub(crate) done: bool,
}

impl Entry {
    /// How it ended, as far as anybody was shown.
    pub(crate) fn end(&self) -> Option<&Seen> {
        self.seen.iter().map(|(_, seen)| seen).find(|seen| seen.state.is_final())
    }
}

/// What is known of a queue.
#[derive(Debug, Default)]
pub(crate) struct QueueBook {
    /// Submissions and copies that were sent.
    pub(crate) submissions: u64,
    /// Those that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Copies whose reply was lost with the server: each may be there or not.
    pub(crate) lost_copies: u64,
    pub(crate) stop_all: bool,
    /// Whether it is paused; unknown while a command is on its way.
    pub(crate) paused: Option<bool>,
    /// Since when nothing may start, by the wall clock in milliseconds.
    pub(crate) paused_since: Option<i64>,
    /// From when until when nothing may have started.
    pub(crate) pauses: Vec<(i64, i64)>,
}

#[derive(Default)]
pub(crate) struct Books {
    /// How often the server was started.
    pub(crate) life: usize,
    pub(crate) entries: Vec<Entry>,
    pub(crate) by_id: HashMap<u64, usize>,
    pub(crate) queues: [QueueBook; QUEUES.len()],
    /// Submissions without a reply: they are sent again under the same key.
    pub(crate) unanswered: Vec<(Plan, Duration)>,
    pub(crate) requests: u64,
    /// How often a running action was paused.
    pub(crate) pauses: usize,
    /// How often the counts could be compared with a listing.
    pub(crate) compared: u64,
    /// How many actions ran more than once, by the database file.
    pub(crate) repeated: usize,
    marks: u64,
    found: BTreeMap<Wrong, Vec<String>>,
}

pub(crate) struct Ledger {
    began: Instant,
    books: Mutex<Books>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), books: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        // A client that failed fails the test; the others may go on until then.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an illegal outcome.
    pub(crate) fn found(&self, wrong: Wrong, what: impl Into<String>) {
        self.books().found(wrong, what);
    }
}

impl Books {
    pub(crate) fn found(&mut self, wrong: Wrong, what: impl Into<String>) {
        self.found.entry(wrong).or_default().push(what.into());
    }

    pub(crate) fn next_mark(&mut self) -> u64 {
        self.marks += 1;
        self.marks
    }

    /// Notes an acknowledged submission or copy.
    pub(crate) fn submitted(&mut self, token: String, plan: &Plan, copy: bool, span: Span) {
        let id = id_of(&token);
        self.queues[plan.queue].acknowledged += 1;
        if self.by_id.insert(id, self.entries.len()).is_some() {
            self.found(Wrong::TokenTwice, format!("action {id} of mark {}", plan.mark));
        }
        self.entries.push(Entry {
            id,
            token,
            plan: plan.clone(),
            copy,
            span,
            changes: Vec::new(),
            end_asked: false,
            seen: Vec::new(),
        });
    }

    /// Notes what a reply showed of an action, and compares it with all that was shown of it before.
    pub(crate) fn observe(&mut self, index: usize, span: Span, seen: Seen) {
        let entry = &self.entries[index];
        let queue = &QUEUES[entry.plan.queue];
        let mut wrongs: Vec<(Wrong, String)> = Vec::new();
        wrongs.extend(seen.wrong().map(|wrong| (wrong, "by itself".to_owned())));
        if let Some(mark) = seen.details.as_ref().and_then(|d| d.mark.as_ref())
            && *mark != entry.plan.mark.to_string()
        {
            wrongs.push((Wrong::Reply, format!("the result is that of mark {mark}")));
        }
        for (when, other) in &entry.seen {
            let between = |first: &Span, second: &Span| {
                if first.life == second.life {
                    Between::Nothing
                } else {
                    Between::Kill { requeues: queue.requeues }
                }
            };
            let wrong = if when.received <= span.sent {
                other.wrong_before(&seen, between(when, &span))
            } else if span.received <= when.sent {
                seen.wrong_before(other, between(&span, when))
            } else {
                other.wrong_beside(&seen)
            };
            wrongs.extend(wrong.map(|wrong| (wrong, format!("{when:?} showed {other:?}"))));
        }
        let whose = format!("action {} of {}: {span:?} shows {seen:?}", entry.id, queue.name);
        // The same again tells nothing new; the earliest and the latest look at it are the strictest.
        let same = |(when, other): &&(Span, Seen)| when.life == span.life && *other == seen;
        if entry.seen.iter().filter(same).count() < 2 {
            self.entries[index].seen.push((span, seen));
        } else if let Some((when, _)) =
            self.entries[index].seen.iter_mut().filter(|s| same(&&**s)).max_by_key(|s| s.0.sent)
            && when.sent < span.sent
        {
            *when = span;
        }
        for (wrong, why) in wrongs {
            self.found(wrong, format!("{whose}; {why}"));
        }
    }

    /// Prints how often each illegal outcome was found; fails if any was.
    pub(crate) fn judge(&self, seed: u64) {
        let ends = State::ALL.into_iter().filter(|state| state.is_final()).map(|state| {
            let ended = |entry: &&Entry| entry.end().is_some_and(|end| end.state == state);
            format!("{} {state}", self.entries.iter().filter(ended).count())
        });
        let changes = self.entries.iter().flat_map(|entry| &entry.changes);
        let mut table = format!(
            "storm of seed {seed}: {} requests, {} actions ({}), {} copies, {} changes of priority, \
             {} lives of the server, {} actions ran again, counts compared {} times\n",
            self.requests,
            self.entries.len(),
            ends.collect::<Vec<_>>().join(", "),
            self.entries.iter().filter(|entry| entry.copy).count(),
            changes.filter(|change| change.done).count(),
            self.life,
            self.repeated,
            self.compared
        );
        for wrong in Wrong::ALL {
            let count = self.found.get(&wrong).map_or(0, Vec::len);
            writeln!(table, "{count:>6}  {}", wrong.meaning()).expect("text");
        }
        for (wrong, found) in &self.found {
            for what in found.iter().take(5) {
                writeln!(table, "{}: {what}", wrong.meaning()).expect("text");
            }
        }
        eprintln!("{table}");
        assert!(
            self.found.is_empty(),
            "illegal outcomes; to run this storm again: ACTIOND_STORM_SEED={seed}\n{table}"
        );
    }
}
