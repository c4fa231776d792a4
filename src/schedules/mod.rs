//! Schedules: actions that are queued at their times, without a client.
//!
//! | module | contents |
//! |---|---|
//! | `definition` | what is due, and when, in words |
//! | `check` | the check of its action's parameters |
//! | `timing` | the due times that follow from it: pure, and tested through a year in five zones |
//! | `zone` | local times, and the moments that they stand for |

mod check;
mod definition;
mod timing;
mod zone;

pub(crate) use check::{BadParameter, check_parameters};
pub use definition::{
    CatchUp, Definition, Fault, MAX_JITTER_SECS, MAX_REPEAT_SECS, Overlap, Schedule, keys,
};
pub use timing::{CRON_FORMS, Timing, jitter};
