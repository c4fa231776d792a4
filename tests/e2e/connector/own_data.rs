//! A task whose directory holds what the server itself writes.

use std::fs;

use super::super::program::said;
use super::super::server::{Home, Server};
use super::{assert_counts, batches, failed_fetch, fetch, files, replay};

const CONFIG: &str = "
[AsyncActions]
0=Fetch
1=Ingest
2=Other
[Fetch]
Type=FileSystemConnector
[Ingest]
Type=Ingest
[Other]
Type=Ingest
OutputDirectory=sub/out
[FetchTasks]
0=DIR1
1=DIR2
[DIR1]
DirectoryPathCSVs=.
[DIR2]
DirectoryPathCSVs=link/ingest
";

#[test]
fn batches_do_not_grow_by_what_was_written_before() {
    let home = Home::new(CONFIG);
    fs::create_dir(home.path().join("sub")).unwrap();
    fs::write(home.path().join("sub/a"), "text").unwrap();
    std::os::unix::fs::symlink("data", home.path().join("link")).unwrap();
    // What it prints goes to a file below the directory as well, wherever that is moved.
    fs::write(home.path().join("log"), "").unwrap();
    let server = Server::run(home.command_after("exec >>log"));
    let mut expected = files(&home.path().join("sub"));
    expected.extend(files(&home.path().join("test.cfg")));
    for run in 0..10 {
        if run == 5 {
            fs::write(home.path().join("log"), "a line more").unwrap();
            fs::rename(home.path().join("log"), home.path().join("sub/log.1")).unwrap();
        }
        let ended = fetch(&server, "&TaskSections=DIR1");
        let (new, old) = if run == 0 { (2, 0) } else { (0, 2) };
        assert_counts(
            &ended,
            "DIR1",
            &[("seen", 2), ("added", new), ("ingestadded", new), ("unchanged", old)],
        );
        if run == 2 {
            // The other queue makes its directory only now.
            let token = server.submit_to("Other", "&removes=x");
            assert_eq!(server.outcome("Other", &token).must("status"), "Finished");
            assert!(!files(&home.path().join("sub/out")).is_empty());
        }
    }
    let batches = batches(&home);
    assert_eq!(batches.len(), 1);
    assert!(replay(&batches).keys().eq(expected.iter()));

    let error = failed_fetch(&server, "&TaskSections=DIR2").must("error");
    assert!(
        error.contains("link/ingest: it lies in ") && error.contains("never fetched"),
        "{error}"
    );
}

#[test]
fn a_warning_at_the_start_names_them() {
    let home = Home::new(CONFIG);
    fs::create_dir_all(home.data().join("ingest")).unwrap();
    fs::create_dir(home.path().join("sub")).unwrap();
    std::os::unix::fs::symlink("data", home.path().join("link")).unwrap();
    let log = said(home.command_after("exec >>sub/log"));
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
    let data = home.data().display().to_string();
    let expected = [
        vec!["test.cfg:17: [DIR1] DirectoryPathCSVs is ., which holds the DataDirectory ", &data],
        vec![
            "test.cfg:17: [DIR1] DirectoryPathCSVs is ., which holds the OutputDirectory sub/out of [Other]",
        ],
        vec![
            "test.cfg:17: [DIR1] DirectoryPathCSVs is ., which holds the log ",
            "/sub/log: no task enters",
        ],
        vec![
            "test.cfg:19: [DIR2] DirectoryPathCSVs is link/ingest, which lies in the DataDirectory ",
            "so this one fails",
        ],
    ];
    assert_eq!(warnings.len(), expected.len(), "{log:?}");
    for (line, parts) in warnings.iter().zip(expected) {
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
    }
}
