//! A batch: sealed when the store begins to write it, and answered when it is durable or has failed. The store's thread calls
//! both.
//!
//! The answer is passed on to the actor. Where the batch failed, its callers are told here. Each control and each submission
//! has a recipient, which gets exactly one answer (Q11).

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::inbox::{Generation, Sealed, SubmissionReplyTo};
use super::reserved::Reserved;
use super::telling::Asked;
use super::{QueueActor, QueueLink, QueueShared};
use crate::action::Timestamp;
use crate::clock::Clock;
use crate::events::Interest;
use crate::perform::Perform;
use crate::store::{
    Affected, Batch, BatchAnswer, BatchReply, Control, QueueId, Rejected, Retention, StoreError,
};
use crate::system::{Standing, Tenure};

/// The recipient of the answer to a control.
pub(super) enum ReplyTo {
    /// A client. The change is made even if the client has gone.
    Client { reply: oneshot::Sender<Result<Vec<Affected>, Rejected>>, asked: Asked },
    /// The queue itself. The change must be made some time, so it is kept and retried if the store fails.
    Internal(Control),
}

/// Makes a control of the queue's own.
pub(super) fn internal(control: Control) -> (Control, ReplyTo) {
    (control.clone(), ReplyTo::Internal(control))
}

/// The recipients of a batch's answers, in the order of the batch.
pub(super) struct Recipients {
    pub(super) controls: Vec<ReplyTo>,
    pub(super) submissions: Vec<SubmissionReplyTo>,
    /// Number of actions that the batch could start.
    pub(super) claim: usize,
    /// What was reserved for those that it starts.
    pub(super) reserved: Reserved,
    /// The time of the batch.
    pub(super) now: Timestamp,
    /// The time of its sealing, if an observer wants [`Interest::COMMITTED`].
    pub(super) sealed: Option<Instant>,
    /// Time from the sealing to the answer.
    pub(super) took: Option<Duration>,
}

/// The answer to a batch. From the store, to the actor that enlisted it; what is to be retried is in the inbox by then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Committed(pub(super) Result<(BatchReply, Recipients), StoreError>);

/// A batch that an actor has enlisted with the store, before it is sealed.
pub(super) struct UnsealedBatch {
    pub(super) queue: QueueId,
    pub(super) shared: QueueLink,
    pub(super) generation: Generation,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tenure: Arc<Tenure>,
    pub(super) performer: Arc<dyn Perform>,
    pub(super) actor: Addr<QueueActor>,
}

impl UnsealedBatch {
    /// Takes what waits in the inbox, with as many starts as slots are free (Q4).
    pub(super) fn seal(self) -> (Batch, BatchAnswer) {
        let shared = &self.shared;
        let leased = self.tenure.standing() == Standing::Holds;
        let free = || if leased { shared.slots().available() } else { 0 };
        let Sealed { controls, submissions, claim } = shared.inbox().seal(self.generation, free);
        let reserved = Reserved::up_to(claim, Arc::clone(&self.performer));
        let claim = reserved.left();
        let (controls, control_recipients) = controls.into_iter().unzip();
        let (submissions, submission_recipients) = submissions.into_iter().unzip();
        let sealed = shared.telling().want(Interest::COMMITTED).then(Instant::now);
        let now = self.clock.now();
        let recipients = Recipients {
            controls: control_recipients,
            submissions: submission_recipients,
            claim,
            reserved,
            now,
            sealed,
            took: None,
        };
        let settings = shared.settings();
        let batch = Batch {
            queue: self.queue,
            now,
            controls,
            submissions,
            claim,
            max_queued: settings.max_queue_size,
            retention: Retention {
                max_finished: settings.max_finished_size,
                finished_after: settings.max_finished_age.map(|age| {
                    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                    Timestamp(now.0.saturating_sub(age))
                }),
            },
            wants: shared.handlers().as_ref().map(|handlers| Arc::clone(handlers.wants())),
            keep_parameters: settings.keep_parameters,
        };
        (batch, Box::new(move |reply| self.answer(reply, recipients)))
    }

    /// Passes the answer on to the actor. The inbox is updated before that, for the next batch.
    fn answer(self, reply: Result<BatchReply, StoreError>, mut recipients: Recipients) {
        recipients.took = recipients.sealed.map(|sealed| sealed.elapsed());
        recipients.reserved.keep(reply.as_ref().map_or(0, |reply| reply.claimed.len()));
        let inbox = self.shared.inbox();
        let answer = match reply {
            Ok(reply) => {
                let begin = reply.claimed.len() + reply.resumed.len();
                inbox.note_claimed(self.generation, begin);
                Ok((reply, recipients))
            }
            Err(error) => {
                if recipients.may_resume() {
                    inbox.note_resumed();
                }
                if matches!(error, StoreError::OutcomeUnknown(_)) {
                    recipients.doubt_ends(&self.shared);
                }
                inbox.put_back(self.generation, recipients.fail(&error));
                Err(error)
            }
        };
        self.actor.do_send(Committed(answer));
    }
}

impl Recipients {
    /// Tells whether the batch may have resumed attempts.
    pub(super) fn may_resume(&self) -> bool {
        let may = |reply_to: &ReplyTo| match reply_to {
            ReplyTo::Internal(control) => control.may_resume(),
            ReplyTo::Client { asked, .. } => *asked == Asked::TakeOver,
        };
        self.controls.iter().any(may)
    }

    /// Tells whether the batch looks for what servers have left that died.
    pub(super) fn recovers(&self) -> bool {
        let recovers = |reply_to: &ReplyTo| {
            matches!(reply_to, ReplyTo::Internal(Control::Recover { .. } | Control::Reclaim { .. }))
        };
        self.controls.iter().any(recovers)
    }

    /// Notes that the ends in it may be written: each is reported again, and may count for nothing then.
    fn doubt_ends(&self, queue: &QueueShared) {
        for reply_to in &self.controls {
            if let ReplyTo::Internal(Control::End(end)) = reply_to
                && let Some(attempt) = queue.slots().attempt(end.id)
                && attempt.number() == end.attempt
            {
                attempt.set_end_in_doubt();
            }
        }
    }

    /// Tells every client that the batch failed, and returns the controls to be retried.
    fn fail(self, error: &StoreError) -> Vec<(Control, ReplyTo)> {
        for reply in self.submissions {
            // A caller that has gone needs no answer.
            let _ = reply.send(Err(Rejected::Store(error.clone())));
        }
        let mut kept = Vec::new();
        for reply_to in self.controls {
            match reply_to {
                ReplyTo::Client { reply, .. } => {
                    let _ = reply.send(Err(Rejected::Store(error.clone())));
                }
                // The next renewal of the lease repeats it.
                ReplyTo::Internal(Control::Reclaim { .. }) => {}
                ReplyTo::Internal(control) => kept.push(internal(control)),
            }
        }
        kept
    }
}

impl ReplyTo {
    /// Answers the control. An end that was dropped as stale is counted; either way the attempt is forgotten (Q14).
    pub(super) fn answer(self, result: Result<Vec<Affected>, Rejected>, queue: &QueueShared) {
        match self {
            Self::Client { reply, .. } => {
                let _ = reply.send(result);
            }
            Self::Internal(Control::End(end)) => {
                let state = result.as_ref().ok().and_then(|affected| affected.first());
                let state = state.map(|action| action.state);
                if result.is_err() {
                    queue.count_dropped_report();
                }
                if let Some(attempt) = queue.slots().release(end.id, end.attempt) {
                    attempt.settle(state);
                }
            }
            Self::Internal(_) => {}
        }
    }
}
