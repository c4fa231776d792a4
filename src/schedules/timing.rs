//! The due times of a schedule. Pure: no clock and no state.
//!
//! A cron pattern is looked up in local times alone, as if clocks were never changed. Each local time then stands for one moment
//! ([`Zone::moment`]): a time that is skipped for the end of the gap, one that comes twice for the first. Later local times never
//! stand for earlier moments, so each moment is due once at most.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use actiond_actors::Timestamp;
use chrono::NaiveDate;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::definition::{Definition, Fault, MAX_REPEAT_SECS, keys};
use super::zone::Zone;
use crate::aci::catalog::{ParamKind, START_FORMS};
use crate::aci::words::shorten;

/// The forms of a cron pattern, as errors tell them.
pub const CRON_FORMS: &str = "five fields (minute, hour, day of month, month, day of week), six with the second in front, or @hourly, @daily, @weekly, \
     @monthly or @yearly";

/// The longest cron pattern in bytes (our choice): all minutes, hours and days of a month, one by one, are shorter.
const MAX_CRON: usize = 500;

/// The word for a start without a time of its own.
const NOW: &str = "now";

/// The due times of a schedule.
#[derive(Debug, Clone)]
pub struct Timing {
    rhythm: Rhythm,
    /// `None` = from when the schedule is first known.
    start: Option<String>,
    zone: Zone,
}

#[derive(Debug, Clone)]
enum Rhythm {
    Cron(Box<Cron>),
    /// Milliseconds from one due time to the next.
    Every(i64),
    /// At its start, and never again.
    Once,
}

impl Timing {
    /// Checks what a definition says of times.
    ///
    /// # Errors
    ///
    /// The first fault that is found.
    pub fn of(definition: &Definition) -> Result<Self, Fault> {
        let Definition { cron, repeat_secs, start_time, cycles, time_zone, .. } = definition;
        let rhythm = match (cron, repeat_secs) {
            (Some(_), Some(_)) => {
                return Err(Fault::of(
                    keys::REPEAT_SECS,
                    format!("left out beside {}", keys::CRON),
                ));
            }
            (Some(pattern), None) => Rhythm::Cron(Box::new(parse_cron(pattern)?)),
            (None, Some(seconds)) if (1..=MAX_REPEAT_SECS).contains(seconds) => {
                Rhythm::Every(i64::from(*seconds).saturating_mul(1000))
            }
            (None, Some(_)) => {
                let allowed = format!("a whole number of seconds from 1 to {MAX_REPEAT_SECS}");
                return Err(Fault::of(keys::REPEAT_SECS, allowed));
            }
            (None, None) if *cycles == Some(1) => Rhythm::Once,
            (None, None) => {
                let allowed = format!(
                    "{CRON_FORMS}; {} in its place repeats after so many seconds",
                    keys::REPEAT_SECS
                );
                return Err(Fault::of(keys::CRON, allowed));
            }
        };
        let zone = time_zone.as_deref().map_or(Ok(Zone::Server), Zone::parse);
        let zone = zone.map_err(|allowed| Fault::of(keys::TIME_ZONE, allowed))?;
        let start = start_time.clone().filter(|start| !start.trim().eq_ignore_ascii_case(NOW));
        if let Some(start) = &start
            && !ParamKind::EarliestStart.accepts(start)
        {
            let allowed = format!("{NOW}, {START_FORMS}");
            return Err(Fault::of(keys::START_TIME, allowed));
        }
        Ok(Self { rhythm, start, zone })
    }

    /// Returns the first due time after a moment; `None` if it is never due again. `since` is the time at which the schedule was
    /// first known, from which on it may be due.
    #[must_use]
    pub fn next_due(&self, since: Timestamp, after: Timestamp) -> Option<Timestamp> {
        let start = match &self.start {
            None => since.0,
            Some(start) => self.zone.parse_start(start, since.0)?,
        };
        let after = after.0;
        let due = match &self.rhythm {
            Rhythm::Once => Some(start).filter(|start| *start > after),
            Rhythm::Every(_) if after < start => Some(start),
            Rhythm::Every(period) => {
                let past = after.checked_sub(start)?.checked_rem(*period)?;
                after.checked_sub(past)?.checked_add(*period)
            }
            Rhythm::Cron(cron) => self.next_of_cron(cron, after.max(start.saturating_sub(1))),
        };
        due.map(Timestamp)
    }

