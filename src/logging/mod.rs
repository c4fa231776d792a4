//! The streams of the log: files of lines by their types, beside the console.
//!
//! | module | contents |
//! |---|---|
//! | here | [`Streams`], where lines come in |
//! | `level` | the levels of lines |
//! | `settings` | what the configuration says of a stream |
//! | `routes` | which streams take a line |
//! | `stream` | one stream: its settings, its file and its thread |
//! | `channel` | the way of lines to the thread that writes them |
//! | `line` | a line as text and as JSON |
//! | `file` | writing, and beginning a new file |
//! | `old_files` | compressing, deleting and moving old files |
//! | `history` | the last lines, in memory |
//! | `requests` | the lines of a request |
//! | `actions` | the lines of the start and the end of an action |
//! | `console` | the console, as streams know it |
//!
//! A line knows the request or the action that it is about from [`Subject`], whoever says it.

mod actions;
pub(crate) mod channel;
pub(crate) mod console;
mod file;
mod history;
mod level;
mod line;
pub(crate) mod old_files;
mod requests;
mod routes;
mod settings;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actiond_actors::Subject;
use actiond_actors::clock::{Clock as _, SystemClock};
use actiond_actors::subject::{self, ACTION_LOG};
use arc_swap::{ArcSwap, ArcSwapOption};

use crate::kinds::MakeToken;
pub use actions::log_actions;
use console::Console;
pub use level::Level;
use line::{About, Line, ThreadName};
pub(crate) use old_files::is_old_name;
pub(crate) use requests::RequestOutcome;
use routes::{APPLICATION, Routes};
pub use settings::{ExpireAction, LogFormat, StreamSettings};
use stream::Stream;

/// Number of lines that are kept until it is known which streams there are.
const MAX_EARLY: usize = 1_000;

/// The crate whose lines at info are for developers: the starts and stops of its threads.
pub(crate) const QUIET: &str = "actix_server";
/// The crate that warns of each connection to a database that has ended. What comes of it is logged elsewhere.
pub(crate) const POOL: &str = "deadpool";

/// The type of lines that are of no other.
pub const APPLICATION_TYPE: &str = "application";
/// The type of lines about requests, and about the start and end of actions.
pub const ACTION_TYPE: &str = "action";

/// The streams of a log. All clones are the same ones.
///
/// The program `actiond` hands them all that is logged. In an application of your own they get the lines of requests
/// ([`EndpointBuilder::log_streams`](crate::front::EndpointBuilder::log_streams)) and of actions ([`log_actions`]).
#[derive(Clone, Default)]
pub struct Streams(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// True if there is any stream.
    is_open: AtomicBool,
    open: ArcSwap<Open>,
    console: OnceLock<Console>,
    /// Lines that were said before it was known which streams there are; `None` from then on, and where nobody keeps it.
    early: Mutex<Option<Vec<Early>>>,
    tokens: ArcSwapOption<MakeToken>,
}

#[derive(Default)]
struct Open {
    streams: Vec<(String, u64, Arc<Stream>)>,
    routes: Routes,
}

/// A line that was said early.
struct Early {
    level: Level,
    target: String,
    message: String,
}

/// The wish of streams about the console, for a line that they have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// If it would without streams.
    AsUsual,
    Always,
    Never,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streams").field(&self.names()).finish()
    }
}

impl Streams {
    /// Makes streams that keep what is said until they are first [opened](Self::open).
    pub(crate) fn with_console(console: Console) -> Self {
        let streams = Self::default();
        // It is new, so there is no other.
        let _ = streams.0.console.set(console);
        *streams.0.early.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        streams
    }

