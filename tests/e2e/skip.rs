//! What can't be tested here is said where it is seen: the output of a test that passes is not shown.

use std::io::Write as _;

/// Says that something was not tested, and why; `tests/run` repeats it at its end, by the file it names.
pub(crate) fn skipped(what: &str, why: &str) {
    eprintln!("SKIPPED: {what}: {why}");
    if let Some(path) = std::env::var_os("ACTIOND_TESTS_SKIPPED") {
        // One write: tests run at the same time.
        let line = format!("{what}: {why}\n");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the list of what was skipped");
    }
}
