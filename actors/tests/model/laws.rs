//! Laws about states, about steps, and about states that a model must reach.
//!
//! Q1 to Q14 have the ids that the crate's documentation gives them. The others, with words for
//! names, are what the queue owes beyond them. Each law is written once, as a pure predicate: about
//! a world as it stands, or about what happens next in it.

use actiond_actors::State;
use actiond_actors::lifecycle::OnRestart;
use stateright::Property;

use crate::inbox::Batch;
use crate::moves::{Cause, ends_are_true, moves_are_legal};
use crate::retries::{
    nothing_starts_early, restarts_are_counted, retries_wait_for_nothing, tries_are_counted,
};
use crate::setup::Setup;
use crate::world::{
    Control, End, Id, Key, Pause, Phase, Queue, Request, Row, Server, ToQueue, Wish, World,
};

/// Something that a law has a say in, told just before it changes the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happened {
    /// A row goes to another state.
    Moved { row: Row, to: State, cause: Cause },
    /// An action is given a slot.
    Claimed { row: Row },
    /// The store has claimed; fewer than it could, if `short`.
    Served { short: bool },
    /// The end of this attempt is reported; its work came back so, if it did.
    Reported { key: Key, returned: Option<End>, end: End },
    /// The end of this attempt is written into this row, as this state.
    Ended { reported: Key, end: End, row: Row, to: State },
    /// A worker starts the work of an attempt.
    Ran { key: Key, crowded: bool },
    /// An attempt is asked or forced to stop.
    Stopped { key: Key },
    /// A client's retry has been written into this row.
    Retried { row: Row },
    /// A client gets an answer, with the change made or not.
    Answered { request: Request, accepted: bool },
    /// A batch is enlisted; `hot` because the last one failed, though nothing has come since.
    Enlisted { hot: bool },
    /// A batch is sealed.
    Sealed { claim: usize },
}

pub(crate) type Holds = fn(&Setup, &World) -> bool;
type Allows = fn(&Setup, &World, &Happened) -> bool;

