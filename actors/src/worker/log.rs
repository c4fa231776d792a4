//! The last lines that an attempt has logged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Number of lines that are kept.
const MAX_LINES: usize = 100;
/// Largest size of a line in bytes; a longer one is cut.
const MAX_LINE_BYTES: usize = 1_000;

/// The last lines of an attempt. Without any, it has no memory of its own.
#[derive(Debug, Default)]
pub(super) struct AttemptLog(Mutex<VecDeque<Arc<str>>>);

impl AttemptLog {
    /// Adds a line; the oldest goes where there are too many.
    pub(super) fn add(&self, line: &str) {
        let line = line.get(..line.floor_char_boundary(MAX_LINE_BYTES)).unwrap_or_default();
        let line = Arc::from(line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the lines, the oldest first.
    pub(super) fn lines(&self) -> Vec<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let log = AttemptLog::default();
        assert!(log.lines().is_empty());
        for number in 0..150 {
            log.add(&format!("line {number}"));
        }
        log.add(&format!("{}ö", "x".repeat(MAX_LINE_BYTES - 1)));
        let lines = log.lines();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(&*lines[0], "line 51");
        assert_eq!(lines[99].len(), MAX_LINE_BYTES - 1);
    }
}
