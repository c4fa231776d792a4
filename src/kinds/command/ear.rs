//! What a program says while it runs: its output is kept, its progress and its log are passed on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use actiond_actors::{ActionContext, Report};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::lines::{Line, Told, read};
use super::result::{self, Form, Kept};

/// Number of bytes that are read at once.
const CHUNK: usize = 1 << 14;

/// Largest partial result, and largest output that is parsed here, in bytes: other work waits meanwhile.
const MAX_AT_ONCE: usize = 256_000;

/// Number of bytes of a line for the server beside a partial result.
const WORD: usize = 64;

/// Listens to one program.
#[derive(Debug)]
pub(super) struct Ear {
    context: ActionContext,
    /// Number of bytes of a result that are kept.
    most: usize,
    heard: Mutex<Heard>,
}

/// What was heard.
#[derive(Debug, Default)]
struct Heard {
    output: Kept,
    /// The last partial result.
    partial: Report,
}

impl Ear {
    pub(super) fn new(context: ActionContext, most: usize) -> Self {
        Self { context, most, heard: Mutex::default() }
    }

    /// Returns the number of bytes of a line for the server that are kept.
    pub(super) fn most_told(&self) -> usize {
        self.most_of_partial() + WORD
    }

    fn most_of_partial(&self) -> usize {
        self.most.min(MAX_AT_ONCE)
    }

    /// Keeps standard output.
    pub(super) fn output(&self, bytes: &[u8]) {
        self.heard().output.add(bytes, self.most);
    }

    /// Does what a line tells the server, and keeps any other line in the log.
    pub(super) fn line(&self, line: Line<'_>) {
        match line.told.and_then(read) {
            Some(Told::Progress(progress)) => self.context.set_progress(progress),
            Some(Told::Partial(bytes)) => {
                let mut kept = Kept { is_cut: line.is_cut, ..Kept::default() };
                kept.add(bytes, self.most_of_partial());
                let report = result::read(&kept, Form::Any);
                self.context.set_partial(report.clone());
                self.heard().partial = report;
            }
            None => self.context.log(&String::from_utf8_lossy(line.bytes)),
        }
    }

    /// Takes what was heard: the standard output, and the last partial result.
    pub(super) fn take(&self) -> (Kept, Report) {
        let Heard { output, partial } = std::mem::take(&mut *self.heard());
        (output, partial)
    }

    /// Returns the result so far; that of a long output is the last partial result.
    pub(super) fn so_far(&self) -> Report {
        let heard = self.heard();
        match heard.output.bytes.len() <= MAX_AT_ONCE {
            true => so_far(&heard.output, heard.partial.clone()),
            false => heard.partial.clone(),
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Nothing that holds the lock can leave it half changed.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the result of a program that did not end well: its output, or else the last partial result.
pub(super) fn so_far(output: &Kept, partial: Report) -> Report {
    let report = result::read(output, Form::Any);
    if report.is_empty() { partial } else { report }
}

/// Reads a stream to its end, in chunks.
pub(super) async fn hear(stream: &mut (impl AsyncRead + Unpin), mut take: impl FnMut(&[u8])) {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        chunk.reserve(CHUNK);
        match stream.read_buf(&mut chunk).await {
            // An error is the end of a pipe, too.
            Ok(0) | Err(_) => return,
            Ok(_) => take(&chunk),
        }
    }
}
