//! Schedules: actions that are queued at their times, without a client.
//!
//! | module | contents |
//! |---|---|
//! | `definition` | what is due, and when, in words |
//! | `timing` | the due times that follow from it: pure, and tested through a year in five zones |
//! | `zone` | local times, and the moments that they stand for |

mod definition;
mod timing;
mod zone;

pub use definition::{CatchUp, Definition, Fault, MAX_JITTER_SECS, MAX_REPEAT_SECS, Overlap, keys};
pub use timing::{CRON_FORMS, Timing, jitter};
