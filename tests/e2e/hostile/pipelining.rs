//! Clients that send on while they are owed replies, and those that leave meanwhile.

use std::net::Shutdown;

use super::super::server::{Home, wait_until};
use super::*;

const PATIENT: &str = "Threads=2\nRequestTimeout=600\nReplyTimeout=600\nIdleTimeout=600";

/// How many requests of 40 bytes make 400 KB.
const MANY: usize = 10_000;

const LOOK: &str = "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn request(action: &str) -> String {
    format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Reads so many replies, of which these come first.
fn replies(stream: &mut TcpStream, first: usize, count: usize) -> Vec<String> {
    let mut stream = std::io::BufReader::new(stream);
    let all = (0..count).map(|n| {
        let reply = Reply::try_read(&mut stream);
        reply.unwrap_or_else(|error| panic!("reply {n} of {count}: {error}")).body_text()
    });
    let mut all: Vec<_> = all.collect();
    assert!(all[first..].iter().all(|reply| reply.contains("SUCCESS")));
    all.truncate(first);
    all
}

/// What follows a request that takes its time must not keep the server busy, nor be lost.
#[test]
fn what_is_sent_behind_a_request_that_takes_its_time_costs_none() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let slow = request("Process&Sync=true&Sleep=4");
    let body = format!("n={}", "x".repeat(400_000));
    let form = post("/action=GetPid", "application/x-www-form-urlencoded", body.as_bytes());
    // Longer than what is taken for a method: it is refused, and nothing behind it is a request.
    let no_method = format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", "M".repeat(40));
    let padded = format!(
        "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}0\r\n\r\n",
        " ".repeat(600)
    );
    let slow_padded =
        slow.replace("Host", &format!("Content-Length: {}0\r\nHost", " ".repeat(600)));
    let looks = LOOK.repeat(MANY);
    // What is sent, and how many replies come to it; where it is none, the connection ends instead.
    let cases = [
        (format!("{slow}{looks}").into_bytes(), Some(MANY)),
        (
            [format!("{slow}{}", LOOK.repeat(16)).as_bytes(), &form, LOOK.as_bytes()].concat(),
            Some(18),
        ),
        ([slow.as_bytes(), &form, LOOK.repeat(2).as_bytes()].concat(), Some(3)),
        (format!("{no_method}{slow}{looks}").into_bytes(), None),
        (format!("{slow}{padded}{looks}").into_bytes(), Some(MANY + 1)),
        (format!("{slow_padded}{looks}").into_bytes(), Some(MANY)),
    ];
    let (began, before) = (Instant::now(), processor_time(&server));
    let mut streams: Vec<_> =
        cases.iter().map(|(bytes, _)| pouring(&server, bytes.clone())).collect();
    while began.elapsed() < Duration::from_secs(3) {
        others_are_served(&server);
        std::thread::sleep(Duration::from_millis(100));
    }
    let spent = processor_time(&server) - before;
    eprintln!("{spent} hundredths of a second in three seconds");
    assert!(spent < 100, "it spins: {spent} hundredths of a second in three");
    for (stream, (_, count)) in streams.iter_mut().zip(&cases) {
        match count {
            Some(count) => drop(replies(stream, 1, 1 + count)),
            None => drop(rest_of(stream)),
        }
    }
}

/// Whoever goes on with so much does not wait for the reply, so it gets that at once, and all others.
#[test]
fn a_wait_ends_when_its_client_goes_on() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let token = server.submit("&Sleep=3600");
    let wait = "QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=3600&Token=";
    let mut stream = pouring(
        &server,
        format!("{}{}", request(&format!("{wait}{token}")), LOOK.repeat(MANY)).into(),
    );
    let status = replies(&mut stream, 1, 1 + MANY);
    assert!(status[0].contains("<status>Processing</status>"), "{}", status[0]);

    // A few are nothing unusual.
    let mut stream = server.connect();
    let short = request(&format!("{}{token}", wait.replace("3600", "3")));
    let began = Instant::now();
    stream.write_all(format!("{short}{}", LOOK.repeat(10)).as_bytes()).unwrap();
    replies(&mut stream, 1, 11);
    assert!(began.elapsed() >= Duration::from_secs(3), "it did not wait");
}

