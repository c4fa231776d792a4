//! The answer to a batch: what the actor does once a batch is durable, or has failed.
//!
//! Only here does a durable batch take effect outside of the store: its callers are answered, attempts start, workers hear of
//! stops and pauses, observers are told (Q2, Q5). The callers of a failed batch were answered before ([`super::batch`]).

use std::sync::Arc;

use actix::prelude::*;

use super::QueueActor;
use super::batch::{Committed, Recipients, ReplyTo, internal};
use super::telling::Asked;
use crate::action::State;
use crate::events::Dropped;
use crate::lifecycle::{Ended, Verdict};
use crate::store::{
    Affected, AttemptEnd, BatchReply, Control, EventKind, NewEvent, Rejected, StoreError, Unread,
};
use crate::system::Standing;
use crate::worker::{Attempt, Wish};

impl QueueActor {
    /// Lets a durable batch take effect.
    fn on_durable(&mut self, reply: BatchReply, mut recipients: Recipients) {
        self.prune_more = reply.more_to_prune;
        let shared = &*self.shared;
        let (telling, name) = (shared.telling(), shared.name());
        let queued_before = shared.counts().0.queued();
        let mut came = 0;
        shared.set_counts(reply.counts, reply.paused);
        let may_resume = recipients.may_resume();
        let mut changes = reply.claimed.len() + reply.unread.len();
        let resumed = reply.resumed.len();
        let is_recovery = recipients.recovers();
        for (reply_to, result) in recipients.controls.into_iter().zip(reply.controls) {
            if let Ok(affected) = &result {
                changes += 1;
                for action in affected {
                    self.steer(action);
                    came += u64::from(action.verdict == Verdict::Move(State::Queued));
                }
                match &reply_to {
                    ReplyTo::Internal(Control::End(end)) => self.tell_end(affected, end),
                    ReplyTo::Internal(
                        Control::Recover { recovery, .. } | Control::Reclaim { recovery },
                    ) => telling.recovered(name, affected, *recovery),
                    ReplyTo::Internal(_) => {}
                    ReplyTo::Client { asked, .. } => telling.commanded(name, affected, *asked),
                }
            }
            if let (ReplyTo::Internal(Control::End(end)), Err(rejected)) = (&reply_to, &result) {
                self.tell_dropped(end, rejected);
            }
            match &reply_to {
                ReplyTo::Internal(Control::Tell(event)) => {
                    if let NewEvent::ErrorReport { id, .. } = **event
                        && let Some(attempt) = shared.slots().attempt(id)
                    {
                        attempt.error_report_written();
                    }
                }
                ReplyTo::Internal(Control::Recover { .. }) => {
                    self.adopt(result.as_deref().unwrap_or_default());
                    shared.set_recovered();
                    shared.inbox().note_recovered();
                }
                ReplyTo::Internal(Control::Reclaim { .. }) => {
                    self.remind(result.as_deref().unwrap_or_default());
                }
                _ => {}
            }
            reply_to.answer(result, shared);
        }
        let submissions = recipients.submissions.into_iter().zip(reply.submissions);
        for (index, (reply_to, result)) in submissions.enumerate() {
            if let Ok(submitted) = &result {
                let is_new = !reply.repeats.contains(&index);
                changes += usize::from(is_new);
                came += u64::from(is_new);
                if is_new {
                    telling.queued(name, *submitted);
                }
            }
            // The caller may have gone; it may submit again under its key.
            let _ = reply_to.send(result);
        }
        for Unread { action, error } in &reply.unread {
            self.steer(action);
            telling.unread(name, action, error);
        }
        if !reply.resumed.is_empty() {
            self.resume_all(reply.resumed, reply.owner, is_recovery);
        }
        if may_resume {
            shared.inbox().note_resumed();
        }
        let started = reply.claimed.len();
        if started > 0 {
            match self.tenure.standing_of(reply.owner) {
                // What outlives a server must not begin while that shuts down.
                Standing::Holds if !self.outlives_now() => {
                    for claimed in reply.claimed {
                        telling.started(name, &claimed);
                        shared.waiters().wake_early(claimed.id);
                        recipients.reserved.begin_one();
                        self.dispatch(claimed);
                    }
                }
                Standing::Holds | Standing::InDoubt => {
                    reply.claimed.iter().for_each(|claimed| self.give_back(claimed));
                }
                // Other owners have recovered what was claimed.
                Standing::Over => {}
            }
        }
        shared.inbox().note_dispatched(started + resumed);
        if shared.settings().max_queue_size.is_some() {
            // Other servers may have queued some, too: then those that started here are all that is known to have left.
            let left = (queued_before + came).saturating_sub(reply.counts.queued());
            shared.drain().note(left.max(started as u64));
        }
        let handlers = shared.handlers();
        let wants_level = handlers.as_ref().is_some_and(|handlers| handlers.want(EventKind::Queue));
        let (queued, took) = (reply.counts.queued(), recipients.took);
        let level = telling.committed(name, queued, reply.paused, changes, took, wants_level);
        if let Some(handlers) = &*handlers {
            if let Some(change) = level.filter(|_| handlers.tells_level()) {
                let event = Box::new(NewEvent::Level(change));
                shared.inbox().control(internal(Control::Tell(event)));
            }
            if reply.events > 0 {
                handlers.wake();
            }
        }
    }

