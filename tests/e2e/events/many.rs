//! Hundreds that listen, those who do not read, and a server that ends while they do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::config;
use super::stream::{Stream, ask};
use crate::calls::Caller;
use crate::server::{Home, wait_until};

#[test]
fn each_of_many_hears_everything() {
    const LISTENERS: usize = 200;
    const ACTIONS: usize = 20;
    let home = Home::new(&config("Threads=3"));
    let server = home.start();
    let mut streams: Vec<_> =
        (0..LISTENERS).map(|_| Stream::open(&server, "?Types=finished")).collect();
    let tokens: Vec<_> = (0..ACTIONS).map(|_| server.submit("")).collect();
    let mut ids = None;
    for stream in &mut streams {
        let events: Vec<_> = (0..ACTIONS).map(|_| stream.next().expect("an event")).collect();
        let mut heard: Vec<_> = events.iter().map(|event| event.text("token")).collect();
        heard.sort_unstable();
        let mut expected: Vec<_> = tokens.iter().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(heard, expected);
        // All hear the same in the same order.
        let heard: Vec<_> = events.into_iter().map(|event| event.id).collect();
        assert_eq!(*ids.get_or_insert_with(|| heard.clone()), heard);
    }
}

#[test]
fn who_does_not_read_is_cut_off_and_may_come_back() {
    const SUBMITTERS: usize = 8;
    // Where the disk is not waited for, the actions are soon there.
    let quick = "[Actions]\nUseInMemoryDatastore=true\n[AsyncActions]";
    let config = config("").replace("EventHistory=1000", "EventHistory=20");
    let home = Home::new(&config.replace("[AsyncActions]", quick));
    let server = home.start();
    // Its place is known before it stops to read.
    let mut slow = Stream::open(&server, "?Types=error");
    server.submit("&Fail=first");
    let first = slow.next().unwrap();
    let text = "x".repeat(4_000);
    let actions = AtomicUsize::new(0);
    let has_fallen_behind = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            scope.spawn(|| {
                let mut caller = Caller::new(server.address).unwrap();
                while !has_fallen_behind.load(Ordering::Relaxed) {
                    caller.ask(&format!("Process&Fail={text}")).unwrap().success();
                    actions.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // More than the buffers of a connection take, on either side.
        wait_until("many actions", || actions.load(Ordering::Relaxed) > 1_200);
        has_fallen_behind.store(true, Ordering::Relaxed);
    });
    let actions = actions.into_inner();
    wait_until("an idle queue", || {
        let status = server.info("Process", "queueStatus", "").success();
        status.number("pending") + status.number("running") == 0
    });
    let mut last = first.id;
    let mut heard = 0;
    while let Some(event) = slow.next() {
        (last, heard) = (event.id, heard + 1);
    }
    assert!(heard < actions, "it heard all of {actions}");
    assert!(slow.comments.join(" ").contains("too slow"), "{:?}", slow.comments);
    let mut back = Stream::resume(&server, "?Types=error", &last);
    assert_eq!(back.next().unwrap().name, "reset");
    let token = server.submit("&Fail=again");
    back.until("what came after that", |event| event.is_of(&token));
}

#[test]
fn listeners_hear_the_end_of_the_server_and_do_not_hold_it_up() {
    let graces = "[Actions]\nShutdownGraceSecs=0\nStopGraceSecs=1\n[AsyncActions]";
    let home = Home::new(&config("").replace("[AsyncActions]", graces));
    let server = home.start();
    let mut streams: Vec<_> =
        (0..20).map(|_| Stream::open(&server, "?Types=queued,started")).collect();
    // One that reads nothing at all.
    let silent = ask(&server, "", "");
    let token = server.submit("&Sleep=600");
    for stream in &mut streams {
        stream.until_named("started");
    }
    server.signal("TERM");
    for stream in &mut streams {
        let again = stream.next().unwrap();
        assert_eq!((again.name.as_str(), again.text("cause")), ("queued", "interrupted"));
        assert!(again.is_of(&token));
        assert_eq!(stream.next(), None);
    }
    let (status, said) = server.wait();
    assert!(status.success(), "{said:?}");
    drop(silent);
}
