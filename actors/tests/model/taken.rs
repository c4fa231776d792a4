//! The protocol by which the server that hears of an attempt takes it over from the one that has it
//! ([`Control::TakeOver`](actiond_actors::store::Control::TakeOver)), checked in every order of words, commits, notices that
//! are late or lost, and heartbeats.
//!
//! It is small: one action that runs, two servers, and a worker that talks now to the one, now to the other. A server is the
//! attempt that it knows of, what waits for its next batch, that batch, and the word that it has to answer.

use stateright::{Checker as _, HasDiscoveries, Model, Property};

/// A server.
type Name = usize;

/// A word of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Word {
    Heartbeat,
    Finish,
}

/// The end of an attempt, as its server reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Finished,
    /// The worker was silent here for too long. It may have talked to the other server.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Control {
    TakeOver,
    /// Asks which attempts this server has.
    Look,
    End(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    /// True if another server had it.
    Taken(bool),
    Owns(bool),
    /// True if the end is believed.
    Ended(End, bool),
}

/// The attempt, as a server knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Job {
    Open,
    /// It has ended like this, and that is not in the inbox yet.
    Ending(End),
    Recorded,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Batch {
    controls: Vec<Control>,
    /// Its answers, once it is written.
    answers: Option<Vec<Answer>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Server {
    job: Option<Job>,
    inbox: Vec<Control>,
    batch: Option<Batch>,
    /// The word that it has to answer, and whether it has asked for the attempt.
    word: Option<(Word, bool)>,
}

impl Server {
    fn has_on_its_way(&self, control: Control) -> bool {
        let in_batch = self.batch.iter().flat_map(|batch| &batch.controls);
        self.inbox.iter().chain(in_batch).any(|other| *other == control)
    }
}

/// A mistake that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    /// An end counts whoever owns the attempt.
    EndUnfenced,
    /// A server lets go of an attempt as soon as it hears that it has moved.
    MovedUnasked,
    /// Nothing makes up for a notice that is lost.
    NeverReminded,
    /// An attempt is asked for while an end of it is not reported yet.
    AskedWhileEnding,
    /// A word waits for an attempt that is not coming back.
    WaitsForEver,
}

impl Fault {
    const ALL: [(Self, Law); 5] = [
        (Self::EndUnfenced, Law::Q14),
        (Self::MovedUnasked, Law::Owned),
        (Self::NeverReminded, Law::Owned),
        (Self::AskedWhileEnding, Law::Kept),
        (Self::WaitsForEver, Law::Q11),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Law {
    Q2,
    Q11,
    Q14,
    Kept,
    Owned,
}

impl Law {
    const fn name(self) -> &'static str {
        match self {
            Self::Q2 => "Q2: a finish that was acknowledged is written",
            Self::Q11 => "Q11: each word is answered",
            Self::Q14 => "Q14: one end is believed, its owner's",
            Self::Kept => "what a worker has is not taken from it while it speaks",
            Self::Owned => "at last the owner has the attempt, and nobody else has",
        }
    }
}

/// Bounds of a model.
#[derive(Debug, Clone)]
struct Setup {
    words: u8,
    lost_notices: u8,
    /// Number of times that a server takes its worker for silent, which has talked to the other one.
    silences: u8,
    heartbeats: u8,
    fault: Option<Fault>,
}

const SETUP: Setup = Setup { words: 4, lost_notices: 1, silences: 1, heartbeats: 1, fault: None };

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    owner: Name,
    ended: Option<End>,
    servers: [Server; 2],
    /// Notices that are on their way to these servers.
    moved: Vec<Name>,
    left: (u8, u8, u8, u8),
    acknowledged: bool,
    broken: Option<Law>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    Says(Name, Word),
    /// The server does something about the word that it has to answer.
    Minds(Name),
    SaysAgain(Name),
    Seals(Name),
    Writes(Name),
    Hears(Name),
    Records(Name),
    Notice(Name),
    NoticeLost(Name),
    TakenForSilent(Name),
    Heartbeat(Name),
}

