//! An archive is checked before anything is touched.

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::super::server::{Home, Server};
use super::{CONFIG, backed_up, restore};

/// Writes an archive with what `change` makes of each file of another; `None` leaves a file out.
fn changed(from: &Path, to: &Path, change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(from).unwrap()).unwrap();
    let mut writer = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(bytes) = change(&name, bytes) {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(&bytes).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// Writes an archive with one more file than another.
fn add(from: &Path, to: &Path, name: &str) {
    changed(from, to, |_, bytes| Some(bytes));
    let file = std::fs::File::options().read(true).write(true).open(to).unwrap();
    let mut writer = zip::ZipWriter::new_append(file).unwrap();
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap();
}

/// Writes an archive that is whole, with a database that these statements have changed.
fn with_database(from: &Path, to: &Path, statements: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("actions.db");
    changed(from, to, |name, bytes| {
        if name == "actions/actions.db" {
            std::fs::write(&path, bytes).unwrap();
        }
        None
    });
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(statements).unwrap();
    drop(database);
    let new = std::fs::read(&path).unwrap();
    changed(from, to, |name, bytes| {
        if name == "actions/actions.db" {
            return Some(new.clone());
        }
        if name != "backup.json" {
            return Some(bytes);
        }
        let mut contents: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let entry = &mut contents["files"][0];
        assert_eq!(entry["name"], "actions/actions.db");
        entry["size"] = new.len().into();
        entry["sha256"] = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(&new)).into();
        Some(serde_json::to_vec(&contents).unwrap())
    });
}

fn refused(server: &Server, file: &Path, why: &str) {
    let (code, text) = restore(server, file).error();
    assert_eq!(code, "ERRORPARAMINVALID", "{text}");
    assert!(text.contains(why), "{why}: {text}");
}

#[test]
fn what_is_not_whole_is_refused_and_nothing_changes() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Work", "&Name=Ada");
    server.wait_in("Work", &token, "Finished");
    let file = backed_up(&server, Path::new("backups"));
    let bytes = std::fs::read(&file).unwrap();
    let bad = home.data().join("backups/bad.zip");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    refused(&server, &bad, "no whole zip file");
    std::fs::write(&bad, "text").unwrap();
    refused(&server, &bad, "no whole zip file");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 0x55;
    std::fs::write(&bad, &flipped).unwrap();
    refused(&server, &bad, "actions/actions.db");
    changed(&file, &bad, |name, bytes| (name != "backup.json").then_some(bytes));
    refused(&server, &bad, "backup.json");
    changed(&file, &bad, |name, bytes| (name != "actions/actions.db").then_some(bytes));
    refused(&server, &bad, "actions/actions.db");
    changed(&file, &bad, |name, bytes| match name {
        "backup.json" => Some(text(bytes).replace("\"format\": 1", "\"format\": 2").into_bytes()),
        _ => Some(bytes),
    });
    refused(&server, &bad, "format 2");
    // Whole as an archive, but with another database.
    changed(&file, &bad, |name, mut bytes| {
        if name == "actions/actions.db" {
            bytes.truncate(bytes.len() - 1);
            bytes.push(1);
        }
        Some(bytes)
    });
    refused(&server, &bad, "not as it was put in");
    add(&file, &bad, "../../../pwn");
    refused(&server, &bad, "pwn");

    assert_eq!(server.status_in("Work", &token), "Finished");
    assert!(!home.data().join("restore.part").exists());
    let next = server.submit_to("Work", "&Name=Bob");
    server.wait_in("Work", &next, "Finished");
}

/// A whole archive may hold what no server could begin with. Then the data stays, and so does the server.
#[test]
fn what_no_server_could_begin_with_is_refused() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Work", "&Name=Ada");
    server.wait_in("Work", &token, "Finished");
    let file = backed_up(&server, Path::new("backups"));
    let bad = home.data().join("backups/bad.zip");
    for (statements, why) in [
        ("DELETE FROM meta", "no server can begin"),
        ("DROP TABLE meta", "not actiond's"),
        ("UPDATE queue SET counts = 'junk'", "how many actions"),
        ("UPDATE queue SET counts = replace(counts, '1', '2')", "how many actions"),
        ("PRAGMA user_version = 2", "no server can begin"),
        ("PRAGMA user_version = 9", "format 9"),
        ("DROP INDEX by_queued", "by_queued"),
        (
            "DROP INDEX by_queued; CREATE INDEX by_queued ON action (queue, percent)",
            "index by_queued is not actiond's",
        ),
        (
            "CREATE TRIGGER mine AFTER INSERT ON action BEGIN DELETE FROM action; END",
            "trigger mine",
        ),
        ("CREATE TABLE mine (x)", "table mine"),
        ("ALTER TABLE queue ADD COLUMN mine TEXT", "table queue"),
        ("UPDATE meta SET last_id = 9223372036854775807", "ids of its actions"),
        ("UPDATE meta SET last_id = -1", "ids of its actions"),
        ("UPDATE action SET state = 99", "unknown state"),
    ] {
        with_database(&file, &bad, statements);
        refused(&server, &bad, why);
    }
    assert_eq!(server.status_in("Work", &token), "Finished");
    assert!(!home.data().join("restore.part").exists());
    with_database(&file, &bad, "UPDATE queue SET paused = 1");
    restore(&server, &bad).success();
    server.wait_for_line(&["the backup has taken its place"]);
}
