//! What is told to others of the events of queues.
//!
//! | module | contents |
//! |---|---|
//! | [`live`] | events as they happen, for whoever listens at `/events` |

pub mod live;

pub use live::LiveEvents;
