//! Events for handlers: rows of the transaction that made them so, their reading, and what becomes of them.
//!
//! A row repeats the columns of its action, copied by the database itself: it says what the action was at that moment,
//! whatever becomes of that.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, params};

use super::errors::{is_damage, store_error};
use super::read::Reader;
use super::rows::{number, record, unreadable};
use super::write::{Applied, ApplyError, Writer};
use crate::action::{ActionId, Timestamp};
use crate::store::query::PageLimit;
use crate::store::{
    About, Affected, Batch, EventId, EventKind, EventPage, FailedEvent, HandlerId, LevelChange,
    NewEvent, OutboxChange, OutboxState, QueueId, Rejected, StoreError, StoredEvent,
};

/// Copies an action into a row of `event`: number, handler, kind and time of the event, and the action's id are the first parameters.
macro_rules! event_of_action {
    ($error:literal, $report:literal) => {
        concat!(
            "INSERT INTO event (id, handler, kind, at, queue, action, state, priority, attempt, queued_at, started_at,
                 finished_at, processing_ms, percent, not_before, worker, origin, error, report)
             SELECT ?1, ?2, ?3, ?4, queue, id, state, priority, attempt, queued_at, started_at,
                 finished_at, processing_ms, percent, not_before, worker, origin, ",
            $error,
            ", ",
            $report,
            " FROM action WHERE id = ?5"
        )
    };
}

