//! `Type=Command` in the configuration: its keys, and what is read of them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::Perform;
use nix::unistd::{Gid, Uid, User, geteuid};

use super::super::{ConfiguredQueue, Site};
use super::directory::{Keep, Place, StartId};
use super::end::End;
use super::input::{self, Environment};
use super::perform::Performer;
use super::program::{as_named, found};
use super::template::{Taken, Template, Without};
use crate::aci::catalog::{ANY, ParamKind, ParamSpec};
use crate::config::{Key, QueueLimits, SectionReader, ValueKind};
use crate::kinds::shorten;

const CENTURY: i64 = 36_525 * 86_400;

pub(super) const KEYS: &[&Key] = &[
    COMMAND,
    WORKING_DIRECTORY,
    KEEP_WORKING_DIRECTORY,
    ENVIRONMENT,
    MORE_ENVIRONMENT,
    NUMBERED,
    INHERIT_ENVIRONMENT,
    USER,
    TIMEOUT_SECS,
    MAX_OUTPUT_BYTES,
    SUCCESS_EXIT_CODES,
];

const COMMAND: &Key = &Key::required(
    "Command",
    ValueKind::Text,
    "ffmpeg -nostdin -i {Input} -vf scale={Width:1280}:-2 {Output}",
    "The program and its arguments, split at spaces as a shell does it, quotes included; no shell runs it. {Name} is the value of a parameter, {Name?} of one that may be missing, {Name:text} of one with a default; {{ is a brace. Must be given.",
);

const WORKING_DIRECTORY: &Key = &Key::optional(
    "WorkingDirectory",
    ValueKind::TextOrEmpty("the path of a directory that is there"),
    "/tmp",
    "The directory in which the programs work. By default, or if it is empty, each has a fresh one below the data directory.",
);

const KEEP_WORKING_DIRECTORY: &Key = &Key::with_default(
    "KeepWorkingDirectory",
    ValueKind::OneOf(&["never", "failed", "always"]),
    "never",
    "Which fresh directories are kept after the end: none, those of actions that failed, or all. Nothing ever deletes those.",
);

const ENVIRONMENT: &Key = &Key::optional(
    "Environment",
    ValueKind::TextOrEmpty("NAME=VALUE"),
    "LANG=C.UTF-8",
    "A variable for the environment of the programs.",
);

const MORE_ENVIRONMENT: &Key = &Key::numbered(
    "Environment0",
    ValueKind::Text,
    "OMP_NUM_THREADS=1",
    "More of them, NAME=VALUE each: Environment0, Environment1 and so on.",
);

const NUMBERED: &Key = &Key::numbered(
    "0",
    ValueKind::Text,
    "PYTHONUNBUFFERED=1",
    "The same in the short form: 0, 1 and so on.",
);

const INHERIT_ENVIRONMENT: &Key = &Key::with_default(
    "InheritEnvironment",
    ValueKind::Boolean,
    "false",
    "Whether the programs get the whole environment of the server. By default they get PATH, HOME, LANG and TZ of it.",
);

const USER: &Key = &Key::with_default(
    "User",
    ValueKind::TextOrEmpty("the name or the number of a user"),
    "",
    "The user as which the programs run; the server has to run as root for that. By default, or if it is empty, it is the server's own.",
);

const TIMEOUT_SECS: &Key = &Key::with_default(
    "TimeoutSecs",
    ValueKind::Seconds { max: CENTURY },
    "0",
    "How long a program may run, pauses not counted; 0 is for ever. Then it is stopped, and the action ends in Error.",
)
.read_again();

const MAX_OUTPUT_BYTES: &Key = &Key::with_default(
    "MaxOutputBytes",
    ValueKind::from_to(0, 100_000_000),
    "1000000",
    "How much of the standard output, or of a result file, is kept.",
);

const SUCCESS_EXIT_CODES: &Key = &Key::with_default(
    "SuccessExitCodes",
    ValueKind::Texts("numbers from 0 to 255"),
    "0",
    "The exit codes with which an action ends Finished.",
);

