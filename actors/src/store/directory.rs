//! The data directory of a server: making it, its lock, and the identity of files in it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The lock on the file `actiond.lock` of a data directory, which keeps a second server away from it. It is free again once
/// this is dropped, or the process has ended.
///
/// [`SqliteStore`](super::sqlite::SqliteStore) takes it itself. A server that keeps its actions elsewhere still has a directory,
/// with what its programs and its kinds of action leave there: it takes the lock before it opens its store.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    /// It is locked as long as it is open.
    _file: File,
    id: Option<FileId>,
    /// True once it was logged that the lock is gone and can't be taken again.
    warned: bool,
}

pub(in crate::store) fn path_in(directory: &Path) -> PathBuf {
    directory.join("actiond.lock")
}

impl DirectoryLock {
    /// Makes the directory, unless it is there, and takes its lock.
    ///
    /// # Errors
    ///
    /// - [`StoreError::InUse`] if another server has it;
    /// - [`StoreError::Io`] if the directory or the file can't be made or locked.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        // The process may change its directory later. An empty path stays as it is: it means the current directory.
        let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        make_directory(directory)
            .map_err(|e| StoreError::Io(format!("{}: {e}", directory.display())))?;
        Self::take_in(directory)
    }

    /// Takes the lock of a directory that is there.
    pub(in crate::store) fn take_in(directory: &Path) -> Result<Self, StoreError> {
        let path = path_in(directory);
        let io = |e: io::Error| StoreError::Io(format!("{}: {e}", path.display()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(directory, owner_in(&file))),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
        // The number is only for other servers' messages; a full disk must not keep this one from starting.
        let _ = writeln!(file, "{}", std::process::id());
        // Of the open file: there may be another at its path by now.
        let id = file.metadata().map(|file| file_id_of(&file)).ok();
        Ok(Self { directory: directory.to_owned(), _file: file, id, warned: false })
    }

    /// Checks the lock, and takes it again if its file is gone. To be called now and then: while the file is gone, nothing
    /// keeps another server away. Blocks for microseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another server has it.
    pub fn check(&mut self) -> Result<(), StoreError> {
        let path = path_in(&self.directory);
        if file_id(&path).ok() == self.id {
            return Ok(());
        }
        match Self::take_in(&self.directory) {
            Ok(again) => {
                log::warn!(
                    "{} was deleted or replaced: it is made and locked again",
                    path.display()
                );
                *self = again;
                Ok(())
            }
            Err(error @ StoreError::InUse { .. }) => Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.warned, true) {
                    log::warn!(
                        "the lock of the data directory is gone and can't be made again: {error}"
                    );
                }
                Ok(())
            }
        }
    }
}

pub(in crate::store) fn in_use(directory: &Path, owner: String) -> StoreError {
    StoreError::InUse { path: directory.to_owned(), owner }
}

/// Returns the holder of the directory's lock, if its file tells.
pub(in crate::store) fn owner(directory: &Path) -> String {
    File::open(path_in(directory)).map(|file| owner_in(&file)).unwrap_or_default()
}

fn owner_in(file: &File) -> String {
    let mut owner = String::new();
    // Only for the message: if it can't be read, it is left out.
    let _ = file.take(20).read_to_string(&mut owner);
    let owner = owner.trim();
    if owner.is_empty() { String::new() } else { format!(" (process {owner})") }
}

/// The mode of a directory that is made here. Others can't list it, but may go through it to what they may use below: programs that run as
/// another user have their working directories there.
#[cfg(unix)]
const DIRECTORY_MODE: u32 = 0o711;

/// Creates the directory and its parents, and makes their names durable: SQLite syncs only the names in it.
pub(in crate::store) fn make_directory(directory: &Path) -> io::Result<()> {
    let parents = directory.ancestors().take_while(|path| !path.is_dir()).filter_map(Path::parent);
    let parents: Vec<&Path> = parents.collect();
    if let Some(parent) = parents.first() {
        fs::create_dir_all(parent)?;
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIRECTORY_MODE);
        match builder.create(directory) {
            // Another server was faster.
            Err(_) if directory.is_dir() => {}
            made => made?,
        }
    }
    for parent in parents {
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        // Not every system lets a directory be opened and synced; SQLite passes over that too.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

/// Makes a file that nobody else can read: it holds what clients have sent.
pub(in crate::store) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Identity of a file, whatever path leads to it: device and inode.
#[cfg(unix)]
pub(in crate::store) type FileId = (u64, u64);
/// Identity of a file. Here an open file can't be deleted or moved away, so that it exists is enough.
#[cfg(not(unix))]
pub(in crate::store) type FileId = ();

pub(in crate::store) fn file_id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|file| file_id_of(&file))
}

#[cfg(unix)]
pub(in crate::store) fn file_id_of(file: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

#[cfg(not(unix))]
pub(in crate::store) const fn file_id_of(_: &fs::Metadata) -> FileId {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_and_locked_and_free_again_when_that_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("deep/data");
        let lock = DirectoryLock::take(&directory).unwrap();
        let error = DirectoryLock::take(&directory).unwrap_err();
        let owner = format!(" (process {})", std::process::id());
        assert_eq!(error, StoreError::InUse { path: directory.clone(), owner });
        drop(lock);
        assert!(DirectoryLock::take(&directory).is_ok());
    }

    #[test]
    fn a_directory_that_can_not_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DirectoryLock::take(&file.join("data")).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