impl Setup {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Events that happen by themselves, without the worker and without an accident.
    fn by_itself(&self, world: &World) -> Vec<Event> {
        let mut events = Vec::new();
        for (name, server) in world.servers.iter().enumerate() {
            match (server.word, server.job) {
                (Some(_), Some(Job::Open)) => events.push(Event::Minds(name)),
                (Some(_), None) if world.ended.is_some() => events.push(Event::Minds(name)),
                (Some((_, false)), None) => events.push(Event::Minds(name)),
                (Some((_, false)), Some(Job::Ending(_))) if self.has(Fault::AskedWhileEnding) => {
                    events.push(Event::Minds(name));
                }
                _ => {}
            }
            let waits_in_vain = matches!(server.word, Some((_, true)))
                && server.job.is_none()
                && !server.has_on_its_way(Control::TakeOver);
            if waits_in_vain && !self.has(Fault::WaitsForEver) {
                events.push(Event::SaysAgain(name));
            }
            match &server.batch {
                None if !server.inbox.is_empty() => events.push(Event::Seals(name)),
                None => {}
                Some(batch) if batch.answers.is_none() => events.push(Event::Writes(name)),
                Some(_) => events.push(Event::Hears(name)),
            }
            if matches!(server.job, Some(Job::Ending(_))) {
                events.push(Event::Records(name));
            }
            if world.moved.contains(&name) {
                events.push(Event::Notice(name));
            }
        }
        if events.is_empty() && !self.has(Fault::NeverReminded) {
            // The next renewal of a lease shows what others have taken.
            let is_stale = |name: &Name| {
                let open = world.servers[*name].job == Some(Job::Open);
                open && (world.owner != *name || world.ended.is_some())
            };
            events.extend((0..2).filter(is_stale).map(Event::Heartbeat));
        }
        events
    }

    fn step(&self, mut world: World, event: Event) -> Option<World> {
        match event {
            Event::Says(name, word) => {
                world.left.0 -= 1;
                world.servers[name].word = Some((word, false));
            }
            Event::Minds(name) => self.minds(&mut world, name)?,
            Event::SaysAgain(name) => world.servers[name].word = None,
            Event::Seals(name) => {
                let controls = std::mem::take(&mut world.servers[name].inbox);
                world.servers[name].batch = Some(Batch { controls, answers: None });
            }
            Event::Writes(name) => self.writes(&mut world, name)?,
            Event::Hears(name) => self.hears(&mut world, name)?,
            Event::Records(name) => {
                let Some(Job::Ending(end)) = world.servers[name].job else { return None };
                world.servers[name].job = Some(Job::Recorded);
                world.servers[name].inbox.push(Control::End(end));
            }
            Event::Notice(name) => {
                world.forget_notice(name)?;
                let server = &mut world.servers[name];
                if self.has(Fault::MovedUnasked) {
                    server.job = server.job.filter(|job| *job != Job::Open);
                } else if !server.inbox.contains(&Control::Look) {
                    server.inbox.push(Control::Look);
                }
            }
            Event::NoticeLost(name) => {
                world.left.1 -= 1;
                world.forget_notice(name)?;
            }
            Event::TakenForSilent(name) => {
                world.left.2 -= 1;
                world.servers[name].job = Some(Job::Ending(End::Silent));
            }
            Event::Heartbeat(name) => {
                world.left.3 = world.left.3.saturating_sub(1);
                world.servers[name].inbox.push(Control::Look);
            }
        }
        if world.broken.is_none() {
            world.broken = self.look(&world);
        }
        Some(world)
    }

    fn minds(&self, world: &mut World, name: Name) -> Option<()> {
        let ended = world.ended;
        let server = &mut world.servers[name];
        let (word, _) = server.word?;
        match (server.job, word) {
            (Some(Job::Open), Word::Heartbeat) => server.word = None,
            (Some(Job::Open), Word::Finish) => {
                // Answered once the end is written.
                server.job = Some(Job::Ending(End::Finished));
                server.word = Some((word, true));
            }
            (None, _) if ended.is_some() => {
                server.word = None;
                // Said again, it has the same answer.
                world.acknowledged |= word == Word::Finish && ended == Some(End::Finished);
            }
            _ => {
                server.word = Some((word, true));
                server.inbox.push(Control::TakeOver);
            }
        }
        Some(())
    }

    /// One transaction.
    fn writes(&self, world: &mut World, name: Name) -> Option<()> {
        let controls = world.servers[name].batch.as_ref()?.controls.clone();
        let mut answers = Vec::new();
        for control in controls {
            answers.push(match control {
                Control::TakeOver => {
                    let moves = world.ended.is_none() && world.owner != name;
                    if moves {
                        world.moved.push(world.owner);
                        world.moved.sort_unstable();
                        world.owner = name;
                    }
                    Answer::Taken(moves)
                }
                Control::Look => Answer::Owns(world.owner == name && world.ended.is_none()),
                Control::End(end) => {
                    let is_fenced = world.owner != name && !self.has(Fault::EndUnfenced);
                    let believed = world.ended.is_none() && !is_fenced;
                    if believed {
                        world.ended = Some(end);
                        if world.owner != name {
                            world.broken = Some(Law::Q14);
                        } else if end == End::Silent {
                            // It was silent only to the server that did not have it.
                            world.broken = Some(Law::Kept);
                        }
                    }
                    Answer::Ended(end, believed)
                }
            });
        }
        world.servers[name].batch.as_mut()?.answers = Some(answers);
        Some(())
    }

