//! The queue actor's beginning and end: what it is built from, and what its death loses.

use crate::inbox::Inbox;
use crate::setup::Fault;
use crate::steps::Step;
use crate::world::{Actor, Attempt, Control, End, Key, Phase, Queue, Server, ToQueue, Worker};

impl Step<'_> {
    /// The queue is built from the store and from what still runs.
    pub(crate) fn start_queue(&mut self) {
        let forgets_drain = self.setup.has(Fault::DrainForgotten);
        let unnoticed = self.setup.has(Fault::DeathUnnoticed);
        let counts_deaths = self.setup.has(Fault::ActorDeathCounts);
        let attempts = self.setup.attempts;
        let Some(server) = &mut self.world.server else { return };
        server.actor = Actor::Up(Queue::default());
        // Messages to an actor that died are lost: read what they said.
        let draining = server.phase > Phase::Running && !forgets_drain;
        let unbegun = server.recovered && !counts_deaths;
        match server.phase {
            Phase::Running | Phase::Draining => {}
            Phase::Interrupted => server.mailbox.push(ToQueue::Interrupt),
            Phase::Forced => server.mailbox.push(ToQueue::Force),
        }
        let mut lost = Vec::new();
        for (number, slot) in (0..).zip(&server.slots) {
            if slot.idle {
                server.free.insert(number);
            }
            if slot.worker == Worker::Dead && !unnoticed {
                lost.push(number);
            }
        }
        server.forget_lost(&lost, attempts);
        let listed = || server.attempts.iter().filter(|attempt| attempt.listed);
        let live = listed().map(|attempt| attempt.key).collect();
        let ended: Vec<(Key, End)> =
            listed().filter_map(|attempt| Some((attempt.key, attempt.ended?))).collect();
        if draining {
            self.drain_inbox();
        }
        if !self.setup.has(Fault::NoRecovery) {
            self.gather(Control::Recover(live, unbegun));
        }
        ended.into_iter().for_each(|(key, end)| self.gather(Control::End(key, end)));
        self.pump(false);
    }

    /// There is a new actor: it can be told of something before it has looked.
    pub(crate) fn publish(&mut self) {
        let survives = self.setup.has(Fault::AskedSurvives);
        if let Some(server) = &mut self.world.server {
            server.actor = Actor::Published;
            let asked = server.inbox.asked;
            server.inbox = Inbox::new(server.inbox.generation + 1, true);
            server.inbox.asked = asked && survives;
        }
    }

    /// The queue's actor dies: what waited and what was told to it is lost, not what the store does.
    pub(crate) fn actor_crashes(&mut self) {
        let Some(server) = &mut self.world.server else { return };
        server.actor = Actor::Down;
        for message in std::mem::take(&mut server.mailbox) {
            if let ToQueue::Committed(reply) = message {
                self.lose(&reply.requests());
            }
        }
        self.close_inbox();
    }

    /// All that is not durable is lost.
    pub(crate) fn server_ends(&mut self) {
        self.world.server = None;
        (0..self.world.clients.made).for_each(|r| self.world.clients.closed.insert(r));
        self.world.durable.applied = Default::default();
    }
}

impl Server {
    /// Lets go of workers that have died, and returns how what they never ran has ended.
    pub(crate) fn forget_lost(&mut self, lost: &[u8], attempts: u8) -> Vec<(Key, End)> {
        for number in lost {
            self.slots[usize::from(*number)].worker = Worker::None;
            self.free.insert(*number);
        }
        let all = self.attempts.iter_mut();
        let unheard = all.filter(|a| a.listed && a.ended.is_none() && lost.contains(&a.slot));
        let end = |attempt: &mut Attempt| {
            let end = attempt.failure(attempts);
            (attempt.key, *attempt.ended.insert(end))
        };
        unheard.map(end).collect()
    }
}
