//! What is counted, and the form that a client gets.

use super::*;

#[test]
fn the_form_is_what_the_client_likes_best() {
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let table = [
        (None, Format::Text),
        (Some(""), Format::Text),
        (Some("*/*"), Format::Text),
        (Some("text/html"), Format::Text),
        (Some("text/plain;version=0.0.4"), Format::Text),
        (Some(prometheus), Format::OpenMetrics),
        (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
        (Some("application/openmetrics-text; q=0"), Format::Text),
        (Some("application/openmetrics-text;q=0.5, text/plain"), Format::Text),
        (Some("text/plain;q=0.5, application/openmetrics-text;q=0.5"), Format::OpenMetrics),
        (
            Some("application/openmetrics-text;q=0.2, application/openmetrics-text"),
            Format::OpenMetrics,
        ),
    ];
    for (accept, format) in table {
        assert_eq!(Format::accepted(accept), format, "{accept:?}");
    }
}

mod events {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use actiond_actors::store::SiteId;
    use actiond_actors::{ActionId, ActionRef, Interest, Requeue, State, Timestamp};

    use super::super::queues::Why;
    use super::*;

    fn action(attempt: u32) -> ActionRef {
        let id = ActionId::new(7).unwrap();
        ActionRef { id, queued_at: Timestamp(1_000), attempt, taken_by: None::<SiteId> }
    }

    #[test]
    fn each_event_is_counted_for_its_queue_alone() {
        let metrics = Metrics::default();
        let observer = metrics.observer();
        let tell = |queue: &str, event: QueueEvent<'_>| {
            assert!(observer.interest().has(event.interest()), "{event:?}");
            observer.on_event(queue, &event);
        };
        tell("a", QueueEvent::Queued { action: action(0) });
        tell("a", QueueEvent::Queued { action: action(0) });
        tell("a", QueueEvent::Started { action: action(1), started_at: Timestamp(3_500) });
        // Its wait was over with the first.
        tell("a", QueueEvent::Started { action: action(2), started_at: Timestamp(9_000) });
        // A clock that was set back makes no wait negative.
        tell("a", QueueEvent::Started { action: action(1), started_at: Timestamp(0) });
        for why in [Requeue::Interrupted, Requeue::Released, Requeue::Asked, Requeue::Asked] {
            tell("a", QueueEvent::Requeued { action: action(1), why });
        }
        let (a, b) = (metrics.queues.of("a"), metrics.queues.of("b"));
        let counts = |queue: &queues::Queue| {
            (queue.submitted.load(Ordering::Relaxed), queue.attempts.load(Ordering::Relaxed))
        };
        assert_eq!((counts(&a), counts(&b)), ((2, 3), (0, 0)));
        let wait = a.wait.read();
        assert_eq!((wait.count, wait.sum), (2, 2.5));
        assert_eq!(Why::ALL.map(|why| a.requeued(why)), [1, 0, 1, 2, 0]);
        assert_eq!(a.ended(State::Finished), 0);
    }

    #[test]
    fn what_nobody_counts_is_not_asked_for() {
        let wanted = Metrics::default().observer().interest();
        for unwanted in
            [Interest::PROGRESSED, Interest::STEERED, Interest::LEVEL, Interest::QUEUE_PAUSED]
        {
            assert!(!wanted.has(unwanted), "{unwanted:?}");
        }
    }

    #[test]
    fn times_beyond_all_bounds_are_counted_too() {
        let histogram = histogram::Histogram::new(histogram::OF_ACTIONS);
        histogram.observe_time(Duration::from_secs(u64::MAX / 4));
        let read = histogram.read();
        assert_eq!(read.buckets.last(), Some(&(f64::INFINITY, 1)));
    }
}
