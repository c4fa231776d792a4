//! From an archive into a data directory: all of it is checked before anything is touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use actiond_actors::store::sqlite::{Restore, check_copy, check_whole};
use chrono::{DateTime, Local};

use super::archive::Archive;
use super::{BackupError, Prepared};
use crate::documents::beneath::Root;

const ACTIONS: &str = "actions.db";

/// Checks an archive and unpacks it beside the data, to take its place when the store is opened again.
pub(super) fn prepare(
    root: &Root,
    below: &Path,
    data: &Path,
    now: DateTime<Local>,
) -> Result<Prepared, BackupError> {
    let (file, _) = root
        .open(below, &[])
        .map_err(|error| BackupError::Place(format!("it can't be opened: {error}")))?;
    let mut archive = Archive::open(file)?;
    let (mut wanted, mut bytes) = (Vec::new(), 0_u64);
    for entry in archive.files() {
        if let Some(name) = name_in_data(&entry.name) {
            bytes = bytes.saturating_add(entry.size);
            wanted.push((name.to_owned(), entry.clone()));
        }
    }
    if !wanted.iter().any(|(name, _)| name == ACTIONS) {
        return Err(BackupError::Archive("it holds no actions".to_owned()));
    }
    let free = fs4::available_space(data).unwrap_or(u64::MAX);
    if bytes > free {
        return Err(BackupError::Io(format!(
            "{}: unpacked it has {bytes} bytes, and {free} are free",
            data.display()
        )));
    }
    let restore = Restore::begin(data).map_err(|error| BackupError::io(data.display(), &error))?;
    let io = |error| BackupError::io(restore.directory().display(), &error);
    for (name, entry) in &wanted {
        let path = restore.directory().join(name);
        archive.copy(entry, &mut make_private(&path).map_err(io)?)?;
    }
    let unusable = |error: actiond_actors::store::StoreError| {
        BackupError::Archive(error.without_paths().to_string())
    };
    let content = check_copy(&restore.directory().join(ACTIONS)).map_err(unusable)?;
    for (name, _) in wanted.iter().filter(|(name, _)| name != ACTIONS) {
        check_whole(&restore.directory().join(name)).map_err(unusable)?;
    }
    let mut replaced: Vec<String> = wanted.into_iter().map(|(name, _)| name).collect();
    for name in datastores_in(data)? {
        if !replaced.contains(&name) {
            replaced.push(name);
        }
    }
    let aside = free_name(data, &format!("before-restore-{}", now.format("%Y%m%dT%H%M%S")));
    restore.commit(&aside, replaced).map_err(|error| BackupError::io(data.display(), &error))?;
    Ok(Prepared { path: root.path().join(below), content, aside: data.join(aside) })
}

/// Returns the name that a file of an archive gets in the data directory, if it is put there.
fn name_in_data(name: &str) -> Option<&str> {
    match name.split_once('/')? {
        ("actions", ACTIONS) => Some(ACTIONS),
        ("datastores", name) if is_datastore(name) => Some(name),
        _ => None,
    }
}

/// Tells whether a file has the name of what Fetch remembers of a task.
fn is_datastore(name: &str) -> bool {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with("connector_") && name.ends_with("_datastore.db") && name.chars().all(safe)
}

/// Returns the names of what Fetch remembers in a data directory.
pub(super) fn datastores_in(data: &Path) -> Result<Vec<String>, BackupError> {
    let io = |error| BackupError::io(data.display(), &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(data).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        names.extend(name.to_str().filter(|name| is_datastore(name)).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn free_name(data: &Path, stem: &str) -> String {
    let mut name = stem.to_owned();
    let mut number = 1;
    while data.join(&name).exists() {
        number += 1;
        name = format!("{stem}_{number}");
    }
    name
}

fn make_private(path: &PathBuf) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
