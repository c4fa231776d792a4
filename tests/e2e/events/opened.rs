//! A server whose configuration says nothing of events: they can be heard, and nothing is kept before somebody listens.

use super::stream::Stream;
use crate::metrics::Scrape;
use crate::server::{CONFIG, Home};

/// The number in an id.
fn number(id: &str) -> u64 {
    let (_, number) = id.split_once('-').expect("two parts");
    number.parse().expect("a number")
}

#[test]
fn nothing_is_kept_before_the_first_listener() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let long = server.submit("&Sleep=600");
    server.wait_for_status(&long, "Processing");
    let before = server.submit("");
    server.outcome("Process", &before);
    Scrape::wait_for(&server, "actiond_event_listeners", 0.0);

    let mut stream = Stream::open(&server, "");
    Scrape::wait_for(&server, "actiond_event_listeners", 1.0);
    // What runs already is heard of: its progress and its end.
    let progress = stream.until_named("progress");
    assert!(progress.is_of(&long), "{progress:?}");
    // The end of the other one, and that its queue is empty, may just have been told: nothing of what was before that.
    assert!((1..=3).contains(&number(&progress.id)), "{progress:?}");
    server.about("Process", "stop", &long).success();
    let stopped = stream.until_named("stopped");
    assert!(stopped.is_of(&long), "{stopped:?}");
    drop(stream);
    Scrape::wait_for(&server, "actiond_event_listeners", 0.0);

    // From then on events are kept, also while nobody listens.
    let missed = server.submit("");
    server.outcome("Process", &missed);
    let mut stream = Stream::resume(&server, "?Types=finished", &stopped.id);
    let finished = stream.next().unwrap();
    assert!(finished.name == "finished" && finished.is_of(&missed), "{finished:?}");
}
