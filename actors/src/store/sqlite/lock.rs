//! Locks that keep a second server away from the data. There are two, since neither is enough alone:
//!
//! - one on the database file itself, if the system has locks that do not interfere with SQLite's own (Linux). It
//!   belongs to the file, whatever path, link or mount leads to it, and can't be deleted;
//! - one on the file `actiond.lock` beside it, on all systems ([`DirectoryLock`]). It names the process, and older versions
//!   know only this one. It is lost if the file is deleted, so it is checked and taken again ([`super::files`]).
//!
//! The reasons are in `docs/adr/0010-a-database-that-is-gone.md`.

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::fs::File;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::io;
use std::path::Path;

use crate::store::StoreError;
use crate::store::directory::{DirectoryLock, in_use, owner};

/// Both locks of a data directory. Must be dropped after the last connection to its database: closing any
/// descriptor of that file drops the locks that SQLite holds on it in this process.
#[derive(Debug)]
pub(super) struct Locks {
    directory: DirectoryLock,
    _database: Option<DatabaseLock>,
}

impl Locks {
    /// Takes both, or none. The database file is only locked if it is a `real` file of this system.
    pub(super) fn take(directory: &Path, database: &Path, real: bool) -> Result<Self, StoreError> {
        // Where there is no database yet, another server may keep its actions elsewhere: none must be made beside its files.
        let first = (!database.exists()).then(|| DirectoryLock::take_in(directory)).transpose()?;
        // Else the database file first: a server that is refused there has not touched the lock file of the other.
        let database = match real.then(|| DatabaseLock::take(database)) {
            None => None,
            Some(Ok(Some(lock))) => Some(lock),
            Some(Ok(None)) => return Err(in_use(directory, owner(directory))),
            Some(Err(e)) => return Err(StoreError::Io(format!("{}: {e}", database.display()))),
        };
        let directory = first.map_or_else(|| DirectoryLock::take_in(directory), Ok)?;
        Ok(Self { directory, _database: database })
    }

    /// Locks the database that has taken the place of the one before. The directory stays locked.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another server has it.
    pub(super) fn of_new_database(self, path: &Path, database: &Path) -> Result<Self, StoreError> {
        let Self { directory, _database: before } = self;
        drop(before);
        let lock = match DatabaseLock::take(database) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Err(in_use(path, String::new())),
            Err(e) => return Err(StoreError::Io(format!("{}: {e}", database.display()))),
        };
        Ok(Self { directory, _database: lock })
    }

    /// Checks the lock on the directory, and takes it again if its file is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another server has it.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        self.directory.check()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use on_the_file::DatabaseLock;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod on_the_file {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use crate::store::directory::{FileId, file_id, file_id_of};

    /// A lock of one byte far behind all that SQLite locks and writes. It belongs to the open file; SQLite's locks
    /// belong to the process.
    #[derive(Debug)]
    pub(super) struct DatabaseLock {
        /// It is locked as long as it is open.
        _file: File,
        id: FileId,
    }

    /// The databases that this process has open. Opening and closing one of them again would drop
    /// SQLite's locks, so a second store must be refused without that.
    static OPEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

    impl DatabaseLock {
        /// Takes the lock, and creates the file if there is none; `None` if another server has the lock.
        pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
            let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            if file_id(path).is_ok_and(|id| open.contains(&id)) {
                return Ok(None);
            }
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                // It holds what clients have sent. SQLite makes the log with the same mode.
                .mode(0o600)
                .open(path)?;
            let id = file_id_of(&file.metadata()?);
            match fcntl(&file, FcntlArg::F_OFD_SETLK(&one_byte())) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => return Ok(None),
                // Some network file systems have no locks, and some systems not this kind.
                Err(error) => log::warn!(
                    "{} can't be locked ({error}): a second server is kept away by actiond.lock alone",
                    path.display()
                ),
            }
            open.push(id);
            Ok(Some(Self { _file: file, id }))
        }
    }

    impl Drop for DatabaseLock {
        fn drop(&mut self) {
            OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.id);
        }
    }

    fn one_byte() -> libc::flock {
        libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: libc::off_t::MAX,
            l_len: 1,
            l_pid: 0,
        }
    }
}

/// No lock: here a lock on the database file would interfere with SQLite's own.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug)]
struct DatabaseLock;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl DatabaseLock {
    fn take(path: &Path) -> io::Result<Option<Self>> {
        // One that is there may be open in this process, and must not be opened and closed.
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            let made = File::options().write(true).create_new(true).mode(0o600).open(path);
            made.map(drop).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(Some(Self))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File, TryLockError};

    use super::*;
    use crate::store::directory::path_in;

    fn taken(directory: &Path) -> Result<Locks, StoreError> {
        Locks::take(directory, &directory.join("actions.db"), true)
    }

    fn is_in_use(taken: Result<Locks, StoreError>) -> bool {
        matches!(taken, Err(StoreError::InUse { .. }))
    }

    #[test]
    fn what_was_taken_is_free_again_when_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let locks = taken(home.path()).unwrap();
        let error = taken(home.path()).unwrap_err().to_string();
        let process = format!("(process {})", std::process::id());
        assert!(error.contains(&process), "{error}");
        drop(locks);
        let locks = taken(home.path()).unwrap();
        drop(locks);
        assert!(taken(home.path()).is_ok());
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_file_is_locked_whatever_leads_to_it() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        let locks = taken(&data).unwrap();
        fs::remove_file(path_in(&data)).unwrap();
        assert!(is_in_use(taken(&data)), "the lock file is gone");
        assert!(!path_in(&data).exists(), "who is refused makes nothing");
        let linked = home.path().join("linked");
        fs::create_dir(&linked).unwrap();
        fs::hard_link(data.join("actions.db"), linked.join("actions.db")).unwrap();
        assert!(is_in_use(taken(&linked)), "a hard link");
        let symbolic = home.path().join("symbolic");
        std::os::unix::fs::symlink(&data, &symbolic).unwrap();
        assert!(is_in_use(taken(&symbolic)), "a symbolic link");
        drop(locks);
        assert!(taken(&linked).is_ok());
    }

    #[test]
    fn a_lock_file_that_is_gone_is_made_again_and_one_of_another_is_respected() {
        let home = tempfile::tempdir().unwrap();
        let path = path_in(home.path());
        let mut locks = taken(home.path()).unwrap();
        assert_eq!(locks.check(), Ok(()));
        fs::remove_file(&path).unwrap();
        assert_eq!(locks.check(), Ok(()));
        let process = std::process::id().to_string();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), process);
        let again = File::open(&path).unwrap();
        assert!(matches!(again.try_lock(), Err(TryLockError::WouldBlock)), "it is not locked");

        fs::remove_file(&path).unwrap();
        fs::write(&path, "17").unwrap();
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        let error = locks.check().unwrap_err();
        assert!(error.to_string().contains("process 17"), "{error}");
        assert!(locks.check().is_err());
        drop(other);
        assert_eq!(locks.check(), Ok(()));
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), process);

        // None can be made: that alone stops nothing.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(locks.check(), Ok(()));
    }
}
