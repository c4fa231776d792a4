//! Whose turn it is among the reads that wait for one thread. Whoever reads whole lists has hundreds of pages to
//! read; who wants the ten newest must not wait behind one of each such reader, nor who begins far down a list behind
//! ten.

use std::collections::VecDeque;

use crate::store::query::{Cursor, PageLimit};

/// Up to how many actions a page is short.
const SHORT: usize = 50;

/// What kind of read it is: the sooner it is done, the sooner it has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// One action, or the beginning of a list and no more than a few: with all others that wait, each time.
    Short,
    /// The beginning of a list, or what comes before it: one each time.
    Begins,
    /// What comes behind a page that listed something: one each time.
    GoesOn,
}

impl Turn {
    pub(super) const fn of(cursor: &Cursor, limit: PageLimit) -> Self {
        if cursor.begun {
            Self::GoesOn
        } else if cursor.is_start() && limit.actions <= SHORT {
            Self::Short
        } else {
            Self::Begins
        }
    }
}

/// The reads that wait.
#[derive(Debug)]
pub(super) struct Turns<J> {
    short: Vec<J>,
    begins: VecDeque<J>,
    goes_on: VecDeque<J>,
}

impl<J> Turns<J> {
    pub(super) const fn new() -> Self {
        Self { short: Vec::new(), begins: VecDeque::new(), goes_on: VecDeque::new() }
    }

    pub(super) fn wait(&mut self, turn: Turn, job: J) {
        match turn {
            Turn::Short => self.short.push(job),
            Turn::Begins => self.begins.push_back(job),
            Turn::GoesOn => self.goes_on.push_back(job),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.begins.is_empty() && self.goes_on.is_empty()
    }

    /// Takes those whose turn it is: each of the short ones, and of the others one of each kind, so that nobody waits
    /// for ever. Equal ones come in the order in which they arrived.
    pub(super) fn next(&mut self) -> impl Iterator<Item = J> + use<J> {
        let short = std::mem::take(&mut self.short);
        let others = [self.begins.pop_front(), self.goes_on.pop_front()];
        short.into_iter().chain(others.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ActionId, Timestamp};

    #[test]
    fn which_turn_a_page_has() {
        let start = Cursor::start(0);
        let behind = Cursor { after: Some((Timestamp(1), ActionId::new(1).unwrap())), ..start };
        for (cursor, actions, turn) in [
            (start, 10, Turn::Short),
            (start, SHORT, Turn::Short),
            (start, SHORT + 1, Turn::Begins),
            (Cursor::start(1), 10, Turn::Begins),
            (Cursor { skip: 7, ..behind }, 10, Turn::Begins),
            // It has looked at much and listed nothing.
            (behind, 10, Turn::Begins),
            (Cursor { begun: true, ..behind }, 10, Turn::GoesOn),
        ] {
            assert_eq!(Turn::of(&cursor, actions.into()), turn, "{cursor:?} {actions}");
        }
    }

    #[test]
    fn the_short_ones_go_first_and_nobody_waits_for_ever() {
        let mut turns = Turns::new();
        for n in 1..=3 {
            turns.wait(Turn::GoesOn, format!("on {n}"));
            turns.wait(Turn::Begins, format!("begins {n}"));
        }
        for n in 1..=3 {
            for short in ["a", "b"] {
                turns.wait(Turn::Short, format!("{short} {n}"));
            }
            let next: Vec<_> = turns.next().collect();
            let expected =
                [format!("a {n}"), format!("b {n}"), format!("begins {n}"), format!("on {n}")];
            assert_eq!(next, expected);
        }
        assert!(turns.is_empty());
        assert_eq!(turns.next().count(), 0);
    }
}
