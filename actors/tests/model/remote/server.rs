//! What the server does: a batch from its sealing to its answer, a shutdown, the death of its actor.

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, Ended, OnRestart, Verdict, decide, is_current};

use super::laws::Law;
use super::steps::Step;
use super::world::{Answer, Batch, End, Fault, Id, Job, Key, Name, Row, Server, Worker};

impl Server {
    /// Returns the number of attempts that may start, by the slots.
    pub(super) fn free(&self, slots: usize) -> usize {
        slots.saturating_sub(self.jobs.iter().filter(|job| !job.recorded).count())
    }
}

impl Step<'_> {
    fn server(&mut self) -> Option<&mut Server> {
        self.world.server.as_mut()
    }

    /// A batch takes all that waits, and reserves a worker for each action that it may start.
    pub(super) fn seals(&mut self) -> Option<()> {
        let setup = self.setup;
        let server = self.server()?;
        let recovers = std::mem::take(&mut server.recovers);
        let live = recovers.then(|| server.jobs.iter().map(|job| job.key).collect());
        // What was let go of goes on elsewhere.
        let known = server.recovered || setup.has(Fault::UnbegunTooEarly);
        let counts = setup.has(Fault::ActorDeathCounts);
        let unbegun = recovers && known && !server.draining && !counts;
        server.recovered &= !recovers;
        // What a recovery resumes takes slots, and is not known yet.
        let beside = setup.has(Fault::ClaimsBesideResumed);
        let free = if server.recovered || beside { server.free(setup.slots) } else { 0 };
        let free = if server.draining { 0 } else { free };
        let most = free.min(server.takers.len());
        let reserved: Vec<Name> = server.takers.drain(..most).collect();
        let claim = if setup.has(Fault::DemandIgnored) { free } else { reserved.len() };
        let ends = std::mem::take(&mut server.ends);
        let too_many = claim > reserved.len();
        server.batch =
            Some(Batch { heard: true, live, unbegun, ends, claim, reserved, answer: None });
        if too_many {
            self.world.broke(Law::Demand);
        }
        Some(())
    }

    /// One transaction: recovery, ends, claims.
    pub(super) fn writes(&mut self) -> Option<()> {
        let batch = self.server()?.batch.clone()?;
        let mut answer = Answer::default();
        if let Some(live) = &batch.live {
            for row in self.world.rows.clone() {
                if row.state.is_running() && !live.contains(&row.key()) {
                    self.recover(row, batch.unbegun, &mut answer);
                }
            }
        }
        for (key, failures, end) in batch.ends {
            let believed = self.end(key, failures, end);
            answer.ended.push((key, believed));
        }
        let queued = |row: &&mut Row| row.state == State::Queued;
        for row in self.world.rows.iter_mut().filter(queued).take(batch.claim) {
            if let Ok(Verdict::Move(state)) = decide(row.state, Command::Start) {
                (row.state, row.attempt, row.ended) = (state, row.attempt + 1, None);
                answer.claimed.push((row.key(), row.failures));
            }
        }
        let server = self.server()?;
        if let (true, Some(batch)) = (batch.heard, &mut server.batch) {
            batch.answer = Some(answer);
        } else {
            server.batch = None;
            self.give_back(batch.reserved, Fault::ReservedLost);
        }
        Some(())
    }

    fn recover(&mut self, row: Row, unbegun: bool, answer: &mut Answer) {
        let command = match unbegun {
            true => Command::End(Ended::Released),
            false if self.setup.has(Fault::RequeuedAtRestart) => {
                Command::Recover(OnRestart::Requeue)
            }
            false => Command::Recover(OnRestart::Resume),
        };
        match decide(row.state, command) {
            Ok(Verdict::Move(state)) => {
                self.taken_away(row.key());
                self.set(row, state, None);
            }
            _ => answer.resumed.push((row.key(), row.failures)),
        }
    }

    /// A worker that speaks loses what it has.
    fn taken_away(&mut self, key: Key) {
        let has = |worker: &Worker| match worker {
            Worker::Has(of) => *of == key,
            Worker::Says(of, end) | Worker::Repeats(of, end) => *of == key && *end != End::Released,
            Worker::Idle | Worker::Asks => false,
        };
        if self.world.workers.iter().any(has) {
            self.world.broke(Law::Kept);
        }
    }

    /// Takes the end of an attempt, or drops it as stale.
    fn end(&mut self, key: Key, failures: u8, end: End) -> bool {
        let Some(row) = self.world.row(key.id).copied() else { return false };
        let current = is_current(row.state, row.attempt.into(), key.attempt.into());
        let unfenced = self.setup.has(Fault::WordsUnfenced) && row.state.is_running();
        if !current && !unfenced {
            return false;
        }
        let died = row.restarts + 1;
        let ended = match end {
            End::Finished => Ended::Finished,
            End::Lost if died >= self.setup.max_restarts && row.state != State::Stopping => {
                Ended::Failed
            }
            End::Lost => Ended::Lost,
            End::Failed if row.state == State::Stopping => Ended::Stopped,
            End::Failed | End::Silent if failures + 1 < self.setup.attempts => Ended::Retry,
            End::Failed | End::Silent => Ended::Failed,
            End::Released => Ended::Released,
            End::Forced => Ended::Stopped,
        };
        let Ok(Verdict::Move(state)) = decide(row.state, Command::End(ended)) else { return false };
        if key != row.key() || !self.world.believed.insert(key) {
            self.world.broke(Law::Q14);
        }
        if end == End::Released {
            self.taken_away(key);
        }
        self.set(row, state, Some(end));
        let is_failure = matches!(ended, Ended::Retry | Ended::Failed);
        if end == End::Silent && is_failure && !self.world.given.contains(&key) {
            self.world.broke(Law::Blamed);
        }
        if ended == Ended::Lost {
            self.counts_restart(key.id);
        }
        if let (Ended::Retry, State::Queued) = (ended, state) {
            self.world.rows.iter_mut().filter(|r| r.id == row.id).for_each(|r| r.failures += 1);
        }
        true
    }

    /// Nobody spoke of an action since a restart.
    fn counts_restart(&mut self, id: Id) {
        let max_restarts = self.setup.max_restarts;
        let counted = u8::from(!self.setup.has(Fault::LostIsFree));
        let ends = self.world.spent.crashes + self.world.spent.shutdowns;
        let Some(row) = self.world.rows.iter_mut().find(|row| row.id == id) else { return };
        (row.restarts, row.lost) = (row.restarts + counted, row.lost + 1);
        let (again, lost) = (row.state == State::Queued, row.lost);
        if again && lost >= max_restarts {
            self.world.broke(Law::Bounded);
        }
        if lost > ends {
            self.world.broke(Law::Counted);
        }
    }

    fn set(&mut self, row: Row, state: State, ended: Option<End>) {
        for other in self.world.rows.iter_mut().filter(|other| other.id == row.id) {
            (other.state, other.ended) = (state, ended);
        }
    }

    /// The actor hears of its batch: attempts are resumed, those who wait are answered, attempts begin.
    pub(super) fn hears(&mut self) -> Option<()> {
        let batch = self.server()?.batch.take()?;
        let answer = batch.answer?;
        let draining = self.server()?.draining;
        self.server()?.recovered |= batch.live.is_some();
        for (key, failures) in answer.resumed {
            if !draining {
                self.begin(key, failures, true);
            }
        }
        for (key, believed) in answer.ended {
            self.server()?.jobs.retain(|job| job.key != key);
            self.settle(key, believed);
        }
        let mut reserved = batch.reserved;
        for (key, failures) in answer.claimed {
            if !draining && self.hand_over(key, &mut reserved) {
                self.begin(key, failures, false);
            } else {
                // Nobody is there for it any more.
                self.server()?.ends.push((key, failures, End::Released));
            }
        }
        self.give_back(reserved, Fault::UnclaimedLost);
        Some(())
    }

    fn begin(&mut self, key: Key, failures: u8, resumed: bool) {
        if let Some(server) = self.server() {
            server.jobs.push(Job { key, failures, resumed, end: None, recorded: false });
            server.jobs.sort_by_key(|job| job.key);
        }
    }

    /// Hands an attempt to a worker for which it is reserved, or else to one that waits.
    fn hand_over(&mut self, key: Key, reserved: &mut Vec<Name>) -> bool {
        let Some(server) = self.server() else { return false };
        let from = if reserved.is_empty() { &mut server.takers } else { reserved };
        if from.is_empty() {
            return false;
        }
        let name = from.remove(0);
        self.world.workers[name] = Worker::Has(key);
        self.world.given.insert(key);
        true
    }

    /// Lets workers wait again that were reserved for nothing.
    fn give_back(&mut self, mut reserved: Vec<Name>, lost: Fault) {
        let is_lost = self.setup.has(lost);
        if let (false, Some(server)) = (is_lost, self.server()) {
            reserved.retain(|name| !server.takers.contains(name));
            reserved.append(&mut server.takers);
            server.takers = reserved;
        }
    }

    /// The work of an attempt comes back with the end that it was told of.
    pub(super) fn records(&mut self, key: Key) -> Option<()> {
        let server = self.server()?;
        let job = server.jobs.iter_mut().find(|job| job.key == key)?;
        job.recorded = true;
        server.ends.push((key, job.failures, job.end?));
        Some(())
    }

    /// The queue's actor dies, and another one is built from what it finds.
    pub(super) fn actor_dies(&mut self) -> Option<()> {
        self.world.spent.actor_deaths += 1;
        let server = self.server()?;
        server.recovers = true;
        let recorded = server.jobs.iter().filter(|job| job.recorded);
        server.ends = recorded.filter_map(|job| Some((job.key, job.failures, job.end?))).collect();
        let mut lost = Vec::new();
        match &mut server.batch {
            Some(batch) if batch.answer.is_some() => {
                lost = std::mem::take(&mut batch.reserved);
                server.batch = None;
            }
            Some(batch) => batch.heard = false,
            None => {}
        }
        self.give_back(lost, Fault::ReservedLost);
        Some(())
    }

    /// A shutdown lets go of what workers have, and sends those home that wait for something to do.
    pub(super) fn drains(&mut self) -> Option<()> {
        self.world.spent.shutdowns += 1;
        let releases = self.setup.has(Fault::DetachReleases);
        let unanswered = self.setup.has(Fault::DetachedUnanswered);
        let server = self.server()?;
        server.draining = true;
        let takers = std::mem::take(&mut server.takers);
        let detached: Vec<Job> = server.jobs.iter().filter(|job| !job.recorded).copied().collect();
        server.jobs.retain(|job| job.recorded);
        if releases {
            server.ends.extend(detached.iter().map(|job| (job.key, job.failures, End::Released)));
        }
        for name in takers {
            self.world.workers[name] = Worker::Idle;
        }
        for job in detached.into_iter().filter(|_| !unanswered) {
            self.unsettled(job.key);
        }
        Some(())
    }

    pub(super) fn server_ends(&mut self) -> Option<()> {
        self.world.server = None;
        for worker in &mut self.world.workers {
            *worker = match *worker {
                Worker::Asks => Worker::Idle,
                Worker::Says(key, end) => Worker::Repeats(key, end),
                other => other,
            };
        }
        Some(())
    }
}
