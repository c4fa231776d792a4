//! SIGHUP puts in force what can change while the server runs, and says of the rest that it needs a restart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::calls::{Caller, plain};
use super::server::{Home, Server, wait_until};
use super::service::ServicePort;

fn config(server: &str, actions: &str, queue: &str) -> String {
    format!(
        "[Server]\n{server}\n[Actions]\n{actions}\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n{queue}\n"
    )
}

fn counts(server: &Server) -> [u64; 3] {
    let status = server.info("Process", "queueStatus", "").success();
    ["pending", "running", "finished"].map(|count| status.number(count))
}

fn wait_for_counts(server: &Server, want: [u64; 3]) {
    let mut last = [0; 3];
    wait_until(&format!("{want:?} that wait, run and have ended"), || {
        last = counts(server);
        last == want
    });
}

#[test]
fn more_threads_start_what_waits_and_fewer_let_what_runs_go_on() {
    let with = |threads: u32| config("", "", &format!("MaximumThreads={threads}"));
    let home = Home::new(&with(1));
    let server = home.start();
    let tokens: Vec<_> = (0..6).map(|_| server.submit("&Sleep=600")).collect();
    wait_for_counts(&server, [5, 1, 0]);
    home.configure(&with(4));
    server.reload();
    server.wait_for_line(&["INFO", "SIGHUP: [Process] MaximumThreads=4 (before: 1) is in force"]);
    wait_for_counts(&server, [2, 4, 0]);
    assert_eq!(server.ask("GetStatus").success().must("maximumthreads"), "4");

    home.configure(&with(2));
    server.reload();
    assert_eq!(counts(&server), [2, 4, 0], "what runs goes on");
    let end = |token: &str| server.about("Process", "stop", token).success();
    // Down to two, and nothing starts.
    end(&tokens[0]);
    end(&tokens[1]);
    wait_for_counts(&server, [2, 2, 2]);
    let more = server.submit("&Name=last");
    assert_eq!(counts(&server), [3, 2, 2]);
    assert_eq!(server.status(&more), "Queued");
    // Below that, one starts for each that ends.
    end(&tokens[2]);
    wait_for_counts(&server, [2, 2, 3]);
}

#[test]
fn the_maximum_of_the_database_changes_at_once() {
    let home = Home::new(&config("", "", ""));
    let server = home.start();
    let large = "x".repeat(700_000);
    server.post("Process", &[("Large", &large)]).success();
    home.configure(&config("", "MaxDatastoreSize=1000000", ""));
    server.reload();
    server.wait_for_line(&["SIGHUP: [Actions] MaxDatastoreSize=1000000 (before: -1) is in force"]);
    let (code, why) = server.post("Process", &[("Large", &large)]).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(why.contains("MaxDatastoreSize"), "{why}");
    home.configure(&config("", "MaxDatastoreSize=-1", ""));
    server.reload();
    server.wait_for_line(&["SIGHUP: [Actions] MaxDatastoreSize=-1 (before: 1000000) is in force"]);
    server.post("Process", &[("Large", &large)]).success();
}

#[test]
fn what_is_kept_and_how_much_may_wait_changes_at_once() {
    let home = Home::new(&config("", "", ""));
    let server = home.start();
    for _ in 0..20 {
        let token = server.submit("&Name=Ada");
        server.wait_for_status(&token, "Finished");
    }
    assert_eq!(counts(&server), [0, 0, 20]);
    home.configure(&config(
        "",
        "MaxFinishedSize=5\nMaxQueueSize=1\nMaxAttempts=2\nRetryDelaySecs=600",
        "",
    ));
    server.reload();
    server.wait_for_line(&["SIGHUP: [Actions] MaxFinishedSize=5 (before: 100000) is in force"]);
    wait_for_counts(&server, [0, 0, 5]);
    let runs = server.submit("&Sleep=600");
    server.wait_for_status(&runs, "Processing");
    server.submit("&Sleep=600");
    assert_eq!(server.ask("Process").error().0, "ERRORQUEUEFULL");

    home.configure(&config("", "MaxFinishedAge=1", ""));
    server.reload();
    server.submit("&Sleep=600");
    // They have ended before, and nothing else happens.
    wait_for_counts(&server, [2, 1, 0]);
}

