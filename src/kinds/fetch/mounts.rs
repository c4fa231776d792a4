//! Mounts: the directories of a task and the mount points below them. They tell files that are gone from files that are only
//! not mounted, which must not be taken for deleted.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::datastore::{Datastore, MAX_MOUNTS, RememberedMount};
use super::file_system::FileSystem;
use super::walk::device;

/// The present state of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// A directory on this file system.
    On(FileSystem),
    /// No directory.
    Gone,
    /// It can't be looked at; nothing follows from that.
    Unknown,
}

/// A directory of the task.
#[derive(Debug)]
struct TaskRoot {
    path: PathBuf,
    /// Number of its files that were found in this run.
    found: u64,
    /// Number of known files that were not found, of those that lie in no other root further down.
    missed: u64,
}

/// A remembered mount that was on another file system, or no directory, when this run or an earlier one began.
#[derive(Debug)]
struct ChangedMount {
    path: PathBuf,
    /// Its file system in the last good run.
    was: FileSystem,
    /// Number of files below it that were known when the change was first found.
    known: u64,
    /// Number of those that were not found in this run.
    missed: u64,
}

/// The mounts of a task in one run.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    roots: Vec<TaskRoot>,
    changed: Vec<ChangedMount>,
    /// Remembered mounts that were unchanged when the run began, or could not be looked at.
    unchanged: BTreeMap<PathBuf, RememberedMount>,
    /// Mounts that this run came upon, with their file systems.
    seen: BTreeMap<PathBuf, FileSystem>,
}

impl Mounts {
    /// Makes the mounts of these directories.
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        let root = |path: &PathBuf| TaskRoot { path: path.clone(), found: 0, missed: 0 };
        Self { roots: roots.iter().map(root).collect(), ..Self::default() }
    }

    /// Looks at the mounts that are remembered.
    ///
    /// # Errors
    ///
    /// The datastore can't be read or written.
    pub(super) fn begin(&mut self, store: &mut Datastore) -> Result<(), String> {
        for (path, remembered) in store.mounts()? {
            if !path.ancestors().any(|p| self.is_root(p)) {
                // The settings no longer include it.
                continue;
            }
            let RememberedMount { on: was, known } = remembered;
            // A suspect one stays so until most of its files have been seen again: what looks like the same file system
            // may still be another one.
            let is_well = match presence(&path, self.is_root(&path)) {
                Presence::On(is) => is.can_be(&was) && known.is_none(),
                Presence::Gone => false,
                Presence::Unknown => true,
            };
            if is_well {
                self.unchanged.insert(path, remembered);
                continue;
            }
            let known = match known {
                Some(known) => known,
                None => {
                    let known = store.count_below(&path)?;
                    store.set_suspect(&path, Some(known))?;
                    known
                }
            };
            self.changed.push(ChangedMount { path, was, known, missed: 0 });
        }
        Ok(())
    }

    fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root.path == path)
    }

    /// Notes a mount that this run came upon on this device. Returns its file system, unless there are too many.
    pub(super) fn note(&mut self, path: &Path, device: u64) -> Option<FileSystem> {
        if self.seen.len() >= MAX_MOUNTS {
            return None;
        }
        let on = FileSystem::of(path, device);
        self.seen.insert(path.to_owned(), on);
        Some(on)
    }

    /// Notes a file that was found in a root.
    pub(super) fn count_found(&mut self, root: &Path) {
        if let Some(root) = self.roots.iter_mut().find(|r| r.path == root) {
            root.found += 1;
        }
    }

    /// Checks that nothing was mounted or unmounted during the run: then nothing could be said of files that were not seen.
    ///
    /// # Errors
    ///
    /// It was; the text says where.
    pub(super) fn check_unchanged(&self) -> Result<(), String> {
        let unchanged = self.unchanged.iter().map(|(path, remembered)| (path, &remembered.on));
        for (path, was) in unchanged.chain(&self.seen) {
            match presence(path, self.is_root(path)) {
                Presence::On(now) if now.can_be(was) => {}
                Presence::Unknown => {}
                Presence::On(_) | Presence::Gone => {
                    return Err(format!(
                        "directory {}: another file system is there than when the run began, so nothing is removed",
                        path.display()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Returns a counter of the known files that were not found.
    pub(super) fn miss_counter(&mut self) -> MissCounter<'_> {
        let roots = self.roots.iter_mut().map(|root| (root.path.as_path(), &mut root.missed));
        let changed =
            self.changed.iter_mut().map(|place| (place.path.as_path(), &mut place.missed));
        MissCounter { roots: roots.collect(), changed: changed.collect() }
    }

    /// Decides if files that were not found may count as gone.
    ///
    /// # Errors
    ///
    /// It may not; the text says why, and what to do if it is gone all the same.
    pub(super) fn judge(&self, task: &str) -> Result<(), String> {
        let advice = format!(
            "so nothing is removed: is it mounted? If they are gone for good, set AllowEmptyRoot=true in [{task}]"
        );
        if let Some(root) = self.roots.iter().find(|root| root.found == 0 && root.missed > 0) {
            return Err(format!(
                "directory {}: it holds no file that the task takes, but {} known ones were there, {advice}",
                root.path.display(),
                root.missed
            ));
        }
        // More than half of them.
        if let Some(place) =
            self.changed.iter().find(|p| p.missed > p.known.saturating_sub(p.missed))
        {
            return Err(format!(
                "directory {}: it has been gone or on another file system since the last good run, and {} of the {} known files in it are gone, {advice}",
                place.path.display(),
                place.missed,
                // Some may have become known since.
                place.known.max(place.missed)
            ));
        }
        Ok(())
    }

    /// Returns the mounts to remember: those of this run, and unchanged those that could not be looked at in it.
    pub(super) fn into_remembered(
        self,
        is_unreadable: impl Fn(&Path) -> bool,
    ) -> BTreeMap<PathBuf, RememberedMount> {
        let seen =
            self.seen.into_iter().map(|(path, on)| (path, RememberedMount { on, known: None }));
        let changed = self.changed.into_iter().map(|ChangedMount { path, was, known, .. }| {
            (path, RememberedMount { on: was, known: Some(known) })
        });
        let before = self.unchanged.into_iter().chain(changed);
        seen.chain(before.filter(|(path, _)| is_unreadable(path))).collect()
    }
}

/// Counts known files that were not found, each for the mounts above it.
#[derive(Debug)]
pub(super) struct MissCounter<'a> {
    roots: HashMap<&'a Path, &'a mut u64>,
    changed: HashMap<&'a Path, &'a mut u64>,
}

impl MissCounter<'_> {
    pub(super) fn note(&mut self, file: &Path) {
        if let Some(missed) = file
            .ancestors()
            .find(|p| self.roots.contains_key(p))
            .and_then(|p| self.roots.get_mut(p))
        {
            **missed += 1;
        }
        if self.changed.is_empty() {
            return;
        }
        for ancestor in file.ancestors() {
            if let Some(missed) = self.changed.get_mut(ancestor) {
                **missed += 1;
            }
        }
    }
}

/// Returns the present state of a mount. Only a root may be a link.
fn presence(path: &Path, is_root: bool) -> Presence {
    let gone = |kind| match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Presence::Gone,
        _ => Presence::Unknown,
    };
    if !is_root {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Presence::Gone,
            Err(error) => return gone(error.kind()),
        }
    }
    // The dot triggers an automount.
    match fs::metadata(path.join(".")) {
        Ok(metadata) => device(&metadata)
            .map_or(Presence::Unknown, |device| Presence::On(FileSystem::of(path, device))),
        Err(error) => gone(error.kind()),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
