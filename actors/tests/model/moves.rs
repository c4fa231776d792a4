//! The moves that an action may make and their causes: the table of the design, written by hand;
//! and the possible outcomes of an end.
//!
//! It is not taken from `lifecycle`, which the model asks for every step: a mistake there
//! would otherwise be legal here as well.

use actiond_actors::State;
use actiond_actors::lifecycle::OnRestart;

use crate::laws::Happened;
use crate::setup::{Ask, Setup};
use crate::world::{Control, End, Wish, Worker, World};

/// The cause of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Cancel,
    Stop,
    Pause,
    Resume,
    Retry,
    /// A command that moves nothing.
    Other,
    /// It is given a slot.
    Start,
    /// The end of its attempt is written.
    End,
    /// A queue that begins finds that nobody runs it.
    Recovery,
    /// A queue that begins anew finds that the one before it had claimed it, and died before it began.
    Unbegun,
}

impl Cause {
    pub(crate) const fn of(control: &Control) -> Self {
        match control {
            Control::Command(_, Ask::Cancel(_)) => Self::Cancel,
            Control::Command(_, Ask::Stop(_)) | Control::StopAll => Self::Stop,
            Control::Command(_, Ask::Pause(_)) | Control::PauseQueue => Self::Pause,
            Control::Command(_, Ask::Resume(_)) | Control::ResumeQueue => Self::Resume,
            Control::Command(_, Ask::Retry(_)) => Self::Retry,
            Control::Command(..) => Self::Other,
            Control::End(..) => Self::End,
            Control::Recover(_, true) => Self::Unbegun,
            Control::Recover(_, false) => Self::Recovery,
        }
    }
}

type Move = (State, State, Cause);

/// What may happen to an action, whatever becomes of it at a restart.
const MOVES: &[Move] = &[
    (State::Queued, State::Processing, Cause::Start),
    (State::Queued, State::Cancelled, Cause::Cancel),
    (State::Queued, State::Cancelled, Cause::Stop),
    (State::Processing, State::Paused, Cause::Pause),
    (State::Processing, State::Stopping, Cause::Stop),
    (State::Processing, State::Finished, Cause::End),
    (State::Processing, State::Error, Cause::End),
    (State::Paused, State::Processing, Cause::Resume),
    (State::Paused, State::Stopping, Cause::Stop),
    (State::Paused, State::Finished, Cause::End),
    (State::Paused, State::Error, Cause::End),
    (State::Stopping, State::Finished, Cause::End),
    (State::Stopping, State::Error, Cause::End),
    (State::Stopping, State::Stopped, Cause::End),
    (State::Stopping, State::Stopped, Cause::Recovery),
    (State::Processing, State::Queued, Cause::Unbegun),
    (State::Paused, State::Queued, Cause::Unbegun),
    (State::Stopping, State::Stopped, Cause::Unbegun),
    // The only way out of a final state.
    (State::Error, State::Queued, Cause::Retry),
];

/// What else may happen where an action goes back to the queue: an end that is a shutdown's, too.
const REQUEUED: &[Move] = &[
    (State::Processing, State::Queued, Cause::End),
    (State::Processing, State::Queued, Cause::Recovery),
    (State::Paused, State::Queued, Cause::End),
    (State::Paused, State::Queued, Cause::Recovery),
];

/// What else may happen where an action that fails is tried again.
const TRIED_AGAIN: &[Move] =
    &[(State::Processing, State::Queued, Cause::End), (State::Paused, State::Queued, Cause::End)];

/// What else may happen where an action must not run twice, or not as often as its server dies.
const FAILED: &[Move] = &[
    (State::Processing, State::Error, Cause::Recovery),
    (State::Paused, State::Error, Cause::Recovery),
];

fn moves(setup: &Setup) -> impl Iterator<Item = &'static Move> {
    let more = match setup.on_restart {
        OnRestart::Requeue => REQUEUED,
        OnRestart::Fail => FAILED,
        OnRestart::Resume => &[],
    };
    let tried_again: &[Move] = if setup.attempts > 1 { TRIED_AGAIN } else { &[] };
    let given_up: &[Move] = if setup.max_restarts > 0 { FAILED } else { &[] };
    MOVES.iter().chain(more).chain(tried_again).chain(given_up)
}

/// Q3.
pub(crate) fn moves_are_legal(setup: &Setup, _: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Moved { row, to, cause } => {
            moves(setup).any(|legal| *legal == (row.state, *to, *cause))
        }
        _ => true,
    }
}

