//! The guardian of a queue: it builds the queue's actor, and a new one when that dies.
//!
//! actix's own supervisor does not survive a panic of the actor that it supervises, so this one holds a factory. It builds
//! a new actor from the store and publishes its address. After too many deaths in a short time it marks the queue as
//! unavailable, and the others go on.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix::prelude::*;

use crate::queue::{Link, QueueActor, QueueLink};

/// Number of deaths within [`BUDGET_TIME`] after which a queue is given up at the next one.
const BUDGET: usize = 5;
/// Time for which a death counts.
const BUDGET_TIME: Duration = Duration::from_secs(60);
/// Time before the first rebuild; it doubles with each further one.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The queue's actor is gone. Sent by its [`ExitGuard`].
#[derive(Message)]
#[rtype(result = "()")]
struct Exited {
    panicked: bool,
}

type Factory = Box<dyn Fn(ExitGuard) -> QueueActor>;

/// The guardian of one queue.
pub(crate) struct Guardian {
    shared: QueueLink,
    factory: Factory,
    deaths: VecDeque<Instant>,
}

impl Guardian {
    pub(crate) fn new(shared: QueueLink, factory: Factory) -> Self {
        Self { shared, factory, deaths: VecDeque::new() }
    }

    /// Builds an actor and publishes its address.
    fn build(&self, ctx: &Context<Self>) {
        let address = (self.factory)(ExitGuard { guardian: ctx.address() }).start();
        // Published before the actor looks at what still runs: it finds the attempts that end before that look, and is
        // told of those that end after it.
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

/// Drops the payload of a panic in foreign code. Its drop is foreign code too, and another panic there is caught.
pub(crate) fn drop_quietly(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its drop might panic once more.
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
