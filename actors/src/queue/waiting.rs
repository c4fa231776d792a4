//! Waits for an action: for its end, its start, or anything that is new of it.
//!
//! A caller is woken by what this server writes ([`super::waiters`]). What is only in memory, the progress of an attempt here, it
//! looks at in intervals; and where servers share the store, at the row, since nobody tells of what another one has written but
//! of ends.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use tokio::time::Instant;

use super::waiters::WaitFor;
use super::within::StatusWithin;
use super::{QueueError, QueueHandle};
use crate::action::{ActionId, State};
use crate::report::Progress;

/// Time between two looks at the progress of an attempt here, in memory: as often as observers are told of it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Time between two looks at the row of an action that another server may change.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The parts of an action that a caller compares while it waits for a change.
#[derive(Debug, PartialEq)]
struct Seen {
    state: State,
    attempt: u32,
    progress: Progress,
    /// Size of the partial result that was not read, and the hash of one that was.
    partial: (Option<usize>, u64),
}

impl Seen {
    fn of(within: &StatusWithin) -> Self {
        let StatusWithin { status, too_large } = within;
        let record = &status.record;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&record.report);
        Self {
            state: record.state,
            attempt: record.attempt,
            progress: status.progress.clone(),
            partial: (too_large.map(|large| large.bytes), hash),
        }
    }
}

