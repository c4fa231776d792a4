//! Moving old files to the archive. Several servers and streams may have one, so nothing that is there is ever replaced.
//!
//! A name is taken by an empty file, which is locked until the old file is in its place:
//!
//! | step | what a sudden end leaves | what the next move does |
//! |---|---|---|
//! | the empty file is made | it, and the old file | takes it, as nobody has it locked |
//! | the old file gets its name, on the same disk | the moved file | nothing |
//! | it is copied as `NAME.partial`, to another disk | a part beside the empty file, and the old file | copies over the part |
//! | that gets the name | the old file, and the whole copy | copies it to another name |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{COMPRESSED, PARTIAL, anew, is_there, with};
use crate::files::{self, make_directory};

/// Moves a file into a directory, under its name or, where that is taken, with a number behind it.
pub(super) fn move_into(archive: &Path, old: &Path) -> io::Result<()> {
    make_directory(archive)?;
    let Some(name) = old.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let (to, _taken) = take_name(archive, name)?;
    let moved = match fs::rename(old, &to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(old, &to),
        moved => moved,
    };
    if moved.is_err() {
        // The reason counts. What is there is empty, or a copy of what is still here.
        let _ = fs::remove_file(&to);
    }
    moved
}

/// Takes the first name that is free, compressed or not.
fn take_name(archive: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let (stem, end) = match name.strip_suffix(COMPRESSED) {
        Some(stem) => (stem, COMPRESSED),
        None => (name, ""),
    };
    let more = (2_u64..).map(|number| format!("{stem}-{number}"));
    for stem in std::iter::once(stem.to_owned()).chain(more) {
        let other = if end.is_empty() { format!("{stem}{COMPRESSED}") } else { stem.clone() };
        if is_there(&archive.join(other)) {
            continue;
        }
        let to = archive.join(format!("{stem}{end}"));
        if let Some(taken) = take(&to)? {
            return Ok((to, taken));
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Makes an empty file of this name, or takes one that a sudden end has left. Returns `None` where it is another's.
fn take(to: &Path) -> io::Result<Option<File>> {
    let is_empty =
        || fs::symlink_metadata(to).is_ok_and(|there| there.is_file() && there.len() == 0);
    let file = match files::private().write(true).create_new(true).open(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let left = is_empty().then(|| OpenOptions::new().write(true).open(to));
            let Some(Ok(left)) = left else { return Ok(None) };
            if left.try_lock().is_err() {
                return Ok(None);
            }
            left
        }
        made => {
            let made = made?;
            // A disk without locks has no other that would take it.
            if let Err(TryLockError::WouldBlock) = made.try_lock() {
                return Ok(None);
            }
            made
        }
    };
    // Another may have put its file here before the lock was free.
    Ok(is_empty().then_some(file))
}

fn copy(old: &Path, to: &Path) -> io::Result<()> {
    let partial = with(to, PARTIAL);
    let copied = copy_into(&partial, old).and_then(|()| fs::rename(&partial, to));
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
        return copied;
    }
    fs::remove_file(old)
}

fn copy_into(to: &Path, old: &Path) -> io::Result<()> {
    let mut from = File::open(old)?;
    let mut file = anew().open(to)?;
    io::copy(&mut from, &mut file)?;
    if let Ok(modified) = from.metadata()?.modified() {
        file.set_modified(modified)?;
    }
    file.sync_all()
}
