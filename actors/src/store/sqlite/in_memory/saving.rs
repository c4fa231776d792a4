//! Writing a database in memory to its file: beside it, then synced and renamed, so that there is a whole one at any time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::StoreError;
use crate::store::directory::create_private;
use crate::store::sqlite::errors::store_error;
use crate::store::sqlite::threads::spawn;

/// Number of pages that are written in one step, between which jobs are done.
const STEP_PAGES: i32 = 256;

/// Time to the next try after a failure, where the interval is longer.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The file of a database in memory, and the time when it is written next.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Saving {
    path: PathBuf,
    every: Option<Duration>,
    next: Option<Instant>,
    /// True if something was changed since the file was begun that is there.
    changed: Arc<AtomicBool>,
    /// True if the last try failed: then an end of the server would lose what the file lacks.
    failed: Arc<AtomicBool>,
    /// Syncs and renames the file that was written last.
    publishing: Option<JoinHandle<()>>,
}

impl Saving {
    pub(super) fn new(path: PathBuf, every: Option<Duration>, now: Instant) -> Self {
        let changed = Arc::new(AtomicBool::new(true));
        let next = every.and_then(|every| now.checked_add(every));
        Self { path, every, next, changed, failed: Arc::default(), publishing: None }
    }

    /// Returns what tells others whether the last try failed.
    pub(in crate::store::sqlite) fn failed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.failed)
    }

    /// Notes that something was changed.
    pub(in crate::store::sqlite) fn note_change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Returns the time at which the file is to be written next, if there are changes.
    pub(in crate::store::sqlite) fn due(&self) -> Option<Instant> {
        self.next.filter(|_| self.changed.load(Ordering::Relaxed))
    }

    /// Writes the database beside its file, a step at a time; `between` is called after each, and ends it with `false`. Then the
    /// file is put in place by another thread.
    pub(in crate::store::sqlite) fn save(
        &mut self,
        memory: &Connection,
        now: Instant,
        mut between: impl FnMut() -> bool,
    ) {
        self.finish();
        self.next = self.every.and_then(|every| now.checked_add(every));
        self.changed.store(false, Ordering::Relaxed);
        let written = write(memory, &self.path, &mut between).and_then(|is_whole| {
            if !is_whole {
                return Ok(None);
            }
            let (path, changed) = (self.path.clone(), Arc::clone(&self.changed));
            let failed = Arc::clone(&self.failed);
            let publish = move || {
                let published = publish(&path);
                failed.store(published.is_err(), Ordering::Relaxed);
                if let Err(error) = published {
                    tell(&path, &error);
                    changed.store(true, Ordering::Relaxed);
                }
            };
            spawn("actiond-save", publish).map(Some)
        });
        match written {
            Ok(Some(publishing)) => self.publishing = Some(publishing),
            Ok(None) => self.note_change(),
            Err(error) => {
                tell(&self.path, &error);
                self.failed.store(true, Ordering::Relaxed);
                self.note_change();
                self.next = self.every.and_then(|every| now.checked_add(every.min(RETRY_AFTER)));
            }
        }
    }

    /// Writes the database if it was changed, and waits until the file is in place.
    pub(in crate::store::sqlite) fn save_all(&mut self, memory: &Connection) {
        self.finish();
        if self.changed.load(Ordering::Relaxed) {
            self.save(memory, Instant::now(), || true);
            self.finish();
        }
    }

    /// Waits until the file that was written last is in place.
    fn finish(&mut self) {
        if let Some(publishing) = self.publishing.take() {
            // It does not panic.
            let _ = publishing.join();
        }
    }
}

fn tell(path: &Path, error: &dyn std::fmt::Display) {
    log::error!(
        "the actions in memory can't be written to {}: {error}; what the file lacks is lost if the server ends like that",
        path.display()
    );
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("db.new")
}

/// Deletes what a server has left that was killed while it wrote.
pub(super) fn discard_half(path: &Path) {
    let _ = std::fs::remove_file(beside(path));
}

/// Writes the database beside its file; returns false if it was ended before.
fn write(
    memory: &Connection,
    path: &Path,
    between: &mut impl FnMut() -> bool,
) -> Result<bool, StoreError> {
    let new = beside(path);
    discard_half(path);
    create_private(&new).map_err(|error| StoreError::Io(format!("{}: {error}", new.display())))?;
    let is_whole = copy(memory, &new, between).map_err(|error| store_error(&error, &new));
    if !matches!(is_whole, Ok(true)) {
        discard_half(path);
    }
    is_whole
}

/// Copies the database into a file that is synced later, a step at a time; `between` is called after each, and ends it with `false`.
/// Returns true if it was copied to the end. What this connection changes meanwhile is in the copy, too.
pub(in crate::store::sqlite) fn copy(
    memory: &Connection,
    new: &Path,
    between: &mut impl FnMut() -> bool,
) -> rusqlite::Result<bool> {
    let mut file = Connection::open(new)?;
    // It is synced as a whole, and of no use before.
    file.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
    file.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(memory, &mut file)?;
    while backup.step(STEP_PAGES)? != StepResult::Done {
        if !between() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the file that was written durable, and puts it in place.
fn publish(path: &Path) -> io::Result<()> {
    let new = beside(path);
    File::open(&new)?.sync_all()?;
    std::fs::rename(&new, path)?;
    // Not every system lets a directory be opened and synced.
    let _ = path.parent().map(File::open).transpose()?.map(|directory| directory.sync_all());
    Ok(())
}
