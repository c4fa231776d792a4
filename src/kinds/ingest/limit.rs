//! The limit of the bytes that one action writes into all of its files together.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

/// The action would write more than it may.
#[derive(Debug, thiserror::Error)]
#[error(
    "it would write more than MaxOutputSize allows, {0} bytes; send fewer or smaller documents at once"
)]
pub(crate) struct TooMuch(u64);

/// Number of bytes that may still be written; copies share it.
#[derive(Debug, Clone)]
pub(crate) struct WriteBudget {
    max: u64,
    left: Rc<Cell<u64>>,
}

impl WriteBudget {
    /// Makes a budget of this many bytes.
    pub(crate) fn new(max: u64) -> Self {
        Self { max, left: Rc::new(Cell::new(max)) }
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = u64::try_from(bytes).ok().and_then(|bytes| self.left.get().checked_sub(bytes));
        self.left.set(left.ok_or_else(|| io::Error::other(TooMuch(self.max)))?);
        Ok(())
    }
}

/// A file whose writes are limited by a budget.
#[derive(Debug)]
pub(crate) struct LimitedFile {
    file: BufWriter<File>,
    budget: WriteBudget,
}

impl LimitedFile {
    /// Makes an empty file.
    pub(crate) fn create(path: &Path, budget: &WriteBudget) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(path)?), budget: budget.clone() })
    }

    /// Writes what is left and makes it durable.
    pub(crate) fn sync(self) -> io::Result<()> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Write for LimitedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.budget.take(bytes.len())?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_share_their_room() {
        let directory = tempfile::tempdir().unwrap();
        let budget = WriteBudget::new(10);
        let mut a = LimitedFile::create(&directory.path().join("a"), &budget).unwrap();
        let mut b = LimitedFile::create(&directory.path().join("b"), &budget).unwrap();
        a.write_all(b"123456").unwrap();
        b.write_all(b"7890").unwrap();
        for file in [&mut a, &mut b] {
            let error = file.write_all(b"1").unwrap_err().downcast::<TooMuch>().unwrap();
            assert!(error.to_string().contains("MaxOutputSize allows, 10 bytes"), "{error}");
        }
        a.sync().unwrap();
        b.sync().unwrap();
        let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((read("a").as_str(), read("b").as_str()), ("123456", "7890"));
    }
}
