//! The latest of a row of numbered things, bounded in their number and in their bytes.

use std::collections::VecDeque;
use std::sync::Arc;

/// Those who want what is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind;

/// The latest things. They have numbers from 1, in the order in which they came.
#[derive(Debug)]
pub(super) struct Ring<T> {
    /// With the bytes of each.
    kept: VecDeque<(Arc<T>, usize)>,
    /// Number of the next thing.
    next: u64,
    bytes: usize,
    max_number: usize,
    max_bytes: usize,
}

impl<T> Ring<T> {
    /// Makes one that keeps so many things and so many bytes, and the latest in any case.
    pub(super) const fn new(max_number: usize, max_bytes: usize) -> Self {
        Self { kept: VecDeque::new(), next: 1, bytes: 0, max_number, max_bytes }
    }

    /// Returns the number of the next thing.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Adds one of so many bytes, and lets go of the oldest that are too many.
    pub(super) fn push(&mut self, thing: Arc<T>, bytes: usize) {
        self.kept.push_back((thing, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        self.next = self.next.saturating_add(1);
        while self.kept.len() > 1
            && (self.kept.len() > self.max_number || self.bytes > self.max_bytes)
        {
            if let Some((_, bytes)) = self.kept.pop_front() {
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Returns true if all things after the one of this number are kept, and it was there: 0 is before the first.
    pub(super) fn can_go_on_after(&self, number: u64) -> bool {
        number < self.next && number.saturating_add(1) >= self.oldest()
    }

    /// Returns up to `most` things from this number on.
    ///
    /// # Errors
    ///
    /// [`Behind`] if the first of them is not kept any more.
    pub(super) fn read(&self, from: u64, most: usize) -> Result<Vec<Arc<T>>, Behind> {
        let skip = from.checked_sub(self.oldest()).ok_or(Behind)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.kept.len());
        let end = self.kept.len().min(skip.saturating_add(most));
        Ok(self.kept.range(skip..end).map(|(thing, _)| Arc::clone(thing)).collect())
    }

    /// Returns the number of the oldest thing that is kept, or of the next if none is.
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(u64::try_from(self.kept.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ring of 3 things and 100 bytes that got things of these bytes, each its number.
    fn ring(bytes: &[usize]) -> Ring<u64> {
        let mut ring = Ring::new(3, 100);
        for bytes in bytes {
            ring.push(Arc::new(ring.next()), *bytes);
        }
        ring
    }

    fn read(ring: &Ring<u64>, from: u64, most: usize) -> Result<Vec<u64>, Behind> {
        ring.read(from, most).map(|things| things.iter().map(|thing| **thing).collect())
    }

    #[test]
    fn by_table() {
        for (bytes, from, most, expected) in [
            (&[][..], 1, 9, Ok(vec![])),
            (&[], 5, 9, Ok(vec![])),
            (&[1, 1], 1, 9, Ok(vec![1, 2])),
            (&[1, 1], 2, 9, Ok(vec![2])),
            (&[1, 1], 3, 9, Ok(vec![])),
            (&[1, 1, 1, 1], 1, 9, Err(Behind)),
            (&[1, 1, 1, 1], 2, 9, Ok(vec![2, 3, 4])),
            (&[1, 1, 1, 1], 2, 2, Ok(vec![2, 3])),
            (&[1, 1, 1, 1], 2, 0, Ok(vec![])),
            // Of 101 bytes one has to go.
            (&[50, 50, 1], 1, 9, Err(Behind)),
            (&[50, 50, 1], 2, 9, Ok(vec![2, 3])),
            // The latest stays, however large.
            (&[1, 500], 1, 9, Err(Behind)),
            (&[1, 500], 2, 9, Ok(vec![2])),
            (&[500, 1, 1, 1], 2, 9, Ok(vec![2, 3, 4])),
        ] {
            assert_eq!(read(&ring(bytes), from, most), expected, "{bytes:?} {from} {most}");
        }
    }

    #[test]
    fn who_can_go_on_by_table() {
        for (bytes, after, expected) in [
            (&[][..], 0, true),
            (&[], 1, false),
            (&[1], 0, true),
            (&[1], 1, true),
            (&[1], 2, false),
            (&[1, 1, 1, 1, 1], 0, false),
            (&[1, 1, 1, 1, 1], 1, false),
            (&[1, 1, 1, 1, 1], 2, true),
            (&[1, 1, 1, 1, 1], 5, true),
            (&[1, 1, 1, 1, 1], u64::MAX, false),
        ] {
            assert_eq!(ring(bytes).can_go_on_after(after), expected, "{bytes:?} {after}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_all(sizes in proptest::collection::vec(0..120_usize, 0..40), from in 1..50_u64) {
            let ring = ring(&sizes);
            let last = sizes.len() as u64;
            let kept = ring.kept.len();
            prop_assert!(kept <= 3 && (kept <= 1 || ring.bytes <= 100));
            prop_assert_eq!(ring.bytes, sizes.iter().rev().take(kept).sum::<usize>());
            let expected: Vec<_> = (from..=last).collect();
            match read(&ring, from, usize::MAX) {
                Ok(got) => prop_assert_eq!(got, expected),
                Err(Behind) => prop_assert!(expected.len() > kept),
            }
            prop_assert_eq!(ring.can_go_on_after(from), from <= last && (last - from) <= kept as u64);
        }
    }
}
