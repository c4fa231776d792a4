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

impl Root {
    /// Opens a directory below this one, in order to make files there. It is made where it is missing.
    pub(crate) fn folder(&self, below: &Path) -> io::Result<Folder> {
        fs::create_dir_all(self.path.join(below))?;
        let path = fs::canonicalize(self.path.join(below))?;
        match path.starts_with(&self.path) {
            true => Ok(Folder { path }),
            false => Err(io::Error::other(A_WAY_OUT)),
        }
    }
}

/// A directory in which files are made.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the path by which it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file, and opens it to write and read it.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    /// Gives a file another name, which nothing has yet.
    pub(crate) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        match self.has(to)? {
            true => Err(io::ErrorKind::AlreadyExists.into()),
            false => fs::rename(self.path.join(from), self.path.join(to)),
        }
    }

    /// Tells whether something has this name.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
