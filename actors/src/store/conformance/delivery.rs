//! Cases about events that are written: pages, what becomes of them, and which of several owners delivers them.

use super::outbox::wants;
use super::owners::Pair;
use super::{Bench, StoreFactory, an_end, written};
use crate::action::Timestamp;
use crate::lifecycle::{Command, Ended};
use crate::report::Node;
use crate::store::query::PageLimit;
use crate::store::{
    AttemptEnd, Control, EventId, EventKind, EventPage, FailedEvent, HandlerId, LevelChange,
    NewEvent, OutboxChange, OutboxState, QueueLevel, Renewal, StoredEvent,
};

impl Bench {
    /// Writes events for a handler, each a millisecond after the one before, and returns their numbers.
    async fn write_events(&mut self, handler: HandlerId, number: u64) -> Vec<EventId> {
        let wants = wants(handler, &EventKind::ALL);
        for queued in 0..number {
            self.now += 1;
            let change = LevelChange { level: QueueLevel::Filling, queued, limit: None };
            self.tell(&wants, Control::Tell(NewEvent::Level(change).into())).await;
        }
        let events = self.events(handler).await;
        events.iter().rev().take(number as usize).rev().map(|event| event.id).collect()
    }

    async fn change_events(&self, handler: HandlerId, change: OutboxChange) {
        let answer = self.control(Control::Outbox { handler, change }).await;
        assert_eq!(answer, Ok(Vec::new()));
    }

    async fn settle(&self, handler: HandlerId, delivered: &[EventId], failed: &[FailedEvent]) {
        let change = OutboxChange::Settle { delivered: delivered.into(), failed: failed.into() };
        self.change_events(handler, change).await;
    }

    async fn pending(&self, handler: HandlerId) -> Vec<EventId> {
        self.events(handler).await.iter().map(|event| event.id).collect()
    }

    async fn outbox_state(&self, handler: HandlerId) -> OutboxState {
        self.store.outbox_state(handler).await.unwrap()
    }

    async fn page(&self, handler: HandlerId, except: &[EventId], limit: PageLimit) -> EventPage {
        let page = self.store.events(handler, None, except.to_vec(), limit).await.unwrap();
        assert_eq!(page.unreadable, []);
        page
    }
}

fn failure(id: EventId, at: i64) -> FailedEvent {
    FailedEvent { id, at: Timestamp(at), attempts: 3, error: format!("{} said \"no\"\0", id.0) }
}

fn ids(page: &EventPage) -> Vec<EventId> {
    page.events.iter().map(|event| event.id).collect()
}

/// A handler is found again in any case, and after the store was opened again.
pub async fn a_handler_is_found_in_any_case(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let tell = bench.store.open_handler("Tell").await.unwrap();
    let other = bench.store.open_handler("Tell it's \"other\" % \u{1} é").await.unwrap();
    assert_ne!(tell, other);
    assert_eq!(bench.store.open_handler("tELL").await, Ok(tell));
    let bench = bench.reopen(factory).await;
    assert_eq!(bench.store.open_handler("TELL").await, Ok(tell));
    assert_eq!(bench.store.open_handler("tell it's \"OTHER\" % \u{1} é").await, Ok(other));
    assert_eq!(bench.outbox_state(other).await, OutboxState::default());
}

/// A page has as many events as may be, without those that are left out, and says if there are more.
pub async fn events_are_read_in_pages(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let all = bench.write_events(handler, 7).await;
    for (number, except, expected, more) in [
        (3, &[][..], &all[..3], true),
        (7, &[], &all[..], false),
        (6, &[], &all[..6], true),
        (3, &all[..3], &all[3..6], true),
        (3, &[all[6], all[0], all[2], all[0]], &[all[1], all[3], all[4]], true),
        (4, &all[..3], &all[3..], false),
        (4, &all, &[], false),
    ] {
        let page = bench.page(handler, except, number.into()).await;
        assert_eq!((ids(&page).as_slice(), page.more), (expected, more), "{number} {except:?}");
    }
}