    /// Checks that something will be due that is known from this time on.
    ///
    /// # Errors
    ///
    /// The fault, if nothing is.
    pub fn check_due(&self, now: Timestamp) -> Result<(), Fault> {
        match self.next_due(now, Timestamp(now.0.saturating_sub(1))) {
            Some(_) => Ok(()),
            None if self.start.is_some() => Err(Fault::of(
                keys::START_TIME,
                "a time to come: nothing would ever be due, as this is the only time",
            )),
            None => Err(Fault::of(keys::CRON, "a pattern by which something will be due")),
        }
    }

    fn next_of_cron(&self, cron: &Cron, after: i64) -> Option<i64> {
        let mut local = self.zone.passed(after)?;
        loop {
            local = cron.find_next_occurrence(&local.and_utc(), false).ok()?.naive_utc();
            let moment = self.zone.moment(local)?;
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// Returns the last due time after a moment that is not after another one, `until`.
    #[must_use]
    pub fn latest_due(
        &self,
        since: Timestamp,
        after: Timestamp,
        until: Timestamp,
    ) -> Option<Timestamp> {
        let due_after =
            |moment: i64| self.next_due(since, Timestamp(moment)).filter(|due| *due <= until);
        let mut latest = due_after(after.0)?;
        // Nothing is due after `late` and up to `until`.
        let mut late = until.0;
        while latest.0 < late {
            let middle = latest.0.midpoint(late);
            match due_after(middle) {
                Some(due) => latest = due,
                None => late = middle,
            }
        }
        Some(latest)
    }
}

/// Returns the delay after a due time, up to the longest one: a random one, which is the same on all servers and after a restart.
#[must_use]
pub fn jitter(schedule: &str, due: Timestamp, longest: Duration) -> Duration {
    let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    if longest == 0 {
        return Duration::ZERO;
    }
    let mut hasher = DefaultHasher::new();
    (schedule.to_ascii_lowercase(), due.0).hash(&mut hasher);
    Duration::from_millis(fastrand::Rng::with_seed(hasher.finish()).u64(0..=longest))
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

/// Reads a cron pattern that is due some day.
fn parse_cron(pattern: &str) -> Result<Cron, Fault> {
    let fault = |why: &str| Fault::of(keys::CRON, format!("{CRON_FORMS}{why}"));
    if pattern.len() > MAX_CRON {
        return Err(fault(&format!(", in {MAX_CRON} bytes at most")));
    }
    let cron = parser().parse(pattern).map_err(|_| fault(&bad_field(pattern)))?;
    let some_day = NaiveDate::from_ymd_opt(2000, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    let comes = some_day.is_some_and(|day| cron.find_next_occurrence(&day.and_utc(), true).is_ok());
    if comes { Ok(cron) } else { Err(fault(", of a day that comes")) }
}

/// The fields of a pattern; the first may be left out.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// Says which field of a bad pattern is to blame, if one is.
fn bad_field(pattern: &str) -> String {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let names = match fields.len() {
        5 => FIELDS.get(1..),
        6 => FIELDS.get(..),
        _ if pattern.trim_start().starts_with('@') => return String::new(),
        count => return format!("; it has {count} fields"),
    };
    let is_bad = |at: usize| {
        let alone =
            fields.iter().enumerate().map(|(other, field)| if other == at { *field } else { "*" });
        parser().parse(&alone.collect::<Vec<_>>().join(" ")).is_err()
    };
    let mut named = names.unwrap_or_default().iter().zip(&fields).enumerate();
    let bad = named.find(|(at, _)| is_bad(*at));
    bad.map(|(_, (name, field))| format!("; the {name} can't be '{}'", shorten(field)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
