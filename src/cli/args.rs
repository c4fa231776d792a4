//! The arguments of the command line, also in the vendor's spelling.
//!
//! Nothing is done here. What a [`Command`] does: `serve` is in [`super::serve`], `config` in [`crate::config`], `migrate`, `compact`
//! and `restore` in their own files, commands to a server in [`super::client`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};

use super::client::{ClientCommand, Given};

/// The arguments of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The command.
    pub command: Command,
}

/// A command of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the server: `actiond` or `actiond serve`.
    Serve(ServeArgs),
    /// Print every setting with its default and meaning, `actiond config`; check a configuration file, `actiond config check FILE`;
    /// or print what is in force, `actiond config show FILE` or `actiond config --config FILE`.
    Config(ConfigArgs),
    /// Make a key and print it with its hash: `actiond key`.
    Key,
    /// Move all actions from a data directory to a database, or back: `actiond migrate --from DIR --to postgres://...`.
    Migrate(MigrateArgs),
    /// Rewrite the database of a data directory without its free space: `actiond compact --data DIR`.
    Compact(CompactArgs),
    /// Put a backup in the place of the data while no server runs: `actiond restore --from FILE --data DIR`.
    Restore(RestoreArgs),
    /// A command to a server that runs: `actiond send` and others.
    Client(Given),
    /// Print the completions of a shell: `actiond completions bash`.
    Completions(CompletionsArgs),
    /// Write the pages of the manual into a directory: `actiond man DIR`.
    Man(ManArgs),
}

/// The options of `actiond completions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

/// The options of `actiond man`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ManArgs {
    /// Directory for the pages; it is made if it is missing
    pub directory: PathBuf,
}

/// The options of `actiond restore`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct RestoreArgs {
    /// Archive of a backup, or directory before-restore-... that a restore has left in the data directory
    ///
    /// It is checked before anything is touched, and stays as it is. The disk must have room for another copy of its databases.
    #[arg(long, value_name = "PATH")]
    pub from: PathBuf,
    /// Data directory, which no server uses meanwhile
    ///
    /// Databases that are there are moved into a directory before-restore-... in it.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// The options of `actiond compact`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct CompactArgs {
    /// Data directory, which no server uses meanwhile
    ///
    /// The disk must have room for twice what the database holds. If it is interrupted, the database is as before.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// The options of `actiond migrate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct MigrateArgs {
    /// Place to move from: a data directory; or a database as `postgres://USER@HOST/DATABASE`, as `host=HOST user=USER`, or as
    /// `@FILE` with that on its first line
    ///
    /// No server may use it meanwhile. It stays as it is. A password that is not given is looked for in PGPASSWORD and in the
    /// password file, as with `[Actions] ConnectionString`. A directory with a = in its name begins with ./ or /.
    #[arg(long, value_name = "PLACE")]
    pub from: OsString,
    /// Place to move to, of the other kind: empty, or left by a move from the same place that was interrupted
    #[arg(long, value_name = "PLACE")]
    pub to: OsString,
    /// Schema of the database
    #[arg(long, value_name = "NAME", default_value = "actiond", value_parser = schema)]
    pub schema: String,
    /// Host in the tokens of the actions in the directory [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port in the tokens of the actions in the directory [default: 7000]
    #[arg(long, value_name = "N", value_parser = port_in_use)]
    pub port: Option<u16>,
    /// Configuration file of the server that has used the directory: host and port are those of its section Server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The options of `actiond config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    /// What to do with a file
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
    /// Configuration file to check: print the value of each setting in force, and where it comes from
    ///
    /// The exit code is 2 if the file can't be used. What only a start can find, such as an address that can't be
    /// bound, is not looked for. The vendor's spelling `-configfile FILE` is
    /// accepted too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A command about a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file: say what is wrong with it, or that it can be used
    ///
    /// The exit code is 2 if the file can't be used. What only a start can find, such as an address that can't be
    /// bound, is not looked for.
    Check {
        /// Configuration file
        file: PathBuf,
    },
    /// Print the value of each setting in force, and where it comes from
    Show {
        /// Configuration file [default: actiond.cfg in the working directory, if there is one]
        file: Option<PathBuf>,
    },
}