/// One queue with `Type=Command`.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// The queue's name.
    name: String,
    pub(super) template: Template,
    /// The directory in which all programs work.
    pub(super) directory: Option<PathBuf>,
    keep: Keep,
    environment: Vec<(String, String)>,
    inherits: bool,
    pub(super) account: Option<Account>,
    time_limit: Option<Duration>,
    pub(super) max_output: usize,
    success: Vec<i32>,
}

/// The user as which programs run.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) user: Uid,
    pub(super) group: Gid,
    name: String,
    home: PathBuf,
}

impl CommandSettings {
    pub(super) fn read(section: &mut SectionReader<'_, '_>, looks: bool) -> Self {
        let command = section.text(COMMAND).unwrap_or_default();
        let template = Template::parse(&command).unwrap_or_else(|reason| {
            // One that is missing was told already.
            if section.gives(COMMAND) && !command.is_empty() {
                section.problem(COMMAND, reason);
            }
            Template::nothing()
        });
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let directory = given(section.text(WORKING_DIRECTORY)).map(PathBuf::from);
        if looks
            && let Some(directory) = &directory
            && !directory.is_dir()
        {
            section.problem(
                WORKING_DIRECTORY,
                "must be the path of a directory, and there is none now",
            );
        }
        let keep = match section.word(KEEP_WORKING_DIRECTORY) {
            Some("always") => Keep::Always,
            Some("failed") => Keep::Failed,
            _ => Keep::Never,
        };
        if directory.is_some() && keep != Keep::Never {
            section.warning(
                KEEP_WORKING_DIRECTORY,
                "has no effect: a WorkingDirectory is always kept",
            );
        }
        let user = given(section.text(USER));
        let account = user.filter(|_| looks).and_then(|user| account(&user, section));
        let max_output = section.size(MAX_OUTPUT_BYTES);
        let settings = Self {
            name: section.name().to_owned(),
            template,
            directory: directory.map(|path| std::path::absolute(&path).unwrap_or(path)),
            keep,
            environment: environment(section),
            inherits: section.boolean(INHERIT_ENVIRONMENT),
            account,
            time_limit: Some(section.seconds(TIMEOUT_SECS)).filter(|limit| !limit.is_zero()),
            max_output,
            success: success(section),
        };
        if looks {
            settings.look_for_program(section);
        }
        settings
    }

    /// Tells if an action whose program ended so has done its work.
    pub(super) fn is_success(&self, end: End) -> bool {
        matches!(end, End::Code(code) if self.success.contains(&code))
    }

    /// Returns what is in the environment of every program.
    fn environment(&self) -> Environment {
        let mut environment = input::base(std::env::vars_os(), self.inherits);
        if let Some(Account { name, home, .. }) = &self.account {
            environment.insert("HOME".into(), home.into());
            environment.insert("USER".into(), name.into());
            environment.insert("LOGNAME".into(), name.into());
        }
        let given = self.environment.iter();
        environment.extend(given.map(|(name, value)| (name.into(), value.into())));
        environment
    }

    /// Warns of a program that is not there. It may be installed later, and other queues have work to do.
    fn look_for_program(&self, section: &mut SectionReader<'_, '_>) {
        let (name, environment) = (&self.template.program, self.environment());
        if !name.is_empty()
            && let Err(reason) = found(name, path_in(&environment))
        {
            let what_follows = "its actions end in Error until it can be run";
            section.warning(COMMAND, &format!("{reason}; {what_follows}"));
        }
    }

    /// Returns the place of the fresh directories.
    fn place(&self, site: &Site<'_>) -> Place {
        let start = site.shared(StartId::new);
        let owner = self.account.as_ref().map(|account| (account.user, account.group));
        Place::new(site.data_directory(), &self.name, start, self.keep, owner)
    }
}

