//! Command: a program for each action, in any language.
//!
//! | module | contents |
//! |---|---|
//! | `settings` | the keys of a queue |
//! | `template` | the command line, with places for parameters |
//! | `program` | where the program is |
//! | `input` | the parameters as JSON, and the environment |
//! | `directory` | working directories, and the result files in them |
//! | `perform` | what a program needs to start |
//! | `descriptor` | its start, with a pipe as its descriptor 3 |
//! | `run` | its run: it is fed and heard, and its end is made the action's |
//! | `ear`, `lines` | its output, progress, partial results and log |
//! | `result`, `end` | its result and its end in the words of a reply |
//!
//! The runtime steers, ends and waits for processes ([`Work::process`](actiond_actors::Work::process)).

mod descriptor;
mod directory;
mod ear;
mod end;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod input;
mod lines;
mod perform;
mod program;
mod result;
mod run;
mod settings;
mod template;

use std::sync::Arc;

use super::{ConfiguredQueues, Kind};
use crate::aci::catalog::{ANY, ParamKind, ParamSpec};
use crate::config::{Key, KindReader};
pub(crate) use descriptor::reserve;
pub(crate) use input::PASSED_ON;
pub use settings::CommandSettings;

/// The parameters of a command of which nothing is known.
const PARAMS: &[ParamSpec] =
    &[ParamSpec::optional(ANY, ParamKind::Argument, "Whatever the command takes.")];

/// `Type=Command`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandKind;

impl Kind for CommandKind {
    fn word(&self) -> &'static str {
        "Command"
    }

    fn summary(&self) -> &'static str {
        "Runs a program."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn keys(&self) -> &'static [&'static Key] {
        settings::KEYS
    }

    fn example(&self) -> (&'static str, &'static str) {
        ("Convert", "A queue that runs a program for each action.")
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        let looks = config.may_look_at_disk();
        config.each_queue(|section| Arc::new(CommandSettings::read(section, looks)))
    }
}
