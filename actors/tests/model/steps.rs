//! The possible steps, and the model as `stateright` sees it.

use actiond_actors::State;
use stateright::{Model, Property};

use crate::inbox::Inbox;
use crate::laws::{self, Happened, Law};
use crate::setup::{Ask, Fault, Setup};
use crate::world::{
    Actor, Clients, Durable, End, Id, Key, Phase, Row, Server, Set, Spent, Time, ToQueue, Wish,
    Worker, World,
};

/// One step under way: the world as it becomes.
pub(crate) struct Step<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) world: World,
}

impl Step<'_> {
    /// Holds what happens against the laws about steps, just before it changes the world.
    pub(crate) fn happened(&mut self, happened: &Happened) {
        for law in laws::broken_by(self.setup, &self.world, happened) {
            self.broke(law);
        }
    }

    fn broke(&mut self, law: Law) {
        if !self.world.broken.contains(&law) {
            self.world.broken.push(law);
        }
    }
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    ClientAsks(Ask, Time),
    /// A client whose actor has died since it looked for it (only by mistake).
    ClientAsksOldActor(Ask),
    StoreSeals,
    StoreWrites(Time),
    StoreWritesAllButClaims,
    StoreFails,
    QueueHears,
    /// Before what came earlier (only by mistake).
    QueueHearsReply,
    QueueTimer,
    /// The time has come before which this action must not start.
    TimeComes(Id),
    QueueDue,
    LateReport(Key, End),
    WorkerHears(u8),
    WorkReturns(u8, End),
    GraceEnds(u8, Key),
    TimesOut(u8, Key),
    WorkerDies(u8),
    ActorCrashes,
    ActorPublished,
    ActorStarts,
    Shutdown(Phase),
    ServerEnds,
    ServerCrashes,
    ServerStarts,
}

impl Event {
    /// Returns true if it follows from earlier steps: progress must not depend on a client or a crash.
    const fn comes_by_itself(self) -> bool {
        match self {
            Self::StoreSeals
            | Self::StoreWrites(_)
            | Self::QueueHears
            | Self::QueueHearsReply
            | Self::QueueTimer
            | Self::TimeComes(_)
            | Self::QueueDue
            | Self::WorkerHears(_)
            | Self::WorkReturns(..)
            | Self::GraceEnds(..)
            | Self::ActorPublished
            | Self::ActorStarts
            | Self::Shutdown(Phase::Interrupted | Phase::Forced)
            | Self::ServerEnds
            | Self::ServerStarts => true,
            Self::ClientAsks(..)
            | Self::ClientAsksOldActor(_)
            | Self::StoreWritesAllButClaims
            | Self::StoreFails
            | Self::LateReport(..)
            | Self::WorkerDies(_)
            | Self::TimesOut(..)
            | Self::ActorCrashes
            | Self::Shutdown(Phase::Running | Phase::Draining)
            | Self::ServerCrashes => false,
        }
    }
}

