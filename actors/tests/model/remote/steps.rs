//! Which events are possible.

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, Verdict, decide};
use stateright::{Model, Property};

use super::laws;
use super::world::{End, Fault, Id, Job, Key, Name, Row, Server, Setup, Spent, Worker, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Event {
    WorkerAsks(Name),
    WorkerSays(Name, End),
    WorkerDies(Name),
    /// The connection breaks over which a worker waits.
    AnswerLost(Name),
    Seals,
    Writes,
    Hears,
    Records(Key),
    /// The worker that has this attempt was silent for too long, after it had spoken to this server, or without.
    LeaseEnds(Key, bool),
    Stops(Id),
    GraceEnds(Key),
    ActorDies,
    Drains,
    ServerEnds,
    Crashes,
    Starts,
}

pub(super) struct Step<'m> {
    pub(super) setup: &'m Setup,
    pub(super) world: World,
}

impl Step<'_> {
    /// What comes by itself: no client's, no accident.
    fn by_itself(&self, events: &mut Vec<Event>) {
        let Some(server) = &self.world.server else {
            events.push(Event::Starts);
            return;
        };
        self.of_queue(server, events);
        for job in &server.jobs {
            match job.end {
                Some(_) if !job.recorded => events.push(Event::Records(job.key)),
                Some(_) => {}
                None => {
                    if !self.is_held(job.key) && self.has_lease(job.resumed) {
                        self.lease_ends(job, events);
                    }
                    let stops = |row: &Row| row.key() == job.key && row.state == State::Stopping;
                    if self.world.rows.iter().any(stops) {
                        events.push(Event::GraceEnds(job.key));
                    }
                }
            }
        }
        let unended = self.world.rows.iter().any(|row| !row.state.is_final());
        for (name, worker) in self.world.workers.iter().enumerate() {
            match *worker {
                Worker::Idle if unended && !server.draining => {
                    events.push(Event::WorkerAsks(name));
                }
                Worker::Has(_) => {
                    events.push(Event::WorkerSays(name, End::Finished));
                    events.push(Event::WorkerSays(name, End::Failed));
                }
                Worker::Repeats(key, end) if !self.is_in_vain(key, end) => {
                    events.push(Event::WorkerSays(name, end));
                }
                _ => {}
            }
        }
    }

    fn of_queue(&self, server: &Server, events: &mut Vec<Event>) {
        let queued = self.world.rows.iter().any(|row| row.state == State::Queued);
        let free = server.free(self.setup.slots) > 0 && !server.draining;
        let demand = !server.takers.is_empty() || self.setup.has(Fault::DemandIgnored);
        match &server.batch {
            Some(batch) if batch.answer.is_some() => events.push(Event::Hears),
            Some(_) => events.push(Event::Writes),
            None if server.recovers || !server.ends.is_empty() || (queued && free && demand) => {
                events.push(Event::Seals);
            }
            None if server.draining => events.push(Event::ServerEnds),
            None => {}
        }
    }

    fn is_held(&self, key: Key) -> bool {
        self.world.workers.iter().any(|worker| match worker {
            Worker::Has(of) | Worker::Says(of, _) | Worker::Repeats(of, _) => *of == key,
            Worker::Idle | Worker::Asks => false,
        })
    }

    /// An attempt that began here was handed to a worker. Of one that was resumed a worker may have spoken since, if any had it.
    fn lease_ends(&self, job: &Job, events: &mut Vec<Event>) {
        if job.resumed {
            events.push(Event::LeaseEnds(job.key, false));
        }
        if !job.resumed || self.world.given.contains(&job.key) {
            events.push(Event::LeaseEnds(job.key, true));
        }
    }

    fn has_lease(&self, resumed: bool) -> bool {
        !(self.setup.has(Fault::LeaseForEver)
            || (resumed && self.setup.has(Fault::ResumedWithoutLease)))
    }

    fn all(&self, events: &mut Vec<Event>) {
        let Self { setup, world } = self;
        let spent = &world.spent;
        self.by_itself(events);
        for (name, worker) in world.workers.iter().enumerate() {
            if *worker != Worker::Idle && spent.worker_deaths < setup.worker_deaths {
                events.push(Event::WorkerDies(name));
            }
            let waits = matches!(worker, Worker::Asks | Worker::Says(..));
            if waits && spent.lost_answers < setup.lost_answers {
                events.push(Event::AnswerLost(name));
            }
            let has = matches!(worker, Worker::Has(_)) && world.server.is_some();
            if has && spent.releases < setup.releases {
                events.push(Event::WorkerSays(name, End::Released));
            }
        }
        let Some(server) = &world.server else { return };
        for job in &server.jobs {
            let silent = job.end.is_none() && self.is_held(job.key);
            if silent && spent.silences < setup.silences && self.has_lease(job.resumed) {
                self.lease_ends(job, events);
            }
        }
        if spent.stops < setup.stops {
            events.extend(world.rows.iter().map(|row| Event::Stops(row.id)));
        }
        if spent.actor_deaths < setup.actor_deaths {
            events.push(Event::ActorDies);
        }
        if spent.shutdowns < setup.shutdowns && !server.draining {
            events.push(Event::Drains);
        }
        if spent.crashes < setup.crashes {
            events.push(Event::Crashes);
        }
    }

    fn take(&mut self, event: Event) -> Option<()> {
        match event {
            Event::WorkerAsks(name) => {
                self.world.workers[name] = Worker::Asks;
                self.world.server.as_mut()?.takers.push(name);
            }
            Event::WorkerSays(name, end) => {
                self.world.spent.releases += u8::from(
                    end == End::Released && matches!(self.world.workers[name], Worker::Has(_)),
                );
                let (Worker::Has(key) | Worker::Repeats(key, _)) = self.world.workers[name] else {
                    return None;
                };
                self.says(name, key, end)?;
            }
            Event::WorkerDies(name) => {
                self.world.spent.worker_deaths += 1;
                self.leaves(name, Worker::Idle);
            }
            Event::AnswerLost(name) => {
                self.world.spent.lost_answers += 1;
                let again = match self.world.workers[name] {
                    Worker::Says(key, end) => Worker::Repeats(key, end),
                    _ => Worker::Idle,
                };
                self.leaves(name, again);
            }
            Event::Seals => self.seals()?,
            Event::Writes => self.writes()?,
            Event::Hears => self.hears()?,
            Event::Records(key) => self.records(key)?,
            Event::LeaseEnds(key, spoke) => {
                self.world.spent.silences += u8::from(self.is_held(key));
                let is_failure = spoke || self.setup.has(Fault::LostIsFailure);
                self.ends_here(key, if is_failure { End::Silent } else { End::Lost })?;
            }
            Event::Stops(id) => {
                self.world.spent.stops += 1;
                let row = self.world.rows.iter_mut().find(|row| row.id == id)?;
                if let Verdict::Move(state) = decide(row.state, Command::Stop).ok()? {
                    row.state = state;
                }
            }
            Event::GraceEnds(key) => self.ends_here(key, End::Forced)?,
            Event::ActorDies => self.actor_dies()?,
            Event::Drains => self.drains()?,
            Event::ServerEnds => self.server_ends()?,
            Event::Crashes => {
                self.world.spent.crashes += 1;
                self.server_ends()?;
            }
            Event::Starts => {
                self.world.server = Some(Server { recovers: true, ..Server::default() });
            }
        }
        Some(())
    }

    fn ends_here(&mut self, key: Key, end: End) -> Option<()> {
        let server = self.world.server.as_mut()?;
        server.jobs.iter_mut().find(|job| job.key == key)?.end = Some(end);
        Some(())
    }

    /// A worker waits for no answer any more.
    fn leaves(&mut self, name: Name, as_this: Worker) {
        self.world.workers[name] = as_this;
        let Some(server) = &mut self.world.server else { return };
        server.takers.retain(|other| *other != name);
        server.tellers.retain(|other| *other != name);
        if let Some(batch) = &mut server.batch {
            batch.reserved.retain(|other| *other != name);
        }
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let row = |id| {
            let (state, ended) = (State::Queued, None);
            Row { id, state, attempt: 0, failures: 0, restarts: 0, lost: 0, ended }
        };
        vec![World {
            rows: (1..=self.actions).map(row).collect(),
            server: Some(Server { recovers: true, ..Server::default() }),
            workers: [Worker::Idle; 2],
            spent: Spent::default(),
            given: Default::default(),
            believed: Default::default(),
            acknowledged: Default::default(),
            broken: Vec::new(),
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        // What comes after a broken law shows nothing.
        let decisive = |law: &laws::Law| self.fault.is_none_or(|fault| fault.breaks() == *law);
        if !world.broken.iter().any(decisive) {
            Step { setup: self, world: world.clone() }.all(events);
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut step = Step { setup: self, world: world.clone() };
        step.take(event)?;
        let mut left = Vec::new();
        step.by_itself(&mut left);
        laws::look(self, &mut step.world, left.is_empty());
        Some(step.world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties()
    }
}
