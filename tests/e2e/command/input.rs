//! What a program gets: arguments, standard input and environment; and which submissions are refused.

use super::*;
use crate::server::Home;

/// What no shell, no splitting and no template may touch.
const NASTY: &str = " a  b; $(touch x) `id` \" ' \\ * ~ {Other} {{ -rf \n\t & | < > # größe ";

#[test]
fn a_value_is_one_argument_whatever_it_holds() {
    let config = "[AsyncActions]\n0=Show\n[Show]\nType=Command\n\
        Command=sh -c 'for a; do printf \"<arg>%s</arg>\" \"$(printf %s \"$a\" | base64 -w 0)\"; done' sh {In} -o{In} {Left?} {With:a default} {{x}";
    let home = Home::new(&config.replace("a default", "default"));
    let server = home.start();
    let token = server.post("Show", &[("in", NASTY)]).success().must("token");
    let answer = server.outcome("Show", &token);
    let decoded = |text: &String| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        String::from_utf8(bytes).expect("text")
    };
    let arguments: Vec<_> = answer.values("arg").iter().map(decoded).collect();
    let prefixed = format!("-o{NASTY}");
    // The shell takes away line ends at the end of what it expands, and there is none.
    assert_eq!(arguments, [NASTY, &prefixed, "default", "{x}"], "{}", answer.0);

    let (code, description) = server.ask("Show&Left=1").error();
    assert_eq!(code, "ERRORPARAMMISSING");
    assert!(description.contains("parameter In "), "{description}");
    for parameters in ["&In=a%00b", "&In=a&Left=%00", "&In=a&More=%00"] {
        let refused = server.ask(&format!("Show{parameters}"));
        assert_eq!(refused.error().0, "ERRORPARAMINVALID");
        assert!(refused.must("errorid").ends_with("502"), "{}", refused.0);
    }
    assert_eq!(server.info("Show", "queueStatus", "").number("finished"), 1);

    let help = server.ask("Help&HelpAction=Show").0;
    for (name, required) in [("In", true), ("Left", false), ("With", false), ("*", false)] {
        let shown = format!("<parameter name=\"{name}\" required=\"{required}\"");
        assert!(help.contains(&shown), "{name}: {help}");
    }
}

#[test]
fn a_program_reads_its_parameters_as_json() {
    let (_home, server) = shell("cat", "Environment=A=1");
    let token = server.post("Run", &[("Name", NASTY), ("Count", "3")]).success().must("token");
    let answer = server.outcome("Run", &token);
    assert_eq!(answer.must("Name"), NASTY);
    assert_eq!(answer.must("Count"), "3");
}

#[test]
fn a_program_gets_its_own_environment() {
    let mut command = {
        let lines =
            "Environment=GREETING=good morning\n0=FIRST=1\n1=SECOND=a=b\nEnvironment0=THIRD=3";
        let home = home("env; cat > /dev/null", lines);
        let mut command = home.command();
        command.env("SECRET_OF_THE_SERVER", "x").env("LANG", "C").env_remove("TZ");
        (home, command)
    };
    let server = Server::run(std::mem::replace(&mut command.1, std::process::Command::new("true")));
    let token = server.post("Run", &[("My-größe", "7"), ("Large", &"x".repeat(200_000))]);
    let token = token.success().must("token");
    let answer = server.outcome("Run", &token);
    let output = answer.must("output");
    let mut lines: Vec<_> = output.lines().filter(|line| !line.starts_with('_')).collect();
    lines.sort_unstable();
    let has = |line: &str| assert!(lines.contains(&line), "{line}: {lines:?}");
    has("GREETING=good morning");
    has("FIRST=1");
    has("SECOND=a=b");
    has("THIRD=3");
    has("LANG=C");
    has("ACTIOND_PARAM_MY_GR__E=7");
    has("ACTIOND_QUEUE=Run");
    has("ACTIOND_ATTEMPT=1");
    has("ACTIOND_PROGRESS_FD=3");
    has(&format!("ACTIOND_TOKEN={token}"));
    let known =
        ["PATH", "HOME", "LANG", "PWD", "SHLVL", "GREETING", "FIRST", "SECOND", "THIRD", "OLDPWD"];
    for line in &lines {
        let name = line.split('=').next().unwrap_or_default();
        assert!(known.contains(&name) || name.starts_with("ACTIOND_"), "{line}");
        assert_ne!(name, "ACTIOND_PARAM_LARGE", "an environment can't hold that");
    }
}

