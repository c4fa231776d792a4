//! A directory in which files are made, by their names and never by a path.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fsync, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// A directory, held open, so that it stays the one that was found.
#[derive(Debug)]
pub(crate) struct Folder {
    directory: OwnedFd,
    path: PathBuf,
}

impl Folder {
    pub(super) fn of(directory: &impl AsFd, path: PathBuf) -> io::Result<Self> {
        // What is only held to go on from can't be synchronised.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: openat(directory, ".", flags, Mode::empty())?, path })
    }

    /// Returns the path by which it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file that nobody else can read, and opens it to write and read it.
    ///
    /// # Errors
    ///
    /// It can't be made, or something has this name.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Gives a file another name, which nothing has yet, durably.
    ///
    /// # Errors
    ///
    /// It can't be renamed, or something has the name.
    pub(crate) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        if self.has(to)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        renameat(&self.directory, from, &self.directory, to)?;
        Ok(fsync(&self.directory)?)
    }

    /// Tells whether something has this name.
    ///
    /// # Errors
    ///
    /// The directory can't be read.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    ///
    /// It can't be removed.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
