//! The inbox: the controls and the submissions that the next batch takes.
//!
//! A batch is sealed when the store begins to write it ([`super::batch`]), and takes all that has come until then. A
//! message to the actor for each submission would wake its thread for each, so [`super::Submissions`] is sent only for one
//! that no enlisted batch will take.
//!
//! Sealing is one step under one lock: free slots are counted before the ends of attempts are taken, and actions that
//! were claimed but have no worker yet count as running, so no more are claimed than slots are free (Q4).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::batch::ReplyTo;
use crate::store::{Control, NewAction, Rejected, Submitted};

/// Sender of the answer to a submission.
pub(super) type SubmissionReplyTo = oneshot::Sender<Result<Submitted, Rejected>>;

/// Largest number of submissions in one batch: the next control waits behind no more than these.
const MAX_SUBMISSIONS: usize = 1024;
/// Number of bytes of parameters after which a batch takes no further submission.
const MAX_BYTES: usize = 8 << 20;

/// The changes that wait for an actor's next batch. They are dropped with the actor, unanswered, like its messages.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

/// Number of an actor among those that a queue has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Generation(u64);

/// The contents of an inbox.
#[derive(Default)]
struct Waiting {
    generation: Generation,
    /// True while there is an actor.
    open: bool,
    /// True once the server shuts down: submissions are refused.
    draining: bool,
    /// True while a batch is enlisted with the store and not sealed yet.
    enlisted: bool,
    /// True if the actor has been told of submissions, or will look by itself.
    told: bool,
    controls: Vec<(Control, ReplyTo)>,
    submissions: VecDeque<(NewAction, SubmissionReplyTo)>,
    /// Number of actions that were claimed or resumed and that the actor has not handed to a worker yet.
    claimed: usize,
    recovery: Recovered,
}

/// Recovery of what ran before this server, as far as it has come. Once it is done, a row that shows an attempt as running which
/// this server does not know was claimed and never began, because the actor died in between. Outlives the actor.
#[derive(Debug, Clone, Copy, Default)]
struct Recovered {
    /// True once an actor has heard of a first recovery.
    first: bool,
    /// Number of batches that may resume attempts and that the actor has not heard of yet.
    resuming: usize,
}

impl Recovered {
    const fn is_complete(self) -> bool {
        self.first && self.resuming == 0
    }

    /// Returns what is left of it when an actor has died: what may have been resumed since nobody knows.
    const fn inherited(self) -> Self {
        Self { first: self.is_complete(), resuming: 0 }
    }
}

/// The contents of one batch.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) controls: Vec<(Control, ReplyTo)>,
    pub(super) submissions: Vec<(NewAction, SubmissionReplyTo)>,
    /// Number of actions that may start.
    pub(super) claim: usize,
}

/// The actor's next step after a look into the inbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing: the batch that is enlisted takes what waits.
    Enlisted,
    /// Enlist a batch with the store.
    Enlist,
    /// Nothing, until it gets a message.
    Rest,
}

impl Inbox {
    /// Puts a submission in, and returns true if the actor must be told. Gives the submission back if there is no actor.
    pub(super) fn submission(
        &self,
        new: NewAction,
        reply: SubmissionReplyTo,
    ) -> Result<bool, (NewAction, SubmissionReplyTo)> {
        let mut waiting = self.lock();
        if !waiting.open {
            return Err((new, reply));
        }
        if waiting.draining {
            // A caller that has gone needs no answer.
            let _ = reply.send(Err(Rejected::ShuttingDown));
            return Ok(false);
        }
        waiting.submissions.push_back((new, reply));
        Ok(!waiting.enlisted && !std::mem::replace(&mut waiting.told, true))
    }

    /// Puts a control in. Called by the actor, which looks afterwards.
    pub(super) fn control(&self, control: (Control, ReplyTo)) {
        self.lock().controls.push(control);
    }

    /// Decides the actor's next step. `more` says that there is something to do besides what waits here; with `hold`,
    /// nothing is enlisted until the actor looks again without it.
    pub(super) fn look(&self, more: bool, hold: bool) -> Look {
        let mut waiting = self.lock();
        if waiting.enlisted {
            return Look::Enlisted;
        }
        let some = more || !waiting.is_empty();
        waiting.enlisted = some && !hold;
        waiting.told = false;
        if waiting.enlisted { Look::Enlist } else { Look::Rest }
    }

