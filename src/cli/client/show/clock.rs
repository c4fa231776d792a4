//! Time spans in few characters.

use std::time::Duration;

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
    fn clocks() {
        for (seconds, text) in [
            (0, "0:00"),
            (12, "0:12"),
            (60, "1:00"),
            (200, "3:20"),
            (3_600, "1:00:00"),
            (3_723, "1:02:03"),
            (183_840, "2d 03:04"),
            (86_405, "1d 00:00"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
