//! Schedules: actions that are queued at their times, without a client.
//!
//! | module | contents |
//! |---|---|
//! | `definition` | what is due, and when, in words |
//! | `check` | the check of its action's parameters |
//! | `timing` | the due times that follow from it: pure, and tested through a year in five zones |
//! | `entry` | a schedule with its due times |
//! | `run` | looks for what is due, and queues it |
//! | `actor` | the actor that does so when it is time, and the handle of both |
//! | `zone` | local times, and the moments that they stand for |

mod actor;
mod check;
mod definition;
mod entry;
mod run;
mod timing;
mod zone;

pub use actor::{ScheduleError, ScheduleStatus, Schedules};
pub(crate) use check::{BadParameter, check_parameters, meant};
pub use definition::{
    CatchUp, Definition, Fault, MAX_JITTER_SECS, MAX_REPEAT_SECS, Overlap, Schedule, keys,
};
pub use timing::{CRON_FORMS, Timing, jitter};
