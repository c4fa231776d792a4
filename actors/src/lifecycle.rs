//! The rules: the effect of each command on an action in each state.
//!
//! They are pure functions: no actor, no clock, no I/O. The store asks [`decide`] within each transaction and writes
//! its verdict, so every rule about states is here and nowhere else (Q3, Q6, Q7). [`is_current`] tells late reports from
//! those that count (Q14), and [`not_before`] keeps times in order (Q9).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{State, Timestamp};

/// The fate of an action that was running when the server went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnRestart {
    /// The action goes back to the queue with its token, priority and queue time, and runs again.
    Requeue,
    /// The action ends in Error: it never runs twice.
    Fail,
    /// The attempt goes on: its work is done elsewhere, and does not end with the server (see
    /// [`ActionContext::is_resumed`](crate::ActionContext::is_resumed)).
    Resume,
}

/// Treatment of the actions that were running when their server went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The fate of each.
    pub on_restart: OnRestart,
    /// Number of times that an action may be running when its server dies; at the last of them it ends in Error instead of
    /// being requeued. 0 = no limit.
    pub max_restarts: u32,
}

impl Recovery {
    /// Default of [`Recovery::max_restarts`].
    pub const MAX_RESTARTS: u32 = 3;

    /// Returns the command for an action that was running, and that `restarts` servers had died with before.
    ///
    /// ```
    /// use actiond_actors::lifecycle::{Command, OnRestart, Recovery};
    /// let recovery = Recovery { on_restart: OnRestart::Requeue, max_restarts: 3 };
    /// assert_eq!(recovery.command(1), Command::Recover(OnRestart::Requeue));
    /// assert_eq!(recovery.command(2), Command::GiveUp);
    /// ```
    #[must_use]
    pub const fn command(self, restarts: u32) -> Command {
        match self.on_restart {
            OnRestart::Requeue if self.gives_up(restarts) => Command::GiveUp,
            on_restart => Command::Recover(on_restart),
        }
    }

    /// Tells whether an action that one more server has died with, after `restarts` others, is started no more.
    #[must_use]
    pub const fn gives_up(self, restarts: u32) -> bool {
        self.max_restarts > 0 && restarts.saturating_add(1) >= self.max_restarts
    }
}

impl From<OnRestart> for Recovery {
    fn from(on_restart: OnRestart) -> Self {
        Self { on_restart, max_restarts: Self::MAX_RESTARTS }
    }
}

/// A command to one action: from a client, or from the queue itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Take the action from the queue before it ever runs.
    Cancel,
    /// End the action in whatever state it is; a second stop forces it.
    Stop,
    /// Change the priority while the action waits.
    ChangePriority(i32),
    /// Hold the work, which keeps its slot.
    Pause {
        /// True if this kind of action can pause at all.
        supported: bool,
    },
    /// Let a paused action go on.
    Resume,
    /// Queue another action with the same parameters.
    Duplicate,
    /// Show the parameters, unless it has ended.
    ReadParameters,
    /// Show the parameters, also of an action that has ended, if they are kept.
    ReadKeptParameters,
    /// Start the next attempt as soon as there is a slot: of an action that waits for a time, or has ended in Error.
    Retry,
    /// Delete the action, with all that is kept of it, once it has ended.
    Delete,
    /// Give the action a slot (from the queue itself).
    Start,
    /// Record the end of an attempt (from its worker).
    End(Ended),
    /// Recover an action that no worker runs any more, because its server went down or lost its lease (from the queue
    /// itself).
    Recover(OnRestart),
    /// End an action in Error that was running too often when its server died (from the queue itself).
    GiveUp,
}

impl Command {
    /// All commands of clients, for tests and models that go through them.
    pub const OF_CLIENTS: [Self; 11] = [
        Self::Cancel,
        Self::Stop,
        Self::ChangePriority(1),
        Self::Pause { supported: true },
        Self::Pause { supported: false },
        Self::Resume,
        Self::Duplicate,
        Self::ReadParameters,
        Self::ReadKeptParameters,
        Self::Retry,
        Self::Delete,
    ];