impl ConfiguredQueue for CommandSettings {
    fn params(&self) -> Option<Vec<ParamSpec>> {
        let of_command = self.template.takes.iter().map(|Taken { name, without }| {
            let summary = match without {
                Without::Refused => "A value for the command.".to_owned(),
                Without::LeftOut => "A value for the command; nothing if not set.".to_owned(),
                Without::Default(text) => format!("A value for the command; {text:?} if not set."),
            };
            ParamSpec {
                name: name.clone().into(),
                kind: ParamKind::Argument,
                required: *without == Without::Refused,
                summary: summary.into(),
                is_secret: false,
            }
        });
        let others = ParamSpec::optional(
            ANY,
            ParamKind::Argument,
            "Anything else is passed to the program on its standard input and in its environment.",
        );
        Some(of_command.chain([others]).collect())
    }

    fn adjust(&self, limits: &mut QueueLimits) {
        limits.time_limit = self.time_limit;
    }

    fn runs_programs(&self) -> bool {
        true
    }

    /// Four pipes, of which it may take the second ends too while it starts, and a handle of the process.
    fn open_files(&self) -> u32 {
        9
    }

    fn performer(&self, site: &Site<'_>) -> Arc<dyn Perform> {
        let environment = self.environment();
        // To look for it now saves looking for it at each start. Where it has gone meanwhile, each start says so.
        let name = &self.template.program;
        let program = found(name, path_in(&environment));
        Arc::new(Performer {
            program: program.unwrap_or_else(|_| as_named(name)),
            settings: Arc::new(self.clone()),
            place: self.place(site),
            environment,
            token: site.tokens(),
        })
    }

    fn started(&self, site: &Site<'_>) {
        let place = self.place(site);
        // It may be much, and nothing waits for it. Without a thread the next start does it.
        let _ = std::thread::Builder::new().spawn(move || place.clear());
    }
}

fn path_in(environment: &Environment) -> Option<&OsStr> {
    environment.get(OsStr::new("PATH")).map(AsRef::as_ref)
}

/// Reads the variables of the environment.
fn environment(section: &mut SectionReader<'_, '_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let single = section.text(ENVIRONMENT).into_iter().filter(|text| !text.is_empty()).collect();
    let keys = [(ENVIRONMENT, single)];
    let numbered = [MORE_ENVIRONMENT, NUMBERED].map(|key| (key, section.texts(key)));
    for (key, texts) in keys.into_iter().chain(numbered) {
        for text in texts {
            match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some((name, _)) if name.to_ascii_uppercase().starts_with(input::OWN) => {
                    let reason = format!(
                        "sets {}: names that begin with {} are the server's own",
                        shorten(name),
                        input::OWN
                    );
                    section.problem(key, reason);
                }
                Some((name, value)) if !name.is_empty() => {
                    all.push((name.to_owned(), value.to_owned()));
                }
                // The value may be a secret, so it is not told.
                Some(_) => section.problem(key, "must be NAME=VALUE, and has no name"),
                None => section.problem(key, "must be NAME=VALUE, and has no ="),
            }
        }
    }
    all
}

/// Reads the exit codes.
fn success(section: &mut SectionReader<'_, '_>) -> Vec<i32> {
    let codes = section.texts(SUCCESS_EXIT_CODES);
    let codes = codes.iter().map(|code| code.parse::<u8>().ok().map(i32::from));
    match codes.collect::<Option<Vec<_>>>() {
        Some(codes) if !codes.is_empty() => codes,
        _ => {
            let reason = "must be one or more numbers from 0 to 255, with commas between them";
            section.problem(SUCCESS_EXIT_CODES, reason);
            Vec::new()
        }
    }
}

/// Finds the user as which the programs run; `None` if it is the server's own.
fn account(given: &str, section: &mut SectionReader<'_, '_>) -> Option<Account> {
    let found = match given.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(given),
    };
    let reason = match found {
        Ok(Some(user)) if user.uid == geteuid() => return None,
        Ok(Some(user)) if geteuid().is_root() => {
            return Some(Account {
                user: user.uid,
                group: user.gid,
                name: user.name,
                home: user.dir,
            });
        }
        Ok(Some(_)) => {
            "names another user than the server's own, which only a server that runs as root may"
                .to_owned()
        }
        Ok(None) => {
            "must be the name or the number of a user of this machine, and there is none".to_owned()
        }
        Err(error) => format!("can't be looked up: {error}"),
    };
    section.problem(USER, reason);
    None
}
