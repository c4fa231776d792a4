//! One stream: its settings, its file with the thread that writes it, and its last lines.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use actiond_actors::clock::{Clock as _, SystemClock};
use arc_swap::ArcSwap;

use super::channel::Channel;
use super::console::Console;
use super::file::LogFile;
use super::history::History;
use super::level::Level;
use super::line::{self, About, Line, ThreadName};
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
        let file = LogFile::new(Arc::clone(&settings), Arc::clone(&history), console.clone());
        let current = Arc::clone(&settings);
        let channel = Channel::gathering(file, move |lost| told(lost, &current.load(), &console))?;
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
        self.channel.put_lines(block, number as u64);
        Some(settings.echo)
    }
}

/// What is waiting is still written.
impl Drop for Stream {
    fn drop(&mut self) {
        self.channel.close();
    }
}

/// Makes the line of a stream about lines that were lost, and says the same on the console.
fn told(lost: u64, settings: &StreamSettings, console: &Console) -> Vec<u8> {
    let lines = if lost == 1 { "line was" } else { "lines were" };
    let path = settings.path.display();
    console.say(log::Level::Warn, format_args!("{path}: {lost} {lines} lost"));
    let kind = settings.types.first().map_or("application", String::as_str);
    let message = format_args!("{lost} {lines} lost");
    let target = "actiond::logging";
    let line = Line { level: Level::Warning, kind, target, message, about: About::default() };
    let mut block = Vec::new();
    let thread = ThreadName { number: 0, name: "" };
    line::write(&mut block, settings, SystemClock.now().millis(), thread, &line);
    block
}
