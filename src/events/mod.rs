//! Events told to others.
//!
//! | module | contents |
//! |---|---|
//! | [`handlers`] | handlers of events: what sends an event to a receiver, a file, a script or a program |
//! | [`live`] | events as they happen, for whoever listens at `/events` |

pub mod handlers;
pub mod live;

pub use live::LiveEvents;
