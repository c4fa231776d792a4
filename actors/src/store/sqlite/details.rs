//! Conditions of listings beside the columns of the indexes: the parameters of an action, its name, and its error.

use rusqlite::{OptionalExtension as _, params};

use super::errors::{is_damage, store_error};
use super::list::Search;
use super::read::Reader;
use super::rows::number;
use crate::action::ActionId;
use crate::store::query::{Details, Query};
use crate::store::{QueueId, StoreError};

/// Number of bytes of parameters and errors that a page may look at: some ten milliseconds. The last action may have more.
pub(super) const BYTE_BUDGET: usize = 4 << 20;

/// It reads the index alone.
const HAS_ACTION_ID: &str = "SELECT 1 FROM action INDEXED BY by_action_id
     WHERE queue = ?1 AND action_id = ?2 AND id = ?3";

impl Reader {
    /// Returns true if an action has the details that a query asks for. What can't be read has none of them, and is noted.
    pub(super) fn has_details(
        &self,
        queue: QueueId,
        query: &Query,
        id: ActionId,
        search: &mut Search,
    ) -> rusqlite::Result<bool> {
        let Some(details) = &query.details else { return Ok(true) };
        match self.look_for(queue, details, id, &mut search.byte_budget) {
            Ok(Ok(has)) => Ok(has),
            Ok(Err(unreadable)) => {
                search.damage.get_or_insert(unreadable);
                Ok(false)
            }
            Err(error) if is_damage(&error) => {
                search.damage.get_or_insert_with(|| store_error(&error, &self.path));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn look_for(
        &self,
        queue: QueueId,
        details: &Details,
        id: ActionId,
        budget: &mut usize,
    ) -> rusqlite::Result<Result<bool, StoreError>> {
        if let Some(wanted) = &details.action_id {
            let mut statement = self.connection.prepare_cached(HAS_ACTION_ID)?;
            if !statement.exists(params![queue.0, wanted, number(id)])? {
                return Ok(Ok(false));
            }
        }
        if details.error.is_some() {
            let sql = "SELECT error FROM action WHERE id = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let listed = statement.query_row([number(id)], |row| {
                let error = row.get_ref(0)?.as_str_or_null()?;
                *budget = budget.saturating_sub(error.map_or(0, str::len));
                Ok(details.admit_error(error))
            });
            if listed.optional()? != Some(true) {
                return Ok(Ok(false));
            }
        }
        if details.parameters.is_empty() {
            return Ok(Ok(true));
        }
        let sql = "SELECT value FROM parameters WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let listed = statement.query_row([number(id)], |row| {
            let value = row.get_ref(0)?.as_bytes()?;
            *budget = budget.saturating_sub(value.len());
            Ok(details.admit_json(value))
        });
        // They may not have been kept.
        let listed = listed.optional()?.unwrap_or(Ok(false));
        Ok(listed.map_err(|error| StoreError::Corrupt {
            path: self.path.clone(),
            reason: format!("the parameters of action {id} are unreadable: {error}"),
        }))
    }
}
