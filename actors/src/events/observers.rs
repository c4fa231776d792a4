//! All observers of a system, and which of them want to be told yet.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Interest, Observer, QueueEvent};
use crate::supervision::drop_quietly;

/// A flag by which an observer begins to be told of events later than its system begins: see [`Observer::awake`]. Cheap to
/// clone; all clones are the same flag.
///
/// ```
/// use actiond_actors::events::Awake;
/// let awake = Awake::default();
/// assert!(!awake.is_set());
/// awake.clone().set();
/// assert!(awake.is_set());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Awake(Arc<AtomicBool>);

impl Awake {
    /// Wakes the observer: it is told of each event from now on, for as long as its system runs.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Tells whether the observer is awake.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Queues ask this before each event. One that is told while the flag is set may count as before that, or after.
        self.0.load(Ordering::Relaxed)
    }
}

/// All observers of a system.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    /// The events that any of them wants from the start.
    wanted: Interest,
    /// The events that any of them wants, from the start or later.
    wanted_later: Interest,
    each: Vec<Listed>,
}

/// An observer, and what it wants.
#[derive(Clone)]
struct Listed {
    interest: Interest,
    /// `None` if it is awake from the start.
    awake: Option<Awake>,
    observer: Arc<dyn Observer>,
}

impl Listed {
    fn wants(&self, interest: Interest) -> bool {
        self.interest.has(interest) && self.awake.as_ref().is_none_or(Awake::is_set)
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("wanted", &self.wanted_later).finish_non_exhaustive()
    }
}

impl Observers {
    pub(crate) fn add(&mut self, observer: Arc<dyn Observer>) {
        let (interest, awake) = (observer.interest(), observer.awake());
        self.wanted_later = self.wanted_later | interest;
        if awake.is_none() {
            self.wanted = self.wanted | interest;
        }
        self.each.push(Listed { interest, awake, observer });
    }

    /// Tells whether an observer wants any of these events now. Ask before an event is made.
    pub(crate) fn want(&self, interest: Interest) -> bool {
        self.wanted.has(interest)
            || (self.may_want(interest) && self.each.iter().any(|listed| listed.wants(interest)))
    }

    /// Tells whether an observer wants any of these events now, or may do so later.
    pub(crate) const fn may_want(&self, interest: Interest) -> bool {
        self.wanted_later.has(interest)
    }

    /// Tells the observers that want it.
    pub(crate) fn tell(&self, queue: &str, event: &QueueEvent<'_>) {
        let interest = event.interest();
        for Listed { observer, .. } in self.each.iter().filter(|listed| listed.wants(interest)) {
            // A panic in foreign code must not end the actor, which has callers to answer.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.on_event(queue, event))) {
                log::error!("queue {queue}: an observer of its events panicked");
                drop_quietly(panic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Interest, Option<Awake>);

    impl Observer for Sleeper {
        fn interest(&self) -> Interest {
            self.0
        }

        fn awake(&self) -> Option<Awake> {
            self.1.clone()
        }

        fn on_event(&self, _: &str, _: &QueueEvent<'_>) {}
    }

    #[test]
    fn what_is_wanted_by_table() {
        let awake = Awake::default();
        let mut observers = Observers::default();
        observers.add(Arc::new(Sleeper(Interest::ENDED, None)));
        let sleeper = Interest::ENDED | Interest::PROGRESSED;
        observers.add(Arc::new(Sleeper(sleeper, Some(awake.clone()))));
        // Each with whether it is wanted while one sleeps, once all are awake, and at any time.
        let table = [
            (Interest::FINISHED, [true, true, true]),
            (Interest::PROGRESSED, [false, true, true]),
            (Interest::PROGRESSED | Interest::UNFINISHED, [true, true, true]),
            (Interest::LEVEL, [false, false, false]),
        ];
        let asleep = table.map(|(interest, _)| observers.want(interest));
        awake.set();
        for ((interest, expected), asleep) in table.into_iter().zip(asleep) {
            let found = [asleep, observers.want(interest), observers.may_want(interest)];
            assert_eq!(found, expected, "{interest:?}");
        }
    }
}
