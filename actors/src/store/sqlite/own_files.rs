//! The files of the databases that this process has open: nothing else in the process may open them.
//!
//! SQLite's locks belong to the process (POSIX): closing any descriptor of such a file drops all of them, and SQLite
//! does not notice. The next program that opens the database finds no locks and discards the log.
//! So code that opens files by names that others choose must ask here first. A file may have several names
//! (hard links, mounts), so files are compared by device and inode.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::directory::FileId;

/// Age that the modification time of a directory must have before its list of files is reliable. Systems take that time
/// from a clock that ticks every 10 ms or faster, and it shows only the first of two changes within one tick.
const RELIABLE_AFTER: Duration = Duration::from_millis(100);

static DIRECTORIES: Mutex<Vec<Directory>> = Mutex::new(Vec::new());

fn directories() -> MutexGuard<'static, Vec<Directory>> {
    DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the files of a directory until it is dropped: all that are directly in it, now or later.
#[derive(Debug)]
pub struct OwnFiles {
    path: PathBuf,
    open: Vec<FileId>,
}

impl OwnFiles {
    /// Registers a directory in which databases are, or will be.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self::with_open(directory, Vec::new())
    }

    /// Registers a directory as [`OwnFiles::of`] does. The `open` files stay registered if they are moved.
    pub(super) fn with_open(directory: &Path, open: Vec<FileId>) -> Self {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let path = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let mut directories = directories();
        match directories.iter_mut().find(|known| known.path == path) {
            Some(known) => {
                known.users += 1;
                known.open.extend(&open);
            }
            None => directories.push(Directory {
                path: path.clone(),
                users: 1,
                open: open.clone(),
                files: HashSet::new(),
                listed: None,
            }),
        }
        Self { path, open }
    }
}

impl Drop for OwnFiles {
    fn drop(&mut self) {
        let mut directories = directories();
        let Some(at) = directories.iter().position(|known| known.path == self.path) else { return };
        let Some(known) = directories.get_mut(at) else { return };
        known.users = known.users.saturating_sub(1);
        for id in &self.open {
            if let Some(at) = known.open.iter().position(|open| open == id) {
                known.open.swap_remove(at);
            }
        }
        if known.users == 0 {
            directories.swap_remove(at);
        }
    }
}

/// Returns true if the file of this device and inode is one of them now. Reads each registered directory if it has changed.
#[must_use]
pub fn is_own_inode(device: u64, inode: u64) -> bool {
    // All of them: `was_own_inode` may be called next.
    look_at_own_files();
    was_own_inode(device, inode)
}

/// Reads each registered directory if it has changed, for calls of [`was_own_inode`] that follow.
pub fn look_at_own_files() {
    directories().iter_mut().for_each(Directory::refresh);
}

/// Returns true if the file of this device and inode was one of them when the directories were last read.
#[must_use]
pub fn was_own_inode(device: u64, inode: u64) -> bool {
    directories().iter().any(|directory| directory.has((device, inode)))
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Number of [`OwnFiles`] that register it.
    users: usize,
    /// Files of it that are open.
    open: Vec<FileId>,
    /// Files that were in it when it was last read.
    files: HashSet<FileId>,
    listed: Option<Listed>,
}

/// The directory as it was when it was last read.
#[derive(Debug)]
struct Listed {
    /// Its identity and modification time.
    version: (FileId, i64, i64),
    /// Time when this version was first seen.
    first: Instant,
    /// True if the list was read late enough after the last change ([`RELIABLE_AFTER`]).
    is_reliable: bool,
}

impl Directory {
    fn has(&self, id: FileId) -> bool {
        self.files.contains(&id) || self.open.contains(&id)
    }

    /// Reads the directory again if it may have changed.
    fn refresh(&mut self) {
        // If it can't be read now, its files may still be open, so the list stays.
        let Ok(now) = fs::metadata(&self.path) else { return };
        let version = ((now.dev(), now.ino()), now.mtime(), now.mtime_nsec());
        let first = match &self.listed {
            Some(listed) if listed.version == version && listed.is_reliable => return,
            Some(listed) if listed.version == version => listed.first,
            _ => Instant::now(),
        };
        let is_reliable = first.elapsed() >= RELIABLE_AFTER;
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let files = entries.flatten().filter_map(|entry| {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                return None;
            }
            // Links are followed, as by SQLite.
            let file = fs::metadata(entry.path()).ok().filter(Metadata::is_file)?;
            Some((file.dev(), file.ino()))
        });
        self.files = files.collect();
        self.listed = Some(Listed { version, first, is_reliable });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(path: &Path) -> bool {
        let file = fs::metadata(path).unwrap();
        is_own_inode(file.dev(), file.ino())
    }

    #[test]
    fn files_are_known_by_whatever_name_and_as_soon_as_they_are_there() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for directory in ["data/deep", "docs"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        for file in ["data/a.db", "data/deep/b", "docs/c"] {
            fs::write(at(file), "").unwrap();
        }
        fs::hard_link(at("data/a.db"), at("docs/a")).unwrap();
        let link = fs::metadata(at("docs/a")).unwrap();
        assert!(!is_own(&at("docs/a")) && !was_own_inode(link.dev(), link.ino()));
        let first = OwnFiles::of(&at("data"));
        assert!(
            is_own(&at("docs/a"))
                && was_own_inode(link.dev(), link.ino())
                && is_own(&at("data/a.db"))
        );
        assert!(!is_own(&at("docs/c")) && !is_own(&at("data/deep/b")));
        // Each at once, however short the time between two of them.
        for number in 0..200 {
            let (new, link) = (at(&format!("data/{number}")), at(&format!("docs/{number}")));
            fs::write(&new, "").unwrap();
            fs::hard_link(&new, &link).unwrap();
            assert!(is_own(&link), "{number}");
            fs::remove_file(&new).unwrap();
            assert!(!is_own(&link), "{number}");
        }
        let second = OwnFiles::of(&at("docs/../data"));
        drop(first);
        assert!(is_own(&at("docs/a")));
        drop(second);
        assert!(!is_own(&at("docs/a")));
    }

    #[test]
    fn a_list_is_kept_once_the_directory_stands_still() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a"), "").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(home.path()).unwrap().set_modified(long_ago).unwrap();
        let mut directory = Directory {
            path: home.path().to_owned(),
            users: 1,
            open: Vec::new(),
            files: HashSet::new(),
            listed: None,
        };
        directory.refresh();
        assert!(directory.listed.as_ref().is_some_and(|listed| !listed.is_reliable));
        // As if that had been some time ago.
        directory.listed.as_mut().unwrap().first -= RELIABLE_AFTER;
        directory.refresh();
        assert!(directory.listed.as_ref().is_some_and(|listed| listed.is_reliable));
        directory.files.clear();
        directory.refresh();
        assert!(directory.files.is_empty(), "it was read again");
        fs::write(home.path().join("b"), "").unwrap();
        directory.refresh();
        assert_eq!(directory.files.len(), 2);
    }

    #[test]
    fn what_is_open_stays_known_wherever_it_goes() {
        let home = tempfile::tempdir().unwrap();
        let (data, away) = (home.path().join("data"), home.path().join("away"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.db"), "").unwrap();
        let file = fs::metadata(data.join("a.db")).unwrap();
        let own = OwnFiles::with_open(&data, vec![(file.dev(), file.ino())]);
        fs::rename(data.join("a.db"), &away).unwrap();
        assert!(is_own(&away));
        fs::remove_dir_all(&data).unwrap();
        assert!(is_own(&away));
        drop(own);
        assert!(!is_own(&away));
    }
}