    /// Takes the contents of a batch of this actor's: every control, and as many submissions as one batch may hold.
    /// Nothing if that actor has died: it could hand nothing to a worker. `free` returns the number of free slots.
    pub(super) fn seal(&self, generation: Generation, free: impl FnOnce() -> usize) -> Sealed {
        let mut waiting = self.lock();
        if !waiting.open || waiting.generation != generation {
            return Sealed::default();
        }
        waiting.enlisted = false;
        let resumes = waiting.controls.iter().any(|(control, _)| control.may_resume());
        waiting.recovery.resuming += usize::from(resumes);
        // Slots first: one that is free by now has its attempt's end among the controls (Q4).
        // What a recovery resumes takes slots, too: how many is not known before it is written. And what is claimed before the
        // first one is heard of could not be told from what ran before, should the actor die then.
        let claim = match waiting.draining || !waiting.recovery.is_complete() {
            true => 0,
            false => free().saturating_sub(waiting.claimed),
        };
        let controls = std::mem::take(&mut waiting.controls);
        let mut submissions = Vec::with_capacity(waiting.submissions.len().min(MAX_SUBMISSIONS));
        let mut bytes = 0;
        while submissions.len() < MAX_SUBMISSIONS && bytes < MAX_BYTES {
            let Some((new, reply_to)) = waiting.submissions.pop_front() else { break };
            if let NewAction::Given { parameters, .. } = &new {
                bytes += parameters.byte_len();
            }
            submissions.push((new, reply_to));
        }
        // The actor looks again when it gets the answer.
        waiting.told = !waiting.submissions.is_empty();
        Sealed { controls, submissions, claim }
    }

    /// Puts controls that are to be retried back in front of all that came later. Drops them if there is another actor by
    /// now: it has begun with a recovery of its own.
    pub(super) fn put_back(&self, generation: Generation, mut controls: Vec<(Control, ReplyTo)>) {
        let mut waiting = self.lock();
        if waiting.generation == generation {
            controls.append(&mut waiting.controls);
            waiting.controls = controls;
        }
    }

    /// Notes that so many actions were claimed or resumed, before the next batch is sealed (Q4).
    pub(super) fn note_claimed(&self, generation: Generation, number: usize) {
        let mut waiting = self.lock();
        if waiting.generation == generation {
            waiting.claimed += number;
        }
    }

    /// Notes that so many of those actions occupy their slots now.
    pub(super) fn note_dispatched(&self, number: usize) {
        let mut waiting = self.lock();
        waiting.claimed = waiting.claimed.saturating_sub(number);
    }

    /// Notes that a recovery has had its effect.
    pub(super) fn note_recovered(&self) {
        self.lock().recovery.first = true;
    }

    /// Notes that a batch that may have resumed attempts has had its effect, or has failed.
    pub(super) fn note_resumed(&self) {
        let resuming = &mut self.lock().recovery.resuming;
        *resuming = resuming.saturating_sub(1);
    }

    /// Tells whether all that ran before this server is recovered, and what it has resumed since is known here.
    pub(super) fn is_recovered(&self) -> bool {
        self.lock().recovery.is_complete()
    }

    /// Refuses the submissions that wait and all that come: the server shuts down.
    pub(super) fn drain(&self) {
        let mut waiting = self.lock();
        waiting.draining = true;
        for (_, reply) in waiting.submissions.drain(..) {
            let _ = reply.send(Err(Rejected::ShuttingDown));
        }
    }

    /// Empties the inbox for a new actor.
    pub(super) fn open(&self) -> Generation {
        let mut waiting = self.lock();
        let generation = Generation(waiting.generation.0 + 1);
        let recovery = waiting.recovery.inherited();
        *waiting = Waiting { generation, open: true, recovery, ..Waiting::default() };
        generation
    }

