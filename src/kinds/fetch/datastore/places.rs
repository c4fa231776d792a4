//! On what file system each directory of a task lies, and each mount point below it: so a run can tell whether
//! what is gone was deleted, or only is not mounted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::super::file_system::FileSystem;
use super::{Datastore, bytes};
use crate::documents::reference::path_of_bytes;

/// Largest number of places that are remembered.
pub(crate) const MAX_PLACES: usize = 10_000;

/// A place as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The file system that it was on when all was well the last time.
    pub(crate) on: FileSystem,
    /// Number of files below it that were known when it was first found to be on another one, or gone. Files that were
    /// found there since must not hide how many are gone.
    pub(crate) known: Option<u64>,
}

impl Datastore {
    /// Returns the places that are remembered.
    pub(crate) fn places(&self) -> Result<BTreeMap<PathBuf, Remembered>, String> {
        let limit = i64::try_from(MAX_PLACES).unwrap_or(i64::MAX);
        let rows = || {
            self.connection
                .prepare("SELECT path, device, known, more FROM places LIMIT ?1")?
                .query_map([limit], |row| {
                    // What can't be read is as good as nothing known.
                    let more: Option<String> = row.get(3)?;
                    let more = more.and_then(|text| serde_json::from_str(&text).ok());
                    let device = row.get::<_, i64>(1)?.cast_unsigned();
                    let remembered = Remembered {
                        on: FileSystem { device, more },
                        known: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                    };
                    Ok((path_of_bytes(row.get(0)?), remembered))
                })?
                .collect()
        };
        self.named(rows())
    }

    /// Notes what a place is on that is not remembered yet.
    pub(crate) fn meet(&mut self, place: &Path, on: FileSystem) -> Result<(), String> {
        let more = on.more.map(|more| serde_json::to_string(&more)).transpose();
        let more = more.map_err(|e| e.to_string())?;
        self.write(
            "INSERT INTO places (path, device, more) VALUES (?1, ?2, ?3) ON CONFLICT (path) DO NOTHING",
            params![bytes(place), on.device.cast_signed(), more],
        )
    }

    /// Notes how many files were known below a place when it became suspect; none if it is not.
    pub(crate) fn suspect(&mut self, place: &Path, known: Option<u64>) -> Result<(), String> {
        let known = known.map(u64::cast_signed);
        self.write("UPDATE places SET known = ?2 WHERE path = ?1", params![bytes(place), known])
    }

    /// Remembers these places and no others.
    pub(crate) fn remember(
        &mut self,
        places: &BTreeMap<PathBuf, Remembered>,
    ) -> Result<(), String> {
        self.write("DELETE FROM places", [])?;
        for (place, Remembered { on, known }) in places {
            self.meet(place, *on)?;
            if known.is_some() {
                self.suspect(place, *known)?;
            }
        }
        self.commit()
    }

    /// Returns how many files it knows below a directory.
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
