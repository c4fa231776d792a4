//! The program: the command line in [`args`], the server in [`serve`], the commands of a client in [`client`].

pub mod args;
mod certificates;
pub mod client;
mod compact;
mod data_directory;
mod database;
mod ending;
mod endpoint;
mod handlers;
mod listen;
mod log_lines;
mod memory;
mod migrate;
#[cfg(unix)]
mod open_files;
mod pages;
mod reload;
mod restore;
pub mod serve;
mod signals;
mod time_zone;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use args::{Args, Command, ConfigArgs, ConfigCommand};

use crate::access::{KeyHash, generate_key};
use crate::config;
use crate::kinds::Kinds;

/// Runs the program with its arguments and these kinds of action, and returns its exit code: 0 for success, 1 for a failure, 2
/// for arguments or a configuration that can't be used.
///
/// A program with a kind of action of its own passes [`Kinds::with`]: see `examples/own_kind.rs`.
#[must_use]
pub fn run_with(kinds: Kinds) -> ExitCode {
    // Before anything is opened.
    #[cfg(unix)]
    {
        open_files::keep_inherited();
        open_files::raise_limit();
        crate::kinds::reserve_descriptor();
    }
    let args = match Args::parse_from(std::env::args_os()) {
        Ok(args) => args,
        // Prints help, version or what is wrong, and ends the program with the right code.
        Err(error) => error.exit(),
    };
    match args.command {
        Command::Config(args) => configuration(&kinds, args),
        Command::Serve(args) => serve::run(&kinds, &args),
        Command::Key => key(),
        Command::Migrate(args) => migrate::run(&kinds, &args),
        Command::Compact(args) => compact::run(&args.data),
        Command::Restore(args) => restore::run(&args),
        Command::Client(command) => client::run(command),
        Command::Completions(args) => pages::completions(args.shell),
        Command::Man(args) => pages::man(&args.directory),
    }
}

/// Prints the reference of all settings, what is in force with a file, or only what is wrong with it.
fn configuration(kinds: &Kinds, args: ConfigArgs) -> ExitCode {
    match args {
        ConfigArgs { config: Some(file), .. } => show(kinds, Some(&file)),
        ConfigArgs { command: Some(ConfigCommand::Show { file }), .. } => {
            show(kinds, file.as_deref())
        }
        ConfigArgs { command: Some(ConfigCommand::Check { file }), .. } => {
            match in_force(kinds, Some(&file)) {
                Ok(_) => print(&format!("{} can be used\n", file.display())),
                Err(code) => code,
            }
        }
        ConfigArgs { config: None, command: None } => print(&config::describe(kinds)),
    }
}

/// Prints the values that are in force with a configuration file.
fn show(kinds: &Kinds, file: Option<&Path>) -> ExitCode {
    in_force(kinds, file).map_or_else(|code| code, |in_force| print(&in_force))
}

/// Returns the values that are in force with a configuration file. Warnings are told, and what is wrong.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
fn in_force(kinds: &Kinds, file: Option<&Path>) -> Result<String, ExitCode> {
    match config::show(kinds, file) {
        Ok((in_force, warnings)) => {
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
            Ok(in_force)
        }
        Err(error) => {
            for warning in error.warnings() {
                eprintln!("warning: {warning}");
            }
            eprintln!("error: the configuration can't be used:\n{error}");
            Err(ExitCode::from(2))
        }
    }
}

/// Makes a key, and prints it with its hash. Nothing keeps the key.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
fn key() -> ExitCode {
    match generate_key() {
        Ok(key) => print(&format!(
            "key:  {key}\nhash: {}\n\n\
             The key is for the client, which sends it as \"Authorization: Bearer KEY\", or as the password of Basic.\n\
             The hash is for Keys= in the section of a role. The key is printed this once and kept nowhere.\n",
            KeyHash::of(&key)
        )),
        Err(error) => {
            eprintln!("error: the system gives no random bytes: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a result. `print!` would panic where it can't be written.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the standard output can't be written: {error}");
            ExitCode::FAILURE
        }
    }
}
