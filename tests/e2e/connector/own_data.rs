//! A task whose directory holds what the server itself writes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::super::durable::names_no_path;
use super::super::program::said;
use super::super::server::{Home, Server};
use super::{
    assert_counts, batches, config, failed_fetch, fetch, files, ingest, replay, with_ingest,
};

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
    // Nor is the configuration a document.
    let expected = files(&home.path().join("sub"));
    for run in 0..10 {
        if run == 5 {
            fs::write(home.path().join("log"), "a line more").unwrap();
            fs::rename(home.path().join("log"), home.path().join("sub/log.1")).unwrap();
        }
        let ended = fetch(&server, "&TaskSections=DIR1");
        let (new, old) = if run == 0 { (1, 0) } else { (0, 1) };
        assert_counts(
            &ended,
            "DIR1",
            &[("seen", 1), ("added", new), ("ingestadded", new), ("unchanged", old)],
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

    let ended = failed_fetch(&server, "&TaskSections=DIR2");
    let told = "directory link/ingest: it lies in one into which this server writes";
    assert!(ended.must("error").contains(told), "{}", ended.0);
    names_no_path(&home, &ended);
    let ingest = home.data().join("ingest").display().to_string();
    server.wait_for_line(&["WARN", "directory link/ingest lies in ", &ingest]);
}

/// The client is told what is wrong with the server's own file, the log also where it is.
#[test]
fn a_datastore_that_cannot_be_used_is_named_in_the_log_alone() {
    let home = Home::new(&config(&[("D", "DirectoryPathCSVs=docs")], ""));
    fs::create_dir(home.path().join("docs")).unwrap();
    fs::create_dir_all(home.data()).unwrap();
    let path = home.data().join("connector_D_datastore.db");
    let server = home.start();
    fs::create_dir(&path).unwrap();
    let ended = failed_fetch(&server, "");
    assert!(ended.must("error").contains("it cannot be opened"), "{}", ended.0);
    names_no_path(&home, &ended);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "junk".repeat(1_000)).unwrap();
    let ended = failed_fetch(&server, "");
    assert!(ended.must("error").contains("is damaged; move it away"), "{}", ended.0);
    names_no_path(&home, &ended);
    let path = path.display().to_string();
    for why in ["unable to open database file", "file is not a database"] {
        server.wait_for_line(&["WARN", "the datastore ", &path, why]);
    }
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

/// The locks that processes have on this file, as the system lists them.
fn locks(file: &Path) -> Vec<String> {
    let inode = format!(":{} ", fs::metadata(file).unwrap().ino());
    let all = fs::read_to_string("/proc/locks").unwrap();
    let lines = all.lines().filter(|line| line.contains(&inode));
    let mut lines: Vec<_> =
        lines.map(|line| line.split_once(": ").unwrap_or_default().1.to_owned()).collect();
    lines.sort();
    lines
}

/// To close any descriptor of a database takes away all locks that the process has on it. Then the next
/// program that looks into it throws its log away.
#[test]
fn hard_links_of_the_database_are_neither_fetched_nor_opened() {
    let home = Home::new(&with_ingest(
        &config(&[("DIR1", "DirectoryPathCSVs=docs")], ""),
        "AllowedSourceDirectories=docs",
    ));
    let docs = home.path().join("docs");
    fs::create_dir(&docs).unwrap();
    fs::write(docs.join("a"), "text").unwrap();
    let server = home.start();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 1), ("added", 1), ("ingestadded", 1)]);
    // As a backup makes them, and by another name.
    let copied = Command::new("cp").arg("-al").args([home.data(), docs.join("backup")]).status();
    assert!(copied.unwrap().success());
    fs::hard_link(home.data().join("actions.db"), docs.join("called differently")).unwrap();
    let backup = files(&docs.join("backup"));
    assert!(backup.len() > 6, "{backup:?}");
    let own = ["actions.db", "actions.db-wal", "actions.db-shm", "actiond.lock", "actions.reserve"];
    let own = || own.iter().map(|name| home.data().join(name)).filter(|path| path.exists());
    let database = home.data().join("actions.db");
    // While the database is open it has these; others come and go, at other bytes.
    let memory = home.data().join("actions.db-shm");
    let held = || {
        let mut held = locks(&database);
        held.retain(|line| line.starts_with("POSIX") || line.starts_with("OFDLCK"));
        let index = if memory.exists() { locks(&memory) } else { Vec::new() };
        held.extend(index.into_iter().filter(|line| line.ends_with(" 128 128")));
        held
    };
    let before = held();
    assert!(before.iter().any(|line| line.starts_with("POSIX")), "{before:?}");

    for _ in 0..3 {
        let ended = fetch(&server, "");
        assert_counts(&ended, "DIR1", &[("seen", 1), ("unchanged", 1)]);
    }
    let mut sources: Vec<_> =
        own().map(|path| docs.join("backup").join(path.file_name().unwrap())).collect();
    sources.push(docs.join("called differently"));
    sources.push(docs.join("backup/connector_DIR1_datastore.db"));
    for source in &sources {
        let source = source.display();
        let adds = format!(
            "<add><reference>x</reference><source filename='{source}' lifetime='temporary'/></add>"
        );
        let ended = ingest(&server, &[("adds", &adds)]);
        let error = ended.must("error");
        assert!(error.contains("a file of the server's own"), "{source}: {error}");
        server.wait_for_line(&["WARN", "[Ingest] batch-", "the document could not be taken"]);
    }
    assert!(sources.iter().all(|source| source.exists()));
    assert_eq!(replay(&batches(&home)).len(), 1);
    assert_eq!(held(), before);
}
