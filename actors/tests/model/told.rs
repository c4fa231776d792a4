//! The protocol by which a handler is told of events that must not be lost ([`actiond_actors::outbox`]), checked in every order of
//! writes, reads, deliveries whose answer is lost, refusals, commits and crashes.
//!
//! It is small: three events, two of them of one action, and the actor of one handler. Rows become visible in any order but that of
//! their action, as those of several servers do. A row is there, set aside as failed, or deleted; the actor is what it holds.

use std::collections::BTreeSet;

use stateright::{Checker as _, HasDiscoveries, Model, Property};

/// An event: its number in the store.
type Id = u8;

/// The events; the first and the last are of one action.
const ALL: [Id; 3] = [1, 2, 3];

/// Returns the action that an event is about.
const fn lane(id: Id) -> u8 {
    if id == 2 { 1 } else { 0 }
}

/// A row of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Row {
    NotWritten,
    Pending,
    Failed,
    Deleted,
}

/// Outcomes of events, to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Outcomes {
    delivered: Vec<Id>,
    failed: Vec<Id>,
}

/// A batch with outcomes, on its way to the store and back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Settling {
    outcomes: Outcomes,
    is_written: bool,
}

/// The actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Actor {
    /// The events that are not read again.
    held: BTreeSet<Id>,
    /// The events that wait, in the order in which they were read. The first of an action stays until it is settled.
    waiting: Vec<Id>,
    /// Those that wait for another attempt.
    again: BTreeSet<Id>,
    in_flight: Vec<Id>,
    /// Number of failed attempts.
    failures: [u8; 3],
    outcomes: Outcomes,
    settling: Option<Settling>,
    /// A page that was read and has not come yet.
    page: Option<Vec<Id>>,
    /// The last event that was read.
    last: Id,
}

/// A mistake that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    /// An event is written down as delivered when its delivery begins.
    SettledBefore,
    /// The next event of an action is taken while the one before waits for another attempt.
    LaneNotHeld,
    /// Events that are held are read again.
    ReadAgain,
    /// Events are read from behind the last one that was read.
    Cursor,
    /// Events are let go of before their outcome is durable.
    LetGoEarly,
    /// The event behind one that failed for good is forgotten.
    ForgetsBehind,
    /// The event behind a failed one is told before the failure is written down.
    FailsUnwritten,
}

impl Fault {
    const BREAKS: [(Self, Law); 7] = [
        (Self::SettledBefore, Law::Lost),
        (Self::LaneNotHeld, Law::Order),
        (Self::ReadAgain, Law::Once),
        (Self::Cursor, Law::AtLast),
        (Self::LetGoEarly, Law::Once),
        (Self::ForgetsBehind, Law::AtLast),
        (Self::FailsUnwritten, Law::Order),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Law {
    Lost,
    Order,
    Once,
    AtLast,
}

impl Law {
    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "an event that is gone was taken by the receiver",
            Self::Order => {
                "those of one action are taken in their order, but for what failed for good"
            }
            Self::Once => "without a crash or a lost answer an event is taken once",
            Self::AtLast => "at last each event was taken, or is kept as failed",
        }
    }
}

#[derive(Debug, Clone)]
struct Setup {
    crashes: u8,
    refusals: u8,
    lost_answers: u8,
    /// Number of attempts after which an event has failed.
    attempts: u8,
    fault: Option<Fault>,
}

const SETUP: Setup = Setup { crashes: 1, refusals: 2, lost_answers: 0, attempts: 2, fault: None };

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    rows: [Row; 3],
    actor: Actor,
    /// The events as the receiver took them.
    taken: Vec<Id>,
    left: (u8, u8, u8),
    broken: Option<Law>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    Written(Id),
    Read,
    PageComes,
    Begin(Id),
    Taken(Id),
    /// The receiver takes it, and the answer is lost.
    TakenUnheard(Id),
    Refused(Id),
    Again(Id),
    Settle,
    SettleWritten,
    SettleHeard,
    Crash,
}

fn index(id: Id) -> usize {
    usize::from(id) - 1
}

impl Setup {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Returns the events that a read would find now.
    fn unread(&self, world: &World) -> Vec<Id> {
        let last = world.actor.last;
        let is_unread = |id: &Id| match self.fault {
            Some(Fault::ReadAgain) => true,
            Some(Fault::Cursor) => *id > last,
            _ => !world.actor.held.contains(id),
        };
        let pending = ALL.into_iter().filter(|id| world.rows[index(*id)] == Row::Pending);
        pending.filter(is_unread).collect()
    }

