//! Changes that wait to be written, and their batches: the actor enlists a batch, the store seals it, writes it and
//! passes the answer on. The changes to the rows are in [`crate::store`].

use crate::laws::Happened;
use crate::setup::Fault;
use crate::steps::Step;
use crate::world::{Actor, Control, Generation, Key, New, Reply, ReplyTo, Request, ToQueue};

/// A batch, sealed: the store writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Batch {
    /// The actor that enlisted it.
    pub(crate) generation: Generation,
    pub(crate) controls: Vec<(Control, ReplyTo)>,
    pub(crate) submissions: Vec<New>,
    pub(crate) claim: usize,
    /// It came too late to take anything: its actor had died.
    pub(crate) void: bool,
    /// Chosen in advance, by mistake.
    pub(crate) picked: Vec<Key>,
}

/// Changes that wait to be written, as shared by the actor, the clients and the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Inbox {
    pub(crate) generation: Generation,
    /// There is an actor, which may not have looked at anything yet.
    pub(crate) open: bool,
    pub(crate) draining: bool,
    /// A batch is enlisted and not sealed yet.
    pub(crate) asked: bool,
    /// The actor has been told of submissions.
    pub(crate) told: bool,
    pub(crate) controls: Vec<(Control, ReplyTo)>,
    pub(crate) submissions: Vec<New>,
    /// Number of claimed actions to which the actor has not given their slot yet.
    pub(crate) claimed: usize,
}

impl Step<'_> {
    /// A client leaves a submission. Whoever leaves the first one tells the actor, who may have died
    /// since the client looked for it (only by mistake).
    pub(crate) fn leave(&mut self, new: New, to_old_actor: bool) {
        let Some(server) = &mut self.world.server else { return };
        let inbox = &mut server.inbox;
        if inbox.draining {
            return self.answer(new.request, false);
        }
        inbox.submissions.push(new);
        if !inbox.asked && !std::mem::replace(&mut inbox.told, true) && !to_old_actor {
            server.tell(ToQueue::Submissions);
        }
    }

    /// Puts in what must be written some time.
    pub(crate) fn gather(&mut self, control: Control) {
        if let Some(server) = &mut self.world.server {
            server.inbox.controls.push((control, ReplyTo::Own));
        }
    }

    /// The actor enlists a batch if there is something to write and none that will take it.
    pub(crate) fn pump(&mut self, after_failure: bool) {
        let not_due = self.world.durable.not_due();
        let Some(server) = &mut self.world.server else { return };
        let busy_rounds = self.setup.has(Fault::BusyRounds);
        let free = busy_rounds || server.free_slots(self.setup.slots) > 0;
        let (paused, queued) = server.seen;
        let Actor::Up(queue) = &mut server.actor else { return };
        let inbox = &mut server.inbox;
        if inbox.asked {
            return;
        }
        let known = queue.in_flight == 0 && !queue.paused;
        let waits = queue.has_ready(queued, not_due) && !queue.rests;
        let can_start = known && !inbox.draining && !paused && waits && free;
        inbox.told = false;
        inbox.asked = (can_start || !inbox.is_empty()) && !queue.backing_off;
        if inbox.asked {
            queue.in_flight += 1;
            server.enlisted.push(inbox.generation);
            self.happened(&Happened::Enlisted { hot: after_failure });
        }
    }

    /// Returns the number of actions that may start, by the slots as they are now.
    pub(crate) fn may_claim(&self) -> usize {
        let Some(server) = &self.world.server else { return 0 };
        let paused = server.queue().is_some_and(|queue| queue.paused);
        let ignored = self.setup.has(Fault::ClaimedForgotten);
        let claimed = if ignored { 0 } else { server.inbox.claimed };
        let free = server.free_slots(self.setup.slots);
        if server.inbox.draining || paused { 0 } else { free.saturating_sub(claimed) }
    }

    /// The store begins with the next batch: it takes all that waits, if its actor still lives.
    pub(crate) fn store_seals(&mut self) {
        let claim = self.may_claim();
        let anybody = self.setup.has(Fault::OldBatchTakes);
        let closed = self.setup.has(Fault::ClosedClaims);
        let early = self.setup.has(Fault::ClaimsEarly) || self.setup.has(Fault::NoRecovery);
        let Some(server) = &mut self.world.server else { return };
        let generation = server.enlisted.remove(0);
        let inbox = &mut server.inbox;
        let dead = inbox.generation == generation && closed;
        let mut batch = Batch { generation, void: true, ..Batch::default() };
        if inbox.is_of(generation) || (inbox.open && anybody) || dead {
            inbox.asked = false;
            batch.void = false;
            // Before the first recovery is heard of, it could not be told from what ran before.
            batch.claim = if server.recovered || early { claim } else { 0 };
            batch.controls = std::mem::take(&mut inbox.controls);
            let most = inbox.submissions.len().min(self.setup.submissions);
            batch.submissions = inbox.submissions.drain(..most).collect();
            // The actor looks when it hears of this batch.
            inbox.told = !inbox.submissions.is_empty();
        }
        if self.setup.has(Fault::ClaimNotAtomic) || self.setup.has(Fault::StartBeforeDurable) {
            let next = self.world.durable.next();
            batch.picked.extend(next.iter().map(|row| row.key()).take(batch.claim));
        }
        self.happened(&Happened::Sealed { claim: batch.claim });
        if self.setup.has(Fault::AnswerBeforeDurable) {
            for (_, reply_to) in &batch.controls {
                if let ReplyTo::Client(request) = reply_to {
                    self.answer(*request, true);
                }
            }
        }
        if self.setup.has(Fault::StartBeforeDurable) {
            for key in &batch.picked {
                self.dispatch(Key { number: key.number + 1, ..*key });
            }
        }
        if let Some(server) = &mut self.world.server {
            server.writing = Some(batch);
        }
    }

    /// The answer to a batch that is durable: what the next one must know is noted at once, the rest
    /// is the actor's.
    pub(crate) fn written(&mut self, generation: Generation, reply: Reply) {
        let Some(server) = &mut self.world.server else { return };
        if let (true, Reply::Durable { claimed, .. }) = (server.inbox.is_of(generation), &reply) {
            server.inbox.claimed += claimed.len();
        }
        self.committed(generation, reply);
    }

    /// The answer to a batch that could not be written: its clients learn of it at once, and what must
    /// be written some time goes back in front of what came later.
    pub(crate) fn failed(&mut self, batch: Batch) {
        let generation = batch.generation;
        let mut kept: Vec<(Control, ReplyTo)> = Vec::new();
        for (control, reply_to) in batch.controls {
            match reply_to {
                ReplyTo::Own => kept.push((control, reply_to)),
                ReplyTo::Client(_) if self.setup.has(Fault::AnswerForgotten) => {}
                ReplyTo::Client(request) => self.answer(request, false),
            }
        }
        for new in batch.submissions {
            self.answer(new.request, false);
        }
        let anybody = self.setup.has(Fault::OldControlsComeBack);
        let Some(server) = &mut self.world.server else { return };
        if self.setup.has(Fault::PutBackLate) {
            return self.committed(generation, Reply::Failed(kept));
        }
        if server.inbox.is_of(generation) || (server.inbox.open && anybody) {
            server.inbox.put_back(kept);
        }
        self.committed(generation, Reply::Failed(Vec::new()));
    }

    /// Tells the actor that enlisted the batch; if it has died, whoever waits for an answer gets none.
    fn committed(&mut self, generation: Generation, reply: Reply) {
        let Some(server) = &mut self.world.server else { return };
        if server.inbox.is_of(generation) {
            server.tell(ToQueue::Committed(reply));
        } else {
            self.lose(&reply.requests());
        }
    }

    /// There is no actor any more: what waited is lost.
    pub(crate) fn close_inbox(&mut self) {
        let survives = self.setup.has(Fault::AskedSurvives);
        let Some(server) = &mut self.world.server else { return };
        let generation = server.inbox.generation;
        let mut inbox = std::mem::replace(&mut server.inbox, Inbox::new(generation, false));
        server.inbox.asked = std::mem::take(&mut inbox.asked) && survives;
        self.lose(&inbox.requests());
    }

    /// Refuses what waits and what comes.
    pub(crate) fn drain_inbox(&mut self) {
        let Some(server) = &mut self.world.server else { return };
        server.inbox.draining = true;
        for new in std::mem::take(&mut server.inbox.submissions) {
            self.answer(new.request, false);
        }
    }

    /// Clients learn that they will get no answer.
    pub(crate) fn lose(&mut self, requests: &[Request]) {
        for request in requests {
            self.world.clients.closed.insert(*request);
            self.world.durable.applied.remove(*request);
        }
    }
}

