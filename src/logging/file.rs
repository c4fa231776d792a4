//! The file of a stream: writing lines, and beginning a new file when it is full or of an earlier day.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actiond_actors::clock::{Clock as _, SystemClock};
use arc_swap::ArcSwap;

use super::channel::Sink;
use super::console::Console;
use super::level::Level;
use super::line;
use super::old_files::{self, directory, expire};
use super::settings::{ExpireAction, StreamSettings};
#[cfg(unix)]
use crate::documents::beneath::is_protected;
use crate::files;

/// Stack of the thread that compresses, with room to spare.
const STACK: usize = 512 << 10;

/// Time for which it is not said again that a file can't be written: on a disk that is nearly full, short lines find room, and long
/// ones do not.
pub(super) const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The file of a stream, on its writing thread.
pub(super) struct LogFile {
    settings: Arc<ArcSwap<StreamSettings>>,
    console: Console,
    tidying: Arc<Tidying>,
    opened: Option<Opened>,
    /// Set while the file can't be written: true if that was said.
    failing: Option<bool>,
    /// The last time that it was said.
    said: Option<Instant>,
    /// True if the file is full and can't be given its old name, which was said.
    goes_on: bool,
    /// The offset of the zone, in seconds, that was last written to the file.
    offset: Option<i32>,
}

/// A file that is open.
struct Opened {
    file: File,
    size: u64,
    /// False for what is no file of the disk: it has no size, and no other can be put in its place.
    is_regular: bool,
    /// True until there is more in it than its first line.
    is_new: bool,
    /// True if its last line has no end: another process may have been stopped there.
    is_amid_line: bool,
    /// The day on which it was begun, or written last before it was opened here.
    day: String,
    /// The size below which it goes on although it is full, because it could not be given its old name.
    goes_on: u64,
}

impl LogFile {
    pub(super) fn new(settings: Arc<ArcSwap<StreamSettings>>, console: Console) -> Self {
        let file = Self {
            settings,
            console,
            tidying: Arc::default(),
            opened: None,
            failing: None,
            said: None,
            goes_on: false,
            offset: None,
        };
        file.tidy();
        file
    }

    /// Has a thread of its own compress, delete and move old files: that may take long.
    fn tidy(&self) {
        let (settings, console) = (Arc::clone(&self.settings), self.console.clone());
        Tidying::start(&self.tidying, move || {
            let settings = settings.load_full();
            match old_files::tidy(&settings) {
                Err(error) if !is_no_directory(&error) => console.say(
                    log::Level::Warn,
                    format_args!("old files of {} are left: {error}", settings.path.display()),
                ),
                _ => {}
            }
        });
    }

    /// Writes what it can of a block; the rest is what is left then.
    fn append(&mut self, settings: &StreamSettings, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let now = SystemClock.now().millis();
            let first = line_end(rest);
            let offset = line::local(now).offset().local_minus_utc();
            let mut zone = (self.offset != Some(offset)).then(|| zone_line(settings, now));
            let opened = self.open(settings, now)?;
            let next = first + zone.as_ref().map_or(0, Vec::len);
            if opened.is_done(settings, next, now) {
                self.begin_another(settings, now);
                continue;
            }
            if opened.is_amid_line {
                opened.write(b"\n")?;
                opened.is_amid_line = false;
            }
            if opened.size == 0 && (opened.is_regular || opened.is_new) {
                zone.get_or_insert_with(|| zone_line(settings, now));
            }
            if let Some(zone) = zone {
                opened.write(&zone)?;
                self.offset = Some(offset);
            }
            let Some(opened) = &mut self.opened else { continue };
            let room = settings.max_bytes.map_or(u64::MAX, |most| most.saturating_sub(opened.size));
            let part = whole_lines(rest, room.max(opened.goes_on.saturating_sub(opened.size)));
            opened.write(rest.get(..part).unwrap_or_default())?;
            if std::mem::take(&mut opened.is_new) {
                opened.day = day(now);
            }
            *rest = rest.get(part..).unwrap_or_default();
        }
        Ok(())
    }

    /// Opens the file if it is not the open one: somebody may have moved it away, or deleted it.
    fn open(&mut self, settings: &StreamSettings, now: i64) -> io::Result<&mut Opened> {
        let there = fs::metadata(&settings.path);
        if let (Some(opened), Ok(there)) = (&mut self.opened, &there)
            && is_same(&opened.file, there)
        {
            // Somebody may have cut it.
            opened.size = there.len();
        } else {
            self.opened = None;
        }
        match &mut self.opened {
            Some(_) => {}
            none => {
                #[cfg(unix)]
                if there.as_ref().is_ok_and(is_protected) {
                    return Err(io::Error::other("it is one of the server's own files"));
                }
                files::make_directory(directory(&settings.path))?;
                let file = files::private().append(true).create(true).open(&settings.path)?;
                let (size, modified) = match there {
                    Ok(there) => (there.len(), there.modified().ok()),
                    Err(_) => (0, None),
                };
                let since =
                    modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let written = since.and_then(|since| i64::try_from(since.as_millis()).ok());
                let day = day(written.filter(|_| size > 0).unwrap_or(now));
                let is_regular = file.metadata()?.is_file();
                let is_new = size == 0;
                let is_amid_line = is_regular && size > 0 && is_amid_line(&settings.path);
                *none =
                    Some(Opened { file, size, is_regular, is_new, is_amid_line, day, goes_on: 0 });
            }
        }
        self.opened.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives the file its old name. If that can't be done, it goes on: a file that is too large is better than none.
    fn begin_another(&mut self, settings: &StreamSettings, now: i64) {
        let Some(opened) = &mut self.opened else { return };
        match expire(settings, &opened.day, now) {
            Ok(()) => {
                self.opened = None;
                self.goes_on = false;
                self.tidy();
            }
            Err(error) => {
                opened.day = day(now);
                opened.goes_on = opened.size.saturating_add(settings.max_bytes.unwrap_or(u64::MAX));
                if !std::mem::replace(&mut self.goes_on, true) {
                    let path = settings.path.display();
                    let said = format_args!("{path} is full and goes on: {error}");
                    self.console.say(log::Level::Warn, said);
                }
            }
        }
    }
}