/// The options of `actiond serve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ServeArgs {
    /// Configuration file [default: actiond.cfg in the working directory, if there is one]
    ///
    /// The vendor's spelling `-configfile FILE` is accepted too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Port for ACI requests, in place of `[Server] Port`; 0 takes any free one
    #[arg(long, value_name = "N", value_parser = port)]
    pub port: Option<u16>,
    /// Data directory, in place of `[Paths] DataDirectory`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Args {
    /// Reads the arguments, of which the first is the program's name.
    ///
    /// # Errors
    ///
    /// The error of clap for arguments that cannot be used. A request for `--help` or `--version` is such an error too:
    /// `clap::Error::exit` prints it and ends the program with the right code.
    ///
    /// # Examples
    ///
    /// ```
    /// use actiond::cli::args::{Args, Command};
    /// let args = Args::parse_from(["actiond", "-configfile", "my.cfg", "--port", "0"])?;
    /// let Command::Serve(serve) = args.command else { unreachable!() };
    /// assert_eq!(serve.config, Some("my.cfg".into()));
    /// assert_eq!(serve.port, Some(0));
    /// # Ok::<(), clap::Error>(())
    /// ```
    pub fn parse_from<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString>,
    {
        let arguments: Vec<_> = arguments.into_iter().map(|part| modern(part.into())).collect();
        if let Some(command) = serve_alone(&arguments) {
            return Ok(Self { command });
        }
        let cli = Cli::try_parse_from(arguments)?;
        let command = match cli.command {
            None => Command::Serve(cli.serve),
            Some(Subcommand::Serve(serve)) => Command::Serve(serve),
            Some(Subcommand::Config(config)) => Command::Config(config),
            Some(Subcommand::Key) => Command::Key,
            Some(Subcommand::Migrate(migrate)) => Command::Migrate(migrate),
            Some(Subcommand::Compact(compact)) => Command::Compact(compact),
            Some(Subcommand::Restore(restore)) => Command::Restore(restore),
            Some(Subcommand::Completions(args)) => Command::Completions(args),
            Some(Subcommand::Man(args)) => Command::Man(args),
            Some(Subcommand::Client(command)) => Command::Client(Given(command)),
        };
        Ok(Self { command })
    }
}

/// The command line of a server and nothing else.
#[derive(Debug, Parser)]
struct ServeAlone {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Reads a good command line of a server, which then does not pay for the definitions of some thirty commands. Any other is read, or
/// refused, by the whole definition.
fn serve_alone(arguments: &[OsString]) -> Option<Command> {
    let (program, rest) = arguments.split_first()?;
    let rest = match rest.split_first() {
        Some((first, behind)) if first == "serve" => behind,
        _ => rest,
    };
    let parsed = ServeAlone::try_parse_from(std::iter::once(program).chain(rest)).ok()?;
    Some(Command::Serve(parsed.serve))
}

/// An open server for asynchronous actions that speaks ACI, the HTTP protocol of
/// Autonomy/HPE/OpenText servers.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "actiond", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Subcommand>,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Run the server (this is the default)
    Serve(ServeArgs),
    /// Print every setting with its default and meaning, as a configuration file; or check one, or show what is in force
    Config(ConfigArgs),
    /// Make a key for a client, and print it once with the hash for the server's configuration
    Key,
    /// Move all actions from a data directory to a PostgreSQL database, or back
    Migrate(MigrateArgs),
    /// Rewrite the database of a data directory without its free space
    Compact(CompactArgs),
    /// Put a backup in the place of what is in a data directory, while no server runs
    Restore(RestoreArgs),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the completions of a shell
    ///
    /// For bash: `actiond completions bash > /etc/bash_completion.d/actiond`. The Debian package has them, for bash, zsh and fish.
    Completions(CompletionsArgs),
    /// Write the pages of the manual, one for each command, into a directory
    Man(ManArgs),
}

/// Returns the definition of the command line.
pub(super) fn definition() -> clap::Command {
    Cli::command()
}

/// Reads a port as the configuration does: digits alone.
fn port(text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| text.parse().ok()).flatten();
    port.ok_or_else(|| format!("{text} is not in 0..=65535"))
}

/// Reads a port that a server can have had.
fn port_in_use(text: &str) -> Result<u16, String> {
    port(text).ok().filter(|port| *port > 0).ok_or_else(|| format!("{text} is not in 1..=65535"))
}

/// Reads the name of a schema.
fn schema(text: &str) -> Result<String, String> {
    let allowed = "it must be a name of 1 to 63 bytes that does not begin with pg_";
    if crate::config::is_schema(text) { Ok(text.to_owned()) } else { Err(allowed.to_owned()) }
}

/// Turns the vendor's `-configfile` (one dash, any case, observed in its start scripts) into
/// `--config`; clap would take it for a heap of one-letter options.
fn modern(argument: OsString) -> OsString {
    const VENDOR: &str = "-configfile";
    let Some(text) = argument.to_str() else { return argument };
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if !name.eq_ignore_ascii_case(VENDOR) {
        return argument;
    }
    match value {
        Some(value) => format!("--config={value}").into(),
        None => "--config".into(),
    }
}

#[cfg(test)]
mod tests;
