//! Files of this server's own, which are never opened by a name that others choose: its databases
//! with all that lies beside them, and the files into which its output goes.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use actiond_actors::store::sqlite;
use rustix::fs::fstat;

/// Tells whether a file with this device and inode is one of them, as they are now.
pub(super) fn is_ours(device: u64, inode: u64) -> bool {
    sqlite::is_own_inode(device, inode)
        || is_output(&io::stdout(), device, inode)
        || is_output(&io::stderr(), device, inode)
}

/// Tells whether a file is one of the server's own, by whatever name it was found. A file that has one
/// name only is compared with what was there at the last look: that costs next to nothing.
pub(crate) fn is_own_file(file: &Metadata) -> bool {
    match file.nlink() {
        0 | 1 => sqlite::was_own_file(file),
        _ => is_ours(file.dev(), file.ino()),
    }
}

#[expect(clippy::useless_conversion, reason = "the system decides how wide the numbers are")]
fn is_output(stream: &impl AsFd, device: u64, inode: u64) -> bool {
    fstat(stream).is_ok_and(|stat| {
        u64::try_from(stat.st_dev).is_ok_and(|is| is == device)
            && u64::try_from(stat.st_ino).is_ok_and(|is| is == inode)
    })
}
