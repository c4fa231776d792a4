//! Commands to many actions: to those that are named, or to all that a filter lists.
//!
//! They go in steps, each a control of its own with the queue's other changes between two of them. The steps of all such
//! commands take turns, and each is followed by a rest as long as it took, so that others have at least half of the writer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{QueueError, QueueHandle, RelayedCommand, Target};
use crate::action::State;
use crate::lifecycle::{Command, Refusal, Verdict, decide};
use crate::store::query::{Cursor, Query, SortKey, States};
use crate::store::{Affected, Control};

/// Longest rest between two steps: a disk that stalls for a while must not make a command last for hours.
const MAX_REST: Duration = Duration::from_millis(250);

/// Number of actions whose commands are passed on to where they are done at the same time.
const RELAYED_AT_ONCE: usize = 16;

/// A command that may be given to many actions at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManyCommand {
    /// [`Command::Cancel`].
    Cancel,
    /// [`Command::Stop`].
    Stop,
    /// [`Command::ChangePriority`], to this one.
    ChangePriority(i32),
    /// [`Command::Retry`].
    Retry,
    /// [`Command::Delete`].
    Delete,
}

impl ManyCommand {
    const fn to_each(self) -> Command {
        match self {
            Self::Cancel => Command::Cancel,
            Self::Stop => Command::Stop,
            Self::ChangePriority(priority) => Command::ChangePriority(priority),
            Self::Retry => Command::Retry,
            Self::Delete => Command::Delete,
        }
    }

    const fn relayed(self) -> Option<RelayedCommand> {
        match self {
            Self::Cancel => Some(RelayedCommand::Cancel),
            Self::ChangePriority(priority) => Some(RelayedCommand::ChangePriority(priority)),
            Self::Stop | Self::Retry | Self::Delete => None,
        }
    }

    /// Returns the states in which a filter selects actions: not those in which there is nothing left to do. A deletion
    /// passes over what has not ended.
    fn selects(self) -> States {
        let selects = |state: &State| match decide(*state, self.to_each()) {
            Ok(Verdict::Stay) => !state.is_final(),
            Ok(_) => true,
            Err(_) => self != Self::Delete,
        };
        State::ALL.into_iter().filter(selects).collect()
    }
}

/// Result of a command to many actions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commanded {
    /// Number of actions that have accepted it, durably.
    pub done: u64,
    /// Number of those that have not, for each reason.
    pub refused: Vec<(Refused, u64)>,
    /// True if it ended before all had got it: the time was over, the system shuts down, or something failed. Another call
    /// goes on, or tells what fails.
    pub more: bool,
}

/// The reason for which actions have refused a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There are no such actions in the queue.
    Unknown,
    /// Their state does not allow it.
    State(Refusal),
    /// The place where they are done does not allow it, for this reason or another.
    Elsewhere(String),
}

impl Commanded {
    /// Returns the number of actions that have refused the command.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.iter().fold(0, |sum, (_, number)| sum.saturating_add(*number))
    }

    /// Adds so many refusals for a reason.
    pub fn refuse(&mut self, why: Refused, number: u64) {
        let same = |known: &Refused| match (known, &why) {
            (Refused::Elsewhere(_), Refused::Elsewhere(_)) => true,
            (known, why) => known == why,
        };
        match self.refused.iter_mut().find(|(known, _)| same(known)) {
            Some((_, known)) => *known = known.saturating_add(number),
            None if number > 0 => self.refused.push((why, number)),
            None => {}
        }
    }

    const fn has_any(&self) -> bool {
        self.done > 0 || !self.refused.is_empty()
    }
}

/// A command on its way to many actions, made by [`QueueHandle::command_named`] and [`QueueHandle::command_listed`]. Nothing
/// happens until it is run; if that is dropped, it ends with the step that it is at.
#[derive(Debug)]
#[must_use]
pub struct Many {
    queue: QueueHandle,
    command: ManyCommand,
    left: Left,
    commanded: Commanded,
    /// Time for which the last step took.
    rest: Duration,
}

/// The actions that have not got the command yet.
#[derive(Debug)]
enum Left {
    Named(vec::IntoIter<Target>),
    Listed { filter: Arc<Query>, cursor: Option<Cursor>, most: u64 },
}