    /// Tells of the end of an attempt. An attempt that was given back before it began was never told of, so only a final
    /// state that its action has reached meanwhile is told.
    fn tell_end(&self, affected: &[Affected], end: &AttemptEnd) {
        let (telling, name) = (self.shared.telling(), self.shared.name());
        let is_current = |attempt: Arc<Attempt>| attempt.number() == end.attempt;
        let began = end.ended != Ended::Released
            || self.shared.slots().attempt(end.id).is_some_and(is_current);
        if began {
            telling.ended(name, affected, end);
        } else if affected.iter().any(|action| action.state.is_final()) {
            telling.commanded(name, affected, Asked::Other);
        }
    }

    /// Tells of the end of an attempt that the store did not take. One that never began was never told of.
    fn tell_dropped(&self, end: &AttemptEnd, rejected: &Rejected) {
        let why = match rejected {
            Rejected::Unknown => Dropped::Gone,
            Rejected::Stale if self.tenure.is_shared() => Dropped::Elsewhere,
            _ => Dropped::Over,
        };
        let attempt = self.shared.slots().attempt(end.id);
        let attempt = attempt.filter(|attempt| attempt.number() == end.attempt);
        if attempt.as_ref().is_some_and(|attempt| attempt.is_end_in_doubt()) {
            // It was written when it was not known whether it was.
            log::debug!("action {}: the end of attempt {} was written before", end.id, end.attempt);
            // Those who wait for it were not told then (Q11).
            self.shared.waiters().wake(end.id);
        } else if let Some(action) = attempt.and_then(|attempt| attempt.action()) {
            self.shared.telling().dropped(self.shared.name(), action, why);
        }
    }

    /// Passes the verdict on to the attempt's worker, and wakes the callers that wait for this.
    fn steer(&self, action: &Affected) {
        let wish = match (action.verdict, action.state) {
            (Verdict::Force, _) => Wish::Force,
            (Verdict::Move(State::Stopping), _) => Wish::Stop,
            (Verdict::Move(State::Paused), _) => Wish::Pause,
            (Verdict::Move(State::Processing), _) => Wish::Run,
            (Verdict::Move(state), _) if state.is_final() => {
                self.shared.waiters().wake(action.id);
                return;
            }
            (Verdict::Move(_), _) => {
                self.shared.waiters().wake_early(action.id);
                return;
            }
            _ => return,
        };
        self.shared.waiters().wake_early(action.id);
        self.shared.slots().steer(action.id, action.attempt, wish);
    }

    /// Passes on to attempts that outlived an earlier actor what that one may not have passed on, and wakes all callers
    /// that wait: the end of their action may have become durable unnoticed (Q11).
    fn adopt(&self, recovered: &[Affected]) {
        for action in recovered.iter().filter(|action| action.verdict == Verdict::Stay) {
            self.shared.slots().steer(action.id, action.attempt, wish_of(action.state));
        }
        self.shared.waiters().wake_all();
    }
}

/// Returns the wish for an attempt whose action is in this state.
pub(super) const fn wish_of(state: State) -> Wish {
    match state {
        State::Stopping => Wish::Stop,
        State::Paused => Wish::Pause,
        _ => Wish::Run,
    }
}

impl Handler<Committed> for QueueActor {
    type Result = ();

    fn handle(&mut self, Committed(answer): Committed, ctx: &mut Self::Context) {
        self.in_flight -= 1;
        match answer {
            Ok((reply, recipients)) => {
                self.is_failing = false;
                self.arm(&reply, recipients.now, ctx);
                let ready = reply.counts.queued() > reply.deferred;
                let waits = recipients.claim > 0 && !reply.paused && ready;
                if waits && reply.claimed.is_empty() {
                    // All but the starts was written. Back off: they would fail again at once.
                    self.back_off(ctx);
                }
                self.on_durable(reply, recipients);
            }
            Err(error) => {
                // Logged once for as long as it lasts: refused clients may try again at once.
                let level = match &error {
                    _ if self.is_failing => log::Level::Debug,
                    // The store has said so itself, once for all queues.
                    StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)
                        if !self.store.is_available() =>
                    {
                        log::Level::Debug
                    }
                    // It passes by itself.
                    StoreError::Unavailable(_) => log::Level::Warn,
                    _ => log::Level::Error,
                };
                self.is_failing = true;
                log::log!(level, "queue {}: {error}", self.shared.name());
                // The ends of attempts must be written some time, and what waits must start some time (Q13), but not as
                // fast as the store can fail.
                self.back_off(ctx);
            }
        }
        self.pump(ctx);
        self.answer_looks();
    }
}
