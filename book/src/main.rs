//! Builds the book into a directory: `cargo run -p actiond-book [-- DIRECTORY]`, by default `target/book` of the repository.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let into = given.unwrap_or_else(|| actiond_book::repository().join("target/book"));
    match actiond_book::build(&into) {
        Ok(()) => {
            println!("{}", into.join("index.html").display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
