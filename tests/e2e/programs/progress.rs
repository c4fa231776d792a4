//! What a program says while it works: progress, partial results, and a log.
//!
//! Fixed are the lines (`progress 42`, `progress 3/10 Encoding`, `partial <xml or text>`), on file descriptor 3 or on
//! standard error behind `actiond:`; that the last 100 others are `<log>` where it failed, and live with `Log=true`.

use super::super::calls::Answer;
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, all_text};

/// Tells things one after the other, each once it is asked for it: by the way that its first argument names.
pub(super) const TELLS: &str = r#"
tell() { case $WAY in fd) printf '%s\n' "$1" >&3;; err) printf 'actiond: %s\n' "$1" >&2;; esac; }
WAY=$1
echo "a line of $WAY" >&2
tell 'progress 42'
wait_for one; tell 'progress 3/10 Encoding'
wait_for two; tell 'progress 77.5 Second pass'
wait_for three; tell 'partial <frames unit="s">12</frames>'
wait_for four; tell 'partial only text'
wait_for five
for bad in abc '' -5 4000 3/0 0/0 nan inf 99999999999999999999 3/ /3 1e400; do tell "progress $bad"; done
tell 'wobble'; tell ''
tell 'progress 90'
wait_for six
exit "${2:-0}"
"#;

fn shop() -> Shop {
    Shop::with(&[
        ("Fd", "/bin/sh %HOME%/tells.sh fd {Exit?}", ""),
        ("Err", "/bin/sh %HOME%/tells.sh err {Exit?}", ""),
    ])
    .script("tells.sh", TELLS)
}

fn percent(server: &Server, queue: &str, token: &str) -> f64 {
    server.about(queue, "progress", token).success().must("percent").parse().expect("a number")
}

fn until_percent(server: &Server, queue: &str, token: &str, wanted: f64) {
    let mut last = 0.0;
    wait_until(&format!("{wanted} % of {queue}"), || {
        last = percent(server, queue, token);
        assert!((0.0..=100.0).contains(&last), "{last}");
        (last - wanted).abs() < 0.05
    });
}

fn until_shown(server: &Server, queue: &str, token: &str, text: &str) -> Answer {
    let mut answer = Answer(String::new());
    wait_until(&format!("{text} in {queue}"), || {
        answer = server.about(queue, "getStatus", token).success();
        answer.0.contains(text)
    });
    answer
}

#[test]
fn progress_and_partial_results_are_shown_while_it_works() {
    for queue in ["Fd", "Err"] {
        let shop = shop();
        let server = shop.start();
        let token = server.submit_to(queue, "");
        until_percent(&server, queue, &token, 42.0);
        shop.say("one");
        until_percent(&server, queue, &token, 30.0);
        let progress = server.about(queue, "progress", &token).success();
        assert!(progress.0.contains("Encoding"), "{}", progress.0);
        shop.say("two");
        until_percent(&server, queue, &token, 77.5);
        let progress = server.about(queue, "progress", &token).success();
        assert!(progress.0.contains("Second pass"), "{}", progress.0);
        shop.say("three");
        let answer = until_shown(&server, queue, &token, "frames");
        let frames = answer.with(|document| {
            let frames = document
                .descendants()
                .find(|node| node.has_tag_name("frames"))
                .expect("an element");
            (frames.attribute("unit").map(str::to_owned), frames.text().map(str::to_owned))
        });
        assert_eq!(frames, (Some("s".to_owned()), Some("12".to_owned())), "{}", answer.0);
        shop.say("four");
        until_shown(&server, queue, &token, "only text");
        shop.say("five");
        // What makes no sense is passed over, and what comes behind it is not.
        until_percent(&server, queue, &token, 90.0);
        assert_eq!(server.status_in(queue, &token), "Processing");
        shop.say("six");
        server.wait_in(queue, &token, "Finished");
        assert!((percent(&server, queue, &token) - 100.0).abs() < 0.05);
    }
}

#[test]
fn a_partial_result_and_the_last_progress_outlive_a_stop() {
    for queue in ["Fd", "Err"] {
        let shop = shop();
        let server = shop.start();
        for ready in ["one", "two", "three"] {
            shop.say(ready);
        }
        let token = server.submit_to(queue, "");
        until_shown(&server, queue, &token, "frames");
        server.about(queue, "stop", &token).success();
        let answer = server.outcome(queue, &token);
        assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
        assert_eq!(answer.must("frames"), "12", "{}", answer.0);
        assert!((percent(&server, queue, &token) - 77.5).abs() < 0.05);
    }
}

#[test]
fn what_is_told_is_no_part_of_the_log() {
    for queue in ["Fd", "Err"] {
        let shop = shop();
        let server = shop.start();
        for ready in ["one", "two", "three", "four", "five", "six"] {
            shop.say(ready);
        }
        let answer = shop.run_to(&server, queue, &[("Exit", b"1")], "Error");
        let log = all_text(&answer, "log");
        assert!(log.contains(&format!("a line of {}", queue.to_lowercase())), "{}", answer.0);
        assert!(!log.contains("progress 42") && !log.contains("only text"), "{log}");
    }
}

