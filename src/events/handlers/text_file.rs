//! `LibraryName=TextFileHandler`: appends a line for each event to a file, which is turned over when it is full.
//!
//! A thread of its own writes: what has gathered while it wrote is one block with one `fsync`. An event counts as delivered when
//! its line is on the disk. A block of which only a part could be written is cut off the file again.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use actiond_actors::clock::{Clock as _, SystemClock};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::message::{Documents, Format, Message};
use crate::files;
use crate::logging::old_files::{expire, tidy};
use crate::logging::{ExpireAction, Level, LogFormat, StreamSettings};
use actiond_actors::outbox::{Deliver, OutboxEvent, Undelivered};

/// Number of bytes after which a block is written although more lines wait.
const MAX_BLOCK: usize = 1 << 20;

/// The settings of a handler that writes to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFileSettings {
    /// `FilePath`.
    pub path: PathBuf,
    /// `Format`.
    pub format: Format,
    /// `MaxSizeKBs`, in bytes: the largest size of the file; `None` for no limit. A longer line has a file of its own.
    pub max_bytes: Option<u64>,
    /// `MaxOldFiles`: the largest number of old files that are kept; `None` for all.
    pub max_old_files: Option<usize>,
}

impl TextFileSettings {
    /// Returns the settings of a log stream whose old files have the same names and fate.
    #[must_use]
    pub fn as_stream(&self, name: &str) -> StreamSettings {
        StreamSettings {
            name: name.to_owned(),
            path: self.path.clone(),
            types: Vec::new(),
            level: Level::Normal,
            format: LogFormat::Text,
            has_time: false,
            echo: None,
            max_bytes: self.max_bytes,
            max_old_files: self.max_old_files,
            expire: ExpireAction::Compress,
            archive: None,
            history: 0,
            max_line: usize::MAX,
        }
    }
}

/// Writes events to a file.
pub struct TextFileHandler {
    format: Format,
    documents: Arc<dyn Documents>,
    lines: Sender<Line>,
}

impl std::fmt::Debug for TextFileHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextFileHandler").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A line to be written, with its end, and who waits for it.
struct Line {
    bytes: Vec<u8>,
    written: oneshot::Sender<Result<(), String>>,
}

impl TextFileHandler {
    /// Makes the handler of this name, and its thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn new(
        name: &str,
        settings: &TextFileSettings,
        documents: Arc<dyn Documents>,
    ) -> io::Result<Self> {
        let (lines, waiting) = channel();
        let writer = Writer::new(settings.as_stream(name));
        thread::Builder::new()
            .name(format!("events-{name}"))
            .spawn(move || writer.run(&waiting))?;
        Ok(Self { format: settings.format, documents, lines })
    }
}

impl Deliver for TextFileHandler {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let (format, documents) = (self.format, Arc::clone(&self.documents));
        let lines = self.lines.clone();
        Box::pin(async move {
            let message = Message::of(&event, format, &*documents);
            let (written, result) = oneshot::channel();
            let sent = lines.send(Line { bytes: line(message.body, format), written });
            let result = match sent {
                Ok(()) => result.await.unwrap_or_else(|_| Err(NO_THREAD.to_owned())),
                Err(_) => Err(NO_THREAD.to_owned()),
            };
            // The next line would find the same.
            result.map_err(Undelivered::down)
        })
    }
}

const NO_THREAD: &str = "the thread that writes the file has ended";

/// Makes one line of a document.
fn line(document: Vec<u8>, format: Format) -> Vec<u8> {
    let mut line = match format {
        Format::Xml => {
            let mut line = Vec::with_capacity(document.len() + 1);
            for byte in document {
                match byte {
                    // These stand only in texts and attributes, where a reader takes both forms for the same.
                    b'\n' => line.extend_from_slice(b"&#10;"),
                    b'\r' => line.extend_from_slice(b"&#13;"),
                    other => line.push(other),
                }
            }
            line
        }
        // JSON has no line break.
        Format::Json | Format::SimpleJson | Format::CloudEvents => document,
    };
    line.push(b'\n');
    line
}

/// Writes the lines, on its thread.
struct Writer {
    settings: Arc<StreamSettings>,
    is_tidying: Arc<AtomicBool>,
    /// True once the end of the file was looked at: a power cut may have left a part of a line.
    has_looked: bool,
}

impl Writer {
    fn new(settings: StreamSettings) -> Self {
        Self { settings: Arc::new(settings), is_tidying: Arc::default(), has_looked: false }
    }

    /// Writes what comes until the handler is gone.
    fn run(mut self, waiting: &Receiver<Line>) {
        while let Ok(first) = waiting.recv() {
            let (mut size, mut lines) = (first.bytes.len(), vec![first]);
            while size < MAX_BLOCK
                && let Ok(next) = waiting.try_recv()
            {
                size += next.bytes.len();
                lines.push(next);
            }
            self.write(lines);
        }
    }

