//! The checks of the disk that the settings make. Parsing a text by itself makes none.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
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

    /// Reads the text of a file of at most a megabyte; an empty one where nothing is known of the disk.
    ///
    /// # Errors
    ///
    /// The text says why not.
    pub(super) fn read_small(self, file: &Path) -> Result<String, String> {
        const MOST: u64 = 1_000_000;
        if self == Self::Unknown {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
        read.map_err(|error| format!("it can't be read: {error}"))?;
        if bytes.len() as u64 > MOST {
            return Err(format!("it has more than {MOST} bytes"));
        }
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
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
