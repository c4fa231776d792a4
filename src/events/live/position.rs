//! The id of an event: `RUN-NUMBER`, the run of the server in hexadecimal digits and the number of the event in it.

use std::fmt;

/// The position of an event among all of one run of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The run: numbers of another one say nothing.
    pub(crate) run: u64,
    /// Number of the event, from 1; 0 is before the first.
    pub(crate) number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.number)
    }
}

impl Position {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (run, number) = text.trim().split_once('-')?;
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if run.len() != 16 || !is_plain(run) || !is_plain(number) {
            return None;
        }
        Some(Self { run: u64::from_str_radix(run, 16).ok()?, number: number.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for at in [(0, 0), (1, 2), (u64::MAX, u64::MAX)] {
            let position = Position { run: at.0, number: at.1 };
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        let position = Position { run: 0xAB, number: 7 };
        assert_eq!(position.to_string(), "00000000000000ab-7");
        assert_eq!(Position::parse(" 00000000000000AB-7 "), Some(position));
    }

    #[test]
    fn anything_else_is_no_id() {
        for text in [
            "",
            "7",
            "-7",
            "ab-7",
            "00000000000000ab-",
            "00000000000000ab-x",
            "00000000000000ab-+7",
            "+0000000000000ab-7",
            "00000000000000ab-18446744073709551616",
            "00000000000000ab-7-8",
        ] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }
}
