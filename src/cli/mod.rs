//! The program: its command line in [`args`], the server in [`serve`].

pub mod args;
pub mod serve;

use std::process::ExitCode;

use args::{Args, Command};

/// Runs the program as its arguments say, and returns its exit code: 0 if all went well, 1 if it
/// could not do what it was to do, 2 for arguments or a configuration that can't be used.
#[must_use]
#[expect(clippy::print_stdout, reason = "what `actiond config` prints is its result")]
pub fn run() -> ExitCode {
    let args = match Args::parse_from(std::env::args_os()) {
        Ok(args) => args,
        // Prints help, version or what is wrong, and ends the program with the right code.
        Err(error) => error.exit(),
    };
    match args.command {
        Command::Config => {
            print!("{}", crate::config::describe());
            ExitCode::SUCCESS
        }
        Command::Serve(args) => serve::run(&args),
    }
}
