//! What a performer has reserved for actions that are about to begin ([`Perform::reserve`]).
//!
//! It goes back unless it is used, whatever comes between a claim and the start of its work: a batch that fails, a lease that is
//! in doubt, an actor that dies.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::perform::Perform;
use crate::supervision::drop_quietly;

/// A number of actions that may begin. What is left of it goes back to the performer when it is dropped.
pub(super) struct Reserved {
    performer: Arc<dyn Perform>,
    left: usize,
}

impl Reserved {
    /// Reserves what up to `most` actions need. Called by the store's thread, which a panic must not end.
    pub(super) fn up_to(most: usize, performer: Arc<dyn Perform>) -> Self {
        let left = if most == 0 { 0 } else { quietly(|| performer.reserve(most)).unwrap_or(0) };
        Self { performer, left: left.min(most) }
    }

    /// Returns the number that is left.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Gives back all but this number.
    pub(super) fn keep(&mut self, number: usize) {
        let unused = self.left.saturating_sub(number);
        self.left -= unused;
        give_back(&*self.performer, unused);
    }

    /// Hands over what one action needs: its work begins.
    pub(super) const fn begin_one(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.keep(0);
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Gives back what was reserved for so many actions. May run while a panic unwinds.
pub(super) fn give_back(performer: &dyn Perform, unused: usize) {
    if unused > 0 {
        quietly(|| performer.give_back(unused));
    }
}

/// Calls the performer, whose panic is logged.
fn quietly<T>(call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => Some(done),
        Err(payload) => {
            log::error!("a performer panicked when actions were to begin");
            drop_quietly(payload);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::perform::{ActionContext, Work};
    use crate::queue::lock;

    /// Has this number to give; panics where it has none.
    struct Few(Mutex<usize>);

    impl Perform for Few {
        fn perform(&self, _: ActionContext) -> Work {
            Work::done(Ok(Vec::new()))
        }

        fn reserve(&self, most: usize) -> usize {
            let mut left = lock(&self.0);
            assert!(*left > 0, "it has none, as planned");
            let given = most.min(*left);
            *left -= given;
            given
        }

        fn give_back(&self, unused: usize) {
            *lock(&self.0) += unused;
        }
    }

    #[test]
    fn what_is_not_used_goes_back_once() {
        let few = Arc::new(Few(Mutex::new(3)));
        let reserve = |most| Reserved::up_to(most, Arc::clone(&few) as Arc<dyn Perform>);
        let left = || *lock(&few.0);
        drop(reserve(0));
        assert_eq!(left(), 3);
        let mut some = reserve(10);
        assert_eq!((some.left(), left()), (3, 0));
        some.keep(2);
        assert_eq!((some.left(), left()), (2, 1));
        some.keep(5);
        assert_eq!((some.left(), left()), (2, 1), "there are no more");
        some.begin_one();
        drop(some);
        assert_eq!(left(), 2, "one is used");
    }

    #[test]
    fn a_panic_reserves_nothing() {
        let few: Arc<dyn Perform> = Arc::new(Few(Mutex::new(0)));
        assert_eq!(Reserved::up_to(1, few).left(), 0);
    }

    /// Gives more than it is asked for.
    struct Generous;

    impl Perform for Generous {
        fn perform(&self, _: ActionContext) -> Work {
            Work::done(Ok(Vec::new()))
        }

        fn reserve(&self, most: usize) -> usize {
            most + 1
        }
    }

    #[test]
    fn no_more_begin_than_were_asked_for() {
        assert_eq!(Reserved::up_to(2, Arc::new(Generous)).left(), 2);
    }
}
