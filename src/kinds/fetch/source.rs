//! The trait of sources that a task synchronises. Directories are the first one (`directory`); a mailbox, a bucket or a table
//! would be another.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::datastore::Datastore;
use super::deliver::Handover;
use super::sync::TaskError;
use crate::documents::reference;

/// The source of a task's items.
///
/// A run calls, in this order: [`begin`](Self::begin); [`next`](Self::next) to its end, where each item that is new or
/// has changed is looked at by [`probe`](Self::probe) and goes into a batch by [`hand_over`](Self::hand_over);
/// [`judge`](Self::judge), before what was not seen is removed; [`end`](Self::end). An error of any of these ends the run
/// with that reason, and nothing is removed.
pub(crate) trait Source {
    /// The item as it was when it was looked at, as far as that is needed to hand it over.
    type Content;

    /// Looks at what is remembered of the last run, before anything is read.
    fn begin(&mut self, store: &mut Datastore) -> Result<(), String>;

    /// Returns the next step; `None` at the end. The source may note things for itself in the datastore.
    fn next(&mut self, store: &mut Datastore) -> Result<Option<Step>, String>;

    /// Checks that the item can be read, and returns its content and size in bytes. One that is not found has vanished.
    fn probe(&mut self, item: &Item) -> io::Result<(Self::Content, u64)>;

    /// Makes the parameters of one Ingest action for these items.
    fn hand_over(&mut self, items: &[Pending<Self::Content>]) -> Result<Handover, String>;

    /// Returns the reference by which Ingest knows the item of this path.
    fn reference(&self, path: &Path) -> String {
        reference::of(path)
    }

    /// Returns true if nothing is known of the item of this path, because its directory could not be read in this run.
    fn is_unknown(&self, path: &Path) -> bool;

    /// Decides if the items that were not seen have vanished, or only can't be seen; `missed` has the paths of all known items
    /// that were not seen.
    fn judge(&mut self, missed: &mut Missed<'_>) -> Result<(), TaskError>;

    /// Remembers what the next run needs, once the vanished items are removed.
    fn end(&mut self, store: &mut Datastore) -> Result<(), String>;
}

/// The paths of known items that were not seen in a run; a stop of the action ends it.
pub(crate) type Missed<'a> = dyn Iterator<Item = Result<PathBuf, TaskError>> + 'a;

/// One step of a source.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing; lets the run look at its checkpoint.
    Nothing,
    /// An item that the task takes.
    Item(Item),
    /// Something that cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The end of what belongs together: it is handed over before what follows.
    HandOver,
}

/// An item of a source, with the size and time by which a change is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its name: the path of a file, or names of nested containers with separators.
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: i64,
    pub(crate) modified: Moment,
}

/// An item of the next batch.
#[derive(Debug)]
pub(crate) struct Pending<C> {
    pub(crate) item: Item,
    pub(crate) content: C,
    pub(crate) is_new: bool,
}

/// The time at which a file was last modified. Seconds and nanoseconds are apart, because nanoseconds alone would end with
/// the year 2262 in 64 bits, and every later time would be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Whole seconds since 1970, less than 0 before it.
    pub(crate) seconds: i64,
    /// Nanoseconds to add to them: from 0 to 999,999,999, before 1970 too.
    pub(crate) nanoseconds: u32,
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = 0_i64.checked_sub_unsigned(before.as_secs()).unwrap_or(i64::MIN);
                match before.subsec_nanos() {
                    0 => Self { seconds, nanoseconds: 0 },
                    part => Self {
                        seconds: seconds.saturating_sub(1),
                        nanoseconds: 1_000_000_000_u32.saturating_sub(part),
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_apart_before_1970_and_after_2262() {
        use std::time::Duration;
        let after = |seconds, part| UNIX_EPOCH + Duration::new(seconds, part);
        let before = |seconds, part| UNIX_EPOCH - Duration::new(seconds, part);
        for (time, seconds, nanoseconds) in [
            (after(0, 0), 0, 0),
            (after(1, 999_999_999), 1, 999_999_999),
            (after(13_569_465_600, 5), 13_569_465_600, 5),
            (after(13_601_001_600, 5), 13_601_001_600, 5),
            (before(0, 1), -1, 999_999_999),
            (before(1, 0), -1, 0),
            (before(1, 1), -2, 999_999_999),
            (before(11_644_473_600, 300_000_000), -11_644_473_601, 700_000_000),
        ] {
            assert_eq!(Moment::from(time), Moment { seconds, nanoseconds }, "{time:?}");
        }
    }
}
