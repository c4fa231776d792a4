//! Attempts whose work is done elsewhere, so that they outlive their server ([`OnRestart::Resume`]).
//!
//! A shutdown detaches them: nothing of their end is recorded, and their rows stay as they are. The next start finds the rows
//! ([`Control::Recover`](crate::store::Control::Recover)), and they go on here with the same number. The same is done where
//! the lease on the store is lost: then another server goes on with them. A server may also take one over from another that lives
//! ([`QueueHandle::take_over`](super::QueueHandle::take_over)).

use std::sync::Arc;
use std::time::Duration;

use super::committed::wish_of;
use super::{QueueActor, QueueShared};
use crate::lifecycle::OnRestart;
use crate::store::{Figures, OwnerId, Resumed};
use crate::system::Standing;
use crate::worker::{Attempt, Wish};

impl QueueActor {
    /// Tells whether the server shuts down. The message that says so may be on its way.
    pub(super) fn is_ending(&self) -> bool {
        self.shared.inbox().is_draining()
            || self.system.upgrade().is_none_or(|system| system.is_draining())
    }

    /// Tells whether the server shuts down and an attempt of this queue would outlive it.
    pub(super) fn outlives_now(&self) -> bool {
        self.on_restart() == OnRestart::Resume && self.is_ending()
    }

    /// Goes on with attempts that began in an earlier server, or in one whose lease has expired.
    pub(super) fn resume_all(&self, all: Vec<Resumed>, owner: OwnerId, is_recovery: bool) {
        if self.is_ending() || self.tenure.standing_of(owner) == Standing::Over {
            // They outlive this server, too.
            return;
        }
        // Workers may talk to another server each time.
        let level = if is_recovery { log::Level::Info } else { log::Level::Debug };
        let name = self.shared.name();
        log::log!(level, "queue {name}: attempts that go on elsewhere: {}", all.len());
        for resumed in all {
            self.resume(resumed);
        }
    }

    fn resume(&self, Resumed { claimed, state, note, figures, partial }: Resumed) {
        let (id, number) = (claimed.id, claimed.attempt);
        if let Some(before) = self.shared.slots().attempt(id) {
            // Another server had it meanwhile, and gave it back before that was heard of here.
            self.shared.detach(&before);
        }
        // The work went on meanwhile. Nothing is known of pauses, unless its former server has shown that.
        let worked = self.clock.now().0.saturating_sub(claimed.started_at.0);
        let worked = Duration::from_millis(u64::try_from(worked).unwrap_or_default());
        let figures = figures.map_or_else(
            || Figures { processing: worked, ..Figures::default() },
            |figures| *figures,
        );
        let attempt = Arc::new(self.attempt_of(claimed).resumed(note, figures, partial));
        let wish = wish_of(state);
        attempt.ask(wish);
        self.begin(&attempt);
        if wish == Wish::Stop {
            // Its grace period begins anew.
            self.shared.slots().steer(id, number, wish);
        }
    }

    /// Lets go of the attempts that outlive this server.
    pub(super) fn detach_all(&self) {
        let attempts = self.shared.slots().attempts();
        let all = attempts.iter().filter(|attempt| attempt.on_restart() == OnRestart::Resume);
        let detached = all.filter(|attempt| self.shared.detach(attempt)).count();
        if detached > 0 {
            let name = self.shared.name();
            log::info!(
                "queue {name}: attempts that go on elsewhere without this server: {detached}"
            );
        }
    }
}

impl QueueShared {
    /// Lets go of an attempt that outlives this server, and drops its work here. Returns false if it has ended.
    pub(crate) fn detach(&self, attempt: &Attempt) -> bool {
        let detached = attempt.detach();
        if detached && let Some(id) = attempt.id() {
            self.slots().steer(id, attempt.number(), Wish::Force);
            self.slots().release(id, attempt.number());
            // Whoever waits for its end waits in vain.
            attempt.settle(None);
        }
        detached
    }
}
