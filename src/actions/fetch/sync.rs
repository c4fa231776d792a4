//! One run of one task: finds what is new, changed or gone, and hands it to Ingest.
//!
//! Documents enter the datastore only once Ingest has accepted them, so what it refuses, or what a
//! stop or a crash cuts off, is found again by the next run. To run a task twice does no harm.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use actiond_actors::StopRequested;

use super::FetchTask;
use super::board::{Board, Counts};
use super::datastore::{self, Datastore, Known};
use super::deliver::{self, Batch, Deliver, NotDelivered};
use super::own::Own;
use super::places::Places;
use super::reference;
use super::walk::{Filter, Found, FoundFile, walk};
use crate::actions::beneath::{Root, Stamp};
use crate::actions::ingest::csv;
use crate::actions::ingest::sources::Found as HandedOver;

/// A batch is sent before its paths are larger than this in bytes, so that it fits into a request.
const MAX_BATCH_BYTES: usize = 128 * 1024;

/// A batch is sent once its files hold this many bytes: what is written of it must stay below Ingest's
/// default for `MaxOutputSize`, in two forms and escaped.
const MAX_BATCH_CONTENT: u64 = 100_000_000;

/// How many unreadable places are kept in mind; with more of them nothing is taken for vanished.
const MAX_UNREADABLE: usize = 10_000;

/// How many of the files that were not seen are looked at between two checkpoints.
const PAGE: usize = 1_000;

/// After how many failures in a row a target is not asked again in this run.
const MAX_UNREACHABLE: u32 = 3;

/// Why a task did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Stopped,
    Failed(String),
}

impl From<StopRequested> for Cut {
    fn from(_: StopRequested) -> Self {
        Self::Stopped
    }
}

impl From<String> for Cut {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// What a run needs beside its task.
pub(crate) struct Means<'a> {
    pub(crate) data_directory: &'a Path,
    /// Where this server writes as well; no task enters it.
    pub(crate) own_directories: &'a [PathBuf],
    pub(crate) batch_size: usize,
    pub(crate) deliver: &'a mut dyn Deliver,
    /// Finds out whether the file below the root can be read, and what it is.
    pub(crate) probe: &'a dyn Fn(&Root, &Path) -> io::Result<Stamp>,
}

/// Runs one task.
pub(crate) fn synchronize(
    task: &FetchTask,
    means: Means<'_>,
    board: &mut Board<'_>,
) -> Result<(), Cut> {
    let filter = Filter::new(&task.file_match, task.no_crawl.clone())?;
    fs::create_dir_all(means.data_directory)
        .map_err(|e| format!("{} cannot be made: {e}", means.data_directory.display()))?;
    let kept_out = means.own_directories.iter().cloned();
    let mut own = Own::new(std::iter::once(means.data_directory.to_owned()).chain(kept_out));
    let roots = roots(&task.directories, &mut own)?;
    let store = Datastore::open(&means.data_directory.join(datastore::file_name(&task.name)))?;
    board.begin(store.count()?);
    let mut run = Run {
        task,
        means,
        store,
        board,
        counts: Counts::default(),
        root: None,
        pending: Vec::new(),
        pending_bytes: 0,
        pending_content: 0,
        unreadable: Unreadable::default(),
        unreachable: 0,
        has_warned: false,
    };
    let result = run.all(&roots, &filter, &mut own);
    run.complain_of_the_rest();
    // What has been seen until a stop may be kept in mind; it cannot make a file vanish.
    let committed = run.store.commit();
    run.board.update(run.counts);
    result.and(committed.map_err(Cut::Failed))
}