fn asked_by<'a>(recipients: impl Iterator<Item = &'a ReplyTo>) -> impl Iterator<Item = Request> {
    recipients.filter_map(|reply_to| {
        if let ReplyTo::Client(request) = reply_to { Some(*request) } else { None }
    })
}

fn of_parts(controls: &[(Control, ReplyTo)], submissions: &[New]) -> Vec<Request> {
    let controls = asked_by(controls.iter().map(|(_, reply_to)| reply_to));
    controls.chain(submissions.iter().map(|new| new.request)).collect()
}

impl Inbox {
    /// The inbox of a new actor, or of none.
    pub(crate) const fn new(generation: Generation, open: bool) -> Self {
        Self {
            generation,
            open,
            draining: false,
            asked: false,
            told: false,
            controls: Vec::new(),
            submissions: Vec::new(),
            claimed: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.submissions.is_empty()
    }

    /// Returns true if the actor of this generation lives.
    pub(crate) const fn is_of(&self, generation: Generation) -> bool {
        self.open && self.generation == generation
    }

    pub(crate) fn put_back(&mut self, mut controls: Vec<(Control, ReplyTo)>) {
        controls.append(&mut self.controls);
        self.controls = controls;
    }

    /// The requests that it holds.
    pub(crate) fn requests(&self) -> Vec<Request> {
        of_parts(&self.controls, &self.submissions)
    }
}

impl Batch {
    /// The requests that it holds.
    pub(crate) fn requests(&self) -> Vec<Request> {
        of_parts(&self.controls, &self.submissions)
    }
}

impl Reply {
    /// The requests that it holds the answers to.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let Self::Durable { controls, submissions, .. } = self else { return Vec::new() };
        let controls = asked_by(controls.iter().map(|(_, reply_to, _)| reply_to));
        controls.chain(submissions.iter().map(|(request, _)| *request)).collect()
    }
}
