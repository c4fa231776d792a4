//! A queue's part where other servers share its store: it hears of their changes, keeps to the lease (Q14), and looks
//! again once an action may start that may not start yet.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::batch::internal;
use super::committed::wish_of;
use super::{QueueActor, QueueShared};
use crate::action::Timestamp;
use crate::lifecycle::{Came, Ended, OnRestart, Verdict};
use crate::report::Written;
use crate::store::{Affected, AttemptEnd, BatchReply, Claimed, Control, Notice};
use crate::system::Standing;

/// A change by another owner, of which the store has sent a notice. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Noticed(pub(crate) Notice);

/// State of the lease on the store. From the system.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) enum LeaseState {
    /// It was renewed: time to look for changes whose notices were lost.
    Renewed,
    /// It may be over.
    InDoubt,
    /// It is over: what runs here belongs to no owner. Answered once nothing more begins.
    Over(oneshot::Sender<()>),
}

/// Maximum time between two looks at the clock while actions wait for a time: the clock may be set, and the timer of a machine
/// that sleeps stands still. Such a look costs no transaction.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// Queued actions that may not start yet.
#[derive(Default)]
pub(super) struct Due {
    /// Fires when the first of them may start, or the clock is to be looked at.
    timer: Option<SpawnHandle>,
    /// True if all queued actions are of that kind: no claim is made until then.
    pub(super) rests: bool,
}

impl QueueActor {
    /// Sets the timer for the next look as an answer says. `claim` is the number of actions that the batch could start.
    pub(super) fn arm(&mut self, reply: &BatchReply, claim: usize, ctx: &mut Context<Self>) {
        self.due.rests = reply.next_due.is_some() && reply.claimed.len() < claim;
        if let Some(timer) = self.due.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(after) = reply.next_due {
            let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            self.wait_until(Timestamp(self.clock.now().0.saturating_add(after)), ctx);
        }
    }

    /// Looks again once the clock shows this time.
    fn wait_until(&mut self, time: Timestamp, ctx: &mut Context<Self>) {
        let left = u64::try_from(time.0.saturating_sub(self.clock.now().0)).unwrap_or_default();
        let left = Duration::from_millis(left).min(LOOK_AT_CLOCK);
        self.due.timer = Some(ctx.run_later(left, move |queue, ctx| {
            queue.due.timer = None;
            if queue.clock.now() < time {
                queue.wait_until(time, ctx);
                return;
            }
            queue.due.rests = false;
            queue.look = true;
            queue.pump(ctx);
        }));
    }

    /// Returns a claimed action to the queue: another server may have started it by now. It never ran here, so it is
    /// requeued even where its kind must not run twice.
    pub(super) fn give_back(&self, claimed: &Claimed) {
        let end = AttemptEnd {
            id: claimed.id,
            attempt: claimed.attempt,
            ended: Ended::Released,
            came: Came::Forced,
            error: None,
            retry_after: None,
            worker: None,
            report: Written::default(),
            percent: 0.0,
            processing_ms: 0,
        };
        self.shared.inbox().control(internal(Control::End(Arc::new(end))));
    }

    /// Passes on changes whose notices may have been lost: stops and pauses of what runs here, and ends that callers wait
    /// for.
    pub(super) fn remind(&self, own: &[Affected]) {
        for action in own.iter().filter(|action| action.verdict == Verdict::Stay) {
            let (id, wish) = (action.id, wish_of(action.state));
            // Only what is new: each stop that is passed on starts a timer.
            if self.shared.slots().attempt(id).is_some_and(|attempt| attempt.wish() != wish) {
                self.shared.slots().steer(id, action.attempt, wish);
            }
        }
        self.shared.waiters().wake_all();
    }

    /// Forces what may run elsewhere by now.
    pub(super) fn mind_lease(&self) {
        self.shared.end_unleased(self.tenure.standing());
    }
}

impl QueueShared {
    /// Forces the attempts that must not run while the lease stands like this. While it is in doubt, an action that may run
    /// only once is spared: no other server starts it.
    pub(crate) fn end_unleased(&self, standing: Standing) {
        if standing == Standing::Holds {
            return;
        }
        for attempt in
            self.slots().attempts().into_iter().filter(|attempt| attempt.ended().is_none())
        {
            if standing == Standing::Over || attempt.on_restart() == OnRestart::Requeue {
                self.force(&attempt);
            }
        }
    }
}

impl Handler<Noticed> for QueueActor {
    type Result = ();

    fn handle(&mut self, Noticed(notice): Noticed, ctx: &mut Self::Context) {
        match notice {
            Notice::Work(_) => self.look = true,
            Notice::Steer { id, attempt, wish, .. } => self.shared.slots().steer(id, attempt, wish),
            Notice::Ended { id, .. } => self.shared.waiters().wake(id),
            Notice::Paused { paused, .. } => {
                self.shared.set_paused(paused);
                self.shared.telling().paused(self.shared.name(), paused);
                self.look |= !paused;
            }
        }
        self.pump(ctx);
    }
}

impl Handler<LeaseState> for QueueActor {
    type Result = ();

    fn handle(&mut self, lease: LeaseState, ctx: &mut Self::Context) {
        match lease {
            LeaseState::Renewed => {
                let reclaim = Control::Reclaim { recovery: self.recovery() };
                self.shared.inbox().control(internal(reclaim));
                self.pump(ctx);
            }
            LeaseState::InDoubt => self.mind_lease(),
            LeaseState::Over(heard) => {
                self.mind_lease();
                // The system may be gone.
                let _ = heard.send(());
            }
        }
    }
}