/// `Ends`: the work ended as it is reported, and as it is written.
pub(crate) fn ends_are_true(setup: &Setup, world: &World, happened: &Happened) -> bool {
    let attempt = |key| world.server.as_ref().and_then(|server| server.attempt(key));
    match *happened {
        Happened::Reported { key, returned, end } => {
            let Some(attempt) = attempt(key) else { return false };
            let died = || {
                let slot = usize::from(attempt.slot);
                world.server.as_ref().is_some_and(|s| s.slots[slot].worker == Worker::Dead)
            };
            let ended_it = attempt.wish >= Wish::Stop;
            let stopped = match end {
                End::Stopped => !attempt.interrupted && !attempt.timed_out,
                End::Interrupted => attempt.interrupted && !attempt.timed_out,
                End::Failed | End::Retry => attempt.timed_out,
                End::Finished => false,
            };
            let by_client = ended_it && !attempt.interrupted && !attempt.timed_out;
            let failed = end == End::Failed || (end == End::Retry && !by_client);
            match returned {
                Some(End::Finished) => end == End::Finished,
                Some(End::Failed | End::Retry) => failed,
                Some(End::Stopped | End::Interrupted) => stopped && ended_it,
                // A worker that died, or a thread that was given up.
                None => (failed && died()) || (stopped && attempt.wish == Wish::Force),
            }
        }
        Happened::Ended { reported, end, row, to } => {
            let said = attempt(reported).and_then(|attempt| attempt.ended);
            let written = match (end, row.state, setup.on_restart) {
                (End::Finished, ..) => State::Finished,
                (End::Failed, ..) | (End::Retry, State::Stopping, _) => State::Error,
                (End::Retry, ..) => State::Queued,
                (End::Stopped | End::Interrupted, State::Stopping, _) => State::Stopped,
                // Nobody asked it to.
                (End::Stopped, ..) => return false,
                (End::Interrupted, _, OnRestart::Requeue) => State::Queued,
                (End::Interrupted, _, OnRestart::Fail) => State::Error,
                (End::Interrupted, _, OnRestart::Resume) => return false,
            };
            to == written && said.is_none_or(|said| said == end)
        }
        _ => true,
    }
}

mod tests {
    use actiond_actors::lifecycle::{Command, Ended, Verdict, decide};

    use super::*;

    /// The rules allow these two as well: they trust the worker, which tells of no stop that nobody
    /// asked for (the law `Ends`).
    const TRUSTED: &[Move] = &[
        (State::Processing, State::Stopped, Cause::End),
        (State::Paused, State::Stopped, Cause::End),
    ];

    fn commands(on_restart: OnRestart) -> [(Command, Cause); 16] {
        let interrupted = Ended::Interrupted(on_restart);
        [
            (Command::Cancel, Cause::Cancel),
            (Command::Stop, Cause::Stop),
            (Command::Pause { supported: true }, Cause::Pause),
            (Command::Resume, Cause::Resume),
            (Command::ChangePriority(1), Cause::Other),
            (Command::Duplicate, Cause::Other),
            (Command::Start, Cause::Start),
            (Command::End(Ended::Finished), Cause::End),
            (Command::End(Ended::Failed), Cause::End),
            (Command::End(Ended::Stopped), Cause::End),
            (Command::End(interrupted), Cause::End),
            (Command::Recover(on_restart), Cause::Recovery),
            (Command::Retry, Cause::Retry),
            (Command::End(Ended::Retry), Cause::End),
            (Command::GiveUp, Cause::Recovery),
            (Command::End(Ended::Released), Cause::Unbegun),
        ]
    }

    /// A move that is legal here and that no rule makes would be a hole in the law.
    #[test]
    fn the_rules_make_these_moves_and_no_others() {
        for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
            let setup = Setup { on_restart, attempts: 2, max_restarts: 2, ..Setup::QUIET };
            let mut made = Vec::new();
            for (command, cause) in commands(on_restart) {
                for from in State::ALL {
                    if let Ok(Verdict::Move(to)) = decide(from, command) {
                        made.push((from, to, cause));
                    }
                }
            }
            for one in &made {
                assert!(moves(&setup).chain(TRUSTED).any(|legal| legal == one), "{one:?}");
            }
            for legal in moves(&setup) {
                assert!(made.contains(legal), "no rule makes {legal:?}");
            }
        }
    }
}
