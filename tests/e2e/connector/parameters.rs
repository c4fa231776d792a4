//! What a Fetch action may be given, and what it says of the rest.

use std::fs;

use super::super::server::{Home, Server};
use super::{assert_counts, config, fetch, start_fetch};

fn server() -> (Home, Server) {
    let home = Home::new(&config(
        &[("MyTask0", "DirectoryPathCSVs=one"), ("MyTask1", "DirectoryPathCSVs=two")],
        "",
    ));
    for name in ["one", "two"] {
        fs::create_dir(home.path().join(name)).unwrap();
        fs::write(home.path().join(name).join("file"), name).unwrap();
    }
    let server = home.start();
    (home, server)
}

#[test]
fn config_section_names_a_task() {
    let (_home, server) = server();
    let ended = fetch(&server, "&configSection=mytask1&responseFormat=xml");
    assert_eq!(ended.values("success"), ["MYTASK1"]);
    assert!(ended.values("warning").is_empty(), "{}", ended.0);
    assert!(!ended.0.contains("MYTASK0"), "{}", ended.0);

    let ended = server.outcome("Fetch", &start_fetch(&server, "&ConfigSection=MyTask7"));
    assert_eq!(ended.must("status"), "Error");
    let error = ended.must("error");
    assert!(error.starts_with("ConfigSection: \"MyTask7\" is not a task"), "{error}");
    // As from a script whose variable is not set.
    for (list, name) in [
        ("&ConfigSection=", "ConfigSection"),
        ("&TaskSections=%20", "TaskSections"),
        ("&TaskSections=,", "TaskSections"),
    ] {
        let ended = server.outcome("Fetch", &start_fetch(&server, list));
        assert_eq!(ended.must("status"), "Error", "{list}");
        let error = ended.must("error");
        assert!(error.starts_with(&format!("{name}: it names no task")), "{error}");
        assert!(!ended.0.contains("MYTASK0"), "{}", ended.0);
    }
    let ended = fetch(&server, "");
    assert_eq!(ended.values("success"), ["MYTASK0", "MYTASK1"]);
    assert_counts(&ended, "MYTASK1", &[("seen", 1), ("unchanged", 1)]);
}

#[test]
fn what_can_not_be_honoured_is_refused_or_named() {
    let (_home, server) = server();
    for (rest, name) in [
        ("&identifiers=a,b", "identifiers"),
        ("&IngestActions=META:A=B", "IngestActions"),
        ("&Config=W1NlcnZlcl0=", "Config"),
        ("&FailedDirectory=/tmp/x", "FailedDirectory"),
        ("&SecurityInfo=abc", "SecurityInfo"),
        ("&DirectoryPathCSVs=/etc", "DirectoryPathCSVs"),
        ("&%5BMyTask0%5DDirectoryPathCSVs=/etc", "[MyTask0]DirectoryPathCSVs"),
    ] {
        let ended = server.outcome("Fetch", &start_fetch(&server, rest));
        assert_eq!(ended.must("status"), "Error", "{rest}: {}", ended.0);
        let error = ended.must("error");
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(ended.values("success").is_empty(), "{}", ended.0);
    }
    // Nothing was done by any of them.
    let ended = fetch(&server, "&Destination=/tmp/x&Priority=3&ActionID=me&Wait=1");
    assert_counts(&ended, "MYTASK0", &[("seen", 1), ("added", 1), ("ingestadded", 1)]);
    let warning = ended.must("warning");
    assert!(warning.ends_with(": Destination"), "{warning}");
    for other in ["Identifiers", "Insert", "Delete", "Hold", "Update", "Stub", "View"] {
        let token = server.submit_to("Fetch", &format!("&FetchAction={other}&Identifiers=a"));
        let error = server.outcome("Fetch", &token).must("error");
        assert!(error.starts_with(&format!("FetchAction: \"{other}\" is not allowed")), "{error}");
    }
}

#[test]
fn one_that_runs_at_once_and_fails_says_why() {
    let (home, server) = server();
    fs::remove_dir_all(home.path().join("one")).unwrap();
    let fetch = "Fetch&FetchAction=Synchronize&Synchronous=true";
    let some = server.ask(fetch).success();
    assert_eq!(
        (some.values("success"), some.values("failed")),
        (vec!["MYTASK1".into()], vec!["MYTASK0".into()])
    );
    fs::remove_dir_all(home.path().join("two")).unwrap();
    let (code, why) = server.ask(fetch).error();
    assert_eq!(code, "ERRORACTIONFAILED");
    for part in
        ["all 2 tasks failed", "MYTASK0: directory one: No such file", "MYTASK1: directory two: "]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
}
