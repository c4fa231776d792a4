//! What an application does that is none of ours: it takes settings at their largest.

use std::time::Duration;

use actiond_actors::State;
use actiond_actors::testing::Script;

use crate::common::{SOON, builder, end_state, nothing, submit, threads};

/// Settings without a bound of one's own: nothing that is reckoned from them may overflow.
#[tokio::test]
async fn the_largest_settings_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = threads(usize::MAX);
    settings.stop_grace = Duration::MAX;
    settings.max_finished_age = Some(Duration::MAX);
    settings.max_finished_size = Some(u64::MAX);
    settings.max_queue_size = Some(u64::MAX);
    let mut building = builder(directory.path());
    for name in ["A", "B"] {
        building = building.queue(name, settings.clone(), Script::always(nothing()));
    }
    let system = building.start().await.unwrap();
    for queue in system.queues() {
        // Two that wait when a batch could start them, and not one that starts as it comes.
        queue.pause_queue().await.unwrap();
        let waiting = [submit(&queue, "").await, submit(&queue, "").await];
        queue.resume_queue().await.unwrap();
        for id in waiting {
            assert_eq!(end_state(&queue, id).await, State::Finished);
        }
    }
    let ended = tokio::time::timeout(SOON, system.shutdown(Duration::MAX)).await;
    ended.expect("the shutdown ends");
}
