//! Attempts whose work is done elsewhere, so that they outlive their server ([`OnRestart::Resume`]).
//!
//! A shutdown detaches them: nothing of their end is recorded, and their rows stay as they are. The next start finds the rows
//! ([`Control::Recover`](crate::store::Control::Recover)), and they go on here with the same number.

use std::sync::Arc;

use super::QueueActor;
use super::committed::wish_of;
use crate::lifecycle::OnRestart;
use crate::store::Resumed;
use crate::worker::{Attempt, Wish};

impl QueueActor {
    /// Goes on with an attempt that began in an earlier server, or in one whose lease has expired.
    pub(super) fn resume(&self, resumed: Resumed) {
        let Resumed { claimed, state, note } = resumed;
        if self.shared.inbox().is_draining() {
            // It outlives this server, too.
            return;
        }
        let (id, number) = (claimed.id, claimed.attempt);
        let attempt = Arc::new(self.attempt_of(claimed).resumed(note));
        let wish = wish_of(state);
        attempt.ask(wish);
        self.begin(&attempt);
        if wish == Wish::Stop {
            // Its grace period begins anew.
            self.shared.slots().steer(id, number, wish);
        }
    }

    /// Lets go of the attempts that outlive this server.
    pub(super) fn detach(&self) {
        for attempt in self.shared.slots().attempts() {
            if attempt.on_restart() == OnRestart::Resume && attempt.detach() {
                self.let_go(&attempt);
            }
        }
    }

    /// Drops the work of a detached attempt.
    fn let_go(&self, attempt: &Attempt) {
        if let Some(id) = attempt.id() {
            self.shared.slots().steer(id, attempt.number(), Wish::Force);
            self.shared.slots().release(id, attempt.number());
        }
    }
}
