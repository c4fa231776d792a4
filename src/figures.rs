//! Figures as people read them, in the admin page and in the output of the commands of a client.

use std::time::Duration;

/// Writes a time span in its two largest units: `1 d 2 h`, `3 min 20 s`, `12 s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return "0 s".to_owned();
    };
    let mut rest = seconds;
    let mut words = Vec::new();
    for (size, name) in units.iter().skip(first).take(2) {
        let number = rest / size;
        rest %= size;
        if number > 0 {
            words.push(format!("{number} {name}"));
        }
    }
    words.join(" ")
}

/// Writes a number with a separator between groups of three digits.
pub(crate) fn grouped(number: u64, separator: char) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_by_table() {
        for (seconds, text) in [
            (0, "0 s"),
            (12, "12 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (200, "3 min 20 s"),
            (3_600, "1 h"),
            (3_723, "1 h 2 min"),
            (7_260, "2 h 1 min"),
            (86_400, "1 d"),
            (86_405, "1 d"),
            (90_000, "1 d 1 h"),
            (183_840, "2 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number, ','), text);
        }
    }
}