impl Setup {
    const fn times(&self) -> &'static [Time] {
        if self.clock_jumps { &[0, 1, 2] } else { &[0] }
    }

    fn may_ask(&self, world: &World, server: &Server, events: &mut Vec<Event>) {
        if world.clients.made >= self.requests || !server.inbox.open {
            return;
        }
        for ask in self.asks {
            if ask.id() != 0 && world.durable.row(ask.id()).is_none() {
                continue;
            }
            let submits = matches!(ask, Ask::Submit | Ask::SubmitLater | Ask::Duplicate(_));
            if server.queue().is_none() && !submits {
                continue;
            }
            if submits && self.has(Fault::OldActorTold) && server.inbox.generation > 1 {
                events.push(Event::ClientAsksOldActor(*ask));
            }
            let times = if *ask == Ask::Submit { self.times() } else { &[0] };
            events.extend(times.iter().map(|time| Event::ClientAsks(*ask, *time)));
        }
    }

    fn may_work(&self, world: &World, server: &Server, events: &mut Vec<Event>) {
        for (number, slot) in server.slots.iter().enumerate() {
            let number = number as u8;
            if slot.worker != Worker::Alive {
                continue;
            }
            if !slot.inbox.is_empty() {
                events.push(Event::WorkerHears(number));
            }
            events.extend(slot.timers.iter().map(|key| Event::GraceEnds(number, *key)));
            if world.spent.worker_deaths < self.worker_deaths {
                events.push(Event::WorkerDies(number));
            }
            let Some(attempt) = slot.running.and_then(|key| server.attempt(key)) else { continue };
            events.push(Event::WorkReturns(number, End::Finished));
            events.push(Event::WorkReturns(number, End::Failed));
            if self.time_limit && attempt.wish < Wish::Stop {
                events.push(Event::TimesOut(number, attempt.key));
            }
            if attempt.wish >= Wish::Stop || self.has(Fault::UnaskedStopTaken) {
                events.push(Event::WorkReturns(number, End::Stopped));
            }
        }
    }

    fn may_queue(&self, world: &World, server: &Server, events: &mut Vec<Event>) {
        match &server.actor {
            Actor::Down => events.push(Event::ActorPublished),
            Actor::Published => events.push(Event::ActorStarts),
            Actor::Up(queue) => {
                if !server.mailbox.is_empty() {
                    events.push(Event::QueueHears);
                }
                let answers = |message: &ToQueue| matches!(message, ToQueue::Committed(_));
                if self.has(Fault::StaleSlotFreed) && server.mailbox.iter().any(answers) {
                    events.push(Event::QueueHearsReply);
                }
                if queue.backing_off && !self.has(Fault::NeverTriesAgain) {
                    events.push(Event::QueueTimer);
                }
                if queue.timer && queue.is_due(world.durable.not_due()) {
                    events.push(Event::QueueDue);
                }
                if world.spent.actor_crashes < self.actor_crashes {
                    events.push(Event::ActorCrashes);
                }
                if world.spent.late_reports < self.late_reports {
                    let late = |row: &&Row| row.attempt > 0;
                    for row in world.durable.rows.iter().filter(late) {
                        let running = row.state.is_running();
                        let number = if running { row.attempt - 1 } else { row.attempt };
                        if number > 0 {
                            let key = Key { id: row.id, number };
                            events.push(Event::LateReport(key, End::Finished));
                            events.push(Event::LateReport(key, End::Interrupted));
                        }
                    }
                }
            }
        }
    }

    fn may_end(&self, world: &World, server: &Server, events: &mut Vec<Event>) {
        match server.phase {
            Phase::Running if world.spent.shutdowns >= self.shutdowns => {}
            Phase::Running => events.push(Event::Shutdown(Phase::Draining)),
            Phase::Draining => {
                events.push(Event::Shutdown(Phase::Interrupted));
                events.push(Event::Shutdown(Phase::Forced));
            }
            Phase::Interrupted => events.push(Event::Shutdown(Phase::Forced)),
            Phase::Forced => {}
        }
        // A shutdown waits for each of its steps for a limited time only.
        if server.phase > Phase::Draining {
            events.push(Event::ServerEnds);
        }
    }

    fn may_happen(&self, world: &World, events: &mut Vec<Event>) {
        let waiting = world.durable.rows.iter().filter(|row| row.waits);
        events.extend(waiting.map(|row| Event::TimeComes(row.id)));
        let Some(server) = &world.server else {
            events.push(Event::ServerStarts);
            return;
        };
        if server.writing.is_none() && !server.enlisted.is_empty() {
            events.push(Event::StoreSeals);
        }
        if server.writing.is_some() {
            events.extend(self.times().iter().map(|time| Event::StoreWrites(*time)));
            if world.spent.store_failures < self.store_failures {
                events.push(Event::StoreFails);
                events.push(Event::StoreWritesAllButClaims);
            }
        }
        self.may_queue(world, server, events);
        self.may_work(world, server, events);
        self.may_ask(world, server, events);
        self.may_end(world, server, events);
        if world.spent.server_crashes < self.server_crashes {
            events.push(Event::ServerCrashes);
        }
    }

    /// Returns true if a step is still possible that comes by itself.
    pub(crate) fn can_go_on(&self, world: &World) -> bool {
        let mut events = Vec::new();
        self.may_happen(world, &mut events);
        events.iter().any(|event| event.comes_by_itself())
    }
}

