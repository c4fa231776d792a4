//! The checks of the disk that the settings make. Parsing a text by itself makes none.

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
    /// Returns true if there is a directory, or nothing is known that prevents making one.
    pub(super) fn can_be(self, directory: &Path) -> bool {
        if self == Self::Unknown {
            return true;
        }
        match std::fs::metadata(directory) {
            Ok(there) => there.is_dir(),
            Err(error) => error.kind() != ErrorKind::NotADirectory,
        }
    }

    /// Returns the reason for which nothing can be read from a directory now, if there is one.
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
