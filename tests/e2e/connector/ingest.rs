//! Ingest: what it takes, what it writes, and what it refuses.

use serde_json::json;

use super::super::server::{Home, wait_until};
use super::{batches, config, ingest, stop_soon, with_ingest};

/// Everything that stands in the output directory, hidden or not.
fn entries(home: &Home) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.data().join("ingest")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn documents_are_added_updated_and_removed() {
    let home = Home::new(&with_ingest(&config(&[], ""), "AllowedSourceDirectories=incoming"));
    std::fs::create_dir(home.path().join("incoming")).unwrap();
    let source = home.path().join("incoming/source.txt");
    let temporary = home.path().join("incoming/temporary.txt");
    std::fs::write(&source, "from a file").unwrap();
    std::fs::write(&temporary, "from a file that goes").unwrap();
    let server = home.start();
    let adds = format!(
        "<?xml version=\"1.0\"?><adds>
         <add><document><reference>one</reference><metadata name=\"A\" value=\"1 &lt; 2\"/>
           <metadata name=\"A\" value=\"second\"/><metadata name=\"DRETITLE\" value=\"T\"/></document>
           <source filename=\"{}\" lifetime=\"permanent\"/></add>
         <add><document><reference>two</reference></document>
           <source filename=\"{}\" lifetime=\"temporary\"/></add>
         <add><document><reference>three</reference></document>
           <source content=\"aW5saW5l\"/></add>
         <add><document><reference>four</reference><pages content=\"a page\"/></document></add>
         </adds>",
        source.display(),
        temporary.display()
    );
    let ended = ingest(&server, &[("adds", &adds)]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert!(source.exists() && !temporary.exists());

    let updates = "<updates><update><reference>one</reference><metadata name=\"B\" value=\"2\"/></update></updates>";
    let ended = ingest(&server, &[("updates", updates), ("removes", "two,\"th,ree\",four")]);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);

    let batches = batches(&home);
    let lines: Vec<_> = batches.iter().map(|batch| batch.lines.clone()).collect();
    assert_eq!(
        lines,
        [
            vec![
                json!({"action": "add", "reference": "one", "title": "T", "content": "from a file",
                       "fields": {"A": ["1 < 2", "second"], "DRETITLE": ["T"]}}),
                json!({"action": "add", "reference": "two", "fields": {},
                       "content": "from a file that goes"}),
                json!({"action": "add", "reference": "three", "fields": {}, "content": "inline"}),
                json!({"action": "add", "reference": "four", "fields": {}, "content": "a page"}),
            ],
            vec![
                json!({"action": "update", "reference": "one", "fields": {"B": ["2"]}}),
                json!({"action": "remove", "reference": "two"}),
                json!({"action": "remove", "reference": "th,ree"}),
                json!({"action": "remove", "reference": "four"}),
            ],
        ]
    );
    let removes = std::fs::read_to_string(batches[1].directory.join("removes.txt")).unwrap();
    assert_eq!(removes, "two\nth,ree\nfour\n");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place_and_leaves_nothing() {
    let home = Home::new(&config(&[], ""));
    let server = home.start();
    let good = "<add><document><reference>r</reference></document></add>";
    let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>\n<adds>&b;</adds>";
    let external = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><adds/>";
    let deep = format!("<adds>{}", "<x>".repeat(1_000));
    let mismatched = format!("<adds>\n  {good}\n  <add><reference>x</add>\n</adds>");
    let nameless = format!("<adds>\n{good}\n<add><document/></add></adds>");
    for (parameter, text, place, why) in [
        ("adds", "<adds>\n <add>", "line 2, column 7", "not closed"),
        ("adds", mismatched.as_str(), "line 3, column ", "reference"),
        ("adds", nameless.as_str(), "line 3, column 1", "no reference"),
        ("adds", "<adds>&nbsp;</adds>", "line 1, column 7", "&nbsp; is not allowed"),
        ("adds", bomb, "line 1, column 1", "DOCTYPE is not allowed"),
        ("adds", external, "line 1, column 1", "DOCTYPE is not allowed"),
        ("adds", deep.as_str(), "line 1, column ", "deeper than 64"),
        ("adds", "<adds>\u{1}</adds>", "line 1, column 7", "U+0001"),
        ("adds", "no xml", "line 1, column 1", "outside of the root element"),
        (
            "adds",
            "<add><reference>r</reference><source content=\"*\"/></add>",
            "line 1, column 30",
            "base64",
        ),
        ("updates", "<deletes/>", "line 1, column 1", "\"deletes\" is not allowed"),
        ("removes", "a,\n\"b", "line 2, column 1", "not closed"),
    ] {
        let ended = ingest(&server, &[(parameter, text), ("removes", "also")]);
        let ended =
            if parameter == "removes" { ingest(&server, &[(parameter, text)]) } else { ended };
        assert_eq!(ended.must("status"), "Error", "{text}");
        let error = ended.must("error");
        assert!(error.starts_with(&format!("{parameter}: {place}")), "{text}: {error}");
        assert!(error.contains(why), "{text}: {error}");
    }
    let ended = ingest(&server, &[("adds", " "), ("other", "x")]);
    assert!(ended.must("error").contains("nothing to ingest"), "{}", ended.0);
    // `removes=also` stood beside bad documents: an action is done whole or not at all.
    let done: Vec<_> = batches(&home);
    let lines: Vec<_> = done.iter().flat_map(|batch| batch.lines.clone()).collect();
    let also = json!({"action": "remove", "reference": "also"});
    assert!(lines.iter().all(|line| *line == also), "{lines:?}");
    assert_eq!(lines.len(), 1, "only the good one beside a bad `removes` of its own is there");
}

/// Documents enough to keep an Ingest busy for a while.
fn many(number: usize) -> String {
    let mut adds = String::from("<adds>");
    for number in 0..number {
        adds.push_str(&format!(
            "<add><reference>r{number}</reference><metadata name=\"A\" value=\"{number}\"/></add>"
        ));
    }
    adds + "</adds>"
}

#[test]
fn an_ingest_that_is_stopped_leaves_no_batch() {
    let home = Home::new(&config(&[], ""));
    let server = home.start();
    let text = many(20_000);
    let token = server.post("Ingest", &[("adds", &text)]).success().must("token");
    // The batch is being written: hidden, and not yet there.
    wait_until("a batch under way", || {
        let status = server.status_in("Ingest", &token);
        assert!(["Queued", "Processing"].contains(&&*status), "it was too fast: {status}");
        entries(&home).iter().any(|name| name.starts_with('.'))
    });
    stop_soon(&server, "Ingest", &token);
    assert!(entries(&home).is_empty(), "{:?}", entries(&home));
}

#[test]
fn an_ingest_that_is_killed_is_done_once_after_the_restart() {
    let home = Home::new(&config(&[], ""));
    let server = home.start();
    let text = many(20_000);
    let token = server.post("Ingest", &[("adds", &text)]).success().must("token");
    wait_until("a batch under way", || entries(&home).iter().any(|name| name.starts_with('.')));
    server.kill();
    assert!(entries(&home).iter().all(|name| name.starts_with('.')), "{:?}", entries(&home));
    let server = home.start();
    let ended = server.outcome("Ingest", &token);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    let done = batches(&home);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].lines.len(), 20_000);
    assert_eq!(done[0].lines[19_999]["reference"], "r19999");
    assert_eq!(entries(&home).len(), 1, "something half written is left");
}
