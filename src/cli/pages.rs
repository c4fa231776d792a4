//! Completions of shells and pages of the manual, made of the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

use super::args::definition;

/// The name of the program.
const NAME: &str = "actiond";

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition(), NAME, &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Writes the pages of the manual.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
pub(super) fn man(directory: &Path) -> ExitCode {
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(definition(), directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the pages can't be written to {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
