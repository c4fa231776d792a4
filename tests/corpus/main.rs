//! Replays the inputs that fuzzing found worth keeping (`fuzz/corpus`) as ordinary tests; `docs/fuzzing.md` says how
//! they came to be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic, and that is how it fails"
)]

/// Counts what is allocated, so that a target that needs far too much fails.
#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

mod large;
mod replay;
