//! The kinds of asynchronous action: what `Type` of a queue names.
//!
//! A kind is a folder here and a line in [`Kinds::shipped`]: a [`Kind`], which describes its parameters for Help and its keys
//! for the configuration, and a performer of the runtime, which does the work. [`echo`] repeats its parameters, [`ingest`]
//! turns documents into batches of files, and [`fetch`] crawls directories and hands the files to a queue that takes
//! documents, here or elsewhere. `command` runs a program for each action, on Unix; [`remote`] leaves the work to workers
//! elsewhere, [`forward`] to another server. A program that embeds the server adds kinds by [`Kinds::with`].
//!
//! `kind` has the traits that a kind implements, `registry` the list of kinds, `results` the forms in which a
//! result may come from outside.

use actiond_actors::{ActionContext, Progress, Report, StopRequested};

pub(crate) use crate::aci::words::shorten;
#[cfg(unix)]
pub(crate) use command::reserve as reserve_descriptor;

#[cfg(unix)]
pub mod command;
pub mod echo;
pub mod fetch;
pub mod forward;
pub mod ingest;
mod kind;
#[cfg(test)]
mod kind_tests;
mod registry;
pub mod remote;
pub(crate) mod results;
#[cfg(test)]
mod system_tests;

pub use kind::{ConfiguredQueue, ConfiguredQueues, Kind, MakeToken, Site, WrittenDirectory};
pub use registry::{KindRefused, Kinds};

/// The part of its [`ActionContext`] that blocking work needs; a trait, so that the work can be tested
/// without a runtime.
pub(crate) trait WorkContext {
    /// Blocks while the action is paused; fails once it has been asked to stop.
    fn checkpoint(&self) -> Result<(), StopRequested>;
    /// Publishes the progress.
    fn progress(&self, progress: Progress);
    /// Publishes the result so far.
    fn partial(&self, report: Report);
    /// Reports an error after which the work goes on.
    fn report_error(&self, _error: &str) {}
}

impl WorkContext for ActionContext {
    fn checkpoint(&self) -> Result<(), StopRequested> {
        self.checkpoint_blocking()
    }

    fn progress(&self, progress: Progress) {
        self.set_progress(progress);
    }

    fn partial(&self, report: Report) {
        self.set_partial(report);
    }

    fn report_error(&self, error: &str) {
        Self::report_error(self, error);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A stand-in for the context of a running action.

    use std::cell::{Cell, RefCell};

    use super::{Progress, Report, StopRequested, WorkContext};

    /// Counts checkpoints, may refuse one, and keeps what was published.
    #[derive(Debug, Default)]
    pub(crate) struct RecordingContext {
        pub(crate) checkpoints: Cell<usize>,
        pub(crate) stop_at: Option<usize>,
        pub(crate) progress: RefCell<Vec<Progress>>,
        pub(crate) partial: RefCell<Vec<Report>>,
    }

    impl WorkContext for RecordingContext {
        fn checkpoint(&self) -> Result<(), StopRequested> {
            self.checkpoints.set(self.checkpoints.get() + 1);
            if self.stop_at.is_some_and(|at| self.checkpoints.get() >= at) {
                return Err(StopRequested);
            }
            Ok(())
        }

        fn progress(&self, progress: Progress) {
            self.progress.borrow_mut().push(progress);
        }

        fn partial(&self, report: Report) {
            self.partial.borrow_mut().push(report);
        }
    }
}
