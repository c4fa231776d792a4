//! Walks a directory and finds the files that a task takes.
//!
//! No symbolic link is followed but that of the directory itself: a link is no document (our
//! choice), so a loop of links does no harm. Pipes, sockets and devices are passed over as well, and
//! so is what this server itself writes (`own`).

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexSet};
use walkdir::{DirEntry, WalkDir};

use super::own::OwnPaths;
use super::source::{Item, Moment};

/// The choice of files and directories that a task takes.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// Patterns for the name of a file; `None` takes any.
    names: Option<RegexSet>,
    /// Paths that are passed over.
    no_crawl: Option<Regex>,
}

impl Filter {
    /// Makes a filter: `patterns` with the wildcards `*` and `?` for file names (none takes any),
    /// and an expression for paths that are passed over.
    ///
    /// # Errors
    ///
    /// Patterns that are too large in all; the text says why.
    pub(crate) fn new(patterns: &[String], no_crawl: Option<Regex>) -> Result<Self, String> {
        let names = match patterns {
            [] => None,
            _ => Some(
                RegexSet::new(patterns.iter().map(|p| wildcard(p)))
                    .map_err(|e| format!("DirectoryFileMatch cannot be used: {e}"))?,
            ),
        };
        Ok(Self { names, no_crawl })
    }

    fn enters(&self, path: &Path) -> bool {
        self.no_crawl.as_ref().is_none_or(|regex| !regex.is_match(&path.to_string_lossy()))
    }

    fn takes(&self, entry: &DirEntry) -> bool {
        self.names.as_ref().is_none_or(|set| set.is_match(&entry.file_name().to_string_lossy()))
    }
}

/// Turns a pattern with wildcards into a regular expression for the whole name.
fn wildcard(pattern: &str) -> String {
    let mut expression = String::from("(?s)^");
    let mut buffer = [0; 4];
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut buffer))),
        }
    }
    expression.push('$');
    expression
}

/// One thing that a walk comes upon.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that the task takes.
    File(Item),
    /// The directory itself, or a mount point below it: a directory on another device than the one around it. With its device.
    MountPoint(PathBuf, u64),
    /// Something that cannot be read; what is below the path is unknown, and all is if there is none.
    Unreadable(Option<PathBuf>, io::Error),
}

/// Goes through the files of a directory in the order the system gives them, so that even a huge
/// directory needs little memory.
#[derive(Debug)]
pub(crate) struct Walk {
    entries: walkdir::IntoIter,
    recursive: bool,
    /// The devices of the directories above the entry, from the root down.
    devices: Vec<Option<u64>>,
}

impl Walk {
    /// Begins at a root; directories in it are gone through too if it is `recursive`.
    pub(crate) fn new(root: &Path, recursive: bool) -> Self {
        let depth = if recursive { usize::MAX } else { 1 };
        let entries = WalkDir::new(root).follow_links(false).max_depth(depth).into_iter();
        Self { entries, recursive, devices: Vec::new() }
    }

    /// Goes on to the next entry. An inner `None` is an entry that is skipped: it lets the caller look at its checkpoint.
    pub(crate) fn next(&mut self, filter: &Filter, own: &mut OwnPaths) -> Option<Option<Found>> {
        Some(match self.entries.next()? {
            Ok(entry) => self.entry(entry, filter, own),
            Err(error) => {
                let path = error.path().map(Path::to_owned);
                match error.depth() {
                    // Without the directory itself nothing is known of what was in it.
                    0 => Some(Found::Unreadable(path, error.into())),
                    _ => unreadable(path, error.into()),
                }
            }
        })
    }

    fn entry(&mut self, entry: DirEntry, filter: &Filter, own: &mut OwnPaths) -> Option<Found> {
        // The root may be a link to a directory.
        let is_directory = entry.depth() == 0 || entry.file_type().is_dir();
        if !filter.enters(entry.path()) {
            if is_directory {
                self.entries.skip_current_dir();
            }
            None
        } else if is_directory {
            self.directory(entry, own)
        } else if entry.file_type().is_file() && filter.takes(&entry) {
            file(entry, own)
        } else {
            None
        }
    }

    fn directory(&mut self, entry: DirEntry, own: &mut OwnPaths) -> Option<Found> {
        let depth = entry.depth();
        if depth > 0 && !self.recursive {
            return None;
        }
        let looked = match depth {
            0 => fs::metadata(entry.path()),
            _ => entry.metadata().map_err(Into::into),
        };
        let metadata = match looked {
            Ok(metadata) => metadata,
            Err(error) => {
                self.entries.skip_current_dir();
                let path = Some(entry.into_path());
                return match depth {
                    0 => Some(Found::Unreadable(path, error)),
                    _ => unreadable(path, error),
                };
            }
        };
        // The task has already checked the root.
        if depth > 0 && own.which(entry.path(), &metadata).is_some() {
            self.entries.skip_current_dir();
            return None;
        }
        let device = device(&metadata);
        self.devices.truncate(depth);
        let is_mount_point = self.devices.last() != Some(&device);
        self.devices.push(device);
        device.filter(|_| is_mount_point).map(|device| Found::MountPoint(entry.into_path(), device))
    }
}

fn file(entry: DirEntry, own: &mut OwnPaths) -> Option<Found> {
    match entry.metadata() {
        Ok(metadata)
            if own.which(entry.path(), &metadata).is_some()
                || own.is_linked(entry.path(), &metadata) =>
        {
            None
        }
        Ok(metadata) => Some(look_at(entry, &metadata)),
        Err(error) => unreadable(Some(entry.into_path()), error.into()),
    }
}

