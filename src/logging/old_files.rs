//! The old files of a stream: their names, and what becomes of them.
//!
//! Each step leaves the lines in a whole file, whenever the process dies. What is left half done has a name of its own, and the
//! next look at the directory does it again:
//!
//! | step | what a sudden end leaves | what the next look does |
//! |---|---|---|
//! | the full file gets its old name | one file, under either name | nothing |
//! | it is compressed into `NAME.gz.partial` | the old file, a part of the other | compresses it again, over the part |
//! | that becomes `NAME.gz` | both, whole | deletes the latter, and compresses it again |
//! | the old file is deleted | `NAME.gz` | nothing |
//! | one too many moves to the archive | see there | moves it |

mod archive;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::line;
use super::settings::{ExpireAction, StreamSettings};
use crate::files;

const PREVIOUS: &str = "previous";
const COMPRESSED: &str = ".gz";
const PARTIAL: &str = ".partial";

/// Number of files that are compressed before it is looked again if there are too many: compressing is slow, and lines may fill
/// files faster.
const AT_ONCE: usize = 4;

/// The part of an old file's name behind that of the stream's file, in one of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suffix {
    /// `20261130-130501`, and `-2` and so on behind it, which is 1 where there is none.
    Stamp(u64),
    /// `2026-11-30`, and `-2` and so on behind it.
    Day(u64),
    Number(u64),
    Previous,
}

impl Suffix {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(COMPRESSED).unwrap_or(text);
        if text == PREVIOUS {
            return Some(Self::Previous);
        }
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !parts.iter().all(|part| !part.is_empty() && digits(part)) {
            return None;
        }
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        let last = || parts.last()?.parse().ok();
        match lengths[..] {
            [_] => last().map(Self::Number),
            [8, 6] => Some(Self::Stamp(1)),
            [8, 6, _] => last().map(Self::Stamp),
            [4, 2, 2] => Some(Self::Day(1)),
            [4, 2, 2, _] => last().map(Self::Day),
            _ => None,
        }
    }

    /// Returns true if a file with this suffix is an old one where files are turned over in this way.
    const fn is_of(self, action: ExpireAction, is_compressed: bool) -> bool {
        match (action, self) {
            (ExpireAction::Compress | ExpireAction::Datestamp, Self::Stamp(_)) => true,
            (ExpireAction::Consecutive, Self::Number(_))
            | (ExpireAction::Day, Self::Day(_))
            | (ExpireAction::Previous, Self::Previous) => !is_compressed,
            _ => false,
        }
    }

    /// Returns the number by which one of two files of the same moment is the newer one.
    const fn number(self) -> u64 {
        match self {
            Self::Stamp(number) | Self::Day(number) | Self::Number(number) => number,
            Self::Previous => 0,
        }
    }
}

/// Returns true if a file of this name would be taken for an old one of a stream with this file.
pub(crate) fn is_old_name(of: &str, name: &str) -> bool {
    let suffix = name.strip_prefix(of).and_then(|rest| rest.strip_prefix('.'));
    suffix.is_some_and(|suffix| Suffix::parse(suffix).is_some())
}

/// An old file.
struct Old {
    path: PathBuf,
    suffix: Suffix,
    is_compressed: bool,
    modified: SystemTime,
}

/// Gives a file that is full, or of an earlier day, its old name. `began` is the day on which it was begun, `now` the time in
/// milliseconds since 1970.
///
/// # Errors
///
/// A link or no regular file is there: those belong to others. Or the system refuses it.
pub(crate) fn expire(settings: &StreamSettings, began: &str, now: i64) -> io::Result<()> {
    let path = &settings.path;
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is a link or no regular file, so it keeps its name"));
    }
    let to = match settings.expire {
        ExpireAction::Previous => name(path, PREVIOUS),
        ExpireAction::Consecutive => {
            // A file that is moved meanwhile is seen in one of them.
            let here = latest_number(directory(path), path)?;
            let archived = settings.archive.as_ref().map(|archive| latest_number(archive, path));
            let latest = match archived {
                Some(Ok(archived)) => here.max(archived),
                Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => here,
            };
            free(settings, &latest.saturating_add(1).to_string())
        }
        ExpireAction::Day => free(settings, began),
        ExpireAction::Compress | ExpireAction::Datestamp => {
            free(settings, &line::local(now).format("%Y%m%d-%H%M%S").to_string())
        }
    };
    fs::rename(path, to)
}

/// Returns the largest number behind the name of a file in a directory, 0 if there is none.
fn latest_number(directory: &Path, path: &Path) -> io::Result<u64> {
    let mut latest = 0;
    for entry in fs::read_dir(directory)? {
        if let Some(Suffix::Number(number)) =
            suffix_of(path, &entry?.file_name()).and_then(Suffix::parse)
        {
            latest = latest.max(number);
        }
    }
    Ok(latest)
}