    /// The actor hears of its batch.
    fn hears(&self, world: &mut World, name: Name) -> Option<()> {
        let answers = world.servers[name].batch.take()?.answers?;
        let server = &mut world.servers[name];
        for answer in answers {
            match answer {
                Answer::Taken(true) => server.job = Some(Job::Open),
                Answer::Owns(false) => server.job = server.job.filter(|job| *job != Job::Open),
                Answer::Taken(false) | Answer::Owns(true) => {}
                Answer::Ended(end, believed) => {
                    if server.job == Some(Job::Recorded) {
                        server.job = None;
                    }
                    if end == End::Finished && matches!(server.word, Some((Word::Finish, true))) {
                        // Otherwise the worker is told to say it again.
                        server.word = None;
                        world.acknowledged |= believed;
                    }
                }
            }
        }
        Some(())
    }

    fn look(&self, world: &World) -> Option<Law> {
        if world.acknowledged && world.ended != Some(End::Finished) {
            return Some(Law::Q2);
        }
        if !self.by_itself(world).is_empty() {
            return None;
        }
        if world.servers.iter().any(|server| server.word.is_some()) {
            return Some(Law::Q11);
        }
        let has = |name: Name| world.servers[name].job.is_some();
        let is_owned = |name: Name| world.owner == name && world.ended.is_none();
        (0..2).any(|name| has(name) != is_owned(name)).then_some(Law::Owned)
    }
}

impl World {
    fn forget_notice(&mut self, name: Name) -> Option<()> {
        let at = self.moved.iter().position(|moved| *moved == name)?;
        self.moved.remove(at);
        Some(())
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut servers = [Server::default(), Server::default()];
        servers[0].job = Some(Job::Open);
        vec![World {
            owner: 0,
            ended: None,
            servers,
            moved: Vec::new(),
            left: (self.words, self.lost_notices, self.silences, self.heartbeats),
            acknowledged: false,
            broken: None,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.broken.is_some() {
            return;
        }
        events.extend(self.by_itself(world));
        let (words, lost, silences, heartbeats) = world.left;
        for (name, server) in world.servers.iter().enumerate() {
            if words > 0 && server.word.is_none() && !world.acknowledged {
                events.push(Event::Says(name, Word::Heartbeat));
                events.push(Event::Says(name, Word::Finish));
            }
            if lost > 0 && world.moved.contains(&name) {
                events.push(Event::NoticeLost(name));
            }
            let is_stale = server.job == Some(Job::Open) && world.owner != name;
            if silences > 0 && is_stale && server.word.is_none() {
                events.push(Event::TakenForSilent(name));
            }
            if heartbeats > 0 && !server.inbox.contains(&Control::Look) {
                events.push(Event::Heartbeat(name));
            }
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        self.step(world.clone(), event)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! always {
            ($($law:ident),*) => {
                vec![$(Property::always(Law::$law.name(), |_: &Self, world: &World| {
                    world.broken != Some(Law::$law)
                })),*]
            };
        }
        let mut properties = always![Q2, Q11, Q14, Kept, Owned];
        // A model in which nothing moves shows nothing.
        properties.push(Property::sometimes("it is finished by the other", |_, world: &World| {
            world.owner == 1 && world.acknowledged
        }));
        properties.push(Property::sometimes("it was there and back", |_, world: &World| {
            world.owner == 0 && world.moved == [0, 1]
        }));
        properties
    }
}

#[test]
fn an_attempt_goes_to_whoever_hears_of_it() {
    let checker = SETUP.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

#[test]
fn each_mistake_breaks_a_law() {
    for (fault, law) in Fault::ALL {
        let setup = Setup { fault: Some(fault), ..SETUP };
        let broken = HasDiscoveries::AnyOf([law.name()].into());
        let found = setup.checker().threads(1).finish_when(broken).spawn_bfs().join();
        let way = found.discovery(law.name());
        let way = way.unwrap_or_else(|| panic!("{fault:?} does not break {law:?}"));
        println!("{fault:?} breaks {law:?}: {:?}", way.into_actions());
    }
}
