//! The performer of a queue's actions: it starts the program of each.

use std::io::{self, PipeWriter};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use actiond_actors::{ActionContext, Failure, Perform, Work};
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::super::MakeToken;
use super::descriptor::{PROGRESS_FD, spawn};
use super::directory::{Before, Place};
use super::input::{self, Environment};
use super::run::{Run, Workplace};
use super::settings::CommandSettings;

/// The performer of Command actions.
pub(super) struct Performer {
    /// The program: an absolute path, or a name that was not found.
    pub(super) program: PathBuf,
    pub(super) settings: Arc<CommandSettings>,
    pub(super) place: Place,
    pub(super) environment: Environment,
    pub(super) token: MakeToken,
}

impl Perform for Performer {
    fn perform(&self, context: ActionContext) -> Work {
        match self.begin(context) {
            Ok((command, told, run)) => {
                let forks = self.settings.account.is_some();
                let start = move |command: &mut Command| spawn(command, told, forks);
                Work::process_started_by(command, start, |child| run.accompany(child))
            }
            Err(failure) => Work::done(Err(failure)),
        }
    }

    fn can_pause(&self) -> bool {
        true
    }
}

impl Performer {
    /// Makes all that a program needs, with its end of the pipe for its progress.
    fn begin(&self, context: ActionContext) -> Result<(Command, PipeWriter, Run), Failure> {
        let template = &self.settings.template;
        let given = context.parameters();
        let arguments = template.arguments(given).map_err(Failure::fatal)?;
        let mut environment = self.environment.clone();
        input::add_parameters(&mut environment, given, &template.takes);
        let own = |name: &str| format!("{}{name}", input::OWN).into();
        environment.insert(own("QUEUE"), context.queue_name().into());
        environment.insert(own("ATTEMPT"), context.attempt_number().to_string().into());
        environment.insert(own("PROGRESS_FD"), PROGRESS_FD.to_string().into());
        if let Some(action) = context.action() {
            environment.insert(own("TOKEN"), (self.token)(context.queue_name(), action).into());
        }
        let input = input::json(given, &template.takes);

        let mut command = Command::new(&self.program);
        command.arg0(&template.program).args(arguments).env_clear().envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let workplace = match &self.settings.directory {
            Some(directory) => {
                command.current_dir(directory);
                Workplace::Common(Before::look(directory))
            }
            None => {
                let fresh = self.place.make(&context).map_err(|error| {
                    log::warn!(
                        "queue {}: no working directory can be made: {error}",
                        context.queue_name()
                    );
                    Failure::failed(format!("no working directory can be made: {}", error.kind()))
                })?;
                command.current_dir(fresh.path());
                Workplace::Fresh(fresh)
            }
        };
        if let Some(account) = &self.settings.account {
            command.uid(account.user.as_raw()).gid(account.group.as_raw());
        }
        let (progress, told) = progress_pipe()
            .map_err(|error| Failure::failed(format!("no pipe can be made: {error}")))?;
        let settings = Arc::clone(&self.settings);
        Ok((command, told, Run { settings, context, workplace, input, progress }))
    }
}

/// Makes the pipe on which a program tells its progress.
fn progress_pipe() -> io::Result<(pipe::Receiver, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}
