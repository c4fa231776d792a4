//! Backups: one archive with all that a server keeps, made while work goes on, and put back later (`BackupServer` and
//! `RestoreServer`).
//!
//! - the archive, written and read: `archive`;
//! - the way from an archive into a data directory: `restore`, and while no server runs: `offline`;
//! - what a backup leaves that was cut short: `leftovers`;
//! - the copy of the actions, and the change of files at the next start: [`actiond_actors::store::sqlite`].
//!
//! Clients name directories and files, so both are looked for below a few directories and nowhere else, and no link is followed
//! (`documents/beneath`).

mod archive;
mod leftovers;
mod offline;
mod restore;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::System;
use actiond_actors::clock::{Clock as _, SystemClock};
use actiond_actors::store::StoreError;
use actiond_actors::store::sqlite::{CopyContent, check_copy, copy_database};
use actix_web::rt::task::spawn_blocking;
use chrono::{DateTime, Local};
use leftovers::COPY;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::documents::beneath::Root;

/// The directories of the data directory in which others make and delete files.
const OTHERS: [&str; 2] = ["commands", "restore.part"];

/// Time that the end of the server waits for a backup that it breaks off. What is left then is removed at the next start.
const BREAK_OFF_WITHIN: Duration = Duration::from_secs(10);

/// Settings of backups: where they are kept, and what is in them besides the actions.
#[derive(Debug, Clone)]
pub struct Backups {
    data: PathBuf,
    directories: Vec<PathBuf>,
    configuration: Option<PathBuf>,
    may_restore: bool,
    /// One backup or restore at a time.
    busy: Arc<Mutex<()>>,
    /// True once what is under way is to end.
    is_broken_off: Arc<watch::Sender<bool>>,
}

/// A backup that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) content: CopyContent,
}

/// A backup that takes the place of the data at the next start.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) path: PathBuf,
    pub(crate) content: CopyContent,
    /// The directory into which the present data is moved.
    pub(crate) aside: PathBuf,
}

/// The reason for which no backup was made or put back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// A path is not below the directories for backups, or can't be opened there.
    #[error("{0}")]
    Place(String),
    /// The archive can't be used.
    #[error("{0}")]
    Archive(String),
    #[error("another backup or restore is under way")]
    Busy,
    #[error(
        "the actions are in a database that has means of its own for that (pg_dump, pg_basebackup)"
    )]
    OtherMeans,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the server ends")]
    BrokenOff,
    #[error("{path}: {why}")]
    Io { path: String, why: String },
}

impl BackupError {
    fn io(path: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::Io { path: path.to_string(), why: error.to_string() }
    }

    /// Returns the text for clients, which names none of the server's own files.
    pub(crate) fn without_paths(&self) -> String {
        match self {
            Self::Store(error) => error.without_paths().into_owned(),
            Self::Io { why, .. } => format!("a file can't be read or written: {why}"),
            other => other.to_string(),
        }
    }
}

/// Puts an archive, or a directory with databases of actions, in the place of what is in a data directory that no server uses.
pub(crate) fn restore_offline(from: &Path, data: &Path) -> Result<Prepared, BackupError> {
    offline::restore(from, data, local(SystemClock.now().millis()))
}