/// The lines of a log, whether each is an element or all are one text.
pub(super) fn log_lines(answer: &Answer) -> Vec<String> {
    let text = answer.with(|document| {
        let log = document.descendants().find(|node| node.has_tag_name("log"))?;
        let lines: Vec<_> = log.children().filter(|node| node.is_element()).collect();
        Some(match lines.is_empty() {
            true => log.text().unwrap_or_default().to_owned(),
            false => lines
                .iter()
                .map(|line| line.text().unwrap_or_default())
                .collect::<Vec<_>>()
                .join("\n"),
        })
    });
    text.unwrap_or_default().trim_matches('\n').lines().map(str::to_owned).collect()
}

#[test]
fn the_last_hundred_lines_are_kept_of_a_failure() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh {Lines} {Exit:0}", "")]).script(
        "work.sh",
        "n=0; while [ $n -lt \"$1\" ]; do n=$((n+1)); echo \"line <$n> & more\" >&2; done; printf 'no end of it' >&2; exit \"$2\"",
    );
    let server = shop.start();
    let run = |lines: &str, exit: &str, status: &str| {
        shop.run_to(
            &server,
            "Work",
            &[("Lines", lines.as_bytes()), ("Exit", exit.as_bytes())],
            status,
        )
    };
    for lines in ["5", "99", "100", "250", "20000"] {
        let answer = run(lines, "3", "Error");
        let shown = log_lines(&answer);
        let count: usize = lines.parse().unwrap();
        let mut expected: Vec<String> = (1..=count).map(|n| format!("line <{n}> & more")).collect();
        expected.push("no end of it".to_owned());
        let expected = expected.split_off(expected.len().saturating_sub(100));
        assert_eq!(shown, expected, "{lines}");
        assert!(answer.must("error").contains("exit code 3"), "{}", answer.0);
        // Also after a restart: it is what a failure leaves.
        let again = server.about("Work", "getStatus", &answer.must("token")).success();
        assert_eq!(log_lines(&again), shown);
    }
    assert_eq!(log_lines(&run("5", "0", "Finished")), Vec::<String>::new(), "it did not fail");
    // The last lines stand in the error itself or beside it; either way a client sees them without asking for more.
    assert!(run("5", "3", "Error").0.contains("no end of it"));
}

#[test]
fn the_log_is_shown_live_to_who_asks() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "")]).script(
        "work.sh",
        "for n in $(seq 150); do echo \"line $n\" >&2; done; wait_for one; printf 'half a l' >&2; wait_for two; echo ine >&2; wait_for three",
    );
    let server = shop.start();
    let token = server.submit_to("Work", "");
    let ask = |more: &str| server.about("Work", "getStatus", &format!("{token}{more}")).success();
    let until_last = |line: &str| {
        wait_until(line, || log_lines(&ask("&Log=true")).last().is_some_and(|last| last == line));
    };
    until_last("line 150");
    let lines = log_lines(&ask("&Log=true"));
    assert_eq!((lines.len(), lines[0].as_str()), (100, "line 51"));
    for without in ["", "&Log=false"] {
        assert_eq!(log_lines(&ask(without)), Vec::<String>::new());
    }
    let json =
        server.about("Work", "getStatus", &format!("{token}&Log=true&ResponseFormat=json")).0;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.to_string().contains("line 150"), "{json}");
    shop.say("one");
    shop.say("two");
    until_last("half a line");
    shop.say("three");
    server.wait_in("Work", &token, "Finished");
    // Malformed is refused.
    assert!(!server.about("Work", "getStatus", &format!("{token}&Log=perhaps")).is_success());
}

/// Bytes and control characters, and both ways at once.
#[test]
fn odd_lines_do_no_harm() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "")]).script(
        "work.sh",
        r#"printf 'a\377b\n\001\033[31mred\033[0m\r\n\n   \nactiond:\nactiond: \nactiond:progress 10\n' >&2
printf 'progress 20\r\nactiond: progress 30\n\377\376\n' >&3
echo 'actiond: partial <unclosed>' >&2
echo 'actiond: partial </action><status>Finished</status>' >&2
printf 'progress 40' >&3
say told; wait_for go; exit 1"#,
    );
    let server = shop.start();
    let token = server.submit_to("Work", "");
    shop.wait_for("told");
    // `Answer` reads XML, so it has to be some.
    let shown = until_shown(&server, "Work", &token, "&lt;status");
    assert_eq!(shown.must("status"), "Processing");
    assert!(percent(&server, "Work", &token) > 0.0);
    shop.say("go");
    let answer = server.outcome("Work", &token);
    assert_eq!(answer.must("status"), "Error");
    let log = log_lines(&answer).join("\n");
    assert!(log.contains('a') && log.contains("red"), "{}", answer.0);
}
