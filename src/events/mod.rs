//! Events told to others.
//!
//! | module | contents |
//! |---|---|
//! | [`handlers`] | handlers of events: what sends an event to a receiver, a file, a script or a program |

pub mod handlers;
