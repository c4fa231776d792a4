//! `examples/aci_app.rs`, which is where an application of somebody else begins: it is run as it stands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::calls::Answer;
use super::server::{Home, Reply, Server, wait_until};

/// Builds the example as these tests were built, so that it is mostly there, and returns where it is.
fn built() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--example", "aci_app"]);
    if cfg!(feature = "fuzzing") {
        cargo.arg("--all-features");
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
    assert!(status.success(), "the example does not build");
    let directory = Path::new(env!("CARGO_BIN_EXE_actiond")).parent().expect("a directory");
    directory.join("examples/aci_app")
}

fn start(home: &Home) -> Server {
    let mut command = Command::new(built());
    command.arg("0").arg(home.data()).current_dir(home.path());
    Server::run(command)
}

/// Sends a request without a body and returns what is in the reply.
fn ask(server: &Server, method: &str, target: &str) -> String {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    server.send(request.as_bytes()).body_text()
}

fn about(token: &str, rest: &str) -> String {
    format!("/aci/action=QueueInfo&QueueName=Greet&QueueAction=getStatus&Token={token}{rest}")
}

#[test]
fn the_example_works_as_it_says_and_answers_waiting_clients_before_it_ends() {
    let home = Home::new("");
    let server = start(&home);
    assert_eq!(ask(&server, "GET", "/"), "Greetings: no actions\n");

    // A token of its own route is one that the endpoint knows.
    let token = ask(&server, "POST", "/greetings/Ada");
    let status = Answer(ask(&server, "GET", &about(&token, "&Wait=60"))).success();
    assert_eq!(
        (status.must("status"), status.must("greeting")),
        ("Finished".into(), "Hello, Ada".into())
    );
    assert_eq!(status.must("token"), token);
    // No form of another page may use its own route.
    let form = "POST /greetings/Ada HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n";
    let reply = server.send(form.as_bytes());
    assert!(reply.head.starts_with("HTTP/1.1 403"), "{}", reply.head);
    assert!(reply.body_text().contains("Permission denied"), "{}", reply.body_text());
    // An error that `?` has made a failure.
    let failed = Answer(ask(&server, "GET", "/aci/action=Greet&Seconds=soon&Wait=60")).success();
    assert_eq!(failed.must("status"), "Error");
    assert!(failed.0.contains("invalid digit found in string"), "{}", failed.0);
    // Connections stay open for as long as replies say.
    let reply = server.send(b"GET /aci/action=GetPid HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(reply.header("keep-alive"), Some("timeout=28"));

    let token = ask(&server, "POST", "/greetings/Eve?seconds=600");
    let mut polls = server.connect();
    let mut submits = server.connect();
    for (stream, target) in [
        (&mut polls, about(&token, "&Wait=600")),
        (&mut submits, "/aci/action=Greet&Name=Bob&Wait=600".to_owned()),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is sent");
    }
    let counts = "Greetings: 1 Queued, 1 Processing, 1 Finished, 1 Error\n";
    wait_until(counts, || ask(&server, "GET", "/") == counts);
    server.signal("TERM");
    let polled = Answer(Reply::read(&mut polls).body_text()).success();
    assert_eq!((polled.must("token"), polled.must("status")), (token.clone(), "Queued".into()));
    let bob = Answer(Reply::read(&mut submits).body_text()).success().must("token");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:?}");

    // It runs again after a restart, and the tokens are good.
    let server = start(&home);
    let status = Answer(ask(&server, "GET", &about(&token, ""))).success();
    assert_eq!(status.must("status"), "Processing");
    assert_eq!(Answer(ask(&server, "GET", &about(&bob, ""))).success().must("status"), "Queued");
    server.signal("INT");
    assert!(server.wait().0.success());
}