impl QueueHandle {
    /// Waits for the end of an action as [`QueueHandle::wait`] does, and returns its status, with its error and its result
    /// only if they have at most `most` bytes.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn wait_within(
        &self,
        id: ActionId,
        patience: Duration,
        most: usize,
    ) -> Result<StatusWithin, QueueError> {
        self.wait_for(id, WaitFor::End, None, patience, most).await
    }

    /// Waits for an action to start, to change or to end, or until `patience` is over, or the system closes. Returns its status,
    /// with its error and its result only if they have at most `most` bytes.
    ///
    /// A change is one of the state, the attempt, the progress or the partial result since this look at the action, or else since
    /// this call; of a partial result of more than `most` bytes only the size is compared. It is seen within a quarter of a
    /// second, or within a second and a half if another server runs the action.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn wait_for(
        &self,
        id: ActionId,
        what: WaitFor,
        since: Option<&StatusWithin>,
        patience: Duration,
        most: usize,
    ) -> Result<StatusWithin, QueueError> {
        let until = Instant::now().checked_add(patience);
        // Held until the last look: a shutdown keeps the store open as long as it is (Q11).
        let closing = self.shared.waiters().closing();
        let mut first = since.map(Seen::of);
        loop {
            // Registered before the look, so what comes between the two is not missed.
            let mut waiter = self.shared.waiters().waiter(id, what);
            let is_last = *closing.borrow();
            let changes = self.changes_here(id);
            let within = self.status_within(id, most).await;
            let over = is_last || until.is_some_and(|until| until <= Instant::now());
            let Ok(status) = &within else { return within };
            let state = status.status.record.state;
            let has_come = state.is_final()
                || match what {
                    WaitFor::End => false,
                    WaitFor::Start => state != State::Queued,
                    WaitFor::Change => {
                        let seen = Seen::of(status);
                        *first.get_or_insert_with(|| Seen::of(status)) != seen
                    }
                };
            if over || has_come {
                return within;
            }
            let woken = async {
                tokio::select! {
                    () = waiter.woken() => {}
                    () = self.may_have_changed(id, what, changes) => {}
                }
            };
            match until {
                // The next look tells whether it was woken in time.
                Some(until) => drop(tokio::time::timeout_at(until, woken).await),
                None => woken.await,
            }
        }
    }

    /// Returns the number of changes so far to what is seen of the attempt at an action, if one runs here.
    fn changes_here(&self, id: ActionId) -> Option<u64> {
        self.shared.slots().attempt(id).map(|attempt| attempt.changes())
    }

    /// Waits until something may be new of an action of which no waiter is woken.
    async fn may_have_changed(&self, id: ActionId, what: WaitFor, changes: Option<u64>) {
        if what == WaitFor::End {
            return std::future::pending().await;
        }
        let is_shared = self.system.upgrade().is_some_and(|system| system.is_shared());
        if what == WaitFor::Start && !is_shared {
            return std::future::pending().await;
        }
        let read_at = Instant::now() + READ_EVERY;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let is_due = is_shared && Instant::now() >= read_at;
            if is_due || self.changes_here(id) != changes {
                return;
            }
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::pin::Pin;

    use futures_util::future::join;

    use super::*;
    use crate::perform::{ActionContext, Perform, Work};
    use crate::queue::{QueueSettings, Submission};
    use crate::report::Node;
    use crate::system::System;
    use crate::testing::{Gate, eventually};

    /// A thing to say, and the gate behind which it is said.
    type Step = (Gate, fn(&ActionContext));

    /// Says one thing behind each gate, and then ends.
    struct Says(Vec<Step>);

    impl Perform for Says {
        fn perform(&self, context: ActionContext) -> Work {
            let steps = self.0.clone();
            Work::task(async move {
                for (gate, say) in steps {
                    gate.wait().await;
                    say(&context);
                }
                Ok(Vec::new())
            })
        }

        fn can_pause(&self) -> bool {
            true
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_caller_hears_of_the_start_and_of_each_change() {
        let steps: [Step; 5] = [
            (Gate::new(), |context| context.set_progress(Progress::of_percent(10.0))),
            (Gate::new(), |context| context.set_partial(vec![Node::text("part", "a")])),
            // As long as the one before.
            (Gate::new(), |context| context.set_partial(vec![Node::text("part", "b")])),
            // Too large to be read: by its size.
            (Gate::new(), |context| {
                context.set_partial(vec![Node::text("part", "x".repeat(2_000))]);
            }),
            (Gate::new(), |_| {}),
        ];
        let gates = steps.clone().map(|(gate, _)| gate);
        let directory = tempfile::tempdir().unwrap();
        let system = System::builder(directory.path())
            .queue("Work", QueueSettings::default(), Says(steps.to_vec()))
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        work.pause_queue().await.unwrap();
        let id = work.submit(Submission::default()).await.unwrap().id;
        let look = async || work.status_within(id, 1_000).await.unwrap();
        let wait = async |what, since: Option<&StatusWithin>, patience| {
            let within = work.wait_for(id, what, since, patience, 1_000).await.unwrap();
            let status = within.status;
            (status.record.state, status.progress.percent(), within.too_large.is_some())
        };
        // Waits for a change while this is done, once somebody waits.
        let changes = async |change: Pin<Box<dyn Future<Output = ()>>>| {
            let seen = look().await;
            let changing = async {
                eventually("a waiter", async || work.shared.waiters().any_early()).await;
                change.await;
            };
            join(wait(WaitFor::Change, Some(&seen), LONG), changing).await.0
        };
        let queue = work.clone();
        // What waits for an end is not woken by anything else.
        let end = wait(WaitFor::End, None, LONG);
        let course = async {
            for what in [WaitFor::Start, WaitFor::Change] {
                let (state, ..) = wait(what, None, Duration::from_millis(10)).await;
                assert_eq!(state, State::Queued, "{what:?} in vain");
            }
            let start = wait(WaitFor::Start, None, LONG);
            let again = queue.clone();
            let resume = async move { drop(again.resume_queue().await.unwrap()) };
            let (start, change) = join(start, changes(Box::pin(resume))).await;
            assert_eq!((start.0, change.0), (State::Processing, State::Processing));
            for (step, gate) in gates.into_iter().enumerate() {
                let (state, percent, is_large) =
                    changes(Box::pin(async move { gate.open() })).await;
                let expected = match step {
                    4 => (State::Finished, 100.0, false),
                    _ => (State::Processing, 10.0, step == 3),
                };
                assert_eq!((state, percent, is_large), expected, "{step}");
                if step == 3 {
                    let again = queue.clone();
                    let pause = async move { assert_eq!(again.pause(id).await, Ok(State::Paused)) };
                    assert_eq!(changes(Box::pin(pause)).await.0, State::Paused);
                    queue.resume(id).await.unwrap();
                }
            }
        };
        let ((state, ..), ()) = join(end, course).await;
        assert_eq!(state, State::Finished);
        // Nothing comes any more.
        for what in [WaitFor::Start, WaitFor::Change, WaitFor::End] {
            assert_eq!(wait(what, None, LONG).await.0, State::Finished);
        }
        assert!(!work.shared.waiters().any());
        system.shutdown(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_shutdown_answers_those_who_wait_for_anything() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::builder(directory.path())
            .queue("Work", QueueSettings::default(), Says(Vec::new()))
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        work.pause_queue().await.unwrap();
        let id = work.submit(Submission::default()).await.unwrap().id;
        let wait = |what| work.wait_for(id, what, None, LONG, 0);
        let end = async {
            eventually("two waiters", async || work.shared.waiters().any_early()).await;
            system.shutdown(Duration::ZERO).await;
        };
        let ((start, change), ()) =
            join(join(wait(WaitFor::Start), wait(WaitFor::Change)), end).await;
        for within in [start, change] {
            assert_eq!(within.unwrap().status.record.state, State::Queued);
        }
    }
}
