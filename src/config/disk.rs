//! What the settings ask of the disk. To parse a text asks nothing of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::actions::fetch::own;
pub(super) use crate::actions::fetch::own::Overlap;

/// What is asked.
pub(super) trait Disk {
    /// Tells whether there is a directory, or nothing is known to keep one from being made.
    fn can_be(&self, directory: &Path) -> bool;
    /// Says why nothing can be read from a directory now.
    fn lacks(&self, directory: &Path) -> Option<String>;
    /// Tells how a directory to fetch and a path that this server writes lie to one another.
    fn overlap(&self, directory: &Path, own: &Path) -> Option<Overlap>;
    /// Returns the files into which this program's output goes.
    fn output_files(&self) -> Vec<PathBuf>;
}

/// The disk as it is.
#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {
    fn can_be(&self, directory: &Path) -> bool {
        match std::fs::metadata(directory) {
            Ok(there) => there.is_dir(),
            Err(error) => error.kind() != ErrorKind::NotADirectory,
        }
    }

    fn lacks(&self, directory: &Path) -> Option<String> {
        match std::fs::read_dir(directory) {
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some("there is no such directory now".to_owned())
            }
            Err(error) => Some(format!("it can't be read now: {error}")),
        }
    }

    fn overlap(&self, directory: &Path, own: &Path) -> Option<Overlap> {
        own::overlap(directory, own)
    }

    fn output_files(&self) -> Vec<PathBuf> {
        own::output_paths()
    }
}

/// A disk of which nothing is known.
#[derive(Debug)]
pub(super) struct Unknown;

impl Disk for Unknown {
    fn can_be(&self, _: &Path) -> bool {
        true
    }

    fn lacks(&self, _: &Path) -> Option<String> {
        None
    }

    fn overlap(&self, _: &Path, _: &Path) -> Option<Overlap> {
        None
    }

    fn output_files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
