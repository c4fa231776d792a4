//! The order of the reads that wait for one thread. A client that reads a whole list sends hundreds of reads. Short reads
//! such as the ten newest must not wait behind a page of each such client, nor a first page behind ten others.

use std::collections::VecDeque;

use crate::store::query::{Cursor, PageLimit};

/// Maximum number of actions of a short page.
const SHORT: usize = 50;

/// Class of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadClass {
    /// One action, or a short page at the beginning of a list: all of them in each round.
    Short,
    /// Any other page of a listing that has listed nothing yet: one in each round.
    FirstPage,
    /// A page of a listing that has listed something before: one in each round.
    NextPage,
}

impl ReadClass {
    pub(super) const fn of(cursor: &Cursor, limit: PageLimit) -> Self {
        if cursor.begun {
            Self::NextPage
        } else if cursor.is_start() && limit.actions <= SHORT {
            Self::Short
        } else {
            Self::FirstPage
        }
    }
}

/// The reads that wait.
#[derive(Debug)]
pub(super) struct ReadQueue<J> {
    short: Vec<J>,
    first_pages: VecDeque<J>,
    next_pages: VecDeque<J>,
}

impl<J> ReadQueue<J> {
    pub(super) const fn new() -> Self {
        Self { short: Vec::new(), first_pages: VecDeque::new(), next_pages: VecDeque::new() }
    }

    pub(super) fn push(&mut self, class: ReadClass, job: J) {
        match class {
            ReadClass::Short => self.short.push(job),
            ReadClass::FirstPage => self.first_pages.push_back(job),
            ReadClass::NextPage => self.next_pages.push_back(job),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.first_pages.is_empty() && self.next_pages.is_empty()
    }

    /// Takes the reads of one round: all short ones, and one of each other class, so that none waits for ever. Within a
    /// class they come in the order of arrival.
    pub(super) fn take_next(&mut self) -> impl Iterator<Item = J> + use<J> {
        let short = std::mem::take(&mut self.short);
        let others = [self.first_pages.pop_front(), self.next_pages.pop_front()];
        short.into_iter().chain(others.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ActionId, Timestamp};

    #[test]
    fn the_class_of_a_page() {
        let start = Cursor::start(0);
        let behind = Cursor { after: Some((Timestamp(1), ActionId::new(1).unwrap())), ..start };
        for (cursor, actions, class) in [
            (start, 10, ReadClass::Short),
            (start, SHORT, ReadClass::Short),
            (start, SHORT + 1, ReadClass::FirstPage),
            (Cursor::start(1), 10, ReadClass::FirstPage),
            (Cursor { skip: 7, ..behind }, 10, ReadClass::FirstPage),
            // It has examined many rows and listed nothing.
            (behind, 10, ReadClass::FirstPage),
            (Cursor { begun: true, ..behind }, 10, ReadClass::NextPage),
        ] {
            assert_eq!(ReadClass::of(&cursor, actions.into()), class, "{cursor:?} {actions}");
        }
    }

    #[test]
    fn the_short_ones_go_first_and_nobody_waits_for_ever() {
        let mut queue = ReadQueue::new();
        for n in 1..=3 {
            queue.push(ReadClass::NextPage, format!("next {n}"));
            queue.push(ReadClass::FirstPage, format!("first {n}"));
        }
        for n in 1..=3 {
            for short in ["a", "b"] {
                queue.push(ReadClass::Short, format!("{short} {n}"));
            }
            let next: Vec<_> = queue.take_next().collect();
            let expected =
                [format!("a {n}"), format!("b {n}"), format!("first {n}"), format!("next {n}")];
            assert_eq!(next, expected);
        }
        assert!(queue.is_empty());
        assert_eq!(queue.take_next().count(), 0);
    }
}
