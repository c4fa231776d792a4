//! The last lines of a stream, kept in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Largest number of bytes that a history keeps, however long its lines are.
const MOST: usize = 1 << 20;

/// The last lines that came to a stream. They come in blocks of whole lines, so that keeping them costs little.
#[derive(Debug)]
pub(super) struct History {
    /// Largest number of lines that are told.
    most: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with its number of lines; the newest last.
    blocks: VecDeque<(Box<[u8]>, usize)>,
    lines: usize,
    bytes: usize,
}

impl History {
    /// Makes one that tells up to `lines` lines.
    pub(super) fn new(lines: usize) -> Self {
        Self { most: AtomicUsize::new(lines), kept: Mutex::default() }
    }

    /// Sets the number of lines that it tells.
    pub(super) fn set_most(&self, lines: usize) {
        self.most.store(lines, Ordering::Relaxed);
    }

    /// Adds a block of lines, each of which ends with a line break.
    pub(super) fn push(&self, block: &[u8]) {
        let most = self.most.load(Ordering::Relaxed);
        let (block, lines) = last_lines(block, most);
        if lines == 0 || block.len() > MOST {
            return;
        }
        let block: Box<[u8]> = block.into();
        let mut kept = self.kept();
        kept.lines += lines;
        kept.bytes += block.len();
        kept.blocks.push_back((block, lines));
        while let Some((oldest, of_oldest)) = kept.blocks.front() {
            let (bytes, of_oldest) = (oldest.len(), *of_oldest);
            if kept.bytes <= MOST && kept.lines - of_oldest < most {
                break;
            }
            kept.blocks.pop_front();
            kept.lines -= of_oldest;
            kept.bytes -= bytes;
        }
    }

    /// Returns the last lines, up to this number of them, the oldest first.
    pub(super) fn tail(&self, number: usize) -> Vec<String> {
        let number = number.min(self.most.load(Ordering::Relaxed));
        let mut lines = Vec::new();
        let kept = self.kept();
        for (block, _) in kept.blocks.iter().rev() {
            let text = String::from_utf8_lossy(block);
            lines.extend(text.lines().rev().take(number - lines.len()).map(str::to_owned));
            if lines.len() == number {
                break;
            }
        }
        drop(kept);
        lines.reverse();
        lines
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the end of a block with up to this number of lines, and their number.
fn last_lines(block: &[u8], most: usize) -> (&[u8], usize) {
    let breaks = block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let mut lines = 0;
    for (at, _) in breaks {
        if lines == most {
            return (block.get(at + 1..).unwrap_or_default(), lines);
        }
        lines += 1;
    }
    (block, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_the_oldest_first() {
        let history = History::new(3);
        assert!(history.tail(5).is_empty());
        history.push(b"1\n");
        history.push(b"2\n3\n");
        assert_eq!(history.tail(5), ["1", "2", "3"]);
        assert_eq!(history.tail(2), ["2", "3"]);
        assert!(history.tail(0).is_empty());
        history.push(b"4\n");
        assert_eq!(history.tail(5), ["2", "3", "4"]);
        history.push(b"5\n6\n7\n8\n");
        assert_eq!(history.tail(5), ["6", "7", "8"]);
        assert_eq!(history.kept().blocks.len(), 1);
    }

    #[test]
    fn memory_is_bounded_by_bytes_too() {
        let history = History::new(1_000);
        let line = [&[b'x'; 99_999][..], b"\n"].concat();
        for _ in 0..30 {
            history.push(&line);
        }
        assert_eq!(history.tail(1_000).len(), 10);
        assert!(history.kept().bytes <= MOST);
        history.push(&[b'\n'].repeat(MOST + 1));
        assert_eq!(history.tail(1_000).len(), 1_000);
        let none = History::new(0);
        none.push(b"1\n");
        assert!(none.tail(5).is_empty());
    }
}
