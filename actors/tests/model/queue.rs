//! The queue actor: what it does with each message. How it begins and ends is in [`crate::rebuild`].

use actiond_actors::State;

use crate::laws::Happened;
use crate::setup::{Ask, Fault};
use crate::steps::Step;
use crate::world::{
    Actor, Affected, Attempt, Control, End, Id, Key, New, Pause, Phase, Reply, ReplyTo, Request,
    Said, Server, Slot, Time, ToQueue, ToWorker, Wish, Worker, World,
};

impl Step<'_> {
    /// A client asks; a command is handled as soon as it is there.
    pub(crate) fn ask(&mut self, ask: Ask, queued_at: Time, to_old_actor: bool) {
        let request = self.world.clients.made;
        self.world.clients.made += 1;
        if self.setup.has(Fault::AnsweredTwice) {
            self.answer(request, false);
        }
        let in_memory = self.setup.has(Fault::PauseInMemory);
        let control = match ask {
            Ask::Wait(id) => return self.wait(request, id),
            Ask::Submit => {
                let new = New { copy_of: None, queued_at, waits: false, request };
                return self.leave(new, to_old_actor);
            }
            Ask::SubmitLater => {
                let new = New { copy_of: None, queued_at, waits: true, request };
                return self.leave(new, to_old_actor);
            }
            Ask::Duplicate(id) => {
                let new = New { copy_of: Some(id), queued_at, waits: false, request };
                return self.leave(new, to_old_actor);
            }
            Ask::PauseQueue => {
                self.world.clients.pause = Pause::Asked(request);
                Control::PauseQueue
            }
            Ask::ResumeQueue => {
                self.world.clients.pause = Pause::No;
                Control::ResumeQueue
            }
            Ask::StopAll => Control::StopAll,
            _ => Control::Command(ask.id(), ask),
        };
        let Some(server) = &mut self.world.server else { return };
        server.inbox.controls.push((control, ReplyTo::Client(request)));
        if let Some(queue) = server.queue_mut() {
            queue.backing_off = false;
            queue.paused |= ask == Ask::PauseQueue && in_memory;
        }
        self.pump(false);
    }

    fn wait(&mut self, request: Request, id: Id) {
        self.world.clients.closed.insert(request);
        let ended = self.world.durable.state(id).is_none_or(State::is_final);
        if let (false, Some(server)) = (ended, &mut self.world.server) {
            server.waiters.insert(id);
        }
    }

    /// The actor hears what became of a batch.
    fn on_committed(&mut self, reply: Reply) {
        let hot_claims = self.setup.has(Fault::HotClaims);
        let hot_retry = self.setup.has(Fault::HotRetry);
        let Some(server) = &mut self.world.server else { return };
        let Actor::Up(queue) = &mut server.actor else { return };
        queue.in_flight -= 1;
        let (controls, submissions, claimed, claim, not_due) = match reply {
            Reply::Failed(kept) => {
                queue.backing_off = !hot_retry;
                server.inbox.put_back(kept);
                return self.pump(true);
            }
            Reply::Durable { controls, submissions, claimed, claim, seen, not_due } => {
                server.seen = seen;
                (controls, submissions, claimed, claim, not_due)
            }
        };
        let recovers = controls.iter().any(|c| matches!(c.0, Control::Recover(..)));
        self.arm(not_due, recovers, claimed.len() < claim);
        let Some(server) = &mut self.world.server else { return };
        let (paused, queued) = server.seen;
        let Actor::Up(queue) = &mut server.actor else { return };
        // Something should have been claimed, as far as the actor knows.
        let waits = usize::from(queued) > queue.not_due.len() && !queue.rests;
        let failed = claim > 0 && !paused && waits && claimed.is_empty();
        queue.backing_off |= failed && !hot_claims;
        for (control, reply_to, answer) in controls {
            self.on_control(&control, reply_to, answer);
        }
        for (request, id) in submissions {
            self.answer(request, id.is_some());
            id.into_iter().for_each(|id| self.world.clients.submitted.insert(id));
        }
        for key in &claimed {
            if !self.setup.has(Fault::StartBeforeDurable) {
                self.dispatch(*key);
            }
        }
        if let Some(server) = &mut self.world.server {
            server.inbox.claimed -= claimed.len();
        }
        self.pump(failed);
    }

    fn on_control(&mut self, control: &Control, reply_to: ReplyTo, answer: Option<Vec<Affected>>) {
        let recovery = matches!(control, Control::Recover(..));
        for affected in answer.iter().flatten() {
            self.steer(affected, recovery);
        }
        if let (true, Some(server)) = (recovery, &mut self.world.server) {
            server.recovered = true;
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
        match (reply_to, control) {
            (ReplyTo::Client(request), _) => {
                self.answer(request, answer.is_some());
                if let Control::Command(id, _) = control {
                    let answer = answer.and_then(|affected| affected.first().copied());
                    // A client has asked for another attempt since.
                    let tried_again = self.world.durable.row(*id).is_some_and(|row| {
                        let retried = row.state == State::Queued && row.counted == (0, 0);
                        answer.is_some_and(|a| retried || a.key.number != row.attempt)
                    });
                    match answer.map(|affected| affected.state) {
                        Some(State::Cancelled) => self.world.clients.told_cancelled.insert(*id),
                        Some(State::Stopping) if !tried_again => {
                            self.world.clients.told_stopping.insert(*id);
                        }
                        _ => {}
                    }
                }
            }
            (ReplyTo::Own, Control::End(key, _)) => {
                if let (None, Some(server)) = (answer, &mut self.world.server) {
                    server.dropped = true;
                }
                self.release(*key);
            }
            (ReplyTo::Own, _) => {}
        }
    }

    pub(crate) fn on_timer(&mut self) {
        if let Some(queue) = self.world.server.as_mut().and_then(Server::queue_mut) {
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
        let known = slot.worker != Worker::None;
        if slot.worker == Worker::Alive {
            slot.inbox.push(ToWorker::Steer(key, wish));
        }
        if known && wish != Wish::Force {
            self.set_wish(key, wish);
        }
    }

    pub(crate) fn dispatch(&mut self, key: Key) {
        let failures = self.world.durable.row(key.id).map_or(0, |row| row.failures);
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
        server.attempts.push(Attempt {
            key,
            slot,
            wish: Wish::Run,
            interrupted: false,
            timed_out: false,
            ended: None,
            failures,
            listed: true,
        });
        server.attempts.sort_by_key(|attempt| attempt.key);
        // It was claimed before the shutdown, and its commit came back after.
        let late =
            if self.setup.has(Fault::LateStartGoesOn) { Phase::Running } else { server.phase };
        let asks_only = self.setup.has(Fault::LateStartAsked) && late == Phase::Forced;
        let slot = &mut server.slots[usize::from(slot)];
        slot.idle = false;
        if slot.worker == Worker::None {
            slot.worker = Worker::Alive;
        }
        if slot.worker == Worker::Alive {
            slot.inbox.push(ToWorker::Run(key));
            if late == Phase::Interrupted || asks_only {
                slot.inbox.push(ToWorker::Interrupt);
            }
        }
        if late == Phase::Forced && !asks_only {
            self.force_attempt(key);
        }
    }

    fn release(&mut self, key: Key) {
        if let Some(attempt) = self.world.server.as_mut().and_then(|s| s.attempt_mut(key)) {
            attempt.listed = false;
        }
    }

    /// The queue takes the next message from its mailbox.
    pub(crate) fn queue_hears(&mut self) {
        self.queue_takes(0);
    }

    /// The queue takes the first answer from its mailbox, before what came earlier (only by mistake).
    pub(crate) fn queue_hears_reply(&mut self) {
        let mailbox = self.world.server.iter().flat_map(|server| &server.mailbox);
        let mut places = mailbox.enumerate();
        if let Some((place, _)) = places.find(|m| matches!(m.1, ToQueue::Committed(_))) {
            self.queue_takes(place);
        }
    }

    fn queue_takes(&mut self, place: usize) {
        let Some(server) = &mut self.world.server else { return };
        match server.mailbox.remove(place) {
            ToQueue::Submissions => {
                if let Some(queue) = server.queue_mut() {
                    queue.backing_off = false;
                }
            }
            ToQueue::Committed(reply) => return self.on_committed(reply),
            ToQueue::AttemptEnded(key, end, freed) => {
                self.gather(Control::End(key, end));
                freed.into_iter().for_each(|slot| self.free_idle(slot));
            }
            ToQueue::SlotFreed(slot) => {
                self.free_idle(slot);
                if self.setup.has(Fault::NoPumpOnSlotFreed) {
                    return;
                }
            }
            ToQueue::WorkerLost(slot) => self.on_worker_lost(slot),
            ToQueue::Drain => return self.drain_inbox(),
            ToQueue::Interrupt => return self.interrupt_busy(),
            ToQueue::Force => return self.force_all(),
        }
        self.pump(false);
    }

    /// A message that names a slot may come late: the slot is free if its worker is idle.
    fn free_idle(&mut self, number: u8) {
        let Some(server) = &mut self.world.server else { return };
        if server.slots[usize::from(number)].idle {
            server.free.insert(number);
        }
    }

    /// A worker has died. The ends of what it was given are put in before its slot is free.
    fn on_worker_lost(&mut self, number: u8) {
        let later = self.setup.has(Fault::LossToldLater);
        let attempts = self.setup.attempts;
        let Some(server) = &mut self.world.server else { return };
        let mut lost = vec![number];
        if self.setup.has(Fault::LostTogether) {
            lost = (0..server.slots.len() as u8).collect();
        }
        lost.retain(|number| server.slots[usize::from(*number)].worker == Worker::Dead);
        let ends = server.forget_lost(&lost, attempts);
        for (key, end) in ends {
            if later {
                let Some(server) = &mut self.world.server else { return };
                server.tell(ToQueue::AttemptEnded(key, end, None));
            } else {
                self.gather(Control::End(key, end));
            }
        }
    }

    fn force_all(&mut self) {
        let attempts = self.world.server.iter().flat_map(|server| &server.attempts);
        let keys: Vec<Key> = attempts.filter(|a| a.listed).map(|a| a.key).collect();
        keys.into_iter().for_each(|key| self.force_attempt(key));
    }

    fn force_attempt(&mut self, key: Key) {
        if let Some(attempt) = self.attempt_mut(key) {
            attempt.interrupted = true;
        }
        self.set_wish(key, Wish::Stop);
        self.steer_attempt(key, Wish::Force);
    }

    fn interrupt_busy(&mut self) {
        let Some(server) = &mut self.world.server else { return };
        for (number, slot) in server.slots.iter_mut().enumerate() {
            if slot.worker == Worker::Alive && !server.free.contains(number as u8) {
                slot.inbox.push(ToWorker::Interrupt);
            }
        }
    }

    /// A report of an attempt turns up (again) that is not the one that runs.
    pub(crate) fn late_report(&mut self, key: Key, end: End) {
        self.gather(Control::End(key, end));
        self.pump(false);
    }

    /// A client gets its answer.
    pub(crate) fn answer(&mut self, request: Request, accepted: bool) {
        self.happened(&Happened::Answered { request, accepted });
        let World { clients, durable, .. } = &mut self.world;
        clients.closed.insert(request);
        durable.applied.remove(request);
        if accepted && clients.pause == Pause::Asked(request) {
            clients.pause = Pause::Told;
        }
    }
}
