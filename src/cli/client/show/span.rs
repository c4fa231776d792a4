//! Time spans in words.

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

/// Writes a time span in few characters: `0:12`, `3:20`, `1:02:03`, `2d 03:04`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, hours) => format!("{hours}:{minutes:02}:{seconds:02}"),
        (days, hours) => format!("{days}d {hours:02}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let table = [
            (0, "0 s", "0:00"),
            (12, "12 s", "0:12"),
            (60, "1 min", "1:00"),
            (200, "3 min 20 s", "3:20"),
            (3_600, "1 h", "1:00:00"),
            (3_723, "1 h 2 min", "1:02:03"),
            (183_840, "2 d 3 h", "2d 03:04"),
            (86_405, "1 d", "1d 00:00"),
        ];
        for (seconds, words, short) in table {
            let time = Duration::from_secs(seconds);
            assert_eq!((span(time).as_str(), clock(time).as_str()), (words, short), "{seconds}");
        }
    }
}
