//! The data directory of a server that keeps its actions in a database: one server has it, as where they are in a file of it.
//!
//! What programs and kinds of action leave is in it whatever the store is, and at each start what an earlier server left is
//! ended and removed.

use std::path::Path;
use std::time::Duration;

use actiond_actors::store::DirectoryLock;
use actiond_actors::{StoreError, System};

use crate::files::file_system_type;

/// Time between two looks at the lock, as at that of a database file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The reason for which the data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    #[error(
        "{0}: give each server a DataDirectory of its own, by [Paths] DataDirectory or --data, or end the other one first"
    )]
    InUse(StoreError),
    #[error("[Paths] DataDirectory can't be used: {0}")]
    Failed(String),
}

/// Returns the type of the file system on which the actions are; a database that servers share is on another one.
pub(super) fn file_system(directory: &Path, system: &System) -> Option<String> {
    if system.is_shared() { None } else { file_system_type(directory) }
}

/// Keeps other servers away from this directory, which is made if need be.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, DirectoryError> {
    DirectoryLock::take(directory).map_err(|error| match error {
        StoreError::Io(why) => DirectoryError::Failed(why),
        error => DirectoryError::InUse(error),
    })
}

/// Holds a lock as long as this runs, and takes it again where its file is deleted.
pub(super) async fn keep(mut lock: DirectoryLock) {
    let mut is_lost = false;
    loop {
        actix_web::rt::time::sleep(LOOK_EVERY).await;
        let looked = actix_web::rt::task::spawn_blocking(move || {
            let checked = lock.check();
            (lock, checked)
        });
        // Fails only if the runtime ends, and the process with it.
        let Ok((back, checked)) = looked.await else { return };
        lock = back;
        let was_lost = std::mem::replace(&mut is_lost, checked.is_err());
        if let Err(error) = checked
            && !was_lost
        {
            log::error!(
                "{error}, since actiond.lock was deleted: end one of them, for each may remove what programs of the other use"
            );
        }
    }
}
