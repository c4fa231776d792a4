//! A queue: the actor that commands its actions, and the handle by which callers use it.
//!
//! A change waits in the [`inbox`]. The actor enlists a batch with the store; the store seals it when it begins to write
//! it, and the actor enlists the next one while that is made durable: group commit without a timer. No caller is
//! answered, and no attempt handed to a worker, before the batch that holds it is durable (Q2, Q5).
//!
//! For callers:
//! - [`handle`]: the calls, with [`submission`] and [`target`], and [`listing`], [`many`], [`within`], [`waiting`] and [`run_now`]
//!   for more of them;
//! - [`settings`] with [`retry`], [`status`], [`errors`]: what they give and get.
//!
//! The actor, one of each queue on a server:
//! - [`actor`]: its parts, and when it enlists a batch (Q12, Q13);
//! - [`messages`]: the messages to it;
//! - [`batch`]: a batch from its sealing to its answer (Q11); [`reserved`]: what its starts need;
//! - [`committed`]: what follows from a durable batch;
//! - [`attempts`]: attempts from their start to their end (Q4, Q5); [`resume`]: those that outlive a server;
//! - [`owners`]: its part where other servers share its store (Q14);
//! - [`due`]: when to look for actions that must not start yet;
//! - [`telling`], and [`level`] for how full the queue is: what observers are told.
//!
//! The parts that outlive the actor, so that its successor goes on with them:
//! - [`shared`]: all of them, and the actor's address;
//! - [`inbox`]: what the next batch takes;
//! - [`slots`]: the attempts that run (Q4);
//! - [`waiters`]: the callers that wait for an action (Q11);
//! - [`drain`]: how fast actions leave the queue.

mod actor;
mod attempts;
mod batch;
mod committed;
mod drain;
mod due;
mod errors;
mod handle;
mod inbox;
mod level;
mod listing;
mod many;
mod messages;
mod owners;
mod relay;
mod reserved;
mod resume;
mod retry;
mod run_now;
mod settings;
mod shared;
mod slots;
mod status;
mod submission;
mod target;
mod telling;
mod waiters;
mod waiting;
mod within;

pub(crate) use actor::QueueActor;
pub use errors::QueueError;
pub use handle::QueueHandle;
pub use listing::{Listing, TooLarge};
pub use many::{Commanded, Many, ManyCommand, Refused};
#[cfg(feature = "testing")]
pub(crate) use messages::Crash;
pub(crate) use messages::{
    AttemptEnded, Change, Drain, EndAll, ErrorReported, LookAgain, Progressed, SettingsChanged,
    Settle, SlotFreed, Submissions, WorkerLost,
};
pub(crate) use owners::{LeaseState, Noticed};
pub use relay::{Relayed, RelayedCommand};
pub use retry::{Backoff, RetryPolicy};
pub use run_now::RunOutcome;
pub use settings::QueueSettings;
pub(crate) use shared::{Ending, Link, QueueLink, QueueShared, lock};
pub(crate) use slots::MOST_SLOTS;
pub use status::{ActionStatus, Load, Summary};
pub use submission::Submission;
pub use target::Target;
pub use waiters::WaitFor;
pub use within::StatusWithin;
