//! Clients that ask for more of HTTP than ACI needs, or break off in the middle of it.

use super::super::server::{Home, wait_until};
use super::*;

/// Longer than any test takes: nothing ends by a time-out.
const PATIENT: &str = "RequestTimeout=600\nReplyTimeout=600\nIdleTimeout=600";

/// Sends a request and closes at once with a reply unread, which resets the connection.
fn send_and_reset(server: &Server, request: &str) {
    let mut stream = sending(server, b"GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(stream.peek(&mut [0]).unwrap() > 0, "no reply to leave unread");
    stream
        .write_all(format!("GET {request} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
        .unwrap();
}

/// All that waits, or is done, for a client that reset its connection ends with it, however patient the server is.
#[test]
fn a_reset_ends_what_was_asked_for() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    others_are_served(&server);
    let own = descriptors(&server);
    for _ in 0..60 {
        send_and_reset(&server, "/action=Process&Sleep=3600&Sync=true");
    }
    wait_until("the end of the resets", || descriptors(&server) <= own + SLACK);
    // Whoever runs at once has one of few places: they are free again.
    assert!(server.ask("Process&Name=Ada&Sync=true").is_success());

    let token = server.submit("&Sleep=3600");
    let wait = "/action=QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=3600";
    for _ in 0..60 {
        send_and_reset(&server, &format!("{wait}&Token={token}"));
    }
    wait_until("the end of the waits", || descriptors(&server) <= own + SLACK);
}

/// Some HTTP libraries offer HTTP/2 with each request. The connection can't be kept then, and is not lost without a word.
#[test]
fn an_offer_of_http_2_is_ignored() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let mut stream = server.connect();
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA";
    let body = "action=Process&Name=Ada";
    let request = format!("{}{body}", head("/", &format!("{offer}\r\nContent-Length: 23")));
    stream.write_all(request.as_bytes()).unwrap();
    let reply = Reply::read(&mut stream);
    assert!(reply.body_text().contains("<token>"), "{}", reply.body_text());
    assert_eq!(reply.header("connection"), Some("close"), "{}", reply.head);
    assert_eq!(rest_of(&mut stream), "");
}

#[test]
fn tunnels_and_web_sockets_are_refused_at_once() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let socket = "Connection: Upgrade\r\nUpgrade: websocket";
    for (start, named) in [
        (
            format!("GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n{socket}\r\n\r\n"),
            "websocket",
        ),
        (head("/action=Process", &format!("{socket}\r\nContent-Length: 900000")), "websocket"),
        ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n".to_owned(), "CONNECT"),
    ] {
        let mut stream = sending(&server, start.as_bytes());
        let (number, description) = error_in(&rest_of(&mut stream));
        assert_eq!(number, "502");
        assert!(description.contains(named), "{description}");
    }
    others_are_served(&server);
    server.nothing_was_queued("Process");
}

/// Health checks, link checkers and browsers use these; they must not submit or stop anything.
#[test]
fn only_get_and_post_do_anything() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let mut stream = server.connect();
    for method in ["HEAD", "OPTIONS"] {
        let request = format!("{method} /action=Process HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let reply = Reply::read(&mut stream);
        assert!(reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
        assert_eq!(reply.header("allow"), Some("GET, POST"));
        assert_eq!(reply.body_text(), "");
    }
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "get", "BREW"] {
        let request = format!("{method} /action=Process HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (code, description) =
            answer(&server, request.as_bytes(), Duration::from_secs(3)).error();
        assert_eq!(code, "ERRORPARAMINVALID");
        assert!(description.contains(method) && description.contains("GET or POST"));
    }
    server.nothing_was_queued("Process");
}

/// A chunk that is none: the request is refused, and those before it on the same connection are answered all the same.
#[test]
fn a_broken_chunk_is_told_and_takes_no_other_with_it() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    for (n, broken) in
        ["zz\r\nx", "1\nx\n", "1\r\nxyz\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"].iter().enumerate()
    {
        let mut stream = server.connect();
        let good = "GET /action=Process&Name=Ada HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let bad = head("/action=Process", "Transfer-Encoding: chunked");
        stream.write_all(format!("{good}{bad}{broken}").as_bytes()).unwrap();
        let first = Reply::read(&mut stream).body_text();
        assert!(first.contains("<token>"), "before {broken:?}: {first}");
        let (number, description) = error_in(&rest_of(&mut stream));
        assert_eq!(number, "502");
        assert!(description.contains("broke off"), "{broken:?}: {description}");
        wait_until("the good one alone", || {
            server.info("Process", "queueStatus", "").number("finished") == n as u64 + 1
        });
    }
}
