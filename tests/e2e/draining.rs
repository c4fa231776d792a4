//! SIGTERM and clients that wait for a reply meanwhile: each gets one before the server is gone.

use std::io::Write as _;
use std::net::TcpStream;

use super::calls::Answer;
use super::server::{Home, Reply, Server, between, wait_until};

/// One HTTP worker: what it is sent first it also begins first.
const CONFIG: &str = "
[Server]
Threads=1
[Actions]
ShutdownGraceSecs=1
StopGraceSecs=1
[AsyncActions]
0=Process
1=Held
[Process]
Type=Echo
MaximumThreads=2
[Held]
Type=Echo
";

/// Long enough for all that must happen, in a test that does not wait for its end.
fn patient() -> String {
    CONFIG.replace("ShutdownGraceSecs=1", "ShutdownGraceSecs=600")
}

/// Sends an action on a connection of its own, without reading the reply.
fn send(server: &Server, action: &str) -> TcpStream {
    let mut stream = server.connect();
    let request = format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn reply(mut stream: TcpStream) -> Answer {
    Answer(Reply::read(&mut stream).body_text())
}

/// Three clients that wait: for an action that runs, as who submitted it and by its token, and for one that waits.
struct Waiting {
    submitted: TcpStream,
    polls: TcpStream,
    queued: TcpStream,
    token: String,
}

impl Waiting {
    fn begin(server: &Server) -> Self {
        server.info("Held", "pause", "").success();
        let token = server.submit("&Sleep=600");
        let wait =
            format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=600&Token={token}");
        let polls = send(server, &wait);
        let submitted = send(server, "Process&Sleep=600&Wait=600");
        let queued = send(server, "Held&Name=queued&Wait=600");
        let counted = |queue: &str, name: &str, number: u64| {
            let what = format!("{name} is {number} in {queue}");
            let count = || server.info(queue, "queueStatus", "").success().number(name);
            wait_until(&what, || count() == number);
        };
        counted("Process", "running", 2);
        counted("Held", "pending", 1);
        Self { submitted, polls, queued, token }
    }

    /// All are answered as if their time were over; the tokens are good after a restart.
    fn are_answered(self, home: &Home, server: Server) {
        let status = reply(self.polls).success();
        assert_eq!(
            (status.must("token"), status.must("status")),
            (self.token, "Queued".to_owned())
        );
        let tokens = [self.submitted, self.queued].map(|stream| {
            let Answer(text) = reply(stream).success();
            assert!(!text.contains("<status>"), "{text}");
            between(&text, "<token>", "</token>").expect("a token").to_owned()
        });
        let (code, log) = server.wait();
        assert_eq!(code.code(), Some(0), "{log:?}");
        let server = home.start();
        server.wait_in("Process", &tokens[0], "Processing");
        assert_eq!(server.status_in("Held", &tokens[1]), "Queued");
    }
}

#[test]
fn clients_that_wait_are_answered_before_the_server_ends() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let waiting = Waiting::begin(&server);
    server.signal("TERM");
    waiting.are_answered(&home, server);
}

#[test]
fn clients_that_wait_are_answered_after_a_second_signal_too() {
    let home = Home::new(&patient());
    let server = home.start();
    let waiting = Waiting::begin(&server);
    server.signal("TERM");
    server.wait_for_draining();
    server.signal_again();
    waiting.are_answered(&home, server);
}

/// An action that runs at once has the same time to end as one that was queued.
#[test]
fn an_action_that_runs_at_once_may_end() {
    let home = Home::new(&patient());
    let server = home.start();
    // Longer than the server waits for connections alone.
    let runs = send(&server, "Process&Sleep=3&Name=Ada&Synchronous=true");
    server.ask("GetStatus").success();
    server.signal("TERM");
    server.wait_for_draining();
    let late = server.ask("Process&Name=late&Synchronous=true").error();
    assert_eq!(late.0, "ERRORUNAVAILABLE");
    let Answer(text) = reply(runs).success();
    assert!(text.contains("Ada"), "{text}");
    let (code, log) = server.wait();
    assert_eq!(code.code(), Some(0), "{log:?}");
}

/// So is each of four, and a fifth, for which there was no room, is refused.
#[test]
fn actions_that_run_at_once_are_stopped_when_their_time_is_over() {
    for (config, signals) in [(CONFIG.to_owned(), 1), (patient(), 2)] {
        let home = Home::new(&config);
        let server = home.start();
        let clients = [(); 5].map(|()| send(&server, "Process&Sleep=600&Sync=true"));
        server.ask("GetStatus").success();
        server.signal("TERM");
        if signals == 2 {
            server.wait_for_draining();
            server.signal_again();
        }
        let mut told = clients.map(|client| reply(client).error());
        told.sort();
        for (code, description) in &told[..4] {
            assert_eq!(code, "ERRORACTIONFAILED");
            assert!(description.contains("interrupted by server shutdown"), "{description}");
        }
        assert_eq!(told[4].0, "ERRORUNAVAILABLE", "{}", told[4].1);
        let (code, log) = server.wait();
        assert_eq!(code.code(), Some(0), "{log:?}");
    }
}
