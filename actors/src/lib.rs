//! Durable queues of asynchronous actions, run by actors, for any actix or tokio program.
//!
//! An action is submitted to a named queue and gets an id once it is on disk. The queue starts it
//! when a slot is free, highest priority first; meanwhile it can be looked at, paused, given
//! another priority, cancelled and stopped. What was acknowledged survives a crash.
//!
//! ```
//! use actiond_actors::{ActionContext, Node, Parameters, Perform, QueueSettings, Submission, System, Work};
//! use std::time::Duration;
//!
//! struct Greet;
//! impl Perform for Greet {
//!     fn perform(&self, context: ActionContext) -> Work {
//!         let name = context.parameters().get("Name").unwrap_or("world").to_owned();
//!         Work::done(Ok(vec![Node::text("greeting", format!("Hello, {name}"))]))
//!     }
//! }
//!
//! # #[actix::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let system = System::builder(directory.path())
//!     .queue("Greet", QueueSettings::default(), Greet)
//!     .start()
//!     .await?;
//! let greet = system.queue("Greet").ok_or("no such queue")?;
//! let submitted = greet.submit(Submission::new(Parameters::from_iter([("Name", "Ada")]))).await?;
//! let status = greet.wait(submitted.id, Duration::from_secs(5)).await?;
//! assert_eq!(status.record.report, [Node::text("greeting", "Hello, Ada")]);
//! system.shutdown(Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - Q1: an id is never used twice.
//! - Q2: an acknowledged submission, command or end survives a crash.
//! - Q3, Q7: an action is in one state, moves only as [`lifecycle`] says, and a final state is final.
//! - Q4: no more actions hold a slot than the queue has.
//! - Q5: an action starts only after its start is on disk, so one that must not run twice does not.
//! - Q6: a cancelled action never starts; a stop reaches only the attempt it was meant for.
//! - Q8: higher priority first, equal ones by arrival.
//! - Q11: each call gets one answer, or learns that none came.
//! - Q12, Q13: a paused queue starts nothing; one that is not, with a free slot, starts what waits.
//! - What was forced has ended before its slot is used again: a task is dropped, a process and its group are gone. A
//!   thread can't be forced, so its slot is retired until it ends.
//! - Q14: at most one attempt at an action runs; where several servers share a store, at most one is believed, and one
//!   that may run only once is never begun twice ([`store`]).
//! - A panic in an action ends that action in Error; a panic in a queue's actor has it rebuilt; one in an observer harms
//!   nobody.
//! - An [`Observer`] is told of each change once, after it is durable; what became durable just before a crash may not be
//!   told.
//!
//! # Limits
//!
//! A result may be nested 50 levels deep, and take 400 MB as JSON; a longer error text is cut there. SQLite comes
//! with rusqlite (`bundled`), and cargo takes one version of `libsqlite3-sys` in a program.
//!
//! # The map
//!
//! [`action`] and [`report`] are the plain types, [`lifecycle`] the rules, [`perform`] what you
//! implement, [`System`] and [`QueueHandle`] what you call, [`events`] what you are told, [`store`] where actions are kept.
//!
//! Inside: `queue/` is the actor that owns a queue, with what its users hold (`handle`, `listing`, `run_now`), what outlives it
//! (`shared`, `slots`, `waiters`, `inbox`) and what it tells (`telling`, `level`); `worker/` is one slot and the attempt it
//! watches, and `worker/run/` how that is run: as a task, a thread or a process. `supervision` rebuilds a queue's actor
//! that died, `system` starts and ends all of it.

pub mod action;
pub mod clock;
pub mod events;
mod key;
pub mod lifecycle;
pub mod perform;
mod queue;
pub mod report;
pub mod store;
mod supervision;
mod system;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use action::{ActionId, Parameters, State, Timestamp, Value};
pub use events::{Interest, Observer, OneLine, QueueEvent, Unfinished, observer};
pub use key::SubmissionKey;
pub use lifecycle::{Came, OnRestart};
#[cfg(unix)]
pub use perform::ChildProcess;
pub use perform::{ActionContext, Failure, Perform, StopRequested, Wish, Work};
pub use queue::{
    ActionStatus, Listing, QueueError, QueueHandle, QueueSettings, RunOutcome, StatusWithin,
    Submission, Summary, Target, TooLarge,
};
pub use report::{Content, Node, Progress, Report, Stage, StageStatus};
pub use store::sqlite::Durability;
pub use store::{Counts, StoreError, Submitted};
pub use system::{Builder, StartError, System};
