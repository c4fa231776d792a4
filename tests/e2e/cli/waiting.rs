//! `--wait`: the result, the exit code by the final state, progress as lines, a server that is away for a moment.

use std::process::Stdio;

use super::super::server::wait_until;
use super::{Served, command};

#[test]
fn the_exit_code_is_that_of_the_final_state() {
    let served = Served::start();
    let finished = served.run("send Process Name=Ada --wait");
    assert!(finished.out.contains("status: Finished"), "{finished:?}");
    assert!(finished.ok().contains("value=Ada"));
    let failed = served.run("send Process Fail=no --wait --json");
    assert!(failed.out.contains("\"error\":\"no\""), "{failed:?}");
    failed.failed(3);
    // One that waits, and one that runs.
    let _both = [served.send_running(), served.send_running()];
    let waiting = served.send("Name=Ada");
    served.ok(&format!("cancel {waiting}"));
    served.run(&format!("status --wait {waiting}")).failed(4);
    let running = &_both[0];
    served.ok(&format!("stop {running}"));
    served.run(&format!("status --wait {running} --json")).failed(5);
    let unended = served.run(&format!("status --wait --at-most 0.1 {}", _both[1]));
    let said = unended.failed(9);
    assert!(said.contains("not ended") && said.contains("status --wait"), "{said}");
    let copy = served.run(&format!("duplicate {waiting} --wait"));
    copy.ok();
}

#[test]
fn progress_is_told_in_lines() {
    let served = Served::start();
    let ran = served.run("send Process Sleep=1.2 --wait");
    assert!(ran.err.contains("Processing"), "{ran:?}");
    assert!(!ran.err.contains(['\r', '\u{1b}']), "no bar where it is no terminal: {ran:?}");
    ran.ok();
}

#[test]
fn a_server_that_is_away_for_a_moment_is_asked_again() {
    let served = Served::start();
    let port = served.server.address.port();
    let token = served.send_running();
    let mut waiting = command(&served.url(), &format!("status --wait {token}"));
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_until("it to ask", || {
        let log = served.server.get("/action=GetRequestLog");
        log.contains("getStatus") || log.contains("GetStatus")
    });
    let Served { server, home } = served;
    server.kill();
    let server = home.start_on(port);
    let served = Served { server, home };
    served.ok(&format!("stop {token}"));
    let ended = waiting.wait_with_output().expect("its end");
    assert_eq!(ended.status.code(), Some(5), "{}", String::from_utf8_lossy(&ended.stderr));
}
