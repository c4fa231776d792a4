//! Who gets what, and when.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::super::hostile::processor_time;
use super::super::server::{Home, Server};
use super::{Begun, CONFIG, Work, take, take_one, wait_for_workers};

fn running(server: &Server, queue: &str) -> u64 {
    server.info(queue, "queueStatus", "").success().number("running")
}

#[test]
fn a_worker_gets_all_that_it_needs() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Render", "&Scene=castle%26sky&Priority=7");
    let answer = server.ask("QueueWork&WorkAction=take&QueueName=render&Worker=w1").success();
    for (name, value) in
        [("queue", "Render"), ("attempt", "1"), ("leasesecs", "30"), ("priority", "7")]
    {
        assert_eq!(answer.must(name), value, "{}", answer.0);
    }
    assert_eq!(answer.must("token"), token);
    assert!(
        answer.0.contains("<parameters><parameter name=\"Scene\" value=\"castle&amp;sky\"/>"),
        "{}",
        answer.0
    );
    let status = server.about("Render", "getStatus", &token);
    assert_eq!((status.must("status"), status.must("worker")), ("Processing".into(), "w1".into()));
    status.number("last_word");
    let history = server.info("Render", "getStatus", &format!("&Token={token}&History=true"));
    assert!(history.with(|document| {
        let mut attempts =
            document.descendants().filter(|node| node.tag_name().name() == "attempt");
        attempts.any(|attempt| attempt.descendants().any(|node| node.text() == Some("w1")))
    }));
    let server_status = server.ask("GetStatus").success();
    assert_eq!(
        (server_status.must("working"), server_status.must("waiting")),
        ("1".into(), "0".into())
    );
    assert!(server_status.0.contains("<worker><name>w1</name><token>"), "{}", server_status.0);
    let json = "QueueWork&WorkAction=take&QueueName=Render&ResponseFormat=simplejson";
    server.submit_to("Render", "&Scene=sea");
    let text = server.get(&format!("/action={json}"));
    assert!(text.contains("\"queue\":\"Render\"") && text.contains("\"attempt\":\"1\""), "{text}");
}

#[test]
fn without_waiting_the_answer_is_honest() {
    let home = Home::new(CONFIG);
    let server = home.start();
    assert!(take(&server, "Render", "").is_empty());
    for number in 0..50 {
        server.submit_to("Render", &format!("&N={number}"));
        let works = take(&server, "Render", "");
        assert_eq!(works.len(), 1, "something was queued, a slot is free: {number}");
        works[0].must(&server, "finish", &[]);
    }
    assert!(take(&server, "Render", "").is_empty());
    // A paused queue starts nothing, and its workers wait.
    server.info("Render", "pause", "").success();
    server.submit_to("Render", "");
    assert!(take(&server, "Render", "").is_empty());
    server.info("Render", "resume", "").success();
    assert_eq!(take(&server, "Render", "").len(), 1);
}

#[test]
fn as_many_are_out_as_there_are_threads() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for number in 0..10 {
        server.submit_to("Render", &format!("&N={number}"));
    }
    let works = take(&server, "Render", "&Max=100");
    assert_eq!(works.len(), 4, "MaximumThreads");
    assert!(take(&server, "Render", "&Max=100").is_empty());
    assert_eq!(running(&server, "Render"), 4);
    works[0].must(&server, "finish", &[]);
    works[1].must(&server, "release", &[]);
    let more = take(&server, "Render", "&Max=3");
    assert_eq!(more.len(), 2);
    assert_eq!(more[0].token, works[1].token, "what was given back is the oldest");
    assert_eq!(more[0].attempt, "2");
}

#[test]
fn several_queues_are_asked_in_order_and_each_place_is_given_once() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for queue in ["Render", "Print"] {
        server.submit_to(queue, "");
    }
    assert_eq!(take_one(&server, "Print,Render").queue, "Print");
    assert_eq!(take(&server, "Print,Render", "")[0].queue, "Render");
    assert!(take(&server, "Print,Render", "").is_empty(), "there is nothing more");
    // One worker waits at both, and both get something at once.
    let waits = Begun::ask(&server, "QueueWork&WorkAction=take&QueueName=Render,Print&Wait=20");
    wait_for_workers(&server, 1);
    let first = server.submit_to("Render", "");
    server.submit_to("Render", "");
    let works = Work::all(&waits.answer().success());
    assert_eq!(works.iter().map(|work| &work.token).collect::<Vec<_>>(), [&first]);
    assert_eq!(running(&server, "Render"), 2, "the other one still waits");
    assert_eq!(take(&server, "Render", "").len(), 1);
}

