//! Tables, indexes and the function that begins a batch, in `schema/`: one file for each version that changed them.
//!
//! Actions that wait or run are in another table (`live`) than those that have ended (`done`), so that the rows that change
//! often lie close together, and a million results are not in their way. A queued action that may not start yet has a state
//! number of its own ([`DEFERRED`]), so that it stands nowhere in the order of those that may start.
//!
//! No transaction changes a row that the one before has changed, and tables are never empty; `docs/adr` says why (40).
//!
//! | index | used for |
//! |---|---|
//! | `live_ready` | the next to start (highest priority, then arrival), the place in the queue |
//! | `live_deferred` | queued ones that may not start yet, the first of them first |
//! | `live_running` | what runs in a queue |
//! | `live_queued_at`, `done_queued_at` | the default order, `Queued-After`/`-Before` |
//! | `done_started_at` | `Sort-By=start-time`, `Started-After`/`-Before` |
//! | `done_finished_at` | `Sort-By=finish-time`, `Finished-After`/`-Before`, retention |
//! | `done_unfinished` | what has ended in Error, Cancelled or Stopped |
//! | `live_action_id`, `done_action_id` | `ActionID`; of the few actions that were submitted with one |
//!
//! Events that wait for their handler are in another table (`event`) than those that could not be delivered (`failed_event`), so that
//! the first of them is found at once however many have failed. In both the key of a row begins with the handler.

use tokio_postgres::Client;

use super::errors::{Failure, newer};
use crate::action::State;
use crate::store::StoreError;

/// The version of the schema that this program reads and writes.
pub(super) const VERSION: i32 = 2;

/// The number in place of the version's while the schema is filled by a move from another store.
pub(super) const MOVING: i32 = -1;

/// The code of the error of a batch whose server is not of the schema's version.
pub(super) const NEWER: &str = "ZA001";

/// The code of the error of a batch that is not the next of its server.
pub(super) const NOT_NEXT: &str = "ZA002";

/// The state number of an action that is queued and may not start before its `not_before`.
pub(super) const DEFERRED: i16 = 8;

// The conditions of the partial indexes have these numbers.
const _: () = assert!(State::ALL.len() == DEFERRED as usize);
const _: () = assert!(State::Queued as u8 == 0 && State::Finished as u8 == 4);
const _: () = assert!(State::Processing as u8 == 1 && State::Stopping as u8 == 3);

/// The step to each version, from the one before.
const STEPS: [&str; VERSION as usize] =
    [include_str!("schema/0001.sql"), include_str!("schema/0002.sql")];

/// Creates the schema, or brings it to this version. Servers of an older one can't write from then on.
pub(super) async fn migrate(client: &Client, schema: &str) -> Result<(), Failure> {
    if version(client).await? == Some(VERSION) {
        // Nothing is locked for it: most servers open a schema that is as it should be.
        return Ok(());
    }
    client.batch_execute("BEGIN").await?;
    match migrate_locked(client, schema).await {
        Ok(()) => Ok(client.batch_execute("COMMIT").await?),
        Err(failure) => {
            // The connection is closed if this fails.
            drop(client.batch_execute("ROLLBACK").await);
            Err(failure)
        }
    }
}

/// Does it in the transaction that has begun. Of servers that start at once one migrates, and the others find it done.
async fn migrate_locked(client: &Client, schema: &str) -> Result<(), Failure> {
    client
        .execute("SELECT pg_advisory_xact_lock(hashtextextended('actiond ' || $1, 0))", &[&schema])
        .await?;
    let there = client
        .query_opt("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", &[&schema])
        .await?;
    if there.is_none() {
        client.batch_execute(&format!("CREATE SCHEMA {}", quoted(schema))).await?;
    }
    let found = version(client).await?;
    let done = match found {
        None => {
            let others = client
                .query_opt(
                    "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = $1 LIMIT 1",
                    &[&schema],
                )
                .await?;
            if others.is_some() {
                let reason = format!("the schema {schema} holds tables that are not actiond's");
                return Err(Failure::Refused(StoreError::Io(reason)));
            }
            client
                .batch_execute(
                    "CREATE TABLE meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
                     INSERT INTO meta (version) VALUES (0)",
                )
                .await?;
            0
        }
        Some(found) if found > VERSION => return Err(newer(found.into()).into()),
        Some(MOVING) => {
            let reason = format!(
                "the schema {schema} holds a part of what was being moved there: run \"actiond migrate\" again to move the rest, or drop it"
            );
            return Err(Failure::Refused(StoreError::Io(reason)));
        }
        Some(found) => {
            // A batch that has begun is waited for, and none begins meanwhile.
            client.batch_execute("LOCK TABLE server IN ACCESS EXCLUSIVE MODE").await?;
            found
        }
    };
    if (1..VERSION).contains(&done) {
        log::info!("the schema {schema} is brought from version {done} to version {VERSION}");
    }
    for step in STEPS.iter().skip(usize::try_from(done).unwrap_or_default()) {
        client.batch_execute(step).await?;
    }
    client.execute("UPDATE meta SET version = $1", &[&VERSION]).await?;
    Ok(())
}

/// Returns the version of the schema in the search path; `None` if there is none.
pub(super) async fn version(client: &Client) -> Result<Option<i32>, Failure> {
    let there = client.query_one("SELECT to_regclass('meta') IS NOT NULL", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM meta", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Returns a name as an identifier of SQL's.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_hold_anything() {
        assert_eq!(quoted("actiond"), "\"actiond\"");
        assert_eq!(quoted("a\"; DROP SCHEMA x; --"), "\"a\"\"; DROP SCHEMA x; --\"");
    }
}
