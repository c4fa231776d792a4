//! Memory that requests share: how much of it they may hold together, who waits, and who loses what it holds.
//!
//! The bodies of requests have one [`Budget`], replies another, each with a limit of its own (`MaxUploadMemory`,
//! `MaxReplyMemory`). A budget is counted in shares of [`SHARE`] bytes, and what is small needs none. Two ways lead to a share:
//!
//! - [`Held::grow_to`] takes one after the other for what grows and can't be had again: a body as its bytes come, a reply that
//!   became larger than the room that was found for it. Whoever waits keeps what it has. That none waits for another for
//!   ever, one place is set apart: whoever has it needs no more shares and can always end.
//! - [`Held::reserve`] takes all at once for what has not been read yet. Whoever waits holds nothing, and waits in
//!   the order of asking.
//!
//! Either waits for some seconds at most ([`PATIENCE`]). While one grows and waits, those of whom nothing comes lose what they
//! hold ([`Held::next`]), the one first that was silent for the longest.
//!
//! Whose they are: the endpoint's, for all its workers. Who asks: `body.rs` for bodies, `front/room.rs` for replies.

mod budget;
mod silence;

use std::time::Duration;

pub(crate) use budget::{Budget, Exhausted, Held, Lost, in_time};

/// How many bytes one share is.
pub(crate) const SHARE: usize = 64 << 10;

/// How many bytes of a body need no share: about what its connection costs as well, and connections are counted
/// elsewhere. So whatever steers an action always gets through.
pub(crate) const FREE: usize = 16 << 10;

/// The time that one request waits for memory, all waits together, before it is refused (our choice: clients give up after
/// 10 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);
