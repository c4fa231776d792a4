//! Files that are not as they were left, or not ours, and a directory that is taken.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use super::super::calls::{Answer, Caller, id_of};
use super::super::server::{Home, Server};
use super::{is_quiet, names_no_path};

const CONFIG: &str = "
[AsyncActions]
0=Held
1=Work
[Held]
Type=Echo
[Work]
Type=Echo
";

/// Starts a server that must refuse; returns what it said.
pub(super) fn refused(home: &Home) -> String {
    let Output { status, stderr, .. } = home.command().output().expect("the server runs");
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Everything in the data directory but the lock file, to compare.
fn content(data: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "actiond.lock")
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// A home whose server was used and has ended well.
fn used() -> (Home, Vec<String>) {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let tokens = (0..120)
        .map(|number| {
            let text = format!("{number:03}-{}", "x".repeat(900));
            server.submit_to("Held", &format!("&Text={text}"))
        })
        .collect();
    server.signal("TERM");
    assert!(server.wait().0.success());
    (home, tokens)
}

#[test]
fn a_damaged_header_is_refused_and_left_alone() {
    let (home, _) = used();
    let path = home.data().join("actions.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..100].fill(0xAA);
    std::fs::write(&path, &bytes).unwrap();
    let before = content(&home.data());
    let said = refused(&home);
    assert!(said.contains("is damaged or is not one of actiond's"), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(content(&home.data()), before);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let home = Home::new(CONFIG);
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(home.data().join("actions.db"), "a diary, and nobody else's").unwrap();
    let before = content(&home.data());
    let said = refused(&home);
    assert!(said.contains("is damaged or is not one of actiond's"), "{said}");
    assert_eq!(content(&home.data()), before);
}

/// Makes a database of another program, and checks that it is refused as it is.
fn foreign(version: i64) -> String {
    let home = Home::new(CONFIG);
    std::fs::create_dir(home.data()).unwrap();
    let path = home.data().join("actions.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(&format!(
            "CREATE TABLE diary (day TEXT, entry TEXT);
             INSERT INTO diary VALUES ('monday', 'rain');
             PRAGMA user_version = {version};"
        ))
        .unwrap();
    drop(other);
    let before = content(&home.data());
    let said = refused(&home);
    assert!(content(&home.data()) == before, "the foreign file was changed; {said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    said
}

#[test]
fn a_foreign_database_is_refused_and_left_alone() {
    let said = foreign(0);
    assert!(said.contains("tables that are not actiond's"), "{said}");
}

#[test]
fn a_foreign_database_of_the_same_version_is_refused_and_left_alone() {
    let said = foreign(1);
    assert!(said.contains("is not one of actiond's"), "{said}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let said = foreign(7);
    assert!(said.contains("format 7"), "{said}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused_by_name() {
    let home = Home::new(CONFIG);
    let first = home.start();
    let token = first.submit_to("Work", "&Sleep=0.2");
    let said = refused(&home);
    let expected = format!("is in use by another server (process {})", first.pid());
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains(home.data().to_str().unwrap()), "{said}");
    // The first one is not harmed.
    first.wait_in("Work", &token, "Finished");
    let pid = first.pid().to_string();
    assert_eq!(first.ask("GetPid").success().must("pid"), pid);
    // Nor does a lock of a killed server stay.
    first.kill();
    let second = home.start();
    assert_eq!(second.status_in("Work", &token), "Finished");
}

fn says_damaged(answer: &Answer) {
    let (code, description) = answer.error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
    assert!(description.contains("is damaged"), "{description}");
}

/// Overwrites one page in the middle of the parameters, which are apart from states and times.
fn damage_parameters(home: &Home) {
    let path = home.data().join("actions.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    let mut leaves = file
        .prepare("SELECT pageno FROM dbstat WHERE name = 'parameters' AND pagetype = 'leaf'")
        .unwrap();
    let pages: Vec<usize> =
        leaves.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let size: usize = file.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    assert!(pages.len() > 10, "{pages:?}");
    let page = pages[pages.len() / 2];
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * size..page * size].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_page_is_told_to_those_who_need_it_and_the_rest_goes_on() {
    let (home, tokens) = used();
    damage_parameters(&home);
    let server = home.start();
    let mut lost = 0;
    for (number, token) in tokens.iter().enumerate() {
        assert_eq!(server.status_in("Held", token), "Queued");
        let answer = server.about("Held", "getActionParameters", token);
        if answer.is_success() {
            assert!(answer.0.contains(&format!("value=\"{number:03}-xxx")), "{}", answer.0);
        } else {
            says_damaged(&answer);
            names_no_path(&home, &answer);
            lost += 1;
        }
    }
    assert!((1..20).contains(&lost), "{lost} of 120 actions lost their parameters");
    let token = server.submit_to("Work", "&Name=Ada");
    server.wait_in("Work", &token, "Finished");
    let token = server.submit_to("Held", "&Name=Ada");
    assert_eq!(server.status_in("Held", &token), "Queued");
    server.about("Held", "cancel", &token).success();
    assert_eq!(server.info("Held", "getStatus", "").success().values("token").len(), 121);
    // The trouble of one queue stays its own, even when the damaged actions are to start.
    server.info("Held", "resume", "").success();
    let token = server.submit_to("Work", "&Name=Bob");
    server.wait_in("Work", &token, "Finished");
    assert_eq!(server.info("Held", "getStatus", "").success().values("token").len(), 121);
}

/// Where the damaged actions are next to start, the others must not be held up by them.
#[test]
fn actions_whose_parameters_are_lost_do_not_hold_up_the_others() {
    let (home, tokens) = used();
    damage_parameters(&home);
    let server = home.start();
    server.info("Held", "resume", "").success();
    // Control gets through whatever else is wrong.
    let last = server.post("Held", &[("Sleep", "60")]).success().must("token");
    server.about("Held", "stop", &last).success();
    let late = server.submit_to("Held", "&Name=late");
    server.wait_in("Held", &late, "Finished");
    for token in &tokens {
        let status = server.status_in("Held", token);
        assert!(["Finished", "Error"].contains(&&*status), "{status}");
    }
}

/// A queue that can start nothing waits before it tries again, and does not spin.
#[test]
fn a_queue_that_can_start_nothing_is_quiet() {
    let (home, _) = used();
    damage_parameters(&home);
    let server = home.start();
    server.info("Held", "resume", "").success();
    is_quiet(server, Duration::from_secs(1), 100);
}

/// Overwrites a page in the middle of a table or an index.
fn damage_a_leaf(home: &Home, tree: &str) {
    let path = home.data().join("actions.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    let mut leaves = file
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path")
        .unwrap();
    let pages: Vec<usize> =
        leaves.query_map([tree], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(pages.len() > 2, "{tree} has {} leaves", pages.len());
    let page = pages[pages.len() / 2];
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xAA);
    std::fs::write(path, bytes).unwrap();
}

/// A list that is written while it is sent: too long to be one page.
fn long() -> (Home, Vec<u64>) {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let mut caller = Caller::new(server.address).unwrap();
    let tokens = (0..1_000).map(|n| {
        let answer = caller.ask(&format!("Held&Text={n:04}-{}", "x".repeat(100)));
        id_of(&answer.unwrap().success().must("token"))
    });
    let tokens = tokens.collect();
    server.signal("TERM");
    assert!(server.wait().0.success());
    (home, tokens)
}

/// The actions that are listed, by their ids: a token holds the port too.
fn ids(answer: &Answer) -> Vec<u64> {
    answer.values("token").iter().map(|token| id_of(token)).collect()
}

fn list(server: &Server, what: &str) -> Answer {
    server.info("Held", what, "").success()
}

fn newest_first(actions: &[u64]) -> Vec<u64> {
    actions.iter().rev().copied().collect()
}

/// Each element that is an error, by the name of the one it stands in.
fn errors(answer: &Answer) -> Vec<(String, String)> {
    answer.with(|document| {
        let errors = document.descendants().filter(|node| node.has_tag_name("error"));
        let place = |node: roxmltree::Node<'_, '_>| {
            node.parent().map(|parent| parent.tag_name().name().to_owned()).unwrap_or_default()
        };
        errors.map(|node| (place(node), node.text().unwrap_or_default().to_owned())).collect()
    })
}

#[test]
fn a_list_goes_on_past_a_damaged_page_and_says_so() {
    let (home, actions) = long();
    damage_a_leaf(&home, "action");
    let server = home.start();
    let answer = list(&server, "getStatus");
    let listed = ids(&answer);
    assert!((700..1_000).contains(&listed.len()), "{} of 1000 are listed", listed.len());
    // The newest first, from the first to the last, with a gap.
    let mut expected = newest_first(&actions);
    expected.retain(|id| listed.contains(id));
    assert_eq!(listed, expected);
    assert_eq!((listed[0], listed[listed.len() - 1]), (actions[999], actions[0]));
    names_no_path(&home, &answer);
    let errors = errors(&answer);
    let [(place, text)] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(place, "actions");
    assert!(text.contains("missing from this list") && text.contains("is damaged"), "{text}");
    let last = |node: &roxmltree::Document<'_>| {
        let actions = node.descendants().find(|node| node.has_tag_name("actions")).unwrap();
        actions.last_element_child().unwrap().tag_name().name().to_owned()
    };
    assert_eq!(answer.with(last), "error", "behind all that could be read");

    // The other forms, and parts of it.
    for format in ["json", "simplejson"] {
        let target = format!(
            "/action=QueueInfo&QueueName=Held&QueueAction=getStatus&ResponseFormat={format}"
        );
        let json: serde_json::Value = serde_json::from_str(&server.get(&target)).unwrap();
        let actions = &json["autnresponse"]["responsedata"]["actions"];
        assert_eq!(actions["action"].as_array().unwrap().len(), listed.len());
        assert!(actions["error"].to_string().contains("is damaged"), "{}", actions["error"]);
    }
    let newest = server.info("Held", "getStatus", "&MaxResults=10").success();
    assert_eq!(ids(&newest), newest_first(&actions[990..]));
    let oldest = server.info("Held", "getStatus", "&MaxResults=10&Sort-Order=ascending").success();
    assert_eq!(ids(&oldest), actions[..10]);
    for whole in [newest, oldest] {
        assert_eq!(self::errors(&whole), [], "nothing is missing from these");
    }
}

#[test]
fn a_damaged_index_hides_no_action_from_a_list() {
    let (home, actions) = long();
    damage_a_leaf(&home, "by_queued");
    let server = home.start();
    let answer = list(&server, "getStatus");
    assert_eq!(ids(&answer), newest_first(&actions));
    assert_eq!(errors(&answer).len(), 1);
}

#[test]
fn what_actions_were_given_is_listed_past_a_damaged_page() {
    let (home, actions) = long();
    damage_a_leaf(&home, "parameters");
    let server = home.start();
    let answer = list(&server, "getActionParameters");
    assert_eq!(ids(&answer), newest_first(&actions));
    names_no_path(&home, &answer);
    let errors = errors(&answer);
    assert!((1..100).contains(&errors.len()), "{} of 1000", errors.len());
    for (place, text) in &errors {
        assert_eq!(place, "request");
        assert!(text.contains("can't be read"), "{text}");
    }
    assert_eq!(answer.values("parameters").len(), actions.len() - errors.len());
}

/// Overwrites all of the actions, but not what leads to them.
fn damage_all(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    let mut pages = file
        .prepare("SELECT pageno FROM dbstat WHERE name IN ('action', 'by_queued') AND path <> '/'")
        .unwrap();
    let pages: Vec<u64> =
        pages.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(pages.len() > 2, "{pages:?}");
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    for page in pages {
        file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
        file.write_all(&[0xAA; 4096]).unwrap();
    }
}

#[test]
fn a_server_that_can_not_tell_which_id_is_next_does_not_start() {
    let (home, _) = long();
    damage_all(&home.data().join("actions.db"));
    let said = refused(&home);
    assert!(said.contains("is damaged"), "{said}");
}

/// An error of the whole reply, as long as nothing of it was sent.
#[test]
fn a_list_of_which_nothing_can_be_read_is_an_error() {
    let (home, _) = long();
    // What is known before the server starts: nobody else opens the database while it runs.
    let (path, damaged) = (home.data().join("actions.db"), home.path().join("damaged.db"));
    std::fs::copy(&path, &damaged).unwrap();
    damage_all(&damaged);
    let damaged = std::fs::read(damaged).unwrap();
    let server = home.start();
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all(&damaged).unwrap();
    for parameters in ["", "&MaxResults=10", "&State=Queued", "&Sort-Order=ascending"] {
        let answer = server.info("Held", "getStatus", parameters);
        assert!(answer.0.contains("506</errorid>"), "{parameters}: {}", answer.0);
        says_damaged(&answer);
        assert_eq!(answer.values("token").len(), 0);
    }
    // What needs none of it goes on.
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, 1_000);
}
