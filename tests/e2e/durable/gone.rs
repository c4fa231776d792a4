//! A data directory that is deleted or moved away under a running server: nothing is acknowledged that
//! the next one would not find.

use std::path::Path;

use super::super::server::{Home, Server, wait_until};
use super::{names_no_path, until_taken};

const CONFIG: &str = "
[Actions]
ShutdownGraceSecs=0
StopGraceSecs=0
[AsyncActions]
0=Held
1=Work
[Held]
Type=Echo
[Work]
Type=Echo
";

/// Copies each of the files over the one of its name, in place.
fn copy_over(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Submits until that is refused; returns what was acknowledged.
fn until_refused(server: &Server) -> Vec<String> {
    let mut tokens = Vec::new();
    wait_until("a refusal", || {
        let answer = server.post("Held", &[("Small", "x")]);
        let refused = !answer.is_success();
        if !refused {
            tokens.push(answer.must("token"));
        }
        refused
    });
    tokens
}

#[test]
fn a_deleted_data_directory_is_told_and_nothing_more_is_acknowledged() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    let waits = server.submit_to("Held", "&Name=Ada");
    std::fs::remove_dir_all(home.data()).unwrap();
    until_refused(&server);

    let file = home.data().join("actions.db");
    for _ in 0..50 {
        let answers = [
            server.post("Held", &[("Small", "x")]),
            server.about("Held", "cancel", &waits),
            server.about("Work", "stop", &runs),
            server.info("Held", "resume", ""),
        ];
        for answer in answers {
            let (code, description) = answer.error();
            assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
            assert!(description.contains("can't be read or written"), "{description}");
            names_no_path(&home, &answer);
        }
    }
    assert_eq!(server.status_in("Held", &waits), "Queued", "reads go on");
    assert!(!home.data().exists(), "something made it anew");
    server.signal("TERM");
    let (_, log) = server.wait();
    let told: Vec<_> = log.iter().filter(|line| line.contains("ERROR")).collect();
    let path = file.to_str().unwrap();
    let refused =
        told.iter().filter(|line| line.contains(path) && line.contains("every change is refused"));
    assert_eq!(refused.count(), 1, "{told:?}");
    assert!(told.len() <= 3, "one more for each queue at most: {told:?}");
}

#[test]
fn a_data_directory_that_goes_while_nothing_is_asked_is_told_at_the_end() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.submit_to("Work", "&Name=Ada");
    std::fs::rename(home.data(), home.path().join("away")).unwrap();
    server.signal("TERM");
    let (_, log) = server.wait();
    let path = home.data().join("actions.db");
    let told =
        log.iter().any(|line| line.contains("ERROR") && line.contains(path.to_str().unwrap()));
    assert!(told, "{log:?}");
}

#[test]
fn a_data_directory_that_is_back_serves_again() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let mut tokens = vec![server.submit_to("Held", "&Name=Ada")];
    let away = home.path().join("away");
    std::fs::rename(home.data(), &away).unwrap();
    tokens.append(&mut until_refused(&server));
    std::fs::rename(&away, home.data()).unwrap();
    until_taken(&server, "x", &mut tokens);
    server.kill();
    let server = home.start();
    for token in &tokens {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
}

#[test]
fn a_backup_that_is_copied_over_a_running_server_is_told_and_is_whole_afterwards() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let kept: Vec<_> = (0..20).map(|_| server.submit_to("Held", "&Name=Ada")).collect();
    // So that its log is part of it.
    server.kill();
    let backup = home.path().join("backup");
    copy_over(&home.data(), &backup);
    let server = home.start();
    for _ in 0..20 {
        server.submit_to("Held", "&Name=Bob");
    }
    copy_over(&backup, &home.data());
    assert_eq!(until_refused(&server), Vec::<String>::new(), "taken, and nowhere afterwards");
    // This one reads the action first, which may fail already.
    assert_eq!(server.about("Held", "cancel", &kept[0]).error().0, "ERRORUNAVAILABLE");
    for answer in [server.post("Held", &[("Small", "x")]), server.info("Held", "resume", "")] {
        let (code, description) = answer.error();
        assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
        assert!(description.contains("can't be read or written"), "{description}");
        names_no_path(&home, &answer);
    }
    server.signal("TERM");
    let (status, said) = server.wait();
    assert!(status.success());
    let log = home.data().join("actions.db-wal");
    let expected = format!("{} was written to or cut by somebody else", log.display());
    assert!(said.iter().any(|line| line.contains(&expected)), "{said:?}");
    let told = said.iter().filter(|line| line.contains("ERROR") && line.contains("started anew"));
    assert_eq!(told.count(), 1, "{said:?}");
    let server = home.start();
    let list = server.info("Held", "getStatus", "").success();
    assert_eq!(list.values("token").len(), kept.len());
    for token in &kept {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
}

/// Who starts a long action and goes away must not be the first who could notice.
#[test]
fn a_data_directory_that_is_replaced_while_something_runs_is_told_unasked() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    std::fs::rename(home.data(), home.path().join("away")).unwrap();
    copy_over(&home.path().join("away"), &home.data());
    std::fs::remove_file(home.data().join("actiond.lock")).unwrap();
    let path = home.data().join("actions.db");
    server.wait_for_line(&["ERROR", path.to_str().unwrap(), "every change is refused"]);
}