    /// Returns the word for the command in "can't be …".
    const fn participle(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Stop => "stopped",
            Self::ChangePriority(_) => "given another priority",
            Self::Pause { .. } => "paused",
            Self::Resume => "resumed",
            Self::Duplicate => "duplicated",
            Self::ReadParameters | Self::ReadKeptParameters => "read",
            Self::Retry => "retried",
            Self::Delete => "deleted",
            Self::Start => "started",
            Self::End(_) => "ended",
            Self::Recover(_) | Self::GiveUp => "recovered",
        }
    }
}

/// The error text of an action whose attempt was lost with the server.
pub const INTERRUPTED_BY_RESTART: &str = "interrupted by server restart";

/// The error text of an action that a shutdown interrupted.
pub const INTERRUPTED_BY_SHUTDOWN: &str = "interrupted by server shutdown";

/// The error text of an action that was running too often when its server died.
pub const GIVEN_UP: &str =
    "it was running each time when the server died, too often to be started again (MaxRestarts)";

/// Returns the error text of an action that a command moved to this state, where no attempt gave one.
///
/// ```
/// use actiond_actors::lifecycle::{Command, INTERRUPTED_BY_RESTART, OnRestart, error_of};
/// use actiond_actors::State;
/// let lost = Command::Recover(OnRestart::Fail);
/// assert_eq!(error_of(lost, State::Error), Some(INTERRUPTED_BY_RESTART));
/// assert_eq!(error_of(lost, State::Stopped), None);
/// ```
#[must_use]
pub const fn error_of(command: Command, state: State) -> Option<&'static str> {
    match (command, state) {
        (Command::Recover(_), State::Error) => Some(INTERRUPTED_BY_RESTART),
        (Command::GiveUp, State::Error) => Some(GIVEN_UP),
        (Command::End(Ended::Interrupted(_)), State::Error) => Some(INTERRUPTED_BY_SHUTDOWN),
        _ => None,
    }
}

/// Returns the outcome of the attempt that left this error text with its action: `None` if its server went down. So a store
/// need not keep the outcome of what has ended in Error, for the case that it is tried again.
///
/// ```
/// use actiond_actors::lifecycle::{Ended, INTERRUPTED_BY_RESTART, outcome_of_error};
/// assert_eq!(outcome_of_error(Some(INTERRUPTED_BY_RESTART)), None);
/// assert_eq!(outcome_of_error(Some("the disk is full")), Some(Ended::Failed));
/// ```
#[must_use]
pub fn outcome_of_error(error: Option<&str>) -> Option<Ended> {
    match error {
        Some(INTERRUPTED_BY_RESTART | GIVEN_UP) => None,
        Some(INTERRUPTED_BY_SHUTDOWN) => Some(Ended::Interrupted(OnRestart::Fail)),
        _ => Some(Ended::Failed),
    }
}

/// Outcome of an attempt, as its worker reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The work was done, even if it had been asked to stop meanwhile.
    Finished,
    /// The work failed.
    Failed,
    /// The work failed, and is to be tried again ([`AttemptEnd::retry_after`](crate::store::AttemptEnd::retry_after)).
    Retry,
    /// The work was given back undone: it counts as no attempt.
    Released,
    /// The work, which is done elsewhere, was not heard of since its server went down, so nobody can tell whether it had begun.
    /// That counts as a restart, not as a failure.
    Lost,
    /// The work was cancelled elsewhere, before it began there.
    Cancelled,
    /// The work ended because it was asked to stop, or was forced.
    Stopped,
    /// The work ended because the server shuts down.
    Interrupted(OnRestart),
}

/// Way in which an attempt came to its end, whatever its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Came {
    /// It ended by itself; nobody had asked it to stop.
    ByItself,
    /// It had been asked to stop, by a client or by a shutdown, and ended within its grace period.
    Asked,
    /// It was dropped, killed or given up: it had not ended within its grace period, was forced at once, or its worker
    /// died.
    Forced,
    /// It exceeded its time limit ([`QueueSettings::time_limit`](crate::QueueSettings::time_limit)) and was asked to stop
    /// for that, and forced if need be.
    TimedOut,
}

/// Effect of an accepted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The action moves to this state.
    Move(State),
    /// The state stays. Accepted commands are idempotent: a client may retry one whose reply was lost.
    Stay,
    /// The state stays Stopping, and the attempt is forced.
    Force,
    /// The state may be shown, the parameters may not.
    StatusOnly,
    /// The action is deleted.
    Delete,
    /// The command is refused, and nothing changes: the answer for one of several actions. [`decide`] returns a [`Refusal`]
    /// instead.
    Refused,
}

