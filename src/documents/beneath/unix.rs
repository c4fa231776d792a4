//! Opens files below a directory on Unix, one directory after the other.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use actiond_actors::store::sqlite::look_at_own_files;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::path::DecInt;

use super::folder::Folder;
use super::ours::is_ours;
use super::{A_LINK, A_WAY_OUT, DirectoryId, ITS_OWN, NO_FILE, OWN_FILE, Stamp};

/// Flags that open a directory only to go on from it, where the system can do that without permission to list it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const TO_GO_ON: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const TO_GO_ON: OFlags = OFlags::RDONLY;

/// A directory below which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    directory: OwnedFd,
    /// The directories from the file system's root to this one.
    way: Vec<DirectoryId>,
}

/// Returns the identity of the directory at this path; links are followed.
pub(crate) fn directory_id(path: &Path) -> io::Result<DirectoryId> {
    fs::metadata(path).map(|m| DirectoryId { device: m.dev(), inode: m.ino() })
}

impl Root {
    /// Opens a directory; symbolic links in its path are followed now, and never again.
    ///
    /// # Errors
    ///
    /// It is missing, no directory, or can't be opened.
    pub(crate) fn resolve(path: &Path) -> io::Result<Self> {
        Self::exactly(fs::canonicalize(path)?)
    }

    /// Opens a directory by an absolute path in which no link may stand.
    ///
    /// # Errors
    ///
    /// As for [`Root::resolve`]; and a link or `..` in the path, or one that is relative.
    pub(crate) fn exactly(path: PathBuf) -> io::Result<Self> {
        let top = Path::new("/");
        let below =
            path.strip_prefix(top).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let directory =
            openat(CWD, top, TO_GO_ON | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let (directory, first) = identified(directory)?;
        let mut way = vec![first];
        let directory = go_down(directory, below, |id| {
            way.push(id);
            Ok(())
        })?;
        Ok(Self { path, directory, way })
    }

    /// Returns its path, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if it is one of these directories or lies in one.
    pub(crate) fn is_in(&self, directories: &[DirectoryId]) -> bool {
        self.way.iter().any(|id| directories.contains(id))
    }

    /// Opens a regular file to read it, and returns its stamp too. The path to it must not lead through a directory of `avoid`.
    ///
    /// # Errors
    ///
    /// It can't be opened, is no regular file or one of the server's own, or its path below the root holds
    /// a link, `..` or a directory of `avoid`.
    pub(crate) fn open(&self, below: &Path, avoid: &[DirectoryId]) -> io::Result<(File, Stamp)> {
        let (directory, name) = self.parent(below, avoid)?;
        let file = open_regular(&directory, name)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(NO_FILE));
        }
        let stamp = Stamp::of(&metadata);
        Ok((file, stamp))
    }

    /// Deletes a file if its stamp is still `was`; returns true if it did.
    ///
    /// # Errors
    ///
    /// As for [`Root::open`], or it can't be deleted.
    pub(crate) fn remove(
        &self,
        below: &Path,
        avoid: &[DirectoryId],
        was: Stamp,
    ) -> io::Result<bool> {
        let (directory, name) = self.parent(below, avoid)?;
        // Open while it is deleted, so that its inode can't have been given to another file.
        let file = open_regular(&directory, name)?;
        if Stamp::of(&file.metadata()?) != was {
            return Ok(false);
        }
        unlinkat(&directory, name, AtFlags::empty())?;
        Ok(true)
    }

    /// Opens the directory of a file; returns it and the file's name there.
    fn parent<'p>(
        &self,
        below: &'p Path,
        avoid: &[DirectoryId],
    ) -> io::Result<(OwnedFd, &'p OsStr)> {
        let name = match below.components().next_back() {
            Some(Component::Normal(name)) => name,
            Some(Component::ParentDir) => return Err(io::Error::other(A_WAY_OUT)),
            _ => return Err(io::Error::other(NO_FILE)),
        };
        let directories = below.parent().unwrap_or(Path::new(""));
        let directory =
            go_down(self.directory.try_clone()?, directories, |id| match avoid.contains(&id) {
                true => Err(io::Error::other(ITS_OWN)),
                false => Ok(()),
            })?;
        Ok((directory, name))
    }
}

