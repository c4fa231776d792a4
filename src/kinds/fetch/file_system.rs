//! The identity of a file system, which tells it from one that was mounted at the same place before.
//!
//! The number of its device is not enough: systems give that of an unmounted share to the next one. Beside it a mounted file
//! system has an id in its statistics, which is 0 for many shares, and its top directory, with an inode and a time of
//! creation. The top directory is used, and not the mount's own path, so that a directory that is made anew changes nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) device: u64,
    /// The identity beside the device, if it is known.
    pub(crate) details: Option<Details>,
}

/// The identity of a file system beside its device. It is stored as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The id that the system has for it.
    pub(crate) id: u64,
    /// The inode of its top directory.
    pub(crate) top: u64,
    /// The time at which that was made, in seconds since 1970, and the nanoseconds of that second.
    pub(crate) made: Option<(i64, u32)>,
}

impl FileSystem {
    /// Returns the file system of a directory, which is on this device.
    pub(crate) fn of(directory: &Path, device: u64) -> Self {
        Self { device, details: details(directory, device) }
    }

    /// Returns true if it can be the same as another, by what is known of both.
    pub(crate) fn can_be(&self, other: &Self) -> bool {
        let alike = |a: Details, b: Details| {
            let made = a.made.zip(b.made).is_none_or(|(a, b)| a == b);
            a.id == b.id && a.top == b.top && made
        };
        self.device == other.device
            && self.details.zip(other.details).is_none_or(|(a, b)| alike(a, b))
    }
}

#[cfg(unix)]
fn details(directory: &Path, device: u64) -> Option<Details> {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::source::Moment;

    let directory = fs::canonicalize(directory).ok()?;
    let looks = directory.ancestors().map(|path| fs::metadata(path).map(|is| (path, is)));
    let (path, top) =
        looks.map_while(Result::ok).take_while(|(_, is)| is.dev() == device).last()?;
    let made = top.created().ok().map(Moment::from);
    Some(Details {
        id: rustix::fs::statvfs(path).ok()?.f_fsid,
        top: top.ino(),
        made: made.map(|made| (made.seconds, made.nanoseconds)),
    })
}

#[cfg(not(unix))]
fn details(_: &Path, _: u64) -> Option<Details> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn file_systems_are_told_by_all_that_is_known_of_both() {
        let details = Details { id: 1, top: 2, made: Some((3, 4)) };
        let first = FileSystem { device: 9, details: Some(details) };
        let others = [
            (9, Some(details), true),
            (9, None, true),
            (9, Some(Details { made: None, ..details }), true),
            (8, Some(details), false),
            (8, None, false),
            (9, Some(Details { id: 0, ..details }), false),
            (9, Some(Details { top: 7, ..details }), false),
            (9, Some(Details { made: Some((3, 5)), ..details }), false),
        ];
        for (device, details, expected) in others {
            let other = FileSystem { device, details };
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
        assert!(before.details.is_some());
        fs::rename(&place, home.path().join("away")).unwrap();
        fs::create_dir(&place).unwrap();
        assert_eq!(FileSystem::of(&place, device), before);
        assert_eq!(FileSystem::of(&place, device ^ 1).details, None);
        assert_eq!(FileSystem::of(&home.path().join("none"), device).details, None);
    }
}
