//! This server as an owner: its number, its lease by its own clock, and how long it has reached the database.
//!
//! Leases end by the database's clock, also while nobody reaches the database. So whoever has not reached it must not believe that
//! the others are dead whose leases are over: they may not have reached it either, and need time to renew. Time in which it was
//! reached is gathered up to a whole lease, and a break takes away [`Owner::COST`] times its length. Others ask for a renewal
//! three times in a lease, and ten times once one has failed: before a break that costs less than a lease they had two thirds of
//! theirs left, so what is left after it and the wait is enough for several tries. A line that breaks for a moment now and then
//! puts off nothing for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::errors::Failure;
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
    /// The parts that have not reached the database when they last tried.
    away: u8,
    /// The moment since which it is away, if it is.
    since: Moment,
    /// The moment at which it was back last.
    back: Option<Moment>,
    /// The moment at which it was reached last, with no part away.
    contact: Moment,
    /// The time gathered until then in which it was reached, at most a lease.
    gathered: Duration,
}

/// A part of the store that notes whether it reaches the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Writes,
    Renews,
    Listens,
    Reads,
}

impl Part {
    const fn bit(self) -> u8 {
        match self {
            Self::Writes => 1,
            Self::Renews => 2,
            Self::Listens => 4,
            Self::Reads => 8,
        }
    }

    /// Returns what is known to be there once this part has reached the database. The connection that listens is slow to come
    /// back, and others do without it.
    const fn shows(self) -> u8 {
        self.bit() | Self::Listens.bit()
    }
}

impl Owner {
    /// Number of times that a break counts against the time in which the database was reached.
    const COST: u32 = 3;

