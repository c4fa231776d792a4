//! Whether a storm was one: where nothing happens, nothing illegal does either.

use actiond_actors::State;

use super::ledger::{Books, Entry};

/// Every state was seen, and everything was done once. Only for a storm that is large enough.
pub(crate) fn must_have_happened(books: &Books) {
    let ended = |state| {
        books
            .entries
            .iter()
            .filter(|entry| entry.end().is_some_and(|end| end.state == state))
            .count()
    };
    for state in State::ALL.into_iter().filter(|state| state.is_final()) {
        assert!(ended(state) > 0, "nothing came to be {state}");
    }
    let seen = |state| books.entries.iter().any(|e| e.seen.iter().any(|(_, s)| s.state == state));
    for state in [State::Queued, State::Processing, State::Paused, State::Stopping] {
        assert!(seen(state), "nothing was seen {state}");
    }
    assert!(books.compared > 20, "counts were compared {} times", books.compared);
    assert!(books.queues.iter().any(|queue| !queue.pauses.is_empty()), "no queue was paused");
    let changed = |entry: &Entry| entry.changes.iter().any(|change| change.done);
    assert!(books.entries.iter().any(changed), "no priority was changed");
    assert!(books.entries.iter().any(|entry| entry.copy), "nothing was copied");
}

/// How often things must really have happened: not how often somebody asked for them.
pub(crate) struct Least {
    pub(crate) requests: usize,
    pub(crate) cancelled: usize,
    /// Of those, Ingests: the files that are not there show that they never ran, whatever the server says.
    pub(crate) never_taken_in: usize,
    pub(crate) stopped: usize,
    /// Of single actions.
    pub(crate) pauses: usize,
    pub(crate) pauses_of_queues: usize,
    pub(crate) priorities: usize,
}

/// Prints how often things happened, and fails if that was too seldom.
pub(crate) fn often(books: &Books, least: &Least) {
    let ended = |state: State, taken_in: bool| {
        let fits = |entry: &&Entry| {
            entry.end().is_some_and(|end| end.state == state)
                && (!taken_in || entry.plan.source.is_some())
        };
        books.entries.iter().filter(fits).count()
    };
    let changes = books.entries.iter().flat_map(|entry| &entry.changes);
    let of_queues = books.queues.iter().map(|queue| queue.pauses.len());
    for (what, count, least) in [
        ("requests", books.requests as usize, least.requests),
        ("cancelled", ended(State::Cancelled, false), least.cancelled),
        ("cancelled, with files to take in", ended(State::Cancelled, true), least.never_taken_in),
        ("stopped", ended(State::Stopped, false), least.stopped),
        ("pauses of actions", books.pauses, least.pauses),
        ("pauses of queues", of_queues.sum(), least.pauses_of_queues),
        ("changes of priority", changes.filter(|change| change.done).count(), least.priorities),
    ] {
        eprintln!("{count:>6}  {what}, at least {least}");
        assert!(count >= least, "only {count} {what}, in place of at least {least}");
    }
}
