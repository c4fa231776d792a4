//! One action as a store reads it.

use std::fmt;

#[cfg(doc)]
use super::Store;
use super::origin::Origin;
use super::servers::{Figures, SiteId};
use crate::action::{ActionId, State, Timestamp};
use crate::report::Report;

/// One action as it stands in the store. Debug output leaves out what there is not.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: ActionId,
    /// Its state.
    pub state: State,
    /// Its priority.
    pub priority: i32,
    /// Number of times it was started.
    pub attempt: u32,
    /// Time when it was queued.
    pub queued_at: Timestamp,
    /// Time when its latest attempt started.
    pub started_at: Option<Timestamp>,
    /// Time when it ended.
    pub finished_at: Option<Timestamp>,
    /// Time for which it worked, in milliseconds; 0 until it has ended.
    pub processing_ms: i64,
    /// Its progress, from 0 to 100.
    pub percent: f64,
    /// Time before which it must not start; only while it waits for that.
    pub not_before: Option<Timestamp>,
    /// Name of the remote worker that had its latest attempt, once that has ended.
    pub worker: Option<String>,
    /// The error text, if it ended in Error. If it did not end, that of its latest attempt that has failed.
    pub error: Option<String>,
    /// Its result. While it runs on another server, the partial one that this shows.
    pub report: Report,
    /// The server that took it, whose host and port its token carries; `None` if that was this one.
    pub taken_by: Option<SiteId>,
    /// The server that runs it, or ran it last; `None` in a store that servers don't share, and before the first start.
    pub run_by: Option<SiteId>,
    /// Figures of the attempt that runs, as its server shows it ([`Store::show`]).
    pub figures: Option<Box<Figures>>,
    /// Its place in the queue, from 1; only while it may start, only from [`Store::record`], and only up to
    /// [`Record::MAX_POSITION`].
    pub position: Option<u64>,
    /// The data that it was submitted with beside its parameters, if any.
    pub origin: Option<Box<Origin>>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Named one by one, so that a new field is not forgotten.
        let Self {
            id,
            state,
            priority,
            attempt,
            queued_at,
            started_at,
            finished_at,
            processing_ms,
            percent,
            not_before,
            worker,
            error,
            report,
            taken_by,
            run_by,
            figures,
            position,
            origin,
        } = self;
        let mut shown = f.debug_struct("Record");
        shown.field("id", id).field("state", state).field("priority", priority);
        shown.field("attempt", attempt).field("queued_at", queued_at);
        let mut if_some = |name, value: Option<&dyn fmt::Debug>| {
            if let Some(value) = value {
                shown.field(name, value);
            }
        };
        if_some("started_at", as_debug(started_at));
        if_some("finished_at", as_debug(finished_at));
        if_some("processing_ms", (*processing_ms != 0).then_some(processing_ms));
        if_some("percent", (*percent != 0.0).then_some(percent));
        if_some("not_before", as_debug(not_before));
        if_some("worker", as_debug(worker));
        if_some("error", as_debug(error));
        if_some("report", (!report.is_empty()).then_some(report));
        if_some("taken_by", as_debug(taken_by));
        if_some("run_by", as_debug(run_by));
        if_some("figures", as_debug(figures));
        if_some("position", as_debug(position));
        if_some("origin", as_debug(origin));
        shown.finish()
    }
}

fn as_debug<T: fmt::Debug>(value: &Option<T>) -> Option<&dyn fmt::Debug> {
    value.as_ref().map(|value| value as &dyn fmt::Debug)
}

impl Record {
    /// The last place in the queue that is counted: a poll must stay cheap with a million actions waiting.
    pub const MAX_POSITION: u64 = 100;

    /// Returns the record of an action that was just queued by this server, and may start at once.
    ///
    /// ```
    /// use actiond_actors::store::Record;
    /// use actiond_actors::{ActionId, State, Timestamp};
    ///
    /// let record = Record::queued(ActionId::new(7).unwrap(), 0, Timestamp(1_000));
    /// assert_eq!((record.state, record.attempt), (State::Queued, 0));
    /// ```
    #[must_use]
    pub const fn queued(id: ActionId, priority: i32, queued_at: Timestamp) -> Self {
        Self {
            id,
            state: State::Queued,
            priority,
            attempt: 0,
            queued_at,
            started_at: None,
            finished_at: None,
            processing_ms: 0,
            percent: 0.0,
            not_before: None,
            worker: None,
            error: None,
            report: Vec::new(),
            taken_by: None,
            run_by: None,
            figures: None,
            position: None,
            origin: None,
        }
    }
}
