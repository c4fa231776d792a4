//! What tells the file system at a place from one that was mounted there before.
//!
//! The number of a device does not: systems give that of a share that was unmounted to the next one. What a
//! mounted file system has of its own besides is its number in the system's figures of it, which is
//! 0 for many shares, and the directory at its top, with its inode and the time when it was made.
//! That one is asked for, and not the place itself, so that to make a directory anew changes nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) device: u64,
    /// What else is known of it.
    pub(crate) more: Option<More>,
}

/// It is stored as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct More {
    /// The number that the system has for it.
    pub(crate) id: u64,
    /// The number of the directory at its top.
    pub(crate) top: u64,
    /// When that was made, in seconds since 1970, and the nanoseconds of that second.
    pub(crate) made: Option<(i64, u32)>,
}

impl FileSystem {
    /// Returns that of a directory, which is on this device.
    pub(crate) fn of(directory: &Path, device: u64) -> Self {
        Self { device, more: more(directory, device) }
    }

    /// Returns true if it can be the same as another, as far as is known of both.
    pub(crate) fn can_be(&self, other: &Self) -> bool {
        let alike = |a: More, b: More| {
            let made = a.made.zip(b.made).is_none_or(|(a, b)| a == b);
            a.id == b.id && a.top == b.top && made
        };
        self.device == other.device && self.more.zip(other.more).is_none_or(|(a, b)| alike(a, b))
    }
}

#[cfg(unix)]
fn more(directory: &Path, device: u64) -> Option<More> {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::source::Moment;

    let directory = fs::canonicalize(directory).ok()?;
    let looks = directory.ancestors().map(|path| fs::metadata(path).map(|is| (path, is)));
    let (path, top) =
        looks.map_while(Result::ok).take_while(|(_, is)| is.dev() == device).last()?;
    let made = top.created().ok().map(Moment::from);
    Some(More {
        id: rustix::fs::statvfs(path).ok()?.f_fsid,
        top: top.ino(),
        made: made.map(|made| (made.seconds, made.nanoseconds)),
    })
}

#[cfg(not(unix))]
fn more(_: &Path, _: u64) -> Option<More> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn file_systems_are_told_by_all_that_is_known_of_both() {
        let more = More { id: 1, top: 2, made: Some((3, 4)) };
        let first = FileSystem { device: 9, more: Some(more) };
        let others = [
            (9, Some(more), true),
            (9, None, true),
            (9, Some(More { made: None, ..more }), true),
            (8, Some(more), false),
            (8, None, false),
            (9, Some(More { id: 0, ..more }), false),
            (9, Some(More { top: 7, ..more }), false),
            (9, Some(More { made: Some((3, 5)), ..more }), false),
        ];
        for (device, more, expected) in others {
            let other = FileSystem { device, more };
            assert_eq!(first.can_be(&other), expected, "{other:?}");
            assert_eq!(other.can_be(&first), expected, "{other:?}");
        }
    }

    #[test]
    fn a_directory_that_is_made_anew_is_on_the_same_one() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("deep/place");
        fs::create_dir_all(&place).unwrap();
        let device = fs::metadata(&place).unwrap().dev();
        let before = FileSystem::of(&place, device);
        assert!(before.more.is_some());
        fs::rename(&place, home.path().join("away")).unwrap();
        fs::create_dir(&place).unwrap();
        assert_eq!(FileSystem::of(&place, device), before);
        assert_eq!(FileSystem::of(&place, device ^ 1).more, None);
        assert_eq!(FileSystem::of(&home.path().join("none"), device).more, None);
    }
}
