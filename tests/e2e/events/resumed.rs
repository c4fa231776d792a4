//! Listeners that come back: they miss nothing that is kept, and are told when something is not.

use super::config;
use super::stream::{Event, Stream};
use crate::server::{Home, Server};

/// Submits an action that ends at once, and waits for its end.
fn run(server: &Server) -> String {
    let token = server.submit("");
    server.outcome("Process", &token);
    token
}

const ENDS: &str = "?Types=finished";

fn ends(stream: &mut Stream, number: usize) -> Vec<String> {
    let is_end = |event: Event| {
        assert_eq!(event.name, "finished", "{event:?}");
        event.text("token").to_owned()
    };
    (0..number).map(|_| is_end(stream.next().expect("an event"))).collect()
}

#[test]
fn nothing_is_missed_in_a_break() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, ENDS);
    let first = run(&server);
    let heard = stream.next().unwrap();
    assert!(heard.is_of(&first));
    drop(stream);
    let missed = vec![run(&server), run(&server)];
    assert_eq!(ends(&mut Stream::resume(&server, ENDS, &heard.id), 2), missed);
    // By the parameter as well, for who can't send the header; the header of who comes back is newer.
    let query = format!("{ENDS}&last-event-id={}", heard.id);
    let mut stream = Stream::open(&server, &query);
    let second = stream.next().unwrap();
    assert!(second.is_of(&missed[0]));
    assert_eq!(ends(&mut Stream::resume(&server, &query, &second.id), 1), missed[1..]);
}

#[test]
fn who_has_heard_nothing_yet_has_a_place_too() {
    let home = Home::new(&config(""));
    let server = home.start();
    run(&server);
    // Of what it wants there was nothing; what came before it is none of its business.
    let mut stream = Stream::open(&server, ENDS);
    let missed = run(&server);
    assert!(stream.next().unwrap().is_of(&missed));
    let mut stream = Stream::open(&server, "?Types=stopped");
    let token = server.submit("&Sleep=600");
    server.about("Process", "stop", &token).success();
    let stopped = stream.next().unwrap();
    assert!(stopped.is_of(&token));
}

#[test]
fn who_comes_too_late_is_told_to_list_again() {
    let home = Home::new(&config("").replace("EventHistory=1000", "EventHistory=4"));
    let server = home.start();
    let mut stream = Stream::open(&server, ENDS);
    let first = run(&server);
    let heard = stream.next().unwrap();
    assert!(heard.is_of(&first));
    for _ in 0..3 {
        run(&server);
    }
    let mut stream = Stream::resume(&server, ENDS, &heard.id);
    let reset = stream.next().unwrap();
    assert_eq!(reset.name, "reset");
    assert!(reset.text("reason").contains("list"), "{reset:?}");
    // From there on it hears all again, also after another break.
    let next = run(&server);
    assert!(stream.next().unwrap().is_of(&next));
    assert_eq!(ends(&mut Stream::resume(&server, ENDS, &reset.id), 1), [next]);
}

#[test]
fn ids_of_another_run_and_other_texts_are_too_old() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, ENDS);
    run(&server);
    let heard = stream.next().unwrap();
    server.signal("TERM");
    assert_eq!(stream.next(), None);
    server.wait();
    let server = home.start();
    let future = Stream::open(&server, "").until_id(&server);
    for id in [heard.id.as_str(), "7", "x", "0000000000000000-0", &future] {
        let mut stream = Stream::resume(&server, ENDS, id);
        assert_eq!(stream.next().unwrap().name, "reset", "{id}");
        let token = run(&server);
        assert!(stream.next().unwrap().is_of(&token), "{id}");
    }
}

impl Stream {
    /// Returns an id of this run that no event has yet.
    fn until_id(mut self, server: &Server) -> String {
        run(server);
        let id = self.next().expect("an event").id;
        let (run, _) = id.split_once('-').expect("two parts");
        format!("{run}-999999")
    }
}
