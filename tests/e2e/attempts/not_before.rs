//! `NotBefore` on submission: a time as in the filters, or `+` and seconds. Until then the action is Queued, and says so.

use std::time::{Duration, Instant};

use super::super::calls::{Answer, id_of};
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, ended, let_pass, now, refused, seconds};
use super::{counts, history_of, listed};

fn shop(settings: &str) -> Shop {
    Shop::with(&[("Work", "", settings), ("Other", "", "MaximumThreads=4")])
}

fn submit(server: &Server, rest: &str) -> String {
    server.submit_to("Work", rest)
}

/// It waits, until about this many seconds from now; returns what is shown of it.
fn waits(server: &Server, token: &str, delay: i64) -> Answer {
    let answer = server.about("Work", "getStatus", token).success();
    assert_eq!(answer.must("status"), "Queued", "{}", answer.0);
    let shown = seconds(&answer.must("not_before")) - now();
    assert!((delay - 3..=delay + 2).contains(&shown), "{shown} for {delay}: {}", answer.0);
    assert_eq!(answer.value("process_start_time"), None);
    answer
}

#[test]
fn an_action_waits_for_its_time() {
    let shop = shop("");
    let server = shop.start();
    let began = Instant::now();
    let token = submit(&server, "&Name=Ada&NotBefore=%2B2");
    let not_before = seconds(&waits(&server, &token, 2).must("not_before"));
    // Others do not wait with it.
    let other = submit(&server, "&Name=Grace");
    server.wait_in("Work", &other, "Finished");
    let answer = ended(&server, "Work", &token, Duration::from_secs(20));
    let took = began.elapsed();
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&took), "{took:?}");
    assert!(seconds(&answer.must("process_start_time")) >= not_before, "{}", answer.0);
}

#[test]
fn times_are_read_as_in_the_filters() {
    let shop = shop("");
    let server = shop.start();
    let written = |time: i64, format: &str| {
        let time = chrono::DateTime::from_timestamp(time, 0).unwrap();
        time.format(format).to_string().replace(' ', "%20").replace('+', "%2B")
    };
    let later = now() + 3_000;
    for format in [
        "%s",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%b-%d %H:%M:%S",
        "%Y-%m-%d %H:%M:%S GMT",
        "%Y-%m-%d %H:%M:%S +00:00",
    ] {
        let text = written(later, format);
        let token = submit(&server, &format!("&NotBefore={text}"));
        let answer = waits(&server, &token, later - now());
        assert_eq!(seconds(&answer.must("not_before")), later, "{text}: {}", answer.0);
    }
    // In another zone, an hour ahead of this one's.
    let text = written(later + 3_600, "%Y-%m-%d %H:%M:%S +01:00");
    let token = submit(&server, &format!("&NotBefore={text}"));
    assert_eq!(seconds(&waits(&server, &token, later - now()).must("not_before")), later, "{text}");
    // In any form of request, and with seconds from now.
    let answer = server.post("Work", &[("notbefore", "+90"), ("Name", "Ada")]).success();
    waits(&server, &answer.must("token"), 90);
    assert_eq!(counts(&server, "Work"), [7, 0, 0]);
}

