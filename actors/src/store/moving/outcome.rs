//! The comparison of the two sides, and the words for it.

use sha2::{Digest as _, Sha256};

use super::{Cursor, Fault, Moved, MovedEvent, Outline, STATES, Side};
use crate::action::State;
use crate::store::Counts;

/// The content of a side, counted row by row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Number of actions.
    pub actions: u64,
    /// Number of past attempts.
    pub past_attempts: u64,
    /// Number of keys by which submissions are recognised.
    pub keys: u64,
    /// Number of bytes of parameters, results, errors and notes.
    pub bytes: u64,
    /// Number of events for handlers that wait to be delivered.
    pub events: u64,
    /// Number of events that could not be delivered.
    pub failed_events: u64,
    /// The sum of the hashes (SHA-256) of all actions and events, each with all that is kept of it. The order makes no difference.
    sum: [u64; 4],
    by_queue: Vec<[u64; STATES]>,
    /// Number of the keys that actions name.
    named_keys: u64,
}

impl Counted {
    /// Returns the sum of the hashes of all actions and events, in hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        self.sum.iter().map(|part| format!("{part:016x}")).collect()
    }
}

/// A queue on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOutcome {
    /// Its name.
    pub name: String,
    /// True if it is paused.
    pub paused: bool,
    /// Its actions in the source, by state.
    pub from: Counts,
    /// Its actions in the target, by state.
    pub to: Counts,
}

/// The outcome of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The queues.
    pub queues: Vec<QueueOutcome>,
    /// The content of the source.
    pub from: Counted,
    /// The content of the target.
    pub to: Counted,
    /// Number of actions that this call has copied; an earlier one may have copied others.
    pub copied: u64,
    /// The hosts and ports that the tokens of the source's actions carry, if it knows them.
    pub sites: Vec<(String, u16)>,
    /// True if both sides hold the same, and the target's own counts are right.
    pub is_equal: bool,
}

impl Outcome {
    pub(super) fn new(
        (source, target): (&Outline, &Outline),
        (from, to): (Counted, Counted),
        copied: u64,
    ) -> Self {
        let queues = source.queues.iter().enumerate().map(|(index, queue)| QueueOutcome {
            name: queue.name.clone(),
            paused: queue.paused,
            from: counts(from.by_queue.get(index)),
            to: counts(to.by_queue.get(index)),
        });
        let queues = queues.collect();
        let are_same_queues = source.queues.len() == target.queues.len()
            && source.queues.iter().zip(&target.queues).all(|(source, target)| {
                (&source.name, source.paused) == (&target.name, target.paused)
            });
        let is_well_counted =
            target.queues.iter().map(|queue| queue.counts).eq(to.by_queue.iter().copied());
        let is_equal = are_same_queues
            && source.schedules == target.schedules
            && is_well_counted
            && from == to
            && to.keys == to.named_keys
            && target.handlers == source.handlers
            && target.last_id >= source.last_id
            && target.last_event >= source.last_event;
        Self { queues, from, to, copied, sites: Vec::new(), is_equal }
    }
}

/// Returns counts in which the deferred actions are among the queued ones.
fn counts(by_state: Option<&[u64; STATES]>) -> Counts {
    let mut counts = Counts::default();
    for (index, number) in by_state.into_iter().flatten().enumerate() {
        counts.add(State::ALL.get(index).copied().unwrap_or(State::Queued), *number);
    }
    counts
}

