//! The server's own files, which no task takes. A task that took them would send what the last run made, and so on: batches,
//! database and log would grow with every run.
//!
//! Files and directories are known by their identity and not by their paths, so that no link, no other
//! spelling and no second mount leads there. A copy of hard links (`cp -al`) of a directory is another
//! directory, with the same files in it: so files of databases and of batches are known by themselves.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::documents::beneath;

/// The identity of a file or directory, which stays the same however it is reached.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The path without any links, where the standard library shows no identity.
#[cfg(not(unix))]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity(PathBuf);

impl Identity {
    #[cfg(unix)]
    fn of(_: &Path, metadata: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    #[cfg(not(unix))]
    fn of(path: &Path, _: &Metadata) -> io::Result<Self> {
        fs::canonicalize(path).map(Self)
    }

    fn at(path: &Path) -> io::Result<Self> {
        Self::of(path, &fs::metadata(path)?)
    }
}

/// The files and directories that no task enters.
#[derive(Debug)]
pub(crate) struct OwnPaths {
    found: HashMap<Identity, PathBuf>,
    /// Paths that did not exist yet: a directory may be made while a task runs.
    missing: Vec<PathBuf>,
}

impl OwnPaths {
    /// Takes these directories and files, and the files of this program's output.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut own = Self { found: HashMap::new(), missing: paths.into_iter().collect() };
        own.find_missing();
        for (name, metadata) in output_files() {
            if let Ok(identity) = Identity::of(&name, &metadata) {
                own.found.insert(identity, name);
            }
        }
        own
    }

    fn find_missing(&mut self) {
        #[cfg(unix)]
        actiond_actors::store::sqlite::look_at_own_files();
        let found = &mut self.found;
        self.missing.retain(|path| match Identity::at(path) {
            Ok(identity) => {
                found.insert(identity, path.clone());
                false
            }
            Err(_) => true,
        });
    }

    /// Returns the one of them that this is, if any; `metadata` is that of the path.
    pub(crate) fn which(&mut self, path: &Path, metadata: &Metadata) -> Option<&Path> {
        // A file was there before anything could be read into it.
        if metadata.is_dir() {
            self.find_missing();
        }
        let identity = Identity::of(path, metadata).ok()?;
        self.found.get(&identity).map(PathBuf::as_path)
    }

    /// Returns true if a file that was found elsewhere is a hard link to one of them.
    #[cfg(unix)]
    pub(crate) fn is_linked(&self, path: &Path, metadata: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        if beneath::is_own_file(metadata) {
            return true;
        }
        // There may be very many batches. So one is looked for where it must lie, by its name and the file's.
        let (1.., Some(batch), Some(file)) = (
            metadata.nlink().saturating_sub(1),
            path.parent().and_then(Path::file_name),
            path.file_name(),
        ) else {
            return false;
        };
        let Ok(is) = Identity::of(path, metadata) else { return false };
        self.found.values().any(|own| {
            let there = fs::symlink_metadata(own.join(batch).join(file));
            there.is_ok_and(|there| Identity::of(path, &there).is_ok_and(|there| there == is))
        })
    }

    /// Returns false: there are no hard links here.
    #[cfg(not(unix))]
    pub(crate) fn is_linked(&self, _: &Path, _: &Metadata) -> bool {
        false
    }

    /// Returns the one of them that a directory is or lies in, if any.
    pub(crate) fn around(&mut self, directory: &Path) -> io::Result<Option<&Path>> {
        self.find_missing();
        for ancestor in fs::canonicalize(directory)?.ancestors() {
            let identity = Identity::at(ancestor)?;
            if self.found.contains_key(&identity) {
                return Ok(self.found.get(&identity).map(PathBuf::as_path));
            }
        }
        Ok(None)
    }
}

/// The position of a task's directory relative to a path of the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The task's directory is the same, or lies within: nothing of it can be fetched.
    Within,
    /// The task's directory holds it.
    Above,
}

/// Finds the overlap of the two; `None` if there is none, or it can't be found out.
pub(crate) fn overlap(directory: &Path, own: &Path) -> Option<Overlap> {
    let here = Identity::at(directory).ok()?;
    if let Ok(there) = Identity::at(own)
        && fs::canonicalize(directory)
            .ok()?
            .ancestors()
            .any(|p| Identity::at(p).is_ok_and(|i| i == there))
    {
        return Some(Overlap::Within);
    }
    // What is not there yet will lie below the nearest directory that is.
    let own = std::path::absolute(own).ok()?;
    let nearest = own.ancestors().find_map(|path| fs::canonicalize(path).ok())?;
    let holds = nearest.ancestors().any(|p| Identity::at(p).is_ok_and(|identity| identity == here));
    holds.then_some(Overlap::Above)
}

/// Returns the paths of the files of this program's output, where the system tells them.
pub(crate) fn output_paths() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = output_files()
        .into_iter()
        .filter_map(|(name, metadata)| {
            let path = fs::read_link(name).ok()?;
            // A deleted one has another name there, and a path may lead to another file by now.
            let same = Identity::at(&path).ok()? == Identity::of(&path, &metadata).ok()?;
            same.then_some(path)
        })
        .collect();
    // Both may go into one file.
    paths.dedup();
    paths
}

/// Standard output and error, if they are files, each with a name that some systems have for it.
fn output_files() -> Vec<(PathBuf, Metadata)> {
    let files =
        [("/proc/self/fd/1", output(&io::stdout())), ("/proc/self/fd/2", output(&io::stderr()))];
    files
        .into_iter()
        .filter_map(|(name, file)| {
            let metadata = file.ok()?.metadata().ok()?;
            metadata.is_file().then(|| (PathBuf::from(name), metadata))
        })
        .collect()
}

#[cfg(unix)]
fn output(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(not(unix))]
fn output<T>(_: &T) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_seen_through_links_and_before_a_directory_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("root/data/deep")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        std::os::unix::fs::symlink(at("root"), at("link")).unwrap();
        for (task, own, expected) in [
            ("root", "root/data", Some(Overlap::Above)),
            ("link", "root/data", Some(Overlap::Above)),
            ("root", "link/data", Some(Overlap::Above)),
            ("root", "link/../root/data/new/out", Some(Overlap::Above)),
            ("root", "root/none/out", Some(Overlap::Above)),
            ("root/data", "root/data", Some(Overlap::Within)),
            ("link/data", "root/data", Some(Overlap::Within)),
            ("link/data/deep", "root/data", Some(Overlap::Within)),
            ("root/data/deep", "root/data/new", None),
            ("other", "root/data", None),
            ("other", "none", None),
            ("none", "root/data", None),
        ] {
            assert_eq!(overlap(&at(task), &at(own)), expected, "{task} {own}");
        }
    }

    #[test]
    fn what_is_made_later_is_known_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("data/deep")).unwrap();
        let mut own = OwnPaths::new([at("data"), at("out")]);
        let mut which = |name: &str| {
            let path = at(name);
            own.which(&path, &fs::metadata(&path).unwrap()).map(Path::to_owned)
        };
        assert_eq!(which("data"), Some(at("data")));
        assert_eq!(which(""), None);
        fs::create_dir(at("out")).unwrap();
        assert_eq!(which("out"), Some(at("out")));
        fs::rename(at("out"), at("elsewhere")).unwrap();
        assert_eq!(which("elsewhere"), Some(at("out")));
        assert_eq!(own.around(&at("data/deep")).unwrap(), Some(at("data").as_path()));
        assert_eq!(own.around(&at("")).unwrap(), None);
        assert!(own.around(&at("none")).is_err());
    }
}
