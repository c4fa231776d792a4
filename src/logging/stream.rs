//! One stream: its settings, its file with the thread that writes it, and its last lines.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actiond_actors::clock::{Clock as _, SystemClock};
use arc_swap::ArcSwap;

use super::channel::Channel;
use super::console::Console;
use super::file::{LogFile, SAID_AGAIN_AFTER};
use super::history::History;
use super::level::Level;
use super::line::{self, Line, ThreadName};
use super::settings::StreamSettings;

/// A stream. It is known by the path of its file; all else can change while it is open.
pub(super) struct Stream {
    pub(super) path: PathBuf,
    settings: Arc<ArcSwap<StreamSettings>>,
    pub(super) history: Arc<History>,
    channel: Channel,
}

impl Stream {
    /// Starts the thread of a stream.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn open(settings: StreamSettings, console: Console) -> io::Result<Self> {
        let (path, history) = (settings.path.clone(), Arc::new(History::new(settings.history)));
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let file = LogFile::new(Arc::clone(&settings), console.clone());
        let (current, last_lines) = (Arc::clone(&settings), Arc::clone(&history));
        let said = Mutex::default();
        let channel = Channel::gathering(file, move |lost| {
            let settings = current.load();
            say_lost(lost, &settings, &console, &said);
            let line = lost_line(lost, &settings);
            last_lines.push(&line);
            line
        })?;
        Ok(Self { path, settings, history, channel })
    }

    pub(super) fn set(&self, settings: StreamSettings) {
        self.history.set_most(settings.history);
        self.settings.store(Arc::new(settings));
    }

    pub(super) fn settings(&self) -> Arc<StreamSettings> {
        self.settings.load_full()
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Puts the lines in that are of its level, as one block. Returns what `LogEcho` says if there are any.
    pub(super) fn put(
        &self,
        millis: i64,
        thread: ThreadName<'_>,
        lines: &[Line<'_>],
    ) -> Option<Option<bool>> {
        let settings = self.settings.load();
        let taken = || lines.iter().filter(|line| line.level >= settings.level);
        let number = taken().count();
        if number == 0 {
            return None;
        }
        let mut block = Vec::with_capacity(128 * number);
        for line in taken() {
            line::write(&mut block, &settings, millis, thread, line);
        }
        // Also where the file stands still.
        self.history.push(&block);
        self.channel.put_lines(block, number as u64);
        Some(settings.echo)
    }
}

/// Lines that wait are still written.
impl Drop for Stream {
    fn drop(&mut self) {
        self.channel.close();
    }
}

/// The lost lines that the console has been told of.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    /// Number of lines that were lost since, and of which it does not know.
    untold: u64,
}

/// Says on the console how many lines were lost, once a minute at most: on a disk that is nearly full it happens all the time.
fn say_lost(lost: u64, settings: &StreamSettings, console: &Console, told: &Mutex<Told>) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.untold = told.untold.saturating_add(lost);
    if told.last.is_some_and(|last| last.elapsed() <= SAID_AGAIN_AFTER) {
        return;
    }
    let lost = std::mem::take(&mut told.untold);
    told.last = Some(Instant::now());
    drop(told);
    let (path, lines) = (settings.path.display(), lines_were(lost));
    console.say(log::Level::Warn, format_args!("{path}: {lost} {lines} lost"));
}

/// Makes the line of a stream about lines that were lost.
fn lost_line(lost: u64, settings: &StreamSettings) -> Vec<u8> {
    let message = format_args!("{lost} {} lost", lines_were(lost));
    let now = SystemClock.now().millis();
    line::of_stream(settings, Level::Warning, "actiond::logging", now, message)
}

const fn lines_were(number: u64) -> &'static str {
    if number == 1 { "line was" } else { "lines were" }
}
