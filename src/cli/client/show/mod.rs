//! Forms of output, as pure functions.
//!
//! Texts of a server may hold anything, and none may steer the terminal. So each passes [`line`] or [`block`].
//!
//! | module | what it makes |
//! |---|---|
//! | here | texts without control characters, states in colour |
//! | `tree` | a result as a tree |
//! | `table` | a table |
//! | `clock` | a time span in few characters |

mod clock;
mod table;
mod tree;

use std::borrow::Cow;
use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Color, Style};

pub(super) use clock::clock;
pub(super) use table::{Column, Table};
pub(super) use tree::tree;

use crate::aci::client::Status;
use crate::figures;
pub(super) use crate::figures::span;

/// Returns a text on one line: control characters are written as such, line ends as spaces.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(' '),
            '\r' => {}
            c if is_unsafe(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Returns a text that may have several lines: other control characters are written as such.
pub(super) fn block(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns true for what a terminal obeys, or what turns the order of the text around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text of at most so many characters, on one line.
pub(super) fn cut(text: &str, most: usize) -> String {
    let text = line(text);
    match text.char_indices().nth(most) {
        None => text.into_owned(),
        Some(_) => {
            let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
            cut.push('…');
            cut
        }
    }
}

/// Returns the style of a state.
pub(super) const fn style(status: &Status) -> Style {
    match status {
        Status::Finished => coloured(AnsiColor::Green),
        Status::Error => coloured(AnsiColor::Red),
        Status::Processing => coloured(AnsiColor::Cyan),
        Status::Paused | Status::Stopping | Status::Stopped | Status::Cancelled => {
            coloured(AnsiColor::Yellow)
        }
        _ => Style::new(),
    }
}

const fn coloured(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// The style of headings and names.
pub(super) const BOLD: Style = Style::new().bold();

/// The style of what matters less.
pub(super) const DIM: Style = Style::new().dimmed();

/// Returns a text in a style.
pub(super) fn painted(text: &str, style: Style) -> String {
    let mut painted = String::new();
    // Writing to a string cannot fail.
    let _ = write!(painted, "{style}{text}{style:#}");
    painted
}

/// Returns a word with an `s` behind it where there is not one.
pub(super) fn counted(number: u64, word: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {word}{end}", grouped(number))
}

/// Writes a number with commas between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    figures::grouped(number, ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_the_terminal() {
        let table = [
            ("plain ä 🦀", "plain ä 🦀"),
            ("two\nlines\tand a tab\r\n", "two lines and a tab "),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J\u{202E}x", "\\u{9b}2J\\u{202e}x"),
        ];
        for (text, want) in table {
            assert_eq!(line(text), want);
        }
        assert_eq!(block("a\n\u{1b}b\r\nc"), "a\n\\u{1b}b\nc");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!((grouped(999), grouped(12_345)), ("999".to_owned(), "12,345".to_owned()));
        assert_eq!(counted(1, "action"), "1 action");
        assert_eq!(counted(2000, "action"), "2,000 actions");
    }
}
