//! Walks a directory and finds the files that a task takes.
//!
//! No symbolic link is followed but that of the directory itself: a link is no document (our
//! choice), so a loop of links does no harm. Pipes, sockets and devices are passed over as well, and
//! so is what this server itself writes (`own`).

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use regex::{Regex, RegexSet};
use walkdir::{DirEntry, WalkDir};

use super::own::Own;

/// Which files and directories a task takes.
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

/// What a walk comes upon.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that the task takes.
    File(FoundFile),
    /// The directory itself, or one below it on another device than the one around it; and the device.
    Place(PathBuf, u64),
    /// Something that cannot be read; what is below the path is unknown, and all is if there is none.
    Unreadable(Option<PathBuf>, io::Error),
}

/// A file, and what tells whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: i64,
    pub(crate) modified: Moment,
}

/// When a file was last modified. Seconds and nanoseconds are apart, because nanoseconds alone would end
/// with the year 2262 in 64 bits, and every later time would be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Whole seconds since 1970, less than 0 before it.
    pub(crate) seconds: i64,
    /// What is to be added to them: from 0 to 999,999,999, before 1970 too.
    pub(crate) nanoseconds: u32,
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = 0_i64.checked_sub_unsigned(before.as_secs()).unwrap_or(i64::MIN);
                match before.subsec_nanos() {
                    0 => Self { seconds, nanoseconds: 0 },
                    part => Self {
                        seconds: seconds.saturating_sub(1),
                        nanoseconds: 1_000_000_000_u32.saturating_sub(part),
                    },
                }
            }
        }
    }
}

/// Goes through the files of a directory in the order the system gives them, so that even a huge
/// directory needs little memory. `None` is an entry that is passed over: the caller gets to look
/// at its checkpoint there too.
pub(crate) fn walk<'a>(
    root: &Path,
    recursive: bool,
    filter: &'a Filter,
    own: &'a mut Own,
) -> impl Iterator<Item = Option<Found>> + 'a {
    let depth = if recursive { usize::MAX } else { 1 };
    let entries = WalkDir::new(root).follow_links(false).max_depth(depth).into_iter();
    Walk { entries, recursive, filter, own, devices: Vec::new() }
}

struct Walk<'a> {
    entries: walkdir::IntoIter,
    recursive: bool,
    filter: &'a Filter,
    own: &'a mut Own,
    /// Those of the directories above the entry, from the root down.
    devices: Vec<Option<u64>>,
}

impl Iterator for Walk<'_> {
    type Item = Option<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.entries.next()? {
            Ok(entry) => self.entry(entry),
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
}

impl Walk<'_> {
    fn entry(&mut self, entry: DirEntry) -> Option<Found> {
        // The root may be a link to a directory.
        let is_directory = entry.depth() == 0 || entry.file_type().is_dir();
        if !self.filter.enters(entry.path()) {
            if is_directory {
                self.entries.skip_current_dir();
            }
            None
        } else if is_directory {
            self.directory(entry)
        } else if entry.file_type().is_file() && self.filter.takes(&entry) {
            self.file(entry)
        } else {
            None
        }
    }

    fn directory(&mut self, entry: DirEntry) -> Option<Found> {
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
        // The task has asked already whether the root is such a place.
        if depth > 0 && self.own.which(entry.path(), &metadata).is_some() {
            self.entries.skip_current_dir();
            return None;
        }
        let device = device(&metadata);
        self.devices.truncate(depth);
        let is_place = self.devices.last() != Some(&device);
        self.devices.push(device);
        device.filter(|_| is_place).map(|device| Found::Place(entry.into_path(), device))
    }

    fn file(&mut self, entry: DirEntry) -> Option<Found> {
        match entry.metadata() {
            Ok(metadata)
                if self.own.which(entry.path(), &metadata).is_some()
                    || self.own.is_linked(entry.path(), &metadata) =>
            {
                None
            }
            Ok(metadata) => Some(look_at(entry, &metadata)),
            Err(error) => unreadable(Some(entry.into_path()), error.into()),
        }
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
    Found::File(FoundFile {
        size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        modified: metadata.modified().map(Moment::from).unwrap_or_default(),
        path: entry.into_path(),
    })
}

/// What has gone since its name was read is no error: it has vanished.
fn unreadable(path: Option<PathBuf>, error: io::Error) -> Option<Found> {
    (error.kind() != io::ErrorKind::NotFound).then_some(Found::Unreadable(path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn names(
        root: &Path,
        recursive: bool,
        patterns: &[&str],
        no_crawl: Option<&str>,
    ) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|&p| p.to_owned()).collect();
        let filter = Filter::new(&patterns, no_crawl.map(|r| Regex::new(r).unwrap())).unwrap();
        let mut names: Vec<_> = walk(root, recursive, &filter, &mut Own::new([]))
            .flatten()
            .filter_map(|found| match found {
                Found::File(file) => {
                    Some(file.path.strip_prefix(root).unwrap().to_string_lossy().into_owned())
                }
                Found::Place(path, _) => {
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
        let found: Vec<_> = walk(&root, true, &filter, &mut Own::new([])).flatten().collect();
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
        let found: Vec<_> = walk(root.path(), true, &filter, &mut Own::new([])).flatten().collect();
        assert!(
            matches!(found.as_slice(), [Found::Place(..), Found::File(file)] if file.path == path),
            "{found:?}"
        );
    }

    #[test]
    fn moments_are_told_apart_before_1970_and_after_2262() {
        use std::time::Duration;
        let after = |seconds, part| UNIX_EPOCH + Duration::new(seconds, part);
        let before = |seconds, part| UNIX_EPOCH - Duration::new(seconds, part);
        for (time, seconds, nanoseconds) in [
            (after(0, 0), 0, 0),
            (after(1, 999_999_999), 1, 999_999_999),
            (after(13_569_465_600, 5), 13_569_465_600, 5),
            (after(13_601_001_600, 5), 13_601_001_600, 5),
            (before(0, 1), -1, 999_999_999),
            (before(1, 0), -1, 0),
            (before(1, 1), -2, 999_999_999),
            (before(11_644_473_600, 300_000_000), -11_644_473_601, 700_000_000),
        ] {
            assert_eq!(Moment::from(time), Moment { seconds, nanoseconds }, "{time:?}");
        }
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
