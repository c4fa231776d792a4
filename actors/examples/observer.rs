//! Two observers of one system: one counts, as metrics do; the other passes failures on to a task, which may be slow.
//!
//! `cargo run -p actiond-actors --example observer`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actiond_actors::{
    ActionContext, ActionId, Failure, Interest, Observer, Parameters, Perform, QueueEvent,
    QueueSettings, State, Submission, System, Work, observer,
};
use tokio::sync::mpsc;

/// Divides, which fails now and then.
struct Divide;

impl Perform for Divide {
    fn perform(&self, context: ActionContext) -> Work {
        let by = context.parameters().get("By").and_then(|by| by.parse::<u32>().ok());
        Work::done(match by.and_then(|by| 100_u32.checked_div(by)) {
            Some(_) => Ok(Vec::new()),
            None => Err(Failure::failed("nobody can divide by that")),
        })
    }
}

/// Counts events. That is fast and takes no lock, so it may be done on the queue's thread.
#[derive(Clone, Default)]
struct Metrics(Arc<Counters>);

#[derive(Default)]
struct Counters {
    started: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    changes: AtomicU64,
}

impl Observer for Metrics {
    fn interest(&self) -> Interest {
        Interest::STARTED | Interest::ENDED | Interest::COMMITTED
    }

    fn on_event(&self, _queue: &str, event: &QueueEvent<'_>) {
        let Counters { started, finished, failed, changes } = &*self.0;
        let (counter, number) = match event {
            QueueEvent::Started { .. } => (started, 1),
            QueueEvent::Ended { state: State::Finished, .. } => (finished, 1),
            QueueEvent::Ended { .. } => (failed, 1),
            QueueEvent::Committed { changes: number, .. } => (changes, *number as u64),
            _ => return,
        };
        counter.fetch_add(number, Ordering::Relaxed);
    }
}

/// The parts of an end that are kept. Events only borrow, so that nothing is copied without need.
struct Failed {
    id: ActionId,
    error: String,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let metrics = Metrics::default();
    // Unbounded, since an observer must not block. One that may lose events uses a bounded channel and `try_send`.
    let (failures, mut failed) = mpsc::unbounded_channel();
    let system = System::builder(directory.path())
        .queue("Divide", QueueSettings::default(), Divide)
        .log_unfinished(false)
        .observer(metrics.clone())
        .observer(observer(Interest::UNFINISHED, move |_, event| {
            if let QueueEvent::Ended { action, error: Some(error), .. } = event {
                // Fails only once the program ends.
                let _ = failures.send(Failed { id: action.id, error: (*error).to_owned() });
            }
        }))
        .start()
        .await?;

    let divide = system.queue("Divide").ok_or("no such queue")?;
    for by in ["5", "0", "x"] {
        let submission = Submission::new(Parameters::from_iter([("By", by)]));
        let submitted = divide.submit(submission).await?;
        divide.wait(submitted.id, Duration::from_secs(5)).await?;
    }
    for _ in 0..2 {
        let Failed { id, error } = failed.recv().await.ok_or("the system has gone")?;
        println!("action {id} failed: {error}");
    }
    // All events have been delivered once it has shut down.
    system.shutdown(Duration::from_secs(1)).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let Counters { started, finished, failed, changes } = &*metrics.0;
    println!("{} started, {} finished, {} failed", count(started), count(finished), count(failed));
    // The recovery at the start, and for each action its submission, its start and its end.
    println!("{} changes are durable", count(changes));
    Ok(())
}
