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

    assert_eq!(server.status_in("Work", &token), "Finished");
    assert!(!home.data().join("restore").exists());
    let next = server.submit_to("Work", "&Name=Bob");
    server.wait_in("Work", &next, "Finished");
}