#[test]
fn limits_of_requests_change_at_once() {
    let home = Home::new(&config("", "", ""));
    let server = home.start();
    let long = "x".repeat(3_000);
    let body = || server.post("Process", &[("Text", &long)]);
    assert!(server.ask(&format!("Process&Text={long}")).is_success());
    assert!(body().is_success());
    assert!(server.ask("Process&Unknown=1").is_success());
    let strict = "MaxInputString=1000\nMaxFileUploadSize=2000\nStrictActionValidation=true\nMaxUploadMemory=1000000\nMaxReplyMemory=1000000";
    home.configure(&config(strict, "", ""));
    server.reload();
    let error = server.ask(&format!("Process&Text={long}")).error().1;
    assert!(error.contains("MaxInputString"), "{error}");
    let error = body().error().1;
    assert!(error.contains("MaxFileUploadSize"), "{error}");
    let error = server.ask("GetStatus&Unknown=1").error().1;
    assert!(error.contains("Unknown"), "{error}");

    home.configure(&config("MaxFileUploadSize=300000000\nMaxRequestsPerSecondPerClient=5", "", ""));
    server.reload();
    assert!(body().is_success());
    let mut refused = false;
    wait_until("a request that is one too many", || {
        refused |= !server.ask("GetPid").is_success();
        refused
    });
    home.configure(&config("", "", ""));
    server.reload();
    for _ in 0..30 {
        server.ask("GetPid").success();
    }
}

