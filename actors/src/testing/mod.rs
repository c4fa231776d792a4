//! Helpers for tests of queues and performers, instead of sleeps and luck (feature `testing`).
//!
//! - [`ManualClock`]: wall-clock time that the test sets;
//! - [`Gate`]: holds performers until the test lets them go on, and counts them;
//! - [`Script`]: a performer whose work is planned by the test, and that counts who runs;
//! - [`FaultyStore`]: a store that fails, or answers late, when the test says so;
//! - [`eventually`]: waits for a state, within a bound, and says what it waited for.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests fail the test, and one of them panics on purpose"
)]

mod clock;
mod faulty;
mod gate;
mod script;

use std::fmt::Display;
use std::time::{Duration, Instant};

pub use clock::ManualClock;
pub use faulty::FaultyStore;
pub use gate::Gate;
pub use script::{Call, Plan, Script};

/// Time for which [`eventually`] waits: far longer than a loaded machine needs, short enough to read the
/// message of a test that fails.
pub const WITHIN: Duration = Duration::from_secs(10);

/// Time between two checks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until the condition holds; panics with `what` if it does not within [`WITHIN`].
///
/// Wait for what stays true once it is (a level), not for something that passes (an edge).
///
/// ```
/// # #[actix::main]
/// # async fn main() {
/// use actiond_actors::testing::{Gate, eventually};
/// let gate = Gate::new();
/// let waits = tokio::spawn({ let gate = gate.clone(); async move { gate.wait().await } });
/// eventually("somebody waits at the gate", async || gate.waiting() == 1).await;
/// gate.open();
/// waits.await.expect("it goes on");
/// # }
/// ```
pub async fn eventually(what: impl Display, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < WITHIN, "waited {WITHIN:?} in vain until {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
