//! The second half of a transaction: all that was decided, in one message that ends with the commit.

use std::collections::HashMap;

use super::controls::Controls;
use super::decided::{Brought, Decided};
use super::row::{Column, Row, number};
use super::session::Prepared;
use super::statements::Statements;
use super::submit::submit;
use super::{Session, events};
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Command, Verdict, decide};
use crate::store::postgres::columns::{Tally, claimed, figures, id_number, parameters, text, time};
use crate::store::postgres::errors::{Failure, corrupt};
use crate::store::postgres::marks::{Marks, Part};
use crate::store::postgres::message::{Answers, Message, Place, values};
use crate::store::postgres::sites::Sites;
use crate::store::{Claimed, Control, EventKind, OwnerId, PastAttempt, Resumed, StoreError};

/// Maximum number of bytes of results in one statement: the database holds each of them several times.
const MAX_BYTES: usize = 16 << 20;

/// Maximum number of due actions that one batch lets start.
const DUE_STEP: i64 = 5_000;

/// The places of a batch's answers in the message.
#[derive(Default)]
struct Places {
    told: Vec<Place>,
    /// Number of events that are written without an answer.
    events: usize,
    /// Number of handlers that hear of what is claimed.
    hear_of_claims: usize,
    claimed: Option<Place>,
    due: Option<Place>,
    pruned: Vec<Place>,
    pruned_late: Option<Place>,
    first_due: Option<Place>,
}

/// An action that starts or goes on and can't be read: its id, its attempt, and the reason.
pub(super) type Unreadable = (ActionId, u32, String);

/// Writes what was decided, and commits.
pub(super) async fn finish(
    session: &Session,
    (sites, marks): (&Sites, &Marks),
    (owner, batch): (OwnerId, i64),
    decided: &[Decided<'_>],
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Brought>, Failure> {
    let statements = &session.prepared.statements;
    let mut message = Message::to(&session.client);
    let mut places = Vec::with_capacity(decided.len());
    for decided in decided {
        let told = tell(&mut message, &session.prepared, sites.own(), decided)?;
        write_controls(&mut message, statements, (batch, sites.own()), decided)?;
        let this = (owner, batch, sites.own());
        let rest = write_rest(&mut message, &session.prepared, this, decided, marks)?;
        decided.schedules.write(&mut message, statements);
        places.push(Places { told: told.0, events: told.1 + rest.events, ..rest });
    }
    message.add(&statements.commit, vec![]);
    let mut answers = message.answers().await?;
    places.iter().map(|places| places.read(&mut answers, sites, unreadable)).collect()
}

/// Writes the events that the controls of a batch have caused, and those that are changed; also returns the number of those that no
/// answer counts.
fn tell<'a>(
    message: &mut Message<'a>,
    prepared: &'a Prepared,
    site: i32,
    decided: &'a Decided<'_>,
) -> Result<(Vec<Place>, usize), Failure> {
    let Decided { batch, queue, controls, .. } = decided;
    let told = events::tell(message, prepared, (batch, *queue, site), &controls.told, MAX_BYTES);
    let levels = events::tell_levels(message, prepared, (batch, *queue), &controls.levels)?;
    events::change(message, prepared, batch);
    Ok((told, levels))
}

/// Writes the controls and ends of a batch.
fn write_controls<'a>(
    message: &mut Message<'a>,
    statements: &'a Statements,
    (batch, site): (i64, i32),
    decided: &'a Decided<'_>,
) -> Result<(), Failure> {
    let Decided { queue, controls, .. } = decided;
    let restored: Vec<i64> = controls
        .rows
        .values()
        .filter(|row| row.is_restored())
        .map(|row| id_number(row.id))
        .collect();
    if !restored.is_empty() {
        message.add(&statements.restore, values![*queue, restored]);
    }
    let updated: Vec<&Row<'_>> = decided.updated().collect();
    if !updated.is_empty() {
        message.add(&statements.update, update((batch, site), &updated));
    }
    let keeps = decided.batch.keep_parameters;
    let mut finished: Vec<&Row<'_>> = Vec::new();
    let mut bytes = 0;
    for row in decided.finished() {
        let more = row.outcome.report.map_or(0, str::len) + error_of(row).map_or(0, <[u8]>::len);
        if bytes + more > MAX_BYTES && !finished.is_empty() {
            message.add(&statements.finish, finish_values(&finished, keeps));
            finished.clear();
            bytes = 0;
        }
        bytes += more;
        finished.push(row);
    }
    if !finished.is_empty() {
        message.add(&statements.finish, finish_values(&finished, keeps));
    }
    remember(message, statements, controls)?;
    // The pause is what everybody waits for who starts something in this queue.
    let pauses =
        |control: &Control| matches!(control, Control::PauseQueue { .. } | Control::ResumeQueue);
    if decided.batch.controls.iter().any(pauses) {
        message.add(&statements.pause, values![*queue, controls.paused]);
    }
    Ok(())
}

