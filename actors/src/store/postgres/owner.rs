//! This server as an owner: its number, its lease by its own clock, and how long it has reached the database.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::moment::{LeaseClock, Moment};
use crate::store::OwnerId;

/// This server's standing, as the store's tasks and its callers know it.
#[derive(Debug)]
pub(super) struct Owner {
    held: Mutex<Held>,
    lease: Duration,
    clock: LeaseClock,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    id: OwnerId,
    /// The number of its last transaction.
    batch: i64,
    /// The moment at which the lease was last asked for that was granted.
    asked: Moment,
    /// True if it has to be declared dead, because what it runs can't be known any more.
    is_given_up: bool,
    /// The moment since which the database was reached without a break.
    reached: Option<Moment>,
}

impl Owner {
    pub(super) fn new(id: OwnerId, asked: Moment, lease: Duration, clock: LeaseClock) -> Self {
        let held = Held { id, batch: 0, asked, is_given_up: false, reached: Some(asked) };
        Self { held: Mutex::new(held), lease, clock }
    }

    pub(super) fn id(&self) -> OwnerId {
        self.held().id
    }

    /// Returns the owner, and the number of its last transaction.
    pub(super) fn last_batch(&self) -> (OwnerId, i64) {
        let held = self.held();
        (held.id, held.batch)
    }

    /// Notes the number of the last transaction of an owner, unless it is another one by now.
    pub(super) fn note_batch(&self, id: OwnerId, batch: i64) {
        let mut held = self.held();
        if held.id == id {
            held.batch = batch;
        }
    }

    /// Tells whether an owner may start something, by this server's own clock.
    pub(super) fn may_start(&self, id: OwnerId) -> bool {
        let held = self.held();
        held.id == id && !held.is_given_up && self.clock.elapsed(held.asked) < self.lease
    }

    pub(super) fn is_given_up(&self, id: OwnerId) -> bool {
        let held = self.held();
        held.id == id && held.is_given_up
    }

    /// Notes that an owner has to be declared dead.
    pub(super) fn give_up(&self, id: OwnerId) {
        let mut held = self.held();
        held.is_given_up |= held.id == id;
    }

    /// Notes that the lease was granted which was asked for at this moment.
    pub(super) fn hold(&self, id: OwnerId, asked: Moment) {
        let mut held = self.held();
        if held.id == id {
            held.asked = asked;
        }
    }

    /// Notes that this server goes on as another owner.
    pub(super) fn succeed(&self, id: OwnerId, asked: Moment) {
        let mut held = self.held();
        *held = Held { id, batch: 0, asked, is_given_up: false, ..*held };
    }

    /// Notes that the database was reached.
    pub(super) fn reach(&self) {
        let mut held = self.held();
        held.reached.get_or_insert_with(|| self.clock.now());
    }

    /// Notes that it was not.
    pub(super) fn miss(&self) {
        self.held().reached = None;
    }

    /// Tells whether the database was reached the last time that it was asked.
    pub(super) fn is_reached(&self) -> bool {
        self.held().reached.is_some()
    }

    /// Tells whether this server may declare others dead. Where the database was away, they must have had the time to renew their
    /// leases since.
    pub(super) fn may_declare(&self) -> bool {
        self.held().reached.is_some_and(|since| self.clock.elapsed(since) >= self.lease)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that holds the lock can leave it half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(lease: Duration) -> Owner {
        let clock = LeaseClock::default();
        Owner::new(OwnerId(7), clock.now(), lease, clock)
    }

    #[test]
    fn who_could_not_reach_the_database_declares_nobody_dead() {
        assert!(!owner(Duration::from_secs(1_000)).may_declare(), "not before a lease is over");
        let owner = owner(Duration::ZERO);
        assert!(owner.may_declare());
        owner.miss();
        assert!(!owner.may_declare());
        owner.reach();
        assert!(owner.may_declare(), "for a lease of no time at all");
    }

    #[test]
    fn an_owner_that_is_given_up_starts_nothing() {
        let owner = owner(Duration::from_secs(1_000));
        assert!(owner.may_start(OwnerId(7)) && !owner.may_start(OwnerId(6)));
        owner.give_up(OwnerId(6));
        assert!(owner.may_start(OwnerId(7)), "that was the one before");
        owner.give_up(OwnerId(7));
        assert!(!owner.may_start(OwnerId(7)) && owner.is_given_up(OwnerId(7)));
        owner.note_batch(OwnerId(7), 9);
        owner.succeed(OwnerId(8), LeaseClock::default().now());
        owner.note_batch(OwnerId(7), 10);
        assert_eq!(owner.last_batch(), (OwnerId(8), 0));
        assert!(owner.may_start(OwnerId(8)));
    }
}
