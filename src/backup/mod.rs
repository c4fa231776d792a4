//! Backups: one archive with all that a server keeps, made while work goes on, and put back later (`BackupServer` and
//! `RestoreServer`).
//!
//! - the archive, written and read: `archive`;
//! - the way from an archive into a data directory: `restore`;
//! - the copy of the actions, and the change of files at the next start: [`actiond_actors::store::sqlite`].
//!
//! Clients name directories and files, so both are looked for below a few directories and nowhere else, and no link is followed
//! (`documents/beneath`).

mod archive;
mod restore;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actiond_actors::System;
use actiond_actors::store::StoreError;
use actiond_actors::store::sqlite::{CopyContent, check_copy, copy_database};
use actix_web::rt::task::spawn_blocking;
use chrono::{DateTime, Local};
use tokio::sync::Mutex;

use crate::documents::beneath::Root;

/// The directories of the data directory in which others make and delete files.
const OTHERS: [&str; 2] = ["commands", "restore"];

/// The name of the copy of the actions, before it is in an archive.
const COPY: &str = "backup.part";

/// Settings of backups: where they are kept, and what is in them besides the actions.
#[derive(Debug, Clone)]
pub struct Backups {
    data: PathBuf,
    directories: Vec<PathBuf>,
    configuration: Option<PathBuf>,
    may_restore: bool,
    /// One backup or restore at a time.
    busy: Arc<Mutex<()>>,
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
    #[error("{0}")]
    Io(String),
}

impl BackupError {
    fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::Io(format!("{what}: {error}"))
    }
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
        let _alone = self.busy.clone().try_lock_owned().map_err(|_| BackupError::Busy)?;
        let (root, below) = self.place(folder)?;
        let copy = self.data.join(COPY);
        remove_if_there(&copy)?;
        let copying = system.backup(copy.clone()).ok_or(BackupError::OtherMeans)?;
        let copied = copying.await;
        let made = match copied {
            Ok(()) => {
                let (this, copy) = (self.clone(), copy.clone());
                let stem = stem(time_of(system), address);
                let pack = move || this.pack(&root, &below, &copy, &stem);
                spawn_blocking(pack)
                    .await
                    .unwrap_or_else(|error| Err(BackupError::Io(error.to_string())))
            }
            Err(error) => Err(error.into()),
        };
        // Without its space the disk is as full as before.
        remove_if_there(&copy)?;
        made
    }

    fn pack(
        &self,
        root: &Root,
        below: &Path,
        copy: &Path,
        stem: &str,
    ) -> Result<Made, BackupError> {
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
        let packed = archive::write_into(&folder, stem, &files, content);
        for (_, path) in &datastores {
            remove_if_there(path)?;
        }
        let (name, size) = packed?;
        Ok(Made { path: folder.path().join(name), size, content })
    }

    /// Copies what Fetch remembers; returns the names of its databases, and where the copies are.
    fn copy_datastores(&self) -> Result<Vec<(String, PathBuf)>, BackupError> {
        let mut copies = Vec::new();
        for name in restore::datastores_in(&self.data)? {
            let copy = self.data.join(format!("{COPY}.{name}"));
            remove_if_there(&copy)?;
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
        let _alone = self.busy.clone().try_lock_owned().map_err(|_| BackupError::Busy)?;
        let (root, below) = self.place(file)?;
        let data = self.data.clone();
        let now = time_of(system);
        let prepare = move || restore::prepare(&root, &below, &data, now);
        spawn_blocking(prepare)
            .await
            .unwrap_or_else(|error| Err(BackupError::Io(error.to_string())))
    }

    /// Returns the allowed directory in which a path lies, and the rest of the path. A relative path begins in the data directory.
    fn place(&self, path: &str) -> Result<(Root, PathBuf), BackupError> {
        let path = self.data.join(path);
        for allowed in self.directories.iter().chain([&self.data]) {
            let Ok(root) = Root::resolve(allowed) else { continue };
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
    let now = DateTime::from_timestamp_millis(system.clock().now().millis());
    now.unwrap_or_default().with_timezone(&Local)
}

/// The name of a backup without its ending: time, host and port.
fn stem(now: DateTime<Local>, (host, port): (&str, u16)) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    let host: String = host.chars().map(safe).take(100).collect();
    format!("{}_{host}_{port}", now.format("%Y%m%dT%H%M%S"))
}

fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::io(path.display(), &error))
        }
        _ => Ok(()),
    }
}