pub(super) type Values<'a> = Vec<crate::store::postgres::message::Value<'a>>;

fn update<'a>((batch, site): (i64, i32), rows: &[&'a Row<'_>]) -> Values<'a> {
    fn each<T>(rows: &[&Row<'_>], column: impl Fn(&Row<'_>) -> T) -> Vec<T> {
        rows.iter().map(|row| column(row)).collect()
    }
    let small = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let notes: Vec<Option<&[u8]>> =
        rows.iter().map(|row| (*row.note.changed()?).map(str::as_bytes)).collect();
    values![
        batch,
        each(rows, |row| id_number(row.id)),
        each(rows, |row| row.stored_state()),
        each(rows, |row| row.priority),
        each(rows, |row| row.started_at.map(Timestamp::millis)),
        each(rows, |row| row.not_before.map(Timestamp::millis)),
        each(rows, |row| small(row.failures)),
        each(rows, |row| small(row.restarts)),
        each(rows, |row| row.owner.map(|owner| owner.0)),
        each(rows, |row| row.taken),
        each(rows, |row| row.worker.is_changed()),
        texts(rows, |row| &row.worker),
        each(rows, |row| row.error.is_changed()),
        texts(rows, |row| &row.error),
        each(rows, |row| row.note.is_changed()),
        notes,
        site,
    ]
}

fn finish_values<'a>(rows: &[&'a Row<'_>], keeps_parameters: bool) -> Values<'a> {
    fn each<T>(rows: &[&Row<'_>], column: impl Fn(&Row<'_>) -> T) -> Vec<T> {
        rows.iter().map(|row| column(row)).collect()
    }
    let reports: Vec<Option<&[u8]>> =
        rows.iter().map(|row| row.outcome.report.map(str::as_bytes)).collect();
    values![
        each(rows, |row| id_number(row.id)),
        each(rows, |row| number(row.state)),
        each(rows, |row| row.priority),
        each(rows, |row| row.started_at.map(Timestamp::millis)),
        each(rows, |row| row.finished_at.map(Timestamp::millis)),
        each(rows, |row| row.outcome.processing_ms),
        each(rows, |row| row.outcome.percent),
        each(rows, |row| row.worker.is_changed()),
        texts(rows, |row| &row.worker),
        texts(rows, |row| &row.error),
        reports,
        keeps_parameters,
    ]
}

fn texts<'a>(
    rows: &[&'a Row<'_>],
    column: impl Fn(&'a Row<'_>) -> &'a Column<Option<String>>,
) -> Vec<Option<&'a [u8]>> {
    rows.iter().map(|row| column(row).changed()?.as_deref().map(str::as_bytes)).collect()
}

fn error_of<'a>(row: &'a Row<'_>) -> Option<&'a [u8]> {
    row.error.changed()?.as_deref().map(str::as_bytes)
}

/// Writes the attempts that have not ended their actions, and forgets those that are too many.
fn remember<'a>(
    message: &mut Message<'a>,
    statements: &'a Statements,
    controls: &'a Controls<'_>,
) -> Result<(), Failure> {
    if controls.past.is_empty() {
        return Ok(());
    }
    let number = |attempt: u32| i32::try_from(attempt).unwrap_or(i32::MAX);
    let kept = i32::try_from(PastAttempt::KEPT).unwrap_or(i32::MAX);
    let (mut ids, mut attempts, mut started, mut ended_at) = (vec![], vec![], vec![], vec![]);
    let (mut ended, mut workers, mut errors) = (vec![], vec![], vec![]);
    let (mut of, mut last) = (vec![], vec![]);
    for (id, past) in &controls.past {
        ids.push(id_number(*id));
        attempts.push(number(past.attempt));
        started.push(past.started_at.0);
        ended_at.push(past.ended_at.0);
        let text = past.ended.as_ref().map(serde_json::to_string).transpose();
        ended.push(text.map_err(|error| StoreError::Io(error.to_string()))?);
        workers.push(past.worker.as_deref().map(str::as_bytes));
        errors.push(past.error.as_deref().map(str::as_bytes));
        // Each attempt before the last has left one.
        if number(past.attempt) > kept {
            of.push(id_number(*id));
            last.push(number(past.attempt) - kept);
        }
    }
    message.add(
        &statements.remember,
        values![ids, attempts, started, ended_at, ended, workers, errors],
    );
    if !of.is_empty() {
        message.add(&statements.forget, values![of, last]);
    }
    Ok(())
}

