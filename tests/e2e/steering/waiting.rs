//! `WaitFor`: a request that waits for the start of an action, or for anything that is new of it.

use std::io::Write as _;
use std::net::TcpStream;

use crate::calls::Answer;
use crate::server::{CONFIG, Home, Reply, Server};

/// Asks for the status of an action on a connection of its own, without reading the reply.
pub(crate) fn ask(server: &Server, token: &str, rest: &str) -> TcpStream {
    let mut stream = server.connect();
    let target = format!("/action=QueueInfo&QueueAction=getStatus&Token={token}{rest}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    stream
}

/// Reads the reply, and returns the status word in it.
pub(crate) fn status(mut stream: TcpStream) -> String {
    Answer(Reply::read(&mut stream).body_text()).success().must("status")
}

/// Far longer than a test waits for a reply.
const LONG: &str = "&Wait=3600&WaitFor=";

#[test]
fn a_request_waits_for_the_start() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Process", "pause", "").success();
    let token = server.submit("&Sleep=600");
    assert_eq!(status(ask(&server, &token, "&Wait=0.01&WaitFor=start")), "Queued");
    let waiting = [
        ask(&server, &token, &format!("{LONG}start")),
        ask(&server, &token, &format!("{LONG}CHANGE")),
    ];
    server.info("Process", "resume", "").success();
    for stream in waiting {
        // It may look only after the start: then the one has what it waits for, and the other hears of the progress.
        assert_eq!(status(stream), "Processing");
    }
    // An action that is cancelled does not wait any more, either.
    server.info("Process", "pause", "").success();
    let token = server.submit("");
    let waiting = ask(&server, &token, &format!("{LONG}start"));
    server.about("Process", "cancel", &token).success();
    assert_eq!(status(waiting), "Cancelled");
}

#[test]
fn a_request_waits_for_a_change() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    // Its progress goes on by itself.
    assert_eq!(status(ask(&server, &token, &format!("{LONG}change"))), "Processing");
    server.about("Process", "pause", &token).success();
    let waiting = ask(&server, &token, &format!("{LONG}change"));
    server.about("Process", "stop", &token).success();
    let changed = status(waiting);
    assert!(["Stopping", "Stopped"].contains(&changed.as_str()), "{changed}");
    server.outcome("Process", &token);
    for what in ["start", "change", "end"] {
        assert_eq!(status(ask(&server, &token, &format!("{LONG}{what}"))), "Stopped", "{what}");
    }
}

#[test]
fn a_word_for_nothing_is_an_error() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("");
    let reply = server.about("Process", "getStatus", &format!("{token}&Wait=5&WaitFor=begin"));
    let (code, told) = reply.error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(told.contains("WaitFor") && told.contains("start, change, end"), "{told}");
}
