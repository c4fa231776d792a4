//! Refusals, circles, and configurations that can't be used.

use super::super::server::{Home, wait_until};
use super::vendor::{Mood, Vendor};
use super::{to, url_of, wait_for_progress};

#[test]
fn what_is_refused_there_is_refused_here() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    for code in ["ERRORPARAMINVALID", "ERRORPARAMMISSING", "ERRORSOMETHING"] {
        vendor.set_mood(Mood::Refuse(code));
        let ended = server.outcome("Process", &server.submit(""));
        assert_eq!(ended.must("status"), "Error");
        let text = format!("{}: Refused as the test wants it", vendor.url());
        assert_eq!(ended.must("error"), text);
    }
    vendor.set_mood(Mood::Refuse("ERRORQUEUEFULL"));
    let token = server.submit("");
    wait_for_progress(&server, &token, "Refused as the test wants it");
    vendor.set_mood(Mood::Take);
    vendor.wait_for_tasks(1);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn a_server_that_answers_nothing_is_waited_for() {
    let vendor = Vendor::start();
    vendor.set_broken(true);
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    wait_for_progress(&server, &token, &format!("waiting for {}", vendor.url()));
    vendor.set_broken(false);
    vendor.wait_for_tasks(1);
    vendor.set_broken(true);
    wait_for_progress(&server, &token, "waiting for");
    vendor.set_broken(false);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
    assert_eq!(vendor.tasks().len(), 1);
}

/// Where waiting changes nothing the attempt ends, and the next one is made after its time.
#[test]
fn a_server_that_speaks_no_aci_is_not_waited_for_without_end() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=1"));
    let server = home.start();
    for status in [200, 302, 401, 404] {
        vendor.set_pages(Some(status));
        let ended = server.outcome("Process", &server.submit(""));
        assert_eq!(ended.must("status"), "Error", "{status}: {}", ended.0);
        assert!(ended.must("error").contains(&vendor.url()), "{status}: {}", ended.0);
    }
}

#[test]
fn a_server_that_is_not_available_is_waited_for() {
    let vendor = Vendor::start();
    vendor.set_pages(Some(503));
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=1"));
    let server = home.start();
    let token = server.submit("");
    wait_for_progress(&server, &token, "503");
    vendor.set_pages(None);
    vendor.wait_for_tasks(1);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

/// A free port, for a server that is to be configured with its own address.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_circle_is_noticed() {
    let port = free_port();
    let home = Home::new(
        &to(&format!("http://127.0.0.1:{port}"), "")
            .replace("MaximumThreads=100", "MaximumThreads=1"),
    );
    let server = home.start_on(port);
    let ended = server.outcome("Process", &server.submit(""));
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("in a circle"), "{}", ended.0);

    // The same by way of another.
    let other =
        Home::new(&to(&url_of(&server), "").replace("MaximumThreads=100", "MaximumThreads=1"));
    let other = other.start();
    let (server, home) = {
        server.kill();
        std::fs::write(
            home.path().join("test.cfg"),
            to(&url_of(&other), "").replace("MaximumThreads=100", "MaximumThreads=1"),
        )
        .unwrap();
        (home.start_on(port), home)
    };
    let ended = server.outcome("Process", &server.submit(""));
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("in a circle"), "{}", ended.0);
    drop(home);
}

#[test]
fn a_configuration_that_cannot_be_used_stops_the_start() {
    for (lines, words) in [
        ("", "[Process] ForwardTo: is missing"),
        ("ForwardTo=media:14000", "must be URLs such as"),
        ("ForwardTo=http://h:1,http://H:1/", "names http://h:1 twice"),
        ("ForwardTo0=http://h:1\nForwardTo2=http://h:2", "ForwardTo1"),
        ("ForwardTo1=http://h:1", "ForwardTo0"),
        ("ForwardTo0=ftp://h:1", "must be URLs such as"),
        ("ForwardTo=http://h", "lacks the port"),
        ("ForwardTo=http://u:s3cret@h:1", "ForwardTo=***: must be URLs such as"),
        ("ForwardTo=http://h:1\nForwardTo0=http://h:2", "can't stand beside ForwardTo"),
        ("ForwardTo=http://h:1\nOnRestart=Fail", "OnRestart=Fail: has no meaning here"),
        ("ForwardTo=http://h:1\nForwardKeyFile=none.txt", "ForwardKeyFile"),
        ("ForwardTo=http://h:1\nForwardKey=s3 cret", "must be a key of visible ASCII"),
        ("ForwardTo=http://h:1\nForwardKey=s3cret\nForwardKeyFile=test.cfg", "can't stand beside"),
        ("ForwardTo=https://h:1\nForwardCAFile=test.cfg", "can't be used"),
        ("ForwardTo=https://h:1\nForwardCAFile=none.pem", "can't be read"),
        (
            "ForwardTo=http://h:1\nForwardPollMinMs=500\nForwardPollMaxMs=400",
            "must not be more than",
        ),
        ("ForwardTo=http://h:1\nForwardMethod=random", "one of failover, balance"),
    ] {
        let home =
            Home::new(&format!("[AsyncActions]\n0=Process\n[Process]\nType=Forward\n{lines}\n"));
        let output = home.command().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{lines}: {said}");
        assert!(!said.contains("s3"), "{said}");
        assert!(!said.contains("is missing") || lines.is_empty(), "{lines}: {said}");
        assert!(!said.contains("has no effect"), "{lines}: {said}");
    }
}

#[test]
fn a_key_without_encryption_is_a_warning() {
    let home = Home::new(&to("http://10.255.255.1:1", "ForwardKey=s3cret-key"));
    let server = home.start();
    wait_until("the warning", || server.log_lines("without encryption") > 0);
    assert_eq!(server.log_lines("s3cret"), 0);
}
