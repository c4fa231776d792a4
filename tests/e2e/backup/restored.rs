//! What was backed up is there again, and what was there instead is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::super::calls::Caller;
use super::super::server::{Home, wait_until};
use super::{CONFIG, actions, backed_up, restore};

#[test]
fn a_backup_under_load_is_restored_on_another_server() {
    is_restored_on_another_server("");
}

/// It is made by the connection that writes, which goes on meanwhile.
#[test]
fn actions_in_memory_are_backed_up_and_restored_as_those_in_a_file() {
    is_restored_on_another_server("UseInMemoryDatastore=true");
}

/// Makes a backup while work goes on, with this in the section of the actions, and compares what is there after it was restored.
fn is_restored_on_another_server(actions_keys: &str) {
    let config = format!("[Actions]\n{actions_keys}\n{CONFIG}");
    let home = Home::new(&config);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let done: Vec<String> =
        (0..20).map(|n| server.submit_to("Work", &format!("&Name=n{n}"))).collect();
    for token in &done {
        server.outcome("Work", token);
    }
    let held: Vec<String> =
        (0..20).map(|n| server.submit_to("Held", &format!("&Name=h{n}&Priority={n}"))).collect();
    let before = (actions(&server, "Work"), actions(&server, "Held"));
    let stop = AtomicBool::new(false);
    let file = thread::scope(|scope| {
        let load: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut caller = Caller::new(server.address).unwrap();
                    let mut taken = 0;
                    while !stop.load(Ordering::Relaxed) {
                        caller.ask("Work&Name=load").unwrap().success();
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        wait_until("the load", || actions(&server, "Work").len() > 100);
        let file = backed_up(&server, &home.data().join("backups"));
        stop.store(true, Ordering::Relaxed);
        for load in load {
            assert!(load.join().unwrap() > 0);
        }
        file
    });
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let port = server.address.port();
    assert!(name.ends_with(&format!("_127.0.0.1_{port}.zip")), "{name}");
    let (date, _) = name.split_once('_').unwrap();
    assert!(date.len() == 15 && date.as_bytes()[8] == b'T', "{name}");

    let directories = format!("[Server]\nBackupDirectories={}\n", file.parent().unwrap().display());
    let other = Home::new(&format!("{directories}{config}"));
    let restored = other.start();
    let own = restored.submit_to("Work", "&Name=own");
    restored.outcome("Work", &own);
    let answer = restore(&restored, &file).success();
    let told = answer.number("actions");
    restored.wait_for_line(&["the backup has taken its place"]);
    wait_until("the restored server", || {
        Caller::new(restored.address)
            .and_then(|mut caller| caller.ask("GetPid"))
            .is_ok_and(|a| a.is_success())
    });
    let held_there = actions(&restored, "Held");
    assert_eq!(held_there, before.1);
    wait_until("what waited", || {
        let all = actions(&restored, "Work");
        all.values().all(|text| text.contains("status=Finished"))
    });
    let all = actions(&restored, "Work");
    assert_eq!(told, (all.len() + held_there.len()) as u64);
    for (token, text) in &before.0 {
        assert_eq!(all.get(token), Some(text));
    }
    // Tokens of the first server name the same actions here.
    assert_eq!(restored.status_in("Held", &held[3]), "Queued");
    assert_eq!(restored.status_in("Work", &done[0]), "Finished");
    assert!(!restored.about("Work", "getStatus", &own).is_success(), "its own are gone");
    // They are aside, whole.
    let kept = answer.must("kept");
    assert!(std::path::Path::new(&kept).join("actions.db").is_file(), "{kept}");

    // And it goes on: the queue is still paused, and new work runs.
    restored.info("Held", "resume", "").success();
    for token in &held {
        restored.wait_in("Held", token, "Finished");
    }
    let new = restored.submit_to("Work", "&Name=new");
    assert!(!done.contains(&new));
    restored.wait_in("Work", &new, "Finished");
    restored.signal("TERM");
    let (status, log) = restored.wait();
    assert!(status.success(), "{log:#?}");
}

#[test]
fn nothing_is_restored_while_actions_run() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let file = backed_up(&server, &home.data().join("backups"));
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    let (code, text) = restore(&server, &file).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(text.contains("1 in Work"), "{text}");
    server.wait_in("Work", &runs, "Processing");
    server.about("Work", "stop", &runs).success();
    server.wait_in("Work", &runs, "Stopped");
    restore(&server, &file).success();
    server.wait_for_line(&["the backup has taken its place"]);
    wait_until("the restored server", || {
        Caller::new(server.address)
            .and_then(|mut caller| caller.ask("GetPid"))
            .is_ok_and(|a| a.is_success())
    });
    assert!(!server.about("Work", "getStatus", &runs).is_success());
}

#[test]
fn what_ran_in_the_backup_is_recovered_as_after_a_crash() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let runs = server.submit_to("Work", "&Sleep=0.2&Name=Ada");
    let long = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &long, "Processing");
    let file = backed_up(&server, &home.data().join("backups"));
    server.wait_in("Work", &runs, "Finished");
    server.about("Work", "stop", &long).success();
    server.wait_in("Work", &long, "Stopped");
    let answer = restore(&server, &file).success();
    assert!(answer.number("running") >= 1);
    server.wait_for_line(&["the backup has taken its place"]);
    server.wait_in("Work", &long, "Processing");
    server.wait_in("Work", &runs, "Finished");
}

/// A server that dies before the change is made makes it at its next start; one that dies later goes on with it.
#[test]
fn a_restore_survives_kill_9() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let kept = server.submit_to("Work", "&Name=kept");
    server.wait_in("Work", &kept, "Finished");
    let file = backed_up(&server, &home.data().join("backups"));
    let gone = server.submit_to("Work", "&Name=gone");
    server.wait_in("Work", &gone, "Finished");
    restore(&server, &file).success();
    server.kill();
    let server = home.start();
    assert_eq!(server.status_in("Work", &kept), "Finished");
    assert!(!server.about("Work", "getStatus", &gone).is_success());
    assert!(!home.data().join("restore.part").exists());
}