/// A page has no more bytes of errors and results than may be, but one event at least, and tells the size of each.
pub async fn large_events_are_read_in_pages(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let (handler, _) = bench.open_handler("Tell").await;
    let finish = wants(handler, &[EventKind::Finish]);
    let sizes = [100_usize, 5_000, 100, 100];
    let started = bench.start(&finish, sizes.map(|_| bench.new_action(0)).to_vec()).await;
    for (id, size) in started.into_iter().zip(sizes) {
        let report = written(&[Node::text("text", "x".repeat(size))]);
        let end = AttemptEnd { report, error: None, ..an_end(id, 1, Ended::Finished) };
        bench.tell(&finish, Control::End(end.into())).await;
    }
    let all = bench.events(handler).await;
    for (event, size) in all.iter().zip(sizes) {
        assert!((size..size + 100).contains(&event.bytes), "{} bytes for {size}", event.bytes);
    }
    let sum = |events: &[StoredEvent]| events.iter().map(|event| event.bytes).sum::<usize>();
    for (except, bytes, expected) in [
        (0, sum(&all), &all[..]),
        (0, sum(&all) - 1, &all[..3]),
        (0, sum(&all[..2]) - 1, &all[..1]),
        (0, 0, &all[..1]),
        (1, 10, &all[1..2]),
        (2, sum(&all[2..]), &all[2..]),
    ] {
        let limit = PageLimit { actions: 100, bytes };
        let except: Vec<EventId> = all[..except].iter().map(|event| event.id).collect();
        let page = bench.page(handler, &except, limit).await;
        let more = except.len() + expected.len() < all.len();
        assert_eq!((page.events.as_slice(), page.more), (expected, more), "{bytes} bytes");
    }
}

/// A look may begin behind an event, and leaves events out all the same.
pub async fn a_page_of_events_begins_after_one(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let all = bench.write_events(handler, 5).await;
    let beyond = EventId(all[4].0 + 1);
    for (after, except, most, expected, more) in [
        (None, &[][..], 9, &all[..], false),
        (Some(all[1]), &[], 9, &all[2..], false),
        (Some(all[1]), &all[..1], 2, &all[2..4], true),
        (Some(all[1]), &all[2..3], 2, &all[3..], false),
        (Some(all[4]), &[], 9, &[], false),
        (Some(beyond), &[], 9, &[], false),
    ] {
        let page = bench.store.events(handler, after, except.to_vec(), most.into()).await.unwrap();
        assert_eq!((ids(&page).as_slice(), page.more), (expected, more), "after {after:?}");
    }
}

/// An event that was delivered is gone, and one that failed is kept aside: once, and only for that handler.
pub async fn what_is_settled_is_pending_no_more(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let other = bench.store.open_handler("Other").await.unwrap();
    let begun = bench.now;
    let all = bench.write_events(handler, 6).await;
    let of_other = bench.write_events(other, 1).await;
    let state = bench.outbox_state(handler).await;
    let oldest = Some((all[0], Timestamp(begun + 1)));
    assert_eq!(state, OutboxState { pending: 6, oldest, ..OutboxState::default() });
    assert_eq!(bench.outbox_state(other).await.pending, 1);

    let unknown = EventId(of_other[0].0 + 1_000);
    let failed = [failure(all[4], 60), failure(all[2], 70), failure(of_other[0], 80)];
    for _ in 0..2 {
        bench.settle(handler, &[all[0], all[3], unknown, of_other[0]], &failed).await;
        assert_eq!(bench.pending(handler).await, [all[1], all[5]]);
        assert_eq!(bench.pending(other).await, of_other, "they are another's");
    }
    // What has failed is not pending: nothing of it is settled again.
    bench.settle(handler, &[all[2]], &[failure(all[4], 90), failure(all[0], 90)]).await;
    let bench = bench.reopen(factory).await;
    assert_eq!(bench.pending(handler).await, [all[1], all[5]]);
    let state = bench.outbox_state(handler).await;
    let last_failure = Some(failure(all[4], 60));
    let oldest = Some((all[1], Timestamp(begun + 2)));
    assert_eq!(state, OutboxState { pending: 2, oldest, failed: 2, dropped: 0, last_failure });
    bench.settle(handler, &[], &[]).await;
    assert_eq!(bench.outbox_state(handler).await.pending, 2);
}

/// Events that have failed are delivered again when somebody asks for it, as they were and in their places, or are discarded.
pub async fn failed_events_are_retried_or_discarded(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let other = bench.store.open_handler("Other").await.unwrap();
    let all = bench.write_events(handler, 4).await;
    let of_other = bench.write_events(other, 1).await;
    bench.settle(other, &[], &[failure(of_other[0], 50)]).await;
    let before = bench.events(handler).await;
    bench.settle(handler, &[all[1]], &[failure(all[0], 60), failure(all[2], 60)]).await;
    bench.change_events(handler, OutboxChange::Retry).await;
    let kept = |event: &&StoredEvent| event.id != all[1];
    let expected: Vec<_> = before.iter().filter(kept).cloned().collect();
    assert_eq!(bench.events(handler).await, expected);
    assert_eq!(bench.outbox_state(handler).await.failed, 0);

    let again = FailedEvent { attempts: 1, error: "again".to_owned(), ..failure(all[2], 90) };
    bench.settle(handler, &[], std::slice::from_ref(&again)).await;
    assert_eq!(bench.outbox_state(handler).await.last_failure, Some(again));
    bench.change_events(handler, OutboxChange::Discard).await;
    bench.change_events(handler, OutboxChange::Retry).await;
    assert_eq!(bench.pending(handler).await, [all[0], all[3]]);
    let state = bench.outbox_state(handler).await;
    assert_eq!((state.failed, state.dropped, state.last_failure), (0, 0, None));
    assert_eq!(bench.outbox_state(other).await.failed, 1, "they are another's");
}