impl QueueHandle {
    /// Gives a command to each of these actions, one after the other; one that is named twice gets it once.
    pub fn command_named(&self, command: ManyCommand, mut actions: Vec<Target>) -> Many {
        let mut seen = HashSet::new();
        actions.retain(|target| seen.insert((target.id, target.queued_at)));
        self.command_left(command, Left::Named(actions.into_iter()))
    }

    /// Gives a command to the actions that this query lists, from the index `start` (from 0) on, to at most `most` of them, in its
    /// order. It is for those of them for which something may be left to do; a deletion is for those that have ended.
    ///
    /// An action that is not as listed any more when it is its turn stays as it is.
    pub fn command_listed(
        &self,
        command: ManyCommand,
        query: Query,
        start: u64,
        most: u64,
    ) -> Many {
        let states = query.states.and(command.selects());
        // An action that the command moves must not come again later in the order, if that does not matter.
        let sort = if start == 0 && most == u64::MAX { SortKey::Queued } else { query.sort };
        let filter = Arc::new(Query { states, sort, ..query });
        let cursor = Some(Cursor::start(start));
        self.command_left(command, Left::Listed { filter, cursor, most })
    }

    fn command_left(&self, command: ManyCommand, left: Left) -> Many {
        let (commanded, rest) = (Commanded::default(), Duration::ZERO);
        Many { queue: self.clone(), command, left, commanded, rest }
    }
}

impl Many {
    /// Goes on until all have got the command, or `patience` is over; a step that has begun is ended first.
    ///
    /// It goes in small steps with the queue's other changes between them, and all commands to many actions of a system take
    /// turns, so that nobody waits for it.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`], as long as no action has got it.
    pub async fn run_for(self, patience: Duration) -> Result<Commanded, QueueError> {
        self.run_while(patience, || true).await
    }

