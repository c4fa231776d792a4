//! Actions that are kept in memory: they are there again after a clean stop, and lost by `kill -9`.

use super::super::server::{Home, Server};

fn config(more: &str) -> String {
    format!("[Actions]\n{more}\n[AsyncActions]\n0=Work\n[Work]\nType=Echo\nMaximumThreads=4\n")
}

#[test]
fn a_clean_stop_keeps_what_is_in_memory_and_a_kill_does_not() {
    let home =
        Home::new(&config("UseInMemoryDatastore=true\nInMemoryDatastoreBackupIntervalMins=60"));
    let server = home.start();
    assert_eq!(server.ask("GetStatus").success().must("durability"), "memory");
    let ended = server.submit_to("Work", "&Name=Ada");
    server.outcome("Work", &ended);
    server.info("Work", "pause", "").success();
    let waits = server.submit_to("Work", "&Name=Grace&Priority=7");
    server.signal("TERM");
    let (status, _) = server.wait();
    assert!(status.success());

    let server = home.start();
    assert_eq!(server.status_in("Work", &ended), "Finished");
    let shown = server.about("Work", "getStatus", &waits).success();
    assert_eq!((shown.must("status"), shown.number("priority")), ("Queued".to_owned(), 7));
    assert_eq!(server.info("Work", "queueStatus", "").must("paused"), "true");
    let lost = server.submit_to("Work", "&Name=Lost");
    server.about("Work", "cancel", &waits).success();
    server.kill();

    // It is the same file without the key.
    home.configure(&config(""));
    let server = home.start();
    assert_eq!(server.ask("GetStatus").success().must("durability"), "full");
    assert_eq!(server.status_in("Work", &waits), "Queued", "as the last stop has left it");
    assert!(!server.about("Work", "getStatus", &lost).is_success());
    server.info("Work", "resume", "").success();
    server.outcome("Work", &waits);
}

#[test]
fn an_end_that_loses_what_is_in_memory_is_a_failure() {
    let home = Home::new(&config("UseInMemoryDatastore=true"));
    let server = home.start();
    server.outcome("Work", &server.submit_to("Work", "&Name=Ada"));
    // In the way of the file that is written beside the other one.
    std::fs::create_dir(home.data().join("actions.db.new")).unwrap();
    server.signal("TERM");
    let (status, said) = server.wait();
    assert_eq!(status.code(), Some(1), "{said:?}");
    let told = |text: &str| said.iter().any(|line| line.contains(text));
    assert!(told("the actions in memory could not be written to disk at the end"), "{said:?}");
}

#[test]
fn what_excludes_memory_stops_the_start() {
    for (more, named) in [
        ("Durability=normal", "Durability=normal: can't stand beside UseInMemoryDatastore=true"),
        (
            "AsyncStoreLibraryName=postgres\nConnectionString=host=127.0.0.1",
            "UseInMemoryDatastore=true: can't stand beside AsyncStoreLibraryName=postgres",
        ),
    ] {
        let home = Home::new(&config(&format!("UseInMemoryDatastore=true\n{more}")));
        let Err(said) = Server::try_run(home.command()) else { panic!("{more}: it came up") };
        assert!(said.iter().any(|line| line.contains(named)), "{said:?}");
        assert!(!home.data().join("actions.db").exists());
    }
}
