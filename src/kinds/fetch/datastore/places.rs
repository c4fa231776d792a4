//! On what device each directory of a task lies, and each mount point below it: so a run can tell whether
//! what is gone was deleted, or only is not mounted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::{Datastore, bytes};
use crate::documents::reference::path_of_bytes;

/// Largest number of places that are remembered.
pub(crate) const MAX_PLACES: usize = 10_000;

/// A place as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The device on which all was well the last time.
    pub(crate) device: u64,
    /// Number of files below it that were known when it was first found to be on another one. Files that were
    /// found there since must not hide how many are gone.
    pub(crate) known: Option<u64>,
}

impl Datastore {
    /// Returns the places that are remembered.
    pub(crate) fn places(&self) -> Result<BTreeMap<PathBuf, Remembered>, String> {
        let limit = i64::try_from(MAX_PLACES).unwrap_or(i64::MAX);
        let rows = || {
            self.connection
                .prepare("SELECT path, device, known FROM places LIMIT ?1")?
                .query_map([limit], |row| {
                    let remembered = Remembered {
                        device: row.get::<_, i64>(1)?.cast_unsigned(),
                        known: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                    };
                    Ok((path_of_bytes(row.get(0)?), remembered))
                })?
                .collect()
        };
        self.named(rows())
    }

    /// Notes the device of a place that is not remembered yet.
    pub(crate) fn meet(&mut self, place: &Path, device: u64) -> Result<(), String> {
        let device = device.cast_signed();
        self.write(
            "INSERT INTO places (path, device) VALUES (?1, ?2) ON CONFLICT (path) DO NOTHING",
            params![bytes(place), device],
        )
    }

    /// Notes how many files were known below a place that is on another device now; none if it is not.
    pub(crate) fn suspect(&mut self, place: &Path, known: Option<u64>) -> Result<(), String> {
        let known = known.map(u64::cast_signed);
        self.write("UPDATE places SET known = ?2 WHERE path = ?1", params![bytes(place), known])
    }

    /// Remembers these places and no others.
    pub(crate) fn remember(&mut self, places: &BTreeMap<PathBuf, u64>) -> Result<(), String> {
        self.write("DELETE FROM places", [])?;
        for (place, device) in places {
            self.meet(place, *device)?;
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
