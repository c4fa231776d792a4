//! What a queue does where other servers share its store: it hears of what they change, keeps to the lease, and
//! looks again when something may start that could not yet.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::batch::internal;
use super::{QueueActor, QueueShared, wish_of};
use crate::lifecycle::{Came, Ended, OnRestart, Verdict};
use crate::report::Written;
use crate::store::{Affected, AttemptEnd, BatchReply, Claimed, Control, Notice};
use crate::system::Standing;

/// The store has told of something that another owner changed. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Noticed(pub(crate) Notice);

/// How the lease on the store stands. From the system.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) enum LeaseState {
    /// It was renewed: time to look for what no notice has told.
    Renewed,
    /// It may be over.
    InDoubt,
    /// It is over: what runs here is nobody's. Answered once nothing more begins.
    Over(oneshot::Sender<()>),
}

/// What waits and may not start yet.
#[derive(Default)]
pub(super) struct Due {
    /// Fires when the first of it may.
    timer: Option<SpawnHandle>,
    /// All that waits is of that kind: nothing is to be asked for until then.
    pub(super) rests: bool,
}

impl QueueActor {
    /// Takes from an answer when the queue has to look again. `claim` is how many it asked for.
    pub(super) fn arm(&mut self, reply: &BatchReply, claim: usize, ctx: &mut Context<Self>) {
        self.due.rests = reply.next_due.is_some() && reply.claimed.len() < claim;
        if let Some(timer) = self.due.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(after) = reply.next_due {
            self.due.timer = Some(ctx.run_later(after, |queue, ctx| {
                queue.due.timer = None;
                queue.due.rests = false;
                queue.look = true;
                queue.pump(ctx);
            }));
        }
    }

    /// Puts back what was claimed and must not begin, because others may have started it by now. It never ran, so it may
    /// wait again whatever its kind.
    pub(super) fn give_back(&self, claimed: &Claimed) {
        let end = AttemptEnd {
            id: claimed.id,
            attempt: claimed.attempt,
            ended: Ended::Interrupted(OnRestart::Requeue),
            came: Came::ByItself,
            error: None,
            report: Written::default(),
            percent: 0.0,
            processing_ms: 0,
        };
        self.shared.inbox().control(internal(Control::End(Arc::new(end))));
    }

    /// Passes on what no notice has told of: how stands what runs here, and perhaps an end that somebody waits for.
    pub(super) fn remind(&self, own: &[Affected]) {
        for action in own.iter().filter(|action| action.verdict == Verdict::Stay) {
            let (id, wish) = (action.id, wish_of(action.state));
            // Each stop that is passed on is watched by a timer: one is enough.
            if self.shared.slots().attempt(id).is_some_and(|attempt| attempt.wish() != wish) {
                self.shared.slots().steer(id, action.attempt, wish);
            }
        }
        self.shared.waiters().wake_all();
    }

    /// Ends what may run elsewhere by now.
    pub(super) fn mind_lease(&self) {
        self.shared.end_unleased(self.tenure.standing());
    }
}

impl QueueShared {
    /// Forces what runs and must not, as the lease stands. What may run only once is spared while that is in doubt:
    /// nobody else starts it.
    pub(crate) fn end_unleased(&self, standing: Standing) {
        if standing == Standing::Holds {
            return;
        }
        for attempt in
            self.slots().attempts().into_iter().filter(|attempt| attempt.ended().is_none())
        {
            if standing == Standing::Over || attempt.on_restart() == OnRestart::Requeue {
                self.slots().force(&attempt);
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
                let reclaim = Control::Reclaim { on_restart: self.on_restart() };
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
