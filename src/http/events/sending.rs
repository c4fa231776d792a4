//! The stream that a listener gets.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actiond_actors::System;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Interval, MissedTickBehavior};

use super::wakes::Wakes;
use crate::events::live::Begins;
use crate::front::Client;
use crate::front::events::{Hearing, Part};

/// Time between two signs of life, so that connections that are dead are found, and proxies keep the others.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Shortest time after which a client comes back, in milliseconds. Each is told another time, up to twice as long, so that not
/// all come back together.
const COMES_BACK_MS: u32 = 2_000;

type Waiting = Pin<Box<dyn Future<Output = ()>>>;

/// The body of the response to one who listens.
pub(super) struct Sending {
    hearing: Hearing,
    wakes: Rc<Wakes>,
    beat: Interval,
    /// Ready once the client has left.
    left: Waiting,
    /// Ready once nothing happens any more.
    recorded: Waiting,
    /// Bytes that were sent since it last waited.
    sent: usize,
    has_begun: bool,
    /// True once what is left is sent, and then the end.
    is_last: bool,
    is_over: bool,
}

impl Sending {
    pub(super) fn new(hearing: Hearing, wakes: &Rc<Wakes>, client: Client, system: System) -> Self {
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once.
        beat.reset();
        Self {
            hearing,
            wakes: wakes.begun(),
            beat,
            left: Box::pin(async move { client.waits_no_more().await }),
            recorded: Box::pin(async move { system.recorded().await }),
            sent: 0,
            has_begun: false,
            is_last: false,
            is_over: false,
        }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut sending| async move {
            let part = sending.next().await?;
            Some((Ok(part), sending))
        })
    }

    /// Returns the next part; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(self.greeting());
        }
        if self.is_over {
            return None;
        }
        let wakes = Rc::clone(&self.wakes);
        if self.sent >= wakes.allowance() {
            self.sent = 0;
            tokio::time::sleep(wakes.pause()).await;
        } else {
            // What was sent before leaves first: so the connection holds little for a client that takes nothing.
            tokio::task::yield_now().await;
        }
        loop {
            // Before the look, so that no event between the two is missed.
            let news = wakes.news();
            // At the end nobody is woken any more for what is still kept.
            let batch = wakes.batch().filter(|_| !self.is_last);
            match self.hearing.next(batch.as_deref()) {
                Part::Some(part) => {
                    self.sent = self.sent.saturating_add(part.len());
                    return Some(part);
                }
                Part::NotYet => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Part::Over(why) => {
                    self.is_over = true;
                    return Some(format!(": this ends here: {why}\n\n").into());
                }
                Part::None if self.is_last => return None,
                Part::None => self.sent = 0,
            }
            tokio::select! {
                () = &mut self.left => return None,
                () = &mut self.recorded, if !self.is_last => self.is_last = true,
                () = news => {}
                _ = self.beat.tick() => return Some(self.heartbeat()),
            }
        }
    }

    /// Returns what is said first: when to come back, and as of where; and that something was missed, if so.
    fn greeting(&self) -> Bytes {
        let retry = COMES_BACK_MS.saturating_add(fastrand::u32(..COMES_BACK_MS));
        let mut text = format!("retry: {retry}\n");
        for warning in self.hearing.warnings() {
            text.push_str(&format!(": {warning}\n"));
        }
        text.push_str(&format!("id: {}\n", self.hearing.position()));
        if self.hearing.begins() == Begins::Reset {
            text.push_str(
                "event: reset\ndata: {\"reason\":\"the events after your last one are not kept any more; list the actions again\"}\n",
            );
        }
        text.push('\n');
        text.into()
    }

    /// Returns a comment, and the position: a client that wants few of the events comes back to that.
    fn heartbeat(&self) -> Bytes {
        format!(": still here\nid: {}\n\n", self.hearing.position()).into()
    }
}

#[cfg(test)]
mod tests {
    use actiond_actors::{QueueSettings, Submission};
    use futures_util::StreamExt as _;

    use super::*;
    use crate::events::LiveEvents;
    use crate::front::{Caller, Endpoint};
    use crate::kinds::echo::Echo;

    #[actix_web::test]
    async fn a_listener_is_greeted_and_told_that_the_server_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let live = LiveEvents::new(100);
        let system = System::builder(directory.path())
            .observer(live.observer())
            .queue("Work", QueueSettings::default(), Echo)
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        let endpoint = Endpoint::builder(system.clone()).live_events(live.clone()).build();
        let wakes = Wakes::new(&live);
        let wanted = [("Types", "stopped")].into();
        let hearing = endpoint.listen(&live, Caller::default(), &wanted, Some("x")).unwrap();
        let sending = Sending::new(hearing, &wakes, Client::default(), system.clone());
        let mut parts = Box::pin(sending.into_stream());
        let mut next = async || {
            let part = parts.next().await?.unwrap();
            Some(String::from_utf8(part.to_vec()).unwrap())
        };
        let greeting = next().await.unwrap();
        let (retry, rest) = greeting.split_once("\n").unwrap();
        let millis: u32 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
        assert!((COMES_BACK_MS..2 * COMES_BACK_MS).contains(&millis), "{retry}");
        let id = format!("id: {}\n", live.listen(None).unwrap().0.position());
        assert!(rest.starts_with(&format!("{id}event: reset\ndata: {{")), "{rest}");
        assert!(rest.ends_with("}\n\n"), "{rest}");

        // Nothing of what happens is for it, and it is told how far that is.
        let queued = work.submit(Submission::default()).await.unwrap();
        work.wait(queued.id, Duration::from_secs(60)).await.unwrap();
        tokio::time::pause();
        let beat = next().await.unwrap();
        tokio::time::resume();
        let id = format!("id: {}\n\n", live.listen(None).unwrap().0.position());
        assert!(beat.starts_with(": ") && beat.ends_with(&id), "{beat} {id}");
        system.shutdown(Duration::from_secs(1)).await;
        assert_eq!(next().await, None);
        assert_eq!(live.listeners(), 0);
    }
}
