//! From an archive into a data directory: all of it is checked before anything is touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use actiond_actors::store::StoreError;
use actiond_actors::store::sqlite::{CopyContent, Restore, prepare_copy, settle};
use chrono::{DateTime, Local};

use super::archive::{Archive, GoesOn};
use super::{BackupError, Prepared};
use crate::aci::words::shorten;
use crate::documents::beneath::Root;
use crate::files;

const ACTIONS: &str = "actions.db";
/// The longest name of a database in bytes; SQLite has files beside it with longer ones, and systems have up to 255.
const LONGEST_NAME: usize = 240;

/// Files of SQLite's beside a database that are a part of it, by what is added to its name.
const PARTS: [&str; 2] = ["-wal", "-journal"];

/// Checks an archive below a directory, and unpacks it beside the data, to take its place when the store is opened again.
pub(super) fn prepare(
    (root, below): (&Root, &Path),
    data: &Path,
    now: DateTime<Local>,
    goes_on: GoesOn<'_>,
) -> Result<Prepared, BackupError> {
    let (file, _) = root
        .open(below, &[])
        .map_err(|error| BackupError::Place(format!("it can't be opened: {error}")))?;
    prepare_archive((file, root.path().join(below)), data, now, goes_on)
}

/// Does the same with an archive that is open already, and tells it by this path.
pub(super) fn prepare_archive(
    (file, path): (File, PathBuf),
    data: &Path,
    now: DateTime<Local>,
    goes_on: GoesOn<'_>,
) -> Result<Prepared, BackupError> {
    let mut archive = Archive::open(file)?;
    let (mut wanted, mut bytes) = (Vec::new(), 0_u64);
    for entry in archive.files() {
        match place_of(&entry.name) {
            Some(Place::Data(name)) => {
                bytes = bytes.saturating_add(entry.size);
                wanted.push((name.to_owned(), entry.clone()));
            }
            Some(Place::Nowhere) => {}
            None => {
                let name = shorten(&entry.name);
                return Err(BackupError::Archive(format!("{name:?} is no file of a backup")));
            }
        }
    }
    has_room(data, bytes)?;
    let restore = begin(data)?;
    let io = |error| BackupError::io(restore.directory().display(), &error);
    for (name, entry) in &wanted {
        let path = restore.directory().join(name);
        archive.copy(entry, &mut make_private(&path).map_err(io)?, goes_on)?;
    }
    let names = wanted.into_iter().map(|(name, _)| name).collect();
    commit(restore, path, names, data, now)
}

/// Copies the databases of a directory beside the data, checks them, and prepares them to take its place when the store is opened
/// again. Nobody has them open.
pub(super) fn prepare_directory(
    from: &Path,
    data: &Path,
    now: DateTime<Local>,
) -> Result<Prepared, BackupError> {
    let mut names = datastores_in(from)?;
    names.push(ACTIONS.to_owned());
    let with_parts = |name: &String| {
        let parts = PARTS.map(|part| format!("{name}{part}"));
        std::iter::once(name.clone())
            .chain(parts.into_iter().filter(|part| from.join(part).is_file()))
    };
    let files: Vec<String> = names.iter().flat_map(with_parts).collect();
    let unread = |name: &str, error| BackupError::io(from.join(name).display(), &error);
    let mut bytes = 0_u64;
    for name in &files {
        let length = fs::metadata(from.join(name)).map_err(|error| unread(name, error))?.len();
        bytes = bytes.saturating_add(length);
    }
    has_room(data, bytes)?;
    let restore = begin(data)?;
    for name in &files {
        let copied = File::open(from.join(name)).and_then(|mut file| {
            io::copy(&mut file, &mut make_private(&restore.directory().join(name))?)
        });
        copied.map_err(|error| unread(name, error))?;
    }
    commit(restore, from.to_owned(), names, data, now)
}

fn begin(data: &Path) -> Result<Restore, BackupError> {
    Restore::begin(data).map_err(|error| BackupError::io(data.display(), &error))
}

fn has_room(data: &Path, bytes: u64) -> Result<(), BackupError> {
    let free = fs4::available_space(data).unwrap_or(u64::MAX);
    match bytes <= free {
        true => Ok(()),
        false => Err(BackupError::Io {
            path: data.display().to_string(),
            why: format!("unpacked it has {bytes} bytes, and {free} are free"),
        }),
    }
}

/// Opens each of these databases as a server would that begins with it, and commits the change.
fn commit(
    restore: Restore,
    path: PathBuf,
    names: Vec<String>,
    data: &Path,
    now: DateTime<Local>,
) -> Result<Prepared, BackupError> {
    let mut content = None;
    for name in &names {
        let path = restore.directory().join(name);
        match name == ACTIONS {
            true => content = Some(prepare_copy(&path).map_err(unusable)?),
            false => settle(&path).map_err(unusable)?,
        }
    }
    let content: CopyContent =
        content.ok_or_else(|| BackupError::Archive("it holds no actions".to_owned()))?;
    let mut replaced = names;
    for name in datastores_in(data)? {
        if !replaced.contains(&name) {
            replaced.push(name);
        }
    }
    let aside = free_name(data, &format!("before-restore-{}", now.format("%Y%m%dT%H%M%S")));
    restore.commit(&aside, replaced).map_err(|error| BackupError::io(data.display(), &error))?;
    Ok(Prepared { path, content, aside: data.join(aside) })
}

/// Tells what is wrong with a database of an archive, without the path that it has for the moment.
fn unusable(error: StoreError) -> BackupError {
    match error {
        StoreError::Corrupt { reason, .. } => {
            BackupError::Archive(format!("no server can begin with its databases: {reason}"))
        }
        StoreError::TooNew { found, known, .. } => BackupError::Archive(format!(
            "its actions have format {found}, this version reads up to {known}"
        )),
        other => BackupError::Store(other),
    }
}

/// The place of a file of an archive.
#[derive(Debug, PartialEq, Eq)]
enum Place<'n> {
    /// Into the data directory, by this name.
    Data(&'n str),
    /// It is for people alone.
    Nowhere,
}

/// Returns where a file of an archive is put; `None` if no backup has one by this name.
fn place_of(name: &str) -> Option<Place<'_>> {
    match name.split_once('/')? {
        ("actions", ACTIONS) => Some(Place::Data(ACTIONS)),
        ("datastores", name) if is_datastore(name) => Some(Place::Data(name)),
        ("configuration", name) if !name.contains('/') => Some(Place::Nowhere),
        _ => None,
    }
}

/// Tells whether a file has the name of what Fetch remembers of a task.
fn is_datastore(name: &str) -> bool {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with("connector_")
        && name.ends_with("_datastore.db")
        && name.len() <= LONGEST_NAME
        && name.chars().all(safe)
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

fn make_private(path: &Path) -> io::Result<File> {
    files::private().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_backup_have_a_place() {
        let long = format!("datastores/connector_{}_datastore.db", "x".repeat(300));
        for (name, place) in [
            ("actions/actions.db", Some(Place::Data("actions.db"))),
            ("datastores/connector_A_datastore.db", Some(Place::Data("connector_A_datastore.db"))),
            ("configuration/my.cfg", Some(Place::Nowhere)),
            ("actions/other.db", None),
            ("datastores/../connector_A_datastore.db", None),
            ("datastores/connector_/../_datastore.db", None),
            (&long, None),
            ("configuration/a/b", None),
            ("../../../x", None),
            ("x", None),
        ] {
            assert_eq!(place_of(name), place, "{name}");
        }
    }
}
