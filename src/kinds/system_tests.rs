//! The shipped kinds of action in a real runtime.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use actiond_actors::{
    ActionId, Node, Parameters, QueueHandle, QueueSettings, State, Submission, System,
};

use super::echo::Echo;
use super::fetch::{Fetch, FetchOptions, FetchTask, IngestTarget};
use super::ingest::{Ingest, IngestOptions, Output};

const PATIENCE: Duration = Duration::from_secs(30);

async fn submit(queue: &QueueHandle, pairs: &[(&str, &str)]) -> ActionId {
    let parameters = Parameters::from_iter(pairs.iter().copied());
    queue.submit(Submission::new(parameters)).await.unwrap().id
}

/// Waits until an action shows a partial result, and returns it.
async fn partial(queue: &QueueHandle, id: ActionId) -> Vec<Node> {
    for _ in 0..3_000 {
        let status = queue.wait(id, Duration::from_millis(10)).await.unwrap();
        assert!(!status.record.state.is_final(), "{status:?}");
        if !status.record.report.is_empty() {
            return status.record.report;
        }
    }
    panic!("no partial result");
}

fn fetch_options(directory: &std::path::Path, ingest: IngestTarget) -> FetchOptions {
    let task = FetchTask {
        name: "DIR1".to_owned(),
        directories: vec![directory.join("in")],
        recursive: true,
        file_match: vec!["*".to_owned()],
        no_crawl: None,
        allow_empty_root: false,
    };
    FetchOptions {
        tasks: vec![task],
        ingest,
        batch_size: 2,
        data_directory: directory.join("data"),
        own_directories: Vec::new(),
    }
}

#[tokio::test]
async fn a_stopped_echo_keeps_how_long_it_slept() {
    let directory = tempfile::tempdir().unwrap();
    let builder =
        System::builder(directory.path()).queue("Process", QueueSettings::default(), Echo);
    let system = builder.start().await.unwrap();
    let queue = system.queue("Process").unwrap();
    let given = [("Sleep", "3600"), ("x", "1")];

    let id = submit(&queue, &given).await;
    let shown = partial(&queue, id).await;
    assert_eq!(shown.first().map(|n| &*n.name), Some("slept_ms"));
    queue.stop(id).await.unwrap();
    let ended = queue.wait(id, PATIENCE).await.unwrap();
    assert_eq!(ended.record.state, State::Stopped);
    assert_eq!(ended.record.report.first().map(|n| &*n.name), Some("slept_ms"));

    let id = submit(&queue, &[("Sleep", "0.01"), ("Fail", "no luck")]).await;
    let ended = queue.wait(id, PATIENCE).await.unwrap();
    assert_eq!(
        (ended.record.state, ended.record.error.as_deref()),
        (State::Error, Some("no luck"))
    );
    system.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn what_fetch_finds_ingest_writes() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("in")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(directory.path().join("in").join(name), format!("text of {name}")).unwrap();
    }
    let fetch =
        Fetch::new(fetch_options(directory.path(), IngestTarget::Queue("ingest".to_owned())));
    let ingest = Ingest::new(IngestOptions {
        output: vec![Output::Json],
        directory: directory.path().join("out"),
        max_content_bytes: 1000,
        max_output_bytes: 1_000_000,
        allowed_sources: Vec::new(),
        avoided: Vec::new(),
    });
    let system = System::builder(directory.path().join("store"))
        .queue("Fetch", QueueSettings::default(), fetch)
        .queue("Ingest", QueueSettings::default(), ingest)
        .start()
        .await
        .unwrap();
    let queue = system.queue("Fetch").unwrap();
    let id = submit(&queue, &[("FetchAction", "Synchronize")]).await;
    let ended = queue.wait(id, PATIENCE).await.unwrap();
    assert_eq!(ended.record.state, State::Finished, "{ended:?}");
    let counts = ended.record.report.first().and_then(|n| n.nodes().first()).unwrap();
    assert!(counts.attributes.contains(&("ingestadded".into(), "3".to_owned())), "{counts:?}");

    // Each batch is the next action of the same store.
    let ingest = system.queue("Ingest").unwrap();
    let mut lines = Vec::new();
    for offset in 1..=2 {
        let id = ActionId::new(id.get() + offset).unwrap();
        assert_eq!(ingest.wait(id, PATIENCE).await.unwrap().record.state, State::Finished);
        let batch = directory.path().join(format!("out/batch-{:011}/documents.jsonl", id.get()));
        lines.extend(fs::read_to_string(batch).unwrap().lines().map(str::to_owned));
    }
    lines.sort();
    let contents: Vec<_> = lines.iter().filter_map(|l| l.split("\"content\":").nth(1)).collect();
    assert_eq!(contents, ["\"text of a\"}", "\"text of b\"}", "\"text of c\"}"], "{lines:?}");
    system.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_server_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("in")).unwrap();
    fs::write(directory.path().join("in/a"), "").unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let target = IngestTarget::Remote { host: "127.0.0.1".to_owned(), port };
    let builder = System::builder(directory.path().join("store"));
    let fetch = Fetch::new(fetch_options(directory.path(), target));
    let system = builder.queue("Fetch", QueueSettings::default(), fetch).start().await.unwrap();
    let queue = system.queue("Fetch").unwrap();
    let id = submit(&queue, &[("FetchAction", "Synchronize")]).await;
    // Once its connection is there, the action waits for an answer.
    let connection = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    queue.stop(id).await.unwrap();
    // Far below the time-out of the connection and the grace of the stop.
    let ended = queue.wait(id, Duration::from_secs(5)).await.unwrap();
    assert_eq!(ended.record.state, State::Stopped);
    assert!(ended.record.report.iter().any(|node| node.name == "documentcounts"));
    drop(connection);
    system.shutdown(PATIENCE).await;
}
