//! Submit to finish in one process, without HTTP, durable: one caller, and 64 at a time.
//!
//! `cargo bench -p actiond-actors --bench embedded`. The data is in the target directory, which must be on the disk to
//! be measured.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark is no library, and may panic")]

use std::time::{Duration, Instant};

use actiond_actors::{
    ActionContext, Parameters, Perform, QueueHandle, QueueSettings, Submission, System, Work,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;

/// Ends at once, so that only the queue is measured.
struct Nothing;

impl Perform for Nothing {
    fn perform(&self, _: ActionContext) -> Work {
        Work::done(Ok(Vec::new()))
    }
}

async fn one(queue: &QueueHandle, parameters: &Parameters) {
    let submitted = queue.submit(Submission::new(parameters.clone())).await.expect("queued");
    let ended = queue.wait(submitted.id, Duration::from_secs(30)).await.expect("its status");
    assert!(ended.record.state.is_final(), "it ended in time");
}

fn embedded(c: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let settings = QueueSettings { maximum_threads: 64, ..QueueSettings::default() };
    let system = runtime
        .block_on(System::builder(directory.path()).queue("Bench", settings, Nothing).start())
        .expect("a system");
    let queue = system.queue("Bench").expect("its queue");
    let parameters = Parameters::from_iter([("Reference", "x".repeat(150))]);

    let mut group = c.benchmark_group("submit to durable finish");
    group.sample_size(20);
    for callers in [1_u64, 64] {
        group.throughput(Throughput::Elements(callers));
        group.bench_function(format!("{callers} at a time"), |b| {
            b.iter_custom(|rounds| {
                let began = Instant::now();
                // Each in a task of its own, as callers are.
                let all = (0..callers).map(|_| {
                    let (queue, parameters) = (queue.clone(), parameters.clone());
                    runtime.spawn(async move {
                        for _ in 0..rounds {
                            one(&queue, &parameters).await;
                        }
                    })
                });
                for ended in runtime.block_on(join_all(all)) {
                    ended.expect("no caller panics");
                }
                began.elapsed()
            });
        });
    }
    group.finish();
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
}

criterion_group!(benches, embedded);
criterion_main!(benches);
