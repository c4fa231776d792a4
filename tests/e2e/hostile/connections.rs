//! Too many connections, and slow ones.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::process::Stdio;

use super::super::server::{Home, wait_until};
use super::super::skip::skipped;
use super::*;

#[test]
fn ten_thousand_idle_connections_cost_little() {
    const COUNT: usize = 10_000;
    let allowed = spare_descriptors();
    if allowed < COUNT {
        let why = format!("this test may open no more than {allowed} files (ulimit -n)");
        return skipped(&format!("{COUNT} idle connections"), &why);
    }
    let home = Home::new(&config("RequestTimeout=600"));
    let server = Server::run(home.command_after("ulimit -n $(ulimit -H -n)"));
    others_are_served(&server);
    let (before, own) = (resident(&server), descriptors(&server));
    let mut held = Vec::new();
    for round in 0..2 {
        let idle: Vec<_> = (0..COUNT).map(|_| server.connect()).collect();
        wait_until("all connections", || descriptors(&server) >= own + COUNT - 1);
        others_are_served(&server);
        let now = resident(&server);
        let each = now.saturating_sub(before) * 1024 / COUNT as u64;
        eprintln!("round {round}: {COUNT} idle connections: {now} kB, {each} bytes each");
        assert!(each < 40_000, "{each} bytes for each idle connection");
        held.push(now);
        drop(idle);
        wait_until("their end", || descriptors(&server) <= own + SLACK);
        others_are_served(&server);
    }
    assert!(held[1] < held[0] + held[0] / 5, "it grows: {held:?} kB");
}

#[test]
fn idle_connections_are_closed_by_time() {
    let home = Home::new(&config("RequestTimeout=2\nIdleTimeout=3"));
    let server = home.start();
    others_are_served(&server);
    let own = descriptors(&server);
    let mut silent: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let mut kept: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let began = Instant::now();
    for stream in &mut kept {
        stream.write_all(b"GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert!(Reply::read(stream).body_text().contains("SUCCESS"));
    }
    for stream in &mut kept {
        assert_eq!(rest_of(stream), "");
    }
    assert!(began.elapsed() > Duration::from_secs(2), "they were not kept");
    for stream in &mut silent {
        assert!(rest_of(stream).starts_with("HTTP/1.1 408 "));
    }
    wait_until("the end of all", || descriptors(&server) <= own + SLACK);
}

#[test]
fn a_server_out_of_descriptors_waits_and_recovers() {
    // The limit counts what the server itself needs, which each HTTP worker adds to.
    let home = Home::new(&config("RequestTimeout=600\nThreads=2"));
    let server = Server::run(home.command_after("ulimit -n 64"));
    let mut early = Caller::new(server.address).unwrap();
    early.ask("GetPid").unwrap().success();
    let mut crowd: Vec<_> = (0..200).map(|_| server.connect()).collect();
    wait_until("the limit", || descriptors(&server) >= 62);
    let (began, before) = (Instant::now(), processor_time(&server));
    // Who is in is served, and time passes.
    while began.elapsed() < Duration::from_secs(2) {
        early.ask("GetPid").unwrap().success();
        std::thread::sleep(Duration::from_millis(100));
    }
    let spent = processor_time(&server) - before;
    assert!(spent < 60, "it spins: {spent} hundredths of a second in two");
    early.ask("Process&Name=x").unwrap().success();
    crowd.drain(..190);
    let began = Instant::now();
    server.ask("GetPid").success();
    eprintln!("served again after {:?}", began.elapsed());
    others_are_served(&server);
    drop(crowd);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success());
    assert!(log.len() < 100, "{} lines of log, such as {:?}", log.len(), log.last());
}

#[test]
fn a_server_without_descriptors_for_its_http_threads_ends_and_says_why() {
    // Four for each, so not even half of them can start.
    let home = Home::new(&config("Threads=200"));
    let (status, log) = Server::run(home.command_after("ulimit -n 300")).wait();
    assert_eq!(status.code(), Some(1), "{log:?}");
    let last = log.last().unwrap();
    for word in ["ERROR", "its 200 threads", "ulimit -n", "[Server] Threads"] {
        assert!(last.contains(word), "{last}");
    }
}

