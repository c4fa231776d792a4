//! After known work the counters have exactly the known values.

use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Scrape;
use crate::server::{Home, Reply, Server, wait_until};

const CONFIG: &str = "
[AsyncActions]
0=Process
1=Narrow
[Process]
Type=Echo
MaximumThreads=2
[Narrow]
Type=Echo
MaxQueueSize=1
MaxAttempts=2
RetryDelaySecs=0
";

/// Values of single series, by their names without `actiond_`.
fn assert_values(scrape: &Scrape, values: &[(&str, f64)]) {
    for (series, value) in values {
        let found = scrape.value(&format!("actiond_{series}"));
        assert_eq!(found, *value, "{series}");
    }
}

#[test]
fn what_was_done_is_counted_and_what_is_there_is_shown() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let finished: Vec<_> = (0..3).map(|_| server.submit("&Name=Ada")).collect();
    let failed: Vec<_> = (0..2).map(|_| server.submit("&Fail=no")).collect();
    finished.iter().for_each(|token| server.wait_for_status(token, "Finished"));
    failed.iter().for_each(|token| server.wait_for_status(token, "Error"));
    let stopped = server.submit("&Sleep=600");
    server.wait_for_status(&stopped, "Processing");
    server.about("Process", "stop", &stopped).success();
    server.wait_for_status(&stopped, "Stopped");
    let running = server.submit("&Sleep=600");
    server.wait_for_status(&running, "Processing");
    server.info("Process", "pause", "").success();
    let cancelled = server.submit("&Name=Ada");
    server.about("Process", "cancel", &cancelled).success();
    (0..4).for_each(|_| drop(server.submit("&Name=waits")));

    // What follows a commit is told a moment after it can be read.
    let ended = "actiond_actions_ended_total{queue=\"Process\",outcome=\"stopped\"}";
    let scrape = Scrape::wait_for(&server, ended, 1.0);
    assert_values(
        &scrape,
        &[
            ("ready", 1.0),
            ("draining", 0.0),
            ("actions{queue=\"Process\",state=\"queued\"}", 4.0),
            ("actions{queue=\"Process\",state=\"finished\"}", 3.0),
            ("actions{queue=\"Process\",state=\"error\"}", 2.0),
            ("actions{queue=\"Process\",state=\"stopped\"}", 1.0),
            ("actions{queue=\"Process\",state=\"cancelled\"}", 1.0),
            // A pause of the queue pauses what runs.
            ("actions{queue=\"Process\",state=\"paused\"}", 1.0),
            ("actions{queue=\"Process\",state=\"processing\"}", 0.0),
            ("actions{queue=\"Narrow\",state=\"queued\"}", 0.0),
            ("actions_submitted_total{queue=\"Process\"}", 12.0),
            ("actions_submitted_total{queue=\"Narrow\"}", 0.0),
            ("attempts_total{queue=\"Process\"}", 7.0),
            ("actions_ended_total{queue=\"Process\",outcome=\"finished\"}", 3.0),
            ("actions_ended_total{queue=\"Process\",outcome=\"error\"}", 2.0),
            ("actions_ended_total{queue=\"Process\",outcome=\"cancelled\"}", 1.0),
            ("action_wait_seconds_count{queue=\"Process\"}", 7.0),
            // The one that was cancelled never ran, and one still runs.
            ("action_run_seconds_count{queue=\"Process\"}", 6.0),
            ("action_run_seconds_count{queue=\"Narrow\"}", 0.0),
            ("slots{queue=\"Process\"}", 2.0),
            ("slots_used{queue=\"Process\"}", 1.0),
            ("slots{queue=\"Narrow\"}", 1.0),
            ("slots_used{queue=\"Narrow\"}", 0.0),
            ("queue_paused{queue=\"Process\"}", 1.0),
            ("queue_paused{queue=\"Narrow\"}", 0.0),
            ("queue_up{queue=\"Process\"}", 1.0),
            ("queue_limit{queue=\"Process\"}", f64::INFINITY),
            ("queue_limit{queue=\"Narrow\"}", 1.0),
            ("inbox_depth{queue=\"Process\"}", 0.0),
            ("stale_reports_total{queue=\"Process\"}", 0.0),
            ("store_available", 1.0),
            ("http_requests_total{port=\"aci\",action=\"Process\",outcome=\"success\"}", 12.0),
            ("http_requests_total{port=\"aci\",action=\"Process\",outcome=\"error\"}", 0.0),
            ("http_request_duration_seconds_count{port=\"aci\",action=\"Process\"}", 12.0),
        ],
    );
    // Each commit has at least the submissions, or one of the commands and ends.
    let changes = scrape.value("actiond_commit_changes_sum");
    assert!(changes >= 12.0 + 7.0 + 6.0, "{changes}");
    let commits = scrape.value("actiond_commit_changes_count");
    assert_eq!(commits, scrape.value("actiond_commit_duration_seconds_count"));
    assert!(commits >= 6.0, "{commits}");

    // Counters begin again with each process, and gauges are right at once.
    server.kill();
    let server = home.start();
    let scrape = Scrape::wait_for(&server, "actiond_ready", 1.0);
    assert_values(
        &scrape,
        &[
            // The one that ran waits again.
            ("actions{queue=\"Process\",state=\"queued\"}", 5.0),
            ("actions{queue=\"Process\",state=\"paused\"}", 0.0),
            ("actions_requeued_total{queue=\"Process\",reason=\"interrupted\"}", 1.0),
            ("actions{queue=\"Process\",state=\"finished\"}", 3.0),
            ("actions_submitted_total{queue=\"Process\"}", 0.0),
            ("attempts_total{queue=\"Process\"}", 0.0),
            ("actions_ended_total{queue=\"Process\",outcome=\"finished\"}", 0.0),
            ("queue_paused{queue=\"Process\"}", 1.0),
        ],
    );
}

