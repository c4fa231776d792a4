//! The actor that looks after schedules, and its handle.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::store::ScheduleChange;
use actiond_actors::{
    ActionStatus, QueueError, QueueHandle, State, StoreError, Submitted, System, Timestamp,
};
use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler,
    Message, SpawnHandle, WrapFuture as _,
};

use super::definition::{Definition, Schedule};
use super::entry::Entry;
use super::run::{Known, Runner};

/// The longest time between two looks: a clock may be set, and other servers add and change schedules.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The shortest one, where a look has left something to do.
const LOOK_SOON: Duration = Duration::from_millis(5);

/// The schedules of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    runner: Arc<Runner>,
    actor: Addr<ScheduleActor>,
}

/// Looks for what is due, sleeps until something is, and looks again.
struct ScheduleActor {
    runner: Arc<Runner>,
    /// True while it looks.
    looks: bool,
    /// True if it is to look again once it has.
    again: bool,
    sleep: Option<SpawnHandle>,
}

impl Actor for ScheduleActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl ScheduleActor {
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looks {
            self.again = true;
            return;
        }
        self.looks = true;
        if let Some(sleep) = self.sleep.take() {
            ctx.cancel_future(sleep);
        }
        let runner = Arc::clone(&self.runner);
        let look = async move { runner.look().await }.into_actor(self);
        ctx.spawn(look.map(|next, actor, ctx| {
            actor.looks = false;
            let wait = match next {
                _ if std::mem::take(&mut actor.again) => LOOK_SOON,
                None => LOOK_EVERY,
                Some(next) => {
                    let left = next.0.saturating_sub(actor.runner.now().0);
                    Duration::from_millis(u64::try_from(left).unwrap_or_default())
                }
            };
            let wait = wait.clamp(LOOK_SOON, LOOK_EVERY);
            actor.sleep = Some(ctx.run_later(wait, |actor, ctx| {
                actor.sleep = None;
                actor.look(ctx);
            }));
        }));
    }
}

/// Has it look at once.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

impl Handler<Look> for ScheduleActor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

/// Ends it. What it has begun to queue is queued, or not.
#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl Handler<End> for ScheduleActor {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// A schedule as it stands.
#[derive(Debug)]
pub struct ScheduleStatus {
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: Definition,
    /// True if it was added while a server ran.
    pub is_added: bool,
    /// True while it is paused.
    pub paused: bool,
    /// Number of due times for which an action was queued.
    pub cycles: u64,
    /// The time for which the last action was queued.
    pub last: Option<Timestamp>,
    /// The last action, with its queue and its state, while it is kept.
    pub last_action: Option<(QueueHandle, Submitted, State)>,
    /// The next due time, if it is due by itself.
    pub next: Option<Timestamp>,
}

/// The reason for which a schedule was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// There is none of this name.
    #[error("there is no such schedule; there are {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    Unknown {
        /// The names of those that there are.
        known: Vec<String>,
    },
    /// There is one of this name.
    #[error("there is a schedule of that name")]
    Exists,
    /// It stands in the configuration.
    #[error("it stands in the configuration: take it out there")]
    Configured,
    /// There are as many that were added as there may be.
    #[error("{limit} schedules were added, and there may be no more")]
    TooMany {
        /// Their number.
        limit: usize,
    },
    /// Its definition is too long to be kept.
    #[error("its definition has {bytes} bytes and may have {limit}")]
    TooLong {
        /// The length.
        bytes: usize,
        /// The maximum.
        limit: usize,
    },
    /// The queue or the store could not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<StoreError> for ScheduleError {
    fn from(error: StoreError) -> Self {
        Self::Queue(error.into())
    }
}

impl Schedules {
    /// Maximum number of schedules that are added while servers run.
    pub const MAX_ADDED: usize = 1000;
    /// Maximum length of a definition in bytes, as it is kept.
    pub const MAX_DEFINITION: usize = 64 * 1024;

    /// Starts an actor that queues the actions of schedules when they are due: of those of kinds of action
    /// ([`ConfiguredQueue::schedules`](crate::kinds::ConfiguredQueue::schedules)), of others, and of those that were added before.
    /// It lives on the present thread, in which an actix system must run.
    #[must_use]
    pub fn start(system: System, of_kinds: &[Schedule], configured: &[Schedule]) -> Self {
        let runner = Arc::new(Runner::new(system, of_kinds, configured));
        let actor =
            ScheduleActor { runner: Arc::clone(&runner), looks: false, again: false, sleep: None };
        Self { runner, actor: actor.start() }
    }

    /// Replaces the schedules that are neither those of kinds of action nor were added.
    pub fn replace(&self, configured: &[Schedule]) {
        self.runner.replace(configured);
        self.actor.do_send(Look);
    }

