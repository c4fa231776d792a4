//! Opens files that clients or crawled directories name, below a directory and never elsewhere; and makes such files (`folder`).
//!
//! The path below is opened one name at a time: each directory relative to the one above it, and no symbolic link is
//! followed. So whatever is renamed or replaced by a link meanwhile, the file that is opened was below the directory. A file
//! of the server's own is not opened under any name: it may hold secrets, and to close one of a database would release the
//! locks that SQLite has on it. (openat2 of
//! Linux does that too, but does not tell which directories are on the way, and other systems lack it.)

use std::fs::Metadata;

use serde::{Deserialize, Serialize};

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod ours;
#[cfg(unix)]
#[cfg(test)]
mod tests;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use elsewhere::{Folder, Root, directory_id, protect, protected};
#[cfg(unix)]
pub(crate) use folder::Folder;
#[cfg(unix)]
pub(crate) use ours::{is_own_file, is_protected, protect, protected};
#[cfg(unix)]
pub(crate) use unix::{Root, directory_id};

/// Reasons for which something is not opened; they are shown to clients, so they name no path.
#[cfg(unix)]
const A_LINK: &str = "a symbolic link stands in its path, and none is followed";
const A_WAY_OUT: &str = "its path leads out of the directory with `..`";
const NO_FILE: &str = "not a regular file";
#[cfg(unix)]
const ITS_OWN: &str = "it lies where the server keeps its own data";
#[cfg(unix)]
const OWN_FILE: &str = "it is a file of the server's own";

/// The identity of a directory, which tells it from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryId {
    device: u64,
    inode: u64,
}

/// The identity and state of a file, which tell it from others and from its state before. It is stored as a list of five
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64, i64, i64)", into = "(u64, u64, u64, i64, i64)")]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// In bytes.
    size: u64,
    /// The time at which it was last modified, in seconds since 1970, and the nanoseconds of that second.
    modified: (i64, i64),
}

impl Stamp {
    /// Returns the file's size in bytes.
    pub(crate) fn size(self) -> u64 {
        self.size
    }

    /// Returns true if this can be the file `found`: the same inode, though perhaps written to since, or the same size and time.
    /// The latter because numbers of devices and inodes change with a restart of the machine, and on some file systems at any
    /// time.
    pub(crate) fn can_be(self, found: Self) -> bool {
        (self.device, self.inode) == (found.device, found.inode)
            || (self.size, self.modified) == (found.size, found.modified)
    }

    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let since = since.unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let modified = (seconds, i64::from(since.subsec_nanos()));
        Self { device: 0, inode: 0, size: metadata.len(), modified }
    }
}

impl From<(u64, u64, u64, i64, i64)> for Stamp {
    fn from((device, inode, size, seconds, nanoseconds): (u64, u64, u64, i64, i64)) -> Self {
        Self { device, inode, size, modified: (seconds, nanoseconds) }
    }
}

impl From<Stamp> for (u64, u64, u64, i64, i64) {
    fn from(stamp: Stamp) -> Self {
        (stamp.device, stamp.inode, stamp.size, stamp.modified.0, stamp.modified.1)
    }
}