    /// Writes lines, in as many blocks as there are files for them.
    fn write(&mut self, lines: Vec<Line>) {
        let mut rest = lines.into_iter().peekable();
        while let Some(first) = rest.peek() {
            let begun = self.open(first.bytes.len());
            let (mut file, mut size) = match begun {
                Ok(begun) => begun,
                Err(error) => {
                    let why = self.told(&error);
                    rest.for_each(|line| drop(line.written.send(Err(why.clone()))));
                    return;
                }
            };
            let most = self.settings.max_bytes.unwrap_or(u64::MAX);
            let (begin, mut block, mut answers) = (size, Vec::new(), Vec::new());
            while let Some(line) =
                rest.next_if(|line| block.is_empty() || size + line.bytes.len() as u64 <= most)
            {
                size += line.bytes.len() as u64;
                block.extend_from_slice(&line.bytes);
                answers.push(line.written);
            }
            let written = file.write_all(&block).and_then(|()| file.sync_data());
            let result = written.map_err(|error| {
                // What it holds of them would look like a line.
                if let Err(error) = file.set_len(begin) {
                    log::warn!("a part of a line may be in {}: {error}", self.path().display());
                }
                self.told(&error)
            });
            answers.into_iter().for_each(|written| drop(written.send(result.clone())));
        }
    }

    /// Opens the file at its end, with room for a line of this length; returns its size, too. It is opened for each block: others
    /// may have moved it.
    fn open(&mut self, length: usize) -> io::Result<(File, u64)> {
        let (mut file, mut size) = open(self.path())?;
        let is_full = |most: &u64| size > 0 && size.saturating_add(length as u64) > *most;
        if self.settings.max_bytes.as_ref().is_some_and(is_full) {
            match expire(&self.settings, "", SystemClock.now().millis()) {
                Ok(()) => {
                    self.tidy();
                    (file, size) = open(self.path())?;
                }
                // It is better to go on than to lose lines.
                Err(error) => log::warn!(
                    "{} is full and goes on, because it can't be given its old name: {error}",
                    self.path().display()
                ),
            }
        }
        if !std::mem::replace(&mut self.has_looked, true) && ends_amid_line(&mut file, size)? {
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok((file, size))
    }

    /// Has a thread of its own compress and delete old files: that may take long.
    fn tidy(&self) {
        let (settings, is_tidying) = (Arc::clone(&self.settings), Arc::clone(&self.is_tidying));
        if is_tidying.swap(true, Ordering::AcqRel) {
            return;
        }
        // Without a thread it is done when the next file is full.
        let _ = thread::Builder::new().spawn(move || {
            if let Err(error) = tidy(&settings) {
                log::warn!("old files of {} are left: {error}", settings.path.display());
            }
            is_tidying.store(false, Ordering::Release);
        });
    }

    fn path(&self) -> &Path {
        &self.settings.path
    }

    fn told(&self, error: &io::Error) -> String {
        format!("{} can't be written: {error}", self.path().display())
    }
}

/// Opens a file to append to it; returns its size, too.
fn open(path: &Path) -> io::Result<(File, u64)> {
    match fs::metadata(path) {
        // Before it is opened: that would wait for the other end of a pipe.
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::make_directory(path.parent().unwrap_or(Path::new("")))?;
        }
        _ => {}
    }
    let file = files::private().read(true).append(true).create(true).open(path)?;
    let there = file.metadata()?;
    #[cfg(unix)]
    if crate::documents::beneath::is_protected(&there) {
        return Err(io::Error::other("it is one of the server's own files"));
    }
    if !there.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok((file, there.len()))
}

fn ends_amid_line(file: &mut File, size: u64) -> io::Result<bool> {
    if size == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Plain, event};
    use super::*;

    fn handler(path: &Path, max_bytes: Option<u64>) -> TextFileHandler {
        let settings = TextFileSettings {
            path: path.to_owned(),
            format: Format::Xml,
            max_bytes,
            max_old_files: None,
        };
        TextFileHandler::new("Lines", &settings, Arc::new(Plain)).unwrap()
    }

    #[test]
    fn a_document_is_one_line() {
        let text = |format| {
            let line = line(b"<a>1\r\n2</a>".to_vec(), format);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(text(Format::Xml), "<a>1&#13;&#10;2</a>\n");
        assert_eq!(line(b"{}".to_vec(), Format::Json), b"{}\n");
    }

    #[tokio::test]
    async fn each_event_is_a_line_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/events.xml");
        let handler = handler(&path, None);
        let all = (1..=200).map(|id| handler.deliver(event(id)));
        for delivered in futures_util::future::join_all(all).await {
            delivered.unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let expected: Vec<_> = (1..=200).map(|id| format!("<event>{id}</event>")).collect();
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn a_part_of_a_line_is_ended_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.xml");
        fs::write(&path, "<event>1</event>\n<eve").unwrap();
        handler(&path, None).deliver(event(2)).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "<event>1</event>\n<eve\n<event>2</event>\n");
    }

    #[tokio::test]
    async fn a_full_file_is_turned_over_between_two_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.xml");
        let handler = handler(&path, Some(60));
        for id in 1..=12 {
            handler.deliver(event(id)).await.unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("<event>12</event>\n") && text.len() <= 60, "{text}");
        // The old ones may be compressed by now.
        let old = fs::read_dir(directory.path()).unwrap().count() - 1;
        assert!(old >= 3, "{old} old files");
    }

    #[tokio::test]
    async fn what_can_not_be_written_is_not_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let failed = handler(directory.path(), None).deliver(event(1)).await.unwrap_err();
        assert!(failed.error.contains("no regular file") && failed.may_retry, "{failed:?}");
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let handler = handler(&file.join("below"), None);
        assert!(handler.deliver(event(1)).await.is_err());
        // It can be written later.
        fs::remove_file(&file).unwrap();
        handler.deliver(event(1)).await.unwrap();
        assert_eq!(fs::read_to_string(file.join("below")).unwrap(), "<event>1</event>\n");
    }
}