/// A command that the rules do not allow in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The action's state.
    pub state: State,
    /// The refused command.
    pub command: Command,
}

impl Refusal {
    /// Returns the advice to the client: what to do instead, or why there is nothing to do.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match (self.state, self.command) {
            (State::Processing, Command::Pause { supported: false }) => {
                "actions of this kind do not support pausing"
            }
            (State::Stopping, Command::Cancel) => {
                "it is stopping already, stop it again to force it"
            }
            (State::Stopping, _) => "it is stopping already",
            (State::Processing | State::Paused, Command::Cancel) => {
                "it is running, stop it instead"
            }
            (State::Processing | State::Paused, Command::ChangePriority(_)) => {
                "only an action that waits has a priority to change"
            }
            (State::Queued, Command::Delete) => "it has not ended, cancel it first",
            (State::Processing | State::Paused, Command::Delete) => {
                "it has not ended, stop it first"
            }
            (State::Queued, Command::Pause { .. }) => {
                "it is not running; pause the queue to keep it from starting"
            }
            (State::Processing | State::Paused, Command::Retry) => "it is running",
            (State::Error, Command::Retry) | (_, Command::Duplicate) => {
                "its parameters were not kept (KeepParameters=false), submit it again"
            }
            (state, Command::Retry) if state.is_final() => {
                "only an action that has ended in Error can be tried again, duplicate it instead"
            }
            (State::Queued, Command::Resume) => {
                "it is not paused; if the queue is paused, resume the queue"
            }
            (state, _) if state.is_final() => "it has ended, and a final state never changes",
            _ => "this is not possible in this state",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an action that is {} can't be {}: {}",
            self.state,
            self.command.participle(),
            self.advice()
        )
    }
}

impl std::error::Error for Refusal {}

/// Decides the effect of a command on an action in this state.
///
/// The end of an attempt ([`Command::End`]) must be of the action's latest attempt: check [`is_current`] first.
///
/// # Errors
///
/// A [`Refusal`] if the command is not allowed; then nothing is to be changed.
///
/// ```
/// use actiond_actors::lifecycle::{Command, Verdict, decide};
/// use actiond_actors::State;
/// assert_eq!(decide(State::Queued, Command::Stop), Ok(Verdict::Move(State::Cancelled)));
/// assert!(decide(State::Processing, Command::Cancel).is_err());
/// ```
pub const fn decide(state: State, command: Command) -> Result<Verdict, Refusal> {
    use State::{Cancelled, Error, Finished, Paused, Processing, Queued, Stopped, Stopping};
    use Verdict::{Delete, Force, Move, StatusOnly, Stay};

    let verdict = match (command, state) {
        (Command::Cancel, Queued) => Move(Cancelled),
        (Command::Cancel, Cancelled) => Stay,

        (Command::Stop, Queued) => Move(Cancelled),
        (Command::Stop, Processing | Paused) => Move(Stopping),
        (Command::Stop, Stopping) => Force,
        (Command::Stop, Stopped | Cancelled) => Stay,

        (Command::ChangePriority(_), Queued) => Stay,

        (Command::Pause { supported: true }, Processing) => Move(Paused),
        (Command::Pause { .. }, Paused) => Stay,

        (Command::Resume, Processing) => Stay,
        (Command::Resume, Paused) => Move(Processing),

        (Command::Duplicate | Command::ReadKeptParameters, _) => Stay,

        (Command::ReadParameters, Queued | Processing | Paused | Stopping) => Stay,
        (Command::ReadParameters, Finished | Error | Cancelled | Stopped) => StatusOnly,

        (Command::Retry, Queued) => Stay,
        // The only way out of a final state (Q7), and a client has to ask for it.
        (Command::Retry, Error) => Move(Queued),

        (Command::Delete, Finished | Error | Cancelled | Stopped) => Delete,

        (Command::Start, Queued) => Move(Processing),

        // Work that was done when the stop came stays done.
        (Command::End(Ended::Finished), Processing | Paused | Stopping) => Move(Finished),
        (Command::End(Ended::Failed), Processing | Paused | Stopping) => Move(Error),
        (Command::End(Ended::Stopped), Processing | Paused | Stopping) => Move(Stopped),
        (Command::End(Ended::Cancelled), Processing | Paused | Stopping) => Move(Cancelled),
        (Command::End(Ended::Retry | Ended::Released | Ended::Lost), Processing | Paused) => {
            Move(Queued)
        }
        // Who asked for a stop wants no further attempt.
        (Command::End(Ended::Retry), Stopping) => Move(Error),
        (Command::End(Ended::Released | Ended::Lost), Stopping) => Move(Stopped),

        (Command::Recover(OnRestart::Resume), Processing | Paused | Stopping) => Stay,
        (Command::GiveUp, Processing | Paused) => Move(Error),
        (Command::End(Ended::Interrupted(_)) | Command::Recover(_) | Command::GiveUp, Stopping) => {
            Move(Stopped)
        }
        (
            Command::End(Ended::Interrupted(OnRestart::Requeue))
            | Command::Recover(OnRestart::Requeue),
            Processing | Paused,
        ) => Move(Queued),
        (
            Command::End(Ended::Interrupted(OnRestart::Fail)) | Command::Recover(OnRestart::Fail),
            Processing | Paused,
        ) => Move(Error),
        (
            Command::Recover(_) | Command::GiveUp,
            Queued | Finished | Error | Cancelled | Stopped,
        ) => Stay,

        _ => return Err(Refusal { state, command }),
    };
    Ok(verdict)
}

