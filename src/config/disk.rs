//! The questions that the settings ask of the disk. To parse a text asks nothing of it.

use std::io::ErrorKind;
use std::path::Path;

/// The disk that the settings may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// The disk as it is.
    Real,
    /// A disk of which nothing is known.
    Unknown,
}

impl Disk {
    /// Returns true if there is a directory, or nothing is known to keep one from being made.
    pub(super) fn can_be(self, directory: &Path) -> bool {
        if self == Self::Unknown {
            return true;
        }
        match std::fs::metadata(directory) {
            Ok(there) => there.is_dir(),
            Err(error) => error.kind() != ErrorKind::NotADirectory,
        }
    }

    /// Says why nothing can be read from a directory now.
    pub(super) fn lacks(self, directory: &Path) -> Option<String> {
        if self == Self::Unknown {
            return None;
        }
        match std::fs::read_dir(directory) {
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some("there is no such directory now".to_owned())
            }
            Err(error) => Some(format!("it can't be read now: {error}")),
        }
    }
}