#[test]
fn a_program_need_not_read_its_input() {
    let (_home, server) = shell("exec 0<&-; echo done", "");
    let large = "x".repeat(3_000_000);
    let token = server.post("Run", &[("Large", &large)]).success().must("token");
    let answer = server.outcome("Run", &token);
    assert_eq!((answer.must("status"), answer.must("output")), ("Finished".into(), "done".into()));
}

#[test]
fn what_no_argument_can_hold_ends_in_a_clear_error() {
    let home = Home::new("[AsyncActions]\n0=Run\n[Run]\nType=Command\nCommand=echo {Text}\n");
    let server = home.start();
    let large = "x".repeat(200_000);
    let token = server.post("Run", &[("Text", &large)]).success().must("token");
    let answer = server.outcome("Run", &token);
    assert_eq!(answer.must("status"), "Error");
    let error = answer.must("error");
    assert!(error.contains("the parameter Text has 200000 bytes"), "{error}");
}

#[test]
fn a_bad_queue_stops_the_start_with_its_line() {
    for (lines, words) in [
        ("Command=cat {Name", "t.cfg:5: [Run] Command"),
        ("Command=cat 'x", "a quote that is not closed"),
        ("Command=cat {}", "names no parameter"),
        ("Command=cat {A} {A?}", "in two forms"),
        ("Command={A}", "lets a parameter name the program"),
        ("Command=", "is empty"),
        ("TimeoutSecs=1", "Command"),
        ("Command=cat\nWorkingDirectory=/no/such/directory", "there is none now"),
        ("Command=cat\nUser=no such user", "there is none"),
        ("Command=cat\nSuccessExitCodes=0,x", "numbers from 0 to 255"),
        ("Command=cat\nEnvironment=A", "must be NAME=VALUE"),
        ("Command=cat\n0=A=1\n2=B=1", "there is no 1="),
        ("Command=cat\nEnvironment=ACTIOND_TOKEN=1", "the server's own"),
        ("Command=cat\nKeepWorkingDirectory=sometimes", "one of never, failed, always"),
    ] {
        let home = Home::new("");
        let config = format!("[AsyncActions]\n0=Run\n[Run]\nType=Command\n{lines}\n");
        std::fs::write(home.path().join("test.cfg"), config).unwrap();
        let output = home.command().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{lines}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words.trim_start_matches("t.cfg:5: ")), "{lines}: {said}");
        assert!(said.contains("test.cfg:"), "{lines}: {said}");
    }
}

/// It may be installed later, and the other queues have work to do.
#[test]
fn a_program_that_is_not_there_is_told_at_the_start() {
    for (lines, words) in [
        (
            "Command=no-such-program-at-all {A?}",
            "[Run] Command names the program no-such-program-at-all, which is in no directory of PATH",
        ),
        ("Command=/no/such/program", "the program /no/such/program: there is no such file now"),
        ("Command=/etc/passwd", "the program /etc/passwd: it is not executable"),
        ("Command=/etc/ x", "the program /etc/: it is no file"),
        (
            "Command=cat\nEnvironment=PATH=/no/such",
            "which is in no directory of PATH now (/no/such)",
        ),
    ] {
        let home = Home::new(&format!("[AsyncActions]\n0=Run\n[Run]\nType=Command\n{lines}\n"));
        let server = home.start();
        crate::server::wait_until("the warning", || server.log_lines(words) > 0);
        let error = server.outcome("Run", &server.submit_to("Run", "")).must("error");
        assert!(error.starts_with("the program can't be started: "), "{lines}: {error}");
    }
}

#[test]
fn a_program_may_come_after_the_start() {
    let home = Home::new("");
    let tool = home.path().join("tool");
    let config =
        format!("[AsyncActions]\n0=Run\n[Run]\nType=Command\nCommand={}\n", tool.display());
    std::fs::write(home.path().join("test.cfg"), config).unwrap();
    let server = home.start();
    std::fs::write(&tool, "#!/bin/sh\necho it ran\n").unwrap();
    std::fs::set_permissions(
        &tool,
        <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(server.outcome("Run", &server.submit_to("Run", "")).must("output"), "it ran");
}
