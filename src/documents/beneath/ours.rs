//! The server's own files, which are never opened by a name that others choose: its databases with the files beside them,
//! and the files of its output.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use actiond_actors::store::sqlite;
use rustix::fs::{Stat, fstat};

/// Returns true if a file is one of them, by whatever name it was found. One that has one name only is
/// compared with what was there at the last look, which costs next to nothing.
pub(super) fn is_ours(file: &Stat) -> bool {
    let identity = identity(file);
    is_own_inode(identity, file.st_nlink > 1)
        || is_same(&io::stdout(), identity)
        || is_same(&io::stderr(), identity)
}

/// Returns true for the same files, without those of the output.
pub(crate) fn is_own_file(file: &Metadata) -> bool {
    is_own_inode(Some((file.dev(), file.ino())), file.nlink() > 1)
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
