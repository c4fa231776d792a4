//! The database goes away, and comes back.

use std::time::{Duration, Instant};

use super::servers::{Database, LEASE, Servers};
use crate::server::{Reply, Server, wait_until};

/// Time within which a request is answered while the database is away, and as much again for a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A queue of work that runs once, and one of work that may run again.
const QUEUES: &str = "[AsyncActions]\n0=Process\n1=Once\n[Process]\nType=Echo\nMaximumThreads=2\n\
                      [Once]\nType=Echo\nOnRestart=Fail\nMaximumThreads=2\n";

fn get(server: &Server, target: &str) -> Reply {
    let head = "Host: localhost\r\nConnection: close";
    server.send(format!("GET {target} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes())
}

fn is_ok(reply: &Reply) -> bool {
    reply.head.starts_with("HTTP/1.1 200 ")
}

fn is_ready(server: &Server) -> bool {
    is_ok(&get(server, "/health/ready"))
}

/// Every request that needs the database is refused soon, as something that may succeed later.
fn all_are_refused(server: &Server, token: &str) {
    let about = format!("QueueInfo&QueueName=Process&Token={token}&QueueAction=");
    for action in [
        "Process&Name=Ada".to_owned(),
        format!("{about}getStatus"),
        format!("{about}getStatus&Wait=60"),
        format!("{about}stop"),
        "QueueInfo&QueueName=Process&QueueAction=getStatus".to_owned(),
        "QueueInfo&QueueName=Process&QueueAction=queueStatus".to_owned(),
    ] {
        let since = Instant::now();
        let reply = get(server, &format!("/action={action}"));
        assert!(since.elapsed() < AT_ONCE, "{action} took {:?}", since.elapsed());
        assert!(is_ok(&reply), "{action}: {}", reply.head);
        let text = reply.body_text();
        assert!(text.contains("<errorcode>ERRORUNAVAILABLE</errorcode>"), "{action}: {text}");
        assert_eq!(reply.header("retry-after"), Some("1"), "{action}");
    }
    let status = server.ask("GetStatus").success();
    assert_eq!(status.values("ready"), ["false"]);
    assert!(status.must("error").contains("not available"), "{}", status.0);
    assert!(is_ok(&get(server, "/health/live")));
}

/// Nothing that was acknowledged is lost, work that may run once goes on and is told of afterwards, and no server is restarted.
#[test]
fn a_database_that_comes_back_finds_all_as_it_was() {
    let Some(mut database) = Database::own(&[]) else { return };
    let mut servers = Servers::start(&database, 2, QUEUES);
    let ended = servers[0].submit("&Name=Ada");
    servers[1].wait_for_status(&ended, "Finished");
    let runs = servers[0].submit_to("Once", "&Sleep=4");
    servers[0].wait_in("Once", &runs, "Processing");
    servers[0].info("Process", "pause", "").success();
    let waits = servers[1].submit("&Name=Grace");
    assert!(servers.iter().all(is_ready));

    database.cluster_mut().kill();
    servers.iter().for_each(|server| {
        wait_until("a server that is not ready", || !is_ready(server));
        all_are_refused(server, &ended);
    });
    // Longer than the lease is, and than the work lasts.
    let since = Instant::now();
    while since.elapsed() < LEASE + Duration::from_secs(2) {
        servers.iter().for_each(|server| all_are_refused(server, &ended));
    }
    servers.iter().for_each(|server| {
        assert_eq!(server.log_lines("the database is away: "), 1);
        for other in ["queue Process:", "queue Once:", "was not renewed", "is lost"] {
            assert_eq!(server.log_lines(other), 0, "{other}");
        }
    });

    database.cluster_mut().start();
    servers.iter().for_each(|server| {
        wait_until("a server that is ready", || is_ready(server));
        server.wait_for_line(&["INFO", "the database is back after"]);
    });
    assert_eq!(servers[1].outcome("Once", &runs).must("status"), "Finished");
    assert!(servers[0].about("Process", "getStatus", &ended).success().0.contains("Ada"));
    assert_eq!(servers[0].status(&waits), "Queued");
    servers[1].info("Process", "resume", "").success();
    assert_eq!(servers[0].outcome("Process", &waits).must("status"), "Finished");
    (0..servers.len()).for_each(|index| servers.end(index));
}
