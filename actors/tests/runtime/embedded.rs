//! What an application does that is none of ours: it drops its system while others wait, takes settings at their
//! largest, moves about.

use std::path::PathBuf;
use std::time::Duration;

use actiond_actors::testing::{Gate, Script};
use actiond_actors::{Parameters, State, StopRequested, Work};

use crate::common::{Home, NEVER, SOON, at_gate, builder, end_state, nothing, submit, threads};

/// A handle may outlive its system: what is waited for by it then would never come.
#[tokio::test]
async fn who_waits_is_answered_when_the_system_is_dropped() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let at_once = tokio::spawn({
        let work = home.work.clone();
        async move { work.run_now(Parameters::from_iter([("Do", "deaf")])).await }
    });
    gate.until_waiting(2).await;
    let Home { directory: _directory, system, work } = home;
    // It waits before the system is dropped: these are polled in their order.
    let both = async { tokio::join!(work.wait(runs, Duration::MAX), async { drop(system) }) };
    let (status, ()) = tokio::time::timeout(SOON, both).await.expect("an answer");
    assert_eq!(status.unwrap().record.state, State::Processing);
    let later = tokio::time::timeout(SOON, work.wait(runs, Duration::MAX)).await;
    assert_eq!(later.expect("an answer").unwrap().record.state, State::Processing);
    let at_once = tokio::time::timeout(SOON, at_once).await.expect("an answer").unwrap().unwrap();
    let interrupted = Some("interrupted by server shutdown".to_owned());
    assert_eq!((at_once.state, at_once.error), (State::Stopped, interrupted));
}

/// The timers end with the system, and whoever looks at one then panics.
#[tokio::test]
async fn a_thread_that_outlives_its_system_is_told_to_stop() {
    let (held, mut holds) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::new(move |context| {
        let _ = held.send(context);
        Work::done(Ok(Vec::new()))
    });
    let home = Home::new(threads(1), &script).await;
    submit(&home.work, "").await;
    let context = holds.recv().await.unwrap();
    let _directory = home.crash();
    let slept = tokio::task::spawn_blocking(move || context.wait_for(tokio::time::sleep(NEVER)));
    let slept = tokio::time::timeout(SOON, slept).await.expect("it ends");
    assert_eq!(slept.expect("it does not panic"), Err(StopRequested));
}

/// Settings without a bound of one's own: nothing that is reckoned from them may overflow.
#[tokio::test]
async fn the_largest_settings_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = threads(usize::MAX);
    settings.stop_grace = Duration::MAX;
    settings.max_finished_age = Some(Duration::MAX);
    settings.max_finished_size = Some(u64::MAX);
    settings.max_queue_size = Some(u64::MAX);
    let mut building = builder(directory.path()).threads(usize::MAX);
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

/// The process may go to another directory later: what is done by a path then must not hang on that.
#[tokio::test]
async fn a_relative_directory_is_that_of_the_start() {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(home.directory.path().strip_prefix("/").unwrap());
    assert!(relative.is_relative() && relative.is_dir());
    let error = builder(&relative).start().await.unwrap_err();
    let named = here.join(relative);
    assert!(error.to_string().contains(&named.display().to_string()), "{error}");
}