/// Decides as [`decide`] does on an action that may have ended without its parameters being kept
/// ([`Batch::keep_parameters`](crate::store::Batch::keep_parameters)): without them it can't be run again, nor copied.
///
/// # Errors
///
/// A [`Refusal`], as of [`decide`].
///
/// ```
/// use actiond_actors::lifecycle::{Command, Verdict, decide_kept};
/// use actiond_actors::State;
/// assert_eq!(decide_kept(State::Error, Command::Retry, true), Ok(Verdict::Move(State::Queued)));
/// assert!(decide_kept(State::Error, Command::Retry, false).is_err());
/// ```
pub const fn decide_kept(
    state: State,
    command: Command,
    keeps_parameters: bool,
) -> Result<Verdict, Refusal> {
    if !keeps_parameters && state.is_final() && needs_parameters(state, command) {
        return Err(Refusal { state, command });
    }
    decide(state, command)
}

/// Tells whether a command is allowed in this state only where the action's parameters are kept. A store need not look
/// for them otherwise.
#[must_use]
pub const fn needs_parameters(state: State, command: Command) -> bool {
    matches!((command, state), (Command::Retry, State::Error) | (Command::Duplicate, _))
        && state.is_final()
}

/// Tells whether a report by this attempt counts. A late report by an earlier attempt must change nothing (Q14).
#[must_use]
pub const fn is_current(state: State, latest_attempt: u32, reported_attempt: u32) -> bool {
    state.is_running() && latest_attempt == reported_attempt
}