impl Writer<'_> {
    /// Finds or creates a handler.
    pub(super) fn open_handler(&mut self, name: &str) -> Result<HandlerId, StoreError> {
        if name.contains('\0') {
            // SQLite's case-insensitive comparison stops at a NUL: two names would be one handler.
            return Err(StoreError::Io(format!("the name of handler {name:?} contains a NUL")));
        }
        let open = |writer: &Self| {
            writer.connection.query_row(
                // The update changes nothing, but makes RETURNING return the existing row.
                "INSERT INTO handler (name) VALUES (?1) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id",
                [name],
                |row| row.get(0).map(HandlerId),
            )
        };
        self.with_reserve(open)
    }

    /// Writes an event about an action, as it is now, for each handler that wants it.
    pub(super) fn tell(&mut self, batch: &Batch, kind: EventKind, id: ActionId) -> Applied<()> {
        let Some(wants) = &batch.wants else { return Ok(()) };
        for handler in wants.handlers(kind) {
            let event = self.next_event();
            self.run(
                event_of_action!("error", "report"),
                params![event, handler.0, kind.number(), batch.now.0, number(id)],
            )?;
        }
        match wants.callback {
            Some(handler) if kind.is_end() => self.tell_callback(batch, handler, kind, id),
            _ => Ok(()),
        }
    }

    /// Writes the end of an action for the callback with which it was submitted, if it was.
    fn tell_callback(
        &mut self,
        batch: &Batch,
        handler: HandlerId,
        kind: EventKind,
        id: ActionId,
    ) -> Applied<()> {
        let has_callback: Option<bool> = self
            .connection
            .prepare_cached("SELECT origin -> 'callback' IS NOT NULL FROM action WHERE id = ?1")?
            .query_row([number(id)], |row| row.get(0))
            .optional()?;
        if has_callback == Some(true) {
            let event = self.next_event();
            self.run(
                event_of_action!("error", "report"),
                params![event, handler.0, kind.number(), batch.now.0, number(id)],
            )?;
        }
        Ok(())
    }

    /// Writes an event that the queue itself has found.
    pub(super) fn tell_new(
        &mut self,
        batch: &Batch,
        event: &NewEvent,
    ) -> Applied<Result<Vec<Affected>, Rejected>> {
        match event {
            NewEvent::ErrorReport { id, attempt, error, report } => {
                if let Err(rejected) = self.current(batch.queue, *id, *attempt)? {
                    return Ok(Err(rejected));
                }
                let kind = EventKind::ErrorReport;
                for handler in batch.wants.iter().flat_map(|wants| wants.handlers(kind)) {
                    let event = self.next_event();
                    self.run(
                        event_of_action!("?6", "?7"),
                        params![
                            event,
                            handler.0,
                            kind.number(),
                            batch.now.0,
                            number(*id),
                            error,
                            report.as_str()
                        ],
                    )?;
                }
            }
            NewEvent::Level(change) => self.tell_level(batch, change)?,
        }
        Ok(Ok(Vec::new()))
    }

    fn tell_level(&mut self, batch: &Batch, change: &LevelChange) -> Applied<()> {
        let kind = EventKind::Queue;
        let level = serde_json::to_string(change)
            .map_err(|e| ApplyError::Store(StoreError::Io(e.to_string())))?;
        for handler in batch.wants.iter().flat_map(|wants| wants.handlers(kind)) {
            let event = self.next_event();
            self.run(
                "INSERT INTO event (id, handler, kind, at, queue, level) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![event, handler.0, kind.number(), batch.now.0, batch.queue.0, level],
            )?;
        }
        Ok(())
    }

    fn next_event(&mut self) -> i64 {
        self.tables.last_event = self.tables.last_event.saturating_add(1);
        self.tables.last_event
    }

    /// Changes the events of a handler.
    pub(super) fn change_outbox(
        &mut self,
        handler: HandlerId,
        change: &OutboxChange,
    ) -> Applied<()> {
        let step = i64::try_from(OutboxChange::STEP).unwrap_or(i64::MAX);
        match change {
            OutboxChange::Settle { delivered, failed } => {
                for event in &**delivered {
                    self.run(
                        "DELETE FROM event WHERE id = ?1 AND handler = ?2 AND failed = 0",
                        params![event.0, handler.0],
                    )?;
                    self.note_event_gone(event.0);
                }
                if !delivered.is_empty() {
                    self.note_freed();
                }
                for FailedEvent { id, at, attempts, error } in &**failed {
                    self.run(
                        "UPDATE event SET failed = 1, failed_at = ?3, attempts = ?4, last_error = ?5
                         WHERE id = ?1 AND handler = ?2 AND failed = 0",
                        params![id.0, handler.0, at.0, attempts, error],
                    )?;
                }
            }
            OutboxChange::Trim { keep } => {
                for failed in [0, 1] {
                    let there: i64 = self
                        .connection
                        .prepare_cached(
                            "SELECT count(*) FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = ?2",
                        )?
                        .query_row(params![handler.0, failed], |row| row.get(0))?;
                    let keep = i64::try_from(*keep).unwrap_or(i64::MAX);
                    let dropped = self.delete_oldest(handler, failed, there.saturating_sub(keep).min(step))?;
                    if dropped > 0 {
                        self.run(
                            "UPDATE handler SET dropped = dropped + ?2 WHERE id = ?1",
                            params![handler.0, dropped],
                        )?;
                    }
                }
            }
            OutboxChange::Retry => self.run(
                "UPDATE event SET failed = 0, failed_at = NULL, last_error = NULL, attempts = 0 WHERE id IN
                 (SELECT id FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = 1
                  ORDER BY id LIMIT ?2)",
                params![handler.0, step],
            )?,
            OutboxChange::Discard => {
                self.delete_oldest(handler, 1, step)?;
            }
        }
        Ok(())
    }

    /// Deletes the oldest events of a handler, and returns how many.
    fn delete_oldest(&mut self, handler: HandlerId, failed: i64, number: i64) -> Applied<i64> {
        if number <= 0 {
            return Ok(0);
        }
        let oldest: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = ?2
                 ORDER BY id LIMIT ?3",
            )?
            .query_map(params![handler.0, failed, number], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &oldest {
            self.run("DELETE FROM event WHERE id = ?1", [id])?;
            self.note_event_gone(*id);
        }
        self.note_freed();
        Ok(i64::try_from(oldest.len()).unwrap_or(i64::MAX))
    }

    fn note_event_gone(&mut self, id: i64) {
        self.tables.last_event_is_gone |= id == self.tables.last_event;
    }
}

/// The events of a handler; those in failed state apart. The rest is an action as `super::rows` reads it, or a fill level.
const EVENT: &str = "SELECT action, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent,
     error, report, not_before, worker, origin, kind, at, queue, level,
     coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0) FROM event WHERE id = ?1";

/// The size of an event alone.
const EVENT_BYTES: &str = "SELECT coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0) FROM event WHERE id = ?1";