#[test]
fn names_that_are_no_longer_allowed_are_refused_by_who_let_them_in() {
    let with = |more: &str| config(&format!("Threads=1\n{more}"), "", "");
    let home = Home::new(&with("AllowedHosts=a.example"));
    let server = home.start();
    let lets_in = |host: &str| {
        let request =
            format!("GET /action=GetPid HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        server.send(request.as_bytes()).body_text().contains("SUCCESS")
    };
    assert!(lets_in("a.example") && !lets_in("b.example") && lets_in("a.example"));
    // Where it will listen after a restart does not matter yet.
    home.configure(&with("AllowedHosts=b.example\nBindAddress=0.0.0.0"));
    server.reload();
    assert!(!lets_in("a.example") && lets_in("b.example"));
    home.configure(&with("BindAddress=0.0.0.0"));
    server.reload();
    assert!(!lets_in("a.example") && !lets_in("b.example") && lets_in("localhost"));
}

#[test]
fn what_needs_a_restart_is_told_by_its_key_each_time() {
    let home = Home::new(&config("Port=7001", "Durability=full", ""));
    let server = home.start();
    let changed = format!(
        "{}[New]\nType=Echo\nMaximumThreads=7\n",
        config("Port=7002\nThreads=3", "Durability=normal\nStopGraceSecs=3", "")
            .replace("0=Process", "0=Process\n1=New")
    );
    home.configure(&changed);
    for times in 1..=2 {
        server.reload();
        for line in [
            "SIGHUP: [Server] Port=7002 (before: 7001) needs a restart",
            "SIGHUP: [Server] Threads=3 (before: 0) needs a restart",
            "SIGHUP: [Actions] Durability=normal (before: full) needs a restart",
            "SIGHUP: the queue New is new: it needs a restart",
        ] {
            wait_until(line, || server.log_lines(line) >= times);
            assert_eq!(server.log_lines(line), times, "{line}");
        }
        assert_eq!(server.log_lines("[New]"), 0);
        let now = "SIGHUP: [Process] StopGraceSecs=3 (before: 10) is in force";
        assert_eq!(server.log_lines(now), 1);
    }
    server.wait_for_line(&["settings that have changed: 2; that need a restart: 4"]);
    server.wait_for_line(&["settings that have changed: 0; that need a restart: 4"]);
    assert_eq!(server.ask("New").error().0, "ERRORNOTIMPLEMENTED");
    // The queue that runs is another than those that are listed.
    let other = config("Port=7001", "Durability=full", "").replace("Process", "Other");
    home.configure(&other);
    server.reload();
    server.wait_for_line(&[
        "WARN",
        "the queue Process is not listed any more: it goes on until a restart",
    ]);
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn a_configuration_with_an_error_changes_nothing() {
    let home = Home::new(&config("", "", ""));
    let server = home.start();
    let tokens: Vec<_> = (0..3).map(|_| server.submit("&Sleep=600")).collect();
    server.wait_for_status(&tokens[0], "Processing");
    for (bad, why) in [
        (config("Port=x", "MaximumThreads=3", ""), "test.cfg:2: [Server] Port=x: must be"),
        (
            config("ServerName=${ACTIOND_NOT_SET}", "MaximumThreads=3", ""),
            "no variable ACTIOND_NOT_SET",
        ),
        (config("< \"none.cfg\" [A] B", "MaximumThreads=3", ""), "can't include \"none.cfg\""),
    ] {
        home.configure(&bad);
        server.reload();
        server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed: ", why]);
        assert_eq!(counts(&server), [2, 1, 0]);
    }
    home.configure(&config("", "MaximumThreads=3", ""));
    server.reload();
    wait_for_counts(&server, [0, 3, 0]);
}

#[test]
fn what_other_files_and_the_environment_say_is_read_again_too() {
    let home = Home::new(&config(
        "TokenHost=${ACTIOND_TEST_HOST:-localhost}\nServerName=${ACTIOND_TEST_NAME}",
        "",
        "MaximumThreads=< \"shared.cfg\" [Limits] Threads",
    ));
    let share = |threads: u32| {
        let text = format!("[Limits]\nThreads={threads}\n");
        std::fs::write(home.path().join("shared.cfg"), text).unwrap();
    };
    share(2);
    let mut command = home.command();
    command.env("ACTIOND_TEST_NAME", "Halle 3").env_remove("ACTIOND_TEST_HOST");
    let server = Server::run(command);
    let tokens: Vec<_> = (0..4).map(|_| server.submit("&Sleep=600")).collect();
    assert!(plain(&tokens[0]).starts_with("localhost:"), "{}", plain(&tokens[0]));
    wait_for_counts(&server, [2, 2, 0]);
    share(3);
    server.reload();
    server.wait_for_line(&["SIGHUP: [Process] MaximumThreads=3 (before: 2) is in force"]);
    wait_for_counts(&server, [1, 3, 0]);
    std::fs::write(home.path().join("shared.cfg"), "[Limits]\n").unwrap();
    server.reload();
    server.wait_for_line(&[
        "nothing was changed",
        "MaximumThreads can't be taken: \"shared.cfg\" has no key Threads",
    ]);

    // Without the variable there is no start, and the check says so, too.
    share(1);
    let said = Server::try_run(home.command()).err().unwrap().join("\n");
    let why = "test.cfg:3: [Server] ServerName=${ACTIOND_TEST_NAME}: the environment has no variable ACTIOND_TEST_NAME";
    assert!(said.contains(why), "{said}");
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_actiond"));
    let output = check.args(["config", "--config", "test.cfg"]).current_dir(home.path()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(why));
}

#[test]
fn nothing_is_lost_by_a_kill_in_a_storm_of_reloads() {
    let with = |threads: u32| {
        config(
            "[Service]\nServicePort=0",
            &format!("MaximumThreads={threads}\nMaxFinishedSize={}", 1_000_000 + threads),
            "",
        )
    };
    let home = Home::new(&with(1));
    let server = home.start();
    let (done, enough) = (AtomicBool::new(false), Duration::from_millis(700));
    let (address, port) = (server.address, ServicePort::of(&server));
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let submit = || {
            let mut tokens = Vec::new();
            let mut caller = Caller::new(address).unwrap();
            while !done.load(Ordering::Relaxed) {
                // The server may be dead by now.
                let Ok(answer) = caller.ask("Process&Name=Ada") else { break };
                tokens.push(answer.success().must("token"));
            }
            tokens
        };
        let submitters: Vec<_> = (0..3).map(|_| scope.spawn(submit)).collect();
        let began = std::time::Instant::now();
        let mut threads = 1;
        while began.elapsed() < enough || server.log_lines(" roles are in force; ") < 5 {
            threads = threads % 4 + 1;
            home.configure(&with(threads));
            match threads % 2 {
                0 => server.signal("HUP"),
                _ => assert_ne!(port.ask("ReloadConfig").response, ""),
            }
        }
        let _begun = port.begin("ReloadConfig");
        server.signal("HUP");
        server.kill();
        done.store(true, Ordering::Relaxed);
        submitters.into_iter().flat_map(|s| s.join().unwrap()).collect()
    });
    assert!(tokens.len() > 20, "{} submissions", tokens.len());
    let server = home.start();
    for token in &tokens {
        let ended = server.outcome("Process", token);
        assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    }
}
