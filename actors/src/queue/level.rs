//! The fill level of a queue, and the events about it.

use crate::events::QueueEvent;

/// Numbers of waiting actions at which events are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Thresholds {
    limit: u64,
    /// Filling above this number.
    filling: f64,
    /// Emptying below this number.
    emptying: f64,
}

impl Thresholds {
    #[expect(clippy::cast_precision_loss, reason = "a threshold needs no more than 53 bits")]
    pub(super) fn new(limit: u64, filling: f64, emptying: f64) -> Self {
        let of = |share: f64| share * limit as f64;
        Self { limit, filling: of(filling), emptying: of(emptying) }
    }

    /// Returns the number at which the queue is full.
    pub(super) const fn limit(self) -> u64 {
        self.limit
    }
}

/// The fill level that was told last. It stays the same between the two thresholds (hysteresis), so a number that wavers
/// about one of them is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Empty when it was told last; `true` once something waits again, but too little to be told.
    Empty(bool),
    Emptying,
    Filling,
    Full,
}

impl Level {
    /// Returns the level that counts as told when a system starts, so that only later changes are told.
    #[expect(clippy::cast_precision_loss, reason = "a threshold needs no more than 53 bits")]
    pub(super) fn at_start(queued: u64, thresholds: Option<Thresholds>) -> Self {
        match thresholds {
            _ if queued == 0 => Self::Empty(false),
            Some(of) if queued >= of.limit => Self::Full,
            Some(of) if queued as f64 > of.filling => Self::Filling,
            _ => Self::Empty(true),
        }
    }

    /// Follows the number of waiting actions, and returns the event that is to be told, if there is one.
    #[expect(clippy::cast_precision_loss, reason = "a threshold needs no more than 53 bits")]
    pub(super) fn follow(
        &mut self,
        queued: u64,
        thresholds: Option<Thresholds>,
    ) -> Option<QueueEvent<'static>> {
        if queued == 0 {
            let told = *self == Self::Empty(false);
            *self = Self::Empty(false);
            return (!told).then_some(QueueEvent::QueueEmpty);
        }
        if let Self::Empty(waits) = self {
            *waits = true;
        }
        let Thresholds { limit, filling, emptying } = thresholds?;
        let (level, event) = match *self {
            Self::Full => (Self::Full, None),
            _ if queued >= limit => (Self::Full, Some(QueueEvent::QueueFull { queued, limit })),
            Self::Empty(_) | Self::Emptying if queued as f64 > filling => {
                (Self::Filling, Some(QueueEvent::QueueFilling { queued, limit }))
            }
            level => (level, None),
        };
        *self = level;
        if event.is_none()
            && matches!(self, Self::Full | Self::Filling)
            && (queued as f64) < emptying
        {
            *self = Self::Emptying;
            return Some(QueueEvent::QueueEmptying { queued, limit });
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of at most 10: filling above 7.5, emptying below 5.
    fn told(level: Level, numbers: &[u64]) -> Vec<&'static str> {
        let mut level = level;
        let name = |event| match event {
            None => "-",
            Some(QueueEvent::QueueFull { .. }) => "full",
            Some(QueueEvent::QueueFilling { .. }) => "filling",
            Some(QueueEvent::QueueEmptying { .. }) => "emptying",
            Some(QueueEvent::QueueEmpty) => "empty",
            Some(other) => panic!("{other:?}"),
        };
        let of = Some(Thresholds::new(10, 0.75, 0.5));
        numbers.iter().map(|number| name(level.follow(*number, of))).collect()
    }

    #[test]
    fn each_level_is_told_once_it_is_new() {
        let empty = Level::Empty(false);
        let table: &[(&[u64], &str)] = &[
            (&[0, 1, 0, 0], "- - empty -"),
            (&[7, 8, 9, 8], "- filling - -"),
            (&[8, 7, 8, 5, 4, 3, 7, 8], "filling - - - emptying - - filling"),
            (&[8, 10, 10, 9, 10, 5, 4, 0], "filling full - - - - emptying empty"),
            (&[10, 4, 10, 0, 10], "full emptying full empty full"),
            (&[11, 3, 2, 0], "full emptying - empty"),
        ];
        for (numbers, want) in table {
            assert_eq!(told(empty, numbers).join(" "), *want, "{numbers:?}");
        }
    }

    #[test]
    fn what_is_so_at_the_start_is_no_news() {
        let of = Some(Thresholds::new(10, 0.75, 0.5));
        let started = |queued| Level::at_start(queued, of);
        assert_eq!(told(started(0), &[0, 5]), ["-", "-"]);
        assert_eq!(told(started(5), &[5, 0]), ["-", "empty"]);
        assert_eq!(told(started(8), &[9, 4]), ["-", "emptying"]);
        assert_eq!(told(started(12), &[10, 4]), ["-", "emptying"]);
        // As many as the threshold are not above it.
        let of = Some(Thresholds::new(10, 0.5, 0.5));
        assert_eq!(Level::at_start(5, of), Level::Empty(true));
        assert_eq!(Level::at_start(6, of), Level::Filling);
    }

    #[test]
    fn without_a_limit_only_empty_is_told() {
        let mut level = Level::at_start(0, None);
        let events = [1, 1_000_000, 0, 0].map(|number| level.follow(number, None).is_some());
        assert_eq!(events, [false, false, true, false]);
        // And a limit of none at all is full at once and emptied at once.
        let mut level = Level::Empty(false);
        assert!(level.follow(0, Some(Thresholds::new(0, 0.75, 0.5))).is_none());
    }

    #[test]
    fn thresholds_that_cross_tell_no_more_than_one_thing_at_once() {
        let mut level = Level::Empty(false);
        let of = Some(Thresholds::new(10, 0.2, 0.8));
        let told: Vec<_> = [3, 3, 3].iter().map(|n| level.follow(*n, of)).collect();
        assert!(matches!(told.first(), Some(Some(QueueEvent::QueueFilling { .. }))));
        assert!(matches!(told.get(1), Some(Some(QueueEvent::QueueEmptying { .. }))));
    }
}
