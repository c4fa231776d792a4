//! The performer of a queue's actions: it starts the program of each.

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use actiond_actors::{ActionContext, Failure, Perform, Work};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::super::MakeToken;
use super::descriptor::{PROGRESS_FD, spawn};
use super::directory::{Before, Place};
use super::input::{self, Environment};
use super::run::{Begun, Run, Unbegun, Workplace};
use super::settings::CommandSettings;

/// Number of descriptors that a start must leave for the rest of the server, which needs some to find out what runs.
const LEFT_FREE: u64 = 64;

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
        let unbegun = Unbegun::of(context.clone());
        match self.begin(context) {
            Ok((launch, run)) => {
                let (begins, begun) = oneshot::channel();
                let mut begins = Some(begins);
                let command = launch.command();
                let start = move |command: &mut Command| match launch.start(command) {
                    Ok((child, begun)) => {
                        if let Some(begins) = begins.take() {
                            // The work is there until it has this.
                            let _ = begins.send(begun);
                        }
                        Ok(child)
                    }
                    Err(error) => {
                        // A pipe that was put into the other one stays open there.
                        *command = launch.command();
                        Err(error)
                    }
                };
                Work::process_started_by(command, start, |child| {
                    unbegun.has_begun();
                    run.accompany(child, begun)
                })
            }
            Err(failure) => Work::done(Err(failure)),
        }
    }

    fn can_pause(&self) -> bool {
        true
    }
}

impl Performer {
    /// Makes all that a program needs, but for descriptors.
    fn begin(&self, context: ActionContext) -> Result<(Launch, Run), Failure> {
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
        let (workplace, directory) = match &self.settings.directory {
            Some(directory) => (Workplace::Common, directory.clone()),
            None => {
                let fresh = self.place.make(&context).map_err(|error| {
                    log::warn!(
                        "queue {}: no working directory can be made: {error}",
                        context.queue_name()
                    );
                    Failure::failed(format!("no working directory can be made: {}", error.kind()))
                })?;
                let path = fresh.path().to_owned();
                (Workplace::Fresh(fresh), path)
            }
        };
        let settings = Arc::clone(&self.settings);
        let program = self.program.clone();
        let launch = Launch { program, arguments, environment, directory, settings };
        let settings = Arc::clone(&self.settings);
        Ok((launch, Run { settings, context, workplace, input }))
    }
}

/// All that a program is started with.
struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Environment,
    /// The directory in which it is to work.
    directory: PathBuf,
    settings: Arc<CommandSettings>,
}

impl Launch {
    /// Starts the program. Nothing is left open if that fails, so that it can be tried again.
    fn start(&self, command: &mut Command) -> io::Result<(Child, Begun)> {
        let (progress, told) = progress_pipe()?;
        if !leaves_enough(&told) {
            return Err(Errno::MFILE.into());
        }
        let before = match self.is_shared() {
            true => Before::look(&self.directory)?,
            false => Before::default(),
        };
        let forks = self.settings.account.is_some();
        let child = spawn(command, told, forks).map_err(|error| self.explained(error))?;
        Ok((child, Begun { progress, before }))
    }

    /// Tells whether it works in the directory of all.
    fn is_shared(&self) -> bool {
        self.settings.directory.is_some()
    }

    /// Makes its command.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0(&self.settings.template.program).args(&self.arguments);
        command.env_clear().envs(&self.environment).current_dir(&self.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(account) = &self.settings.account {
            command.uid(account.user.as_raw()).gid(account.group.as_raw());
        }
        command
    }

    /// Says which path an error is about, unless that error passes.
    fn explained(&self, error: io::Error) -> io::Error {
        let (program, kind) = (self.program.display(), error.kind());
        let missing = kind == io::ErrorKind::NotFound;
        let text = match Errno::from_io_error(&error) {
            _ if self.is_shared() && !self.directory.is_dir() => {
                format!("there is no directory {} for it to work in", self.directory.display())
            }
            Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN) => return error,
            _ if missing && !self.program.is_absolute() => {
                format!("{program}: there is no such program in PATH")
            }
            _ if missing && self.program.exists() => format!(
                "{program}: what it is run by is not there, an interpreter that its first line names or a library"
            ),
            _ => format!("{program}: {error}"),
        };
        io::Error::new(kind, text)
    }
}

/// Tells whether enough descriptors are free beside this one, which has the lowest number that was free.
fn leaves_enough(descriptor: &PipeWriter) -> bool {
    let number = u64::try_from(descriptor.as_raw_fd()).unwrap_or_default();
    // A limit that leaves less than that for programs leaves hardly enough for the rest.
    let has_room = |limit: u64| number < limit.saturating_sub(LEFT_FREE.min(limit / 4));
    getrlimit(Resource::Nofile).current.is_none_or(has_room)
}

/// Makes the pipe on which a program tells its progress.
fn progress_pipe() -> io::Result<(pipe::Receiver, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}
