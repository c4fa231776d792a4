//! What replies say about how long their connection stays open.

use super::*;
use crate::server::rest_of;

/// Sends a request and returns the header of its reply, with what it says of the connection.
fn said(stream: &mut TcpStream, request: &str) -> (Option<String>, Option<String>) {
    let reply = exchange(stream, request.as_bytes());
    let header = |name| reply.header(name).map(ToOwned::to_owned);
    (header("keep-alive"), header("connection"))
}

fn server(idle: &str) -> (Home, Server) {
    let home = Home::new(&format!("{ECHOES}\n[Server]\n{idle}\n"));
    let server = home.start();
    (home, server)
}

/// Two seconds less than the server waits, so that no request meets its end; and never 0, which some take for no limit: it
/// waits for two seconds at least.
#[test]
fn replies_say_how_long_a_connection_may_be_idle() {
    for (setting, wanted) in [
        ("", "timeout=73"),
        ("IdleTimeout=10", "timeout=8"),
        ("IdleTimeout=2", "timeout=1"),
        ("IdleTimeout=1", "timeout=1"),
    ] {
        let (_home, server) = server(setting);
        let (header, _) =
            said(&mut server.connect(), "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(header.as_deref(), Some(wanted), "{setting}");
    }
}

#[test]
fn a_connection_is_kept_longer_than_replies_say() {
    let (_home, server) = server("IdleTimeout=1");
    let mut stream = server.connect();
    let began = std::time::Instant::now();
    said(&mut stream, "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(rest_of(&mut stream), "");
    assert!(began.elapsed() > std::time::Duration::from_millis(1_200), "{:?}", began.elapsed());
}

#[test]
fn every_reply_says_so_on_a_connection_that_stays_open() {
    let (_home, server) = server("");
    let mut stream = server.connect();
    let list = "/action=QueueInfo&QueueName=Process&QueueAction=getStatus";
    let submit = "action=Process&n=1";
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n".to_owned(),
        "GET /action=Wobble HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{submit}",
            submit.len()
        ),
        format!("GET {list} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        "GET /a=getpid HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
    ] {
        let (header, connection) = said(&mut stream, &request);
        assert_eq!(header.as_deref(), Some("timeout=73"), "{request}");
        assert_ne!(connection.as_deref(), Some("close"), "{request}");
    }
}

#[test]
fn no_reply_says_so_on_a_connection_that_ends() {
    let (_home, server) = server("MaxFileUploadSize=1000");
    for request in [
        "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /a=getpid HTTP/1.0\r\n\r\n".to_owned(),
        "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            .to_owned(),
        "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000)),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n".to_owned(),
    ] {
        let mut stream = server.connect();
        let (header, _) = said(&mut stream, &request);
        let shown = &request[..request.len().min(100)];
        assert_eq!(header, None, "{shown}");
        assert_eq!(rest_of(&mut stream), "", "{shown}");
    }
}

/// Whoever waits until the server shuts down finds the connection closed next.
#[test]
fn a_reply_of_a_server_that_ends_does_not_promise_more() {
    let short = "Durability=normal\nShutdownGraceSecs=0\nStopGraceSecs=1";
    let home = Home::new(&ECHOES.replace("Durability=normal", short));
    let server = home.start();
    let mut stream = server.connect();
    let request = "GET /action=Process&Sleep=600&Wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let client = Client::of(&server);
    wait_until("the action", || {
        client.queue_info("Process", "QueueAction=queueStatus").text("responsedata/running") == "1"
    });
    server.signal("TERM");
    let reply = Reply::read(&mut stream);
    assert!(aci(&reply).has("responsedata/token"));
    assert_eq!(reply.header("keep-alive"), None, "{}", reply.head);
    assert!(server.wait().0.success());
}