impl Root {
    /// Opens a directory below this one, in order to make files there. It is made where it is missing, and so is what is on the way.
    ///
    /// # Errors
    ///
    /// It can't be opened or made, or the path to it holds a link or `..`.
    pub(crate) fn folder(&self, below: &Path) -> io::Result<Folder> {
        let mut directory = self.directory.try_clone()?;
        for component in below.components() {
            if let Component::Normal(name) = component {
                match mkdirat(&directory, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            directory = go_down(directory, Path::new(component.as_os_str()), |_| Ok(()))?;
        }
        Folder::of(&directory, self.path.join(below))
    }
}

/// Opens one directory after the other, each in the one before it, and shows each to `look`.
fn go_down(
    from: OwnedFd,
    below: &Path,
    mut look: impl FnMut(DirectoryId) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let mut directory = from;
    for component in below.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => return Err(io::Error::other(A_WAY_OUT)),
        };
        let flags = TO_GO_ON | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(&directory, name, flags, Mode::empty())
            .map_err(|error| explained(&directory, name, error))?;
        let (next, id) = identified(next)?;
        look(id)?;
        directory = next;
    }
    Ok(directory)
}

/// Returns an open directory and its identity.
fn identified(directory: OwnedFd) -> io::Result<(OwnedFd, DirectoryId)> {
    let directory = File::from(directory);
    let metadata = directory.metadata()?;
    let id = DirectoryId { device: metadata.dev(), inode: metadata.ino() };
    Ok((directory.into(), id))
}

/// Opens a file in a directory to read it. What is no regular file, or one of the server's own, is refused
/// before it is opened: that alone would wait for a pipe's writer, rewind a tape, or, once it is closed,
/// take away the locks of a database.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_regular(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    // Only a hard link is likely to be one of them. What is held is sure to be what was looked at, but to
    // open it costs as much again as all the rest.
    if found.st_nlink <= 1 && !SWAPPED.load(Ordering::Relaxed) {
        may_be_opened(&found)?;
        return open_by_name(directory, name, &found);
    }
    // Not opened but held, so that it stays this very file. To let go of it takes no locks away.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(directory, name, flags, Mode::empty())
        .map_err(|error| explained(directory, name, error))?;
    let held_file = fstat(&held)?;
    may_be_opened(&held_file)?;
    match descriptors() {
        Some(descriptors) => {
            let name = DecInt::from_fd(&held);
            let open = |flags| openat(descriptors, name.as_c_str(), flags, Mode::empty());
            Ok(open_with(open)?.into())
        }
        None => open_by_name(directory, name, &held_file),
    }
}

/// The same where what is held can't be opened.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_regular(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    may_be_opened(&found)?;
    open_by_name(directory, name, &found)
}

/// Returns the directory in which the system shows the descriptors of this process, if it does.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn descriptors() -> Option<&'static OwnedFd> {
    static DESCRIPTORS: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, "/proc/self/fd", flags, Mode::empty()).ok()
    };
    DESCRIPTORS.get_or_init(open).as_ref()
}

/// True once a file of the server's own has taken the name of another one between the look at it and its opening.
static SWAPPED: AtomicBool = AtomicBool::new(false);

/// Opens a file by its name after that was looked at and `found`; another file may have taken the name since.
pub(super) fn open_by_name(directory: &OwnedFd, name: &OsStr, found: &Stat) -> io::Result<File> {
    let open = |flags| openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty());
    let file = open_with(open).map_err(|error| explained(directory, name, error))?;
    let opened = fstat(&file)?;
    if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino) {
        // The other one may be a file of the server's own whose name here is gone again, so that its number of names does not
        // tell; and perhaps nobody has looked for those yet.
        look_at_own_files();
    }
    let Err(error) = may_be_opened(&opened) else { return Ok(file.into()) };
    if is_ours(&opened) {
        // Never closed: that would take its locks away. From now on nothing is opened by its name where there
        // is another way, so there will be few of these.
        let _ = file.into_raw_fd();
        SWAPPED.store(true, Ordering::Relaxed);
    }
    Err(error)
}

fn open_with(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    // It may be a pipe by now; and some of the kernel's own files (/proc/kmsg) call themselves regular,
    // but keep their reader waiting.
    match open(flags | OFlags::NONBLOCK) {
        // Another program, such as Samba, holds a lease on it, which the system ends soon.
        Err(Errno::WOULDBLOCK) => open(flags),
        opened => opened,
    }
}

fn may_be_opened(file: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(file.st_mode) {
        FileType::RegularFile if is_ours(file) => Err(io::Error::other(OWN_FILE)),
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(io::Error::other(A_LINK)),
        _ => Err(io::Error::other(NO_FILE)),
    }
}

fn kind(directory: &OwnedFd, name: &OsStr) -> io::Result<FileType> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Says "a link" where the system says "not a directory" or "too many levels".
fn explained(directory: &OwnedFd, name: &OsStr, error: Errno) -> io::Error {
    let is_link = matches!(error, Errno::NOTDIR | Errno::LOOP | Errno::MLINK)
        && kind(directory, name).is_ok_and(FileType::is_symlink);
    if is_link { io::Error::other(A_LINK) } else { error.into() }
}
