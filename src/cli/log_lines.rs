//! How the program's log looks: local time with its offset, level, where it was said, and what.

use std::io::Write as _;

use actiond_actors::clock::{Clock as _, SystemClock};
use chrono::{Local, TimeZone};

/// What is logged unless `RUST_LOG` says otherwise: the starts and stops of actix's threads are for developers.
const FILTER: &str = "info,actix_server=warn";

/// Sets up the log for the whole process, on the standard error.
pub(super) fn begin() {
    let filter = env_logger::Env::default().default_filter_or(FILTER);
    env_logger::Builder::from_env(filter)
        .format(|out, record| {
            let level = record.level();
            let style = out.default_level_style(level);
            let time = time(SystemClock.now().millis(), &Local);
            let (target, said) = (record.target(), record.args());
            writeln!(out, "[{time} {style}{level:<5}{style:#} {target}] {said}")
        })
        .init();
}

/// Writes a time in milliseconds since 1970 as people of this zone read it, with the zone's offset then.
pub(super) fn time<Z: TimeZone>(millis: i64, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let time = zone.timestamp_millis_opt(millis).single();
    time.map_or_else(String::new, |t| t.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, Utc};

    use super::*;

    #[test]
    fn times_have_milliseconds_and_offset() {
        let east = FixedOffset::east_opt(5 * 3600 + 45 * 60).unwrap();
        let west = FixedOffset::west_opt(3 * 3600).unwrap();
        assert_eq!(time(0, &Utc), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(time(1_700_000_000_007, &east), "2023-11-15T03:58:20.007+05:45");
        assert_eq!(time(1_700_000_000_007, &west), "2023-11-14T19:13:20.007-03:00");
        assert_eq!(time(i64::MAX, &west), "");
    }
}