/// Writes the submissions of a batch, starts what may start, and deletes what need not be kept.
fn write_rest<'a>(
    message: &mut Message<'a>,
    prepared: &'a Prepared,
    (owner, batch, site): (OwnerId, i64, i32),
    decided: &'a Decided<'_>,
    marks: &Marks,
) -> Result<Places, Failure> {
    let mut places = Places::default();
    let statements = &prepared.statements;
    let hear = events::handlers(decided.batch, EventKind::Start);
    let (queue, now) = (decided.queue, decided.batch.now.0);
    let change = decided.change();
    let deletes = decided.prune.by_number > 0 || decided.prune.by_age > 0;
    if change != Tally::default() || decided.has_due || decided.claim > 0 || deletes {
        let [a, b, c, d, e, f, g, h, i] = change.columns();
        message.add(&statements.count, values![queue, owner.0, batch, a, b, c, d, e, f, g, h, i]);
    }
    submit(message, statements, (owner, batch, site), (queue, &decided.submissions))?;
    if !hear.is_empty() {
        let started: Vec<i64> = decided.started().map(id_number).collect();
        places.hear_of_claims = hear.len();
        places.events = hear.len() * started.len();
        if !started.is_empty() {
            let kind = i16::from(EventKind::Start.number());
            message.add(&prepared.events.tell_started, values![kind, now, started, hear.clone()]);
        }
    }
    if !decided.controls.deleted.is_empty() {
        let ids: Vec<i64> = decided.controls.deleted.iter().map(|row| id_number(row.id)).collect();
        message.add(&statements.delete, values![queue, ids]);
    }
    // After the deletion: what is deleted does not come to wait, though its row says that it may.
    if decided.has_due {
        let values = values![queue, now, DUE_STEP, owner.0, batch];
        places.due = Some(message.add(&statements.let_due_start, values));
    }
    if decided.claim > 0
        && let Ok(Verdict::Move(state)) = decide(State::Queued, Command::Start)
    {
        let slots = i64::try_from(decided.claim).unwrap_or(i64::MAX);
        let mut values = values![queue, slots, now, owner.0, batch, number(state), site];
        let parts = marks.parts(queue);
        let statement = match (&parts, hear.is_empty()) {
            (None, true) => &statements.claim,
            (None, false) => &statements.claim_and_tell,
            (Some(_), true) => &statements.claim_parts,
            (Some(_), false) => &statements.claim_parts_and_tell,
        };
        if let Some(parts) = parts {
            values = in_parts(values, &parts);
        }
        if !hear.is_empty() {
            values.extend(values![hear]);
        }
        places.claimed = Some(message.add(statement, values));
    }
    let ended_from = marks.pruned_to(queue);
    if decided.prune.by_number > 0 {
        let values = || values![queue, now, decided.prune.by_number, owner.0, batch];
        let mut from_then = values();
        from_then.extend(values![ended_from]);
        places.pruned.push(message.add(&statements.prune_first_ended, from_then));
        places.pruned_late = Some(message.add(&statements.prune_first_submitted, values()));
    }
    if let Some(after) = decided.batch.retention.finished_after.filter(|_| decided.prune.by_age > 0)
    {
        let values = values![queue, after.0, decided.prune.by_age, owner.0, batch, ended_from];
        places.pruned.push(message.add(&statements.prune_old, values));
    }
    if decided.may_be_deferred() {
        places.first_due = Some(message.add(&statements.first_due, values![queue]));
    }
    Ok(places)
}

/// Adds the parts of a queue that are searched to the values of a claim.
fn in_parts<'a>(mut values: Values<'a>, parts: &[Part]) -> Values<'a> {
    let (mut priorities, mut after) = (Vec::new(), Vec::new());
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for part in parts {
        let (priority, id, between) = match *part {
            Part::Behind { priority, id } => (Some(priority), id, (0, 0)),
            Part::Between { above, below } => (None, 0, (above, below)),
        };
        priorities.push(priority);
        after.push(id);
        above.push(between.0);
        below.push(between.1);
    }
    values.extend(values![priorities, after, above, below]);
    values
}

