//! The messages of a handler's actor, and what it does with each.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::super::receivers::Receiver;
use super::super::{OutboxEvent, Undelivered};
use super::down::shown;
use super::{HandlerActor, MAX_TRIMS};
use crate::store::{BatchReply, EventPage, OutboxChange, OutboxState, StoreError};

/// There may be new events.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::outbox) struct Wake;

/// Events were read.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Read(pub(super) Result<EventPage, StoreError>);

/// A delivery has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) receiver: Receiver,
    pub(super) event: Arc<OutboxEvent>,
    pub(super) outcome: Result<(), Undelivered>,
}

/// The outcomes of events were written down, or could not be.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Settled(pub(super) Result<BatchReply, StoreError>);

/// The number of events was read.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Counted(pub(super) Result<OutboxState, StoreError>);

/// It is this server that delivers, or another one.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leads(pub(super) bool);

/// Begins no delivery any more, and answers once what was under way is written down.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop(pub(crate) oneshot::Sender<()>);

impl Handler<Wake> for HandlerActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}

impl Handler<Read> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Read(page): Read, ctx: &mut Self::Context) {
        self.is_reading = false;
        match page {
            // Another server may have told of these since.
            Ok(_) if self.starts_over => self.look = true,
            Ok(EventPage { events, more, unreadable }) => {
                self.look |= more;
                let last = events.last().map(|event| event.id);
                let last = last.max(unreadable.last().map(|(id, _)| *id));
                self.read_to = self.read_to.max(last);
                for stored in events {
                    let (id, bytes) = (stored.id, stored.bytes);
                    // Those of a queue that this server does not have wait for one that does.
                    let Some(queue) = self.queues.get(&stored.queue) else {
                        self.hold(id, bytes);
                        continue;
                    };
                    let event = OutboxEvent::of(stored, Arc::clone(queue));
                    let receiver = self.deliver.receiver(&event).map(Into::into);
                    if !self.leaves(&receiver) {
                        self.hold(id, bytes);
                        self.lanes.add(event.lane(), receiver, Arc::new(event));
                    }
                }
                for (id, error) in unreadable {
                    self.hold(id, 0);
                    self.fail(id, 0, error);
                }
            }
            Err(error) => self.store_failed(&error, ctx),
        }
        self.pump(ctx);
    }
}

impl Handler<Ended> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Ended { receiver, event, outcome }: Ended, ctx: &mut Self::Context) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.receivers.end(&receiver);
        let (id, lane) = (event.id, event.lane());
        match outcome {
            Ok(()) => {
                if let Some(was) = self.receivers.found_up(&receiver) {
                    let (name, who) = (self.shared.name(), shown(&receiver));
                    log::info!("handler {name}: {who} takes events again");
                    self.reads_all |= was.is_left;
                    self.look |= was.is_left;
                }
                self.failures.remove(&id);
                self.shared.count_delivered();
                self.outcomes.delivered.push(id);
                self.lanes.go_on(lane);
            }
            Err(why) => {
                let failures = self.failures.get(&id).copied().unwrap_or_default() + 1;
                let wait = self.settings.after(failures).filter(|_| why.may_retry);
                self.shared.note_error(self.now(), why.error.clone(), wait.is_some());
                if why.is_down || why.retry_after.is_some() {
                    self.pause(&receiver, &why);
                }
                match wait {
                    // It is read again, by whoever delivers.
                    Some(_) if self.starts_over => {}
                    Some(wait) => {
                        self.failures.insert(id, failures);
                        self.due.insert((Instant::now() + wait, id), lane);
                    }
                    None => {
                        self.failed_lanes.insert(id, lane);
                        self.fail(id, failures, why.error);
                    }
                }
                self.shed(&receiver);
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Settled> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Settled(answer): Settled, ctx: &mut Self::Context) {
        let Some(mut outcomes) = self.settling.take() else { return };
        match answer {
            Ok(_) => {
                self.uncounted |= !outcomes.failed.is_empty();
                let failed = outcomes.failed.iter().map(|failed| failed.id);
                for id in outcomes.delivered.into_iter().chain(failed) {
                    self.let_go(id);
                    if let Some(lane) = self.failed_lanes.remove(&id) {
                        self.lanes.go_on(lane);
                    }
                }
                if outcomes.trims > 0 {
                    self.count(ctx);
                }
            }
            Err(error) => {
                // Nothing was written, or it is written once more, which does no harm.
                outcomes.delivered.append(&mut self.outcomes.delivered);
                outcomes.failed.append(&mut self.outcomes.failed);
                outcomes.trims = 0;
                self.outcomes = outcomes;
                self.store_failed(&error, ctx);
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Counted> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Counted(state): Counted, ctx: &mut Self::Context) {
        self.is_counting = false;
        let OutboxState { pending, oldest, failed, dropped, .. } = match state {
            Ok(state) => state,
            Err(_) => {
                self.uncounted = true;
                return;
            }
        };
        let before = self.dropped.replace(dropped).unwrap_or(dropped);
        if let Some(number) = self.told_dropped.count(dropped.saturating_sub(before)) {
            let (name, most) = (self.shared.name(), self.settings.max_pending);
            log::warn!(
                "handler {name}: {number} events were dropped undelivered, the oldest first: more than {most} were there (MaxPending)"
            );
        }
        if let Some((oldest, _)) = oldest.filter(|_| dropped > before) {
            self.forget_before(oldest);
        }
        let most = pending.max(failed);
        let excess = most.saturating_sub(self.settings.max_pending);
        self.outcomes.trims = excess.div_ceil(OutboxChange::STEP as u64).min(MAX_TRIMS);
        self.pump(ctx);
    }
}

impl Handler<Leads> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Leads(leads): Leads, ctx: &mut Self::Context) {
        let before = self.shared.leads();
        self.shared.set_leads(leads);
        if before && !leads {
            // Another server reads them. What is under way here may be told twice.
            self.lanes.clear();
            self.reads_all = true;
            self.due.clear();
            self.held.clear();
            self.held_bytes = 0;
            self.failed_lanes.clear();
            self.failures.clear();
            self.starts_over = true;
        }
        self.look |= leads && !before;
        self.pump(ctx);
    }
}

impl Handler<Stop> for HandlerActor {
    type Result = ();

    fn handle(&mut self, Stop(reply): Stop, ctx: &mut Self::Context) {
        self.stopping = Some(reply);
        self.pump(ctx);
    }
}
