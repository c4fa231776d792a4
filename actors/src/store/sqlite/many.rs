//! Commands to several actions within one transaction.

use rusqlite::OptionalExtension as _;

use super::rows::{Row, number};
use super::write::{Applied, Writer};
use crate::action::Timestamp;
use crate::lifecycle::{Command, Verdict};
use crate::queue::Target;
use crate::store::query::Query;
use crate::store::{Affected, Batch};

impl Writer<'_> {
    /// Gives a command to those of these actions that there are, and that the filter lists.
    pub(super) fn command_many(
        &mut self,
        batch: &Batch,
        actions: &[Target],
        command: Command,
        filter: Option<&Query>,
    ) -> Applied<Vec<Affected>> {
        let mut affected = Vec::with_capacity(actions.len());
        for Target { id, queued_at } in actions {
            let row = self.row(batch.queue, *id)?;
            let Some(row) = row.filter(|row| queued_at.is_none_or(|at| at == row.queued_at)) else {
                continue;
            };
            if let Some(filter) = filter
                && !self.is_listed(filter, &row)?
            {
                continue;
            }
            affected.push(match self.decide(&row, command)? {
                Ok(verdict) => self.carry_out(batch, &row, command, verdict)?,
                Err(_) => row.affected(None, Verdict::Refused),
            });
        }
        Ok(affected)
    }

    /// Tells whether a filter lists an action as it is now.
    fn is_listed(&self, filter: &Query, row: &Row) -> Applied<bool> {
        // Nearly no filter has the time of the end.
        let finished_at = match filter.finished.is_open() {
            true => None,
            false => self.finished_at(row)?,
        };
        let times = (row.started_at, finished_at);
        Ok(filter.admits(row.state, row.priority, row.queued_at, times))
    }

    fn finished_at(&self, row: &Row) -> Applied<Option<Timestamp>> {
        let mut statement =
            self.connection.prepare_cached("SELECT finished_at FROM action WHERE id = ?1")?;
        let time: Option<Option<i64>> =
            statement.query_row([number(row.id)], |row| row.get(0)).optional()?;
        Ok(time.flatten().map(Timestamp))
    }
}