    pub(super) fn new(id: OwnerId, asked: Moment, lease: Duration, clock: LeaseClock) -> Self {
        let held = Held {
            id,
            batch: 0,
            asked,
            is_given_up: false,
            away: 0,
            since: asked,
            back: None,
            contact: asked,
            gathered: Duration::ZERO,
        };
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

    /// Notes that this part has reached the database. Once all have, the log says so.
    pub(super) fn reach(&self, part: Part) {
        let mut held = self.held();
        let was_away = held.away != 0;
        held.away &= !part.shows();
        if held.away != 0 {
            return;
        }
        let now = self.clock.now();
        let passed = now.since(held.contact);
        held.gathered = match was_away {
            true => held.gathered.saturating_sub(passed.saturating_mul(Self::COST)),
            false => held.gathered.saturating_add(passed).min(self.lease),
        };
        held.contact = now;
        if was_away {
            held.back = Some(now);
            let seconds = now.since(held.since).as_secs_f64();
            log::info!("the database is back after {seconds:.1} s");
        }
    }

    /// Notes that this part has not. The log says so where all have before.
    pub(super) fn miss(&self, part: Part, why: &Failure) {
        let mut held = self.held();
        if held.away == 0 {
            held.since = self.clock.now();
            log::warn!("the database is away: {}", why.reason());
        }
        held.away |= part.bit();
    }

    /// Tells whether all parts have reached the database when they last tried.
    pub(super) fn is_reached(&self) -> bool {
        self.held().away == 0
    }

    /// Returns the time since the database was away, 0 while it is; `None` if it never was.
    pub(super) fn away_ago(&self) -> Option<Duration> {
        let held = self.held();
        match held.away {
            0 => held.back.map(|back| self.clock.elapsed(back)),
            _ => Some(Duration::ZERO),
        }
    }

    /// Tells whether this server may declare others dead. Where the database was away, they must have had the time to renew their
    /// leases since.
    pub(super) fn may_declare(&self) -> bool {
        let held = self.held();
        let reached = held.gathered.saturating_add(self.clock.elapsed(held.contact));
        held.away == 0 && reached >= self.lease
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that holds the lock can leave it half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const SILENT: Failure = Failure::Silent;

    /// An owner, and the clock that measures its lease.
    fn owner() -> (Owner, LeaseClock) {
        let clock = LeaseClock::default();
        (Owner::new(OwnerId(7), clock.now(), LEASE, clock.clone()), clock)
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn who_could_not_reach_the_database_declares_nobody_dead() {
        let (owner, clock) = owner();
        assert!(!owner.may_declare(), "not before a lease is over");
        clock.advance(LEASE);
        assert!(owner.may_declare(), "also without a word in between");
        owner.reach(Part::Writes);
        owner.miss(Part::Writes, &SILENT);
        assert!(!owner.may_declare());
        clock.advance(LEASE);
        assert!(!owner.may_declare(), "time alone brings nothing back");
        owner.reach(Part::Writes);
        assert!(!owner.may_declare(), "the others may have been away for as long");
        clock.advance(LEASE - seconds(0.1));
        assert!(!owner.may_declare());
        clock.advance(seconds(0.2));
        assert!(owner.may_declare());
    }

    /// A break is as long as the database may have been away: from when it was reached last, not from when that was noticed.
    #[test]
    fn a_break_counts_three_times_and_from_its_beginning() {
        let (owner, clock) = owner();
        clock.advance(LEASE * 2);
        owner.reach(Part::Renews);
        clock.advance(seconds(1.0));
        owner.miss(Part::Renews, &SILENT);
        clock.advance(seconds(0.5));
        owner.reach(Part::Renews);
        clock.advance(seconds(4.4));
        assert!(!owner.may_declare(), "1.5 s have taken away 4.5 s");
        clock.advance(seconds(0.2));
        assert!(owner.may_declare());
    }

    #[test]
    fn a_line_that_breaks_now_and_then_puts_off_nothing_for_ever() {
        let (owner, clock) = owner();
        let mut after = None;
        for round in 1..=10 {
            clock.advance(seconds(4.0));
            owner.reach(Part::Writes);
            after = after.or(owner.may_declare().then_some(round));
            owner.miss(Part::Writes, &SILENT);
            clock.advance(seconds(0.5));
            owner.reach(Part::Writes);
        }
        assert_eq!(after, Some(6), "each round brings 2.5 s");
        // A line that is away for more than a quarter of the time is not one to judge others by.
        let (owner, clock) = self::owner();
        for _ in 0..100 {
            clock.advance(seconds(4.0));
            owner.reach(Part::Writes);
            assert!(!owner.may_declare());
            owner.miss(Part::Writes, &SILENT);
            clock.advance(seconds(1.5));
            owner.reach(Part::Writes);
        }
    }

    #[test]
    fn the_database_is_reached_once_each_part_has_reached_it() {
        let (owner, _) = owner();
        assert!(owner.is_reached());
        owner.miss(Part::Writes, &SILENT);
        owner.miss(Part::Renews, &SILENT);
        owner.reach(Part::Renews);
        owner.reach(Part::Listens);
        assert!(!owner.is_reached(), "nothing can be written yet");
        owner.reach(Part::Writes);
        assert!(owner.is_reached());
        owner.miss(Part::Listens, &SILENT);
        assert!(!owner.is_reached());
        owner.reach(Part::Writes);
        assert!(owner.is_reached(), "others do without the one that listens");
    }

    #[test]
    fn it_is_known_how_long_ago_the_database_was_away() {
        let (owner, clock) = owner();
        clock.advance(seconds(1.0));
        assert_eq!(owner.away_ago(), None);
        owner.miss(Part::Writes, &SILENT);
        clock.advance(seconds(5.0));
        assert_eq!(owner.away_ago(), Some(Duration::ZERO));
        owner.reach(Part::Writes);
        clock.advance(seconds(2.0));
        let ago = owner.away_ago().unwrap();
        assert!(ago >= seconds(2.0) && ago < seconds(3.0), "{ago:?}");
    }

    #[test]
    fn an_owner_that_is_given_up_starts_nothing() {
        let (owner, clock) = owner();
        assert!(owner.may_start(OwnerId(7)) && !owner.may_start(OwnerId(6)));
        owner.give_up(OwnerId(6));
        assert!(owner.may_start(OwnerId(7)), "that was the one before");
        owner.give_up(OwnerId(7));
        assert!(!owner.may_start(OwnerId(7)) && owner.is_given_up(OwnerId(7)));
        owner.note_batch(OwnerId(7), 9);
        owner.succeed(OwnerId(8), clock.now());
        owner.note_batch(OwnerId(7), 10);
        assert_eq!(owner.last_batch(), (OwnerId(8), 0));
        assert!(owner.may_start(OwnerId(8)));
    }
}
