//! The part of the table about schedules: `[Schedules]`, and the sections of those that it lists.

use super::super::key::{Key, Section};
use super::super::value::ValueKind;
use crate::schedules::{CatchUp, MAX_JITTER_SECS, MAX_REPEAT_SECS, Overlap, keys};

/// `[Schedules]`.
pub(in crate::config) const SCHEDULES: &Section = &Section::fixed(
    "Schedules",
    "Actions that are queued at their times.",
    &[SCHEDULE_NUMBER, SCHEDULE_NAME],
);
/// The section of a schedule.
pub(in crate::config) const SCHEDULE: &Section = &Section::listed(
    "Nightly",
    "schedule",
    SCHEDULES,
    &[
        ACTION,
        PARAMETERS,
        CRON,
        REPEAT_SECS,
        START_TIME,
        CYCLES,
        TIME_ZONE,
        OVERLAP,
        CATCH_UP,
        JITTER,
        ENABLED,
    ],
)
.with_parameters();

/// The key of other servers that says how many schedules their section lists.
pub(in crate::config) const FOREIGN_NUMBER: &str = "NumberOfSchedules";

pub(in crate::config) const SCHEDULE_NUMBER: &Key = &Key::optional(
    "Number",
    ValueKind::from_to(0, 1000),
    "1",
    "How many schedules are listed. Without it all numbered keys count.",
)
.read_again();

pub(in crate::config) const SCHEDULE_NAME: &Key = &Key::numbered(
    "0",
    ValueKind::Name,
    "Nightly",
    "The names of the schedules, numbered from 0; each has a section of its own.",
)
.read_again();

pub(in crate::config) const ACTION: &Key = &Key::required(
    keys::ACTION,
    ValueKind::Name,
    "Process",
    "The action that is queued: the name of a queue of [AsyncActions]. Must be given. Any key of the section that is none of these is a parameter of the action.",
)
.read_again();

pub(in crate::config) const PARAMETERS: &Key = &Key::optional(
    keys::PARAMETERS,
    ValueKind::TextOf("parameters as a query string has them, NAME=VALUE&NAME=VALUE"),
    "Name=Ada&Text=Good%20night",
    "More parameters of the action, in one line.",
)
.read_again();

pub(in crate::config) const CRON: &Key = &Key::optional(
    keys::CRON,
    ValueKind::TextOf(crate::schedules::CRON_FORMS),
    "0 2 * * *",
    "The times at which the action is due, as cron has them. A local time that a change of the clocks skips is due at the next that there is, one that comes twice the first time.",
)
.read_again();

pub(in crate::config) const REPEAT_SECS: &Key = &Key::optional(
    keys::REPEAT_SECS,
    ValueKind::from_to(1, MAX_REPEAT_SECS as i64),
    "3600",
    "In place of Cron: the action is due at StartTime, and again each time that so many seconds have passed.",
)
.read_again();

pub(in crate::config) const START_TIME: &Key = &Key::with_default(
    keys::START_TIME,
    ValueKind::TextOf("now, or a time as NotBefore has it, such as 02:00 or 2027-01-31 02:00"),
    "now",
    "The time before which it is not due: now is when a server has the schedule for the first time. A time without a date is of that day.",
)
.read_again();

pub(in crate::config) const CYCLES: &Key = &Key::with_default(
    keys::CYCLES,
    ValueKind::or_unlimited(1, 1_000_000_000),
    "-1",
    "The number of actions after which the schedule ends.",
)
.read_again();

pub(in crate::config) const TIME_ZONE: &Key = &Key::optional(
    keys::TIME_ZONE,
    ValueKind::TextOf("a time zone of the IANA database, such as Europe/Berlin or UTC"),
    "Europe/Berlin",
    "The time zone of Cron and StartTime. The default is that of the server.",
)
.read_again();

pub(in crate::config) const OVERLAP: &Key = &Key::with_default(
    keys::OVERLAP,
    ValueKind::OneOf(Overlap::WORDS),
    "skip",
    "What happens if it is due while its last action has not ended: skip leaves it out, queue queues it all the same, replace stops the last one and queues it.",
)
.read_again();

pub(in crate::config) const CATCH_UP: &Key = &Key::with_default(
    keys::CATCH_UP,
    ValueKind::OneOf(CatchUp::WORDS),
    "none",
    "What happens about the times that were due while no server was there: none leaves them out, once queues one action for all of them.",
)
.read_again();

pub(in crate::config) const JITTER: &Key = &Key::with_default(
    keys::JITTER,
    ValueKind::Seconds { max: MAX_JITTER_SECS as i64 },
    "0",
    "Each action is queued up to so many seconds after it is due, by chance.",
)
.read_again();

pub(in crate::config) const ENABLED: &Key = &Key::with_default(
    keys::ENABLED,
    ValueKind::Boolean,
    "true",
    "Whether the schedule is due by itself. If not, it runs when an administrator asks for it.",
)
.read_again();