#[test]
fn a_server_without_descriptors_for_its_queues_does_not_start() {
    let home = Home::new(&config("Threads=2"));
    let mut without_queues = 0;
    // Each limit ends it elsewhere, until there are enough for all that comes before the HTTP threads.
    for limit in 10..60 {
        let mut command = home.command_after(&format!("ulimit -n {limit}"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut seen = Vec::new();
        let is_up = lines.any(|line| {
            let is_up = line.contains("answers on http://");
            seen.push(line);
            is_up
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!seen.iter().any(|line| line.contains("actiond-queue")), "{limit}: {seen:?}");
        without_queues +=
            usize::from(seen.iter().any(|line| line.contains("a thread can't be started")));
        if is_up {
            break;
        }
    }
    assert!(without_queues > 0, "no limit was met where the queues have none left");
}

/// What slow clients send, a byte at a time, after the first part.
const SLOW: [(&str, &str); 5] = [
    ("", "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n"),
    (
        "GET /action=GetPid HTTP/1.1\r\n",
        "X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
    ),
    ("POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nn=", "z"),
    (
        "POST /action=Process HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "1\r\nz\r\n",
    ),
    (
        "POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\
         Content-Type: multipart/form-data; boundary=B\r\n\r\n--B\r\n",
        "Content-Disposition: form-data; name=\"n\"\r\n\r\nzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    ),
];

#[test]
fn slow_clients_are_told_and_hung_up_on() {
    let home = Home::new(&config("RequestTimeout=2"));
    let server = home.start();
    others_are_served(&server);
    let (before, own) = (resident(&server), descriptors(&server));
    let mut clients = Vec::new();
    for n in 0..100 {
        let (start, rest) = SLOW[n % SLOW.len()];
        let stream = sending(&server, start.as_bytes());
        stream.set_nonblocking(true).unwrap();
        clients.push((stream, n % SLOW.len(), rest.bytes().cycle(), String::new(), false));
    }
    let began = Instant::now();
    while clients.iter().any(|client| !client.4) {
        assert!(began.elapsed() < PATIENCE, "some are still open");
        for (stream, _, rest, got, ended) in clients.iter_mut().filter(|client| !client.4) {
            // Whether this arrives is the server's affair.
            let _ = stream.write(&[rest.next().unwrap()]);
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(0) => *ended = true,
                Ok(count) => got.push_str(&String::from_utf8_lossy(&piece[..count])),
                Err(error) => *ended = error.kind() != ErrorKind::WouldBlock,
            }
        }
        others_are_served(&server);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() > Duration::from_secs(1), "they had no time at all");
    for (_, kind, _, got, _) in &clients {
        if *kind < 2 {
            assert!(got.starts_with("HTTP/1.1 408 "), "{kind}: {got}");
        } else {
            let (number, description) = error_in(got);
            assert_eq!(number, "502");
            assert!(description.contains("RequestTimeout"), "{description}");
        }
    }
    let grown = peak(&server).saturating_sub(before);
    eprintln!("100 slow clients: {grown} kB more");
    assert!(grown < 20_000, "{grown} kB more");
    wait_until("the end of all", || descriptors(&server) <= own + SLACK);
    server.nothing_was_queued("Process");
}

/// A client that keeps sending at an honest pace is not slow, however long it takes.
#[test]
fn a_long_body_at_an_honest_pace_is_taken() {
    let home = Home::new(&config("RequestTimeout=1"));
    let server = home.start();
    let mut stream = sending(&server, head("/action=Process", "Content-Length: 25002").as_bytes());
    stream.write_all(b"n=").unwrap();
    for _ in 0..25 {
        stream.write_all(&[b'x'; 1000]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(Reply::read(&mut stream).body_text().contains("<token>"));
}

#[test]
fn clients_that_do_not_read_are_hung_up_on() {
    let home = Home::new(&config("ReplyTimeout=2"));
    let server = home.start();
    others_are_served(&server);
    let own = descriptors(&server);
    let large = "x".repeat(50_000);
    for _ in 0..400 {
        server.post("Process", &[("Large", &large)]).success();
    }
    wait_until("the end of all", || {
        server.info("Process", "queueStatus", "").number("finished") == 400
    });
    let before = resident(&server);
    let list = "/action=QueueInfo&QueueName=Process&QueueAction=getStatus";
    let request = format!("GET {list} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut deaf: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for stream in &mut deaf {
        stream.write_all(request.as_bytes()).unwrap();
    }
    // The one before them may have counted as open.
    wait_until("the connections", || descriptors(&server) >= own + 39);
    others_are_served(&server);
    wait_until("the end of the deaf", || descriptors(&server) <= own + SLACK);
    let grown = peak(&server).saturating_sub(before);
    eprintln!("40 clients that did not read 20 MB each: {grown} kB more");
    assert!(grown < 100_000, "{grown} kB for lists that nobody reads");
    // Who reads gets all of it.
    let body = server.get(list);
    assert_eq!(body.matches("<token>").count(), 400);
}
