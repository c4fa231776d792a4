//! The way of news to those who listen: one task of each HTTP worker waits for events, and wakes all that listen in that worker
//! together. So an event costs the thread of its queue no more if thousands listen; and what they cost all others is bounded,
//! whatever happens: most of the time they rest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::events::LiveEvents;
use crate::events::live::Batch;

/// Time after which they are woken again at the earliest, for each one that listens. To wake one and to send it something takes
/// some 20 µs of a core.
const PAUSE_EACH: Duration = Duration::from_micros(50);

/// The shortest and the longest of these times.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);

/// Bytes that all of them together are sent before they rest, and that one of them is sent at least.
const ALLOWED: usize = 2 << 20;
const LEAST_ALLOWED: usize = 16 << 10;

/// Number of times that they rest for as long as they took.
const REST: u32 = 3;

/// Wakes those who listen in one worker.
#[derive(Debug)]
pub(in crate::http) struct Wakes {
    live: LiveEvents,
    local: Notify,
    has_begun: Cell<bool>,
    /// That for which they were woken last.
    batch: RefCell<Option<Rc<Batch>>>,
}

impl Wakes {
    pub(in crate::http) fn new(live: &LiveEvents) -> Rc<Self> {
        let (live, local, batch) = (live.clone(), Notify::new(), RefCell::default());
        Rc::new(Self { live, local, has_begun: Cell::new(false), batch })
    }

    /// Returns itself. The first time a task begins that wakes those who listen, until the worker ends.
    pub(super) fn begun(self: &Rc<Self>) -> Rc<Self> {
        if !self.has_begun.replace(true) {
            actix_web::rt::spawn(Rc::clone(self).pass_on());
        }
        Rc::clone(self)
    }

    /// Returns a future that ends with the next wake from now on.
    pub(super) fn news(&self) -> Notified<'_> {
        self.local.notified()
    }

    /// Returns the events for which they were woken last.
    pub(super) fn batch(&self) -> Option<Rc<Batch>> {
        self.batch.borrow().clone()
    }

    /// Returns the time for which they rest after they were woken.
    pub(super) fn pause(&self) -> Duration {
        pause(self.live.listeners())
    }

    /// Returns how many bytes one may be sent before it has to rest. What comes faster than that in the long run is more than so
    /// many can be told.
    pub(super) fn allowance(&self) -> usize {
        allowance(self.live.listeners())
    }

    async fn pass_on(self: Rc<Self>) {
        let mut seen = self.live.latest();
        loop {
            // Before the look, so that no event between the two is missed.
            let mut news = std::pin::pin!(self.live.news());
            news.as_mut().enable();
            if self.live.listeners() == 0 {
                self.batch.take();
                news.await;
                // What nobody heard is nothing to wake anybody for.
                seen = self.live.latest().saturating_sub(1);
            } else if self.live.latest() == seen {
                news.await;
            }
            let began = Instant::now();
            let batch = self.live.batch_after(seen);
            seen = batch.next().saturating_sub(1);
            *self.batch.borrow_mut() = Some(Rc::new(batch));
            self.local.notify_waiters();
            // Behind all that were woken.
            tokio::task::yield_now().await;
            let served = Instant::now();
            let rest = served.duration_since(began).saturating_mul(REST);
            let pause = self.pause();
            loop {
                tokio::time::sleep(SHORTEST).await;
                // Earlier where much happens: nobody is to miss what is no longer kept.
                let is_much = self.live.latest().saturating_sub(seen) > self.live.history() / 4;
                let until = if is_much { rest } else { rest.max(pause) };
                if served.elapsed() >= until {
                    break;
                }
            }
        }
    }
}

/// Returns the time after which so many are woken again.
fn pause(listeners: usize) -> Duration {
    let listeners = u32::try_from(listeners).unwrap_or(u32::MAX);
    PAUSE_EACH.saturating_mul(listeners).clamp(SHORTEST, LONGEST)
}

fn allowance(listeners: usize) -> usize {
    (ALLOWED / listeners.max(1)).max(LEAST_ALLOWED)
}

#[cfg(test)]
mod tests {
    use actiond_actors::events::{Observer as _, QueueEvent};

    use super::*;

    /// Lets everything happen that does not wait for another event.
    async fn settle() {
        tokio::time::sleep(LONGEST * 4).await;
    }

    #[actix_web::test]
    async fn nobody_is_woken_where_nobody_listens() {
        tokio::time::pause();
        let live = LiveEvents::new(100);
        let observer = live.observer();
        let happens = || observer.on_event("Work", &QueueEvent::QueuePaused);
        let next = |wakes: &Wakes| wakes.batch().map(|batch| batch.next());
        let listener = live.listen(None).unwrap().0;
        let wakes = Wakes::new(&live).begun();
        settle().await;
        happens();
        tokio::time::sleep(SHORTEST / 4).await;
        assert_eq!(next(&wakes), Some(2));

        // It leaves while all rest.
        drop(listener);
        for _ in 0..5 {
            happens();
            settle().await;
            assert_eq!(next(&wakes), None);
        }

        let _listener = live.listen(None).unwrap().0;
        happens();
        settle().await;
        let batch = wakes.batch().unwrap();
        assert_eq!((batch.from(6).is_none(), batch.from(7).map(<[_]>::len)), (true, Some(1)));
    }

    #[test]
    fn many_are_woken_less_often() {
        for (listeners, millis) in [(0, 10), (1, 10), (1_000, 50), (5_000, 250), (usize::MAX, 500)]
        {
            assert_eq!(pause(listeners), Duration::from_millis(millis), "{listeners}");
        }
    }

    #[test]
    fn many_are_sent_less_at_once() {
        for (listeners, kilobytes) in [(0, 2_048), (1, 2_048), (10, 204), (128, 16), (5_000, 16)] {
            assert_eq!(allowance(listeners) >> 10, kilobytes, "{listeners}");
        }
    }
}