    /// Opens these streams in place of those that are open; one with the same file goes on with its new settings. `queues` are the
    /// names of the queues, each with the types of lines about its actions.
    ///
    /// Nothing that is wrong with a file ends this: it is said on the console, and lines are lost until it is mended.
    pub fn open<'a>(
        &self,
        settings: &[StreamSettings],
        queues: impl IntoIterator<Item = (&'a str, Vec<&'static str>)>,
    ) {
        let shared = &*self.0;
        let before = shared.open.load_full();
        let console = shared.console.get().cloned().unwrap_or_else(|| Console::new(|_, _, _| {}));
        let mut streams = Vec::new();
        let (routes, takes) = Routes::new(settings, queues);
        for (settings, takes) in settings.iter().zip(takes) {
            let same = before.streams.iter().find(|(_, _, stream)| stream.path == settings.path);
            let stream = match same {
                Some((_, _, stream)) => {
                    stream.set(settings.clone());
                    Arc::clone(stream)
                }
                None => match Stream::open(settings.clone(), console.clone()) {
                    Ok(stream) => Arc::new(stream),
                    Err(error) => {
                        let path = settings.path.display();
                        console.say(log::Level::Error, format_args!("{path}: {error}"));
                        continue;
                    }
                },
            };
            streams.push((settings.name.clone(), takes, stream));
        }
        let is_open = !streams.is_empty();
        if is_open {
            subject::observe();
        }
        shared.open.store(Arc::new(Open { streams, routes }));
        shared.is_open.store(is_open, Ordering::Release);
        let early = shared.early.lock().unwrap_or_else(PoisonError::into_inner).take();
        for Early { level, target, message } in early.into_iter().flatten() {
            self.say(level, &target, format_args!("{message}"));
        }
    }

    /// Sets how the tokens of actions are made, with which lines about them are marked.
    pub fn set_tokens(&self, tokens: MakeToken) {
        self.0.tokens.store(Some(Arc::new(tokens)));
    }

    /// Returns the names of the streams, in the order of the configuration.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.open.load().streams.iter().map(|(name, _, _)| name.clone()).collect()
    }

    /// Returns the last lines of the stream of this name, up to `lines` of them, the oldest first; `None` if there is no such
    /// stream. They are those in memory (`LogHistorySize`): no file is read.
    #[must_use]
    pub fn tail(&self, name: &str, lines: usize) -> Option<Vec<String>> {
        let open = self.0.open.load();
        let mut all = open.streams.iter();
        let (_, _, stream) = all.find(|(other, _, _)| other.eq_ignore_ascii_case(name))?;
        Some(stream.history.tail(lines))
    }

    /// Returns the least level of a record of the crate `log` that any stream takes.
    #[must_use]
    pub fn max_level(&self) -> log::LevelFilter {
        let open = self.0.open.load();
        let levels = open.streams.iter().map(|(_, _, stream)| stream.settings().level);
        levels.map(level::filter).max().unwrap_or(log::LevelFilter::Off)
    }

    /// Waits until all is written, or `patience` has passed in which nothing of a stream could be.
    pub fn finish(&self, patience: Duration) {
        for (_, _, stream) in &self.0.open.load().streams {
            stream.channel().finish(patience);
        }
    }

    /// Takes a record of the crate `log`.
    pub(crate) fn take(&self, record: &log::Record<'_>) -> Echo {
        let level = Level::from(record.level());
        if self.is_open() {
            if is_of_others(record) {
                return Echo::AsUsual;
            }
            return self.say(level, record.target(), *record.args());
        }
        if let Some(early) = &mut *self.0.early.lock().unwrap_or_else(PoisonError::into_inner)
            && early.len() < MAX_EARLY
            && record.level() <= log::Level::Info
            && !is_of_others(record)
        {
            let (target, message) = (record.target().to_owned(), record.args().to_string());
            early.push(Early { level, target, message });
        }
        Echo::AsUsual
    }

    /// Takes a line about what the thread works on, or about the program.
    pub(crate) fn say(&self, level: Level, target: &str, message: fmt::Arguments<'_>) -> Echo {
        let open = self.0.open.load();
        Subject::with_current(|subject| {
            let queue = subject.and_then(Subject::queue);
            let (to, kind) = match queue.and_then(|queue| open.routes.queue(queue)) {
                Some(queue) => queue.of_lines(),
                None => (APPLICATION, APPLICATION_TYPE),
            };
            let about = subject.map(|subject| self.about(subject)).unwrap_or_default();
            self.put(&open, to, &[Line { level, kind, target, message, about }])
        })
    }

    /// Returns what the console says where a stream wants a record of the crate `log` there: with the ids that it is about.
    pub(crate) fn with_ids(&self, said: fmt::Arguments<'_>) -> String {
        Subject::with_current(|subject| {
            let about = subject.map(|subject| self.about(subject)).unwrap_or_default();
            line::with_ids(said, about)
        })
    }

    /// Returns what lines say of a subject.
    fn about<'a>(&self, subject: &'a Subject) -> About<'a> {
        if let (None, Some(action), Some(queue)) =
            (subject.token(), subject.action(), subject.queue())
            && let Some(tokens) = &*self.0.tokens.load()
        {
            subject.set_token(&tokens(queue, action));
        }
        About {
            action_id: subject.request(),
            token: subject.token(),
            queue: subject.queue(),
            client: subject.client(),
        }
    }

    fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Acquire)
    }

    /// Puts lines into the streams that take any of these types, and says them on the console where a stream wants that and nothing
    /// else would.
    fn put(&self, open: &Open, to: u64, lines: &[Line<'_>]) -> Echo {
        let (mut has_taken, mut wants, mut wants_not) = (false, false, true);
        let millis = SystemClock.now().millis();
        let thread = thread();
        let thread = ThreadName { number: thread.0, name: &thread.1 };
        for (_, _, stream) in open.streams.iter().filter(|(_, takes, _)| takes & to != 0) {
            let Some(echo) = stream.put(millis, thread, lines) else { continue };
            has_taken = true;
            wants |= echo == Some(true);
            wants_not &= echo == Some(false);
        }
        match (has_taken, wants, wants_not) {
            (true, true, _) => Echo::Always,
            (true, false, true) => Echo::Never,
            _ => Echo::AsUsual,
        }
    }

    /// Says lines on the console that came by no record, if a stream wants that.
    fn echo(&self, echo: Echo, lines: &[Line<'_>]) {
        let (Echo::Always, Some(console)) = (echo, self.0.console.get()) else { return };
        for line in lines {
            let said = line::with_ids(line.message, line.about);
            console.say_of(line.level.into(), line.target, format_args!("{said}"));
        }
    }
}

/// Returns true for lines of other crates that are for their developers: all below info, and some at info. Some of them would show
/// the parameters of actions.
fn is_of_others(record: &log::Record<'_>) -> bool {
    let target = record.target();
    let is_own = target.starts_with("actiond") || target == ACTION_LOG;
    !is_own
        && (record.level() > log::Level::Info
            || target.starts_with(QUIET) && record.level() == log::Level::Info
            || target.starts_with(POOL) && record.level() > log::Level::Error)
}

thread_local! {
    static THREAD: Rc<(u32, String)> = {
        static LATEST: AtomicU32 = AtomicU32::new(0);
        let number = LATEST.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Rc::new((number, std::thread::current().name().unwrap_or_default().to_owned()))
    };
}

/// Returns the number and the name of this thread; 0 for one that is about to end.
fn thread() -> Rc<(u32, String)> {
    THREAD.try_with(Rc::clone).unwrap_or_default()
}
