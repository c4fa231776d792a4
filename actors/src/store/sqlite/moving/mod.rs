//! A data directory as a side of a move: see [`crate::store::moving`].
//!
//! While it is filled, the file has a format number that no version opens ([`schema::MOVING`]), and a table that says how far
//! it has come, written in the same transactions.

mod events;
mod read;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::errors::store_error;
use super::lock::Locks;
use super::open::connect;
use super::{Durability, schema};
use crate::store::directory::make_directory;
use crate::store::moving::{
    Begun, Cursor, DEFERRED, EventPage, Fault, Mark, Moved, MovedEvent, Outline, Page, Side,
};

const _: () = assert!(schema::DEFERRED as i16 == DEFERRED);

/// A data directory that no server uses.
pub(in crate::store) struct Directory {
    connection: Connection,
    path: PathBuf,
    directory: PathBuf,
    ids: Ids,
    // After the connection: see `Locks`.
    _locks: Locks,
}

/// The numbers of the queues and handlers in the order of the outline.
#[derive(Default)]
struct Ids {
    queues: Vec<i64>,
    handlers: Vec<i64>,
}

impl Directory {
    /// Opens one that is there, as a server would, and brings it to the format of this version.
    pub(in crate::store) fn source(directory: &Path) -> Result<Self, Fault> {
        if !database_in(directory).is_file() {
            return Err(Fault::Missing);
        }
        let this = Self::open(directory)?;
        this.prepare()?;
        Ok(this)
    }

    /// Opens one that may be there.
    pub(in crate::store) fn target(directory: &Path) -> Result<Self, Fault> {
        make_directory(directory).map_err(|e| crate::store::StoreError::Io(e.to_string()))?;
        let this = Self::open(directory)?;
        if this.is_marked()? {
            schema::configure(&this.connection, Durability::Full).map_err(|e| this.failed(&e))?;
        } else {
            this.prepare()?;
        }
        Ok(this)
    }

    fn open(directory: &Path) -> Result<Self, Fault> {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let path = database_in(&directory);
        let locks = Locks::take(&directory, &path, true)?;
        let connection = connect(&path, OpenFlags::default(), None)?;
        Ok(Self { connection, path, directory, ids: Ids::default(), _locks: locks })
    }

    fn prepare(&self) -> Result<(), Fault> {
        let prepared = schema::prepare(&self.connection, Durability::Full);
        Ok(prepared.map_err(|error| error.at(&self.path))?)
    }

    /// Returns true if it is being filled.
    fn is_marked(&self) -> Result<bool, Fault> {
        let version: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|e| self.failed(&e))?;
        Ok(version == schema::MOVING)
    }

    fn failed(&self, error: &rusqlite::Error) -> Fault {
        Fault::Store(store_error(error, &self.path))
    }
}

fn database_in(directory: &Path) -> PathBuf {
    directory.join("actions.db")
}

/// All of it is done on the caller's thread, which has nothing else to do.
impl Side for Directory {
    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    async fn outline(&mut self) -> Result<Outline, Fault> {
        let (ids, outline) = read::outline(&self.connection, &self.path)?;
        self.ids = ids;
        Ok(outline)
    }

    async fn page(&mut self, from: Cursor) -> Result<Page, Fault> {
        Ok(read::page(&self.connection, &self.path, &self.ids.queues, from)?)
    }

    async fn events(&mut self, from: Cursor) -> Result<EventPage, Fault> {
        Ok(events::page(&self.connection, &self.path, &self.ids, from)?)
    }

    async fn keys(&mut self) -> Result<u64, Fault> {
        let counted =
            self.connection.query_row("SELECT count(*) FROM submission_key", [], |row| row.get(0));
        counted.map_err(|e| self.failed(&e))
    }

    async fn begin(&mut self, mark: &Mark, outline: &Outline) -> Result<Begun, Fault> {
        let begun = if self.is_marked()? {
            let (known, begun) = write::mark(&self.connection).map_err(|e| self.failed(&e))?;
            if known.source != mark.source {
                return Err(Fault::OtherSource(known.source));
            }
            (known == *mark).then_some(begun)
        } else {
            let is_empty =
                "SELECT NOT EXISTS (SELECT 1 FROM action) AND NOT EXISTS (SELECT 1 FROM event)";
            let is_empty = self.connection.query_row(is_empty, [], |row| row.get::<_, bool>(0));
            if !is_empty.map_err(|e| self.failed(&e))? {
                return Err(Fault::NotEmpty);
            }
            None
        };
        let begun = match begun {
            Some(begun) => begun,
            None => {
                write::begin(&mut self.connection, mark, outline).map_err(|e| {
                    // `self` is borrowed for the transaction.
                    Fault::Store(store_error(&e, &self.path))
                })?;
                Begun::NOTHING
            }
        };
        self.outline().await?;
        Ok(begun)
    }

    async fn write(&mut self, page: &[Moved], next: Cursor) -> Result<(), Fault> {
        let written = write::page(&mut self.connection, &self.ids.queues, page, next);
        written.map_err(|e| Fault::Store(store_error(&e, &self.path)))
    }

    async fn clear_events(&mut self) -> Result<(), Fault> {
        events::clear(&self.connection).map_err(|e| self.failed(&e))
    }

    async fn write_events(&mut self, page: &[MovedEvent]) -> Result<(), Fault> {
        let written = events::write(&mut self.connection, &self.ids, page);
        written.map_err(|e| Fault::Store(store_error(&e, &self.path)))
    }

    async fn complete(&mut self, outline: &Outline) -> Result<(), Fault> {
        let completed = write::complete(&mut self.connection, outline);
        completed.map_err(|e| Fault::Store(store_error(&e, &self.path)))
    }

    async fn spoil(&mut self) -> Result<(), Fault> {
        let spoiled = self.connection.execute("UPDATE moving SET content = ''", []);
        spoiled.map(drop).map_err(|e| self.failed(&e))
    }

    async fn release(&mut self) -> Result<(), Fault> {
        let released = write::release(&mut self.connection);
        released.map_err(|e| Fault::Store(store_error(&e, &self.path)))
    }

    async fn sites(&mut self) -> Result<Vec<(String, u16)>, Fault> {
        Ok(Vec::new())
    }
}