    /// Returns the events that may be delivered next: the first of each action that is not under way.
    fn next(&self, actor: &Actor) -> Vec<Id> {
        let is_first = |id: &Id| {
            let mut same = actor.waiting.iter().filter(|other| lane(**other) == lane(*id));
            let first = match self.has(Fault::LaneNotHeld) {
                false => same.next(),
                true => same.find(|other| !actor.again.contains(other)),
            };
            first == Some(id)
        };
        let is_free = |id: &Id| {
            !actor.again.contains(id)
                && !actor.in_flight.iter().any(|other| lane(*other) == lane(*id))
        };
        actor.waiting.iter().filter(|id| is_first(id) && is_free(id)).copied().collect()
    }

    /// Events that happen by themselves.
    fn by_itself(&self, world: &World) -> Vec<Event> {
        let actor = &world.actor;
        let mut events = Vec::new();
        for id in ALL {
            let is_next = world.rows[index(id)] == Row::NotWritten;
            let before = ALL.iter().filter(|other| **other < id && lane(**other) == lane(id));
            let are_there =
                before.into_iter().all(|other| world.rows[index(*other)] != Row::NotWritten);
            if is_next && are_there {
                events.push(Event::Written(id));
            }
        }
        match &actor.page {
            Some(_) => events.push(Event::PageComes),
            None if !self.unread(world).is_empty() => events.push(Event::Read),
            None => {}
        }
        events.extend(self.next(actor).into_iter().map(Event::Begin));
        events.extend(actor.in_flight.iter().map(|id| Event::Taken(*id)));
        let has_failed = |id: &Id| actor.failures[index(*id)] >= self.attempts;
        let again = actor.again.iter().filter(|id| !has_failed(id));
        events.extend(again.map(|id| Event::Again(*id)));
        match &actor.settling {
            None if actor.outcomes != Outcomes::default() => events.push(Event::Settle),
            None => {}
            Some(Settling { is_written: false, .. }) => events.push(Event::SettleWritten),
            Some(_) => events.push(Event::SettleHeard),
        }
        events
    }

    fn step(&self, mut world: World, event: Event) -> World {
        let (crashes, refusals, lost) = &mut world.left;
        let actor = &mut world.actor;
        match event {
            Event::Written(id) => world.rows[index(id)] = Row::Pending,
            Event::Read => {
                let unread = self.unread(&world);
                if self.has(Fault::Cursor) {
                    world.actor.last = unread.last().copied().unwrap_or_default();
                }
                world.actor.page = Some(unread);
            }
            Event::PageComes => {
                for id in actor.page.take().unwrap_or_default() {
                    actor.held.insert(id);
                    actor.waiting.push(id);
                }
            }
            Event::Begin(id) => {
                actor.in_flight.push(id);
                if self.has(Fault::SettledBefore) {
                    actor.outcomes.delivered.push(id);
                }
            }
            Event::Taken(id) => {
                world.taken.push(id);
                actor.in_flight.retain(|other| *other != id);
                go_on(actor, id);
                if !self.has(Fault::SettledBefore) {
                    actor.outcomes.delivered.push(id);
                }
            }
            Event::TakenUnheard(id) => {
                *lost -= 1;
                world.taken.push(id);
                self.fail(actor, id);
            }
            Event::Refused(id) => {
                *refusals -= 1;
                self.fail(actor, id);
            }
            Event::Again(id) => {
                actor.again.remove(&id);
            }
            Event::Settle => {
                let outcomes = std::mem::take(&mut actor.outcomes);
                if self.has(Fault::LetGoEarly) {
                    actor.held.retain(|id| !outcomes.delivered.contains(id));
                }
                actor.settling = Some(Settling { outcomes, is_written: false });
            }
            Event::SettleWritten => {
                if let Some(settling) = &mut actor.settling {
                    settling.is_written = true;
                    for (ids, row) in [
                        (&settling.outcomes.delivered, Row::Deleted),
                        (&settling.outcomes.failed, Row::Failed),
                    ] {
                        for id in ids {
                            world.rows[index(*id)] = row;
                        }
                    }
                }
            }
            Event::SettleHeard => {
                if let Some(Settling { outcomes, .. }) = actor.settling.take() {
                    for id in outcomes.delivered.iter().chain(&outcomes.failed) {
                        actor.held.remove(id);
                    }
                    for id in outcomes.failed {
                        actor.again.remove(&id);
                        go_on(actor, id);
                    }
                }
            }
            Event::Crash => {
                *crashes -= 1;
                // What the receiver was sent it may take yet, and nobody hears of that.
                world.actor = Actor::default();
            }
        }
        world.broken = world.broken.or_else(|| self.look(&world));
        world
    }

