//! Fetch and Ingest over HTTP, on real trees of files.
//!
//! What Fetch counts is compared with what `find` finds, and both with what really stands in the
//! files that Ingest has written and in the datastore.

mod fetch;
mod gone;
mod ingest;
mod interrupted;
mod own_data;
mod parameters;
mod remote;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::calls::Answer;
use super::server::{Home, Server, wait_until};

/// A set of paths; a path is any bytes.
type Paths = BTreeSet<Vec<u8>>;

/// A configuration with an Echo, an Ingest and a Fetch queue; `tasks` are names and settings.
fn config(tasks: &[(&str, &str)], more: &str) -> String {
    let mut text = format!(
        "{more}
[AsyncActions]
0=Fetch
1=Ingest
2=Process
[Fetch]
Type=FileSystemConnector
MaximumThreads=2
[Ingest]
Type=Ingest
MaxContentSize=2000
[Process]
Type=Echo
[FetchTasks]
"
    );
    for (number, (name, _)) in tasks.iter().enumerate() {
        text.push_str(&format!("{number}={name}\n"));
    }
    for (name, settings) in tasks {
        text.push_str(&format!("[{name}]\n{settings}\n"));
    }
    text
}

/// Puts further settings into the section of the Ingest queue.
fn with_ingest(config: &str, settings: &str) -> String {
    config.replace("Type=Ingest\n", &format!("Type=Ingest\n{settings}\n"))
}

/// Runs an Ingest action to its end.
fn ingest(server: &Server, parameters: &[(&str, &str)]) -> Answer {
    let token = server.post("Ingest", parameters).success().must("token");
    server.outcome("Ingest", &token)
}

/// Runs `find` with these arguments; returns the paths.
fn find(directory: &Path, arguments: &[&str]) -> Paths {
    let output =
        Command::new("find").arg(directory).args(arguments).arg("-print0").output().expect("find");
    assert!(output.status.success(), "{output:?}");
    output.stdout.split(|b| *b == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect()
}

fn files(directory: &Path) -> Paths {
    find(directory, &["-type", "f"])
}

/// Makes this many small files, in folders of 50.
fn grow(root: &Path, number: usize) {
    for number in 0..number {
        let folder = root.join(format!("folder{:03}", number / 50));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("file{number:05}.txt")), format!("text {number}"))
            .unwrap();
    }
}

fn start_fetch(server: &Server, rest: &str) -> String {
    server.submit_to("Fetch", &format!("&FetchAction=Synchronize{rest}"))
}

/// Runs Fetch to its end, which must be a good one, and then Ingest.
fn fetch(server: &Server, rest: &str) -> Answer {
    let token = start_fetch(server, rest);
    let ended = server.outcome("Fetch", &token).success();
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert_eq!(ended.must("fetchaction"), "SYNCHRONIZE");
    until_ingested(server);
    ended
}

/// Runs Fetch to its end, which must be Error because every task failed; what is kept says so too.
fn failed_fetch(server: &Server, rest: &str) -> Answer {
    let token = start_fetch(server, rest);
    let ended = server.outcome("Fetch", &token).success();
    assert_eq!(ended.must("status"), "Error", "{}", ended.0);
    assert_eq!(ended.must("fetchaction"), "SYNCHRONIZE");
    assert!(
        ended.values("success").is_empty() && !ended.values("failed").is_empty(),
        "{}",
        ended.0
    );
    until_ingested(server);
    ended
}

/// Stops an action; it must end so within a second. Returns its status reply.
fn stop_soon(server: &Server, queue: &str, token: &str) -> Answer {
    let asked = Instant::now();
    server.about(queue, "stop", token).success();
    let ended = server.outcome(queue, token);
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    assert_eq!(ended.must("status"), "Stopped");
    ended
}

fn until_ingested(server: &Server) {
    wait_until("the end of all in Ingest", || {
        let counts = server.info("Ingest", "queueStatus", "").success();
        counts.number("pending") + counts.number("running") == 0
    });
    let failed = server.info("Ingest", "getStatus", "&State=Error").success();
    assert!(failed.values("error").is_empty(), "{}", failed.0);
}

