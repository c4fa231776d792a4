//! The old files of a stream: their names, and what becomes of them.
//!
//! Each step leaves the lines in a whole file, whenever the process dies. What is left half done has a name of its own, and the
//! next look at the directory does it again:
//!
//! | step | what a sudden end leaves | what the next look does |
//! |---|---|---|
//! | the full file gets its old name | one file, under either name | nothing |
//! | it is compressed into `NAME.gz.partial` | the old file, a part of the other | compresses it again, over the part |
//! | that becomes `NAME.gz` | both, whole | the same |
//! | the old file is deleted | `NAME.gz` | nothing |
//! | one too many is copied to another disk as `NAME.partial` | the old file, a part of the copy | copies it again |

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::line;
use super::settings::{ExpireAction, StreamSettings};

const PREVIOUS: &str = "previous";
const COMPRESSED: &str = ".gz";
const PARTIAL: &str = ".partial";

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
pub(super) fn expire(path: &Path, action: ExpireAction, began: &str, now: i64) -> io::Result<()> {
    let to = match action {
        ExpireAction::Previous => name(path, PREVIOUS),
        ExpireAction::Consecutive => {
            let numbers = old_files(path, false)?.into_iter().filter_map(|old| match old.suffix {
                Suffix::Number(number) => Some(number),
                _ => None,
            });
            let next = numbers.max().unwrap_or_default().saturating_add(1);
            free(path, &next.to_string())
        }
        ExpireAction::Day => free(path, began),
        ExpireAction::Compress | ExpireAction::Datestamp => {
            free(path, &line::local(now).format("%Y%m%d-%H%M%S").to_string())
        }
    };
    fs::rename(path, to)
}

/// Compresses what is to be, and deletes or moves the oldest files that are too many. Goes on after a failure, and returns the
/// first one.
pub(super) fn tidy(settings: &StreamSettings) -> io::Result<()> {
    let path = &settings.path;
    let mut failed = Ok(());
    if settings.expire == ExpireAction::Compress {
        for old in old_files(path, true)? {
            if !old.is_compressed && matches!(old.suffix, Suffix::Stamp(_)) {
                failed = failed.and(compress(&old));
            }
        }
    }
    let mut old = old_files(path, true)?;
    old.sort_by_key(|old| (old.modified, old.suffix.number()));
    let too_many = old.len().saturating_sub(settings.max_old_files.unwrap_or(usize::MAX));
    for old in old.into_iter().take(too_many) {
        let done = match &settings.archive {
            None => fs::remove_file(&old.path),
            Some(archive) => move_into(archive, &old.path),
        };
        failed = failed.and(done);
    }
    failed
}

/// Returns the old files of a stream's file, and deletes what was left half done if that is wished: not while it is being done.
fn old_files(path: &Path, clears: bool) -> io::Result<Vec<Old>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?;
        let file_name = entry.file_name();
        let suffix = file_name.to_str().and_then(|name| {
            name.strip_prefix(path.file_name()?.to_str()?).and_then(|rest| rest.strip_prefix('.'))
        });
        let Some(suffix) = suffix else { continue };
        let whole = suffix.strip_suffix(PARTIAL);
        let Some(parsed) = Suffix::parse(whole.unwrap_or(suffix)) else { continue };
        if whole.is_some() {
            if clears {
                fs::remove_file(entry.path())?;
            }
            continue;
        }
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            all.push(Old {
                path: entry.path(),
                suffix: parsed,
                is_compressed: suffix.ends_with(COMPRESSED),
                modified: metadata.modified()?,
            });
        }
    }
    Ok(all)
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
    let to = BufWriter::new(private().open(to)?);
    let mut encoder = GzEncoder::new(to, Compression::default());
    io::copy(&mut from, &mut encoder)?;
    let file = encoder.finish()?.into_inner()?;
    file.set_modified(old.modified)?;
    file.sync_all()
}

fn copy_into(to: &Path, old: &Path) -> io::Result<()> {
    let mut file = private().open(to)?;
    io::copy(&mut File::open(old)?, &mut file)?;
    file.sync_all()
}

fn move_into(archive: &Path, old: &Path) -> io::Result<()> {
    make_directory(archive)?;
    let Some(name) = old.file_name() else { return Ok(()) };
    let to = archive.join(name);
    match fs::rename(old, &to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let partial = with(&to, PARTIAL);
            let copied = copy_into(&partial, old);
            if copied.is_err() {
                let _ = fs::remove_file(&partial);
                return copied;
            }
            fs::rename(&partial, &to)?;
            fs::remove_file(old)
        }
        moved => moved,
    }
}

/// Makes a directory for this server's user alone, if it is not there.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns the options of a new file for this server's user alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Returns a name with this suffix that no old file has, compressed or not.
fn free(path: &Path, suffix: &str) -> PathBuf {
    let is_free = |path: &PathBuf| !path.exists() && !with(path, COMPRESSED).exists();
    let more = (2_u64..).map(|number| name(path, &format!("{suffix}-{number}")));
    let mut names = std::iter::once(name(path, suffix)).chain(more);
    names.find(is_free).unwrap_or_else(|| name(path, suffix))
}

fn name(path: &Path, suffix: &str) -> PathBuf {
    with(path, &format!(".{suffix}"))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
