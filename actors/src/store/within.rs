//! Reads that are bounded by size, for whoever has to find memory for what is read before it is.

use super::Record;

/// What [`Store::record_within`](super::Store::record_within) reads.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWithin {
    /// The action; without its error and its result where they are too large.
    pub record: Record,
    /// The size of the two in bytes, as they are stored, where it is more than was asked for.
    pub too_large: Option<usize>,
}

impl RecordWithin {
    /// Bounds what was read already, for a store that reads all of an action at once.
    #[must_use]
    pub fn of(mut record: Record, most: usize) -> Self {
        let error = record.error.as_ref().map_or(0, String::len);
        let bytes = record.report.iter().fold(error, |bytes, node| bytes + node.byte_len());
        let too_large = (bytes > most).then_some(bytes);
        if too_large.is_some() {
            record.error = None;
            record.report.clear();
        }
        Self { record, too_large }
    }
}
