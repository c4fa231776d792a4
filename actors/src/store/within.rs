//! Reads that are bounded by size, so that a caller can reserve memory before a large value is read.

use super::Record;

/// Answer of [`Store::record_within`](super::Store::record_within).
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWithin {
    /// The action, without its error and result if they are too large.
    pub record: Record,
    /// Stored size of the two in bytes, if they are too large.
    pub too_large: Option<usize>,
}

impl RecordWithin {
    /// Applies the bound to an action that was already read, for a store that reads all of it at once.
    #[must_use]
    pub fn of(mut record: Record, max_bytes: usize) -> Self {
        let error = record.error.as_ref().map_or(0, String::len);
        let bytes = record.report.iter().fold(error, |bytes, node| bytes + node.byte_len());
        let too_large = (bytes > max_bytes).then_some(bytes);
        if too_large.is_some() {
            record.error = None;
            record.report.clear();
        }
        Self { record, too_large }
    }
}