impl Backups {
    /// Begins the settings for a server whose data is in this directory. Backups may be anywhere below it.
    #[must_use]
    pub fn of(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        let data = std::path::absolute(&data).unwrap_or(data);
        Self {
            data,
            directories: Vec::new(),
            configuration: None,
            may_restore: false,
            busy: Arc::default(),
            is_broken_off: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Sets further directories below which backups may be (default: none).
    #[must_use]
    pub fn directories(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        self.directories = directories.into_iter().map(absolute).collect();
        self
    }

    /// Sets a file that is put into each backup, for people (default: none). It is not put back.
    #[must_use]
    pub fn configuration(mut self, file: Option<PathBuf>) -> Self {
        self.configuration = file;
        self
    }

    /// Allows `RestoreServer` (default: not). The application has to wait for
    /// [`Endpoint::restart_requested`](crate::front::Endpoint::restart_requested), and then to shut its system down and build it
    /// again: only then the backup takes its place.
    #[must_use]
    pub const fn with_restore(mut self) -> Self {
        self.may_restore = true;
        self
    }

    /// Tells whether `RestoreServer` is allowed.
    pub(crate) const fn may_restore(&self) -> bool {
        self.may_restore
    }

    /// Makes a backup in a directory, and checks it.
    pub(crate) async fn make(
        &self,
        system: &System,
        folder: &str,
        address: (&str, u16),
    ) -> Result<Made, BackupError> {
        if system.is_shared() {
            return Err(BackupError::OtherMeans);
        }
        let alone = self.busy.clone().try_lock_owned().map_err(|_| BackupError::Busy)?;
        let (root, below) = self.place(folder)?;
        leftovers::remove(&self.data)
            .map_err(|error| BackupError::io(self.data.display(), &error))?;
        let stem = stem(time_of(system), address);
        let copying = system.backup(self.data.join(COPY)).ok_or(BackupError::OtherMeans)?;
        let (this, folder) = (self.clone(), folder.to_owned());
        self.to_its_end(alone, move || {
            let made = leftovers::note(&this.data, &folder, archive::part_name(&stem))
                .and_then(|()| this.while_it_goes_on(copying))
                .and_then(|()| this.pack(&root, &below, &stem));
            // Without its space the disk is as full as before.
            if let Err(error) = leftovers::remove(&this.data) {
                log::warn!("the copy of a backup can't be removed: {error}");
            }
            made
        })
        .await
    }

    /// Does work on a thread of its own, and to its end, whether the client waits for it or not.
    async fn to_its_end<T: Send + 'static>(
        &self,
        alone: OwnedMutexGuard<()>,
        work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
    ) -> Result<T, BackupError> {
        let done = spawn_blocking(move || {
            let _alone = alone;
            work()
        });
        let done = done.await.unwrap_or_else(|error| {
            Err(BackupError::Io { path: "its thread".to_owned(), why: error.to_string() })
        });
        done.map_err(|error| if self.goes_on() { error } else { BackupError::BrokenOff })
    }

    /// Waits for a copy, unless it is broken off.
    fn while_it_goes_on(
        &self,
        copying: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), BackupError> {
        let mut is_broken_off = self.is_broken_off.subscribe();
        Handle::current().block_on(async move {
            tokio::select! {
                copied = copying => Ok(copied?),
                _ = is_broken_off.wait_for(|is_so| *is_so) => Err(BackupError::BrokenOff),
            }
        })
    }

    fn goes_on(&self) -> bool {
        !*self.is_broken_off.borrow()
    }

    /// Ends a backup or a restore that is under way; none begins from now on. What had to be kept is kept.
    pub(crate) fn break_off(&self) {
        if self.busy.try_lock().is_err() {
            log::warn!("a backup or restore is under way: it is broken off");
        }
        self.is_broken_off.send_replace(true);
    }

    /// Waits until what was broken off is tidied away, for some seconds at most.
    pub(crate) async fn ended(&self) {
        if tokio::time::timeout(BREAK_OFF_WITHIN, self.busy.lock()).await.is_err() {
            log::warn!("what a backup or restore leaves is removed at the next start");
        }
    }

    fn pack(&self, root: &Root, below: &Path, stem: &str) -> Result<Made, BackupError> {
        let copy = &self.data.join(COPY);
        let content = check_copy(copy)?;
        let folder = root
            .folder(below)
            .map_err(|error| BackupError::Place(format!("it can't be opened: {error}")))?;
        let datastores = self.copy_datastores()?;
        let mut files = vec![archive::Source::new("actions/actions.db", copy)];
        for (name, path) in &datastores {
            files.push(archive::Source::new(format!("datastores/{name}"), path));
        }
        if let Some(file) = self.configuration.as_deref().filter(|file| file.is_file()) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("actiond.cfg");
            files.push(archive::Source::new(format!("configuration/{name}"), file));
        }
        let goes_on = || self.goes_on();
        let (name, size) = archive::write_into(&folder, stem, &files, content, &goes_on)?;
        Ok(Made { path: folder.path().join(name), size, content })
    }

    /// Copies what Fetch remembers; returns the names of its databases, and where the copies are.
    fn copy_datastores(&self) -> Result<Vec<(String, PathBuf)>, BackupError> {
        let mut copies = Vec::new();
        for name in restore::datastores_in(&self.data)? {
            let copy = self.data.join(format!("{COPY}.{name}"));
            copy_database(&self.data.join(&name), &copy)?;
            copies.push((name, copy));
        }
        Ok(copies)
    }

    /// Checks a backup, and prepares it to take the place of the data when the store is opened again.
    pub(crate) async fn prepare(
        &self,
        system: &System,
        file: &str,
    ) -> Result<Prepared, BackupError> {
        if system.is_shared() {
            return Err(BackupError::OtherMeans);
        }
        let alone = self.busy.clone().try_lock_owned().map_err(|_| BackupError::Busy)?;
        let (root, below) = self.place(file)?;
        let now = time_of(system);
        let this = self.clone();
        self.to_its_end(alone, move || {
            restore::prepare((&root, &below), &this.data, now, &|| this.goes_on())
        })
        .await
    }

    /// Returns the allowed directory in which a path lies, and the rest of the path. A relative path begins in the data directory.
    fn place(&self, path: &str) -> Result<(Root, PathBuf), BackupError> {
        let path = self.data.join(path);
        for allowed in self.directories.iter().chain([&self.data]) {
            let root = match Root::resolve(allowed) {
                Ok(root) => root,
                Err(error) if path.starts_with(allowed) => {
                    return Err(BackupError::Place(format!("it can't be opened: {error}")));
                }
                Err(_) => continue,
            };
            let below = path.strip_prefix(allowed).or_else(|_| path.strip_prefix(root.path()));
            let Ok(below) = below.map(Path::to_owned) else { continue };
            let is_others =
                allowed == &self.data && OTHERS.into_iter().any(|other| below.starts_with(other));
            if is_others {
                return Err(BackupError::Place(
                    "the server makes and deletes files of its own there".to_owned(),
                ));
            }
            return Ok((root, below));
        }
        Err(BackupError::Place("it lies elsewhere".to_owned()))
    }
}

/// Returns the time in the zone of the machine, as names of files show it.
fn time_of(system: &System) -> DateTime<Local> {
    local(system.clock().now().millis())
}

fn local(milliseconds: i64) -> DateTime<Local> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default().with_timezone(&Local)
}

/// The name of a backup without its ending: time, host and port.
fn stem(now: DateTime<Local>, (host, port): (&str, u16)) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    let host: String = host.chars().map(safe).take(100).collect();
    format!("{}_{host}_{port}", now.format("%Y%m%dT%H%M%S"))
}
