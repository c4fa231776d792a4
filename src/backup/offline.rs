//! `actiond restore`: a backup, or what a restore has moved aside, takes the place of the data while no server runs.

use std::fs::File;
use std::path::Path;

use actiond_actors::store::sqlite::Unused;
use chrono::{DateTime, Local};

use super::{BackupError, Prepared, restore};
use crate::files;

/// Checks an archive, or a directory with databases of actions, and puts it in the place of what is in a data directory.
pub(crate) fn restore(
    from: &Path,
    data: &Path,
    now: DateTime<Local>,
) -> Result<Prepared, BackupError> {
    let data = &std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    is_of_this_user(data)?;
    let unused = Unused::take(data)?;
    let unread = |error| BackupError::io(from.display(), &error);
    let prepared = if from.is_dir() {
        if files::is_same(from, data) {
            return Err(BackupError::Place("it is the data directory itself".to_owned()));
        }
        restore::prepare_directory(from, data, now)?
    } else {
        let file = File::open(from).map_err(unread)?;
        restore::prepare_archive((file, from.to_owned()), data, now, &|| true)?
    };
    unused.complete()?;
    Ok(prepared)
}

/// Refuses to leave files that the server could not open: those of root in a directory of its own user.
#[cfg(unix)]
fn is_of_this_user(data: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(data).map_err(|error| BackupError::io(data.display(), &error))?;
    let own = rustix::process::geteuid();
    match own.is_root() && found.uid() != own.as_raw() {
        false => Ok(()),
        true => Err(BackupError::Place(format!(
            "{} belongs to user {}, who could not open files of root: run this as that user (sudo -u)",
            data.display(),
            found.uid()
        ))),
    }
}

#[cfg(not(unix))]
fn is_of_this_user(_: &Path) -> Result<(), BackupError> {
    Ok(())
}