/// The oldest events beyond a number are dropped and counted: of those that wait, and of those that have failed.
pub async fn the_oldest_events_are_dropped(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let other = bench.store.open_handler("Other").await.unwrap();
    let all = bench.write_events(handler, 9).await;
    bench.write_events(other, 3).await;
    let failed: Vec<_> = all[5..].iter().map(|id| failure(*id, 60)).collect();
    bench.settle(handler, &[], &failed).await;
    bench.change_events(handler, OutboxChange::Trim { keep: 5 }).await;
    assert_eq!(bench.outbox_state(handler).await.dropped, 0, "there are no more");
    bench.change_events(handler, OutboxChange::Trim { keep: 3 }).await;
    assert_eq!(bench.pending(handler).await, all[2..5]);
    let state = bench.outbox_state(handler).await;
    assert_eq!((state.failed, state.dropped), (3, 3));
    let bench = bench.reopen(factory).await;
    for _ in 0..2 {
        bench.change_events(handler, OutboxChange::Trim { keep: 0 }).await;
        let state = bench.outbox_state(handler).await;
        assert_eq!(state, OutboxState { dropped: 9, ..OutboxState::default() });
    }
    assert_eq!(bench.outbox_state(other).await.pending, 3, "they are another's");
    bench.change_events(handler, OutboxChange::Retry).await;
    assert_eq!(bench.pending(handler).await, []);
}

/// The number of an event is never used again, however it went and whenever the store was opened.
pub async fn an_event_number_is_never_used_again(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    let mut last = EventId(0);
    for round in 0..4 {
        let id = bench.write_events(handler, 1).await[0];
        assert!(id > last, "{id:?} after {last:?}");
        last = id;
        match round {
            0 => bench.settle(handler, &[id], &[]).await,
            1 => bench.change_events(handler, OutboxChange::Trim { keep: 0 }).await,
            _ => {
                bench.settle(handler, &[], &[failure(id, 60)]).await;
                bench.change_events(handler, OutboxChange::Discard).await;
            }
        }
        bench = bench.reopen(factory).await;
    }
}

/// One owner at a time delivers the events of a handler. Another one does once that is closed, or its lease is over.
pub async fn one_owner_leads_at_a_time(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let handler = bench.store.open_handler("Tell").await.unwrap();
    for _ in 0..2 {
        assert_eq!(bench.store.lead(handler).await, Ok(true), "it is alone");
    }
    bench.store.close().await;
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let other = a.store.open_handler("Other").await.unwrap();
    assert_eq!(a.store.lead(handler).await, Ok(true), "who led is closed");
    assert_eq!(b.store.lead(handler).await, Ok(false));
    assert_eq!(b.store.lead(other).await, Ok(true), "each handler has its own");
    assert_eq!(a.store.lead(other).await, Ok(false));
    pair.run_out(&[a, b]).await;
    assert_eq!(a.store.lead(handler).await, Ok(true), "its lease was renewed");
    assert_eq!(b.store.lead(handler).await, Ok(false));
    pair.run_out(&[b]).await;
    assert_eq!(b.store.lead(handler).await, Ok(true), "the lease is over");
    // Nobody has made it dead.
    assert_eq!(a.store.renew().await, Ok(Renewal::Holds));
    assert_eq!(a.store.lead(handler).await, Ok(false));
    b.store.close().await;
    assert_eq!(a.store.lead(handler).await, Ok(true));
    assert_eq!(a.store.lead(other).await, Ok(true));
}

/// Events that one owner has written are read and settled by another one, and are in order for each action.
pub async fn events_are_seen_by_both(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let (handler, all) = a.open_handler("Tell").await;
    assert_eq!(b.store.open_handler("TELL").await, Ok(handler));
    let id = a.start(&all, vec![a.new_action(0)]).await[0];
    b.tell(&all, Control::command(id, Command::Stop)).await;
    let stopped = an_end(id, 1, Ended::Stopped);
    a.tell(&all, Control::End(stopped.into())).await;
    for bench in [a, b] {
        let events = bench.events(handler).await;
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Start, EventKind::Stop]);
    }
    let first = b.pending(handler).await[0];
    b.settle(handler, &[first], &[]).await;
    assert_eq!(a.pending(handler).await.len(), 1);
    a.change_events(handler, OutboxChange::Trim { keep: 0 }).await;
    assert_eq!(b.outbox_state(handler).await.dropped, 1);
}
