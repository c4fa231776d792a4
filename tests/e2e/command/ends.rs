//! How a program's end becomes that of the action, and what it says on the way.

use std::os::unix::fs::PermissionsExt as _;

use actiond::aci::client::Client;

use super::*;
use crate::server::wait_until;

#[test]
fn a_failure_says_why() {
    let (_home, server) = shell("echo out; echo first >&2; echo boom >&2; exit 3", "");
    let answer = run(&server, "");
    assert_eq!(answer.must("status"), "Error");
    assert_eq!(answer.must("error"), "exit code 3: first\nboom");
    assert_eq!(answer.must("exit_code"), "3");
    assert_eq!(answer.values("line"), ["first", "boom"]);
    assert_eq!(answer.must("output"), "out");

    let (_home, server) = shell("kill -SEGV $$", "");
    let answer = run(&server, "");
    assert_eq!(answer.must("status"), "Error");
    assert_eq!(answer.must("error"), "signal 11 (SIGSEGV)");

    let (_home, server) = shell("echo yes; exit 7", "SuccessExitCodes=0, 7");
    let answer = run(&server, "");
    assert_eq!((answer.must("status"), answer.must("output")), ("Finished".into(), "yes".into()));

    let (_home, server) = shell("for i in $(seq 250); do echo line $i >&2; done; exit 1", "");
    let answer = run(&server, "");
    let lines = answer.values("line");
    assert_eq!((lines.len(), lines[0].as_str()), (100, "line 151"));
}

/// A program that can't be run is an error of the action, by its path.
#[test]
fn a_program_that_has_gone_is_an_error_that_names_it() {
    let home = Home::new("");
    let at = |name: &str| home.path().join(name).display().to_string();
    std::fs::create_dir(at("room")).unwrap();
    std::fs::write(at("tool"), "#!/bin/sh\necho it ran\n").unwrap();
    std::fs::set_permissions(at("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "[AsyncActions]\n0=Run\n1=Room\n[Run]\nType=Command\nCommand={}\n\
         [Room]\nType=Command\nCommand=./tool\nWorkingDirectory=room\n",
        at("tool")
    );
    std::fs::write(home.path().join("test.cfg"), config).unwrap();
    let server = home.start();
    let ask = |queue: &str| server.outcome(queue, &server.submit_to(queue, ""));
    for queue in ["Run", "Room"] {
        assert_eq!(ask(queue).must("output"), "it ran");
    }
    let failed = |queue: &str, words: &str| {
        let answer = ask(queue);
        assert_eq!(answer.must("status"), "Error", "{}", answer.0);
        let error = answer.must("error");
        assert!(error.starts_with("the program can't be started: "), "{error}");
        assert!(error.contains(words), "no '{words}' in {error}");
        assert!(!error.contains(&at("data")), "{error}");
    };
    std::fs::set_permissions(at("tool"), std::fs::Permissions::from_mode(0o644)).unwrap();
    failed("Run", &format!("{}: Permission denied", at("tool")));
    std::fs::write(at("tool"), "#!/no/such/shell\n").unwrap();
    std::fs::set_permissions(at("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    failed("Run", &format!("{}: what it is run by is not there", at("tool")));
    std::fs::remove_dir(at("room")).unwrap();
    failed("Room", &format!("there is no directory {} for it to work in", at("room")));
    std::fs::remove_file(at("tool")).unwrap();
    failed("Run", &format!("{}: No such file", at("tool")));
    std::fs::create_dir(at("room")).unwrap();
    failed("Room", &format!("{}: No such file", at("tool")));
    assert_eq!(std::fs::read_dir(home.data().join("commands/Run")).unwrap().count(), 1);
}

#[test]
fn a_program_that_takes_too_long_is_timed_out() {
    let (_home, server) =
        shell("echo slowly >&2; exec sleep 1000", "TimeoutSecs=1\nStopGraceSecs=1");
    let answer = run(&server, "");
    assert_eq!(answer.must("status"), "Error");
    assert_eq!(answer.must("error"), "timed out after 1 s");
    assert_eq!(answer.values("line"), ["slowly"]);
    assert!(answer.values("stopped_by").is_empty(), "{}", answer.0);

    // At once, too.
    let answer = server.ask("Run&Synchronous=true");
    assert!(answer.error().1.ends_with("timed out after 1 s"), "{}", answer.0);
}

#[test]
fn progress_and_log_are_seen_live() {
    let script = "echo progress 25 >&$ACTIOND_PROGRESS_FD; echo actiond: progress 30 >&2; echo hello >&2; \
        echo nonsense >&3; echo \"partial <pages>7</pages>\" >&3; \
        echo ready >&2; while [ ! -e \"$ACTIOND_PARAM_GO\" ]; do sleep 0.05; done; \
        echo \"actiond:progress 3/4 Encoding\" >&2; while [ ! -e \"$ACTIOND_PARAM_END\" ]; do sleep 0.05; done; echo end";
    let (home, server) = shell(script, "");
    let at = |name: &str| home.path().join(name);
    let (go, end) = (at("go"), at("end"));
    let parameters = [("Go", go.to_str().unwrap()), ("End", end.to_str().unwrap())];
    let token = server.post("Run", &parameters).success().must("token");
    let with_log = || server.info("Run", "getStatus", &format!("&Log=true&Token={token}"));
    let mut answer = with_log();
    wait_until("its log and its partial result", || {
        answer = with_log();
        let lines = answer.values("line");
        ["hello", "nonsense", "ready"].iter().all(|word| lines.iter().any(|line| line == word))
            && answer.value("pages").as_deref() == Some("7")
    });
    assert_eq!(answer.values("line").len(), 3, "{}", answer.0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::builder("127.0.0.1", server.address.port()).build().unwrap();
    let mut log = runtime.block_on(client.log(&token)).unwrap();
    log.sort();
    assert_eq!(log, ["hello", "nonsense", "ready"]);
    let in_list = server.info("Run", "getStatus", "&Log=true");
    assert_eq!(in_list.values("line").len(), 3, "{}", in_list.0);
    let without = server.about("Run", "getStatus", &token);
    assert!(without.values("log").is_empty(), "{}", without.0);
    let percent = |wanted: &str| {
        wait_until(&format!("{wanted} percent"), || {
            server.about("Run", "progress", &token).must("percent") == wanted
        });
    };
    // The streams have no order between them.
    wait_until("its progress", || {
        ["25", "30"].contains(&server.about("Run", "progress", &token).must("percent").as_str())
    });
    std::fs::write(&go, "").unwrap();
    percent("75");
    let progress = server.about("Run", "progress", &token).0;
    let stage = "title=\"Encoding\" status=\"Processing\" weight=\"1\" percent=\"75\" progress=\"3\" maximum=\"4\"";
    assert!(progress.contains(stage), "{progress}");
    std::fs::write(&end, "").unwrap();
    let answer = server.outcome("Run", &token);
    assert_eq!((answer.must("status"), answer.must("output")), ("Finished".into(), "end".into()));
    assert!(answer.values("log").is_empty() && with_log().values("log").is_empty());
    assert!(runtime.block_on(client.log(&token)).unwrap().is_empty());
}

#[test]
fn a_daemon_that_left_does_not_keep_the_action() {
    // It holds all pipes, in a session of its own.
    let script = "setsid sh -c \"echo > up; exec sleep 5\" & while [ ! -e up ]; do sleep 0.01; done; echo out";
    let (_home, server) = shell(script, "");
    let answer = run(&server, "");
    assert_eq!(answer.must("output"), "out", "{}", answer.0);
    assert!(answer.number("time_processing") < 4, "{}", answer.0);
}
