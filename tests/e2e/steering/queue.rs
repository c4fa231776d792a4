//! Whole queues: their order, their limits, pausing and stopping them, and control under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::calls::{Caller, id_of};
use super::super::server::{Home, Server, wait_until};

fn config(settings: &str) -> String {
    format!(
        "[AsyncActions]\n0=Work\n1=Other\n[Work]\nType=Echo\n{settings}\n[Other]\nType=Echo\nMaximumThreads=4\n"
    )
}

/// Returns the ids of what has started, in the order in which it started.
fn started(server: &Server) -> Vec<u64> {
    let list = server.info("Work", "getStatus", "&Sort-By=start-time&Sort-Order=ascending");
    list.success().with(|document| {
        let child = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.children().find(|c| c.has_tag_name(name)).and_then(|c| c.text()).map(str::to_owned)
        };
        document
            .descendants()
            .filter(|node| node.has_tag_name("action"))
            .filter(|node| child(*node, "process_start_time").is_some())
            .map(|node| id_of(&child(node, "token").unwrap()))
            .collect()
    })
}

/// Occupies the only slot; returns the token of what does.
fn block(server: &Server) -> String {
    let token = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &token, "Processing");
    token
}

#[test]
fn stop_takes_effect_within_a_second_under_load() {
    let home = Home::new(&config("MaximumThreads=3"));
    let server = home.start();
    let (done, submitted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let running: Vec<String> = (0..2).map(|_| block(&server)).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut caller = Caller::new(server.address).unwrap();
                while !done.load(Ordering::Relaxed) {
                    caller.ask("Work&Name=load").unwrap().success();
                    submitted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until("load", || submitted.load(Ordering::Relaxed) > 100);
        for token in &running {
            let before = submitted.load(Ordering::Relaxed);
            let asked = Instant::now();
            server.about("Work", "stop", token).success();
            let ended = server.info("Work", "getStatus", &format!("&Token={token}&Wait=20"));
            let took = asked.elapsed();
            assert_eq!(ended.success().must("status"), "Stopped");
            assert!(took < Duration::from_secs(1), "it took {took:?}");
            wait_until("more load", || submitted.load(Ordering::Relaxed) > before);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_paused_queue_starts_nothing_and_what_runs_pauses() {
    let home = Home::new(&config("MaximumThreads=2"));
    let server = home.start();
    let running = server.submit_to("Work", "&Sleep=2.5");
    wait_until("some sleep", || {
        let status = server.about("Work", "getStatus", &running);
        status.value("slept_ms").is_some_and(|slept| slept.parse::<u64>().unwrap() >= 1_000)
    });
    let counts = server.info("Work", "pause", "").success();
    assert_eq!(counts.must("paused"), "true");
    assert_eq!(server.status_in("Work", &running), "Paused");
    // One slot is free, but nothing may take it.
    let waiting = server.submit_to("Work", "&Name=Ada");

    let before = server.about("Work", "getStatus", &running).success();
    // Other queues go on; what takes longer than a second there is how time is known to pass.
    let other = server.submit_to("Other", "&Sleep=1.2");
    server.wait_in("Other", &other, "Finished");
    let after = server.about("Work", "getStatus", &running).success();
    assert_eq!(after.must("status"), "Paused");
    assert_eq!(after.number("time_processing"), before.number("time_processing"));
    assert_eq!(after.number("time_processing"), 1);
    assert_eq!(after.must("slept_ms"), before.must("slept_ms"));
    assert_eq!(server.status_in("Work", &waiting), "Queued");
    assert_eq!(server.about("Work", "getStatus", &waiting).value("process_start_time"), None);

    // One action may go on although its queue is paused.
    let resumed = server.about("Work", "resume", &running).success();
    assert_eq!(resumed.must("status"), "Processing");
    server.wait_in("Work", &running, "Finished");
    let ended = server.about("Work", "getStatus", &running).success();
    assert_eq!(ended.number("time_processing"), 2, "{}", ended.0);
    assert_eq!(server.status_in("Work", &waiting), "Queued");

    let counts = server.info("Work", "resume", "").success();
    assert_eq!(counts.must("paused"), "false");
    server.wait_in("Work", &waiting, "Finished");
}

#[test]
fn resuming_a_queue_resumes_what_it_paused() {
    let home = Home::new(&config("MaximumThreads=3"));
    let server = home.start();
    let all: Vec<String> = (0..3).map(|_| server.submit_to("Work", "&Sleep=600")).collect();
    all.iter().for_each(|token| server.wait_in("Work", token, "Processing"));
    server.info("Work", "pause", "").success();
    all.iter().for_each(|token| assert_eq!(server.status_in("Work", token), "Paused"));
    let counts = server.info("Work", "queueStatus", "").success();
    assert_eq!(counts.number("running"), 3);
    server.info("Work", "resume", "").success();
    all.iter().for_each(|token| assert_eq!(server.status_in("Work", token), "Processing"));
}

#[test]
fn stop_without_a_token_stops_all_that_runs() {
    let home = Home::new(&config("MaximumThreads=3"));
    let server = home.start();
    let elsewhere = server.submit_to("Other", "&Sleep=600");
    let running: Vec<String> = (0..3).map(|_| server.submit_to("Work", "&Sleep=600")).collect();
    running.iter().for_each(|token| server.wait_in("Work", token, "Processing"));
    server.about("Work", "pause", &running[1]).success();
    let queued: Vec<String> = (0..3).map(|_| server.submit_to("Work", "&Sleep=600")).collect();
    server.info("Work", "stop", "").success();
    for token in &running {
        server.wait_in("Work", token, "Stopped");
    }
    // What waited was not meant, and takes the free slots.
    for token in &queued {
        server.wait_in("Work", token, "Processing");
    }
    assert_eq!(server.status_in("Other", &elsewhere), "Processing");
}

#[test]
fn a_changed_priority_changes_the_order() {
    let home = Home::new(&config("MaximumThreads=1"));
    let server = home.start();
    let blocker = block(&server);
    let queued: Vec<String> = (0..4).map(|_| server.submit_to("Work", "&Sleep=0.02")).collect();
    for (number, priority) in [(2, 10), (3, 5), (0, -1)] {
        let token = &queued[number];
        let rest = format!("&Priority={priority}&Token={token}");
        server.info("Work", "changePriority", &rest).success();
        let shown = server.about("Work", "getStatus", token).must("priority");
        assert_eq!(shown, priority.to_string());
    }
    let position = |n: usize| server.about("Work", "getStatus", &queued[n]).number("position");
    assert_eq!([2, 3, 1, 0].map(position), [1, 2, 3, 4]);
    server.about("Work", "stop", &blocker).success();
    queued.iter().for_each(|token| server.wait_in("Work", token, "Finished"));
    let expected: Vec<u64> =
        [&blocker, &queued[2], &queued[3], &queued[1], &queued[0]].map(|t| id_of(t)).to_vec();
    assert_eq!(started(&server), expected);
}

#[test]
fn many_start_by_priority_and_then_by_arrival() {
    let home = Home::new(&config("MaximumThreads=1"));
    let server = home.start();
    let blocker = block(&server);
    let mut queued: Vec<(i32, u64, String)> = (0..60)
        .map(|number| {
            let priority = number * 7 % 5 - 2;
            let rest = format!("&Sleep=0.005&Priority={priority}");
            let token = server.submit_to("Work", &rest);
            (-priority, id_of(&token), token)
        })
        .collect();
    server.about("Work", "stop", &blocker).success();
    queued.sort();
    for (_, _, token) in &queued {
        server.wait_in("Work", token, "Finished");
    }
    let expected: Vec<u64> =
        [id_of(&blocker)].into_iter().chain(queued.iter().map(|(_, id, _)| *id)).collect();
    assert_eq!(started(&server), expected);
}

/// Nothing new is taken, nor a copy of this action, which needs room just as well.
fn is_full_of_three(server: &Server, token: &str) {
    let (code, description) = server.ask("Work&Name=more").error();
    assert_eq!(code, "ERRORQUEUEFULL");
    assert!(description.contains("Work") && description.contains('3'), "{description}");
    assert!(description.contains("MaxQueueSize"), "{description}");
    assert_eq!(server.about("Work", "duplicate", token).error().0, "ERRORQUEUEFULL");
}

/// Returns the name that the action was given.
fn name_given(server: &Server, token: &str) -> Option<String> {
    let given = server.about("Work", "getActionParameters", token).success();
    given.with(|document| {
        let mut all = document.descendants().filter(|node| node.has_tag_name("parameter"));
        let name = all.find(|node| node.attribute("name") == Some("Name"))?;
        name.attribute("value").map(str::to_owned)
    })
}

/// Two that run and three that wait, with the names of their places: as many as there may be.
fn fill(server: &Server) -> Vec<String> {
    let submit = |place| server.submit_to("Work", &format!("&Sleep=600&Name={place}"));
    let mut all: Vec<String> = (0..2).map(submit).collect();
    all.iter().for_each(|token| server.wait_in("Work", token, "Processing"));
    all.extend((2..5).map(submit));
    is_full_of_three(server, &all[4]);
    all
}

#[test]
fn a_full_queue_refuses_and_can_still_be_steered() {
    let home = Home::new(&config("MaximumThreads=1\nMaxQueueSize=3"));
    let server = home.start();
    let blocker = block(&server);
    let queued: Vec<String> = (0..3).map(|_| server.submit_to("Work", "&Sleep=600")).collect();
    let is_full = || is_full_of_three(&server, &queued[0]);
    is_full();
    let counts = server.info("Work", "queueStatus", "").success();
    assert_eq!((counts.number("pending"), counts.number("running")), (3, 1));

    let rest = format!("&Priority=9&Token={}", queued[2]);
    server.info("Work", "changePriority", &rest).success();
    server.about("Work", "pause", &blocker).success();
    server.about("Work", "resume", &blocker).success();
    server.info("Work", "pause", "").success();
    server.info("Work", "resume", "").success();
    is_full();
    server.about("Work", "cancel", &queued[0]).success();
    let new = server.submit_to("Work", "&Sleep=600");
    assert_eq!(server.status_in("Work", &new), "Queued");
    is_full();
    server.about("Work", "stop", &blocker).success();
    server.wait_in("Work", &queued[2], "Processing");
    server.submit_to("Work", "&Name=room");
    is_full();
}

#[test]
fn a_full_queue_tells_of_its_actions_and_stops_them() {
    let home = Home::new(&config("MaximumThreads=2\nMaxQueueSize=3"));
    let server = home.start();
    let all = fill(&server);
    for (place, token) in all.iter().enumerate() {
        let progress = server.about("Work", "progress", token).success();
        assert_eq!(progress.must("status"), if place < 2 { "Processing" } else { "Queued" });
        assert!(progress.must("percent").parse::<f64>().unwrap() < 100.0, "{}", progress.0);
        assert_eq!(name_given(&server, token), Some(place.to_string()));
    }
    is_full_of_three(&server, &all[4]);

    let stopped = server.about("Work", "stop", &all[3]).success();
    assert_eq!(stopped.must("status"), "Cancelled");
    let new = server.submit_to("Work", "&Sleep=600");
    is_full_of_three(&server, &all[4]);

    server.info("Work", "stop", "").success();
    all[..2].iter().for_each(|token| server.wait_in("Work", token, "Stopped"));
    for token in [&all[2], &all[4]] {
        server.wait_in("Work", token, "Processing");
    }
    assert_eq!(server.status_in("Work", &new), "Queued");
    (0..2).for_each(|_| drop(server.submit_to("Work", "&Sleep=600")));
    is_full_of_three(&server, &new);
}

/// What ran waits again, with those who waited: more than there may be, of which none is lost.
#[test]
fn a_full_queue_that_is_killed_holds_what_ran_besides() {
    let home = Home::new(&config("MaximumThreads=2\nMaxQueueSize=3\nOnRestart=Requeue"));
    let server = home.start();
    let all = fill(&server);
    // So that nothing starts after the restart.
    server.info("Work", "pause", "").success();
    server.kill();

    let server = home.start();
    let counts = || {
        let counts = server.info("Work", "queueStatus", "").success();
        ["pending", "running", "finished"].map(|name| counts.number(name))
    };
    assert_eq!(counts(), [5, 0, 0]);
    // By their ids: the rest of a token names the port, which is another one now.
    let ids = |tokens: &[String]| tokens.iter().map(|token| id_of(token)).collect::<Vec<_>>();
    let mut listed = server.info("Work", "getStatus", "&State=queued").success().values("token");
    listed.sort_by_key(|token| id_of(token));
    assert_eq!(ids(&listed), ids(&all));
    for (place, token) in all.iter().enumerate() {
        let status = server.about("Work", "getStatus", token).success();
        assert_eq!(
            (status.must("status"), status.number("position")),
            ("Queued".into(), place as u64 + 1)
        );
        assert_eq!(name_given(&server, token), Some(place.to_string()));
    }
    is_full_of_three(&server, &all[0]);

    server.info("Work", "changePriority", &format!("&Priority=9&Token={}", all[4])).success();
    assert_eq!(server.about("Work", "cancel", &all[2]).success().must("status"), "Cancelled");
    is_full_of_three(&server, &all[0]);
    assert_eq!(server.about("Work", "stop", &all[3]).success().must("status"), "Cancelled");
    assert_eq!(counts(), [3, 0, 2]);
    is_full_of_three(&server, &all[0]);

    server.info("Work", "resume", "").success();
    for token in [&all[4], &all[0]] {
        server.wait_in("Work", token, "Processing");
    }
    assert_eq!((server.status_in("Work", &all[1]), counts()), ("Queued".into(), [1, 2, 2]));
    let new: Vec<String> = (0..2).map(|_| server.submit_to("Work", "&Sleep=600")).collect();
    is_full_of_three(&server, &all[0]);
    server.info("Work", "stop", "").success();
    for token in [&all[4], &all[0]] {
        server.wait_in("Work", token, "Stopped");
    }
    for token in [&all[1], &new[0]] {
        server.wait_in("Work", token, "Processing");
    }
    assert_eq!((server.status_in("Work", &new[1]), counts()), ("Queued".into(), [1, 2, 4]));
}

#[test]
fn just_so_many_ended_actions_are_kept_the_newest() {
    let home = Home::new(&config("MaximumThreads=1\nMaxFinishedSize=7"));
    let server = home.start();
    let mut tokens = Vec::new();
    for number in 0..25 {
        let rest = if number % 3 == 0 { "&Fail=x" } else { "&Name=x" };
        let token = server.submit_to("Work", rest);
        let ended = if number % 3 == 0 { "Error" } else { "Finished" };
        server.wait_in("Work", &token, ended);
        tokens.push(token);
        let kept = server.info("Work", "getStatus", "&State=finished").success().values("token");
        let newest: Vec<u64> = tokens.iter().rev().take(7).map(|token| id_of(token)).collect();
        assert_eq!(kept.iter().map(|token| id_of(token)).collect::<Vec<_>>(), newest);
        assert_eq!(server.info("Work", "queueStatus", "").number("finished"), newest.len() as u64);
    }
    let (_, description) = server.about("Work", "getStatus", &tokens[17]).error();
    assert!(description.contains("still kept"), "{description}");
    assert!(server.about("Work", "getStatus", &tokens[18]).is_success());
    // What has not ended does not count.
    let blocker = block(&server);
    for _ in 0..20 {
        server.submit_to("Work", "&Sleep=600");
    }
    assert_eq!(server.info("Work", "getStatus", "").success().values("token").len(), 28);
    assert_eq!(server.status_in("Work", &blocker), "Processing");
}

#[test]
fn a_pause_of_the_queue_outlives_a_clean_restart() {
    let home = Home::new(&config("MaximumThreads=2"));
    let server = home.start();
    let running = block(&server);
    server.info("Work", "pause", "").success();
    let queued = server.submit_to("Work", "&Name=Ada");
    server.signal("TERM");
    wait_until("the first signal", || server.ask("GetStatus").must("draining") == "true");
    server.signal_again();
    assert!(server.wait().0.success());
    let server = home.start();
    assert_eq!(server.info("Work", "queueStatus", "").must("paused"), "true");
    // It was running, so it waits again, and nothing starts.
    assert_eq!(server.status_in("Work", &running), "Queued");
    assert_eq!(server.status_in("Work", &queued), "Queued");
    server.info("Work", "resume", "").success();
    server.wait_in("Work", &queued, "Finished");
    server.wait_in("Work", &running, "Processing");
}
