//! How a program ended, in words.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;

use actiond_actors::Node;
use nix::sys::signal::Signal;

/// Number of the last lines of the error output that are part of an error, and their size in bytes.
const LAST_LINES: usize = 10;
const LAST_BYTES: usize = 2_000;

/// The end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    pub(super) fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }

    /// Returns the words for it, such as `exit code 3` or `signal 11 (SIGSEGV)`, with the last lines of what the program said.
    pub(super) fn text(self, said: &[Arc<str>]) -> String {
        let end = match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => match Signal::try_from(signal) {
                Ok(name) => format!("signal {signal} ({})", name.as_str()),
                Err(_) => format!("signal {signal}"),
            },
        };
        let mut size = 0;
        let lines = said.iter().rev().take(LAST_LINES).take_while(|line| {
            size += line.len() + 1;
            size <= LAST_BYTES
        });
        let mut lines: Vec<&str> = lines.map(|line| &**line).collect();
        lines.reverse();
        if lines.is_empty() { end } else { format!("{end}: {}", lines.join("\n")) }
    }

    /// Returns the element that shows it in a result.
    pub(super) fn node(self) -> Node {
        match self {
            Self::Code(code) => Node::text("exit_code", code.to_string()),
            Self::Signal(signal) => Node::text("signal", signal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_words() {
        let said = |lines: &[&str]| lines.iter().map(|line| Arc::from(*line)).collect::<Vec<_>>();
        assert_eq!(End::of(ExitStatus::from_raw(3 << 8)), End::Code(3));
        assert_eq!(End::of(ExitStatus::from_raw(11)), End::Signal(11));
        assert_eq!(End::of(ExitStatus::from_raw(11 | 0x80)), End::Signal(11));
        assert_eq!(End::Code(3).text(&[]), "exit code 3");
        assert_eq!(End::Signal(11).text(&said(&["a", "b"])), "signal 11 (SIGSEGV): a\nb");
        assert_eq!(End::Signal(63).text(&[]), "signal 63");
        let many: Vec<_> = (0..100).map(|number| Arc::from(number.to_string())).collect();
        assert_eq!(End::Code(1).text(&many), "exit code 1: 90\n91\n92\n93\n94\n95\n96\n97\n98\n99");
        let long = said(&[&"x".repeat(1_000), &"y".repeat(1_000), "z"]);
        assert_eq!(End::Code(1).text(&long), format!("exit code 1: {}\nz", "y".repeat(1_000)));
    }
}