/// Reads a side from its start to its end, and calls `note` with the number of actions of each page.
pub(super) async fn count<S: Side>(
    side: &mut S,
    outline: &Outline,
    note: &dyn Fn(u64),
) -> Result<Counted, Fault> {
    let by_queue = vec![[0; STATES]; outline.queues.len()];
    let mut counted = Counted { by_queue, keys: side.keys().await?, ..Counted::default() };
    let names: Vec<&str> = outline.queues.iter().map(|queue| queue.name.as_str()).collect();
    let mut next = Some(Cursor::START);
    while let Some(from) = next {
        let page = side.page(from).await?;
        for row in &page.rows {
            counted.add(row, names.get(row.queue).copied().unwrap_or_default());
        }
        note(page.rows.len() as u64);
        next = page.next;
    }
    let handlers: Vec<&str> =
        outline.handlers.iter().map(|handler| handler.name.as_str()).collect();
    let name =
        |names: &[&str], place: usize| names.get(place).copied().unwrap_or_default().to_owned();
    let mut next = Some(Cursor::START);
    while let Some(from) = next {
        let page = side.events(from).await?;
        for row in &page.rows {
            counted.add_event(row, &name(&names, row.queue), &name(&handlers, row.handler));
        }
        next = page.next;
    }
    Ok(counted)
}

impl Counted {
    fn add(&mut self, row: &Moved, queue: &str) {
        self.actions += 1;
        self.past_attempts += row.past.len() as u64;
        self.named_keys += u64::from(row.key.is_some());
        self.bytes += row.bytes() as u64;
        let by_state = self.by_queue.get_mut(row.queue);
        let state = usize::try_from(row.state).unwrap_or(STATES);
        if let Some(count) = by_state.and_then(|by_state| by_state.get_mut(state)) {
            *count += 1;
        }
        self.add_hash(hash(row, queue));
    }

    fn add_event(&mut self, row: &MovedEvent, queue: &str, handler: &str) {
        self.events += u64::from(row.failure.is_none());
        self.failed_events += u64::from(row.failure.is_some());
        self.add_hash(hash_event(row, queue, handler));
    }

    fn add_hash(&mut self, hash: [u8; 32]) {
        for (sum, part) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let part = part.first_chunk().copied().map(u64::from_le_bytes);
            *sum = sum.wrapping_add(part.unwrap_or_default());
        }
    }
}

/// Hashes an action. Each value is preceded by its length, so that no two rows are written alike.
fn hash(row: &Moved, queue: &str) -> [u8; 32] {
    let mut hasher = Fields(Sha256::new());
    hasher.text(Some(queue.as_bytes()));
    let numbers = [
        Some(row.id),
        Some(row.state.into()),
        Some(row.priority.into()),
        Some(row.attempt.into()),
        Some(row.failures.into()),
        Some(row.restarts.into()),
        Some(row.queued_at),
        row.started_at,
        row.finished_at,
        row.not_before,
        Some(row.processing_ms),
        Some(i64::from_le_bytes(row.percent.to_le_bytes())),
    ];
    numbers.into_iter().for_each(|number| hasher.number(number));
    for text in
        [&row.worker, &row.error, &row.note, &row.key, &row.report, &row.action_id, &row.origin]
    {
        hasher.text(text.as_deref());
    }
    hasher.text(Some(&row.parameters));
    for past in &row.past {
        let numbers = [i64::from(past.attempt), past.started_at, past.ended_at];
        numbers.into_iter().for_each(|number| hasher.number(Some(number)));
        hasher.text(past.ended.as_deref().map(str::as_bytes));
        hasher.text(past.worker.as_deref());
        hasher.text(past.error.as_deref());
    }
    hasher.0.finalize().into()
}

/// Hashes an event, as [`hash`] does an action. It begins otherwise, with two names.
fn hash_event(row: &MovedEvent, queue: &str, handler: &str) -> [u8; 32] {
    let mut hasher = Fields(Sha256::new());
    hasher.text(Some(handler.as_bytes()));
    hasher.text(Some(queue.as_bytes()));
    let failure = row.failure.as_ref();
    let numbers = [
        Some(row.id),
        Some(row.kind.into()),
        Some(row.at),
        row.action,
        row.state.map(Into::into),
        row.priority.map(Into::into),
        row.attempt.map(Into::into),
        row.queued_at,
        row.started_at,
        row.finished_at,
        row.processing_ms,
        row.percent.map(|percent| i64::from_le_bytes(percent.to_le_bytes())),
        row.not_before,
        failure.map(|failure| failure.at),
        failure.map(|failure| failure.attempts.into()),
    ];
    numbers.into_iter().for_each(|number| hasher.number(number));
    for text in [&row.level, &row.worker, &row.origin, &row.error, &row.report] {
        hasher.text(text.as_deref());
    }
    hasher.text(failure.map(|failure| failure.error.as_slice()));
    hasher.0.finalize().into()
}

struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: Option<i64>) {
        self.text(number.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn text(&mut self, text: Option<&[u8]>) {
        // No text is as long as that.
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        self.0.update(length.to_le_bytes());
        self.0.update(text.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Past;
    use super::*;

    fn row() -> Moved {
        Moved {
            id: 7,
            queue: 0,
            state: 4,
            priority: 0,
            attempt: 2,
            failures: 0,
            restarts: 0,
            queued_at: 1_000,
            started_at: Some(1_001),
            finished_at: Some(1_002),
            not_before: None,
            processing_ms: 1,
            percent: 100.0,
            worker: None,
            error: None,
            note: None,
            key: Some(b"k".to_vec()),
            parameters: b"[]".to_vec(),
            report: Some(b"[]".to_vec()),
            action_id: None,
            origin: None,
            past: vec![Past {
                attempt: 1,
                started_at: 1_000,
                ended_at: 1_000,
                ended: None,
                worker: None,
                error: Some(b"no".to_vec()),
            }],
        }
    }

    #[test]
    fn any_change_of_a_row_is_seen() {
        let changes: [fn(&mut Moved); 22] = [
            |row| row.id += 1,
            |row| row.state = 5,
            |row| row.priority = 1,
            |row| row.attempt = 3,
            |row| row.failures = 1,
            |row| row.restarts = 1,
            |row| row.queued_at += 1,
            |row| row.started_at = None,
            |row| row.finished_at = Some(1_003),
            |row| row.not_before = Some(0),
            |row| row.processing_ms = 2,
            |row| row.percent = 99.5,
            |row| row.worker = Some(Vec::new()),
            |row| row.error = Some(b"e".to_vec()),
            |row| row.note = Some(b"e".to_vec()),
            |row| row.key = None,
            |row| row.parameters = b"[[]]".to_vec(),
            |row| row.report = Some(b"[ ]".to_vec()),
            |row| row.action_id = Some(b"a".to_vec()),
            |row| row.origin = Some(b"{}".to_vec()),
            |row| row.past.clear(),
            |row| row.past[0].ended = Some("\"Failed\"".to_owned()),
        ];
        let mut hashes: Vec<_> = changes
            .iter()
            .map(|change| {
                let mut changed = row();
                change(&mut changed);
                hash(&changed, "Process")
            })
            .collect();
        hashes.push(hash(&row(), "Process"));
        hashes.push(hash(&row(), "process"));
        assert_eq!(hash(&row(), "Process"), hash(&row(), "Process"));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), changes.len() + 2);
    }

    #[test]
    fn the_order_of_rows_makes_no_difference_and_their_number_does() {
        let of = |ids: &[i64]| {
            let mut counted = Counted { by_queue: vec![[0; STATES]], ..Counted::default() };
            for id in ids {
                counted.add(&Moved { id: *id, ..row() }, "Process");
            }
            counted
        };
        assert_eq!(of(&[1, 2, 3]), of(&[3, 1, 2]));
        assert_ne!(of(&[1, 2, 3]).hash(), of(&[1, 2]).hash());
        assert_ne!(of(&[1, 1]).hash(), of(&[1]).hash());
        assert_eq!(of(&[1, 2]).by_queue, [[0, 0, 0, 0, 2, 0, 0, 0, 0]]);
    }
}
