//! Backups as the log, the metrics and cron are told of them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::super::server::{Home, wait_until};
use super::{CONFIG, backed_up};

#[test]
fn each_failure_is_one_line_of_the_log_and_is_counted() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let number = |line: &str| server.get("/metrics").lines().filter(|other| *other == line).count();
    assert_eq!(number("actiond_last_backup_timestamp_seconds 0"), 1);
    server.post("BackupServer", &[("Path", "/x\n[forged]")]).error();
    let line = server.wait_for_line(&["WARN", "no backup was written to", "elsewhere"]);
    assert!(line.contains(r"/x\n[forged]"), "{line}");
    server.post("RestoreServer", &[("FileName", "y\n[forged]")]).error();
    server.wait_for_line(&["WARN", r"y\n[forged]", "was not restored"]);
    backed_up(&server, Path::new("a\n[forged]"));
    server.wait_for_line(&["a backup of 0 actions was written to", r"a\n[forged]"]);
    assert_eq!(server.log_lines("[forged]"), 3);
    assert_eq!(number("actiond_backups_total{outcome=\"error\"} 1"), 1);
    assert_eq!(number("actiond_backups_total{outcome=\"success\"} 1"), 1);
    assert_eq!(number("actiond_last_backup_timestamp_seconds 0"), 0);

    // A client is not told where the server has its files.
    fs::create_dir(home.data().join("backup.part")).unwrap();
    let (_, text) = server.post("BackupServer", &[("Path", "backups")]).error();
    assert!(!text.contains(home.data().to_str().unwrap()), "{text}");
    server.wait_for_line(&["WARN", "no backup was written to \"backups\": ", "backup.part"]);
}

#[test]
fn a_directory_for_backups_is_made_at_the_start() {
    let elsewhere = tempfile::tempdir().unwrap();
    let made = elsewhere.path().join("deep/backups");
    let no_directory = elsewhere.path().join("file");
    fs::write(&no_directory, "").unwrap();
    let home = Home::new(&format!(
        "[Server]\nBackupDirectories={},{}\n{CONFIG}",
        made.display(),
        no_directory.join("x").display()
    ));
    let server = home.start();
    assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700);
    server.wait_for_line(&["WARN", "BackupDirectories", "can't be made"]);
    assert!(backed_up(&server, &made).starts_with(&made));
}

/// The script of docs/operations.md, with other places in it.
fn script(address: &str, folder: &Path) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```sh\n#!/bin/sh\n").expect("a script");
    let (script, _) = rest.split_once("```").unwrap();
    assert!(script.contains("localhost:7000") && script.contains("/srv/backups"), "{script}");
    script.replace("localhost:7000", address).replace("/srv/backups", folder.to_str().unwrap())
}

#[test]
fn old_backups_are_deleted_after_a_good_one_alone() {
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().to_owned();
    let home = Home::new(&format!("[Server]\nBackupDirectories={}\n{CONFIG}", folder.display()));
    let server = home.start();
    let old = folder.join("old.zip");
    let make_old = || {
        fs::write(&old, "").unwrap();
        assert!(
            Command::new("touch").args(["-d", "20 days ago"]).arg(&old).status().unwrap().success()
        );
    };
    let run = |script: &str| {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(printed).unwrap())
    };
    let address = server.address.to_string();
    make_old();
    let (is_good, printed) = run(&script(&address, &folder).replace("Path=", "Path=/nowhere"));
    assert!(!is_good && printed.contains("ERRORPARAMINVALID"), "{printed}");
    assert!(old.exists());
    assert_eq!(run(&script(&address, &folder)), (true, String::new()));
    assert!(!old.exists());
    assert_eq!(folder.read_dir().unwrap().count(), 1, "the new one");
    make_old();
    server.signal("TERM");
    wait_until("the end", || std::net::TcpStream::connect(server.address).is_err());
    let (is_good, printed) = run(&script(&address, &folder));
    assert!(!is_good && !printed.is_empty());
    assert!(old.exists());
}
