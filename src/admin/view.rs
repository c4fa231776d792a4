//! Common parts of pages: links, times, trees of elements, and plots.

use std::time::Duration;

use super::tree::{attribute, children, local, text_of};
use crate::aci::element::{Content, Element};
use crate::aci::request;
use crate::figures;

/// Encodes a text for a query.
pub(super) fn encoded(text: &str) -> String {
    request::encoded(text).to_string()
}

/// Writes parameters as a query.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs =
        pairs.into_iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Writes a number of seconds for people: `3 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn span(seconds: u64) -> String {
    figures::span(Duration::from_secs(seconds))
}

/// Writes a text of seconds for people; decimals of less than ten seconds stay, and what is no number stays as it is.
pub(super) fn span_of(text: &str) -> String {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.0..1.0).contains(&seconds) => format!("{:.0} ms", seconds * 1000.0),
        Ok(seconds) if (1.0..10.0).contains(&seconds) && text.contains('.') => {
            format!("{seconds:.1} s")
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "of a number that is not negative; too large ones are cut"
        )]
        Ok(seconds) if seconds >= 0.0 => span(seconds as u64),
        _ => text.to_owned(),
    }
}

/// Writes a number with spaces between its thousands, which are narrow and do not break.
pub(super) fn grouped(number: u64) -> String {
    figures::grouped(number, '\u{202f}')
}

/// Writes a number of bytes for people.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..10_000 => format!("{number} bytes"),
        10_000..10_000_000 => format!("{} KB", number / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", number / 1_000_000),
        _ => format!("{} GB", number / 1_000_000_000),
    }
}

/// A part of a tree of elements, in the order in which it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An element that holds others, which follow.
    Open { name: String, attributes: Vec<(String, String)>, number: usize },
    /// An element with a text.
    Leaf { name: String, attributes: Vec<(String, String)>, text: String, token: bool },
    /// The end of the latest that is open.
    Close,
    /// The rest is left out.
    Rest,
}

/// Largest number of elements of a tree that are shown.
const MOST_LINES: usize = 2_000;

/// Largest number of bytes of a text in a tree that are shown.
const MOST_TEXT: usize = 16 << 10;

/// Writes trees of elements as lines.
pub(super) fn lines<'a>(elements: impl IntoIterator<Item = &'a Element>) -> Vec<Line> {
    let (mut lines, mut left) = (Vec::new(), MOST_LINES);
    for element in elements {
        add(element, &mut lines, &mut left);
    }
    if left == 0 {
        lines.push(Line::Rest);
    }
    lines
}

fn add(element: &Element, lines: &mut Vec<Line>, left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    let name = local(element).to_owned();
    let attributes: Vec<_> = element
        .attributes
        .iter()
        .map(|(name, _)| (name.to_string(), attribute(element, name).to_owned()))
        .collect();
    match &element.content {
        Content::Elements(inner) if !inner.is_empty() => {
            lines.push(Line::Open { name, attributes, number: inner.len() });
            for inner in children(element) {
                add(inner, lines, left);
            }
            lines.push(Line::Close);
        }
        _ => {
            let token = name == "token";
            lines.push(Line::Leaf {
                name,
                attributes,
                text: short(text_of(element), MOST_TEXT),
                token,
            });
        }
    }
}

/// Returns the beginning of a text, with a mark if it is not all.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.len() <= most {
        true => text.to_owned(),
        false => {
            let end = text.floor_char_boundary(most);
            format!("{}\u{2026}", text.get(..end).unwrap_or_default())
        }
    }
}

/// A column of a plot: its place and heights, in the units of the drawing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    /// The part that failed, at the bottom.
    pub(super) failed_y: u64,
    pub(super) failed_height: u64,
}

/// Width and height of a plot, in the units of the drawing.
pub(super) const PLOT: (usize, u64) = (240, 48);

/// The number of minutes that a plot has.
const MINUTES: usize = 60;

/// Draws numbers of actions that ended, and of those that failed, one for each minute: the last one at the right.
pub(super) fn bars(minutes: &[(u64, u64)]) -> Vec<Bar> {
    let (width, height) = PLOT;
    let most = minutes.iter().map(|(ended, _)| *ended).max().unwrap_or(0).max(1);
    // One that is there is seen.
    let scaled = |number: u64| match number {
        0 => 0,
        number => (u128::from(number) * u128::from(height) / u128::from(most)).max(1),
    };
    let scaled = |number: u64| u64::try_from(scaled(number)).unwrap_or(height);
    let step = width / MINUTES;
    let first = MINUTES.saturating_sub(minutes.len());
    let bar = |(at, (ended, failed)): (usize, &(u64, u64))| {
        let (bar, failed) = (scaled(*ended), scaled(*failed));
        Bar {
            x: (first + at) * step,
            y: height.saturating_sub(bar),
            height: bar,
            failed_y: height.saturating_sub(failed),
            failed_height: failed,
        }
    };
    let all = minutes.iter().enumerate().map(bar);
    all.filter(|bar| bar.height > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_by_table() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (7_260, "2 h 1 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
        for (text, shown) in [
            ("0.0034", "3 ms"),
            ("0", "0 ms"),
            ("1.25", "1.2 s"),
            ("5", "5 s"),
            ("12.9", "12 s"),
            ("7200", "2 h"),
            ("-1", "-1"),
            ("", ""),
            ("<b>", "<b>"),
        ] {
            assert_eq!(span_of(text), shown, "{text}");
        }
    }

    #[test]
    fn numbers_and_queries_by_table() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(grouped(number).replace('\u{202f}', " "), text);
        }
        let pairs = [("Queue Name", "a&b=c"), ("State", "é\"<")];
        assert_eq!(query(pairs), "Queue%20Name=a%26b%3Dc&State=%C3%A9%22%3C");
    }

    #[test]
    fn a_plot_ends_with_the_last_minute() {
        let bars = bars(&[(10, 0), (0, 0), (5, 5), (1_000, 1)]);
        let places: Vec<_> =
            bars.iter().map(|bar| (bar.x, bar.height, bar.failed_height)).collect();
        assert_eq!(places, [(224, 1, 0), (232, 1, 1), (236, 48, 1)]);
        assert!(bars.iter().all(|bar| bar.y + bar.height == PLOT.1));
        assert_eq!(super::bars(&[]), []);
    }

    #[test]
    fn a_tree_is_bounded() {
        let one = Element::text("line", "x".repeat(MOST_TEXT + 5));
        let many = Element::new("lines").children(vec![Element::text("n", "1"); MOST_LINES]);
        let shown = lines([&one, &many]);
        assert_eq!(shown.len(), MOST_LINES + 2, "with the end of what is open, and the rest");
        assert_eq!(shown.last(), Some(&Line::Rest));
        let Line::Leaf { text, .. } = &shown[0] else { panic!() };
        assert_eq!(text.chars().count(), MOST_TEXT + 1);
    }
}
