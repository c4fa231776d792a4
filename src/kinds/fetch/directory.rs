//! The directories of a task as a source: files below them, found by `walk` and read beneath the root that they were
//! found in.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::FetchTask;
use super::datastore::Datastore;
use super::deliver::{self, Handover};
use super::mounts::Mounts;
use super::own::OwnPaths;
use super::source::{Item, Missed, Pending, Source, Step};
use super::sync::{self, TaskError};
use super::walk::{Filter, Found, Walk};
use crate::documents::beneath::{self, Root, Stamp};
use crate::documents::found::FoundFiles;

/// Largest number of unreadable paths that are kept; with more of them nothing is taken for vanished.
const MAX_UNREADABLE: usize = 10_000;

/// Checks that the file below a root can be read, and returns its stamp.
pub(crate) type Probe<'a> = dyn Fn(&Root, &Path) -> io::Result<Stamp> + 'a;

/// The directories of a task, in one run.
pub(crate) struct Directories<'a> {
    task: &'a FetchTask,
    filter: Filter,
    own: OwnPaths,
    probe: &'a Probe<'a>,
    /// The directories that are still to be gone through.
    to_come: std::vec::IntoIter<PathBuf>,
    current: Option<OpenDirectory>,
    mounts: Mounts,
    unreadable: Unreadable,
}

/// The directory that is being walked. Links in its path are followed once: what is read and handed over lies below the
/// directory that it was then.
struct OpenDirectory {
    root: Root,
    /// Its path as it was configured.
    named: PathBuf,
    /// `None` when it has come to its end.
    walk: Option<Walk>,
}

impl<'a> Directories<'a> {
    /// Opens the directories of a task. None of them may lie where this server writes, in its data directory or in
    /// others of its own, and no task enters those.
    ///
    /// # Errors
    ///
    /// One of them is missing, can't be read or lies there; or the task's patterns can't be used.
    pub(crate) fn open(
        task: &'a FetchTask,
        data_directory: &Path,
        own_directories: &[PathBuf],
        probe: &'a Probe<'a>,
    ) -> Result<Self, String> {
        let filter = Filter::new(&task.file_match, task.no_crawl.clone())?;
        // Only once it exists can a path in it be told from a missing one.
        sync::make(data_directory)?;
        let kept_out = own_directories.iter().cloned().chain(beneath::protected());
        let mut own = OwnPaths::new(std::iter::once(data_directory.to_owned()).chain(kept_out));
        let roots = roots(&task.directories, &mut own)?;
        let mounts = Mounts::new(&roots);
        let to_come = roots.into_iter();
        let (current, unreadable) = (None, Unreadable::default());
        Ok(Self { task, filter, own, probe, to_come, current, mounts, unreadable })
    }

    /// Begins with the next directory; returns false if there is none.
    fn turn_to_next(&mut self) -> Result<bool, String> {
        let Some(named) = self.to_come.next() else { return Ok(false) };
        let root = Root::resolve(&named).map_err(|e| self::named(&named, &e))?;
        let walk = Some(Walk::new(&named, self.task.recursive));
        self.current = Some(OpenDirectory { root, named, walk });
        Ok(true)
    }
}

impl Source for Directories<'_> {
    type Content = Stamp;

    fn begin(&mut self, store: &mut Datastore) -> Result<(), String> {
        self.mounts.begin(store)
    }

    fn next(&mut self, store: &mut Datastore) -> Result<Option<Step>, String> {
        if self.current.as_ref().is_none_or(|current| current.walk.is_none())
            && !self.turn_to_next()?
        {
            return Ok(None);
        }
        let Some(OpenDirectory { named: root, walk, .. }) = &mut self.current else {
            return Ok(None);
        };
        let found = walk.as_mut().and_then(|walk| walk.next(&self.filter, &mut self.own));
        Ok(Some(match found {
            None => {
                // If it went meanwhile, what was not seen of it did not vanish by itself; nor could Ingest read
                // what was seen.
                fs::read_dir(&*root).map_err(|e| named(root, &e))?;
                *walk = None;
                // Before the next root, which may lead to the same files again.
                Step::HandOver
            }
            Some(None) => Step::Nothing,
            Some(Some(Found::File(item))) => {
                self.mounts.count_found(root);
                Step::Item(item)
            }
            Some(Some(Found::MountPoint(path, device))) => {
                // A remembered one stays as it is until the end of the run.
                if let Some(on) = self.mounts.note(&path, device) {
                    store.note_mount(&path, on)?;
                }
                Step::Nothing
            }
            // It was there when the run began; nothing of it was seen, as of one that is missing.
            Some(Some(Found::Unreadable(path, error))) if path.as_deref() == Some(root) => {
                return Err(named(root, &error));
            }
            Some(Some(Found::Unreadable(path, error))) => {
                self.unreadable.insert(path.clone());
                Step::Unreadable(path.unwrap_or_else(|| root.clone()), error)
            }
        }))
    }

    fn probe(&mut self, item: &Item) -> io::Result<(Stamp, u64)> {
        let Some(OpenDirectory { root, named, .. }) = &self.current else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let below = item.path.strip_prefix(named).map_err(|_| io::ErrorKind::InvalidInput)?;
        (self.probe)(root, below).map(|stamp| (stamp, stamp.size()))
    }

    fn hand_over(&mut self, items: &[Pending<Stamp>]) -> Result<Handover, String> {
        let stamps = items.iter().map(|pending| pending.content);
        let current = self.current.as_ref();
        let found =
            current.map(|OpenDirectory { root, named, .. }| FoundFiles::new(root, named, stamps));
        Ok(Handover {
            parameter: "adds",
            value: deliver::adds(items.iter().map(|pending| &pending.item)),
            found: found.map(|found| found.to_value()).transpose()?,
        })
    }

    fn is_unknown(&self, path: &Path) -> bool {
        self.unreadable.covers(path)
    }

    fn judge(&mut self, missed: &mut Missed<'_>) -> Result<(), TaskError> {
        self.mounts.check_unchanged()?;
        if self.task.allow_empty_root {
            return Ok(());
        }
        // It fails if the files that were not seen may only not be mounted.
        let mut misses = self.mounts.miss_counter();
        for path in missed {
            let path = path?;
            if !self.unreadable.covers(&path) {
                misses.note(&path);
            }
        }
        Ok(self.mounts.judge(&self.task.name)?)
    }

    fn end(&mut self, store: &mut Datastore) -> Result<(), String> {
        let mounts = std::mem::take(&mut self.mounts);
        store.replace_mounts(&mounts.into_remembered(|path| self.unreadable.covers(path)))
    }
}

/// Returns the directories as absolute paths, each once. A task with one that is missing or can't be
/// read fails before it does anything: its files must not be taken for vanished. So does one with a
/// directory into which this server writes.
fn roots(directories: &[PathBuf], own: &mut OwnPaths) -> Result<Vec<PathBuf>, String> {
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
            let (directory, around) = (directory.display(), around.display());
            log::warn!("directory {directory} lies in {around}, into which this server writes");
            return Err(format!(
                "directory {directory}: it lies in one into which this server writes, and that is never fetched"
            ));
        }
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// Returns the error of a directory of the task.
fn named(directory: &Path, error: &io::Error) -> String {
    format!("directory {}: {error}", directory.display())
}

/// Paths that could not be read in this run.
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

    /// Returns true if the path is one of them or lies below one.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.is_everything
            || (!self.paths.is_empty() && path.ancestors().any(|p| self.paths.contains(p)))
    }
}