/// However it leaves, and whatever it left unread, nothing is done for it a few seconds later.
#[test]
fn a_client_that_has_gone_is_noticed_behind_its_requests() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let token = server.submit("&Sleep=3600");
    others_are_served(&server);
    let own = descriptors(&server);
    let wait = request(&format!(
        "QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=3600&Token={token}"
    ));
    let at_once = request("Other&Sync=true&Sleep=3600");
    for (first, behind) in
        [(&wait, 0), (&wait, 1_500), (&wait, MANY), (&at_once, 0), (&at_once, 1_500)]
    {
        let send = |_| {
            let mut stream = server.connect();
            // It may be more than both systems hold.
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            let _ = stream.write_all(format!("{first}{}", LOOK.repeat(behind)).as_bytes());
            stream
        };
        let leaving: Vec<_> = (0..4).map(send).collect();
        wait_until("the connections", || descriptors(&server) >= own + 3);
        let is_read = |stream| behind > 0 || unread(stream) == 0;
        wait_until("their requests", || leaving.iter().all(is_read));
        drop(leaving);
        let began = Instant::now();
        wait_until("the end of those who left", || descriptors(&server) <= own + 2);
        let took = began.elapsed();
        eprintln!("{behind} behind {first:.40}: {took:?}");
        assert!(took < Duration::from_secs(8), "{took:?} for {behind} behind {first}");
        // All places are free again.
        assert!(server.ask("Other&Sync=true&Name=x").is_success());
    }
}

/// Some clients end their side once they have sent a request, and then read.
#[test]
fn a_client_that_only_ended_its_side_gets_its_reply() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let running = server.submit("&Sleep=3600");
    server.wait_for_status(&running, "Processing");
    let wait =
        format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=3600&Token={running}");
    for (action, wanted) in [
        ("GetPid", "<autn:pid>"),
        (&*wait, "<status>Processing</status>"),
        ("Other&Wait=3600&Sleep=0.2", "<status>Finished</status>"),
        ("Other&Wait=3600&Sleep=3600", "<token>"),
        ("Process&Sync=true&Sleep=0.2&Name=Ada", "value=\"Ada\""),
        ("Process&Sync=true&Sleep=3600", "its client ended the connection"),
    ] {
        let began = Instant::now();
        let mut stream = sending(&server, request(action).as_bytes());
        stream.shutdown(Shutdown::Write).unwrap();
        let reply = rest_of(&mut stream);
        assert!(reply.contains(wanted), "{action}: {reply}");
        assert!(began.elapsed() < Duration::from_secs(5), "{action}: {:?}", began.elapsed());
    }
}

/// Bodies behind a request that takes its time are read once it is answered, of whatever form.
#[test]
fn bodies_behind_a_slow_request_are_taken() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let text = format!("n={}", "x".repeat(1_000_000));
    let counted = post("/action=Process", "text/plain", text.as_bytes());
    let chunk = format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    let chunked = format!("{}{chunk}", head("/action=Process", "Transfer-Encoding: chunked"));
    let expects = String::from_utf8(counted.clone()).unwrap();
    let expects = expects.replace("Host: localhost", "Host: localhost\r\nExpect: nothing");
    for body in [counted, chunked.into_bytes(), expects.into_bytes()] {
        let slow = request("Process&Sync=true&Sleep=1");
        let mut stream =
            pouring(&server, [slow.as_bytes(), &body, LOOK.repeat(20).as_bytes()].concat());
        let first = replies(&mut stream, 2, 22);
        assert!(first[1].contains("<token>"), "{}", first[1]);
    }
    // One that waits to be told to go on, and is told.
    let line = "Expect: 100-continue\r\nContent-Length: 1000002";
    let start =
        format!("{}{}", request("Process&Sync=true&Sleep=1"), head("/action=Process", line));
    let mut stream = sending(&server, start.as_bytes());
    Reply::read(&mut stream);
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    assert!(Reply::read(&mut stream).body_text().contains("<token>"));
}

/// A machine that is switched off says nothing; the system asks for it.
#[test]
fn whoever_goes_without_a_word_is_asked_for() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    let mut stream = sending(&server, LOOK.as_bytes());
    Reply::read(&mut stream);
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let (ours, theirs) = (port(stream.local_addr().unwrap()), port(stream.peer_addr().unwrap()));
    wait_until("a timer on its connection", || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut of_server =
            fields.filter(|fields| fields[1].ends_with(&theirs) && fields[2].ends_with(&ours));
        of_server.any(|fields| fields[5].starts_with("02:"))
    });
}

/// Whoever runs at once has one of few places: they are each queue's own, and nobody waits for one for ever.
#[test]
fn places_are_each_queues_own_and_waited_for_a_few_seconds() {
    let home = Home::new(&config(PATIENT));
    let server = home.start();
    others_are_served(&server);
    let blocking = |queue: &str| {
        sending(&server, request(&format!("{queue}&Sync=true&Sleep=31536000")).as_bytes())
    };
    let held: Vec<_> = (0..4).map(|_| blocking("Process")).collect();
    wait_until("the server to read all", || held.iter().all(|stream| unread(stream) == 0));
    let began = Instant::now();
    let (code, description) = server.ask("Process&Sync=true&Name=x").error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(
        description.contains("Synchronous") && description.contains("Process"),
        "{description}"
    );
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let began = Instant::now();
    server.ask("Other&Sync=true&Name=x").success();
    assert!(began.elapsed() < Duration::from_secs(3), "it waited for the places of another queue");
    // Whoever waits gets the place of one who leaves, by a plain close.
    let began = Instant::now();
    drop(held);
    server.ask("Process&Sync=true&Name=x").success();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