#[test]
fn what_is_past_starts_at_once() {
    let shop = shop("");
    let server = shop.start();
    for time in ["%2B0".to_owned(), (now() - 1).to_string(), "1999-12-31%2023:59:59".to_owned()] {
        let token = submit(&server, &format!("&Name=Ada&NotBefore={time}"));
        server.wait_in("Work", &token, "Finished");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    let shop = shop("");
    let server = shop.start();
    for text in [
        // Whoever sends it wanted the action to wait.
        "",
        "%20",
        "tomorrow",
        "%2B",
        "%2B-5",
        "-5x",
        "%2B1h",
        "%2B1e3",
        "%2B99999999999999999999",
        "2026-13-01",
        "25:00:00",
        "%2Bx",
        "2026-02-30%2000:00:00",
    ] {
        let answer = server.ask(&format!("Work&NotBefore={text}"));
        let told = refused(&answer, "ERRORPARAMINVALID", &["NotBefore"]);
        assert!(answer.must("errorid").ends_with("502"), "{}", answer.0);
        // What is allowed: both forms.
        assert!(told.contains('+') && told.contains("2014-07-17"), "{told}");
    }
    for bytes in ["%00", "%FF"] {
        let answer = server.ask(&format!("Work&NotBefore={bytes}"));
        refused(&answer, "ERRORPARAMINVALID", &["NotBefore"]);
    }
    server.nothing_was_queued("Work");
}

/// A plus that was not encoded comes as a space. It must not be taken for a second of the year 1970, which is past.
#[test]
fn a_raw_plus_starts_nothing_early() {
    let shop = shop("");
    let server = shop.start();
    let answer = server.ask("Work&Name=Ada&NotBefore=+600");
    if answer.is_success() {
        waits(&server, &answer.must("token"), 600);
    } else {
        refused(&answer, "ERRORPARAMINVALID", &["NotBefore"]);
    }
}

#[test]
fn it_can_be_steered_while_it_waits() {
    let shop = shop("");
    let server = shop.start();
    let [cancelled, stopped, moved] = [(); 3].map(|()| submit(&server, "&Name=Ada&NotBefore=%2B5"));
    for (token, command) in [(&cancelled, "cancel"), (&stopped, "stop")] {
        for _ in 0..2 {
            assert_eq!(server.about("Work", command, token).success().must("status"), "Cancelled");
        }
    }
    let answer =
        server.info("Work", "changePriority", &format!("&Priority=7&Token={moved}")).success();
    assert_eq!(answer.must("status"), "Queued");
    assert_eq!(waits(&server, &moved, 5).must("priority"), "7");
    for (command, word) in [("pause", "Queued"), ("resume", "Queued")] {
        refused(&server.about("Work", command, &moved), "ERRORPARAMINVALID", &[word]);
    }
    server.wait_in("Work", &moved, "Finished");
    // Their time has come and gone as well.
    for token in [&cancelled, &stopped] {
        let answer = server.about("Work", "getStatus", token).success();
        assert_eq!(
            (answer.must("status").as_str(), answer.value("process_start_time")),
            ("Cancelled", None)
        );
        assert_eq!(history_of(&server, "Work", token).len(), 0);
    }
    assert_eq!(counts(&server, "Work"), [0, 0, 3]);
}

/// Whether `retry` starts it now or is refused is open; it does what it says.
#[test]
fn a_retry_of_what_has_not_begun_does_what_it_says() {
    let shop = shop("");
    let server = shop.start();
    let token = submit(&server, "&Name=Ada&NotBefore=%2B600");
    let answer = server.about("Work", "retry", &token);
    if answer.is_success() {
        server.wait_in("Work", &token, "Finished");
    } else {
        refused(&answer, "ERRORPARAMINVALID", &["Queued"]);
        waits(&server, &token, 600);
    }
}

#[test]
fn it_is_listed_and_counted_as_queued() {
    let shop = shop("");
    let server = shop.start();
    let late = submit(&server, "&Name=Ada&NotBefore=%2B600&Priority=9");
    assert_eq!(counts(&server, "Work"), [1, 0, 0]);
    for filter in [
        "&State=queued",
        "",
        "&Min-Priority=9",
        "&Queued-After=2001-01-01",
        "&State=queued&MaxResults=1&Start=1",
    ] {
        assert_eq!(listed(&server, "Work", filter), [id_of(&late)], "{filter}");
    }
    for filter in
        ["&State=running", "&State=finished", "&Started-After=2001-01-01", "&Max-Priority=8"]
    {
        assert_eq!(listed(&server, "Work", filter), Vec::<u64>::new(), "{filter}");
    }
    let list = server.info("Work", "getStatus", "&State=queued").success();
    assert_eq!(list.values("not_before").len(), 1, "{}", list.0);
    for format in ["json", "simplejson"] {
        let json = server.about("Work", "getStatus", &format!("{late}&ResponseFormat={format}")).0;
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!(json.to_string().contains("not_before"), "{json}");
    }
    let help = server.ask("Help&HelpAction=Work").success();
    assert!(help.0.contains("NotBefore"), "{}", help.0);

    // One that may start now has a place of its own, and who may not start keeps it from nothing.
    let blocker = submit(&server, "&Sleep=600");
    server.wait_in("Work", &blocker, "Processing");
    let due = submit(&server, "&Name=Ada");
    let answer = server.about("Work", "getStatus", &due).success();
    assert!(answer.number("position") >= 1, "{}", answer.0);
    assert_eq!(answer.value("not_before"), None, "{}", answer.0);
    server.about("Work", "stop", &blocker).success();
    server.wait_in("Work", &due, "Finished");
    let late = server.about("Work", "getStatus", &late).success();
    assert_eq!(late.must("status"), "Queued", "{}", late.0);
}

#[test]
fn a_copy_waits_or_runs_and_says_which() {
    let shop = shop("");
    let server = shop.start();
    let token = submit(&server, "&Name=Ada&NotBefore=%2B600");
    let copy = server.about("Work", "duplicate", &token).success().must("token");
    assert_ne!(id_of(&copy), id_of(&token));
    let answer = server.about("Work", "getStatus", &copy).success();
    if answer.value("not_before").is_some() {
        waits(&server, &copy, 600);
    } else {
        server.wait_in("Work", &copy, "Finished");
    }
    waits(&server, &token, 600);
}

#[test]
fn a_key_names_it_and_its_time() {
    let shop = shop("");
    let server = shop.start();
    let request = "Work&Name=Ada&NotBefore=%2B600&Idempotency-Key=k";
    let token = server.ask(request).success().must("token");
    let first = waits(&server, &token, 600).must("not_before");
    let_pass(&server, "1.2");
    // The same request, the same action, at the same time as before.
    assert_eq!(server.ask(request).success().must("token"), token);
    assert_eq!(server.about("Work", "getStatus", &token).must("not_before"), first);
    // A plus that form decoding has taken, and one that it has not, mean the same.
    for text in ["+600", "%2B+600", "+%2B600+"] {
        let same = server.ask(&format!("Work&Name=Ada&NotBefore={text}&Idempotency-Key=k"));
        assert_eq!(same.success().must("token"), token, "{text}");
    }
    for other in
        ["Work&Name=Ada&NotBefore=%2B601&Idempotency-Key=k", "Work&Name=Ada&Idempotency-Key=k"]
    {
        refused(&server.ask(other), "ERRORPARAMINVALID", &["k"]);
    }
    assert_eq!(counts(&server, "Work"), [1, 0, 0]);
}

#[test]
fn who_waits_for_the_result_waits_for_its_time_too() {
    let shop = shop("");
    let server = shop.start();
    let began = Instant::now();
    let answer = server.ask("Work&Name=Ada&NotBefore=%2B1&Wait=20").success();
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert!((Duration::from_secs(1)..Duration::from_secs(15)).contains(&began.elapsed()));
    let began = Instant::now();
    let answer = server.ask("Work&Name=Ada&NotBefore=%2B600&Wait=0.5").success();
    assert_eq!(answer.value("status"), None, "the token alone: {}", answer.0);
    assert!(began.elapsed() < Duration::from_secs(15));
    // To run at once and not yet is a contradiction: refused, or not before its time.
    let began = Instant::now();
    let answer = server.ask("Work&Name=Ada&NotBefore=%2B1&Synchronous=true");
    if answer.is_success() {
        assert!(began.elapsed() >= Duration::from_secs(1), "{}", answer.0);
    } else {
        refused(&answer, "ERRORPARAMINVALID", &["NotBefore"]);
    }
}

#[test]
fn a_kill_of_the_server_changes_no_time() {
    let shop = shop("");
    let server = shop.start();
    let soon = submit(&server, &format!("&Name=Ada&NotBefore={}", now() + 4));
    let late = submit(&server, "&Name=Ada&NotBefore=%2B600");
    let before =
        [&soon, &late].map(|token| server.about("Work", "getStatus", token).must("not_before"));
    server.kill();
    let server = shop.start();
    let after =
        [&soon, &late].map(|token| server.about("Work", "getStatus", token).must("not_before"));
    assert_eq!(after, before);
    let answer = ended(&server, "Work", &soon, Duration::from_secs(20));
    assert_eq!(answer.must("status"), "Finished");
    assert!(seconds(&answer.must("process_start_time")) >= seconds(&before[0]), "{}", answer.0);
    let shown = server.about("Work", "getStatus", &late).must("not_before");
    assert_eq!(shown, before[1]);

    // Its time comes while no server is there.
    let soon = submit(&server, &format!("&Name=Ada&NotBefore={}", now() + 2));
    let due = seconds(&server.about("Work", "getStatus", &soon).must("not_before"));
    server.kill();
    wait_until("its time", || now() > due);
    let server = shop.start();
    server.wait_in("Work", &soon, "Finished");
}

#[test]
fn a_clean_restart_changes_no_time() {
    let shop = shop("");
    let server = shop.start();
    let late = submit(&server, "&Name=Ada&NotBefore=%2B600");
    let before = server.about("Work", "getStatus", &late).must("not_before");
    server.signal("TERM");
    // It waits for nothing that may not start.
    let began = Instant::now();
    let (status, said) = server.wait();
    assert!(status.success(), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let server = shop.start();
    assert_eq!(server.about("Work", "getStatus", &late).must("not_before"), before);
}