    /// Goes on as [`Many::run_for`] does, and only while `is_wanted` returns true; it is asked before each step.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn run_while(
        mut self,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Commanded, QueueError> {
        let until = tokio::time::Instant::now().checked_add(patience);
        loop {
            if !self.is_left() {
                return Ok(self.commanded);
            }
            let is_over = until.is_some_and(|until| until <= tokio::time::Instant::now());
            if is_over || !is_wanted() || self.queue.shared.inbox().is_draining() {
                return Ok(Commanded { more: true, ..self.commanded });
            }
            match self.step(until).await {
                Ok(()) => {}
                Err(error) if self.commanded.has_any() => {
                    let name = self.queue.name();
                    log::warn!("queue {name}: a command to many actions ended early: {error}");
                    return Ok(Commanded { more: true, ..self.commanded });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_left(&self) -> bool {
        match &self.left {
            Left::Named(left) => left.len() > 0,
            Left::Listed { cursor, most, .. } => cursor.is_some() && *most > 0,
        }
    }

    /// Gives the command to the next actions, unless the time is over before it is its turn.
    async fn step(&mut self, until: Option<tokio::time::Instant>) -> Result<(), QueueError> {
        let system = self.queue.system.upgrade().ok_or(QueueError::ShuttingDown)?;
        let rest = std::mem::take(&mut self.rest);
        let turn = async {
            // It is never closed. Who rests keeps the turn: what comes next would take the time of others, too.
            let turn = system.turns().acquire().await;
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            turn
        };
        let turn = match until {
            Some(until) => match tokio::time::timeout_at(until, turn).await {
                Ok(turn) => turn,
                Err(_) => return Ok(()),
            },
            None => turn.await,
        };
        let began = Instant::now();
        let affected = self.give_to_next().await?;
        self.rest = began.elapsed().min(MAX_REST);
        drop(turn);
        self.count(affected, until).await;
        Ok(())
    }

    /// Gives the command to the next actions, as one control. Returns its answer.
    async fn give_to_next(&mut self) -> Result<Vec<Affected>, QueueError> {
        let queue = &self.queue;
        let command = self.command.to_each();
        match &mut self.left {
            Left::Named(left) => {
                let actions: Vec<Target> = left.by_ref().take(Control::MAX_MANY).collect();
                let asked = actions.len();
                let control = Control::Many { actions, command, filter: None };
                let affected = queue.send_control(control, None).await?;
                let unknown = asked.saturating_sub(affected.len()) as u64;
                self.commanded.refuse(Refused::Unknown, unknown);
                Ok(affected)
            }
            Left::Listed { filter, cursor, most } => {
                let Some(from) = *cursor else { return Ok(Vec::new()) };
                let number = usize::try_from(*most).unwrap_or(usize::MAX).min(Control::MAX_MANY);
                let query = Query::clone(filter);
                let page = queue.store.page_of_ids(queue.id, query, from, number).await?;
                let affected = if page.ids.is_empty() {
                    Vec::new()
                } else {
                    let actions = page.ids.into_iter().map(Target::from).collect();
                    let filter = Some(Arc::clone(filter));
                    let control = Control::Many { actions, command, filter };
                    queue.send_control(control, None).await?
                };
                *most = most.saturating_sub(affected.len() as u64);
                *cursor = page.next;
                Ok(affected)
            }
        }
    }

    /// Counts what was done and refused. Of what is done elsewhere, the place where it is done decides.
    async fn count(&mut self, affected: Vec<Affected>, until: Option<tokio::time::Instant>) {
        let (refused, done): (Vec<_>, Vec<_>) =
            affected.into_iter().partition(|action| action.verdict == Verdict::Refused);
        self.commanded.done = self.commanded.done.saturating_add(done.len() as u64);
        let command = self.command.to_each();
        let refused = refused.into_iter();
        let (elsewhere, here): (Vec<_>, Vec<_>) = refused.partition(|action| {
            self.command.relayed().is_some() && self.queue.is_relayed_in(action.state)
        });
        for action in here {
            self.commanded.refuse(Refused::State(Refusal { state: action.state, command }), 1);
        }
        let Some(relayed) = self.command.relayed() else { return };
        let queue = &self.queue;
        let answers = stream::iter(elsewhere).map(async |action| {
            let refusal = Refusal { state: action.state, command };
            let answer = queue.pass_on(action.id, relayed, refusal);
            match until {
                Some(until) => {
                    let answer = tokio::time::timeout_at(until, answer).await;
                    answer.unwrap_or(Err(QueueError::NoAnswer))
                }
                None => answer.await,
            }
        });
        let answers: Vec<_> = answers.buffer_unordered(RELAYED_AT_ONCE).collect().await;
        for answer in answers {
            match answer {
                Ok(_) => self.commanded.done = self.commanded.done.saturating_add(1),
                Err(QueueError::Refused(refusal)) => {
                    self.commanded.refuse(Refused::State(refusal), 1);
                }
                Err(QueueError::UnknownAction { .. }) => {
                    self.commanded.refuse(Refused::Unknown, 1);
                }
                Err(error) => self.commanded.refuse(Refused::Elsewhere(error.to_string()), 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_selects_what_something_is_left_to_do_for() {
        use State::{Cancelled, Stopped};
        for (command, passed_over) in [
            (ManyCommand::Cancel, &[Cancelled][..]),
            (ManyCommand::Stop, &[Cancelled, Stopped]),
            (ManyCommand::ChangePriority(3), &[]),
            (ManyCommand::Retry, &[]),
            (
                ManyCommand::Delete,
                &[State::Queued, State::Processing, State::Paused, State::Stopping],
            ),
        ] {
            for state in State::ALL {
                let selects = command.selects().contains(state);
                assert_eq!(selects, !passed_over.contains(&state), "{command:?} on {state}");
            }
        }
    }

    #[test]
    fn refusals_are_counted_by_their_reason() {
        let state = |state| Refused::State(Refusal { state, command: Command::Cancel });
        let mut commanded = Commanded::default();
        commanded.refuse(Refused::Unknown, 0);
        assert!(!commanded.has_any());
        for why in [
            state(State::Processing),
            Refused::Unknown,
            state(State::Finished),
            Refused::Elsewhere("it is late".to_owned()),
            state(State::Processing),
            Refused::Elsewhere("it is gone".to_owned()),
        ] {
            commanded.refuse(why, 1);
        }
        let numbers: Vec<u64> = commanded.refused.iter().map(|(_, number)| *number).collect();
        assert_eq!((numbers, commanded.refusals()), (vec![2, 1, 1, 2], 6));
        assert_eq!(commanded.refused[3].0, Refused::Elsewhere("it is late".to_owned()));
    }
}