impl Sink for LogFile {
    fn write_lines(&mut self, block: &[u8], _: u64) -> u64 {
        let settings = self.settings.load_full();
        let mut rest = block;
        match self.append(&settings, &mut rest) {
            Ok(()) => {
                if self.failing.take() == Some(true) {
                    let path = settings.path.display();
                    self.console.say(log::Level::Warn, format_args!("{path} is written again"));
                }
                0
            }
            Err(error) => {
                // Next time all is looked at anew.
                self.opened = None;
                let is_new = self.failing.is_none();
                if is_new && self.said.is_none_or(|said| said.elapsed() > SAID_AGAIN_AFTER) {
                    (self.failing, self.said) = (Some(true), Some(Instant::now()));
                    let path = settings.path.display();
                    let said = format_args!("{path} can't be written, so lines are lost: {error}");
                    self.console.say(log::Level::Error, said);
                } else if is_new {
                    self.failing = Some(false);
                }
                lines_in(rest)
            }
        }
    }
}

impl Opened {
    /// Returns true if the next line, of this length, belongs into another file.
    fn is_done(&self, settings: &StreamSettings, first: usize, now: i64) -> bool {
        if self.is_new || !self.is_regular {
            return false;
        }
        let is_full = settings.max_bytes.is_some_and(|most| self.size + first as u64 > most);
        let is_of_earlier = settings.expire == ExpireAction::Day && self.day != day(now);
        is_of_earlier || is_full && self.size >= self.goes_on
    }

    /// Writes whole lines, or none of them: what is left of one would spoil the next.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self.file.write_all(lines) {
            Ok(()) => {
                self.size += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // The reason for which it failed counts.
                let _ = self.file.set_len(self.size);
                Err(error)
            }
        }
    }
}

/// The work on old files, by one thread at a time.
#[derive(Default)]
struct Tidying(Mutex<Running>);

#[derive(Default)]
struct Running {
    runs: bool,
    /// True if there may be more to do than the thread has seen.
    again: bool,
}

impl Tidying {
    fn start(this: &Arc<Self>, tidy: impl Fn() + Send + 'static) {
        let mut running = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.again = true;
        if running.runs {
            return;
        }
        let own = Arc::clone(this);
        let thread = thread::Builder::new().name("actiond-log-old".to_owned()).stack_size(STACK);
        // Without a thread it is left for the next time.
        running.runs = thread.spawn(move || own.run(&tidy)).is_ok();
    }

    fn run(&self, tidy: &dyn Fn()) {
        loop {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut running.again) {
                running.runs = false;
                return;
            }
            drop(running);
            tidy();
        }
    }
}

/// Returns true where there is no directory. Then there are no old files, and what is wrong is said with the first line.
fn is_no_directory(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes the line about the zone of the times: the first one of a file, and where the zone may be another one from there.
fn zone_line(settings: &StreamSettings, now: i64) -> Vec<u8> {
    let offset = line::local(now).format("%:z").to_string();
    let zone = std::env::var("TZ").ok().filter(|zone| !zone.is_empty());
    let zone = zone.unwrap_or_else(|| "the machine's".to_owned());
    let message = format_args!(
        "actiond {} writes this file; its times are of the server's zone ({zone}), now at {offset}",
        env!("CARGO_PKG_VERSION")
    );
    line::of_stream(settings, Level::Always, module_path!(), now, message)
}

fn day(millis: i64) -> String {
    line::local(millis).format("%Y-%m-%d").to_string()
}

/// Returns true if a file ends within a line, as far as it can be read.
fn is_amid_line(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last).map(|()| last)
    };
    last().is_ok_and(|last: [u8; 1]| last != *b"\n")
}

#[cfg(unix)]
fn is_same(file: &File, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_same(_: &File, _: &Metadata) -> bool {
    true
}

fn lines_in(block: &[u8]) -> u64 {
    block.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Returns the length of the first line with its end.
fn line_end(block: &[u8]) -> usize {
    block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1)
}

/// Returns the length of the whole lines that fit, and at least of one.
fn whole_lines(block: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if block.len() <= room {
        return block.len();
    }
    let fits = block.get(..room).unwrap_or(block);
    fits.iter().rposition(|byte| *byte == b'\n').map_or_else(|| line_end(block), |at| at + 1)
}
