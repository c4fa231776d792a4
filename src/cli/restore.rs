//! `actiond restore`: puts a backup, or what a restore has moved aside, in the place of the data, while no server runs.

use std::process::ExitCode;

use super::args::RestoreArgs;
use crate::backup::restore_offline;

/// Does it, and prints what has come of it.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
pub(super) fn run(args: &RestoreArgs) -> ExitCode {
    let (from, data) = (args.from.display(), args.data.display());
    match restore_offline(&args.from, &args.data) {
        Ok(restored) => super::print(&format!(
            "{from} with {} actions has taken its place in {data}; what was there is in {}\n",
            restored.content.actions,
            restored.aside.display()
        )),
        Err(error) => {
            eprintln!("error: {from} can't take the place of what is in {data}: {error}");
            ExitCode::FAILURE
        }
    }
}
