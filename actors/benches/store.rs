//! Cost of the store: commits of several sizes, the newest of many actions, and actions that may not start yet.
//!
//! `cargo bench -p actiond-actors --bench store`. The data is in the target directory, which must be on the disk to be
//! measured; a temporary directory may be in memory.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark is no library, and may panic")]

use std::cell::RefCell;
use std::time::{Duration, Instant};

use actiond_actors::lifecycle::{Came, Ended};
use actiond_actors::report::Written;
use actiond_actors::store::StoreError;
use actiond_actors::store::query::{Cursor, Query, SortKey, States};
use actiond_actors::store::sqlite::SqliteStore;
use actiond_actors::store::{AttemptEnd, Batch, BatchReply, Control, NewAction, QueueId, Store};
use actiond_actors::{Durability, Parameters, State, Timestamp};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::BoxFuture;

struct Bench {
    store: SqliteStore,
    queue: QueueId,
    runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let store = SqliteStore::open(directory.path(), Durability::Full).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let queue = runtime.block_on(store.open_queue("Bench")).expect("a queue").id;
        Self { store, queue, runtime, _directory: directory }
    }

    fn batch(&self, submissions: usize, controls: Vec<Control>, claim: usize) -> Batch {
        let parameters = Parameters::from_iter([("Reference", "x".repeat(150))]);
        let new = NewAction::Given {
            not_before: None,
            parameters,
            priority: 0,
            key: None,
            queued_at: Timestamp(1_000),
            origin: None,
        };
        Batch {
            controls,
            submissions: vec![new; submissions],
            claim,
            ..Batch::new(self.queue, Timestamp(2_000))
        }
    }

    /// Queues this number of actions that may start at that time, with ten priorities.
    fn defer(&self, number: usize, time: i64) {
        for _ in 0..number.div_ceil(1_000) {
            let mut batch = self.batch(1_000, Vec::new(), 0);
            for (new, number) in batch.submissions.iter_mut().zip(0..) {
                if let NewAction::Given { priority, not_before, .. } = new {
                    (*priority, *not_before) = (number % 10, Some(Timestamp(time)));
                }
            }
            self.commit(batch);
        }
    }

    fn commit(&self, batch: Batch) -> BatchReply {
        let committed: BoxFuture<'static, Result<BatchReply, StoreError>> =
            self.store.commit(batch);
        self.runtime.block_on(committed).expect("a commit")
    }

    /// Submits and claims this many, and returns the ends that finish them.
    fn running(&self, number: usize) -> Vec<Control> {
        ends(self.commit(self.batch(number, Vec::new(), number)))
    }
}

/// Returns the ends that finish what was claimed.
fn ends(reply: BatchReply) -> Vec<Control> {
    let end = |id, attempt| AttemptEnd {
        retry_after: None,
        worker: None,
        id,
        attempt,
        ended: Ended::Finished,
        came: Came::ByItself,
        error: None,
        report: Written::default(),
        percent: 100.0,
        processing_ms: 1,
    };
    reply.claimed.into_iter().map(|c| Control::End(end(c.id, c.attempt).into())).collect()
}

fn store(c: &mut Criterion) {
    let bench = Bench::new();
    let mut group = c.benchmark_group("durable commit");
    group.sample_size(20);
    for size in [1, 64, 512] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("{size} submissions"), |b| {
            b.iter(|| bench.commit(bench.batch(size, Vec::new(), 0)));
        });
    }
    group.finish();

    let bench = Bench::new();
    let mut group = c.benchmark_group("whole lifecycles");
    group.sample_size(20);
    for size in [1, 64, 512] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("end, submit and start {size}"), |b| {
            b.iter_batched(
                || bench.running(size),
                |ends| bench.commit(bench.batch(size, ends, size)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    let bench = Bench::new();
    for _ in 0..100 {
        let ends = bench.running(1_000);
        bench.commit(bench.batch(0, ends, 0));
    }
    let finished: States = State::ALL.into_iter().filter(|s| s.is_final()).collect();
    let query = Query { states: finished, sort: SortKey::Finished, ..Query::default() };
    c.bench_function("ten newest of 100,000 finished", |b| {
        b.iter(|| {
            let page = bench.store.page(bench.queue, query.clone(), Cursor::start(0), 10.into());
            bench.runtime.block_on(page).expect("a page")
        });
    });
}

/// What may not start yet costs a claim nothing, and what is due at one instant starts soon.
fn deferred(c: &mut Criterion) {
    let mut group = c.benchmark_group("claims");
    group.sample_size(20);
    for number in [0, 1_000_000] {
        let bench = Bench::new();
        bench.defer(number, i64::MAX);
        let running = RefCell::new(Vec::new());
        group.bench_function(format!("64 beside {number} that may not start yet"), |b| {
            b.iter_batched(
                || bench.commit(bench.batch(64, running.take(), 0)),
                |_| running.replace(ends(bench.commit(bench.batch(0, Vec::new(), 64)))),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    let bench = Bench::new();
    bench.defer(100_000, 3_000);
    let (begin, mut started, mut first) = (Instant::now(), 0, Duration::ZERO);
    let (mut longest, mut running) = (Duration::ZERO, Vec::new());
    while started < 100_000 {
        let since = Instant::now();
        let due = Batch { now: Timestamp(3_000), ..bench.batch(0, running, 256) };
        let reply = bench.commit(due);
        longest = longest.max(since.elapsed());
        if started == 0 {
            first = begin.elapsed();
        }
        started += reply.claimed.len();
        running = ends(reply);
    }
    let all = begin.elapsed();
    println!(
        "100,000 due at once: the first starts after {first:?}, all have started and nearly all ended after {all:?}; \
         the longest batch takes {longest:?}"
    );
}

criterion_group!(benches, store, deferred);
criterion_main!(benches);
