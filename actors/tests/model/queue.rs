//! The queue actor: what it does with each message, and what its death loses.

use actiond_actors::State;

use crate::laws::Happened;
use crate::setup::{Ask, Fault};
use crate::steps::Step;
use crate::world::{
    Actor, Affected, Attempt, Batch, Control, End, Key, New, Pause, Phase, Port, Queue, Reply,
    Said, Slot, Time, ToQueue, ToWorker, Wish, Worker, World,
};

impl Step<'_> {
    pub(crate) fn queue_mut(&mut self) -> Option<&mut Queue> {
        self.world.server.as_mut()?.queue_mut()
    }

    /// A client asks; the message is handled as soon as it is there.
    pub(crate) fn ask(&mut self, ask: Ask, queued_at: Time) {
        let request = self.world.clients.made;
        self.world.clients.made += 1;
        if let Ask::Wait(id) = ask {
            self.world.clients.closed.insert(request);
            let ended = self.world.durable.state(id).is_none_or(State::is_final);
            if let (false, Some(server)) = (ended, &mut self.world.server) {
                server.waiters.insert(id);
            }
            return;
        }
        let copy_of = if let Ask::Duplicate(id) = ask { Some(id) } else { None };
        let in_memory = self.setup.has(Fault::PauseInMemory);
        let Some(queue) = self.queue_mut() else { return };
        match ask {
            Ask::Submit | Ask::Duplicate(_) if queue.draining => {
                return self.answer(request, false);
            }
            Ask::Submit | Ask::Duplicate(_) => {
                queue.submissions.push(New { copy_of, queued_at, request });
            }
            _ => {
                let control = match ask {
                    Ask::PauseQueue => Control::PauseQueue,
                    Ask::ResumeQueue => Control::ResumeQueue,
                    Ask::StopAll => Control::StopAll,
                    _ => Control::Command(ask.id(), ask),
                };
                queue.controls.push((control, Port::Client(request)));
            }
        }
        queue.backing_off = false;
        queue.paused |= ask == Ask::PauseQueue && in_memory;
        match ask {
            Ask::PauseQueue => self.world.clients.pause = Pause::Asked(request),
            Ask::ResumeQueue => self.world.clients.pause = Pause::No,
            _ => {}
        }
        if self.setup.has(Fault::AnsweredTwice) {
            self.answer(request, false);
        }
        self.pump(false);
    }

    /// Sends the next batch if none is in flight and there is something to do.
    fn pump(&mut self, after_failure: bool) {
        let max = self.setup.slots;
        let Some(server) = &mut self.world.server else { return };
        let busy = server.slots.len() - server.free.len();
        let (paused, queued) = server.seen;
        let Actor::Up(queue) = &mut server.actor else { return };
        if queue.in_flight || queue.backing_off {
            return;
        }
        let claim = if queue.draining || queue.paused { 0 } else { max.saturating_sub(busy) };
        let nothing = queue.controls.is_empty() && queue.submissions.is_empty();
        if nothing && !(claim > 0 && !paused && queued > 0) {
            return;
        }
        queue.in_flight = true;
        let mut picked: Vec<Key> = Vec::new();
        if self.setup.has(Fault::ClaimNotAtomic) || self.setup.has(Fault::StartBeforeDurable) {
            picked.extend(self.world.durable.next().iter().map(|row| row.key()).take(claim));
        }
        let batch = Batch {
            controls: std::mem::take(&mut queue.controls),
            submissions: std::mem::take(&mut queue.submissions),
            claim,
            orphan: false,
            picked,
        };
        self.happened(&Happened::Sealed { claim, hot: after_failure && nothing });
        if self.setup.has(Fault::AnswerBeforeDurable) {
            for (_, port) in &batch.controls {
                if let Port::Client(request) = port {
                    self.answer(*request, true);
                }
            }
        }
        if self.setup.has(Fault::StartBeforeDurable) {
            for key in &batch.picked {
                self.dispatch(Key { number: key.number + 1, ..*key });
            }
        }
        self.send_to_store(batch);
    }

    /// The queue hears what the store has to say of the batch in flight.
    pub(crate) fn on_committed(&mut self) {
        let hot_claims = self.setup.has(Fault::HotClaims);
        let Some(queue) = self.queue_mut() else { return };
        queue.in_flight = false;
        match queue.reply.take() {
            None => {}
            Some(Reply::Durable { controls, submissions, claimed, claim }) => {
                for (control, port, answer) in controls {
                    self.on_control(&control, port, answer);
                }
                for (request, id) in submissions {
                    self.answer(request, id.is_some());
                    id.into_iter().for_each(|id| self.world.clients.submitted.insert(id));
                }
                let failed = claimed.is_empty() && self.could_start(claim);
                if let (true, Some(queue)) = (failed, self.queue_mut()) {
                    queue.backing_off = !hot_claims;
                }
                if !self.setup.has(Fault::StartBeforeDurable) {
                    claimed.into_iter().for_each(|key| self.dispatch(key));
                }
                self.pump(failed);
            }
            Some(Reply::Failed(batch)) => self.on_failed(batch),
        }
    }

    /// Whether something should have been claimed, as far as the actor knows.
    fn could_start(&self, claim: usize) -> bool {
        let seen = self.world.server.as_ref().map(|server| server.seen);
        claim > 0 && seen.is_some_and(|(paused, queued)| !paused && queued > 0)
    }

    fn on_control(&mut self, control: &Control, port: Port, answer: Option<Vec<Affected>>) {
        let recovery = matches!(control, Control::Recover(_));
        for affected in answer.iter().flatten() {
            self.steer(affected, recovery);
        }
        if recovery && !self.setup.has(Fault::WaitersForgotten) {
            // Whose end was written while there was no actor to hear of it.
            let rows = &self.world.durable.rows;
            let ended: Vec<u8> =
                rows.iter().filter(|row| row.state.is_final()).map(|row| row.id).collect();
            if let Some(server) = &mut self.world.server {
                ended.iter().for_each(|id| server.waiters.remove(*id));
            }
        }
        match (port, control) {
            (Port::Client(request), _) => {
                self.answer(request, answer.is_some());
                if let Control::Command(id, _) = control {
                    match answer.and_then(|affected| Some(affected.first()?.state)) {
                        Some(State::Cancelled) => self.world.clients.told_cancelled.insert(*id),
                        Some(State::Stopping) => self.world.clients.told_stopping.insert(*id),
                        _ => {}
                    }
                }
            }
            (Port::Own, Control::End(key, _)) => {
                if let (None, Some(server)) = (answer, &mut self.world.server) {
                    server.dropped = true;
                }
                self.release(*key);
            }
            (Port::Own, _) => {}
        }
    }

    fn on_failed(&mut self, batch: Batch) {
        let mut kept: Vec<(Control, Port)> = Vec::new();
        for (control, port) in batch.controls {
            match port {
                Port::Own => kept.push((control, port)),
                Port::Client(_) if self.setup.has(Fault::AnswerForgotten) => {}
                Port::Client(request) => self.answer(request, false),
            }
        }
        for new in batch.submissions {
            self.answer(new.request, false);
        }
        let back_off = !kept.is_empty() || !self.setup.has(Fault::HotRetry);
        if let Some(queue) = self.queue_mut() {
            kept.append(&mut queue.controls);
            queue.controls = kept;
            queue.backing_off = back_off;
        }
        self.pump(true);
    }

    pub(crate) fn on_timer(&mut self) {
        if let Some(queue) = self.queue_mut() {
            queue.backing_off = false;
        }
        self.pump(false);
    }

    /// Passes on to the worker what the rules decided, and wakes those who wait for an end.
    fn steer(&mut self, affected: &Affected, recovery: bool) {
        let renewed = recovery && !self.setup.has(Fault::WishesNotRenewed);
        let wish = match (affected.said, affected.state) {
            (Said::Forced, _) => Wish::Force,
            (Said::Stayed, _) if !renewed => return,
            (_, State::Stopping) => Wish::Stop,
            (_, State::Paused) => Wish::Pause,
            (_, State::Processing) => Wish::Run,
            (_, state) => {
                if let (true, Some(server)) = (state.is_final(), &mut self.world.server) {
                    server.waiters.remove(affected.key.id);
                }
                return;
            }
        };
        self.steer_attempt(affected.key, wish);
    }

    fn steer_attempt(&mut self, key: Key, wish: Wish) {
        let Some(server) = &mut self.world.server else { return };
        let Some(attempt) = server.attempt(key).filter(|attempt| attempt.listed) else { return };
        let slot = usize::from(attempt.slot);
        let slot = &mut server.slots[slot];
        if slot.worker == Worker::Alive {
            slot.inbox.push(ToWorker::Steer(key, wish));
            if wish != Wish::Force {
                self.set_wish(key, wish);
            }
        }
    }

    fn dispatch(&mut self, key: Key) {
        let Some(server) = &mut self.world.server else { return };
        let slot = server.free.pop().unwrap_or_else(|| {
            server.slots.push(Slot {
                worker: Worker::None,
                idle: false,
                inbox: Vec::new(),
                running: None,
                abandoned: false,
                timers: Vec::new(),
            });
            server.slots.len() as u8 - 1
        });
        for attempt in server.attempts.iter_mut().filter(|attempt| attempt.key.id == key.id) {
            attempt.listed = false;
        }
        let (wish, interrupted, ended) = (Wish::Run, false, None);
        server.attempts.push(Attempt { key, slot, wish, interrupted, ended, listed: true });
        server.attempts.sort_by_key(|attempt| attempt.key);
        let late =
            server.phase >= Phase::Interrupted && !server.mailbox.contains(&ToQueue::Interrupt);
        let slot = &mut server.slots[usize::from(slot)];
        slot.idle = false;
        if slot.worker == Worker::None {
            slot.worker = Worker::Alive;
        }
        if slot.worker == Worker::Alive {
            slot.inbox.push(ToWorker::Run(key));
            if late && !self.setup.has(Fault::LateStartGoesOn) {
                slot.inbox.push(ToWorker::Interrupt);
            }
        }
    }

    fn release(&mut self, key: Key) {
        if let Some(attempt) = self.world.server.as_mut().and_then(|s| s.attempt_mut(key)) {
            attempt.listed = false;
        }
    }

    /// The queue takes the next message from its mailbox.
    pub(crate) fn queue_hears(&mut self) {
        let Some(server) = &mut self.world.server else { return };
        let message = server.mailbox.remove(0);
        match message {
            ToQueue::AttemptEnded(key, end) => self.gather(Control::End(key, end)),
            ToQueue::SlotFreed(slot) => {
                server.free.insert(slot);
                if self.setup.has(Fault::NoPumpOnSlotFreed) {
                    return;
                }
            }
            ToQueue::WorkerLost(slot) => {
                server.slots[usize::from(slot)].worker = Worker::None;
                server.free.insert(slot);
            }
            ToQueue::Drain => {
                if let Some(queue) = server.queue_mut() {
                    queue.draining = true;
                }
                return;
            }
            ToQueue::Interrupt => return self.interrupt_busy(),
            ToQueue::Force => {
                let keys: Vec<Key> =
                    server.attempts.iter().filter(|a| a.listed).map(|a| a.key).collect();
                for key in keys {
                    if let Some(attempt) = self.attempt_mut(key) {
                        attempt.interrupted = true;
                    }
                    self.set_wish(key, Wish::Stop);
                    self.steer_attempt(key, Wish::Force);
                }
                return;
            }
        }
        self.pump(false);
    }

    fn interrupt_busy(&mut self) {
        let Some(server) = &mut self.world.server else { return };
        for (number, slot) in server.slots.iter_mut().enumerate() {
            if slot.worker == Worker::Alive && !server.free.contains(number as u8) {
                slot.inbox.push(ToWorker::Interrupt);
            }
        }
    }

    fn gather(&mut self, control: Control) {
        if let Some(queue) = self.queue_mut() {
            queue.controls.push((control, Port::Own));
        }
    }

    /// A report of an attempt turns up (again) that is not the one that runs.
    pub(crate) fn late_report(&mut self, key: Key, end: End) {
        self.gather(Control::End(key, end));
        self.pump(false);
    }

    /// The queue is built from the store and from what still runs.
    pub(crate) fn start_queue(&mut self) {
        let forgets_drain = self.setup.has(Fault::DrainForgotten);
        let unnoticed = self.setup.has(Fault::DeathUnnoticed);
        let Some(server) = &mut self.world.server else { return };
        for (number, slot) in server.slots.iter_mut().enumerate() {
            let lost = slot.worker == Worker::Dead && !unnoticed;
            if lost {
                slot.worker = Worker::None;
            }
            if slot.idle || lost {
                server.free.insert(number as u8);
            }
        }
        let listed = || server.attempts.iter().filter(|attempt| attempt.listed);
        let live = listed().map(|attempt| attempt.key).collect();
        let ended: Vec<(Key, End)> =
            listed().filter_map(|attempt| Some((attempt.key, attempt.ended?))).collect();
        let draining = server.phase > Phase::Running && !forgets_drain;
        // Messages to an actor that died are lost: read what they said.
        match server.phase {
            Phase::Running | Phase::Draining => {}
            Phase::Interrupted => server.mailbox.push(ToQueue::Interrupt),
            Phase::Forced => server.mailbox.push(ToQueue::Force),
        }
        server.actor = Actor::Up(Queue { draining, ..Queue::default() });
        if !self.setup.has(Fault::NoRecovery) {
            self.gather(Control::Recover(live));
        }
        ended.into_iter().for_each(|(key, end)| self.gather(Control::End(key, end)));
        self.pump(false);
    }

    /// The queue's actor dies: what it held and what was told to it is lost, not what is on its way
    /// to the store.
    pub(crate) fn actor_crashes(&mut self) {
        if let Some(server) = &mut self.world.server {
            server.actor = Actor::Down;
            server.mailbox.clear();
        }
        self.world.store.iter_mut().for_each(|batch| batch.orphan = true);
        self.lose_requests();
    }

    /// All that is not durable is lost.
    pub(crate) fn server_ends(&mut self) {
        self.world.server = None;
        self.world.store.clear();
        self.lose_requests();
    }

    fn lose_requests(&mut self) {
        (0..self.world.clients.made).for_each(|r| self.world.clients.closed.insert(r));
        self.world.durable.applied = Default::default();
    }

    /// A client gets its answer.
    fn answer(&mut self, request: u8, accepted: bool) {
        self.happened(&Happened::Answered { request, accepted });
        let World { clients, durable, .. } = &mut self.world;
        clients.closed.insert(request);
        durable.applied.remove(request);
        if accepted && clients.pause == Pause::Asked(request) {
            clients.pause = Pause::Told;
        }
    }
}
