//! The exit codes of a client's commands.

use std::process::ExitCode;

use crate::aci::client::Status;

/// The exit code of a command; a contract with scripts, told in `docs/client.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It has done what it was asked; an action that was waited for is Finished.
    Success = 0,
    /// Something failed here, such as a file that can't be read.
    Failed = 1,
    /// The command line can't be used.
    Usage = 2,
    /// The action ended in Error.
    Error = 3,
    /// The action was cancelled.
    Cancelled = 4,
    /// The action was stopped.
    Stopped = 5,
    /// The server has refused, or does not allow it.
    Refused = 6,
    /// The server can't be reached, or the connection broke.
    Unreachable = 7,
    /// The other side is no ACI server, or lacks what is needed.
    NotAci = 8,
    /// The action that was waited for has not ended.
    NotEnded = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// Returns the code for an action in this state.
    pub(super) fn of(status: &Status) -> Self {
        match status {
            Status::Finished => Self::Success,
            Status::Error => Self::Error,
            Status::Cancelled => Self::Cancelled,
            Status::Stopped => Self::Stopped,
            // The words of other servers (observed).
            Status::Other(word) if word.eq_ignore_ascii_case("Processed") => Self::Success,
            Status::Other(word) if word.eq_ignore_ascii_case("Failed") => Self::Error,
            Status::Other(_) => Self::Failed,
            _ => Self::NotEnded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_code() {
        let table = [
            ("Finished", Exit::Success),
            ("processed", Exit::Success),
            ("Error", Exit::Error),
            ("Failed", Exit::Error),
            ("Cancelled", Exit::Cancelled),
            ("Stopped", Exit::Stopped),
            ("Queued", Exit::NotEnded),
            ("Processing", Exit::NotEnded),
            ("Paused", Exit::NotEnded),
            ("Stopping", Exit::NotEnded),
            ("Vanished", Exit::Failed),
        ];
        for (word, want) in table {
            assert_eq!(Exit::of(&Status::read(word)), want, "{word}");
        }
    }

    #[test]
    fn the_codes_are_those_of_the_docs() {
        let page = include_str!("../../../docs/client.md");
        let codes = [
            Exit::Success,
            Exit::Failed,
            Exit::Usage,
            Exit::Error,
            Exit::Cancelled,
            Exit::Stopped,
            Exit::Refused,
            Exit::Unreachable,
            Exit::NotAci,
            Exit::NotEnded,
        ];
        for (number, code) in codes.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            assert!(page.contains(&format!("\n| {number} | ")), "{number}");
        }
    }
}
