//! Size of the database, of its log and of the disk under it.

use std::path::Path;

use super::errors::store_error;
use super::read::Reader;
use crate::store::{FileSize, StoreError, StoreSize};

impl Reader {
    /// Reads the sizes. Those of the database are in its first page; no other is looked at.
    pub(super) fn size(&self) -> Result<StoreSize, StoreError> {
        let number = |pragma: &str| -> rusqlite::Result<u64> {
            self.connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))
        };
        let pages = || -> rusqlite::Result<[u64; 3]> {
            Ok([
                number("PRAGMA page_count")?,
                number("PRAGMA freelist_count")?,
                number("PRAGMA page_size")?,
            ])
        };
        let mut read = Ok([0; 3]);
        // Or the free pages might be those of another moment than all of them.
        self.in_snapshot(|| read = pages());
        let [pages, free, bytes] = read.map_err(|error| store_error(&error, &self.path))?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        Ok(StoreSize {
            database: pages.saturating_mul(bytes),
            file: Some(FileSize {
                free: free.saturating_mul(bytes),
                // There is none after a clean end of the log. By its name: opened by this process, its locks would be lost.
                log: std::fs::metadata(log_of(&self.path)).map_or(0, |log| log.len()),
                disk: fs4::total_space(directory).unwrap_or_default(),
                disk_free: fs4::available_space(directory).unwrap_or_default(),
            }),
        })
    }
}

/// Returns the path of the write-ahead log of a database.
fn log_of(database: &Path) -> std::path::PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
