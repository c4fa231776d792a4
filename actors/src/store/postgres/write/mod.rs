//! The writer: one connection, and one transaction at a time, for the batches of all queues that wait.
//!
//! A transaction is two messages (`attempt`). The first begins it, locks, and reads all that must be known (`begin`); then the
//! rules are asked (`decided`, by way of `controls` and `submissions`); the second writes what they say, starts what may start,
//! and commits (`finish`), with the submissions (`submit`) and the events for handlers (`events`). The rows in memory: `row`; the statements: `statements`; a commit
//! whose answer was lost: `lost`; what is done while the database does not answer: `away`.

mod attempt;
mod away;
mod begin;
mod controls;
mod decided;
mod events;
pub(super) mod finish;
mod lost;
mod row;
pub(super) mod schedules;
mod session;
mod statements;
mod submissions;
mod submit;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant};

use super::connection::{Link, Role, by};
use super::errors::{Failure, corrupt};
use super::marks::Marks;
use super::notices::{Outgoing, To};
use super::owner::{Owner, Part};
use super::setup::Setup;
use super::sites::Sites;
use crate::lifecycle::{Came, Ended};
use crate::report::Written;
use crate::store::pending::{PendingAnswer, PendingBatch};
use crate::store::{
    AttemptEnd, Batch, BatchReply, Control, Notice, QueueId, QueueState, Rejected, StoreError,
    Unread,
};
use finish::Unreadable;
use session::{Prepared, Session, open_queue};
pub(super) use statements::sums;

/// Maximum number of batches that are sealed together.
const MAX_GROUP: usize = 256;

/// Number of times that a transaction is tried again that another one was in the way of.
const MAX_CONFLICTS: u32 = 8;

/// Time between two lines of the log about transactions that failed: a full disk fails them all.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// A job for the writer.
pub(super) enum Job {
    Open(String, oneshot::Sender<Result<QueueState, StoreError>>),
    Commit(PendingBatch),
    Close(oneshot::Sender<()>),
}

