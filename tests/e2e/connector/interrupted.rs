//! A Fetch that is held, stopped, or cut off by the end of the server.

use super::super::calls::Answer;
use super::super::server::{Home, Server, wait_until};
use super::{
    assert_all_agree, batches, config, counts, fetch, files, grow, replay, start_fetch, stop_soon,
    until_ingested,
};

/// Enough to be seen on the way: each of them is an action of its own.
const MANY: usize = 3_000;
const ONE_BY_ONE: &str = "[Ingestion]\nIngestBatchSize=1\n[Actions]\nShutdownGraceSecs=1";

fn home(tasks: &[(&str, &str)], more: &str) -> Home {
    let home = Home::new(&config(tasks, more));
    grow(&home.path().join("tree"), MANY);
    home
}

fn seen(answer: &Answer, task: &str) -> u64 {
    counts(answer, task).get("seen").copied().unwrap_or_default()
}

/// Waits until a task has seen more files than this, but not all.
fn until_seen(server: &Server, token: &str, task: &str, more_than: u64) -> Answer {
    let mut answer = None;
    wait_until("live figures", || {
        let shown = server.about("Fetch", "getStatus", token).success();
        let is_there = seen(&shown, task) > more_than;
        assert!(seen(&shown, task) < MANY as u64, "it was too fast to be seen");
        answer = Some(shown);
        is_there
    });
    answer.unwrap()
}

/// Lets time pass: an action of another queue that takes this long.
fn pass(server: &Server, seconds: &str) {
    let token = server.submit_to("Process", &format!("&Sleep={seconds}"));
    server.wait_in("Process", &token, "Finished");
}

/// Titles and statuses of the stages that `progress` shows.
fn stages(server: &Server, token: &str) -> Vec<(String, String)> {
    server.about("Fetch", "progress", token).success().with(|document| {
        let stages = document.descendants().filter(|node| node.has_tag_name("stage"));
        let pair = |node: roxmltree::Node<'_, '_>| {
            let of = |name| node.attribute(name).unwrap().to_owned();
            (of("title"), of("status"))
        };
        stages.map(pair).collect()
    })
}

#[test]
fn a_large_tree_shows_live_figures_pauses_and_stops_within_a_second() {
    let tree = "DirectoryPathCSVs=tree";
    let home =
        home(&[("DIR0", "DirectoryPathCSVs=small"), ("DIR1", tree), ("DIR2", tree)], ONE_BY_ONE);
    grow(&home.path().join("small"), 3);
    let server = home.start();
    // Ingest would only slow this down.
    server.info("Ingest", "pause", "").success();
    let token = start_fetch(&server, "");
    let live = until_seen(&server, &token, "DIR1", 50);
    assert_eq!(live.must("status"), "Processing");
    assert_eq!(seen(&live, "DIR0"), 3);
    assert_eq!(seen(&live, "DIR2"), 0);
    assert_eq!(live.values("success"), ["DIR0"]);
    let expected = [("DIR0", "Finished"), ("DIR1", "Processing"), ("DIR2", "Pending")];
    assert_eq!(stages(&server, &token), expected.map(|(t, s)| (t.to_owned(), s.to_owned())));

    server.about("Fetch", "pause", &token).success();
    assert_eq!(server.status_in("Fetch", &token), "Paused");
    // The file that it is at may still be done.
    pass(&server, "0.2");
    let held = server.about("Fetch", "getStatus", &token).success();
    pass(&server, "0.4");
    let later = server.about("Fetch", "getStatus", &token).success();
    assert_eq!(counts(&held, "DIR1"), counts(&later, "DIR1"), "it went on while it was paused");
    server.about("Fetch", "resume", &token).success();
    until_seen(&server, &token, "DIR1", seen(&held, "DIR1") + 30);

    let stopped = counts(&stop_soon(&server, "Fetch", &token), "DIR1");
    let done = stopped["ingestadded"];
    assert!(done > 50 && done < MANY as u64, "{stopped:?}");
    let percent: f64 = server.about("Fetch", "progress", &token).must("percent").parse().unwrap();
    assert!((1.0..100.0).contains(&percent), "{percent}");

    // A paused one stops just as well.
    let token = start_fetch(&server, "&TaskSections=DIR2");
    until_seen(&server, &token, "DIR2", 30);
    server.about("Fetch", "pause", &token).success();
    stop_soon(&server, "Fetch", &token);

    // The next run takes just what the stop has left.
    let token = start_fetch(&server, "&TaskSections=DIR1");
    let ended = server.outcome("Fetch", &token);
    let next = counts(&ended, "DIR1");
    assert_eq!(next["unchanged"], done, "{next:?}");
    assert_eq!(next["added"], MANY as u64 - done, "{next:?}");
    assert_eq!(next["ingestadded"], next["added"]);
    assert_eq!(next["deleted"], 0);
}

#[test]
fn a_fetch_that_is_killed_runs_again_and_loses_no_file() {
    let home = home(
        &[("DIR1", "DirectoryPathCSVs=tree")],
        "[Ingestion]\nIngestBatchSize=5\n[Actions]\nMaximumThreads=2\nMaxRestarts=0",
    );
    let server = home.start();
    let token = start_fetch(&server, "");
    let mut server = Some(server);
    for _ in 0..3 {
        let running = server.take().unwrap();
        until_seen(&running, &token, "DIR1", 250);
        running.kill();
        let restarted = home.start();
        let status = restarted.status_in("Fetch", &token);
        assert!(["Queued", "Processing"].contains(&&*status), "{status}");
        server = Some(restarted);
    }
    let server = server.unwrap();
    let ended = server.outcome("Fetch", &token);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    let last = counts(&ended, "DIR1");
    assert_eq!(last["seen"], MANY as u64);
    assert!(last["unchanged"] >= 200, "the last attempt began anew: {last:?}");
    until_ingested(&server);
    let expected = files(&home.path().join("tree"));
    assert_all_agree(&home, "DIR1", &expected);
    let index = replay(&batches(&home));
    assert!(index.values().all(|text| text.starts_with("text ")), "a document has no content");
    let ended = fetch(&server, "");
    assert_eq!(counts(&ended, "DIR1")["unchanged"], MANY as u64);
}

#[test]
fn a_fetch_that_a_shutdown_interrupts_goes_on_after_the_restart() {
    let home = home(&[("DIR1", "DirectoryPathCSVs=tree")], ONE_BY_ONE);
    let server = home.start();
    server.info("Ingest", "pause", "").success();
    let token = start_fetch(&server, "");
    until_seen(&server, &token, "DIR1", 30);
    server.signal("TERM");
    assert!(server.wait().0.success());

    let server = home.start();
    let ended = server.outcome("Fetch", &token);
    assert_eq!(ended.must("status"), "Finished");
    let last = counts(&ended, "DIR1");
    assert_eq!(last["ingestfailed"], 0, "it gave up what the shutdown refused: {last:?}");
    assert!(last["unchanged"] >= 30, "{last:?}");
    assert_eq!(last["unchanged"] + last["ingestadded"], MANY as u64, "{last:?}");
    server.info("Ingest", "resume", "").success();
}
