//! Budgets for the memory that requests share: reservations, waiting for memory, and eviction of silent clients.
//!
//! The bodies of requests have one [`Budget`], replies another, each with a limit of its own (`MaxUploadMemory`,
//! `MaxReplyMemory`). A budget is counted in shares of [`SHARE`] bytes; a small body or reply needs none. There are two ways to
//! get shares:
//!
//! - [`Reservation::grow_to`] takes one share after the other, for data that grows and can't be made again: a body as its bytes
//!   come, a reply that became larger than expected. One that waits keeps its shares. So that two never wait for each other
//!   for ever (deadlock), there is one emergency slot: its holder needs no more shares and can always finish.
//! - [`Reservation::reserve`] takes all shares at once, for data that has not been read yet. One that waits holds nothing, and
//!   they are served in the order of asking.
//!
//! Both wait at most [`PATIENCE`]. While one waits in `grow_to`, those whose clients are silent are evicted
//! ([`Reservation::next`]), the longest silent first.
//!
//! The endpoint owns the budgets, for all its workers. `body.rs` uses them for bodies, `front/reply_memory.rs` for replies.

mod budget;
mod eviction;

use std::time::Duration;

pub(crate) use budget::{Budget, CurrentBudget, Evicted, Exhausted, Reservation, in_time};

/// Size of a share in bytes.
pub(crate) const SHARE: usize = 64 << 10;

/// Number of bytes of a body that need no share: about what its connection costs as well, and connections are limited
/// elsewhere. So a request that steers an action always gets through.
pub(crate) const FREE: usize = 16 << 10;

/// Time that one request waits for memory, all waits together, before it is refused (our choice: clients give up after 10 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);