impl Reader {
    /// Reads pending events of a handler after this one, the oldest first, without those named in `except`.
    pub(super) fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: &[EventId],
        limit: PageLimit,
    ) -> Result<EventPage, StoreError> {
        let except: HashSet<i64> = except.iter().map(|event| event.0).collect();
        let read = || -> rusqlite::Result<EventPage> {
            let mut page = EventPage::default();
            let mut bytes = 0_usize;
            let mut ids = self.connection.prepare_cached(
                "SELECT id FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = 0 AND id > ?2 ORDER BY id",
            )?;
            let mut ids = ids.query([handler.0, after.map_or(i64::MIN, |event| event.0)])?;
            while let Some(row) = ids.next()? {
                let id: i64 = row.get(0)?;
                if except.contains(&id) {
                    continue;
                }
                if page.events.len() >= limit.actions {
                    page.more = true;
                    break;
                }
                let size: usize = self
                    .connection
                    .prepare_cached(EVENT_BYTES)?
                    .query_row([id], |row| row.get(0))?;
                bytes = bytes.saturating_add(size);
                if bytes > limit.bytes && !page.events.is_empty() {
                    page.more = true;
                    break;
                }
                match self.event(id) {
                    Ok(event) => page.events.push(event),
                    Err(error) if is_content(&error) => {
                        let why = store_error(&error, &self.path).without_paths();
                        page.unreadable.push((EventId(id), format!("it can't be read: {why}")));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(page)
        };
        let mut page = Ok(EventPage::default());
        // Or an event might be settled between two reads.
        self.in_snapshot(|| page = read());
        page.map_err(|e| store_error(&e, &self.path))
    }

    fn event(&self, id: i64) -> rusqlite::Result<StoredEvent> {
        self.connection.prepare_cached(EVENT)?.query_row([id], |row| {
            let kind: i64 = row.get(14)?;
            let level = row.get_ref(17)?.as_str_or_null().map_err(|e| unreadable(17, e))?;
            let about = match level {
                Some(level) => {
                    About::Queue(serde_json::from_str(level).map_err(|e| unreadable(17, e))?)
                }
                None => About::Action(Box::new(record(row)?)),
            };
            Ok(StoredEvent {
                id: EventId(id),
                queue: QueueId(row.get(16)?),
                kind: EventKind::of_number(kind)
                    .ok_or(rusqlite::Error::IntegralValueOutOfRange(14, kind))?,
                at: Timestamp(row.get(15)?),
                about,
                bytes: row.get(18)?,
            })
        })
    }

    /// Reads the numbers of the events of a handler.
    pub(super) fn outbox_state(&self, handler: HandlerId) -> Result<OutboxState, StoreError> {
        let read = || -> rusqlite::Result<OutboxState> {
            let count = |failed: i64| -> rusqlite::Result<u64> {
                self.connection
                    .prepare_cached(
                        "SELECT count(*) FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = ?2",
                    )?
                    .query_row(params![handler.0, failed], |row| row.get(0))
            };
            let oldest = self
                .connection
                .prepare_cached(
                    "SELECT id, at FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = 0
                     ORDER BY id LIMIT 1",
                )?
                .query_row([handler.0], |row| Ok((EventId(row.get(0)?), Timestamp(row.get(1)?))))
                .optional()?;
            let dropped: Option<u64> = self
                .connection
                .prepare_cached("SELECT dropped FROM handler WHERE id = ?1")?
                .query_row([handler.0], |row| row.get(0))
                .optional()?;
            let last_failure = self
                .connection
                .prepare_cached(
                    "SELECT id, failed_at, attempts, last_error FROM event INDEXED BY event_by_handler
                     WHERE handler = ?1 AND failed = 1 ORDER BY id DESC LIMIT 1",
                )?
                .query_row([handler.0], |row| {
                    let at: Option<i64> = row.get(1)?;
                    let error: Option<String> = row.get(3)?;
                    Ok(FailedEvent {
                        id: EventId(row.get(0)?),
                        at: Timestamp(at.unwrap_or_default()),
                        attempts: row.get(2)?,
                        error: error.unwrap_or_default(),
                    })
                })
                .optional()?;
            Ok(OutboxState {
                pending: count(0)?,
                oldest,
                failed: count(1)?,
                dropped: dropped.unwrap_or_default(),
                last_failure,
            })
        };
        read().map_err(|e| store_error(&e, &self.path))
    }
}

/// Tells whether an error concerns one row: others can be read.
fn is_content(error: &rusqlite::Error) -> bool {
    is_damage(error)
        || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
        )
}