/// Makes the laws' names, their table and their properties from one list.
macro_rules! laws {
    ($($(#[$doc:meta])* $law:ident: $holds:expr, $allows:expr;)*) => {
        /// The name of a law.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Law { $($(#[$doc])* $law),* }

        impl Law {
            /// Its name, as the checker reports it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$law => stringify!($law)),* }
            }
        }

        const LAWS: &[(Law, Holds, Allows)] = &[$((Law::$law, $holds, $allows)),*];

        fn always() -> Vec<Property<Setup>> {
            vec![$(Property::always(
                Law::$law.name(),
                |_: &Setup, world: &World| !world.broken.contains(&Law::$law),
            )),*]
        }
    };
}

laws! {
    /// An id is never used twice.
    Q1: ids_are_unique, anything;
    /// What a client was told of is durable, and stays.
    Q2: told_of_is_there, answers_are_durable;
    /// An action moves only as the rules say.
    Q3: nothing_to_hold, moves_are_legal;
    /// No more actions hold a slot than the queue has, and no slot holds two.
    Q4: slots_suffice, slots_are_empty;
    /// Work starts after its start is durable, and once only where it may not run twice.
    Q5: nothing_to_hold, starts_are_durable;
    /// A cancelled action never starts, nor one that was stopped; a stop reaches only its attempt.
    Q6: nothing_to_hold, stops_are_kept;
    /// A final state is final, but for an Error that a client wants tried again.
    Q7: nothing_to_hold, final_is_final;
    /// Higher priority first, equal ones by arrival.
    Q8: nothing_to_hold, first_comes_first;
    /// Queued, then started, then finished, whatever the clock shows.
    Q9: times_are_in_order, anything;
    /// The counts equal the rows.
    Q10: counts_equal_rows, anything;
    /// Each request gets one answer, or learns that none comes.
    Q11: requests_are_held_once, answers_come_once;
    /// A paused queue starts nothing.
    Q12: nothing_to_hold, claims_need_no_pause;
    /// Not paused, a free slot, something waits: something starts.
    Q13: at_rest_slots_are_busy, claims_leave_nothing;
    /// One live attempt at each action, and only the latest one's end is written.
    Q14: one_attempt_lives, ends_are_current;
    /// What the work did is what is reported and written; it was stopped only if it was asked to.
    Ends: nothing_to_hold, ends_are_true;
    /// Nothing starts before its time.
    NotBefore: nothing_to_hold, nothing_starts_early;
    /// A failure is followed by another attempt, as often as the queue allows.
    Tries: nothing_to_hold, tries_are_counted;
    /// What a client wants tried again waits for a slot and for nothing else.
    Retried: nothing_to_hold, retries_wait_for_nothing;
    /// An action is given up once it ran too often when its server died.
    GivesUp: nothing_to_hold, restarts_are_counted;
    /// All ends at last, unless the queue is paused.
    AtLast: at_last_all_has_ended, anything;
    /// What counts as running is run by somebody.
    Run: at_rest_running_runs, anything;
    /// What was acknowledged is asked of what runs.
    Wishes: wishes_follow, anything;
    /// What waits to be written is fetched.
    Fetched: at_rest_nothing_is_left, anything;
    /// Nobody waits for an end that has come.
    Woken: at_rest_nobody_waits, anything;
    /// Once the queue knows of the shutdown, nothing starts.
    Drained: nothing_to_hold, drained_claims_nothing;
    /// Once the queue knows of the interruption, whatever runs has been asked to stop.
    Interrupted: at_rest_all_interrupted, anything;
    /// Once the queue knows that all is to be forced, whatever runs has been.
    Forced: at_rest_all_forced, anything;
    /// A store that fails is not asked again at once for the same.
    BacksOff: nothing_to_hold, no_hot_retry;
}

/// The laws that this breaks.
pub(crate) fn broken_by(setup: &Setup, world: &World, happened: &Happened) -> Vec<Law> {
    LAWS.iter().filter(|law| !(law.2)(setup, world, happened)).map(|law| law.0).collect()
}

/// The laws that this world breaks.
pub(crate) fn broken_in(setup: &Setup, world: &World) -> Vec<Law> {
    LAWS.iter().filter(|law| !(law.1)(setup, world)).map(|law| law.0).collect()
}

/// What the checker is asked.
pub(crate) fn properties(setup: &Setup) -> Vec<Property<Setup>> {
    let reached = setup.reaches.iter().map(|reach| Property::sometimes(reach.0, reach.1));
    always().into_iter().chain(reached).collect()
}

fn nothing_to_hold(_: &Setup, _: &World) -> bool {
    true
}

fn anything(_: &Setup, _: &World, _: &Happened) -> bool {
    true
}

fn ids_are_unique(_: &Setup, world: &World) -> bool {
    let rows = &world.durable.rows;
    rows.iter().enumerate().all(|(n, row)| rows.iter().skip(n + 1).all(|other| row.id != other.id))
}

fn told_of_is_there(_: &Setup, world: &World) -> bool {
    let rows = &world.durable.rows;
    let there = rows.iter().filter(|row| world.clients.submitted.contains(row.id)).count();
    there >= world.clients.submitted.len()
}

fn answers_are_durable(_: &Setup, world: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Answered { request, accepted: true } => world.durable.applied.contains(*request),
        _ => true,
    }
}

fn slots_suffice(setup: &Setup, world: &World) -> bool {
    let running = world.durable.rows.iter().filter(|row| row.state.is_running()).count();
    let works = world.server.as_ref().map_or(0, |server| server.works().count());
    running <= setup.slots && works <= setup.slots
}

fn slots_are_empty(_: &Setup, _: &World, happened: &Happened) -> bool {
    !matches!(happened, Happened::Ran { crowded: true, .. })
}

fn starts_are_durable(setup: &Setup, world: &World, happened: &Happened) -> bool {
    let Happened::Ran { key, .. } = happened else { return true };
    let again = setup.on_restart == OnRestart::Fail && world.ran.contains(key.id);
    !again && world.durable.row(key.id).is_some_and(|row| row.attempt >= key.number)
}