impl Places {
    fn read(
        &self,
        answers: &mut Answers,
        sites: &Sites,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Brought, Failure> {
        let mut brought = Brought { events: self.events, ..Brought::default() };
        for place in &self.told {
            let told =
                answers.take(*place).first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
            brought.events += usize::try_from(told).unwrap_or_default();
        }
        if let Some(place) = self.claimed {
            let rows = answers.take(place);
            brought.events += self.hear_of_claims * rows.len();
            brought.claimed = read_claimed(&rows, sites, unreadable)?;
        }
        for row in self.due.map(|place| answers.take(place)).unwrap_or_default() {
            brought.due += row.try_get::<_, i64>(0)?;
            brought.first_queued.push((row.try_get(1)?, row.try_get(2)?));
        }
        let ended = [State::Finished, State::Error, State::Cancelled, State::Stopped];
        for place in self.pruned.iter().chain(&self.pruned_late) {
            for row in answers.take(*place) {
                if self.pruned_late.is_none_or(|late| late != *place) {
                    brought.pruned_to = brought.pruned_to.max(time(&row, ended.len())?);
                }
                for (column, state) in ended.into_iter().enumerate() {
                    brought.pruned.add(state, row.try_get(column)?);
                }
            }
        }
        if let Some(row) = self.first_due.and_then(|place| answers.take(place).pop()) {
            brought.first_due = time(&row, 0)?;
        }
        Ok(brought)
    }
}

/// Reads the actions that were started. Those are left out of which the parameters can't be read.
pub(super) fn read_claimed(
    rows: &[tokio_postgres::Row],
    sites: &Sites,
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Claimed>, Failure> {
    let mut started = Vec::with_capacity(rows.len());
    for row in rows {
        match claimed(row, sites)? {
            (claimed, Ok(())) => started.push(claimed),
            (claimed, Err(error)) => unreadable.push((claimed.id, claimed.attempt, error)),
        }
    }
    Ok(started)
}

/// Reads what attempts need that go on here: their parameters and notes, as they were before the batch.
pub(super) async fn read_resumed(
    session: &Session,
    decided: &[Decided<'_>],
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Vec<Resumed>>, Failure> {
    let rows = decided.iter().flat_map(|decided| &decided.controls.resumed);
    let ids: Vec<i64> = rows.map(|row| id_number(row.id)).collect();
    if ids.is_empty() {
        return Ok(decided.iter().map(|_| Vec::new()).collect());
    }
    let found = session.client.query(&session.prepared.statements.resumed, &[&ids]).await?;
    let found: HashMap<i64, &tokio_postgres::Row> =
        found.iter().map(|row| Ok((row.try_get(0)?, row))).collect::<Result<_, Failure>>()?;
    let mut all = Vec::with_capacity(decided.len());
    for decided in decided {
        let mut of_queue = Vec::new();
        for row in &decided.controls.resumed {
            let stored = found
                .get(&id_number(row.id))
                .ok_or_else(|| corrupt(format!("action {} is gone while it is locked", row.id)))?;
            let Row {
                id, attempt, queued_at, priority, failures, restarts, state, taken_by, ..
            } = *row;
            let parameters = match parameters(stored.try_get(1)?) {
                Ok(parameters) => parameters,
                Err(error) => {
                    unreadable.push((id, attempt, error));
                    continue;
                }
            };
            let note = match &row.note {
                Column::Stored => text(stored, 2)?,
                Column::Is(note) => note.map(str::to_owned),
            };
            let started_at = row.started_at.unwrap_or(queued_at);
            let claimed = Claimed {
                id,
                attempt,
                queued_at,
                started_at,
                priority,
                parameters,
                failures,
                restarts,
                taken_by,
            };
            let partial: Option<&[u8]> = stored.try_get(3)?;
            let partial = partial.and_then(|json| serde_json::from_slice(json).ok());
            let figures = figures(stored, 4, state)?.map(Box::new);
            let partial = partial.unwrap_or_default();
            of_queue.push(Resumed { claimed, state, note, figures, partial });
        }
        all.push(of_queue);
    }
    Ok(all)
}