    /// Ends the actor: nothing is due here any more.
    pub fn end(&self) {
        self.actor.do_send(End);
    }

    /// Returns all schedules, in the order of their names in lower case.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn list(&self) -> Result<Vec<ScheduleStatus>, StoreError> {
        let mut all = Vec::new();
        for known in self.runner.known().await? {
            all.push(status(known, self.runner.now()).await?);
        }
        Ok(all)
    }

    /// Queues an action of a schedule now, whatever is due; also of one that is paused. Returns its queue and the action.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`], or those of the submission.
    pub async fn run(&self, name: &str) -> Result<(QueueHandle, Submitted), ScheduleError> {
        let known = self.find(name).await?;
        Ok(self.runner.run_now(&known).await?)
    }

    /// Pauses a schedule: nothing is queued for it, also after a restart, until it is resumed.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`], or the store's.
    pub async fn pause(&self, name: &str) -> Result<(), ScheduleError> {
        let known = self.find(name).await?;
        self.runner.see(&known, self.runner.now()).await?;
        self.runner.change(&known.entry, ScheduleChange::Pause).await?;
        Ok(())
    }

    /// Resumes a schedule: it goes on with what is due from now on.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`], or the store's.
    pub async fn resume(&self, name: &str) -> Result<(), ScheduleError> {
        let known = self.find(name).await?;
        let at = self.runner.now();
        self.runner.see(&known, at).await?;
        self.runner.change(&known.entry, ScheduleChange::Resume { at }).await?;
        self.actor.do_send(Look);
        Ok(())
    }

    /// Adds a schedule, of which the definition was checked. It is kept until it is removed.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Exists`], [`ScheduleError::TooMany`], [`ScheduleError::TooLong`], or the store's.
    pub async fn add(&self, schedule: Schedule) -> Result<(), ScheduleError> {
        let known = self.runner.known().await?;
        if known.iter().any(|known| known.entry.name.eq_ignore_ascii_case(&schedule.name)) {
            return Err(ScheduleError::Exists);
        }
        let limit = Self::MAX_ADDED;
        if known.iter().filter(|known| known.entry.is_added).count() >= limit {
            return Err(ScheduleError::TooMany { limit });
        }
        let Some(entry) = Entry::of(&schedule, true) else {
            return Err(ScheduleError::Exists);
        };
        let definition = serde_json::to_string(&schedule.definition)
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let (bytes, limit) = (definition.len(), Self::MAX_DEFINITION);
        if bytes > limit {
            return Err(ScheduleError::TooLong { bytes, limit });
        }
        let at = self.runner.now();
        match self.runner.change(&entry, ScheduleChange::Add { definition, at }).await {
            Err(QueueError::Schedule(_)) => return Err(ScheduleError::Exists),
            other => other?,
        }
        self.actor.do_send(Look);
        Ok(())
    }

    /// Removes a schedule that was added. What it has queued stays queued.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`], [`ScheduleError::Configured`], or the store's.
    pub async fn remove(&self, name: &str) -> Result<(), ScheduleError> {
        let known = self.find(name).await?;
        if !known.entry.is_added {
            return Err(ScheduleError::Configured);
        }
        self.runner.change(&known.entry, ScheduleChange::Remove).await?;
        Ok(())
    }

    async fn find(&self, name: &str) -> Result<Known, ScheduleError> {
        let mut known = self.runner.known().await?;
        match known.iter().position(|known| known.entry.name.eq_ignore_ascii_case(name)) {
            Some(at) => Ok(known.swap_remove(at)),
            None => {
                let known = known.into_iter().map(|known| known.entry.name).collect();
                Err(ScheduleError::Unknown { known })
            }
        }
    }
}

async fn status(known: Known, now: Timestamp) -> Result<ScheduleStatus, StoreError> {
    let Known { entry, state, queue_of_last } = known;
    let last = state.as_ref().and_then(|state| state.last);
    let last_action = match last.zip(queue_of_last) {
        Some((last, queue)) => match queue.status_within(last.id, 0).await {
            Ok(within) => {
                let ActionStatus { record, .. } = within.status;
                let (id, queued_at, taken_by) = (record.id, record.queued_at, record.taken_by);
                Some((queue, Submitted { id, queued_at, taken_by }, record.state))
            }
            Err(QueueError::Store(error)) => return Err(error),
            // It is deleted.
            Err(_) => None,
        },
        None => None,
    };
    Ok(ScheduleStatus {
        paused: state.as_ref().is_some_and(|state| state.paused),
        cycles: state.as_ref().map_or(0, |state| state.cycles),
        last: last.map(|last| last.due),
        last_action,
        next: entry.next(state.as_ref(), now),
        name: entry.name,
        definition: entry.definition,
        is_added: entry.is_added,
    })
}