fn stops_are_kept(_: &Setup, world: &World, happened: &Happened) -> bool {
    let clients = &world.clients;
    match happened {
        Happened::Ran { key, .. } => {
            let stopping = world.durable.state(key.id) == Some(State::Stopping);
            world.durable.state(key.id) != Some(State::Cancelled)
                && !clients.told_cancelled.contains(key.id)
                && (!clients.told_stopping.contains(key.id) || stopping)
        }
        Happened::Stopped { key } => {
            let interrupted = world.server.as_ref().and_then(|s| s.attempt(*key));
            // To one that is over a stop is nothing.
            let asked = |row: &Row| {
                let runs = matches!(row.state, State::Processing | State::Paused);
                row.attempt != key.number || !runs
            };
            interrupted.is_none_or(|attempt| attempt.interrupted || attempt.timed_out)
                || world.durable.row(key.id).is_none_or(asked)
        }
        _ => true,
    }
}

fn final_is_final(_: &Setup, _: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Moved { row, cause: Cause::Retry, .. } => {
            !row.state.is_final() || row.state == State::Error
        }
        Happened::Moved { row, .. } => !row.state.is_final(),
        _ => true,
    }
}

/// Not asked of `Durable::next`, by which the store claims.
fn first_comes_first(_: &Setup, world: &World, happened: &Happened) -> bool {
    let Happened::Claimed { row } = happened else { return true };
    let mut others = waiting(world).filter(|other| other.id != row.id);
    others.all(|other| {
        let later = other.id > row.id;
        other.priority < row.priority || (other.priority == row.priority && later)
    })
}

/// What waits for a slot and for nothing else.
fn waiting(world: &World) -> impl Iterator<Item = &Row> {
    world.durable.rows.iter().filter(|row| row.state == State::Queued && !row.waits)
}

fn times_are_in_order(_: &Setup, world: &World) -> bool {
    world.durable.rows.iter().all(|row| {
        let started = row.started_at.unwrap_or(row.queued_at);
        let finished = row.finished_at.unwrap_or(started);
        row.queued_at <= started && started <= finished
    })
}

fn counts_equal_rows(_: &Setup, world: &World) -> bool {
    let mut counts = [0; State::ALL.len()];
    world.durable.rows.iter().for_each(|row| counts[row.state as usize] += 1);
    counts == world.durable.counts
}

fn requests_are_held_once(_: &Setup, world: &World) -> bool {
    if world.clients.closed.len() == usize::from(world.clients.made) {
        return true;
    }
    let mut held: Vec<Request> = Vec::new();
    if let Some(server) = &world.server {
        held.extend(server.inbox.requests());
        held.extend(server.writing.iter().flat_map(Batch::requests));
        for message in &server.mailbox {
            if let ToQueue::Committed(reply) = message {
                held.extend(reply.requests());
            }
        }
    }
    (0..world.clients.made).all(|request| {
        let places = held.iter().filter(|held| **held == request).count();
        places + usize::from(world.clients.closed.contains(request)) == 1
    })
}

fn answers_come_once(_: &Setup, world: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Answered { request, .. } => !world.clients.closed.contains(*request),
        _ => true,
    }
}

fn claims_need_no_pause(_: &Setup, world: &World, happened: &Happened) -> bool {
    let paused = world.durable.paused || world.clients.pause == Pause::Told;
    !(paused && matches!(happened, Happened::Claimed { .. }))
}

fn one_attempt_lives(_: &Setup, world: &World) -> bool {
    let works: Vec<Id> =
        world.server.iter().flat_map(|server| server.works().map(|key| key.id)).collect();
    works.iter().all(|id| works.iter().filter(|other| *other == id).count() == 1)
}

fn ends_are_current(_: &Setup, _: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Ended { reported, row, .. } => *reported == row.key(),
        _ => true,
    }
}

