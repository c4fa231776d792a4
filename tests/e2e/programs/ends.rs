//! How a program ends, and what its action becomes.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::calls::Answer;
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, all_text, ended, let_pass, refused};

fn shop(settings: &str) -> Shop {
    Shop::with(&[("Work", "/bin/sh %HOME%/work.sh {How}", settings), ("Other", "", "")])
        .script("work.sh", "echo '<half>done</half>'; echo 'last words' >&2; $1")
}

fn run(shop: &Shop, server: &Server, how: &str, status: &str) -> Answer {
    shop.run_to(server, "Work", &[("How", how.as_bytes())], status)
}

#[test]
fn an_exit_code_is_told() {
    let shop = shop("");
    let server = shop.start();
    let answer = run(&shop, &server, "exit 0", "Finished");
    assert_eq!((answer.value("error"), answer.must("half").as_str()), (None, "done"));
    for code in ["1", "3", "127", "255"] {
        let answer = run(&shop, &server, &format!("exit {code}"), "Error");
        let error = answer.must("error");
        assert!(error.contains(&format!("exit code {code}")), "{error}");
        assert_eq!(answer.must("exit_code"), code);
        assert!(
            format!("{error}{}", all_text(&answer, "log")).contains("last words"),
            "{}",
            answer.0
        );
        for time in ["process_start_time", "process_end_time"] {
            answer.must(time);
        }
    }
}

#[test]
fn a_signal_is_told_by_its_name() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh {Name}", "")])
        .script("work.sh", "echo 'last words' >&2; kill -$1 $$; wait_for never");
    let server = shop.start();
    for (name, number) in [
        ("SEGV", 11),
        ("KILL", 9),
        ("TERM", 15),
        ("ABRT", 6),
        ("HUP", 1),
        ("INT", 2),
        ("PIPE", 13),
        ("USR1", 10),
    ] {
        let answer = shop.run_to(&server, "Work", &[("Name", name.as_bytes())], "Error");
        let error = answer.must("error");
        assert!(error.contains(&format!("signal {number} (SIG{name})")), "{error}");
        assert!(answer.0.contains("last words"), "{}", answer.0);
    }
}

#[test]
fn other_exit_codes_may_be_success() {
    let shop = shop("SuccessExitCodes=0,3");
    let server = shop.start();
    for (code, status) in [("0", "Finished"), ("3", "Finished"), ("1", "Error"), ("30", "Error")] {
        let answer = run(&shop, &server, &format!("exit {code}"), status);
        assert_eq!(answer.value("error").is_some(), status == "Error", "{}", answer.0);
    }
    drop(server);
    let shop = self::shop("SuccessExitCodes=3");
    let server = shop.start();
    run(&shop, &server, "exit 3", "Finished");
    assert!(run(&shop, &server, "exit 0", "Error").must("error").contains("exit code 0"));
}

#[test]
fn a_program_that_can_not_be_started_is_told() {
    let shop = Shop::with(&[("Gone", "%HOME%/program", ""), ("Work", "true", "")]);
    let program = shop.path("program");
    std::fs::write(&program, "#!/bin/sh\necho ran\n").unwrap();
    let made = std::process::Command::new("chmod").arg("+x").arg(&program).status();
    assert!(made.unwrap().success());
    let server = shop.start();
    shop.run_to(&server, "Gone", &[], "Finished");
    // Not to be run, no program, and not there any more.
    for change in
        ["chmod -x program", "chmod +x program; echo '#!/nowhere/sh' > program", "rm program"]
    {
        let changed = std::process::Command::new("sh")
            .args(["-c", change])
            .current_dir(shop.path(""))
            .status();
        assert!(changed.unwrap().success());
        let answer = shop.run_to(&server, "Gone", &[], "Error");
        assert!(!answer.must("error").is_empty(), "{}", answer.0);
    }
    shop.run_to(&server, "Work", &[], "Finished");
}

#[test]
fn a_program_that_takes_too_long_ends_in_error() {
    for (how, children) in [("sleeps", 1), ("ignores", 1), ("leaves", 2)] {
        let shop = Shop::with(&[(
            "Work",
            "/bin/sh %HOME%/work.sh {How}",
            "TimeoutSecs=3\nStopGraceSecs=1",
        )])
        .script("work.sh", TOO_LONG);
        let server = shop.start();
        let began = Instant::now();
        let token = server.submit_to("Work", &format!("&How={how}"));
        wait_until("its programs", || shop.daemons().len() == children);
        let answer = ended(&server, "Work", &token, Duration::from_secs(20));
        assert_eq!(answer.must("status"), "Error", "{how}: {}", answer.0);
        assert!(began.elapsed() >= Duration::from_secs(3), "{how}");
        let error = answer.must("error").to_lowercase();
        assert!(error.contains("time"), "{how}: {error}");
        assert_eq!(answer.value("stopped_by"), None, "nobody stopped it: {}", answer.0);
        shop.all_gone();
    }
}