#[test]
fn a_worker_that_has_left_gets_nothing() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let gone = Begun::ask(&server, "QueueWork&WorkAction=take&QueueName=Render&Wait=600");
    wait_for_workers(&server, 1);
    drop(gone);
    wait_for_workers(&server, 0);
    let token = server.submit_to("Render", "");
    assert_eq!(server.status_in("Render", &token), "Queued");
    let work = take_one(&server, "Render");
    assert_eq!((work.token, work.attempt.as_str()), (token, "1"));
}

#[test]
fn nothing_is_lost_that_comes_just_after_a_worker_has_left() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for round in 0..3 {
        let gone = Begun::ask(&server, "QueueWork&WorkAction=take&QueueName=Render&Wait=600");
        wait_for_workers(&server, 1);
        drop(gone);
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        assert_eq!(work.token, token, "round {round}");
        work.must(&server, "finish", &[]);
    }
}

/// Takes from `Render`, and reads no more than the beginning of the reply, which must be large.
fn begin_to_take(server: &Server, rest: &str) -> TcpStream {
    let mut worker = server.connect();
    SockRef::from(&worker).set_recv_buffer_size(4_096).expect("a small buffer");
    let take = format!("GET /action=QueueWork&WorkAction=take&QueueName=Render{rest} HTTP/1.1");
    let head = "Host: localhost\r\nConnection: close\r\n\r\n";
    worker.write_all(format!("{take}\r\n{head}").as_bytes()).expect("it is sent");
    worker.read_exact(&mut [0; 1_000]).expect("the beginning of a reply");
    worker
}

/// Nobody can take back the bytes in the buffers of sockets. A reply that does not fit them is not the worker's before all of it
/// is written.
#[test]
fn what_breaks_off_on_its_way_to_a_worker_goes_back() {
    let home = Home::new(&CONFIG.replace("[Render]\n", "[Render]\nLeaseSecs=86400\n"));
    let server = home.start();
    let large = "x".repeat(9_000_000);
    let token = server.post("Render", &[("Scene", &large)]).success().must("token");
    let worker = begin_to_take(&server, "");
    assert_eq!(server.status_in("Render", &token), "Processing");
    drop(worker);
    server.wait_in("Render", &token, "Queued");
    let work = take_one(&server, "Render");
    assert_eq!((work.token.as_str(), work.attempt.as_str()), (token.as_str(), "2"));
    let told = format!("{token}&History=true");
    let history = server.about("Render", "getStatus", &told).success();
    assert_eq!(history.values("outcome"), ["Released", "Processing"], "{}", history.0);
    work.must(&server, "finish", &[]);
    let history = server.about("Render", "getStatus", &told).success();
    assert_eq!(history.values("worker"), ["127.0.0.1", "tester"], "{}", history.0);
}

/// A worker that reads its reply piece by piece may begin with the first action before it has the last.
#[test]
fn what_a_worker_has_spoken_of_stays_with_it_when_the_reply_breaks_off() {
    let home = Home::new(&CONFIG.replace("[Render]\n", "[Render]\nLeaseSecs=86400\n"));
    let server = home.start();
    let large = "x".repeat(9_000_000);
    let spoken = server.post("Render", &[("Scene", &large)]).success().must("token");
    let other = server.submit_to("Render", "");
    let worker = begin_to_take(&server, "&Max=2");
    let spoken = Work { token: spoken, attempt: "1".to_owned(), queue: "Render".to_owned() };
    spoken.must(&server, "heartbeat", &[]);
    assert_eq!(server.status_in("Render", &other), "Processing");
    drop(worker);
    // They go back one after the other, this one last.
    server.wait_in("Render", &other, "Queued");
    assert_eq!(spoken.must(&server, "finish", &[]).must("status"), "Finished");
}

#[test]
fn a_shutdown_answers_those_that_wait() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let waits = Begun::ask(&server, "QueueWork&WorkAction=take&QueueName=Render,Print&Wait=600");
    wait_for_workers(&server, 1);
    let began = Instant::now();
    server.signal("TERM");
    let reply = waits.answer().0;
    assert!(reply.contains("SUCCESS") && !reply.contains("<work>"), "{reply}");
    let (status, said) = server.wait();
    assert!(status.success(), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn two_hundred_that_wait_cost_little() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let wait = |number: u64| {
        let take = "QueueWork&WorkAction=take&QueueName=Render,Print&Wait=25";
        Begun::ask(&server, &format!("{take}&Worker=w{number}"))
    };
    let first = wait(0);
    wait_for_workers(&server, 1);
    let _others: Vec<_> = (1..200).map(wait).collect();
    wait_for_workers(&server, 200);
    let before = processor_time(&server);
    let token = server.submit_to("Process", "&Sleep=1");
    server.outcome("Process", &token);
    let spent = processor_time(&server) - before;
    assert!(spent < 20, "they wait, and spend {spent} hundredths of a second");
    // The first that came is served first.
    let token = server.submit_to("Render", "");
    let work = Work::all(&first.answer().success()).remove(0);
    assert_eq!(work.token, token);
    work.must(&server, "finish", &[]);
}
