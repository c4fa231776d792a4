//! A database in memory is written to files by the connection that writes everything: to its own, and to copies that somebody asks
//! for. Another connection would hold up this one, or begin anew with each change.

use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Writer;
use crate::store::StoreError;
use crate::store::directory::create_private;
use crate::store::sqlite::backup;
use crate::store::sqlite::errors::store_error;
use crate::store::sqlite::in_memory::saving::{self, Saving};
use crate::store::sqlite::threads::spawn;

/// A copy that is to be made, and who waits for it.
pub(super) struct WantedCopy {
    into: PathBuf,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Writer<'_> {
    /// Notes that somebody waits for a copy in a file that is not there yet.
    pub(in crate::store::sqlite) fn want_copy(
        &mut self,
        into: PathBuf,
        reply: oneshot::Sender<Result<(), StoreError>>,
    ) {
        self.copies.push_back(WantedCopy { into, reply });
    }

    /// Tells whether a file is to be written.
    pub(in crate::store::sqlite) fn is_file_due(&self) -> bool {
        let due = self.saving.as_ref().and_then(Saving::due);
        !self.copies.is_empty() || due.is_some_and(|due| due <= Instant::now())
    }

    /// Writes one file that is due. `between` is called after each step, and ends it with `false`.
    pub(in crate::store::sqlite) fn write_file(&mut self, between: impl FnMut(&mut Self) -> bool) {
        match self.copies.pop_front() {
            Some(wanted) => self.copy(wanted, between),
            None => self.save(between),
        }
    }

    fn save(&mut self, mut between: impl FnMut(&mut Self) -> bool) {
        let Some(mut saving) = self.saving.take() else { return };
        let (connection, last) = (self.connection, self.shrinking.committed());
        self.is_saving = true;
        saving.save(connection, Instant::now(), || between(self));
        self.is_saving = false;
        if self.shrinking.committed() != last {
            // SQLite copies what this connection changes meanwhile, too. That is not relied on.
            saving.note_change();
        }
        self.saving = Some(saving);
    }

    /// Makes a copy. It is made durable and checked by another thread, which answers.
    fn copy(&mut self, wanted: WantedCopy, mut between: impl FnMut(&mut Self) -> bool) {
        let WantedCopy { into, reply } = wanted;
        let connection = self.connection;
        // If that fails, SQLite says why.
        drop(create_private(&into));
        self.is_saving = true;
        // Who does not wait for it any more does not want it.
        let copied = saving::copy(connection, &into, &mut || between(self) && !reply.is_closed());
        self.is_saving = false;
        if !matches!(copied, Ok(true)) {
            // It may not be there.
            let _ = std::fs::remove_file(&into);
        }
        match copied {
            Ok(true) => {
                let complete = move || {
                    if reply.send(backup::complete(&into)).is_err() {
                        let _ = std::fs::remove_file(&into);
                    }
                };
                if let Err(error) = spawn("actiond-backup", complete) {
                    log::error!("a copy of the actions can't be checked: {error}");
                }
            }
            // The store is being closed, as whoever waits hears once `reply` is dropped; or nobody waits.
            Ok(false) => {}
            Err(error) => drop(reply.send(Err(store_error(&error, &into)))),
        }
    }
}
