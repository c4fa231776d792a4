//! The fallback for systems where directories can't be opened one by one: paths are resolved and compared. That is no guard
//! against somebody who swaps them at the right moment, so Ingest takes no names of files from clients here.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{A_WAY_OUT, DirectoryId, NO_FILE, Stamp};

/// A directory below which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
}

/// Not supported here.
pub(crate) fn directory_id(_: &Path) -> io::Result<DirectoryId> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing: no client names a file here.
pub(crate) fn protect(_: impl IntoIterator<Item = PathBuf>) {}

/// Returns nothing, then.
pub(crate) fn protected() -> Vec<PathBuf> {
    Vec::new()
}

impl Root {
    /// Opens a directory; symbolic links in its path are followed now.
    pub(crate) fn resolve(path: &Path) -> io::Result<Self> {
        fs::canonicalize(path).map(|path| Self { path })
    }

    /// Opens a directory by its absolute path.
    pub(crate) fn exactly(path: PathBuf) -> io::Result<Self> {
        Self::resolve(&path)
    }

    /// Returns its path, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Not supported here.
    pub(crate) fn is_in(&self, _: &[DirectoryId]) -> bool {
        false
    }

    /// Opens a regular file to read it, and returns its stamp too.
    pub(crate) fn open(&self, below: &Path, _: &[DirectoryId]) -> io::Result<(File, Stamp)> {
        let path = fs::canonicalize(self.path.join(below))?;
        if !path.starts_with(&self.path) {
            return Err(io::Error::other(A_WAY_OUT));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        match metadata.is_file() {
            true => Ok((file, Stamp::of(&metadata))),
            false => Err(io::Error::other(NO_FILE)),
        }
    }

    /// Deletes nothing here.
    pub(crate) fn remove(&self, _: &Path, _: &[DirectoryId], _: Stamp) -> io::Result<bool> {
        Ok(false)
    }
}