/// The figures of a task; none if it is not in the reply.
fn counts(answer: &Answer, task: &str) -> BTreeMap<String, u64> {
    answer.with(|document| {
        let of_task = |node: &roxmltree::Node<'_, '_>| {
            node.has_tag_name("documentcount") && node.attribute("task") == Some(task)
        };
        let Some(found) = document.descendants().find(of_task) else { return BTreeMap::new() };
        found
            .attributes()
            .filter(|attribute| attribute.name() != "task")
            .map(|a| (a.name().to_owned(), a.value().parse().expect("a number")))
            .collect()
    })
}

/// The figures of a task must be these, and all others 0.
fn assert_counts(answer: &Answer, task: &str, expected: &[(&str, usize)]) {
    let mut shown = counts(answer, task);
    assert!(!shown.is_empty(), "no figures of {task}: {}", answer.0);
    shown.retain(|_, number| *number != 0);
    let expected: BTreeMap<String, u64> = expected
        .iter()
        .filter(|(_, number)| *number != 0)
        .map(|(name, number)| ((*name).to_owned(), *number as u64))
        .collect();
    assert_eq!(shown, expected, "{task}");
}

/// A batch that Ingest has written.
struct Batch {
    directory: PathBuf,
    /// The lines of JSON.
    lines: Vec<serde_json::Value>,
}

/// Reads every batch, in order, and checks that each is whole and its forms agree.
fn batches(home: &Home) -> Vec<Batch> {
    let Ok(entries) = std::fs::read_dir(home.data().join("ingest")) else { return Vec::new() };
    let mut directories: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    directories.sort();
    directories.into_iter().map(batch).collect()
}

fn batch(directory: PathBuf) -> Batch {
    let name = directory.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("batch-"), "{name} is half written");
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let lines: Vec<serde_json::Value> =
        read("documents.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_remove = |line: &&serde_json::Value| line["action"] == "remove";
    let removes = lines.iter().filter(is_remove).count();

    let idx = read("documents.idx");
    assert!(idx.ends_with("#DREENDDATANOOP\n\n"), "{name}");
    for mark in ["#DREREFERENCE ", "#DREENDDOC"] {
        let count = idx.lines().filter(|line| line.starts_with(mark)).count();
        assert_eq!(count, lines.len() - removes, "{mark} in {name}");
    }
    if removes > 0 {
        assert_eq!(read("removes.txt").lines().count(), removes, "{name}");
    } else {
        assert!(!directory.join("removes.txt").exists(), "{name}");
    }
    let manifest: serde_json::Value = serde_json::from_str(&read("batch.json")).unwrap();
    assert_eq!(manifest["documents"], (lines.len() - removes) as u64, "{name}");
    assert_eq!(manifest["removes"], removes as u64, "{name}");
    Batch { directory, lines }
}

/// The path that a reference names.
fn path_of(reference: &str) -> Vec<u8> {
    match reference.strip_prefix("bytes:") {
        Some(encoded) => percent_encoding::percent_decode_str(encoded).collect(),
        None => reference.as_bytes().to_vec(),
    }
}

/// What an index holds that has taken over these batches, with the content of each document.
fn replay(batches: &[Batch]) -> BTreeMap<Vec<u8>, String> {
    let mut index = BTreeMap::new();
    for line in batches.iter().flat_map(|batch| &batch.lines) {
        let path = path_of(line["reference"].as_str().unwrap());
        match line["action"].as_str().unwrap() {
            "add" => drop(index.insert(path, line["content"].as_str().unwrap_or("").to_owned())),
            "remove" => assert!(index.remove(&path).is_some(), "removed, but never added"),
            other => panic!("{other}"),
        }
    }
    index
}

/// How many documents of this action stand in the batches.
fn count_lines(batches: &[Batch], action: &str) -> usize {
    batches.iter().flat_map(|batch| &batch.lines).filter(|line| line["action"] == action).count()
}

/// The paths that a task's datastore knows.
fn datastore(home: &Home, task: &str) -> Paths {
    let path = home.data().join(format!("connector_{task}_datastore.db"));
    let file = rusqlite::Connection::open(path).unwrap();
    let mut rows = file.prepare("SELECT path FROM documents").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Output, datastore and tree must hold the same files.
fn assert_all_agree(home: &Home, task: &str, expected: &Paths) {
    let index: Paths = replay(&batches(home)).into_keys().collect();
    assert_eq!(index.len(), expected.len());
    assert!(index == *expected, "the output and the tree differ");
    assert!(datastore(home, task) == *expected, "the datastore and the tree differ");
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
