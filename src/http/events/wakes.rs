//! The way of news to those who listen: one task of each HTTP worker waits for events, and wakes all that listen in that worker
//! together. So an event costs the thread of its queue no more if thousands listen.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::events::LiveEvents;

/// Time after which they are woken again at the earliest, for each one that listens. To wake one and to send it something takes
/// some 20 µs of a core.
const PAUSE_EACH: Duration = Duration::from_micros(50);

/// The shortest and the longest of these times.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);

/// Wakes those who listen in one worker.
#[derive(Debug)]
pub(in crate::http) struct Wakes {
    live: LiveEvents,
    local: Rc<Notify>,
    has_begun: Cell<bool>,
}

impl Wakes {
    pub(in crate::http) fn new(live: &LiveEvents) -> Rc<Self> {
        let live = live.clone();
        Rc::new(Self { live, local: Rc::default(), has_begun: Cell::new(false) })
    }

    /// Returns what is notified of news in this worker. The first time a task begins that does so until the worker ends.
    pub(super) fn local(self: &Rc<Self>) -> Rc<Notify> {
        if !self.has_begun.replace(true) {
            actix_web::rt::spawn(Rc::clone(self).pass_on());
        }
        Rc::clone(&self.local)
    }

    async fn pass_on(self: Rc<Self>) {
        let mut seen = 0;
        loop {
            // Before the look, so that no event between the two is missed.
            let mut news = std::pin::pin!(self.live.news());
            news.as_mut().enable();
            if self.live.latest() == seen {
                news.await;
            }
            seen = self.live.latest();
            self.local.notify_waiters();
            let until = Instant::now() + pause(self.live.listeners());
            loop {
                tokio::time::sleep(SHORTEST).await;
                // Earlier where much happens: nobody is to miss what is no longer kept.
                let is_much = self.live.latest().saturating_sub(seen) > self.live.history() / 4;
                if is_much || Instant::now() >= until {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_woken_less_often() {
        for (listeners, millis) in [(0, 10), (1, 10), (1_000, 50), (5_000, 250), (usize::MAX, 500)]
        {
            assert_eq!(pause(listeners), Duration::from_millis(millis), "{listeners}");
        }
    }
}