fn new_server(durable: &Durable) -> Server {
    Server {
        actor: Actor::Published,
        mailbox: Vec::new(),
        inbox: Inbox::new(1, true),
        enlisted: Vec::new(),
        writing: None,
        slots: Vec::new(),
        free: Set::default(),
        attempts: Vec::new(),
        seen: (durable.paused, durable.counts[State::Queued as usize]),
        waiters: Set::default(),
        phase: Phase::Running,
        recovered: false,
        dropped: false,
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut durable = Durable {
            rows: Vec::new(),
            last_id: self.waiting.len() as u8,
            paused: false,
            counts: [0; State::ALL.len()],
            applied: Set::default(),
        };
        let mut clients = Clients::default();
        for (id, priority) in (1..).zip(self.waiting) {
            let waits = self.not_due.contains(&id);
            durable.rows.push(Row { waits, ..Row::queued(id, *priority, 0) });
            durable.counts[State::Queued as usize] += 1;
            clients.submitted.insert(id);
        }
        let server = Some(new_server(&durable));
        vec![World {
            durable,
            server,
            clients,
            spent: Spent::default(),
            ran: Set::default(),
            broken: Vec::new(),
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        // What comes after a broken law shows nothing.
        let decisive = |law: &Law| self.fault.is_none_or(|fault| fault.breaks() == *law);
        if world.broken.iter().any(decisive) {
            return;
        }
        self.may_happen(world, events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut step = Step { setup: self, world: world.clone() };
        let spent = &mut step.world.spent;
        match event {
            Event::ClientAsks(ask, time) => step.ask(ask, time, false),
            Event::ClientAsksOldActor(ask) => step.ask(ask, 0, true),
            Event::StoreSeals => step.store_seals(),
            Event::StoreWrites(now) => step.store_writes(now, true),
            Event::StoreWritesAllButClaims => {
                spent.store_failures += 1;
                step.store_writes(0, false);
            }
            Event::StoreFails => {
                spent.store_failures += 1;
                step.store_fails();
            }
            Event::QueueHears => step.queue_hears(),
            Event::QueueHearsReply => step.queue_hears_reply(),
            Event::QueueTimer => step.on_timer(),
            Event::TimeComes(id) => step.time_comes(id),
            Event::QueueDue => step.on_due(),
            Event::LateReport(key, end) => {
                spent.late_reports += 1;
                step.late_report(key, end);
            }
            Event::WorkerHears(slot) => step.worker_hears(slot),
            Event::WorkReturns(slot, end) => step.work_returns(slot, end),
            Event::GraceEnds(slot, key) => step.grace_ends(slot, key),
            Event::TimesOut(slot, key) => step.times_out(slot, key),
            Event::WorkerDies(slot) => {
                spent.worker_deaths += 1;
                step.worker_dies(slot);
            }
            Event::ActorCrashes => {
                spent.actor_crashes += 1;
                step.actor_crashes();
            }
            Event::ActorPublished => step.publish(),
            Event::ActorStarts => step.start_queue(),
            Event::Shutdown(phase) => {
                spent.shutdowns += u8::from(phase == Phase::Draining);
                let server = step.world.server.as_mut()?;
                server.phase = phase;
                match phase {
                    Phase::Running => {}
                    Phase::Draining => server.tell(ToQueue::Drain),
                    Phase::Interrupted => server.tell(ToQueue::Interrupt),
                    Phase::Forced => server.tell(ToQueue::Force),
                }
            }
            Event::ServerEnds => step.server_ends(),
            Event::ServerCrashes => {
                spent.server_crashes += 1;
                step.server_ends();
            }
            Event::ServerStarts => {
                step.world.server = Some(new_server(&world.durable));
            }
        }
        step.world.forget_attempts();
        for law in laws::broken_in(self, &step.world) {
            step.broke(law);
        }
        Some(step.world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}

impl World {
    /// Lets go of attempts that nobody holds any more, so that states that differ in nothing else
    /// are the same.
    fn forget_attempts(&mut self) {
        if let Some(server) = &mut self.server {
            let works: Vec<Key> = server.works().collect();
            server.attempts.retain(|attempt| attempt.listed || works.contains(&attempt.key));
        }
    }
}
