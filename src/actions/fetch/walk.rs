//! Walks a directory and finds the files that a task takes.
//!
//! No symbolic link is followed but that of the directory itself: a link is no document (our
//! choice), so a loop of links does no harm. Pipes, sockets and devices are passed over as well.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use regex::{Regex, RegexSet};
use walkdir::{DirEntry, WalkDir};

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
    /// Something that cannot be read; what is below the path is unknown, and all is if there is none.
    Unreadable(Option<PathBuf>, io::Error),
}

/// A file, and what tells whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: i64,
    /// When it was last modified, in nanoseconds since 1970.
    pub(crate) modified_ns: i64,
}

/// Goes through the files of a directory in the order the system gives them, so that even a huge
/// directory needs little memory. `None` is an entry that is passed over: the caller gets to look
/// at its checkpoint there too.
pub(crate) fn walk<'a>(
    root: &Path,
    recursive: bool,
    filter: &'a Filter,
) -> impl Iterator<Item = Option<Found>> + 'a {
    WalkDir::new(root)
        .follow_links(false)
        .max_depth(if recursive { usize::MAX } else { 1 })
        .into_iter()
        .filter_entry(|entry| filter.enters(entry.path()))
        .map(|entry| match entry {
            Ok(entry) if entry.file_type().is_file() && filter.takes(&entry) => look_at(entry),
            Ok(_) => None,
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

fn look_at(entry: DirEntry) -> Option<Found> {
    match entry.metadata() {
        Ok(metadata) => Some(Found::File(FoundFile {
            size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
            modified_ns: metadata.modified().map_or(0, nanoseconds),
            path: entry.into_path(),
        })),
        Err(error) => unreadable(Some(entry.into_path()), error.into()),
    }
}

/// What has gone since its name was read is no error: it has vanished.
fn unreadable(path: Option<PathBuf>, error: io::Error) -> Option<Found> {
    (error.kind() != io::ErrorKind::NotFound).then_some(Found::Unreadable(path, error))
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
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
        let mut names: Vec<_> = walk(root, recursive, &filter)
            .flatten()
            .map(|found| match found {
                Found::File(file) => {
                    file.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
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
        let found: Vec<_> = walk(&root, true, &filter).flatten().collect();
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
        let found: Vec<_> = walk(root.path(), true, &filter).flatten().collect();
        assert!(matches!(found.as_slice(), [Found::File(file)] if file.path == path), "{found:?}");
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
