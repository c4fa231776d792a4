//! The diary of an action: what was really done for it, in the order in which it was done, by whom ever. Each line is written
//! at once, at the end of the file.
//!
//! | line | who writes it, and when |
//! |---|---|
//! | `begin ATTEMPT PID` | a program, first of all |
//! | `lurk ATTEMPT PID` | a daemon that a program has started |
//! | `twice ATTEMPT PID` | a program that found an earlier one still there, with that number |
//! | `end ATTEMPT CODE` | a program, last of all |
//! | `shot PID` | whoever kills a program, before |
//! | `cancelled` | a client whose cancel was accepted |
//! | `take ATTEMPT` | a worker that got the action |
//! | `say ATTEMPT WORD` | a worker, before it says the word that ends the attempt |
//! | `done ATTEMPT WORD STATUS` | a worker whose word was accepted |
//! | `lost ATTEMPT WORD` | a worker whose word was refused |
//! | `wrong TEXT` | whoever saw what must not be |

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn path(home: &Path, mark: &str) -> PathBuf {
    home.join("diaries").join(mark)
}

/// Adds a line to the diary of the action of this mark.
pub(super) fn note(home: &Path, mark: &str, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path(home, mark));
    file.expect("a diary").write_all(format!("{line}\n").as_bytes()).expect("a line");
}

/// The words of each line of a diary.
pub(super) fn read(home: &Path, mark: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path(home, mark)).unwrap_or_default();
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// The programs and daemons of the action that run now.
pub(super) fn alive(home: &Path, mark: &str) -> Vec<String> {
    let lines = read(home, mark).into_iter();
    let mut pids: Vec<_> = lines
        .filter(|line| matches!(&*line[0], "begin" | "lurk"))
        .map(|line| line[2].clone())
        .collect();
    // One that has ended has no command line, and a number may be another's by now.
    pids.retain(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|word| word == mark)
    });
    pids
}
