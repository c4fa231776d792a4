//! One run of one task: finds what is new, changed or gone, and hands it to Ingest.
//!
//! Documents enter the datastore only once Ingest has accepted them, so the next run finds those again that it has refused,
//! or that a stop or a crash has left. To run a task twice does no harm.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use actiond_actors::StopRequested;

use super::super::WorkContext;
use super::board::{Board, Counts};
use super::datastore::{self, Datastore, Known};
use super::deliver::{Deliver, Handover, NotDelivered};
use super::source::{Item, Pending, Source, Step};
use crate::documents::{csv, reference};

/// Number of bytes of paths at which a batch is sent, so that it fits into a request.
const MAX_BATCH_BYTES: usize = 128 * 1024;

/// Number of bytes of files at which a batch is sent: its output must stay below Ingest's default for `MaxOutputSize`, in two
/// forms and escaped.
const MAX_BATCH_CONTENT: u64 = 100_000_000;

/// Number of items that were not seen and are looked at between two checkpoints.
const PAGE: usize = 1_000;

/// Number of failures in a row after which a target is not asked again in this run.
const MAX_UNREACHABLE: u32 = 3;

/// The reason for which a task did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TaskError {
    Stopped,
    Failed(String),
}

impl From<StopRequested> for TaskError {
    fn from(_: StopRequested) -> Self {
        Self::Stopped
    }
}

impl From<String> for TaskError {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// The options of a run, beside its source.
pub(crate) struct SyncOptions<'a> {
    pub(crate) data_directory: &'a Path,
    pub(crate) batch_size: usize,
    pub(crate) deliver: &'a mut dyn Deliver,
}

/// Runs the task of this name.
pub(crate) fn synchronize(
    task: &str,
    source: &mut impl Source,
    options: SyncOptions<'_>,
    board: &mut Board<'_>,
) -> Result<(), TaskError> {
    make(options.data_directory)?;
    let store = Datastore::open(&options.data_directory.join(datastore::file_name(task)))?;
    board.begin(store.count()?);
    let mut run = Run {
        task,
        source,
        options,
        store,
        board,
        counts: Counts::default(),
        pending: Vec::new(),
        pending_bytes: 0,
        pending_content: 0,
        unreachable: 0,
        has_warned: false,
    };
    let result = run.all();
    run.complain_of_the_rest();
    // What was seen before a stop may be committed; it cannot make an item vanish.
    let committed = run.store.commit();
    run.board.update(run.counts);
    result.and(committed.map_err(TaskError::Failed))
}

/// Makes the directory for datastores, unless it is there. The error is for the client, without its path.
pub(crate) fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|e| {
        log::warn!("{} cannot be made: {e}", directory.display());
        format!("DataDirectory cannot be made: {e}")
    })
}

struct Run<'t, 'a, 'b, 'w, S: Source> {
    task: &'t str,
    source: &'t mut S,
    options: SyncOptions<'a>,
    store: Datastore,
    board: &'b mut Board<'w>,
    counts: Counts,
    /// Items of the next batch.
    pending: Vec<Pending<S::Content>>,
    pending_bytes: usize,
    pending_content: u64,
    /// Failures in a row to reach Ingest.
    unreachable: u32,
    has_warned: bool,
}

impl<S: Source> Run<'_, '_, '_, '_, S> {
    fn all(&mut self) -> Result<(), TaskError> {
        self.source.begin(&mut self.store)?;
        while let Some(step) = self.source.next(&mut self.store)? {
            if let Step::HandOver = step {
                self.send_pending()?;
                continue;
            }
            self.board.context().checkpoint()?;
            match step {
                Step::Nothing | Step::HandOver => continue,
                Step::Item(item) => self.item(item)?,
                Step::Unreadable(path, error) => self.cannot_read(&path, &error),
            }
            self.board.step(self.counts);
        }
        self.send_pending()?;
        let page = Vec::new().into_iter();
        let (store, context) = (&self.store, self.board.context());
        self.source.judge(&mut NotSeen { store, context, after: Vec::new(), page })?;
        self.vanished()?;
        Ok(self.source.end(&mut self.store)?)
    }