/// Deletes or moves the oldest files that are too many, and compresses what is to be. Goes on after a failure, and returns the
/// first one.
///
/// A stream whose file is never turned over has no old files: what lies there was made by others.
pub(crate) fn tidy(settings: &StreamSettings) -> io::Result<()> {
    if settings.max_bytes.is_none() && settings.expire != ExpireAction::Day {
        return Ok(());
    }
    let mut failed = Ok(());
    let mut tried = BTreeSet::new();
    loop {
        let old = keep_few(settings, &mut failed)?;
        let is_left = |old: &Old| {
            settings.expire == ExpireAction::Compress
                && !old.is_compressed
                && !tried.contains(&old.path)
        };
        let left: Vec<_> = old.into_iter().filter(is_left).take(AT_ONCE).collect();
        if left.is_empty() {
            return failed;
        }
        for old in left {
            failed = failed.and(compress(&old));
            tried.insert(old.path);
        }
    }
}

/// Deletes or moves the oldest files that are too many, and returns the others.
fn keep_few(settings: &StreamSettings, failed: &mut io::Result<()>) -> io::Result<Vec<Old>> {
    let mut old = old_files(settings)?;
    old.sort_by_key(|old| (old.modified, old.suffix.number()));
    let too_many = old.len().saturating_sub(settings.max_old_files.unwrap_or(usize::MAX));
    let rest = old.split_off(too_many);
    for Old { path, .. } in old {
        let done = match &settings.archive {
            None => fs::remove_file(&path),
            // They are where they would be moved.
            Some(archive) if files::is_same(archive, directory(&path)) => Ok(()),
            Some(archive) => archive::move_into(archive, &path),
        };
        let so_far = std::mem::replace(failed, Ok(()));
        *failed = so_far.and(done);
    }
    Ok(rest)
}

/// Returns the old files of a stream, and deletes what was left half done. Only names of the form in force count: others may be
/// those of logrotate.
fn old_files(settings: &StreamSettings) -> io::Result<Vec<Old>> {
    let path = &settings.path;
    let mut all = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(suffix) = suffix_of(path, &file_name) else { continue };
        let whole = suffix.strip_suffix(PARTIAL).unwrap_or(suffix);
        let is_compressed = whole.ends_with(COMPRESSED);
        let Some(parsed) = Suffix::parse(whole) else { continue };
        if !parsed.is_of(settings.expire, is_compressed) {
            continue;
        }
        let metadata = match entry.metadata() {
            // It was moved or deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if !metadata.is_file() {
            continue;
        }
        if whole != suffix || is_compressed && is_made_of(&entry.path()) {
            if is_compressed {
                fs::remove_file(entry.path())?;
            }
            continue;
        }
        let modified = metadata.modified()?;
        all.push(Old { path: entry.path(), suffix: parsed, is_compressed, modified });
    }
    Ok(all)
}

/// Returns true if the file that is compressed in this one is still there: then that is done again.
fn is_made_of(compressed: &Path) -> bool {
    fs::symlink_metadata(compressed.with_extension("")).is_ok_and(|there| there.is_file())
}

/// Returns what is behind the name of a stream's file, and the dot after it.
fn suffix_of<'n>(path: &Path, name: &'n OsStr) -> Option<&'n str> {
    name.to_str()?.strip_prefix(path.file_name()?.to_str()?)?.strip_prefix('.')
}

fn compress(old: &Old) -> io::Result<()> {
    let to = with(&old.path, COMPRESSED);
    let partial = with(&to, PARTIAL);
    let made = compress_into(&partial, old);
    if made.is_err() {
        // The reason counts; there may be no room.
        let _ = fs::remove_file(&partial);
        return made;
    }
    fs::rename(&partial, &to)?;
    fs::remove_file(&old.path)
}

fn compress_into(to: &Path, old: &Old) -> io::Result<()> {
    let mut from = File::open(&old.path)?;
    let to = BufWriter::new(anew().open(to)?);
    let mut encoder = GzEncoder::new(to, Compression::default());
    io::copy(&mut from, &mut encoder)?;
    let file = encoder.finish()?.into_inner()?;
    file.set_modified(old.modified)?;
    file.sync_all()
}

/// Returns the options for a file that is written from its beginning.
fn anew() -> OpenOptions {
    let mut options = files::private();
    options.write(true).create(true).truncate(true);
    options
}

pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Returns a name with this suffix that no old file has, compressed or not, here or in the archive.
fn free(settings: &StreamSettings, suffix: &str) -> PathBuf {
    let path = &settings.path;
    // Here first: a file that is moved meanwhile is seen in one of them.
    let is_free = |name: &PathBuf| {
        let archived = settings.archive.as_ref().zip(name.file_name());
        let archived = archived.map(|(archive, name)| archive.join(name));
        !std::iter::once(name)
            .chain(&archived)
            .any(|name| is_there(name) || is_there(&with(name, COMPRESSED)))
    };
    let more = (2_u64..).map(|number| name(path, &format!("{suffix}-{number}")));
    let mut names = std::iter::once(name(path, suffix)).chain(more);
    names.find(is_free).unwrap_or_else(|| name(path, suffix))
}

/// Returns true if anything has this name, also a link to nothing.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn name(path: &Path, suffix: &str) -> PathBuf {
    with(path, &format!(".{suffix}"))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
