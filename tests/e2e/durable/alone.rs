//! One server for one database, whatever path leads to it, and whatever became of the lock file beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::server::{Home, Server, wait_until};
use super::super::skip::skipped;
use super::damage::refused;
use super::until_taken;

const CONFIG: &str = "
[AsyncActions]
0=Held
[Held]
Type=Echo
";

/// A server that holds an action, and the name of its lock file.
fn serving(home: &Home) -> (Server, Vec<String>, std::path::PathBuf) {
    let server = home.start();
    server.info("Held", "pause", "").success();
    let tokens = vec![server.submit_to("Held", "&Name=Ada")];
    (server, tokens, home.data().join("actiond.lock"))
}

/// Starts a second server on another path to the same data; it must refuse and leave the first alone.
fn refused_at(home: &Home, data: &Path) {
    let other = Home::new(CONFIG);
    let output = Command::new(env!("CARGO_BIN_EXE_actiond"))
        .arg("--config")
        .arg(other.path().join("test.cfg"))
        .arg("--data")
        .arg(data)
        .args(["--port", "0"])
        .current_dir(home.path())
        .output()
        .expect("the server runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is in use by another server"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_deleted_lock_file_lets_no_second_server_in_and_is_made_again() {
    let home = Home::new(CONFIG);
    let (first, mut tokens, lock) = serving(&home);
    fs::remove_file(&lock).unwrap();
    let said = refused(&home);
    assert!(said.contains("is in use by another server"), "{said}");
    // The first one goes on, and mends what is gone.
    let pid = first.pid().to_string();
    wait_until("the lock file", || {
        until_taken(&first, "x", &mut tokens);
        fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid)
    });
    let said = refused(&home);
    assert!(said.contains(&format!("(process {pid})")), "{said}");
    for token in &tokens {
        assert_eq!(first.status_in("Held", token), "Queued");
    }
    first.kill();
    let second = home.start();
    assert_eq!(second.status_in("Held", &tokens[0]), "Queued");
}

#[cfg(target_os = "linux")]
#[test]
fn no_other_path_to_the_data_lets_a_second_server_in() {
    let home = Home::new(CONFIG);
    let (first, tokens, lock) = serving(&home);
    let linked = home.path().join("linked");
    std::os::unix::fs::symlink(home.data(), &linked).unwrap();
    refused_at(&home, &linked);
    // Another directory with the same file in it.
    let hard = home.path().join("hard");
    fs::create_dir(&hard).unwrap();
    fs::hard_link(home.data().join("actions.db"), hard.join("actions.db")).unwrap();
    refused_at(&home, &hard);
    let mounted = home.path().join("mounted");
    fs::create_dir(&mounted).unwrap();
    let bind = Command::new("mount").arg("--bind").arg(home.data()).arg(&mounted).output();
    if bind.is_ok_and(|output| output.status.success()) {
        refused_at(&home, &mounted);
        fs::remove_file(&lock).unwrap();
        refused_at(&home, &mounted);
        assert!(Command::new("umount").arg(&mounted).status().unwrap().success());
    } else {
        skipped("a second server by a bind mount", "nothing can be mounted here (this needs root)");
    }
    assert_eq!(first.status_in("Held", &tokens[0]), "Queued");
}

/// A version that knows no other lock may have taken the file's place.
#[test]
fn a_lock_file_of_another_is_respected_until_it_is_free() {
    let home = Home::new(CONFIG);
    let (server, mut tokens, lock) = serving(&home);
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "17").unwrap();
    let other = fs::File::open(&lock).unwrap();
    other.lock().unwrap();
    wait_until("a refusal", || {
        let answer = server.post("Held", &[("Text", "x")]);
        if answer.is_success() {
            tokens.push(answer.must("token"));
            return false;
        }
        let (code, description) = answer.error();
        assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
        assert!(description.contains("another server (process 17)"), "{description}");
        true
    });
    let (code, _) = server.about("Held", "cancel", &tokens[0]).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert_eq!(server.status_in("Held", &tokens[0]), "Queued", "reads go on");
    drop(other);
    until_taken(&server, "x", &mut tokens);
    assert_eq!(fs::read_to_string(&lock).unwrap().trim(), server.pid().to_string());
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success());
    let told = log
        .iter()
        .filter(|line| line.contains("ERROR") && line.contains("every change is refused"));
    assert_eq!(told.count(), 1, "{log:?}");
}
