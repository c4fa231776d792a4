//! Large replies that nobody takes.

use super::super::server::{Home, wait_until};
use super::*;

/// Room for two of the replies here. Each HTTP worker has one at a time in its hands beside that.
const FOR_TWO: &str = "Threads=2\nReplyTimeout=600\nMaxReplyMemory=20000000";

/// How large a result is: more than the sockets between the two hold.
const LARGE: usize = 9_000_000;

fn large() -> String {
    format!("n={}", "x".repeat(LARGE))
}

/// An action that ended with such a result.
fn ended(server: &Server) -> String {
    let request = post("/action=Process", "text/plain", large().as_bytes());
    let token = answer(server, &request, PATIENCE).success().must("token");
    server.wait_in("Process", &token, "Finished");
    token
}

/// Clients that ask and read no more than the beginning of the reply.
fn deaf(server: &Server, what: &str, count: usize) -> Vec<TcpStream> {
    let mut streams: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream
            .write_all(format!("GET /action={what} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .unwrap();
    }
    streams
}

fn begun(streams: &mut [TcpStream]) {
    for stream in streams {
        let mut first = [0; 15];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
    }
}

/// A request with a large reply, and two clients whose replies to it hold the memory.
fn held(server: &Server) -> (String, Vec<TcpStream>) {
    let status =
        format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Token={}", ended(server));
    let mut holding = deaf(server, &status, 2);
    begun(&mut holding);
    (status, holding)
}

#[test]
fn replies_share_a_memory_and_the_small_need_none() {
    let home = Home::new(&config(FOR_TWO));
    let server = home.start();
    let (status, holding) = held(&server);

    let refused = server.ask(&status);
    let (code, description) = refused.error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(description.contains("MaxReplyMemory"), "{description}");
    others_are_served(&server);
    // It is queued, and its result can be asked for later.
    let request = post("/action=Process&Wait=60", "text/plain", large().as_bytes());
    let waited = answer(&server, &request, PATIENCE).success();
    assert_eq!(waited.value("status"), None);
    // And has ended: its status could not be read now.
    wait_until("its end", || server.info("Process", "queueStatus", "").number("finished") == 2);

    // A result that is nowhere else waits until there is room.
    let mut at_once = sending(
        &server,
        &post("/action=Process&Synchronous=true", "text/plain", large().as_bytes()),
    );
    wait_until("the server to read it", || unread(&at_once) == 0);
    others_are_served(&server);
    drop(holding);
    assert!(Reply::read(&mut at_once).body_text().len() > LARGE);
    assert!(server.ask(&status).success().0.len() > LARGE);
}

#[test]
fn what_waits_for_room_gets_it() {
    let home = Home::new(&config(FOR_TWO));
    let server = home.start();
    let (status, holding) = held(&server);
    let mut waiting = deaf(&server, &status, 2);
    let wait = post("/action=Process&Wait=60", "text/plain", large().as_bytes());
    let mut submitted = sending(&server, &wait);
    wait_until("the server to read all", || {
        waiting.iter().chain([&submitted]).all(|stream| unread(stream) == 0)
    });
    others_are_served(&server);
    drop(holding);
    for stream in &mut waiting {
        assert!(Reply::read(stream).body_text().len() > LARGE);
    }
    let submitted = Answer(Reply::read(&mut submitted).body_text());
    assert_eq!(submitted.must("status"), "Finished");
    assert!(submitted.0.len() > LARGE);
}

/// Each would hold 9 MB, and 18 MB while it was handed to HTTP.
#[test]
fn a_crowd_that_takes_no_replies_stays_within_their_memory() {
    let home = Home::new(&config(FOR_TWO));
    let server = home.start();
    let token = ended(&server);
    others_are_served(&server);
    let before = resident(&server);
    let about = "QueueInfo&QueueName=Process&QueueAction=getStatus";
    let mut crowd = deaf(&server, &format!("{about}&Token={token}"), 20);
    crowd.extend(deaf(&server, about, 20));
    // Those who got no room are told so, whole; of a list that was begun the end is missing.
    begun(&mut crowd);
    let grown = peak(&server).saturating_sub(before);
    eprintln!("40 clients that took none of 9 MB each: {grown} kB more");
    assert!(grown < 220_000, "{grown} kB more, for a memory of 20 MB");
    others_are_served(&server);
}

/// Lists of many pages, each small: whoever gets no room is sent smaller pieces, and nobody is refused.
#[test]
fn lists_go_on_where_there_is_no_room() {
    let home = Home::new(&config("Threads=2\nMaxReplyMemory=1000000"));
    let server = home.start();
    let value = "x".repeat(20_000);
    for _ in 0..300 {
        server.post("Process", &[("Value", &value)]).success();
    }
    wait_until("the end of all", || {
        server.info("Process", "queueStatus", "").number("finished") == 300
    });
    let list = "QueueInfo&QueueName=Process&QueueAction=getStatus";
    let mut crowd = deaf(&server, list, 100);
    begun(&mut crowd);
    drop(crowd);
    let whole = server.ask(list).success();
    assert_eq!(whole.values("token").len(), 300);
    assert!(whole.0.len() > 300 * value.len());
}

/// Nothing runs, so it ends at once: nobody may wait for room that will not come.
#[test]
fn who_waits_for_room_is_answered_when_the_server_ends() {
    let home = Home::new(&config(FOR_TWO));
    let server = home.start();
    let (status, _holding) = held(&server);
    let mut polls = deaf(&server, &status, 1);
    let requests = [
        post("/action=Process&Wait=60", "text/plain", large().as_bytes()),
        post("/action=Process&Synchronous=true", "text/plain", large().as_bytes()),
    ];
    let mut streams = requests.map(|request| sending(&server, &request));
    wait_until("the server to read all", || {
        polls.iter().chain(&streams).all(|stream| unread(stream) == 0)
    });
    // The one that was queued has ended, too, and waits for room now.
    wait_until("its end", || server.info("Process", "queueStatus", "").number("finished") == 2);
    server.signal("TERM");
    let (code, description) = Answer(Reply::read(&mut polls[0]).body_text()).error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
    let [waited, at_once] = streams.each_mut().map(|stream| Reply::read(stream).body_text());
    Answer(waited).success().must("token");
    assert!(at_once.len() > LARGE);
    let (ended, _) = server.wait();
    assert!(ended.success());
}