/// Returns `now`, or `earlier` if the clock has been set back behind it (Q9: queued <= started <= finished).
#[must_use]
pub fn not_before(now: Timestamp, earlier: Timestamp) -> Timestamp {
    now.max(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::*;

    /// One row a command; one column a state: Queued Processing Paused Stopping Finished Error
    /// Cancelled Stopped. `=` stays, `!` forces, `s` status only, `d` deleted, `-` refused, else the new state.
    const TABLE: &[(Command, &str)] = &[
        (Command::Cancel, "C - - - - - = -"),
        (Command::Stop, "C S S ! - - = ="),
        (Command::ChangePriority(5), "= - - - - - - -"),
        (Command::Pause { supported: true }, "- P = - - - - -"),
        (Command::Pause { supported: false }, "- - = - - - - -"),
        (Command::Resume, "- = R - - - - -"),
        (Command::Duplicate, "= = = = = = = ="),
        (Command::ReadParameters, "= = = = s s s s"),
        (Command::ReadKeptParameters, "= = = = = = = ="),
        (Command::Retry, "= - - - - Q - -"),
        (Command::Delete, "- - - - d d d d"),
        (Command::Start, "R - - - - - - -"),
        (Command::End(Ended::Finished), "- F F F - - - -"),
        (Command::End(Ended::Failed), "- E E E - - - -"),
        (Command::End(Ended::Stopped), "- X X X - - - -"),
        (Command::End(Ended::Retry), "- Q Q E - - - -"),
        (Command::End(Ended::Released), "- Q Q X - - - -"),
        (Command::End(Ended::Lost), "- Q Q X - - - -"),
        (Command::End(Ended::Cancelled), "- C C C - - - -"),
        (Command::End(Ended::Interrupted(OnRestart::Requeue)), "- Q Q X - - - -"),
        (Command::End(Ended::Interrupted(OnRestart::Fail)), "- E E X - - - -"),
        (Command::Recover(OnRestart::Requeue), "= Q Q X = = = ="),
        (Command::Recover(OnRestart::Fail), "= E E X = = = ="),
        (Command::Recover(OnRestart::Resume), "= = = = = = = ="),
        (Command::GiveUp, "= E E X = = = ="),
    ];

    fn expected(cell: &str) -> Option<Verdict> {
        Some(match cell {
            "-" => return None,
            "=" => Verdict::Stay,
            "!" => Verdict::Force,
            "s" => Verdict::StatusOnly,
            "d" => Verdict::Delete,
            "Q" => Verdict::Move(Queued),
            "R" => Verdict::Move(Processing),
            "P" => Verdict::Move(Paused),
            "S" => Verdict::Move(Stopping),
            "F" => Verdict::Move(Finished),
            "E" => Verdict::Move(Error),
            "C" => Verdict::Move(Cancelled),
            "X" => Verdict::Move(Stopped),
            other => panic!("no such cell: {other}"),
        })
    }

    #[test]
    fn every_cell_of_the_table() {
        for (command, row) in TABLE {
            let cells: Vec<_> = row.split(' ').collect();
            assert_eq!(cells.len(), State::ALL.len(), "{command:?}");
            for (state, cell) in State::ALL.into_iter().zip(cells) {
                assert_eq!(decide(state, *command).ok(), expected(cell), "{command:?} on {state}");
            }
        }
    }

    #[test]
    fn a_final_state_is_left_only_by_a_retry_of_an_error() {
        for (command, _) in TABLE {
            if *command == Command::Retry {
                continue;
            }
            for state in State::ALL.into_iter().filter(|s| s.is_final()) {
                assert!(
                    !matches!(decide(state, *command), Ok(Verdict::Move(_))),
                    "{command:?} {state}"
                );
            }
        }
    }

    #[test]
    fn accepted_commands_of_clients_can_be_repeated() {
        for command in Command::OF_CLIENTS {
            for state in State::ALL {
                if let Ok(Verdict::Move(next)) = decide(state, command) {
                    assert!(decide(next, command).is_ok(), "{command:?} on {state}, then again");
                }
            }
        }
    }

    #[test]
    fn every_refusal_names_the_state_and_gives_advice() {
        for (command, _) in TABLE {
            for state in State::ALL {
                if let Err(refusal) = decide(state, *command) {
                    let text = refusal.to_string();
                    assert!(text.contains(state.name()), "{text}");
                    assert!(text.len() > 40, "{text}");
                }
            }
        }
    }

    #[test]
    fn without_its_parameters_an_action_is_neither_tried_again_nor_copied() {
        for (command, _) in TABLE {
            for state in State::ALL {
                let kept = decide_kept(state, *command, true);
                assert_eq!(kept, decide(state, *command), "{command:?} {state}");
                let lacking = decide_kept(state, *command, false);
                let is_refused = state.is_final()
                    && (*command == Command::Duplicate
                        || (*command == Command::Retry && state == Error));
                assert_eq!(needs_parameters(state, *command), is_refused, "{command:?} {state}");
                if is_refused {
                    let told = lacking.unwrap_err().to_string();
                    assert!(told.contains("its parameters were not kept"), "{told}");
                } else {
                    assert_eq!(lacking, kept, "{command:?} {state}");
                }
            }
        }
    }

    #[test]
    fn only_the_latest_attempt_of_a_running_action_is_current() {
        for state in State::ALL {
            assert_eq!(is_current(state, 2, 2), state.is_running());
            assert!(!is_current(state, 2, 1));
        }
    }
}
