//! Which files Ingest reads and deletes for a client, and for Fetch, and what it says of the others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::server::Home;
use super::{
    batches, config, datastore, fetch, grow, ingest, replay, start_fetch, until_ingested,
    with_ingest,
};

fn add(path: &Path, lifetime: &str) -> String {
    let path = path.display();
    format!(
        "<add><reference>{path}</reference><source filename=\"{path}\" lifetime=\"{lifetime}\"/></add>"
    )
}

#[test]
fn a_client_can_neither_read_nor_delete_what_is_not_allowed() {
    let home = Home::new(&config(&[], ""));
    let note = home.path().join("note.txt");
    fs::write(&note, "a note").unwrap();
    let server = home.start();
    let database = home.data().join("actions.db");
    for path in [&database, &note, Path::new("/etc/passwd"), Path::new("note.txt")] {
        let ended = ingest(&server, &[("adds", &add(path, "temporary"))]);
        assert_eq!(ended.must("status"), "Error", "{}", ended.0);
        let error = ended.must("error");
        assert!(error.contains("[Ingest] AllowedSourceDirectories is not set"), "{error}");
        assert_eq!((ended.number("documents"), ended.number("failed")), (1, 1), "{}", ended.0);
    }
    assert!(batches(&home).is_empty());
    drop(server);

    // Not even if all that is around it is allowed.
    let settings = format!("AllowedSourceDirectories={},data", home.path().display());
    fs::write(home.path().join("test.cfg"), with_ingest(&config(&[], ""), &settings)).unwrap();
    let server = home.start();
    symlink(home.data(), home.path().join("link")).unwrap();
    ingest(&server, &[("removes", "so that there is an output directory")]);
    let written = home.data().join("ingest").read_dir().unwrap().next().unwrap().unwrap().path();
    for (path, why) in [
        (database.clone(), "is the server's own"),
        (written.join("batch.json"), "is the server's own"),
        (home.path().join("link/actions.db"), "symbolic link"),
        (home.path().join("./data/../data/actions.db"), "is the server's own"),
    ] {
        let ended = ingest(&server, &[("adds", &add(&path, "temporary"))]);
        let error = ended.must("error");
        assert!(error.contains(why), "{}: {error}", path.display());
    }
    assert!(database.exists() && written.join("batch.json").exists());
    // Nor the configuration, by whatever name.
    let (own, linked) = (home.path().join("test.cfg"), home.path().join("linked"));
    fs::hard_link(&own, &linked).unwrap();
    for path in [&own, &linked] {
        let ended = ingest(&server, &[("adds", &add(path, "temporary"))]);
        let error = ended.must("error");
        assert!(error.contains("a file of the server's own"), "{}: {error}", path.display());
    }
    assert!(own.exists() && linked.exists());
    let ended = ingest(&server, &[("adds", &add(&note, "temporary"))]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert!(!note.exists());
}

#[test]
fn what_was_not_taken_is_in_the_status_and_stays() {
    let home = Home::new(&with_ingest(&config(&[], ""), "AllowedSourceDirectories=incoming"));
    let incoming = home.path().join("incoming");
    fs::create_dir(&incoming).unwrap();
    let path = |name: &str| incoming.join(name);
    fs::write(path("text"), "text").unwrap();
    fs::write(path("binary"), [b'a', 0xff]).unwrap();
    let server = home.start();
    let given: String =
        ["text", "binary", "missing"].iter().map(|name| add(&path(name), "temporary")).collect();
    let ended = ingest(&server, &[("adds", &format!("<adds>{given}</adds>"))]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    let counts = ["documents", "withoutcontent", "failed"].map(|name| ended.number(name));
    assert_eq!(counts, [3, 1, 1], "{}", ended.0);
    let reasons = ended.values("importerror");
    let expected = ["not text in UTF-8 (byte 2)", "No such file"];
    assert_eq!(reasons.len(), expected.len(), "{}", ended.0);
    let lines = &batches(&home)[0].lines;
    for ((reason, expected), line) in reasons.iter().zip(expected).zip(&lines[1..]) {
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(line["fields"]["ImportErrorDescription"][0], **reason);
    }
    let list = server.info("Ingest", "getStatus", "&ResponseFormat=simplejson").0;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let action = &list["autnresponse"]["responsedata"]["actions"]["action"][0];
    assert_eq!(action["failed"], "1");
    assert_eq!(action["importerrors"]["importerror"][1]["$"], *reasons[1], "{list}");
    assert_eq!(lines[0]["content"], "text");
    assert!(path("binary").exists() && !path("text").exists());
}

#[test]
fn a_temporary_source_of_which_only_a_part_was_taken_stays() {
    let home = Home::new(&with_ingest(&config(&[], ""), "AllowedSourceDirectories=."));
    let source = home.path().join("source");
    // MaxContentSize is 2000.
    fs::write(&source, "x".repeat(3_000)).unwrap();
    let server = home.start();
    let ended = ingest(&server, &[("adds", &add(&source, "temporary"))]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert_eq!((ended.number("documents"), ended.number("cut")), (1, 1), "{}", ended.0);
    assert!(source.exists());
    server.wait_for_line(&["WARN", "1 temporary sources are left as they are"]);
    let update = format!(
        "<update><reference>x</reference><source filename='{}' lifetime='temporary'/></update>",
        source.display()
    );
    let ended = ingest(&server, &[("updates", &update)]);
    assert_eq!((ended.number("documents"), ended.number("cut")), (1, 0), "{}", ended.0);
    assert!(ended.must("warning").starts_with("not used: the source or pages of \"x\""));
    assert!(source.exists());
}

#[test]
fn one_request_writes_no_more_than_it_may() {
    let home = Home::new(&with_ingest(
        &config(&[], ""),
        "AllowedSourceDirectories=.\nMaxOutputSize=1000000",
    ));
    let source = home.path().join("source");
    fs::write(&source, "x".repeat(2_000)).unwrap();
    let server = home.start();
    let adds = |number: usize| format!("<adds>{}</adds>", add(&source, "temporary").repeat(number));
    let ended = ingest(&server, &[("adds", &adds(300))]);
    assert_eq!(ended.must("status"), "Error", "{}", ended.0);
    let error = ended.must("error");
    assert!(error.contains("MaxOutputSize allows, 1000000 bytes"), "{error}");
    assert!(source.exists());
    let left = fs::read_dir(home.data().join("ingest")).unwrap().count();
    assert_eq!(left, 0, "something half written is left");
    let ended = ingest(&server, &[("adds", &adds(100))]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert!(!source.exists());
}

#[test]
fn a_link_in_the_place_of_what_fetch_found_leads_nowhere() {
    let config = config(
        &[("DIR1", "DirectoryPathCSVs=tree"), ("DIR2", "DirectoryPathCSVs=link")],
        "[Ingestion]\nIngestBatchSize=7",
    );
    let home = Home::new(&config);
    let at = |name: &str| home.path().join(name);
    grow(&at("tree"), 120);
    grow(&at("other"), 30);
    symlink("other", at("link")).unwrap();
    // The same names with other text, where links will lead to.
    fs::create_dir_all(at("away")).unwrap();
    for number in 0..60 {
        fs::write(at("away").join(format!("file{number:05}.txt")), "a secret").unwrap();
    }
    let server = home.start();
    server.info("Ingest", "pause", "").success();
    let ended = server.outcome("Fetch", &start_fetch(&server, ""));
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    // What the server says of it to itself is shown to nobody.
    let parameters = server.info("Ingest", "getActionParameters", "").success();
    assert!(parameters.0.contains("name=\"adds\"") && !parameters.0.contains("actiond:"));

    // A directory, some files, and the root of the other task.
    fs::rename(at("tree/folder000"), at("was")).unwrap();
    symlink(at("away"), at("tree/folder000")).unwrap();
    for number in [100, 101] {
        let file = at(&format!("tree/folder002/file{number:05}.txt"));
        fs::remove_file(&file).unwrap();
        symlink(at("away/file00000.txt"), &file).unwrap();
    }
    fs::create_dir(at("swapped")).unwrap();
    symlink(at("away"), at("swapped/folder000")).unwrap();
    fs::remove_file(at("link")).unwrap();
    symlink("swapped", at("link")).unwrap();
    // It is remembered over a restart, too.
    drop(server);
    let server = home.start();
    server.info("Ingest", "resume", "").success();
    super::super::server::wait_until("the end of all in Ingest", || {
        let counts = server.info("Ingest", "queueStatus", "").success();
        counts.number("pending") + counts.number("running") == 0
    });
    let index = replay(&batches(&home));
    let texts: Vec<_> = index.values().filter(|text| !text.is_empty()).collect();
    // Of the first task 50 and 2 of 120 were replaced; the second went through its link before.
    assert_eq!(texts.len(), 120 - 52 + 30);
    assert!(texts.iter().all(|text| text.starts_with("text ")), "{texts:?}");
    let errors = server.info("Ingest", "getStatus", "&State=Error").success().values("error");
    assert!(
        !errors.is_empty() && errors.iter().all(|why| why.contains("symbolic link")),
        "{errors:?}"
    );
}

#[test]
fn a_file_that_another_replaced_comes_with_the_next_run() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    grow(&home.path().join("tree"), 3);
    let server = home.start();
    server.info("Ingest", "pause", "").success();
    server.outcome("Fetch", &start_fetch(&server, ""));
    // As editors save.
    let file = home.path().join("tree/folder000/file00001.txt");
    fs::write(home.path().join("new"), "a new text").unwrap();
    fs::rename(home.path().join("new"), &file).unwrap();
    server.info("Ingest", "resume", "").success();
    until_ingested(&server);
    let text = |home: &Home| replay(&batches(home))[file.as_os_str().as_encoded_bytes()].clone();
    assert_eq!(text(&home), "");
    fetch(&server, "");
    assert_eq!(text(&home), "a new text");
    assert_eq!(datastore(&home, "DIR1").len(), 3);
}

#[test]
fn a_client_cannot_say_that_fetch_found_something() {
    let home = Home::new(&config(&[], ""));
    let note = home.path().join("note");
    fs::write(&note, "a note").unwrap();
    let server = home.start();
    let adds = add(&note, "permanent");
    // It is refused before anybody looks at what it says.
    let found = "{\"root\":\"/\",\"named\":\"/\",\"files\":[[0,0,6,0,0]]}";
    for name in ["actiond:found", "ACTIOND:Found", "actiond:other"] {
        for more in [None, Some(("Synchronous", "true")), Some(("Wait", "5"))] {
            let parameters: Vec<_> =
                [("adds", adds.as_str()), (name, found)].into_iter().chain(more).collect();
            let (code, why) = server.post("Ingest", &parameters).error();
            assert_eq!(code, "ERRORPARAMINVALID", "{why}");
            assert!(why.contains(name), "{why}");
        }
    }
    let target = format!("Ingest&removes=a&actiond%3Afound={}", "%7B%7D");
    assert_eq!(server.ask(&target).error().0, "ERRORPARAMINVALID");
    server.nothing_was_queued("Ingest");
    assert!(batches(&home).is_empty());
}
