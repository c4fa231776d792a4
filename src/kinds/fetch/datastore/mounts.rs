//! The file system of each directory of a task, and of each mount point below it, by which a run can tell deleted files from
//! files that are only not mounted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::super::file_system::FileSystem;
use super::{Datastore, bytes};
use crate::documents::reference::path_of_bytes;

/// Largest number of mounts that are remembered.
pub(crate) const MAX_MOUNTS: usize = 10_000;

/// A directory of a task or a mount point, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RememberedMount {
    /// Its file system in the last good run.
    pub(crate) on: FileSystem,
    /// Number of files below it that were known when it was first found on another file system, or gone; `None` if it is not
    /// suspect. Files that were found there since must not hide how many are gone.
    pub(crate) known: Option<u64>,
}

impl Datastore {
    /// Returns the mounts that are remembered.
    pub(crate) fn mounts(&self) -> Result<BTreeMap<PathBuf, RememberedMount>, String> {
        let limit = i64::try_from(MAX_MOUNTS).unwrap_or(i64::MAX);
        let rows = || {
            self.connection
                .prepare("SELECT path, device, known, more FROM places LIMIT ?1")?
                .query_map([limit], |row| {
                    // Details that can't be read count as unknown.
                    let details: Option<String> = row.get(3)?;
                    let details = details.and_then(|text| serde_json::from_str(&text).ok());
                    let device = row.get::<_, i64>(1)?.cast_unsigned();
                    let remembered = RememberedMount {
                        on: FileSystem { device, details },
                        known: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                    };
                    Ok((path_of_bytes(row.get(0)?), remembered))
                })?
                .collect()
        };
        self.named(rows())
    }

    /// Notes the file system of a mount that is not remembered yet.
    pub(crate) fn note_mount(&mut self, place: &Path, on: FileSystem) -> Result<(), String> {
        let details = on.details.map(|details| serde_json::to_string(&details)).transpose();
        let details = details.map_err(|e| e.to_string())?;
        self.write(
            "INSERT INTO places (path, device, more) VALUES (?1, ?2, ?3) ON CONFLICT (path) DO NOTHING",
            params![bytes(place), on.device.cast_signed(), details],
        )
    }

    /// Sets the number of files that were known below a mount when it became suspect; `None` if it is not.
    pub(crate) fn set_suspect(&mut self, place: &Path, known: Option<u64>) -> Result<(), String> {
        let known = known.map(u64::cast_signed);
        self.write("UPDATE places SET known = ?2 WHERE path = ?1", params![bytes(place), known])
    }

    /// Remembers these mounts and no others.
    pub(crate) fn replace_mounts(
        &mut self,
        places: &BTreeMap<PathBuf, RememberedMount>,
    ) -> Result<(), String> {
        self.write("DELETE FROM places", [])?;
        for (place, RememberedMount { on, known }) in places {
            self.note_mount(place, *on)?;
            if known.is_some() {
                self.set_suspect(place, *known)?;
            }
        }
        self.commit()
    }

    /// Returns the number of known files below a directory.
    pub(crate) fn count_below(&self, directory: &Path) -> Result<u64, String> {
        // All paths that begin with the directory and a separator come one after another.
        let mut first = bytes(directory).to_vec();
        let separator = u8::try_from(std::path::MAIN_SEPARATOR).unwrap_or(b'/');
        if first.last() != Some(&separator) {
            first.push(separator);
        }
        let mut behind = first.clone();
        behind.pop();
        behind.push(separator.saturating_add(1));
        let count = self.connection.query_row(
            "SELECT count(*) FROM documents WHERE path >= ?1 AND path < ?2",
            params![first, behind],
            |row| row.get(0),
        );
        let count: i64 = self.named(count)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
