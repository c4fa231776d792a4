//! Programs where processes are not shown as on Linux: they are neither marked nor recorded, and what leaves the group of
//! its program is not found.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Pid;

use crate::worker::Attempt;

/// The programs of one system, of which nothing is kept.
#[derive(Debug)]
pub(crate) struct Programs;

/// A program.
#[derive(Debug)]
pub(super) struct Program;

impl Programs {
    pub(crate) const fn new(_: &Path) -> Self {
        Self
    }

    /// Ends nothing: survivors are not found here.
    pub(crate) const fn end_survivors(&self) {}

    pub(crate) const fn close(&self) {}

    pub(super) fn begin(self: &Arc<Self>, _: &Attempt) -> Program {
        Program
    }
}

impl Program {
    /// Returns the environment variable that marks it, if it is marked.
    pub(super) const fn mark(&self) -> Option<(&str, &str)> {
        None
    }

    pub(super) const fn started(&mut self, _: Pid, _: &str) {}

    /// Returns false: it can't be told here.
    pub(super) async fn has_others(&self, _: Pid) -> bool {
        false
    }

    /// Kills what is known of it beside its group.
    pub(super) const fn kill(&self) {}

    /// Returns false: it can't be told here what belongs to it.
    pub(super) async fn gone(&mut self, _: &str) -> bool {
        false
    }
}

/// Fails: orphans go to the first process of the machine.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
