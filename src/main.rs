//! The program `actiond`: everything is in the library, from [`actiond::cli`] on.

use std::process::ExitCode;

use actiond::kinds::Kinds;

/// A request's memory is taken on one thread and given back on another, which the system's
/// allocator answers with locks: see docs/performance.md, "Where the time goes".
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    actiond::cli::run_with(Kinds::shipped())
}
