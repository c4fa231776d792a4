//! The server's own files, which are never opened by a name that others choose: its databases with the files beside them,
//! the files of its output, and those of its configuration.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use actiond_actors::store::sqlite;
use rustix::fs::{Stat, fstat};

/// The files of the configuration, with keys and certificates. There are few of them.
static OF_CONFIGURATION: RwLock<Vec<PathBuf>> = RwLock::new(Vec::new());

/// Adds files to those that are never opened by a name that others choose, until the process ends. They are known by what is
/// at these paths at the time, because such files are replaced.
pub(crate) fn protect(paths: impl IntoIterator<Item = PathBuf>) {
    let mut known = OF_CONFIGURATION.write().unwrap_or_else(PoisonError::into_inner);
    for path in paths {
        let path = std::path::absolute(&path).unwrap_or(path);
        if !known.contains(&path) {
            known.push(path);
        }
    }
}

/// Returns the paths of those files.
pub(crate) fn protected() -> Vec<PathBuf> {
    OF_CONFIGURATION.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn is_of_configuration(file: Option<(u64, u64)>) -> bool {
    let known = OF_CONFIGURATION.read().unwrap_or_else(PoisonError::into_inner);
    let mut known = known.iter().filter_map(|path| fs::metadata(path).ok());
    known.any(|known| file == Some((known.dev(), known.ino())))
}

/// Returns true if a file is one of them, by whatever name it was found. One that has one name only is
/// compared with what was there at the last look, which costs next to nothing.
pub(super) fn is_ours(file: &Stat) -> bool {
    let identity = identity(file);
    is_own_inode(identity, file.st_nlink > 1)
        || is_same(&io::stdout(), identity)
        || is_same(&io::stderr(), identity)
        || is_of_configuration(identity)
}

/// Returns true for the databases and the files beside them alone.
pub(crate) fn is_own_file(file: &Metadata) -> bool {
    is_own_inode(Some((file.dev(), file.ino())), file.nlink() > 1)
}

/// Returns true for the databases with the files beside them, and for the files of the configuration.
pub(crate) fn is_protected(file: &Metadata) -> bool {
    let identity = Some((file.dev(), file.ino()));
    is_own_inode(identity, true) || is_of_configuration(identity)
}

fn is_own_inode(identity: Option<(u64, u64)>, look: bool) -> bool {
    identity.is_some_and(|(device, inode)| match look {
        true => sqlite::is_own_inode(device, inode),
        false => sqlite::was_own_inode(device, inode),
    })
}

fn is_same(stream: &impl AsFd, file: Option<(u64, u64)>) -> bool {
    fstat(stream).is_ok_and(|stream| identity(&stream) == file)
}

#[expect(clippy::useless_conversion, reason = "the system decides how wide the numbers are")]
fn identity(file: &Stat) -> Option<(u64, u64)> {
    Some((u64::try_from(file.st_dev).ok()?, u64::try_from(file.st_ino).ok()?))
}