/// Returns the device that a file or directory is on, where the system tells.
#[cfg(unix)]
pub(crate) fn device(metadata: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::dev(metadata))
}

/// Returns nothing: the standard library does not show the device of a file here.
#[cfg(not(unix))]
pub(crate) fn device(_: &Metadata) -> Option<u64> {
    None
}

fn look_at(entry: DirEntry, metadata: &Metadata) -> Found {
    Found::File(Item {
        size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        modified: metadata.modified().map(Moment::from).unwrap_or_default(),
        path: entry.into_path(),
    })
}

/// Returns the error of a file, unless it has vanished since its name was read.
fn unreadable(path: Option<PathBuf>, error: io::Error) -> Option<Found> {
    (error.kind() != io::ErrorKind::NotFound).then_some(Found::Unreadable(path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn walk(
        root: &Path,
        recursive: bool,
        filter: &Filter,
        own: &mut OwnPaths,
    ) -> impl Iterator<Item = Option<Found>> {
        let mut walk = Walk::new(root, recursive);
        std::iter::from_fn(move || walk.next(filter, own))
    }

    fn names(
        root: &Path,
        recursive: bool,
        patterns: &[&str],
        no_crawl: Option<&str>,
    ) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|&p| p.to_owned()).collect();
        let filter = Filter::new(&patterns, no_crawl.map(|r| Regex::new(r).unwrap())).unwrap();
        let mut names: Vec<_> = walk(root, recursive, &filter, &mut OwnPaths::new([]))
            .flatten()
            .filter_map(|found| match found {
                Found::File(file) => {
                    Some(file.path.strip_prefix(root).unwrap().to_string_lossy().into_owned())
                }
                Found::MountPoint(path, _) => {
                    assert_eq!(path, root);
                    None
                }
                Found::Unreadable(path, error) => panic!("{path:?}: {error}"),
            })
            .collect();
        names.sort();
        names
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in ["a.txt", "B.TXT", "note.md", "sub/c.txt", "sub/deep/d.txt", "target/e.txt"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        root
    }

    #[test]
    fn files_are_taken_by_depth_name_and_path() {
        let root = tree();
        for (recursive, patterns, no_crawl, expected) in [
            (
                true,
                &[][..],
                None,
                &["B.TXT", "a.txt", "note.md", "sub/c.txt", "sub/deep/d.txt", "target/e.txt"][..],
            ),
            (false, &[], None, &["B.TXT", "a.txt", "note.md"]),
            (true, &["*.txt"], None, &["a.txt", "sub/c.txt", "sub/deep/d.txt", "target/e.txt"]),
            (true, &["?.txt", "*.md"], Some("/(target|deep)$"), &["a.txt", "note.md", "sub/c.txt"]),
            (
                true,
                &["*"],
                Some("/sub/c\\.txt$"),
                &["B.TXT", "a.txt", "note.md", "sub/deep/d.txt", "target/e.txt"],
            ),
            (true, &["a?txt", "note"], None, &["a.txt"]),
        ] {
            assert_eq!(
                names(root.path(), recursive, patterns, no_crawl),
                expected,
                "{patterns:?} {no_crawl:?}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_loops_and_what_is_no_file_are_passed_over() {
        let root = tree();
        std::os::unix::fs::symlink(root.path(), root.path().join("sub/loop")).unwrap();
        std::os::unix::fs::symlink(root.path().join("a.txt"), root.path().join("link.txt"))
            .unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("dangling.txt")).unwrap();
        let _socket =
            std::os::unix::net::UnixListener::bind(root.path().join("socket.txt")).unwrap();
        assert_eq!(
            names(root.path(), true, &["*.txt"], None),
            ["a.txt", "sub/c.txt", "sub/deep/d.txt", "target/e.txt"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_itself_may_be_a_link() {
        let root = tree();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).unwrap();
        assert_eq!(names(&link, false, &["*.md"], None), ["note.md"]);
    }

    #[test]
    fn a_directory_that_is_missing_is_no_empty_one() {
        let root = tempfile::tempdir().unwrap().path().join("gone");
        let filter = Filter::new(&[], None).unwrap();
        let found: Vec<_> = walk(&root, true, &filter, &mut OwnPaths::new([])).flatten().collect();
        assert!(
            matches!(found.as_slice(), [Found::Unreadable(Some(path), _)] if *path == root),
            "{found:?}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt as _;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(std::ffi::OsStr::from_bytes(b"x\xFF\n.txt"));
        fs::write(&path, "").unwrap();
        let filter = Filter::new(&["x*.txt".to_owned()], None).unwrap();
        let found: Vec<_> =
            walk(root.path(), true, &filter, &mut OwnPaths::new([])).flatten().collect();
        assert!(
            matches!(found.as_slice(), [Found::MountPoint(..), Found::File(file)] if file.path == path),
            "{found:?}"
        );
    }

    #[test]
    fn patterns_that_are_too_large_are_refused() {
        let error = Filter::new(&["?".repeat(50_000)], None).unwrap_err();
        assert!(error.contains("DirectoryFileMatch"), "{error}");
    }

    proptest! {
        #[test]
        fn a_pattern_without_wildcards_is_the_name_itself(name in any::<String>(), other in any::<String>()) {
            let name = name.replace(['*', '?'], "");
            let regex = Regex::new(&wildcard(&name)).unwrap();
            prop_assert!(regex.is_match(&name));
            prop_assert_eq!(regex.is_match(&other), name == other);
        }
    }
}
