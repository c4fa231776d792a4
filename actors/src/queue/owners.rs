//! A queue's part where other servers share its store: it hears of their changes, and keeps to the lease (Q14).

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::batch::internal;
use super::committed::wish_of;
use super::{QueueActor, QueueShared};
use crate::lifecycle::{Came, Ended, OnRestart, Verdict};
use crate::report::Written;
use crate::store::{Affected, AttemptEnd, Claimed, Control, Notice};
use crate::system::Standing;
use crate::worker::Attempt;

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

impl QueueActor {
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

    /// Passes on changes whose notices may have been lost: stops and pauses of what runs here, attempts that others have taken
    /// over, and ends that callers wait for.
    pub(super) fn remind(&self, own: &[Affected]) {
        for action in own.iter().filter(|action| action.verdict == Verdict::Stay) {
            let (id, wish) = (action.id, wish_of(action.state));
            // Only what is new: each stop that is passed on starts a timer.
            if self.shared.slots().attempt(id).is_some_and(|attempt| attempt.wish() != wish) {
                self.shared.slots().steer(id, action.attempt, wish);
            }
        }
        // All that began by then is among the actions of this owner, unless another has it now.
        let is_own = |attempt: &Attempt| {
            let is_it = |a: &Affected| Some(a.id) == attempt.id() && a.attempt == attempt.number();
            own.iter().any(is_it)
        };
        for attempt in self.shared.slots().attempts() {
            let is_elsewhere = attempt.on_restart() == OnRestart::Resume
                && attempt.ended().is_none()
                && !is_own(&attempt);
            if is_elsewhere && self.shared.detach(&attempt) {
                log::debug!("queue {}: another server goes on with an attempt", self.shared.name());
            }
        }
        self.shared.waiters().wake_all();
    }

    /// Looks what of its own this owner still runs.
    fn look_for_own(&self) {
        let reclaim = Control::Reclaim { recovery: self.recovery() };
        self.shared.inbox().control(internal(reclaim));
    }

    /// Forces what may run elsewhere by now.
    pub(super) fn mind_lease(&self) {
        self.shared.end_unleased(self.tenure.standing());
    }
}

impl QueueShared {
    /// Forces the attempts that must not run while the lease stands like this. While it is in doubt, an action that may run
    /// only once is spared: no other server starts it. An attempt that outlives servers is let go of once the lease is over:
    /// it goes on with another one.
    pub(crate) fn end_unleased(&self, standing: Standing) {
        if standing == Standing::Holds {
            return;
        }
        for attempt in
            self.slots().attempts().into_iter().filter(|attempt| attempt.ended().is_none())
        {
            match (standing, attempt.on_restart()) {
                (Standing::Over, OnRestart::Resume) => drop(self.detach(&attempt)),
                (Standing::Over, _) | (_, OnRestart::Requeue) => self.force(&attempt),
                _ => {}
            }
        }
    }
}

impl Handler<Noticed> for QueueActor {
    type Result = ();

    fn handle(&mut self, Noticed(notice): Noticed, ctx: &mut Self::Context) {
        match notice {
            Notice::Work(_) => self.look |= self.shared.slots().available() > 0,
            Notice::Steer { id, attempt, wish, .. } => self.shared.slots().steer(id, attempt, wish),
            // It may be late, and the attempt be back here: only the store can tell.
            Notice::Moved { .. } => self.look_for_own(),
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
                self.look_for_own();
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