/// Returns the directories as absolute paths, each once. A task with one that is missing or can't be
/// read fails before it does anything: its files must not be taken for vanished. So does one with a
/// directory into which this server writes.
fn roots(directories: &[PathBuf], own: &mut Own) -> Result<Vec<PathBuf>, String> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for directory in directories {
        let named = |e: io::Error| named(directory, &e);
        // By its components, so without a separator at its end.
        let root: PathBuf = std::path::absolute(directory).map_err(named)?.components().collect();
        if !fs::metadata(&root).map_err(named)?.is_dir() {
            return Err(format!("{} is not a directory", directory.display()));
        }
        fs::read_dir(&root).map_err(named)?;
        if let Some(around) = own.around(&root).map_err(named)? {
            return Err(format!(
                "directory {}: it lies in {}, into which this server writes, and that is never fetched",
                directory.display(),
                around.display()
            ));
        }
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// Says what is wrong with a directory of the task.
fn named(directory: &Path, error: &io::Error) -> String {
    format!("directory {}: {error}", directory.display())
}

struct Run<'t, 'a, 'b, 'w> {
    task: &'t FetchTask,
    means: Means<'a>,
    store: Datastore,
    board: &'b mut Board<'w>,
    counts: Counts,
    /// The directory that is gone through, and its path as it was configured. Links in that are
    /// followed once: what is read and handed over lies below the directory that it was then.
    root: Option<(Root, PathBuf)>,
    /// Files of the next batch, what each was when it was looked at, and whether it is new.
    pending: Vec<(FoundFile, Stamp, bool)>,
    pending_bytes: usize,
    pending_content: u64,
    unreadable: Unreadable,
    /// Failures in a row to reach Ingest.
    unreachable: u32,
    has_warned: bool,
}

impl Run<'_, '_, '_, '_> {
    fn all(&mut self, roots: &[PathBuf], filter: &Filter, own: &mut Own) -> Result<(), Cut> {
        let mut places = Places::begin(roots, &mut self.store)?;
        for root in roots {
            self.root = Some((Root::resolve(root).map_err(|e| named(root, &e))?, root.clone()));
            for found in walk(root, self.task.recursive, filter, own) {
                self.board.watch().checkpoint()?;
                match found {
                    None => continue,
                    Some(Found::File(file)) => {
                        places.found(root);
                        self.file(file)?;
                    }
                    Some(Found::Place(path, device)) => {
                        // One that is remembered stays as it is until the run has been judged.
                        if let Some(on) = places.meet(&path, device) {
                            self.store.meet(&path, on)?;
                        }
                        continue;
                    }
                    // It was there when the run began; nothing of it was seen, as of one that is missing.
                    Some(Found::Unreadable(path, error)) if path.as_deref() == Some(root) => {
                        return Err(named(root, &error).into());
                    }
                    Some(Found::Unreadable(path, error)) => {
                        self.cannot_read(path.as_deref().unwrap_or(root), &error);
                        self.unreadable.insert(path);
                    }
                }
                self.board.step(self.counts);
            }
            // If it went meanwhile, what was not seen of it did not vanish by itself; nor could Ingest read
            // what was seen.
            fs::read_dir(root).map_err(|e| named(root, &e))?;
            // Before the next root, which may lead to the same files again.
            self.send_pending()?;
        }
        places.are_as_they_were()?;
        if !self.task.allow_empty_root {
            self.may_be_gone(&mut places)?;
        }
        self.vanished()?;
        let places = places.into_remembered(|path| self.unreadable.covers(path));
        Ok(self.store.remember(&places)?)
    }

    /// Fails if what was not seen in this run looks as if it were only not mounted.
    fn may_be_gone(&self, places: &mut Places) -> Result<(), Cut> {
        let mut misses = places.misses();
        let mut after = Vec::new();
        loop {
            self.board.watch().checkpoint()?;
            let page = self.store.not_seen(&after, PAGE)?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            for path in page {
                let path = reference::path_of_bytes(path);
                if !self.unreadable.covers(&path) {
                    misses.note(&path);
                }
            }
        }
        Ok(places.judge(&self.task.name)?)
    }

    fn file(&mut self, file: FoundFile) -> Result<(), Cut> {
        let known = self.store.look_up(&file)?;
        match known {
            Known::Seen => return Ok(()),
            Known::Unchanged => {
                self.counts.seen += 1;
                self.counts.unchanged += 1;
                return Ok(self.store.keep(&file.path)?);
            }
            Known::New | Known::Changed => {}
        }
        let stamp = match self.probe(&file.path) {
            // It went while we looked at it: it was not seen, and may have vanished.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.cannot_read(&file.path, &error);
                self.counts.seen += 1;
                return Ok(self.store.keep(&file.path)?);
            }
            Ok(stamp) => stamp,
        };
        let is_new = known == Known::New;
        self.counts.seen += 1;
        *(if is_new { &mut self.counts.added } else { &mut self.counts.updated }) += 1;
        self.pending_bytes += file.path.as_os_str().len();
        self.pending_content = self.pending_content.saturating_add(stamp.size());
        self.pending.push((file, stamp, is_new));
        if self.pending.len() >= self.means.batch_size
            || self.pending_bytes >= MAX_BATCH_BYTES
            || self.pending_content >= MAX_BATCH_CONTENT
        {
            self.send_pending()?;
        }
        Ok(())
    }

    fn probe(&self, path: &Path) -> io::Result<Stamp> {
        match self.root.as_ref().map(|(root, named)| (root, path.strip_prefix(named))) {
            Some((root, Ok(below))) => (self.means.probe)(root, below),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Counts what can't be read. Only the first of a run is a warning: there may be millions.
    fn cannot_read(&mut self, path: &Path, error: &io::Error) {
        self.counts.errors += 1;
        let level = if self.counts.errors == 1 { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "task {}: {path:?} cannot be read: {error}", self.task.name);
    }

    fn complain_of_the_rest(&self) {
        let more = self.counts.errors.saturating_sub(1);
        if more > 0 {
            log::warn!("task {}: {more} more could not be read", self.task.name);
        }
        let Counts { ingestadded, ingestupdated, ingestdeleted, ingestfailed, .. } = self.counts;
        if ingestfailed > 0 && ingestadded + ingestupdated + ingestdeleted == 0 {
            log::warn!(
                "task {}: Ingest accepted none of the {ingestfailed} documents of this run; the next one sends them again",
                self.task.name
            );
        }
    }

    fn send_pending(&mut self) -> Result<(), Cut> {
        self.pending_bytes = 0;
        self.pending_content = 0;
        let batch = std::mem::take(&mut self.pending);
        if batch.is_empty() {
            return Ok(());
        }
        let stamps = batch.iter().map(|(_, stamp, _)| *stamp);
        let found = self.root.as_ref().map(|(root, named)| HandedOver::new(root, named, stamps));
        let adds = Batch {
            parameter: "adds",
            value: deliver::adds(batch.iter().map(|(file, ..)| file)),
            found: found.map(|found| found.to_value()).transpose()?,
        };
        let accepted = self.send(adds, batch.len())?;
        for (file, _, is_new) in &batch {
            if accepted {
                *(if *is_new {
                    &mut self.counts.ingestadded
                } else {
                    &mut self.counts.ingestupdated
                }) += 1;
                self.store.accept(file)?;
            } else {
                self.counts.ingestfailed += 1;
                // One that was known stays known as it was, and so is changed in the next run too.
                self.store.keep(&file.path)?;
            }
        }
        self.store.commit()?;
        self.board.update(self.counts);
        Ok(())
    }

    /// Tells Ingest to remove what was not seen in this run: what is gone, or what the task's
    /// settings no longer take. What lies in a place that could not be read is left alone.
    fn vanished(&mut self) -> Result<(), Cut> {
        if self.unreadable.is_everything {
            return Ok(());
        }
        let mut after = Vec::new();
        loop {
            self.board.watch().checkpoint()?;
            let mut page = self.store.not_seen(&after, self.means.batch_size.max(1))?;
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
            let gone: Vec<Vec<u8>> = page
                .into_iter()
                .filter(|path| !self.unreadable.covers(&reference::path_of_bytes(path.clone())))
                .collect();
            if gone.is_empty() {
                continue;
            }
            let count = u64::try_from(gone.len()).unwrap_or_default();
            self.counts.deleted += count;
            let references: Vec<String> =
                gone.iter().map(|path| reference::of_bytes(path)).collect();
            let removes = Batch {
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

    /// Hands over a batch; tells whether it was accepted.
    fn send(&mut self, batch: Batch, documents: usize) -> Result<bool, Cut> {
        if self.unreachable >= MAX_UNREACHABLE {
            return Ok(false);
        }
        self.board.watch().checkpoint()?;
        let why = match self.means.deliver.deliver(batch) {
            Ok(()) => {
                self.unreachable = 0;
                return Ok(true);
            }
            Err(NotDelivered::Stopped) => return Err(Cut::Stopped),
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
        log::log!(
            level,
            "task {}: Ingest did not accept {documents} {of_them}: {why}",
            self.task.name
        );
        Ok(false)
    }
}

/// Places that could not be read in this run.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    paths: HashSet<PathBuf>,
    is_everything: bool,
}

impl Unreadable {
    pub(super) fn insert(&mut self, path: Option<PathBuf>) {
        match path {
            Some(path) if self.paths.len() < MAX_UNREADABLE => {
                self.paths.insert(path);
            }
            _ => self.is_everything = true,
        }
    }

    /// Tells whether the path is one of them or lies below one.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.is_everything
            || (!self.paths.is_empty() && path.ancestors().any(|p| self.paths.contains(p)))
    }
}
