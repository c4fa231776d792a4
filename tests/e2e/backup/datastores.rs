//! What Fetch remembers is a part of a backup: after a restore it neither forgets files nor sends them again.

use std::fs;
use std::path::Path;

use super::super::server::{Home, wait_until};
use super::{backed_up, restore};

const CONFIG: &str = "
[AsyncActions]
0=Fetch
1=Ingest
[Fetch]
Type=FileSystemConnector
[Ingest]
Type=Ingest
[FetchTasks]
0=DIR1
[DIR1]
DirectoryPathCSVs=docs
";

fn names(file: &Path) -> Vec<String> {
    let archive = zip::ZipArchive::new(fs::File::open(file).unwrap()).unwrap();
    let mut names: Vec<String> =
        archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_was_new_after_the_backup_is_new_again() {
    let home = Home::new(CONFIG);
    fs::create_dir(home.path().join("docs")).unwrap();
    fs::write(home.path().join("docs/a"), "text").unwrap();
    let server = home.start();
    let fetch = || {
        let token = server.submit_to("Fetch", "&FetchAction=Synchronize");
        server.outcome("Fetch", &token).with(|document| {
            let counts = document.descendants().find(|node| node.has_tag_name("documentcount"));
            let count = |name| counts.and_then(|node| node.attribute(name)).unwrap().to_owned();
            (count("added"), count("unchanged"))
        })
    };
    assert_eq!(fetch(), ("1".to_owned(), "0".to_owned()));
    let file = backed_up(&server, &home.data().join("backups"));
    let expected = [
        "actions/actions.db",
        "backup.json",
        "configuration/test.cfg",
        "datastores/connector_DIR1_datastore.db",
    ];
    assert_eq!(names(&file), expected);
    fs::write(home.path().join("docs/b"), "text").unwrap();
    assert_eq!(fetch(), ("1".to_owned(), "1".to_owned()));
    assert_eq!(fetch(), ("0".to_owned(), "2".to_owned()));
    wait_until("Ingest", || {
        server.info("Ingest", "getStatus", "&State=processing,queued").values("token").is_empty()
    });
    let answer = restore(&server, &file).success();
    server.wait_for_line(&["the backup has taken its place"]);
    assert_eq!(fetch(), ("1".to_owned(), "1".to_owned()), "b is new again, and a is not");
    assert!(Path::new(&answer.must("kept")).join("connector_DIR1_datastore.db").is_file());
}