/// Where nothing more comes by itself. The checker's own `eventually` would take what held once for what holds
/// at last, and looks at only one of the ways to a state.
fn at_last_all_has_ended(setup: &Setup, world: &World) -> bool {
    world.durable.paused
        || world.durable.rows.iter().all(|row| row.state.is_final())
        || setup.can_go_on(world)
}

/// The server, if it is up and nothing is under way in it but the work itself.
fn at_rest(world: &World) -> Option<&Server> {
    let server = world.server.as_ref()?;
    let queue = server.queue()?;
    let quiet = queue.in_flight == 0
        && !queue.backing_off
        && !(queue.timer && queue.is_due(world.durable.not_due()))
        && server.mailbox.is_empty()
        && server.store_rests()
        && server.slots.iter().all(|slot| slot.inbox.is_empty());
    quiet.then_some(server)
}

fn at_rest_nothing_is_left(_: &Setup, world: &World) -> bool {
    at_rest(world).is_none_or(|server| server.inbox.is_empty())
}

fn at_rest_slots_are_busy(setup: &Setup, world: &World) -> bool {
    let Some(server) = at_rest(world) else { return true };
    let waits = waiting(world).next().is_some() && !world.durable.paused;
    server.phase > Phase::Running || !waits || server.works().count() >= setup.slots
}

fn claims_leave_nothing(_: &Setup, world: &World, happened: &Happened) -> bool {
    let Happened::Served { short: true } = happened else { return true };
    world.durable.paused || waiting(world).next().is_none()
}

fn at_rest_running_runs(_: &Setup, world: &World) -> bool {
    let Some(server) = at_rest(world) else { return true };
    let mut running = world.durable.rows.iter().filter(|row| row.state.is_running());
    running.all(|row| server.works().any(|key| key == row.key()))
}

fn wishes_follow(_: &Setup, world: &World) -> bool {
    let Some(server) = &world.server else { return true };
    // Then the rows are as the queue knows them, and as it has told its clients.
    let recovers = server.inbox.controls.iter().any(|c| matches!(c.0, Control::Recover(..)));
    let adopted = |queue: &Queue| queue.in_flight == 0 && !recovers;
    let known = server.queue().is_some_and(adopted) && server.store_rests();
    !known
        || server
            .attempts
            .iter()
            .filter(|a| a.listed && a.ended.is_none() && !a.interrupted && !a.timed_out)
            .all(|a| match world.durable.state(a.key.id) {
                Some(State::Processing) => a.wish == Wish::Run,
                Some(State::Paused) => a.wish == Wish::Pause,
                Some(State::Stopping) => a.wish >= Wish::Stop,
                _ => false,
            })
}

fn at_rest_nobody_waits(_: &Setup, world: &World) -> bool {
    let Some(server) = at_rest(world) else { return true };
    let mut ended = world.durable.rows.iter().filter(|row| row.state.is_final());
    ended.all(|row| !server.waiters.contains(row.id))
}

fn drained_claims_nothing(_: &Setup, world: &World, happened: &Happened) -> bool {
    let Some(server) = &world.server else { return true };
    let knows = server.phase > Phase::Running && !server.mailbox.contains(&ToQueue::Drain);
    !(knows && matches!(happened, Happened::Sealed { claim: 1.. }))
}

fn at_rest_all_interrupted(_: &Setup, world: &World) -> bool {
    let Some(server) = at_rest(world) else { return true };
    let mut live = server.attempts.iter().filter(|a| a.listed && a.ended.is_none());
    server.phase < Phase::Interrupted || live.all(|attempt| attempt.wish >= Wish::Stop)
}

fn at_rest_all_forced(_: &Setup, world: &World) -> bool {
    let Some(server) = at_rest(world) else { return true };
    let mut live = server.attempts.iter().filter(|a| a.listed && a.ended.is_none());
    server.phase < Phase::Forced || live.all(|attempt| attempt.wish == Wish::Force)
}

fn no_hot_retry(_: &Setup, _: &World, happened: &Happened) -> bool {
    !matches!(happened, Happened::Enlisted { hot: true })
}
