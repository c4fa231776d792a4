//! Files that were found in this system, for an Ingest of this system: it reads each file below the directory that was
//! crawled, if it still is the same file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::beneath::{Root, Stamp};
use super::reference;

/// The parameter with the found files. It begins with [`RESERVED`](crate::aci::request::RESERVED), so no client can send it.
pub(crate) const FOUND: &str = "actiond:found";

/// The files of one action: one for each document of `adds`, in that order.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundFiles {
    /// The directory that was crawled, without links in its path.
    root: String,
    /// Its path, as the names of the sources begin with it.
    named: String,
    /// The state of each file when it was found.
    files: Vec<Stamp>,
}

impl FoundFiles {
    /// Makes it of the directory, the path with which the names of the sources begin, and the stamps of the files.
    pub(crate) fn new(root: &Root, named: &Path, files: impl IntoIterator<Item = Stamp>) -> Self {
        Self {
            root: reference::of(root.path()),
            named: reference::of(named),
            files: files.into_iter().collect(),
        }
    }

    /// Returns it as the value of [`FOUND`].
    ///
    /// # Errors
    ///
    /// None that is known; the text says what went wrong.
    pub(crate) fn to_value(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|e| e.to_string())
    }

    /// Reads the value of [`FOUND`].
    ///
    /// # Errors
    ///
    /// It can't be parsed; the text says why.
    pub(crate) fn from_value(value: &str) -> Result<Self, String> {
        serde_json::from_str(value).map_err(|e| e.to_string())
    }

    /// Returns the path of the directory that was crawled, without links.
    pub(crate) fn root(&self) -> PathBuf {
        reference::to_path(&self.root)
    }

    /// Returns the path with which the names of the sources begin.
    pub(crate) fn named(&self) -> PathBuf {
        reference::to_path(&self.named)
    }

    /// Returns the stamp of the file of the document with this index.
    pub(crate) fn file(&self, index: usize) -> Option<Stamp> {
        self.files.get(index).copied()
    }
}