/// The writer, which its task owns.
pub(super) struct Writer {
    link: Link<Prepared>,
    setup: Arc<Setup>,
    owner: Arc<Owner>,
    sites: Arc<Sites>,
    notices: mpsc::UnboundedSender<Outgoing>,
    /// Set from when the connection was lost until there is another one, and nothing is unsettled.
    away: Option<Failure>,
    /// Never without `away`.
    unsettled: Option<lost::Unsettled>,
    marks: Arc<Marks>,
    /// The time of the latest line of the log about a transaction that failed.
    told: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        setup: Arc<Setup>,
        owner: Arc<Owner>,
        sites: Arc<Sites>,
        notices: mpsc::UnboundedSender<Outgoing>,
        marks: Arc<Marks>,
    ) -> Self {
        Self {
            link: Link::new(Arc::clone(&setup), Role::Writes),
            setup,
            owner,
            sites,
            notices,
            away: None,
            unsettled: None,
            marks,
            told: None,
        }
    }

    /// Takes all jobs that wait, writes them, answers, and repeats, until it is told to close, or the store is gone.
    pub(super) async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = self.next(&mut jobs).await {
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Commit(batch) => group.push(batch),
                    Job::Open(name, reply) => {
                        // A queue that is opened again must see its earlier batches applied.
                        self.commit(&mut group).await;
                        // The caller may have gone.
                        drop(reply.send(self.open_queue(&name).await.map_err(Failure::told)));
                    }
                    Job::Close(reply) => {
                        self.commit(&mut group).await;
                        let _ = reply.send(());
                        return;
                    }
                }
                next = if group.len() < MAX_GROUP { jobs.try_recv().ok() } else { None };
            }
            self.commit(&mut group).await;
        }
    }

    /// Returns the connection, and notes whether the database is there.
    async fn session(&mut self, until: Instant) -> Result<Arc<Session>, Failure> {
        let session = by(until, self.link.get()).await;
        if let Err(failure) = &session {
            self.mind(failure);
        }
        session
    }

    /// Gives the connection up if it is of no use after this failure.
    fn mind(&mut self, failure: &Failure) {
        if failure.is_lost() {
            self.link.give_up();
            self.away = Some(failure.clone());
            self.owner.miss(Part::Writes, failure);
        } else if let Failure::Refused(StoreError::TooNew { .. }) = failure {
            // Nothing is taken here any more.
            self.owner.miss(Part::Writes, failure);
        }
    }

    async fn open_queue(&mut self, name: &str) -> Result<QueueState, Failure> {
        if let Some(failure) = &self.away {
            return Err(failure.clone());
        }
        let until = Instant::now() + self.setup.patience;
        let session = self.session(until).await?;
        let opened = by(until, open_queue(&session, name)).await;
        if let Err(failure) = &opened {
            self.mind(failure);
        }
        opened
    }

    /// Seals the batches, and writes and answers them: those of different queues in one transaction.
    async fn commit(&mut self, group: &mut Vec<PendingBatch>) {
        let mut sealed: Vec<(Batch, PendingAnswer)> =
            group.drain(..).filter_map(PendingBatch::seal).collect();
        while !sealed.is_empty() {
            let mut round: Vec<(Batch, PendingAnswer)> = Vec::new();
            let mut later = Vec::new();
            for (batch, pending) in sealed {
                let of_queue = |other: &QueueId| *other == batch.queue;
                let mut taken = round.iter().map(|(other, _)| &other.queue);
                if taken.any(of_queue) {
                    later.push((batch, pending));
                } else {
                    round.push((batch, pending));
                }
            }
            let batches: Vec<&Batch> = round.iter().map(|(batch, _)| batch).collect();
            let answers = self.commit_all(&batches).await;
            for ((_, pending), answer) in round.into_iter().zip(answers) {
                pending.send(answer);
            }
            sealed = later;
        }
    }

    /// Commits batches as one transaction. If that fails, each is tried alone, and then its controls without its submissions, so
    /// that a failure stays with its caller.
    async fn commit_all(&mut self, batches: &[&Batch]) -> Vec<Result<BatchReply, StoreError>> {
        let error = match self.transaction(batches).await {
            Ok(replies) => return replies.into_iter().map(Ok).collect(),
            Err(error) => error,
        };
        if concerns_all(&error) {
            return batches.iter().map(|_| Err(error.clone())).collect();
        }
        let is_told = self.told.is_some_and(|told| told.elapsed() < TELL_AGAIN);
        let level = if is_told { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "a transaction of {} batches failed: {error}", batches.len());
        if !is_told {
            self.told = Some(Instant::now());
        }
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            let answer = if batches.len() > 1 {
                self.transaction(&[batch]).await
            } else {
                Err(error.clone())
            };
            answers.push(match answer {
                Ok(mut replies) => replies.pop().ok_or(StoreError::Closed),
                Err(error) if concerns_all(&error) || batch.submissions.is_empty() => Err(error),
                Err(error) => self.commit_controls(batch, &error).await,
            });
        }
        answers
    }

    /// Commits a batch without its submissions, which are refused with this error.
    async fn commit_controls(
        &mut self,
        batch: &Batch,
        error: &StoreError,
    ) -> Result<BatchReply, StoreError> {
        let (controls, wants) = (batch.controls.clone(), batch.wants.clone());
        let rest = Batch { controls, submissions: Vec::new(), wants, ..*batch };
        let mut replies = self.transaction(&[&rest]).await?;
        let mut reply = replies.pop().ok_or(StoreError::Closed)?;
        let refused = || Err(Rejected::Store(error.clone()));
        reply.submissions = batch.submissions.iter().map(|_| refused()).collect();
        Ok(reply)
    }

    /// Commits batches of different queues as one transaction, tells other servers, and ends the actions that can't be read.
    async fn transaction(&mut self, batches: &[&Batch]) -> Result<Vec<BatchReply>, StoreError> {
        let mut unreadable = Vec::new();
        let mut replies = self.commit_once(batches, &mut unreadable).await?;
        for (id, attempt, error) in unreadable {
            log::error!("action {id} can't be started: {error}");
            let reason = format!("the parameters of action {id} are unreadable: {error}");
            let error = corrupt(reason).without_paths();
            let error = format!("what the action was given can't be read: {error}");
            for (batch, reply) in batches.iter().zip(&mut replies) {
                let end = failed(&error, id, attempt);
                let ended = self.end_unreadable(batch, end).await;
                if let Some((action, after)) = ended {
                    reply.events += after.events;
                    (reply.counts, reply.deferred) = (after.counts, after.deferred);
                    reply.unread.push(Unread { action, error: error.clone() });
                }
            }
        }
        Ok(replies)
    }

    /// Ends an action that was started and can't run, if it is one of this batch's queue.
    async fn end_unreadable(
        &mut self,
        batch: &Batch,
        end: AttemptEnd,
    ) -> Option<(crate::store::Affected, BatchReply)> {
        let batch = Batch {
            controls: vec![Control::End(Arc::new(end))],
            wants: batch.wants.clone(),
            keep_parameters: batch.keep_parameters,
            ..Batch::new(batch.queue, batch.now)
        };
        let mut replies = self.commit_once(&[&batch], &mut Vec::new()).await.ok()?;
        let mut reply = replies.pop()?;
        let affected = reply.controls.pop()?.ok()?.pop()?;
        Some((affected, reply))
    }

    /// Commits batches of different queues, and again while other transactions are in the way. Fails at once while the database is
    /// away: what is unsettled comes first.
    async fn commit_once(
        &mut self,
        batches: &[&Batch],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Vec<BatchReply>, StoreError> {
        let begun = Instant::now();
        let mut conflicts = 0;
        loop {
            unreadable.clear();
            if let Some(failure) = &self.away {
                return Err(failure.clone().told());
            }
            let failure = match Box::pin(self.attempt(batches, begun, unreadable)).await {
                Ok((replies, notices)) => {
                    self.tell(&replies, notices);
                    return Ok(replies);
                }
                Err(failure) => failure,
            };
            let may_try_again = conflicts < MAX_CONFLICTS && begun.elapsed() < self.setup.patience;
            match failure {
                Failure::Conflict(_) if may_try_again => conflicts += 1,
                Failure::NotNext if may_try_again => {
                    conflicts += 1;
                    self.learn_batch(begun + self.setup.patience).await?;
                }
                failure => return Err(failure.told()),
            }
        }
    }

    /// Has other servers told of what a transaction has changed.
    fn tell(&self, replies: &[BatchReply], notices: Vec<(To, Notice)>) {
        if let (Some(reply), false) = (replies.first(), notices.is_empty()) {
            // The task that sends them ends only with the store.
            drop(self.notices.send(Outgoing { from: reply.owner, notices }));
        }
    }
}

/// Tells whether an error has nothing to do with what was to be written.
const fn concerns_all(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::TooNew { .. }
            | StoreError::Closed
    )
}

/// The end of an attempt that never began.
fn failed(error: &str, id: crate::action::ActionId, attempt: u32) -> AttemptEnd {
    AttemptEnd {
        id,
        attempt,
        ended: Ended::Failed,
        came: Came::ByItself,
        error: Some(error.to_owned()),
        retry_after: None,
        worker: None,
        report: Written::default(),
        percent: 0.0,
        processing_ms: 0,
    }
}