    /// Drops what waits: the actor has gone.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        let Waiting { generation, recovery, .. } = *waiting;
        *waiting = Waiting { generation, recovery, ..Waiting::default() };
    }

    /// Tells whether there is an actor.
    pub(super) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Returns the number of commands, ends and submissions in it.
    pub(super) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.controls.len() + waiting.submissions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.submissions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::internal;
    use super::*;
    use crate::action::{ActionId, Parameters, Timestamp};
    use crate::lifecycle::{Command, OnRestart, Recovery};

    fn put(inbox: &Inbox) -> (bool, oneshot::Receiver<Result<Submitted, Rejected>>) {
        put_bytes(inbox, 0)
    }

    fn put_bytes(
        inbox: &Inbox,
        bytes: usize,
    ) -> (bool, oneshot::Receiver<Result<Submitted, Rejected>>) {
        let new = NewAction::Given {
            not_before: None,
            parameters: Parameters::from_iter([("Text", "x".repeat(bytes))]),
            priority: 0,
            key: None,
            queued_at: Timestamp(0),
            origin: None,
        };
        let (reply, answer) = oneshot::channel();
        (inbox.submission(new, reply).unwrap(), answer)
    }

    /// A control that is told from others by its action.
    fn control(number: u64) -> (Control, ReplyTo) {
        let id = ActionId::new(number).unwrap();
        internal(Control::command(id, Command::Cancel))
    }

    fn numbers(controls: &[(Control, ReplyTo)]) -> Vec<u64> {
        let number = |control: &Control| match control {
            Control::Command { id, .. } => id.get(),
            _ => 0,
        };
        controls.iter().map(|(control, _)| number(control)).collect()
    }

    fn opened() -> (Inbox, Generation) {
        let inbox = Inbox::default();
        let generation = inbox.open();
        inbox.note_recovered();
        (inbox, generation)
    }

    #[test]
    fn the_actor_is_told_of_what_no_batch_will_fetch() {
        let (inbox, generation) = opened();
        assert!(put(&inbox).0, "it rests");
        assert!(!put(&inbox).0, "it has been told");
        assert_eq!(inbox.look(false, false), Look::Enlist);
        assert!(!put(&inbox).0, "the batch takes it with it");
        assert_eq!(inbox.look(true, false), Look::Enlisted, "one batch is enough");
        assert_eq!(inbox.seal(generation, || 0).submissions.len(), 3);
        assert!(put(&inbox).0, "nobody will fetch this");
        assert_eq!(inbox.look(false, true), Look::Rest, "it is held");
        assert!(put(&inbox).0, "what is new is told all the same");
        assert_eq!(inbox.look(false, false), Look::Enlist);
        assert_eq!(inbox.seal(generation, || 0).submissions.len(), 2);
        assert_eq!(inbox.look(false, false), Look::Rest);
        assert_eq!(
            inbox.look(true, false),
            Look::Enlist,
            "there is more to do than what waits here"
        );
    }

    #[test]
    fn a_batch_holds_so_many_submissions_and_the_actor_looks_for_the_rest() {
        let (inbox, generation) = opened();
        let answers: Vec<_> = (0..=MAX_SUBMISSIONS).map(|_| put(&inbox).1).collect();
        inbox.control(control(7));
        assert_eq!(inbox.look(false, false), Look::Enlist);
        let sealed = inbox.seal(generation, || 0);
        assert_eq!((sealed.submissions.len(), sealed.controls.len()), (MAX_SUBMISSIONS, 1));
        assert!(!put(&inbox).0, "it will look when it gets the answer");
        assert_eq!(inbox.look(false, false), Look::Enlist);
        assert_eq!(inbox.seal(generation, || 0).submissions.len(), 2);
        drop(answers);

        let large: Vec<_> = (0..3).map(|_| put_bytes(&inbox, MAX_BYTES / 2).1).collect();
        assert_eq!(inbox.seal(generation, || 0).submissions.len(), 2);
        assert_eq!(inbox.seal(generation, || 0).submissions.len(), 1);
        drop(large);
    }

    #[test]
    fn what_is_claimed_and_not_passed_on_takes_slots() {
        let (inbox, generation) = opened();
        assert_eq!(inbox.seal(generation, || 3).claim, 3);
        inbox.note_claimed(generation, 2);
        assert_eq!(inbox.seal(generation, || 3).claim, 1);
        inbox.note_claimed(generation, 1);
        assert_eq!(inbox.seal(generation, || 3).claim, 0);
        inbox.note_dispatched(2);
        assert_eq!(inbox.seal(generation, || 1).claim, 0);
        inbox.note_dispatched(1);
        assert_eq!(inbox.seal(generation, || 3).claim, 3);
    }

    fn recover(recovery: Recovery) -> Control {
        Control::Recover { live: Vec::new(), recovery, unbegun: false }
    }

    #[test]
    fn nothing_is_claimed_until_it_is_known_what_is_recovered() {
        for on_restart in [OnRestart::Requeue, OnRestart::Resume] {
            let inbox = Inbox::default();
            let recovery = Recovery::from(on_restart);
            let resumes = on_restart == OnRestart::Resume;
            let begin = |control: Control| {
                inbox.control(internal(control));
                inbox.look(true, false);
            };
            let first = inbox.open();
            begin(recover(recovery));
            assert_eq!(inbox.seal(first, || 2).claim, 0, "{on_restart:?}, beside it");
            assert_eq!(inbox.seal(first, || 2).claim, 0, "{on_restart:?}, before it is heard of");
            inbox.note_recovered();
            assert_eq!(inbox.is_recovered(), !resumes);
            assert_eq!(inbox.seal(first, || 2).claim, if resumes { 0 } else { 2 });
            if resumes {
                inbox.note_resumed();
            }
            assert!(inbox.is_recovered());
            assert_eq!(inbox.seal(first, || 2).claim, 2, "{on_restart:?}");

            // Another look, and the actor dies before it hears of it.
            begin(Control::Reclaim { recovery });
            let beside = inbox.seal(first, || 2).claim;
            assert_eq!(beside, if resumes { 0 } else { 2 }, "{on_restart:?}");
            inbox.close();
            let second = inbox.open();
            assert_eq!(inbox.is_recovered(), !resumes, "what it has resumed nobody knows");
            begin(recover(recovery));
            inbox.seal(second, || 0);
            if resumes {
                // It fails, and is repeated.
                inbox.note_resumed();
                assert!(!inbox.is_recovered());
                begin(recover(recovery));
                inbox.seal(second, || 0);
                inbox.note_resumed();
            }
            inbox.note_recovered();
            inbox.close();
            inbox.open();
            assert!(inbox.is_recovered(), "{on_restart:?}: the dead actor had heard of all");
        }
    }

    #[test]
    fn what_must_be_written_comes_back_in_front() {
        let (inbox, generation) = opened();
        for number in [1, 2] {
            inbox.control(control(number));
        }
        let failed = inbox.seal(generation, || 0).controls;
        inbox.control(control(3));
        inbox.put_back(generation, failed);
        assert_eq!(numbers(&inbox.seal(generation, || 0).controls), [1, 2, 3]);
    }

    #[test]
    fn an_actor_before_has_no_part_in_what_is_here_now() {
        let (inbox, before) = opened();
        inbox.note_claimed(before, 1);
        let (_, unanswered) = put(&inbox);
        inbox.close();
        let copy = NewAction::CopyOf { id: ActionId::new(1).unwrap(), queued_at: Timestamp(0) };
        assert!(inbox.submission(copy, oneshot::channel().0).is_err(), "there is no actor");
        assert_eq!(inbox.seal(before, || 1).claim, 0, "nobody would start it");
        let now = inbox.open();
        put(&inbox).1.close();
        inbox.put_back(before, vec![control(1)]);
        inbox.note_claimed(before, 1);
        let sealed = inbox.seal(before, || 1);
        assert!(sealed.submissions.is_empty() && sealed.controls.is_empty());
        assert_eq!(sealed.claim, 0);
        let sealed = inbox.seal(now, || 1);
        assert_eq!((sealed.submissions.len(), sealed.controls.len(), sealed.claim), (1, 0, 1));
        assert!(unanswered.blocking_recv().is_err(), "dropped with its actor");
    }

    #[test]
    fn a_draining_queue_refuses_at_once_and_starts_nothing() {
        let (inbox, generation) = opened();
        let (_, waiting) = put(&inbox);
        inbox.drain();
        let (told, late) = put(&inbox);
        assert!(!told);
        for answer in [waiting, late] {
            assert_eq!(answer.blocking_recv(), Ok(Err(Rejected::ShuttingDown)));
        }
        inbox.control(control(1));
        let sealed = inbox.seal(generation, || 5);
        assert_eq!((sealed.submissions.len(), sealed.controls.len(), sealed.claim), (0, 1, 0));
    }
}
