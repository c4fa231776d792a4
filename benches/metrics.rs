//! What metrics cost: a scrape of 100 queues that hold a million actions, and each event.
//!
//! `cargo bench --bench metrics`. The data is in the target directory.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark is no library, and may panic")]

use std::time::Duration;

use actiond::front::Endpoint;
use actiond::kinds::echo::Echo;
use actiond::metrics::Metrics;
use actiond_actors::events::QueueEvent;
use actiond_actors::{
    ActionId, ActionRef, Observer, Parameters, QueueHandle, QueueSettings, Submission, System,
    Timestamp,
};
use actix_web::{App, test};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::future::join_all;

const QUEUES: usize = 100;
const ACTIONS: usize = 1_000_000;

async fn fill(queue: QueueHandle) {
    queue.pause_queue().await.expect("paused");
    let one = async |_| drop(queue.submit(Submission::new(Parameters::default())).await);
    for begin in (0..ACTIONS / QUEUES).step_by(1_000) {
        join_all((begin..begin + 1_000).map(one)).await;
    }
}

fn scrape(c: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let runtime = actix_web::rt::System::new();
    let metrics = Metrics::default();
    let (system, app) = runtime.block_on(async {
        let names = (0..QUEUES).map(|number| format!("Queue{number}"));
        let building = System::builder(directory.path()).observer(metrics.observer());
        let building = names
            .fold(building, |building, name| building.queue(name, QueueSettings::default(), Echo));
        let system = building.start().await.expect("a system");
        join_all(system.queues().into_iter().map(fill)).await;
        let endpoint = Endpoint::builder(system.clone()).metrics(metrics.clone()).build();
        let app = App::new().configure(actiond::http::configure(&endpoint));
        (system, test::init_service(app).await)
    });
    c.bench_function("scrape 100 queues with 1,000,000 actions", |b| {
        b.iter(|| {
            let request = test::TestRequest::get().uri("/metrics").to_request();
            let text = runtime.block_on(test::call_and_read_body(&app, request));
            assert!(text.len() > 100_000, "{} bytes", text.len());
        });
    });
    runtime.block_on(system.shutdown(Duration::ZERO));
}

fn event(c: &mut Criterion) {
    let metrics = Metrics::default();
    let observer = metrics.observer();
    let id = ActionId::new(1).expect("an id");
    let action = ActionRef { id, queued_at: Timestamp(0), attempt: 1, taken_by: None };
    c.bench_function("observe that an action has started", |b| {
        b.iter(|| {
            let event = QueueEvent::Started { action, started_at: Timestamp(7) };
            observer.on_event("Process", std::hint::black_box(&event));
        });
    });
}

criterion_group!(benches, event, scrape);
criterion_main!(benches);