    fn fail(&self, actor: &mut Actor, id: Id) {
        actor.in_flight.retain(|other| *other != id);
        actor.failures[index(id)] += 1;
        if actor.failures[index(id)] < self.attempts {
            actor.again.insert(id);
        } else {
            actor.outcomes.failed.push(id);
            if self.has(Fault::ForgetsBehind) {
                actor.waiting.retain(|other| lane(*other) != lane(id));
            } else if self.has(Fault::FailsUnwritten) {
                go_on(actor, id);
            } else {
                // It stays the first until that is written.
                actor.again.insert(id);
            }
        }
    }

    fn look(&self, world: &World) -> Option<Law> {
        let taken = |id: Id| world.taken.contains(&id);
        if ALL.iter().any(|id| world.rows[index(*id)] == Row::Deleted && !taken(*id)) {
            return Some(Law::Lost);
        }
        let first = |id: Id| world.taken.iter().position(|other| *other == id);
        if let Some(third) = first(3)
            && world.rows[index(1)] != Row::Failed
            && first(1).is_none_or(|one| one > third)
        {
            return Some(Law::Order);
        }
        let (crashes, _, lost) = world.left;
        let has_had_none = (crashes, lost) == (self.crashes, self.lost_answers);
        let twice = |id: &Id| world.taken.iter().filter(|other| *other == id).count() > 1;
        if has_had_none && ALL.iter().any(twice) {
            return Some(Law::Once);
        }
        if self.by_itself(world).is_empty() {
            let is_settled = |id: &Id| match world.rows[index(*id)] {
                Row::Deleted | Row::Failed => true,
                Row::NotWritten | Row::Pending => false,
            };
            return (!ALL.iter().all(is_settled)).then_some(Law::AtLast);
        }
        None
    }
}

/// Lets the next event of the same action be the first.
fn go_on(actor: &mut Actor, id: Id) {
    if let Some(place) = actor.waiting.iter().position(|other| *other == id) {
        actor.waiting.remove(place);
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            rows: [Row::NotWritten; 3],
            actor: Actor::default(),
            taken: Vec::new(),
            left: (self.crashes, self.refusals, self.lost_answers),
            broken: None,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.broken.is_some() {
            return;
        }
        events.extend(self.by_itself(world));
        let (crashes, refusals, lost) = world.left;
        for id in &world.actor.in_flight {
            if refusals > 0 {
                events.push(Event::Refused(*id));
            }
            if lost > 0 {
                events.push(Event::TakenUnheard(*id));
            }
        }
        if crashes > 0 {
            events.push(Event::Crash);
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        Some(self.step(world.clone(), event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! always {
            ($($law:ident),*) => {
                vec![$(Property::always(Law::$law.name(), |_: &Self, world: &World| {
                    world.broken != Some(Law::$law)
                })),*]
            };
        }
        let mut properties = always![Lost, Order, Once, AtLast];
        // A model in which nothing moves shows nothing.
        properties.push(Property::sometimes("all are taken", |_, world: &World| {
            world.rows == [Row::Deleted; 3]
        }));
        properties.push(Property::sometimes("one is taken twice", |_, world: &World| {
            world.taken.len() > 3
        }));
        properties
            .push(Property::sometimes("one failed, and the next was taken", |_, world: &World| {
                world.rows == [Row::Failed, Row::Deleted, Row::Deleted]
            }));
        properties
    }
}

#[test]
fn each_event_is_told_in_its_order() {
    for setup in [SETUP, Setup { crashes: 0, lost_answers: 1, ..SETUP }] {
        let checker = setup.checker().threads(2).spawn_bfs().join();
        println!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
        checker.assert_properties();
    }
}

#[test]
fn each_mistake_breaks_a_law() {
    for (fault, law) in Fault::BREAKS {
        let setup = Setup { fault: Some(fault), ..SETUP };
        let broken = HasDiscoveries::AnyOf([law.name()].into());
        let found = setup.checker().threads(1).finish_when(broken).spawn_bfs().join();
        let way = found.discovery(law.name());
        let way = way.unwrap_or_else(|| panic!("{fault:?} does not break {law:?}"));
        println!("{fault:?} breaks {law:?}: {:?}", way.into_actions());
    }
}
