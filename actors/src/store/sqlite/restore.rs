//! A backup that takes the place of what is in a data directory, once the store is opened again.
//!
//! ```text
//! DATA/restore.part/            what takes the place, prepared by `Restore` while the server runs
//! DATA/restore.part/ready.json  written last: without it, all of this is removed
//! DATA/restore.part/moved       what was there is aside
//! DATA/before-restore-…/        what was there
//! ```
//!
//! The change itself is made while nothing has the files open, and each step may be repeated: a crash at any moment leaves either
//! what was there, or a change that the next start completes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::Locks;
use crate::store::StoreError;

const DATABASE: &str = "actions.db";
/// No queue can have this name, so nothing else is kept there.
const STAGING: &str = "restore.part";
const READY: &str = "ready.json";
const MOVED: &str = "moved";

/// The files that SQLite has beside a database, by what is added to its name.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The change that is to be made.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// Name of the directory for what was there.
    aside: String,
    /// Names of the databases that were there, or are put there.
    replaced: Vec<String>,
}

/// Files that are to take the place of databases in a data directory. Nothing is changed before [`Restore::commit`] and the next
/// opening of the store ([`SqliteStore::open`](super::SqliteStore::open)); what was prepared is removed if this is dropped before.
#[derive(Debug)]
pub struct Restore {
    data: PathBuf,
    staging: PathBuf,
    is_ready: bool,
}

impl Restore {
    /// Begins to prepare in a data directory. What was prepared before and not committed is removed.
    ///
    /// # Errors
    ///
    /// The directory can't be written, or holds one that is committed already.
    pub fn begin(data: &Path) -> io::Result<Self> {
        let staging = data.join(STAGING);
        if staging.join(READY).exists() {
            return Err(io::Error::other("another one waits for the server to be started again"));
        }
        remove(&staging)?;
        make_private(&staging)?;
        Ok(Self { data: data.to_owned(), staging, is_ready: false })
    }

    /// Returns the directory into which the files are to be put.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.staging
    }

    /// Makes what was prepared durable: it takes the place of these databases when the store is opened again, and those are moved to
    /// a directory of this name in the data directory.
    ///
    /// # Errors
    ///
    /// It can't be made durable; then nothing is changed.
    pub fn commit(mut self, aside: &str, replaced: Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.staging)? {
            File::open(entry?.path())?.sync_all()?;
        }
        let plan = serde_json::to_vec(&Plan { aside: aside.to_owned(), replaced })?;
        write_durably(&self.staging, READY, &plan)?;
        sync(&self.data)?;
        self.is_ready = true;
        Ok(())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if !self.is_ready
            && let Err(error) = remove(&self.staging)
        {
            log::warn!("{} can't be removed: {error}", self.staging.display());
        }
    }
}

/// A data directory that no server uses, and none can use for as long as this is held.
#[derive(Debug)]
pub struct Unused {
    directory: PathBuf,
    _locks: Locks,
}

impl Unused {
    /// Locks a data directory, and makes the change that was committed there, if any.
    ///
    /// # Errors
    ///
    /// - [`StoreError::InUse`] if a server uses it;
    /// - [`StoreError::Io`] if there is no such directory, or it can't be written.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        if !directory.is_dir() {
            return Err(StoreError::Io(format!("{} is no directory", directory.display())));
        }
        let locks = Locks::take(&directory, &directory.join(DATABASE), true)?;
        let unused = Self { directory, _locks: locks };
        complete(&unused.directory)?;
        Ok(unused)
    }

    /// Makes the change that was committed now, and not at the next start.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if it can't be completed: the next start tries it again.
    pub fn complete(self) -> Result<(), StoreError> {
        complete(&self.directory).map(drop)
    }
}

/// Makes a change that was committed, and returns true if there was one. The data directory is locked, and nothing in it is open.
pub(super) fn complete(data: &Path) -> Result<bool, StoreError> {
    complete_in(data).map_err(|error| {
        StoreError::Io(format!("the restore in {} can't be completed: {error}", data.display()))
    })
}

