//! The commands of a client, against any ACI server: `actiond send`, `status`, `list` and so on.
//!
//! Nothing of a server runs here, and a server pays nothing for it. A command is a file, or a folder; what it prints is made by
//! pure functions, which the tables of their tests judge.
//!
//! | module | what it is |
//! |---|---|
//! | `args` | the commands, and the options that several of them share |
//! | `connection` | the server and the key, from options, environment and files |
//! | `session` | what each command works with: client and output |
//! | `failure`, `exit` | errors, with what to do about them; exit codes |
//! | `values`, `filters` | `Name=Value` of the command line; the filters of lists |
//! | `show/` | forms of output: tree, table, CSV, durations |
//! | `ask` | questions |
//! | `follow/` | waiting for the end of an action |
//! | `bench/`, `watch/`, `steer/` | commands with several files |
//! | the others | a command each |

mod args;
mod ask;
mod backup;
mod bench;
mod connection;
mod events;
mod exit;
mod failure;
mod filters;
mod follow;
mod list;
mod params;
mod queues;
mod schedules;
mod send;
mod session;
mod show;
mod status;
mod steer;
mod values;
mod watch;

use std::process::ExitCode;

pub(super) use args::ClientCommand;
use exit::Exit;
use failure::Failure;

/// A command to a server, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(pub(super) ClientCommand);

/// Runs a command, and returns its exit code: see [`Exit`].
pub(super) fn run(Given(command): Given) -> ExitCode {
    // Only a measurement has use for several threads.
    let mut builder = match command {
        ClientCommand::Bench(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let outcome = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::Local(format!("no runtime can be started: {error}")))
        .and_then(|runtime| {
            let outcome = runtime.block_on(perform(command));
            // A question that nobody has answered must not keep the program.
            runtime.shutdown_background();
            outcome
        });
    outcome.unwrap_or_else(|failure| failure.tell()).into()
}

async fn perform(command: ClientCommand) -> Result<Exit, Failure> {
    match command {
        ClientCommand::Send(args) => send::run(args).await,
        ClientCommand::Status(args) => status::run(args).await,
        ClientCommand::List(args) => list::run(args).await,
        ClientCommand::Params(args) => params::run(args).await,
        ClientCommand::Cancel(args) => steer::cancel(args).await,
        ClientCommand::Stop(args) => steer::stop(args).await,
        ClientCommand::Priority(args) => steer::priority(args).await,
        ClientCommand::Pause(args) => steer::pause(args).await,
        ClientCommand::Resume(args) => steer::resume(args).await,
        ClientCommand::Duplicate(args) => steer::duplicate(args).await,
        ClientCommand::Retry(args) => steer::retry(args).await,
        ClientCommand::Delete(args) => steer::delete(args).await,
        ClientCommand::Queues(args) => queues::run(args).await,
        ClientCommand::Watch(args) => watch::run(args).await,
        ClientCommand::Events(args) => events::run(args).await,
        ClientCommand::Schedules(args) => schedules::run(args).await,
        ClientCommand::Backup(args) => backup::run(args).await,
        ClientCommand::Bench(args) => bench::run(args).await,
    }
}