    fn item(&mut self, item: Item) -> Result<(), TaskError> {
        let known = self.store.look_up(&item)?;
        match known {
            Known::Seen => return Ok(()),
            Known::Unchanged => {
                self.counts.seen += 1;
                self.counts.unchanged += 1;
                return Ok(self.store.keep(&item.path)?);
            }
            Known::New | Known::Changed => {}
        }
        let (content, bytes) = match self.source.probe(&item) {
            // It went while we looked at it: it was not seen, and may have vanished.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.cannot_read(&item.path, &error);
                self.counts.seen += 1;
                return Ok(self.store.keep(&item.path)?);
            }
            Ok(looked) => looked,
        };
        let is_new = known == Known::New;
        self.counts.seen += 1;
        *(if is_new { &mut self.counts.added } else { &mut self.counts.updated }) += 1;
        self.pending_bytes += item.path.as_os_str().len();
        self.pending_content = self.pending_content.saturating_add(bytes);
        self.pending.push(Pending { item, content, is_new });
        if self.pending.len() >= self.options.batch_size
            || self.pending_bytes >= MAX_BATCH_BYTES
            || self.pending_content >= MAX_BATCH_CONTENT
        {
            self.send_pending()?;
        }
        Ok(())
    }

    /// Counts what can't be read. Only the first of a run is a warning: there may be millions.
    fn cannot_read(&mut self, path: &Path, error: &io::Error) {
        self.counts.errors += 1;
        let level = if self.counts.errors == 1 { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "task {}: {path:?} cannot be read: {error}", self.task);
    }

    fn complain_of_the_rest(&self) {
        let more = self.counts.errors.saturating_sub(1);
        if more > 0 {
            log::warn!("task {}: {more} more could not be read", self.task);
        }
        let Counts { ingestadded, ingestupdated, ingestdeleted, ingestfailed, .. } = self.counts;
        if ingestfailed > 0 && ingestadded + ingestupdated + ingestdeleted == 0 {
            log::warn!(
                "task {}: Ingest accepted none of the {ingestfailed} documents of this run; the next one sends them again",
                self.task
            );
        }
    }

    fn send_pending(&mut self) -> Result<(), TaskError> {
        self.pending_bytes = 0;
        self.pending_content = 0;
        let batch = std::mem::take(&mut self.pending);
        if batch.is_empty() {
            return Ok(());
        }
        let adds = self.source.hand_over(&batch)?;
        let accepted = self.send(adds, batch.len())?;
        for Pending { item, is_new, .. } in &batch {
            if accepted {
                *(if *is_new {
                    &mut self.counts.ingestadded
                } else {
                    &mut self.counts.ingestupdated
                }) += 1;
                self.store.accept(item)?;
            } else {
                self.counts.ingestfailed += 1;
                // One that was known stays known as it was, and so is changed in the next run too.
                self.store.keep(&item.path)?;
            }
        }
        self.store.commit()?;
        self.board.update(self.counts);
        Ok(())
    }

    /// Tells Ingest to remove the items that were not seen in this run, because they are gone or the task's settings no longer
    /// include them. Items below a directory that could not be read are left alone.
    fn vanished(&mut self) -> Result<(), TaskError> {
        let mut after = Vec::new();
        loop {
            self.board.context().checkpoint()?;
            let mut page = self.store.not_seen(&after, self.options.batch_size.max(1))?;
            let mut bytes = 0;
            // At least one, however long its path is.
            page.truncate(
                page.iter()
                    .take_while(|path| {
                        let fits = bytes < MAX_BATCH_BYTES;
                        bytes += path.len();
                        fits
                    })
                    .count(),
            );
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let path = |path: &Vec<u8>| reference::path_of_bytes(path.clone());
            let gone: Vec<Vec<u8>> =
                page.into_iter().filter(|gone| !self.source.is_unknown(&path(gone))).collect();
            if gone.is_empty() {
                continue;
            }
            let count = u64::try_from(gone.len()).unwrap_or_default();
            self.counts.deleted += count;
            let references: Vec<String> =
                gone.iter().map(|gone| self.source.reference(&path(gone))).collect();
            let removes = Handover {
                parameter: "removes",
                value: csv::write(references.iter().map(String::as_str)),
                found: None,
            };
            if self.send(removes, gone.len())? {
                self.counts.ingestdeleted += count;
                for path in &gone {
                    self.store.forget(path)?;
                }
                self.store.commit()?;
            } else {
                self.counts.ingestfailed += count;
            }
            self.board.update(self.counts);
        }
    }

    /// Hands over a batch; returns true if it was accepted.
    fn send(&mut self, handover: Handover, documents: usize) -> Result<bool, TaskError> {
        if self.unreachable >= MAX_UNREACHABLE {
            return Ok(false);
        }
        self.board.context().checkpoint()?;
        let why = match self.options.deliver.deliver(handover) {
            Ok(()) => {
                self.unreachable = 0;
                return Ok(true);
            }
            Err(NotDelivered::Stopped) => return Err(TaskError::Stopped),
            Err(NotDelivered::Refused(why)) => {
                self.unreachable = 0;
                why
            }
            Err(NotDelivered::Unreachable(why)) => {
                self.unreachable += 1;
                why
            }
        };
        // Once for each run: thousands of batches may fail in the same way.
        let level = if self.has_warned { log::Level::Debug } else { log::Level::Warn };
        self.has_warned = true;
        let of_them = if documents == 1 { "document" } else { "documents" };
        log::log!(level, "task {}: Ingest did not accept {documents} {of_them}: {why}", self.task);
        Ok(false)
    }
}

/// Goes through the known items that were not seen in this run, with a checkpoint for each page of them.
struct NotSeen<'a> {
    store: &'a Datastore,
    context: &'a dyn WorkContext,
    after: Vec<u8>,
    page: vec::IntoIter<Vec<u8>>,
}

impl NotSeen<'_> {
    fn turn_over(&mut self) -> Result<(), TaskError> {
        self.context.checkpoint()?;
        let page = self.store.not_seen(&self.after, PAGE)?;
        if let Some(last) = page.last() {
            self.after.clone_from(last);
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for NotSeen<'_> {
    type Item = Result<PathBuf, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.as_slice().is_empty()
            && let Err(error) = self.turn_over()
        {
            return Some(Err(error));
        }
        self.page.next().map(|path| Ok(reference::path_of_bytes(path)))
    }
}
