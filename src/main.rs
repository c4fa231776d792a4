//! The program `actiond`: everything is in the library, from [`actiond::cli`] on.

use std::process::ExitCode;

fn main() -> ExitCode {
    actiond::cli::run()
}
