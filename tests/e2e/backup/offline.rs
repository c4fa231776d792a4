//! `actiond restore`: what is put back while no server runs, also where it can't start any more.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::super::calls::Caller;
use super::super::server::{Home, Server, wait_until};
use super::{CONFIG, backed_up, restore};

fn actiond_restore(from: &Path, data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("restore").arg("--from").arg(from).arg("--data").arg(data).output().unwrap()
}

fn restored(from: &Path, data: &Path) -> String {
    let output = actiond_restore(from, data);
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&told));
    said
}

fn refused(from: &Path, data: &Path, why: &str) {
    let output = actiond_restore(from, data);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(why), "{why}: {told}");
}

fn finished(server: &Server, name: &str) -> String {
    let token = server.submit_to("Work", &format!("&Name={name}"));
    server.wait_in("Work", &token, "Finished");
    token
}

fn is_known(server: &Server, token: &str) -> bool {
    server.about("Work", "getStatus", token).is_success()
}

#[test]
fn what_a_restore_has_moved_aside_is_put_back_after_a_crash() {
    let home = Home::new(CONFIG);
    let data = home.data();
    let server = home.start();
    let first = finished(&server, "first");
    let file = backed_up(&server, Path::new("backups"));
    let second = finished(&server, "second");
    let kept = restore(&server, &file).success().must("kept");
    server.wait_for_line(&["the backup has taken its place"]);
    wait_until("the restored server", || {
        Caller::new(server.address)
            .and_then(|mut caller| caller.ask("GetPid"))
            .is_ok_and(|answer| answer.is_success())
    });
    let third = finished(&server, "third");
    refused(Path::new(&kept), &data, "in use by another server");
    server.kill();
    assert!(fs::metadata(data.join("actions.db-wal")).unwrap().len() > 0, "a crash leaves a log");

    let said = restored(Path::new(&kept), &data);
    assert!(said.contains("with 2 actions"), "{said}");
    let server = home.start();
    assert!(is_known(&server, &first) && is_known(&server, &second));
    assert!(!is_known(&server, &third));
    let fourth = finished(&server, "fourth");
    server.kill();

    // What a crash has left is a database and its log, and both go together.
    let aside = home.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for name in ["actions.db", "actions.db-wal"] {
        fs::rename(data.join(name), aside.join(name)).unwrap();
    }
    restored(&aside, &data);
    assert!(aside.join("actions.db-wal").exists(), "it stays as it is");
    assert!(is_known(&home.start(), &fourth));
}

#[test]
fn a_backup_is_put_back_where_the_server_does_not_start() {
    let home = Home::new(CONFIG);
    let data = home.data();
    let server = home.start();
    let token = finished(&server, "Ada");
    let file = backed_up(&server, Path::new("backups"));
    server.kill();
    fs::write(data.join("actions.db"), "x".repeat(10_000)).unwrap();
    // Else it would be mended from its log.
    fs::remove_file(data.join("actions.db-wal")).unwrap();
    assert!(Server::try_run(home.command()).is_err());
    refused(&data.join("none.zip"), &data, "No such file");
    refused(&data, &data, "it is the data directory itself");
    refused(home.path(), &data, "actions.db");
    refused(&file, &home.path().join("none"), "none");
    assert!(restored(&file, &data).contains("with 1 actions"));
    assert!(is_known(&home.start(), &token));
}
