//! Where submissions wait until their queue's actor takes them.
//!
//! A message for each would wake the actor's thread for each. The actor can do nothing with a
//! submission while a batch is in flight, so it looks here when that is done; only when it rests does
//! the first submission send it [`super::Submissions`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::store::{NewAction, Rejected, Submitted};

pub(super) type SubmissionPort = oneshot::Sender<Result<Submitted, Rejected>>;

/// The submissions that an actor has not taken yet. They end with the actor, unanswered, as the
/// messages to it do.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// There is an actor.
    open: bool,
    /// The actor will look by itself, or has been told to.
    watched: bool,
    submissions: Vec<(NewAction, SubmissionPort)>,
}

impl Inbox {
    /// Puts a submission in, and returns whether the actor must be told. Where there is none, the
    /// submission is dropped.
    pub(super) fn put(&self, new: NewAction, reply: SubmissionPort) -> bool {
        let mut waiting = self.lock();
        if !waiting.open {
            return false;
        }
        waiting.submissions.push((new, reply));
        !std::mem::replace(&mut waiting.watched, true)
    }

    /// Takes what waits. Until it rests, the actor need not be told of more.
    pub(super) fn take(&self) -> Vec<(NewAction, SubmissionPort)> {
        let mut waiting = self.lock();
        waiting.watched = true;
        std::mem::take(&mut waiting.submissions)
    }

    /// Lets the actor rest until it is told; false if something came meanwhile, which it must take first.
    pub(super) fn rest(&self) -> bool {
        let mut waiting = self.lock();
        let empty = waiting.submissions.is_empty();
        waiting.watched = !empty;
        empty
    }

    pub(super) fn open(&self) {
        self.lock().open = true;
    }

    pub(super) fn close(&self) {
        *self.lock() = Waiting::default();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Parameters, Timestamp};

    fn put(inbox: &Inbox) -> bool {
        let new = NewAction::Given {
            parameters: Parameters::default(),
            priority: 0,
            key: None,
            queued_at: Timestamp(0),
        };
        inbox.put(new, oneshot::channel().0)
    }

    #[test]
    fn the_actor_is_told_once_and_only_while_it_rests() {
        let inbox = Inbox::default();
        inbox.open();
        assert!(put(&inbox), "it rests");
        assert!(!put(&inbox), "it has been told");
        assert_eq!(inbox.take().len(), 2);
        assert!(!put(&inbox), "it will look by itself");
        assert!(!inbox.rest(), "something came: it may not rest");
        assert!(!put(&inbox), "so nobody needs to tell it");
        assert_eq!(inbox.take().len(), 2);
        assert!(inbox.rest());
        assert!(put(&inbox), "it rests again");
    }

    #[test]
    fn what_no_actor_can_take_is_dropped() {
        let inbox = Inbox::default();
        assert!(!put(&inbox));
        inbox.open();
        put(&inbox);
        inbox.close();
        assert!(inbox.take().is_empty());
        assert!(!put(&inbox));
    }
}
