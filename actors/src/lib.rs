//! Durable queues of asynchronous actions, for any actix or tokio program.
//!
//! An action is submitted to a named queue and gets an id once it is on disk. It starts when a slot is free, the highest
//! priority first. Meanwhile it can be looked at, paused, given another priority, cancelled and stopped. Every change that
//! was acknowledged survives a crash.
//!
//! # Map
//!
//! | To | see |
//! |---|---|
//! | write the work of one kind of action | an async function ([`perform_fn`]) or a [`Perform`], and [`ActionContext`]; all in [`perform`] |
//! | build, run and end the queues | [`System`], its [`Builder`], [`QueueSettings`] |
//! | submit, command, read and list actions | [`QueueHandle`], [`Submission`], [`Listing`] |
//! | submit again under a key, if the answer was lost | [`SubmissionKey`] |
//! | try again what failed, or start it later | [`RetryPolicy`] in the settings, [`QueueHandle::retry`], [`Submission::not_before`] |
//! | have work done elsewhere that outlives the server | [`OnRestart::Resume`], [`ActionContext::keep_note`], [`Perform::reserve`] |
//! | know an action's states and the effect of each command | the plain types in [`action`], the rules in [`lifecycle`] |
//! | make results and show progress | [`Node`], [`Report`] and [`Progress`], in [`report`] |
//! | be told of each change | [`Observer`], in [`events`] |
//! | tell others of ends and other changes, at least once | [`outbox`] |
//! | keep the actions elsewhere, or let several servers share them | [`store`] |
//! | set the clock, and plan failures for tests | [`clock`]; `testing`, with the feature of that name |
//!
//! # Example
//!
//! ```
//! use actiond_actors::{ActionContext, Failure, Node, Parameters, QueueSettings, Report, Submission, System};
//! use std::time::Duration;
//!
//! /// The work of an action. `?` ends it in Error, with the text of the error.
//! async fn greet(context: ActionContext) -> Result<Report, Failure> {
//!     let seconds = context.parameters().get("Seconds").unwrap_or("0").parse()?;
//!     context.sleep(Duration::from_secs(seconds)).await?; // a stop takes effect here
//!     let name = context.parameters().get("Name").unwrap_or("world");
//!     Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
//! }
//!
//! # #[actix::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let system = System::builder(directory.path())
//!     .queue("Greet", QueueSettings::default(), greet)
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
//! **An action that was running when the server went down ends in Error and is not run again**, unless its work or its queue says
//! that it may run twice: see [`Perform`].
//!
//! # Guarantees
//!
//! The numbers are those of the project's invariants. Tests and a model of every order of events check them.
//!
//! - **Ids** (Q1): an id is never used twice.
//! - **Durability** (Q2): an acknowledged submission, command or end survives a crash of the process, and by default of the
//!   machine ([`Durability`]).
//! - **States** (Q3, Q7, Q9, Q10): an action is in one state, moves only as [`lifecycle`] says, and never leaves a final
//!   state, but for an Error that a client wants to be tried again. Its times are in order even if the clock is set back. The counts of a queue equal its rows.
//! - **Slots** (Q4): no more actions hold a slot than the queue has. Forced work has ended before its slot is used again:
//!   a task is dropped, a process is gone with its group. A thread can't be forced; its slot is retired until it ends.
//! - **Starts** (Q5, Q14): an action starts only after its start is durable, and at most one attempt at it runs. Where
//!   several servers share a [`store`], attempts of two of them may overlap for a moment; at most one is believed, and an
//!   action that may run only once ([`OnRestart::Fail`]) is never begun twice.
//! - **Stops** (Q6): a cancelled action never starts. A stop reaches only the attempt that it was meant for.
//! - **Order** (Q8, Q12, Q13): higher priority first, equal ones by arrival. A paused queue starts nothing. One that is
//!   not paused, and has a free slot, starts what waits, unless that waits for a time.
//! - **Answers** (Q11): each call gets one answer, or [`QueueError::NoAnswer`] where the change may have been made.
//! - **Panics**: one in an action ends that action in Error. One in a queue's actor has it rebuilt. One in an observer is
//!   logged.
//! - **Events**: an [`Observer`] is told of each change once, after it is durable. A change that became durable just before
//!   a crash may not be told.
//!
//! # Limits
//!
//! A result may be nested 50 levels deep and take 400 MB as JSON; a longer error text is cut there. SQLite comes
//! with rusqlite (`bundled`). Cargo allows one version of `libsqlite3-sys` in a program, so yours must be the same.
//!
//! # Inside
//!
//! - `system`: starts and ends all the rest; its builder, its threads, its lease and its shutdown.
//! - `queue`: the actor that owns a queue, the handle that callers hold, and what outlives the actor.
//! - `worker`: one slot and the attempt in it; `worker::run` runs that as a task, a thread or a process.
//! - `supervision`: the guardian that rebuilds a queue's actor that died.
//!
//! The rules about states are in [`lifecycle`] alone. `ARCHITECTURE.md` of the repository has a table of all invariants: the
//! module that upholds each, and the tests that show it.

pub mod action;
pub mod clock;
pub mod events;
mod key;
pub mod lifecycle;
mod moment;
pub mod outbox;
pub mod perform;
mod queue;
pub mod report;
pub mod secrets;
pub mod store;
pub mod subject;
mod supervision;
mod system;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use action::{ActionId, Parameters, State, Timestamp, Value};
pub use events::{
    ActionRef, Awake, Interest, Observer, OneLine, QueueEvent, Requeue, Unfinished, observer,
};
pub use key::SubmissionKey;
pub use lifecycle::{Came, OnRestart, Recovery};
pub use perform::{
    ActionContext, Failure, Perform, PerformFn, StopReason, StopRequested, Wish, Work,
    perform_blocking, perform_fn,
};
#[cfg(unix)]
pub use perform::{Bystander, ChildProcess};
pub use queue::{
    ActionStatus, Backoff, Commanded, Listing, Load, Many, ManyCommand, QueueError, QueueHandle,
    QueueSettings, Refused, Relayed, RelayedCommand, RetryPolicy, RunOutcome, StatusWithin,
    Submission, Summary, Target, TooLarge, WaitFor,
};
pub use report::{Content, Node, Progress, Report, Stage, StageStatus};
pub use store::sqlite::Durability;
pub use store::{Counts, StoreError, StoreSize, Submitted};
pub use subject::Subject;
pub use system::{Builder, Standing, StartError, System};
