//! Which files must not be opened by anybody else in this process: those of the databases that it has open.
//!
//! SQLite's locks belong to the process (POSIX): to close any descriptor of such a file takes away all of them, though SQLite
//! still counts on them. The next program that opens the database believes that it is alone, and throws the log away.
//! So whoever opens files by names that others choose asks here first. A file may have more names than
//! one (hard links, mounts), so it is known by its device and inode.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Device and inode.
type Identity = (u64, u64);

/// How long the time of a directory must have stood still before its list of files is believed. Systems take that time from
/// a clock that ticks every 10 ms at most; of two changes within one tick the second can't be seen by it.
const STILL: Duration = Duration::from_millis(100);

static DIRECTORIES: Mutex<Vec<Directory>> = Mutex::new(Vec::new());

fn directories() -> MutexGuard<'static, Vec<Directory>> {
    DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the files of a directory known for as long as this is kept: all that lie in it directly, also those that come later.
#[derive(Debug)]
pub struct OwnFiles {
    path: PathBuf,
    held: Vec<Identity>,
}

impl OwnFiles {
    /// Begins with a directory in which databases are, or will be.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self::holding(directory, Vec::new())
    }

    /// As [`OwnFiles::of`]; these files are open, so they are known wherever they are moved.
    pub(super) fn holding(directory: &Path, held: Vec<Identity>) -> Self {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let path = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let mut directories = directories();
        match directories.iter_mut().find(|known| known.path == path) {
            Some(known) => {
                known.holders += 1;
                known.held.extend(&held);
            }
            None => directories.push(Directory {
                path: path.clone(),
                holders: 1,
                held: held.clone(),
                files: HashSet::new(),
                seen: None,
            }),
        }
        Self { path, held }
    }
}

impl Drop for OwnFiles {
    fn drop(&mut self) {
        let mut directories = directories();
        let Some(at) = directories.iter().position(|known| known.path == self.path) else { return };
        let Some(known) = directories.get_mut(at) else { return };
        known.holders = known.holders.saturating_sub(1);
        for one in &self.held {
            if let Some(at) = known.held.iter().position(|held| held == one) {
                known.held.swap_remove(at);
            }
        }
        if known.holders == 0 {
            directories.swap_remove(at);
        }
    }
}

/// Tells by its device and inode whether a file is one of them, as it is now. Costs a look at each directory.
#[must_use]
pub fn is_own_inode(device: u64, inode: u64) -> bool {
    // At all of them: the list of one may be asked for later without a look.
    look_at_own_files();
    was_own_inode(device, inode)
}

/// Looks at each directory, for those who ask [`was_own_inode`] next.
pub fn look_at_own_files() {
    directories().iter_mut().for_each(Directory::look);
}

/// Tells by its device and inode whether a file was one of them at the last look.
#[must_use]
pub fn was_own_inode(device: u64, inode: u64) -> bool {
    directories().iter().any(|directory| directory.has((device, inode)))
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// How many keep it known.
    holders: usize,
    /// Files of it that are open.
    held: Vec<Identity>,
    /// Those that were in it at the last look.
    files: HashSet<Identity>,
    seen: Option<Seen>,
}

/// The directory as it was at the last look.
#[derive(Debug)]
struct Seen {
    /// What tells it from others, and when it was changed.
    is: (Identity, i64, i64),
    /// When it was first seen so.
    first: Instant,
    /// The list was made when it had stood still for long enough.
    is_sure: bool,
}

impl Directory {
    fn has(&self, identity: Identity) -> bool {
        self.files.contains(&identity) || self.held.contains(&identity)
    }

    /// Makes the list anew if it may be another one.
    fn look(&mut self) {
        // What can't be seen now may still be open, so the list stays.
        let Ok(now) = fs::metadata(&self.path) else { return };
        let is = ((now.dev(), now.ino()), now.mtime(), now.mtime_nsec());
        let first = match &self.seen {
            Some(seen) if seen.is == is && seen.is_sure => return,
            Some(seen) if seen.is == is => seen.first,
            _ => Instant::now(),
        };
        let is_sure = first.elapsed() >= STILL;
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let files = entries.flatten().filter_map(|entry| {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                return None;
            }
            // A link is followed, as SQLite does.
            let file = fs::metadata(entry.path()).ok().filter(Metadata::is_file)?;
            Some((file.dev(), file.ino()))
        });
        self.files = files.collect();
        self.seen = Some(Seen { is, first, is_sure });
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
            holders: 1,
            held: Vec::new(),
            files: HashSet::new(),
            seen: None,
        };
        directory.look();
        assert!(directory.seen.as_ref().is_some_and(|seen| !seen.is_sure));
        // As if that had been some time ago.
        directory.seen.as_mut().unwrap().first -= STILL;
        directory.look();
        assert!(directory.seen.as_ref().is_some_and(|seen| seen.is_sure));
        directory.files.clear();
        directory.look();
        assert!(directory.files.is_empty(), "it was read again");
        fs::write(home.path().join("b"), "").unwrap();
        directory.look();
        assert_eq!(directory.files.len(), 2);
    }

    #[test]
    fn what_is_open_stays_known_wherever_it_goes() {
        let home = tempfile::tempdir().unwrap();
        let (data, away) = (home.path().join("data"), home.path().join("away"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.db"), "").unwrap();
        let file = fs::metadata(data.join("a.db")).unwrap();
        let own = OwnFiles::holding(&data, vec![(file.dev(), file.ino())]);
        fs::rename(data.join("a.db"), &away).unwrap();
        assert!(is_own(&away));
        fs::remove_dir_all(&data).unwrap();
        assert!(is_own(&away));
        drop(own);
        assert!(!is_own(&away));
    }
}
