//! Cases about reads that are bounded by size.

use super::{Bench, StoreFactory};
use crate::action::Parameters;
use crate::lifecycle::Ended;
use crate::report::Node;
use crate::store::{AttemptEnd, Control, NewAction};

/// A value that fits is the same as by other reads. Of one that does not, the rest of the action and the size are returned;
/// with a limit of that size it is read.
pub async fn what_is_too_large_is_told_by_its_size(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let given = Parameters::from_iter([("text", "é\"\n".repeat(1_000))]);
    let new = NewAction::Given {
        not_before: None,
        parameters: given.clone(),
        priority: 3,
        key: None,
        queued_at: crate::action::Timestamp(1),
        origin: None,
    };
    let id = bench.try_submit(new).await.unwrap().id;
    let (store, queue) = (&bench.store, bench.queue);
    for most in [0, 100, usize::MAX] {
        let waits = store.record_within(queue, id, most).await.unwrap().unwrap();
        assert_eq!((waits.record, waits.too_large), (bench.record(id).await, None));
    }
    let bytes = store.parameters_within(queue, id, 100).await.unwrap().unwrap().unwrap_err();
    assert!(bytes > 2_000, "{bytes}");
    let below = store.parameters_within(queue, id, bytes - 1).await.unwrap().unwrap();
    assert_eq!(below, Err(bytes));
    let read = store.parameters_within(queue, id, bytes).await.unwrap().unwrap();
    assert_eq!(read, Ok(given));

    let attempt = bench.claim(1).await[0].attempt;
    let large = vec![Node::text("said", "<é>".repeat(1_000))];
    let end =
        AttemptEnd { report: super::written(&large), ..super::an_end(id, attempt, Ended::Failed) };
    bench.control(Control::End(end.into())).await.unwrap();
    let whole = bench.record(id).await;
    let within = store.record_within(queue, id, 1_000).await.unwrap().unwrap();
    let bytes = within.too_large.unwrap();
    assert!(bytes > 3_000, "{bytes}");
    let mut rest = whole.clone();
    (rest.error, rest.report) = (None, Vec::new());
    assert_eq!(within.record, rest);
    let below = store.record_within(queue, id, bytes - 1).await.unwrap().unwrap();
    assert_eq!((below.record, below.too_large), (rest, Some(bytes)));
    let read = store.record_within(queue, id, bytes).await.unwrap().unwrap();
    assert_eq!((read.record, read.too_large), (whole, None));
    let unknown = crate::action::ActionId::new(id.get() + 1).unwrap();
    assert!(store.record_within(queue, unknown, 0).await.unwrap().is_none());
    assert!(store.parameters_within(queue, unknown, 0).await.unwrap().is_none());
}
