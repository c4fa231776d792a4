//! Sets of small numbers, such as of actions or requests.

/// A small set of small numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set(u32);

impl Set {
    pub(crate) fn insert(&mut self, n: u8) {
        self.0 |= 1 << n;
    }

    pub(crate) fn remove(&mut self, n: u8) {
        self.0 &= !(1 << n);
    }

    pub(crate) const fn contains(self, n: u8) -> bool {
        self.0 & (1 << n) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns true if one of its members is missing in `others`.
    pub(crate) const fn has_more_than(self, others: Self) -> bool {
        self.0 & !others.0 != 0
    }

    pub(crate) fn pop(&mut self) -> Option<u8> {
        let first = (0..32).find(|n| self.contains(*n))?;
        self.remove(first);
        Some(first)
    }
}