fn complete_in(data: &Path) -> io::Result<bool> {
    let staging = data.join(STAGING);
    let plan = match fs::read(staging.join(READY)) {
        Ok(plan) => serde_json::from_slice::<Plan>(&plan)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // One that was cut short may be as large as the database.
            if staging.exists() {
                log::info!("{} is removed: that restore was cut short", staging.display());
                remove(&staging)?;
            }
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let aside = data.join(&plan.aside);
    if !staging.join(MOVED).exists() {
        if !aside.is_dir() {
            make_private(&aside)?;
        }
        for name in &plan.replaced {
            for beside in BESIDE {
                move_aside(data, &aside, &format!("{name}{beside}"))?;
            }
        }
        sync(&aside)?;
        sync(data)?;
        write_durably(&staging, MOVED, b"")?;
    }
    for entry in fs::read_dir(&staging)? {
        let name = entry?.file_name();
        if name != READY && name != MOVED {
            fs::rename(staging.join(&name), data.join(&name))?;
        }
    }
    sync(data)?;
    log::info!(
        "the backup has taken its place in {}; what was there is in {}",
        data.display(),
        aside.display()
    );
    // Without it the rest counts for nothing.
    fs::remove_file(staging.join(READY))?;
    sync(&staging)?;
    remove(&staging)?;
    Ok(true)
}

fn move_aside(data: &Path, aside: &Path, name: &str) -> io::Result<()> {
    let (from, to) = (data.join(name), aside.join(name));
    match fs::symlink_metadata(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        // A start that was cut short has moved it, and the lock of this one has made it again.
        Ok(made) if to.exists() && made.len() == 0 => fs::remove_file(&from),
        Ok(_) if to.exists() => Err(io::Error::other(format!("{} is there twice", to.display()))),
        Ok(_) => fs::rename(&from, &to),
    }
}

fn write_durably(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(directory.join(name))?;
    file.write_all(content)?;
    file.sync_all()?;
    sync(directory)
}

/// Makes the names in a directory durable, where the system can.
fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(home: &Path, name: &str) -> Option<String> {
        fs::read_to_string(home.join(name)).ok()
    }

    fn prepared() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for name in ["actions.db", "actions.db-wal", "b.db", "other"] {
            fs::write(home.path().join(name), format!("old {name}")).unwrap();
        }
        let restore = Restore::begin(home.path()).unwrap();
        for name in ["actions.db", "c.db"] {
            fs::write(restore.directory().join(name), format!("new {name}")).unwrap();
        }
        restore.commit("aside", ["actions.db", "b.db", "c.db"].map(str::to_owned).into()).unwrap();
        home
    }

    fn assert_is_complete(home: &Path) {
        let of = |name: &str| at(home, name);
        assert_eq!(of("actions.db").as_deref(), Some("new actions.db"));
        assert_eq!(of("c.db").as_deref(), Some("new c.db"));
        assert_eq!((of("actions.db-wal"), of("b.db")), (None, None));
        assert_eq!(of("other").as_deref(), Some("old other"));
        for name in ["actions.db", "actions.db-wal", "b.db"] {
            assert_eq!(of(&format!("aside/{name}")), Some(format!("old {name}")));
        }
        assert!(!home.join(STAGING).exists());
        assert!(!complete(home).unwrap(), "once is enough");
    }

    #[test]
    fn what_was_there_is_aside() {
        let home = prepared();
        assert!(complete(home.path()).unwrap());
        assert_is_complete(home.path());
    }

    #[test]
    fn nothing_happens_before_the_commit_and_nothing_is_left() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("actions.db"), "old").unwrap();
        let prepare = || {
            let restore = Restore::begin(home.path()).unwrap();
            fs::write(restore.directory().join("actions.db"), "new").unwrap();
            restore
        };
        drop(prepare());
        assert!(!home.path().join(STAGING).exists());
        // As a crash leaves it.
        std::mem::forget(prepare());
        assert!(!complete(home.path()).unwrap());
        assert_eq!(at(home.path(), "actions.db").as_deref(), Some("old"));
        assert!(!home.path().join(STAGING).exists());
    }

    #[test]
    fn one_that_is_committed_is_not_replaced() {
        let home = prepared();
        let error = Restore::begin(home.path()).unwrap_err();
        assert!(error.to_string().contains("waits for the server"), "{error}");
        assert!(complete(home.path()).unwrap());
        assert_is_complete(home.path());
    }

    /// Each state in which a crash can leave the directory is gone on from.
    #[test]
    fn a_crash_is_gone_on_from() {
        let moves = ["actions.db", "actions.db-wal", "b.db"];
        // While what was there is moved.
        for done in 0..=moves.len() {
            let home = prepared();
            make_private(&home.path().join("aside")).unwrap();
            for name in &moves[..done] {
                fs::rename(home.path().join(name), home.path().join("aside").join(name)).unwrap();
            }
            // As the lock of the next start makes it.
            File::options().create(true).append(true).open(home.path().join("actions.db")).unwrap();
            assert!(complete(home.path()).unwrap());
            assert_is_complete(home.path());
        }
        // While the new ones are put in place.
        for done in [&[][..], &["actions.db"], &["actions.db", "c.db"]] {
            let home = prepared();
            make_private(&home.path().join("aside")).unwrap();
            for name in moves {
                fs::rename(home.path().join(name), home.path().join("aside").join(name)).unwrap();
            }
            fs::write(home.path().join("restore.part/moved"), "").unwrap();
            for name in done {
                fs::rename(home.path().join(STAGING).join(name), home.path().join(name)).unwrap();
            }
            File::options().create(true).append(true).open(home.path().join("actions.db")).unwrap();
            assert!(complete(home.path()).unwrap());
            assert_is_complete(home.path());
        }
    }

    #[test]
    fn nothing_that_is_aside_is_overwritten() {
        let home = prepared();
        make_private(&home.path().join("aside")).unwrap();
        fs::write(home.path().join("aside/b.db"), "older").unwrap();
        let error = complete(home.path()).unwrap_err();
        assert!(error.to_string().contains("is there twice"), "{error}");
        assert_eq!(at(home.path(), "aside/b.db").as_deref(), Some("older"));
        assert_eq!(at(home.path(), "b.db").as_deref(), Some("old b.db"));
    }
}
