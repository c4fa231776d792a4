//! The commands of a client, and the options that several of them share. Those of one command are in its own file.

use std::time::Duration;

pub(crate) use super::backup::BackupArgs;
pub(crate) use super::bench::BenchArgs;
pub(crate) use super::connection::ConnectionArgs;
use super::connection::seconds;
pub(crate) use super::events::EventsArgs;
pub(crate) use super::list::ListArgs;
pub(crate) use super::params::ParamsArgs;
pub(crate) use super::queues::QueuesArgs;
pub(crate) use super::schedules::SchedulesArgs;
pub(crate) use super::send::SendArgs;
pub(crate) use super::status::StatusArgs;
pub(crate) use super::steer::{DuplicateArgs, ManyArgs, PauseArgs, PriorityArgs, StopArgs};
pub(crate) use super::watch::WatchArgs;

/// The exit codes, for the help of commands that wait.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 done, or Finished; 3 Error; 4 cancelled; 5 stopped; 9 not ended; 6 refused or not allowed; \
    7 not reachable; 8 no ACI server; 1 a failure here; 2 a command line that can't be used.";

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub(crate) enum ClientCommand {
    /// Send an action to a server, and wait for its end if wanted
    ///
    /// The reply is printed: the token of an action that is queued, the result of one that answers at once.
    #[command(after_help = EXIT_CODES)]
    Send(Box<SendArgs>),
    /// Show an action
    #[command(after_help = EXIT_CODES)]
    Status(Box<StatusArgs>),
    /// List the actions of a queue
    List(Box<ListArgs>),
    /// Show the parameters of an action, or of all in a queue that have not ended
    Params(Box<ParamsArgs>),
    /// Cancel actions that are queued
    Cancel(Box<ManyArgs>),
    /// Stop actions
    Stop(Box<StopArgs>),
    /// Change the priority of actions that are queued
    Priority(Box<PriorityArgs>),
    /// Pause actions, or a queue
    Pause(Box<PauseArgs>),
    /// Resume actions, or a queue
    Resume(Box<PauseArgs>),
    /// Queue a copy of an action
    Duplicate(Box<DuplicateArgs>),
    /// Start the next attempt at actions at once
    Retry(Box<ManyArgs>),
    /// Delete actions that have ended, for good
    Delete(Box<ManyArgs>),
    /// Show the queues of a server
    Queues(Box<QueuesArgs>),
    /// Watch queues and running actions, and steer them, on the whole screen
    Watch(Box<WatchArgs>),
    /// Follow what happens in the queues
    Events(Box<EventsArgs>),
    /// List schedules, and steer them
    Schedules(Box<SchedulesArgs>),
    /// Have a server write a backup of all that it keeps
    Backup(Box<BackupArgs>),
    /// Measure how many actions a server takes
    Bench(Box<BenchArgs>),
}

/// Reads the token of an action, or what else may stand in its place. One that is empty, such as a variable that was not set, would
/// mean the whole queue to a server.
pub(super) fn token(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty, and an empty one would mean the whole queue".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct FormArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "xml", global = true)]
    pub(crate) json: bool,
    /// Print XML
    #[arg(long, global = true)]
    pub(crate) xml: bool,
}

/// The options of commands that wait for the end of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct WaitArgs {
    /// Wait for the end of the action, show its progress, and print its result; the exit code is by its final state
    ///
    /// Ctrl-C on a terminal asks what to do: stop the action, leave it, or go on.
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// Wait for so many seconds at most; the exit code is 9 if it has not ended then
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "wait")]
    pub(crate) at_most: Option<Duration>,
}

/// The queue of tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct QueueArgs {
    /// Queue of the action, for servers whose tokens do not tell it
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
}
