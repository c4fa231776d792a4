//! The reload by the service port: what SIGHUP does, with a reply.

use super::ServicePort;
use crate::server::{Home, Server, wait_until};

fn config(server: &str, queue: &str) -> String {
    format!(
        "[Server]\n{server}\n[Service]\nServicePort=0\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n{queue}\n"
    )
}

/// Returns how many actions wait and run.
fn counts(server: &Server) -> [u64; 2] {
    let status = server.info("Process", "queueStatus", "").success();
    ["pending", "running"].map(|count| status.number(count))
}

#[test]
fn more_threads_start_what_waits_and_an_error_changes_nothing() {
    let home = Home::new(&config("", "MaximumThreads=1"));
    let server = home.start();
    let port = ServicePort::of(&server);
    for _ in 0..6 {
        server.submit("&Sleep=600");
    }
    wait_until("one that runs", || counts(&server) == [5, 1]);
    let told = port.ask("ReloadConfig");
    assert_eq!((told.response.as_str(), told.data.as_str()), ("SUCCESS", ""), "nothing is new");

    home.configure(&config("", "MaximumThreads=3"));
    let told = port.ask("ReloadConfig");
    assert_eq!((told.action.as_str(), told.response.as_str()), ("RELOADCONFIG", "SUCCESS"));
    assert_eq!(told.lines("changed"), ["[Process] MaximumThreads=3 (before: 1)"]);
    assert_eq!(told.data.trim().lines().count(), 1, "{told:?}");
    wait_until("three that run", || counts(&server) == [3, 3]);
    server.wait_for_line(&[
        "INFO",
        "ReloadConfig: [Process] MaximumThreads=3 (before: 1) is in force",
    ]);

    // What needs a restart, and what is only suspect, is told beside it.
    home.configure(&config("Port=7001", "MaximumThreads=4\nMaximumTreads=5"));
    let told = port.post("reloadconfig");
    assert_eq!(told.lines("changed"), ["[Process] MaximumThreads=4 (before: 3)"]);
    assert_eq!(told.lines("restart"), ["[Server] Port=7001 (before: 7000) needs a restart"]);
    let warnings = told.lines("warning");
    assert!(warnings.len() == 1 && warnings[0].contains("MaximumTreads"), "{told:?}");
    wait_until("four that run", || counts(&server) == [2, 4]);
    assert!(port.text("GetConfig").contains("MaximumThreads=4\n"));
    assert!(port.text("GetConfig").contains("Port=7000\n"), "what is in force is shown");

    let bad = config("Port=<x>", "MaximumThreads=6");
    home.configure(&bad);
    let told = port.ask("ReloadConfig");
    let why = told.error();
    assert!(
        why.contains("nothing was changed: ")
            && why.contains("test.cfg:2: [Server] Port=<x>: must be"),
        "{why}"
    );
    server.wait_for_line(&["ERROR", "ReloadConfig: nothing was changed: ", "Port=<x>"]);
    assert_eq!(counts(&server), [2, 4]);
    assert_eq!(server.ask("GetStatus").success().must("maximumthreads"), "4");
}

/// A client that does not wait for its reply has its reload, whole.
#[test]
fn a_reload_is_done_also_if_nobody_waits_for_it() {
    let home = Home::new(&config("", "MaximumThreads=1"));
    let server = home.start();
    let port = ServicePort::of(&server);
    for threads in 2..12 {
        home.configure(&config("", &format!("MaximumThreads={threads}\nMaxQueueSize={threads}")));
        drop(port.begin("ReloadConfig"));
        server.wait_for_line(&[&format!("[Process] MaxQueueSize={threads} ")]);
        let shown = port.text("GetConfig");
        assert!(shown.contains(&format!("MaximumThreads={threads}\n")), "{shown}");
    }
}

/// It answers while the server drains, as all of the port does.
#[test]
fn a_draining_server_can_be_given_less_patience() {
    let home = Home::new(&config("", "[Actions]\nShutdownGraceSecs=600\nStopGraceSecs=1"));
    let server = home.start();
    let port = ServicePort::of(&server);
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    assert_eq!(port.ask("Stop").response, "SUCCESS");
    server.wait_for_draining();
    assert_eq!(port.ask("GetStatus").response, "Stopping");
    home.configure(&config("", "[Actions]\nShutdownGraceSecs=599\nStopGraceSecs=1"));
    let told = port.ask("ReloadConfig");
    assert_eq!(told.lines("changed"), ["[Actions] ShutdownGraceSecs=599 (before: 600)"]);
    server.signal_again();
    assert!(server.wait().0.success());
}
