//! Mistakes about events for handlers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actiond_actors::store::conformance::{self, run};
use actiond_actors::store::{
    About, Batch, Control, EventId, EventKind, EventPage, OutboxChange, Record, StoredEvent,
};
use futures_util::FutureExt as _;

use super::{LEASE, fails, wrong};
use crate::Memory;
use crate::store::MemoryStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// With an action go its events.
    GoneWithAction,
    /// An event shows its action as that is when the event is read.
    ShownAsItIsNow,
    /// Events that were settled are delivered again.
    DeliveredAgain,
    /// The numbers of events begin anew.
    NumbersUsedAgain,
    /// Events that are to be left out are read all the same.
    NoneLeftOut,
    /// Reads from the first event on, wherever it is to begin.
    FromTheFirst,
    /// The handler of callbacks hears of every end.
    CallsEverybodyBack,
    /// Every owner delivers.
    AllLead,
}

impl Mistake {
    /// Makes of a batch what this store takes it for.
    pub(super) fn spoil(self, batch: &mut Batch) {
        if let Some(wants) = batch.wants.as_mut().filter(|_| self == Self::CallsEverybodyBack)
            && let Some(handler) = wants.callback
        {
            let wants = Arc::make_mut(wants);
            for kind in EventKind::ALL.into_iter().filter(|kind| kind.is_end()) {
                wants.add(kind, handler);
            }
            wants.callback = None;
        }
        for control in &mut batch.controls {
            if let Control::Outbox { change: OutboxChange::Settle { delivered, .. }, .. } = control
                && self == Self::DeliveredAgain
            {
                *delivered = [].into();
            }
        }
    }

    /// Makes of the events that there are what this store reads.
    pub(super) fn spoil_page(self, mut page: EventPage, store: &MemoryStore) -> EventPage {
        use actiond_actors::store::Store as _;
        let now = |event: &StoredEvent| match &event.about {
            About::Action(action) => store.record(event.queue, action.id).now_or_never(),
            About::Queue(_) => None,
        };
        let now = |event: &StoredEvent| now(event).map(Result::unwrap);
        match self {
            Self::GoneWithAction => page.events.retain(|event| now(event) != Some(None)),
            Self::ShownAsItIsNow => {
                for event in &mut page.events {
                    if let Some(Some(record)) = now(event) {
                        event.about = About::Action(Box::new(Record { position: None, ..record }));
                    }
                }
            }
            Self::NumbersUsedAgain => {
                for (event, number) in page.events.iter_mut().zip(1..) {
                    event.id = EventId(number);
                }
            }
            _ => {}
        }
        page
    }
}

const fn of(mistake: Mistake) -> super::Mistake {
    super::Mistake::Events(mistake)
}

#[test]
fn mistakes_about_events_are_noticed() {
    fails!(an_event_outlives_its_action, of(Mistake::GoneWithAction));
    fails!(an_event_outlives_its_action, of(Mistake::ShownAsItIsNow));
    fails!(changes_of_one_batch_are_told_one_by_one, of(Mistake::ShownAsItIsNow));
    fails!(what_is_settled_is_pending_no_more, of(Mistake::DeliveredAgain));
    fails!(an_event_number_is_never_used_again, of(Mistake::NumbersUsedAgain));
    fails!(events_are_read_in_pages, of(Mistake::NoneLeftOut));
    fails!(a_page_of_events_begins_after_one, of(Mistake::FromTheFirst));
    fails!(a_callback_is_told_of_ends_alone, of(Mistake::CallsEverybodyBack));
    fails!(one_owner_leads_at_a_time, of(Mistake::AllLead));
    // What other cases ask for is right of these.
    run(conformance::each_change_is_told_as_it_is_made(&wrong(of(Mistake::GoneWithAction))));
    run(conformance::each_handler_gets_its_own(&wrong(of(Mistake::AllLead))));
}
