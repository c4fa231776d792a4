//! `actiond compact`: rewrites the database of a data directory without its free space.

use std::path::Path;
use std::process::ExitCode;

use actiond_actors::store::sqlite::SqliteStore;

/// Does it, and prints what has come of it.
#[expect(clippy::print_stderr, reason = "no log is set up where only a result is printed")]
pub(super) fn run(directory: &Path) -> ExitCode {
    match SqliteStore::compact(directory) {
        Ok(compacted) => super::print(&format!(
            "actions.db had {} bytes and has {}\n",
            compacted.before, compacted.after
        )),
        Err(error) => {
            eprintln!("error: the database can't be rewritten: {error}");
            ExitCode::FAILURE
        }
    }
}