const TOO_LONG: &str = r#"
case $1 in
ignores) trap '' TERM;;
leaves) setsid tail -f "$H/mark" < /dev/null > /dev/null 2>&1 3>&- & ;;
esac
tail -f "$H/mark" &
wait; wait_for never"#;

#[test]
fn a_program_that_ends_in_time_is_left_alone() {
    let shop = Shop::with(&[
        ("Work", "sleep 0.5", "TimeoutSecs=20"),
        ("None", "sleep 1.5", "TimeoutSecs=0"),
    ]);
    let server = shop.start();
    shop.run_to(&server, "Work", &[], "Finished");
    shop.run_to(&server, "None", &[], "Finished");
}

#[test]
fn a_pause_stops_the_clock_of_the_time_out() {
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "TimeoutSecs=4"), ("Other", "", "")])
            .script("work.sh", "say up; wait_for go");
    let server = shop.start();
    let token = server.submit_to("Work", "");
    shop.wait_for("up");
    server.about("Work", "pause", &token).success();
    server.wait_in("Work", &token, "Paused");
    let_pass(&server, "5");
    assert_eq!(server.status_in("Work", &token), "Paused");
    server.about("Work", "resume", &token).success();
    // It has its time still, and then it is over.
    let_pass(&server, "0.3");
    assert_eq!(server.status_in("Work", &token), "Processing");
    let answer = ended(&server, "Work", &token, Duration::from_secs(20));
    assert_eq!(answer.must("status"), "Error");
    assert!(answer.must("error").to_lowercase().contains("time"), "{}", answer.0);
}

#[test]
fn the_result_comes_with_the_reply() {
    let shop = shop("");
    let server = shop.start();
    let waited = server.ask("Work&How=exit%200&Wait=25").success();
    assert_eq!(
        (waited.must("status").as_str(), waited.must("half").as_str()),
        ("Finished", "done")
    );
    let waited = server.ask("Work&How=exit%203&Wait=25").success();
    assert_eq!(waited.must("status"), "Error");
    assert!(waited.must("error").contains("exit code 3"), "{}", waited.0);

    let once = server.ask("Work&How=exit%200&Synchronous=true").success();
    assert_eq!(once.must("half"), "done", "{}", once.0);
    refused(
        &server.ask("Work&How=exit%203&Synchronous=true"),
        "ERRORACTIONFAILED",
        &["exit code 3"],
    );
    // Of what ran at once nothing is kept.
    assert_eq!(server.info("Work", "queueStatus", "").number("finished"), 2);
}

/// Who runs a program at once and goes away has no use for it.
#[test]
fn a_program_of_a_client_that_has_gone_is_ended() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "StopGraceSecs=1")])
        .script("work.sh", "trap '' TERM; setsid tail -f \"$H/mark\" & tail -f \"$H/mark\"; wait");
    let server = shop.start();
    let mut client = server.connect();
    client
        .write_all(b"GET /action=Work&Synchronous=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    wait_until("both programs", || shop.daemons().len() == 2);
    drop(client);
    shop.all_gone();
}

#[test]
fn closing_its_streams_is_not_its_end() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh {Exit}", "")])
        .script("work.sh", "echo early; exec <&- >&- 2>&- 3>&-; say closed; wait_for go; exit $1");
    let server = shop.start();
    for (exit, status) in [("0", "Finished"), ("3", "Error")] {
        let token = server.submit_to("Work", &format!("&Exit={exit}"));
        shop.wait_for("closed");
        assert_eq!(server.status_in("Work", &token), "Processing");
        server.about("Work", "pause", &token).success();
        server.wait_in("Work", &token, "Paused");
        server.about("Work", "resume", &token).success();
        shop.say("go");
        server.wait_in("Work", &token, status);
        let answer = server.outcome("Work", &token);
        assert!(answer.0.contains("early"), "{}", answer.0);
        shop.unsay("closed");
        shop.unsay("go");
    }
}
