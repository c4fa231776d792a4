//! The memory that the bodies of requests share.

mod bodies;

pub(crate) use bodies::{Exhausted, FREE, Held, Lost, PATIENCE, SHARE, Uploads};
