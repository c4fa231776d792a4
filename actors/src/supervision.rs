//! The guardian of a queue: it builds the queue's actor, and builds a new one when that dies.
//!
//! actix's own supervisor does not survive a panic of the actor it supervises, so this one holds a
//! factory: a new value is built from the store, its address is published, and too many deaths in a
//! short time mark the queue as unavailable while the others carry on.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix::prelude::*;

use crate::queue::{Link, QueueActor, QueueLink};

/// How often a queue may die within [`BUDGET_TIME`] before it is given up.
const BUDGET: usize = 5;
const BUDGET_TIME: Duration = Duration::from_secs(60);
/// The wait before the first rebuild; it doubles with each further one.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The queue's actor is gone. Sent by its [`ExitGuard`].
#[derive(Message)]
#[rtype(result = "()")]
struct Exited {
    panicked: bool,
}

type Factory = Box<dyn Fn(ExitGuard) -> QueueActor>;

pub(crate) struct Guardian {
    shared: QueueLink,
    factory: Factory,
    deaths: VecDeque<Instant>,
}

impl Guardian {
    pub(crate) fn new(shared: QueueLink, factory: Factory) -> Self {
        Self { shared, factory, deaths: VecDeque::new() }
    }

    fn build(&self, ctx: &Context<Self>) {
        let address = (self.factory)(ExitGuard { guardian: ctx.address() }).start();
        // Published before the actor looks at what still runs: an attempt that ends before that look
        // is found by it, one that ends after it reaches the new address.
        self.shared.publish(Link::Up(address));
    }
}

impl Actor for Guardian {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.build(ctx);
    }
}

impl Handler<Exited> for Guardian {
    type Result = ();

    fn handle(&mut self, Exited { panicked }: Exited, ctx: &mut Self::Context) {
        self.shared.publish(Link::Starting);
        let now = Instant::now();
        self.deaths.retain(|death| now.duration_since(*death) < BUDGET_TIME);
        self.deaths.push_back(now);
        let name = self.shared.name();
        let how = if panicked { "panicked" } else { "ended" };
        if self.deaths.len() > BUDGET {
            let reason = format!("its actor {how} {} times within a minute", self.deaths.len());
            log::error!("queue {name} is given up: {reason}");
            self.shared.publish(Link::Down(reason));
            return;
        }
        let wait = BACK_OFF * (1 << (self.deaths.len() - 1).min(6));
        log::error!("the actor of queue {name} {how}; it is rebuilt in {wait:?}");
        ctx.run_later(wait, |guardian, ctx| guardian.build(ctx));
    }
}

/// Drops what a panic of other people's code left, which is theirs too: another panic must not reach whoever asks about
/// the first.
pub(crate) fn drop_quietly(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // To drop it would be to ask for one more.
        std::mem::forget(another);
    }
}

/// Tells the guardian when the actor that holds it is dropped, for whichever reason.
pub(crate) struct ExitGuard {
    guardian: Addr<Guardian>,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.guardian.do_send(Exited { panicked: std::thread::panicking() });
    }
}
