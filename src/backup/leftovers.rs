//! Leftovers of a backup that was cut short, and how the next start finds them.
//!
//! ```text
//! DATA/backup.part       the copy of the actions, before it is in an archive
//! DATA/backup.part.…     copies of what Fetch remembers, and files that SQLite has beside a copy
//! DATA/backup.part.json  where the archive is written, by a name that begins with a dot
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BackupError, Backups, archive};
use crate::files;

/// The name of the copy of the actions. All else that a backup has in the data directory begins with it.
pub(super) const COPY: &str = "backup.part";

const NOTE: &str = "backup.part.json";

/// The place of an archive that is not whole yet.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The directory, as the client has named it.
    folder: String,
    /// The name in it.
    part: String,
}

/// Notes where an archive will be written.
pub(super) fn note(data: &Path, folder: &str, part: String) -> Result<(), BackupError> {
    let path = data.join(NOTE);
    let note = Note { folder: folder.to_owned(), part };
    let written = serde_json::to_vec(&note).map_err(io::Error::other);
    let written = written.and_then(|note| fs::write(&path, note));
    written.map_err(|error| BackupError::io(path.display(), &error))
}

/// Removes what a backup has in the data directory, and returns what there was.
pub(super) fn remove(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(COPY));
        if is_ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed.push(entry.path());
        }
    }
    Ok(removed)
}

impl Backups {
    /// Removes what a backup has left that was cut short, and makes the further directories that are missing. The data directory
    /// must be locked. What can't be done is logged.
    pub(crate) fn begin(&self) {
        if let Ok(note) = fs::read(self.data.join(NOTE)) {
            self.remove_archive(&note);
        }
        match remove(&self.data) {
            Ok(removed) => removed.iter().for_each(|path| {
                log::info!("{} is removed: that backup was cut short", path.display());
            }),
            Err(error) => log::warn!(
                "what a backup has left in {} can't be removed: {error}",
                self.data.display()
            ),
        }
        for directory in &self.directories {
            if let Err(error) = files::make_directory(directory) {
                log::warn!(
                    "{} of [Server] BackupDirectories is not there and can't be made: {error}",
                    directory.display()
                );
            }
        }
    }

    fn remove_archive(&self, note: &[u8]) {
        let Ok(Note { folder, part }) = serde_json::from_slice(note) else { return };
        let Ok((root, below)) = self.place(&folder) else { return };
        if !archive::is_part(&part) || !root.path().join(&below).join(&part).exists() {
            return;
        }
        match root.folder(&below).and_then(|folder| folder.remove(&part)) {
            Ok(()) => log::info!("{part:?} in {folder:?} is removed: that backup was cut short"),
            Err(error) => log::warn!("{part:?} in {folder:?} can't be removed: {error}"),
        }
    }
}