#[test]
fn attempts_that_failed_count_as_put_back_and_refusals_by_their_reasons() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Narrow", "&Fail=no");
    server.wait_in("Narrow", &token, "Error");
    let ended = "actiond_actions_ended_total{queue=\"Narrow\",outcome=\"error\"}";
    let scrape = Scrape::wait_for(&server, ended, 1.0);
    assert_values(
        &scrape,
        &[
            ("attempts_total{queue=\"Narrow\"}", 2.0),
            ("actions_requeued_total{queue=\"Narrow\",reason=\"failed\"}", 1.0),
            ("actions_requeued_total{queue=\"Narrow\",reason=\"asked\"}", 0.0),
            // It has waited for its first start only once.
            ("action_wait_seconds_count{queue=\"Narrow\"}", 1.0),
            ("action_run_seconds_count{queue=\"Narrow\"}", 1.0),
        ],
    );

    server.info("Narrow", "pause", "").success();
    server.submit_to("Narrow", "&Name=waits");
    for _ in 0..3 {
        assert_eq!(server.ask("Narrow&Name=more").error().0, "ERRORQUEUEFULL");
    }
    for _ in 0..2 {
        assert_eq!(server.ask("Nothing").error().0, "ERRORNOTIMPLEMENTED");
    }
    assert_eq!(server.ask("GetRequestLog&Tail=x").error().0, "ERRORPARAMINVALID");
    // A form of a page of another server, and a method that there is not.
    let page =
        "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n";
    server.send(page.as_bytes());
    server.send(b"PUT /action=GetPid HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let scrape = Scrape::of(&server);
    let requests = |action: &str, outcome: &str| {
        let labels = format!("{{port=\"aci\",action=\"{action}\",outcome=\"{outcome}\"}}");
        scrape.value(&format!("actiond_http_requests_total{labels}"))
    };
    assert_eq!((requests("Narrow", "success"), requests("Narrow", "error")), (2.0, 3.0));
    assert_eq!((requests("unknown", "success"), requests("unknown", "error")), (0.0, 4.0));
    assert_eq!(requests("GetRequestLog", "error"), 1.0);
    let refused =
        |reason: &str| scrape.value(&format!("actiond_http_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!((refused("queue_full"), refused("unknown_action")), (3.0, 2.0));
    assert_eq!((refused("invalid"), refused("web_page"), refused("permission")), (2.0, 1.0, 0.0));
}

/// A client that leaves while it waits is counted as one that has gone.
#[test]
fn clients_that_leave_and_connections_are_counted() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    let open = "actiond_http_connections";
    // That of the scrape itself.
    Scrape::wait_for(&server, open, 1.0);
    let mut idle: Vec<_> = (0..5).map(|_| server.connect()).collect();
    Scrape::wait_for(&server, open, 6.0);
    let waits = format!(
        "GET /action=QueueInfo&QueueName=Process&QueueAction=getStatus&Token={token}&Wait=600 HTTP/1.1\r\n\
         Host: localhost\r\n\r\n"
    );
    let mut waiting = server.connect();
    std::io::Write::write_all(&mut waiting, waits.as_bytes()).unwrap();
    // Another request on a connection of its own was answered after it: it is under way.
    Scrape::wait_for(&server, open, 7.0);
    let gone = "actiond_http_requests_total{port=\"aci\",action=\"QueueInfo\",outcome=\"gone\"}";
    assert_eq!(Scrape::of(&server).value(gone), 0.0);
    // Reset, so that the server need not wait for what its client might still read.
    SockRef::from(&waiting).set_linger(Some(Duration::ZERO)).unwrap();
    drop((waiting, idle.split_off(2)));
    Scrape::wait_for(&server, gone, 1.0);
    Scrape::wait_for(&server, open, 3.0);
    drop(idle);
    Scrape::wait_for(&server, open, 1.0);
}

#[test]
fn a_shutdown_is_seen() {
    let home = Home::new(&format!("[Actions]\nShutdownGraceSecs=600\n{CONFIG}"));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    server.signal("TERM");
    let scrape = Scrape::wait_for(&server, "actiond_draining", 1.0);
    assert_eq!(scrape.value("actiond_ready"), 0.0);
    server.signal_again();
    assert!(server.wait().0.success());
}

/// The figures of the process are those that the system shows of it.
#[cfg(target_os = "linux")]
#[test]
fn the_process_and_its_database_are_measured() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let before = Scrape::of(&server);
    let read = Instant::now();
    (0..50).for_each(|_| drop(server.submit(&format!("&Name={}", "x".repeat(20_000)))));
    let scrape = Scrape::of(&server);
    if read.elapsed() < Duration::from_secs(4) {
        let sizes = [&before, &scrape].map(|scrape| scrape.value("actiond_database_bytes"));
        assert_eq!(sizes[0], sizes[1], "it is not read again at each scrape");
    }
    let fds = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let open = scrape.value("process_open_fds");
    assert!((open - fds as f64).abs() <= 3.0, "{open} and {fds}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    let told = scrape.value("process_resident_memory_bytes") / 1024.0;
    assert!((told / resident - 1.0).abs() < 0.5, "{told} and {resident}");
    assert!(scrape.value("process_cpu_seconds_total") > 0.0);
    assert!(scrape.value("process_max_fds") >= open);
    let now = server.ask("GetVersion").number("epoch") as f64;
    let age = now - scrape.value("process_start_time_seconds");
    assert!((-2.0..120.0).contains(&age), "{age}");
    assert!(scrape.value("actiond_uptime_seconds") < age + 2.0);
    let disk = scrape.value("actiond_database_disk_bytes");
    let free = scrape.value("actiond_database_disk_free_bytes");
    assert!(disk > free && free > 0.0, "{disk} {free}");
    assert!(before.value("actiond_database_bytes") > 0.0);
    // It is read again every few seconds, and so is how long actions wait.
    let oldest = |queue: &str| format!("actiond_queue_oldest_waiting_seconds{{queue=\"{queue}\"}}");
    assert_eq!(before.value(&oldest("Process")), 0.0);
    server.info("Process", "pause", "").success();
    for priority in ["&Priority=9", "", "&Priority=-9"] {
        server.submit(priority);
    }
    wait_until("a database with 50 actions of 20 KB, and some that wait", || {
        let scrape = Scrape::of(&server);
        let bytes = scrape.value("actiond_database_bytes");
        bytes > 1_000_000.0 && scrape.value(&oldest("Process")) > 0.0
    });
    let scrape = Scrape::of(&server);
    assert!(scrape.value("actiond_database_log_bytes") > 0.0);
    assert!(scrape.value(&oldest("Process")) < scrape.value("actiond_uptime_seconds"));
    assert_eq!(scrape.value(&oldest("Narrow")), 0.0);
}

/// A reply in the form that Prometheus asks for, and in the other for those who do not.
#[test]
fn both_forms_say_the_same() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let ask = |server: &Server, method: &str, accept: &str| -> Reply {
        let head = format!(
            "{method} /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}Connection: close\r\n\r\n"
        );
        server.send(head.as_bytes())
    };
    let text = ask(&server, "GET", "");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("cache-control"), Some("no-store"));
    assert_eq!(text.header("x-content-type-options"), Some("nosniff"));
    let open =
        ask(&server, "GET", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n");
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let (text, open) = (text.body_text(), open.body_text());
    let open = open.strip_suffix("# EOF\n").expect("its end");
    // Bounds of buckets are written as 5 in one and as 5.0 in the other.
    let names = |text: &str| -> Vec<String> {
        let series = Scrape::read(text.to_owned()).series.into_keys();
        series.filter(|series| !series.contains("le=")).collect()
    };
    assert_eq!(names(&text), names(open));
}

#[test]
fn it_is_read_and_never_written_to() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let mut stream = server.connect();
    std::io::Write::write_all(
        &mut stream,
        b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let all = crate::server::rest_of(&mut stream);
    let (head, body) = all.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{all}");
    assert!(head.to_ascii_lowercase().contains("content-length: "), "{head}");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!(
            "{method} /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\nConnection: close\r\n\r\naction=Process"
        );
        let reply = server.send(request.as_bytes());
        assert!(reply.head.starts_with("HTTP/1.1 405 "), "{method}: {}", reply.head);
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
    server.nothing_was_queued("Process");
    // What is behind the name does not matter.
    assert!(server.get("/metrics?x=y").contains("actiond_ready 1"));
    let began = Instant::now();
    drop(Scrape::of(&server));
    assert!(began.elapsed() < Duration::from_secs(5), "a scrape waits for nothing");
}
