//! The examples, which are where programs of somebody else begin: `aci_app`, an application with an endpoint, and
//! `own_kind`, the server with a kind of action more. They are run as they stand.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::calls::Answer;
use super::cargo::forget_package;
use super::server::{Home, Reply, Server, wait_until};

/// Builds the example as these tests were built, so that it is mostly there, and returns where it is.
pub(crate) fn built(example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--example", example]);
    if cfg!(feature = "fuzzing") {
        cargo.arg("--all-features");
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    forget_package(&mut cargo);
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
    assert!(status.success(), "the example does not build");
    let directory = Path::new(env!("CARGO_BIN_EXE_actiond")).parent().expect("a directory");
    directory.join("examples").join(example)
}

fn start(home: &Home) -> Server {
    let mut command = Command::new(built("aci_app"));
    command.arg("0").arg(home.data()).current_dir(home.path());
    Server::run(command)
}

/// Sends a request without a body and returns what is in the reply.
fn ask(server: &Server, method: &str, target: &str) -> String {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    server.send(request.as_bytes()).body_text()
}

fn about(token: &str, rest: &str) -> String {
    format!("/aci/action=QueueInfo&QueueName=Greet&QueueAction=getStatus&Token={token}{rest}")
}

#[test]
fn the_example_works_as_it_says_and_answers_waiting_clients_before_it_ends() {
    let home = Home::new("");
    let server = start(&home);
    assert_eq!(ask(&server, "GET", "/"), "Greetings: no actions\n");

    // A token of its own route is one that the endpoint knows.
    let token = ask(&server, "POST", "/greetings/Ada");
    let status = Answer(ask(&server, "GET", &about(&token, "&Wait=60"))).success();
    assert_eq!(
        (status.must("status"), status.must("greeting")),
        ("Finished".into(), "Hello, Ada".into())
    );
    assert_eq!(status.must("token"), token);
    // No form of another page may use its own route.
    let form = "POST /greetings/Ada HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n";
    let reply = server.send(form.as_bytes());
    assert!(reply.head.starts_with("HTTP/1.1 403"), "{}", reply.head);
    assert!(reply.body_text().contains("Permission denied"), "{}", reply.body_text());
    // By its token, on a route of its own, too.
    let told = ask(&server, "GET", &format!("/greetings/{token}"));
    assert_eq!(told, "Finished: [greeting: \"Hello, Ada\"]\n");
    assert_eq!(ask(&server, "GET", "/greetings/no-token"), "no such greeting");
    // Its kind of action is described and checked.
    let help = ask(&server, "GET", "/aci/action=Help&HelpAction=Greet");
    assert!(help.contains("Who is greeted"), "{help}");
    let (code, why) = Answer(ask(&server, "GET", "/aci/action=Greet&Seconds=soon")).error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(why.contains("a whole number from 0 to 3600"), "{why}");
    // Connections stay open for as long as replies say.
    let reply = server.send(b"GET /aci/action=GetPid HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(reply.header("keep-alive"), Some("timeout=28"));

    let token = ask(&server, "POST", "/greetings/Eve?seconds=600");
    let mut polls = server.connect();
    let mut submits = server.connect();
    for (stream, target) in [
        (&mut polls, about(&token, "&Wait=600")),
        (&mut submits, "/aci/action=Greet&Name=Bob&Wait=600".to_owned()),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is sent");
    }
    let counts = "Greetings: 1 Queued, 1 Processing, 1 Finished\n";
    wait_until(counts, || ask(&server, "GET", "/") == counts);
    server.signal("TERM");
    let polled = Answer(Reply::read(&mut polls).body_text()).success();
    assert_eq!((polled.must("token"), polled.must("status")), (token.clone(), "Queued".into()));
    let bob = Answer(Reply::read(&mut submits).body_text()).success().must("token");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:?}");

    // It runs again after a restart, and the tokens are good.
    let server = start(&home);
    wait_until("what ran before", || {
        Answer(ask(&server, "GET", &about(&token, ""))).must("status") == "Processing"
    });
    assert_eq!(Answer(ask(&server, "GET", &about(&bob, ""))).success().must("status"), "Queued");
    server.signal("INT");
    assert!(server.wait().0.success());
}

const OWN_KIND: &str = "\
[Server]
StrictActionValidation=true
[AsyncActions]
0=Welcome
1=Process
[Welcome]
Type=greet
Salutation=Good morning
Guest0=Ada
guest1=Grace, of course
Gest2=Eve
[Process]
Type=Echo
Guest0=Eve
";

/// Runs `own_kind config` with this configuration, and returns its two outputs.
fn configured(home: &Home, config: &str) -> (String, String) {
    let file = home.path().join("other.cfg");
    std::fs::write(&file, config).expect("the configuration");
    let output = Command::new(built("own_kind"))
        .args(["config", "--config"])
        .arg(&file)
        .current_dir(home.path())
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(&format!("{}/", home.path().display()), "")
    };
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_kind_of_ones_own_is_configured_and_described_like_those_that_ship() {
    let home = Home::new(OWN_KIND);
    let printed = Command::new(built("own_kind")).arg("config").output().expect("it runs");
    let printed = String::from_utf8(printed.stdout).expect("text");
    for part in [
        "# Number=7\n",
        "# 6=Greet\n",
        "Allowed: one of Echo, Ingest, FileSystemConnector, Command, Remote, Forward, Greet.\n",
        "\n\n// Greets everybody on its list.\n# [Greet]\n# Type=Greet\n",
        "// Allowed: any text.\n# Salutation=Hello\n",
        "\n# Guest0=Ada\n",
        "// Allowed: whole seconds from 0 to 60.\n# PauseSecs=0\n",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let marks_taken_away: Vec<_> = printed
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        // With a host of its own to send to, IngestQueue would have no effect.
        .filter(|line| !line.starts_with("IngestHost=") && !line.starts_with("IngestPort="))
        // Nor are there such certificates, keys, databases and programs; servers are in one value or in several.
        .filter(|line| {
            ![
                "SSL",
                "[SSL",
                "ForwardKey",
                "ForwardCAFile",
                "ForwardTo=",
                "ConnectionString",
                // Each excludes another key, or is the secret of nobody.
                "BearerToken",
                "BasicPassword=",
                "ProxyPassword=",
                "Secret=",
                "AdminSecret",
                "CallbackHandler=",
                "RepeatSecs=",
            ]
            .iter()
            .any(|start| line.starts_with(start))
        })
        .map(|line| if line.starts_with("Command=") { "Command=true" } else { line })
        .collect();
    // The files of the examples are read, and their directories are not there.
    for (file, text) in [
        ("receiver.password", "secret"),
        ("proxy.password", "secret"),
        ("receiver.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("events.lua", "function handler(request, xml) end"),
    ] {
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).write(true).mode(0o600);
        let mut file = options.open(home.path().join(file)).expect("a file");
        file.write_all(text.as_bytes()).expect("it is written");
    }
    let (_, warnings) = configured(&home, &marks_taken_away.join("\n"));
    let mut others = warnings.lines().filter(|line| !line.ends_with("no such directory now"));
    assert_eq!(others.next(), None);

    let (in_force, warnings) = configured(&home, OWN_KIND);
    for line in [
        "[Welcome]\n// other.cfg:7\nType=greet\n// other.cfg:8\nSalutation=Good morning\n\
         // other.cfg:9\nGuest0=Ada\n// other.cfg:10\nguest1=Grace, of course\n// default\nPauseSecs=0\n",
        "// default: that of its Type\nOnRestart=Requeue\n",
    ] {
        assert!(in_force.contains(line), "{line}: {in_force}");
    }
    let warnings: Vec<_> = warnings.lines().collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("[Welcome] Gest2 has no effect"), "{warnings:?}");
    let place = "[Process] Guest0 has no effect here: it belongs into the section of a queue with Type=Greet";
    assert!(warnings[1].contains(place), "{warnings:?}");

    for (config, problem) in [
        (
            "[Process]\nType=Greet",
            "other.cfg:1: [Process] Salutation: is missing: it must be any text",
        ),
        ("[Process]\nType=Greet\nSalutation=", "[Process] Salutation=: is empty"),
        ("[Process]\nType=Greet\nSalutation=a\nGuest1=b", "there is no Guest0=, though a higher"),
        (
            "[Process]\nType=Great",
            "must be one of Echo, Ingest, FileSystemConnector, Command, Remote, Forward, Greet",
        ),
    ] {
        let (_, error) = configured(&home, config);
        assert!(error.contains(problem), "{config}: {error}");
    }
}

#[test]
fn a_kind_of_ones_own_runs_as_its_section_says() {
    let home = Home::new(OWN_KIND);
    let mut command = Command::new(built("own_kind"));
    command.args(home.command().get_args()).current_dir(home.path());
    let server = Server::run(command);
    let done = Answer(ask(&server, "GET", "/action=Welcome&Mood=cheerful&Wait=60")).success();
    assert_eq!(done.must("status"), "Finished");
    for greeting in ["Good morning, Ada!", "Good morning, Grace, of course!"] {
        assert!(done.0.contains(&format!("<greeting>{greeting}</greeting>")), "{}", done.0);
    }
    // Its parameters are checked as the configuration says, and Help shows them.
    let refused = ask(&server, "GET", "/action=Welcome");
    assert!(refused.contains("Mood") && refused.contains("cheerful, solemn"), "{refused}");
    let help = ask(&server, "GET", "/action=Help&HelpAction=Welcome");
    assert!(help.contains("Greets everybody on its list.") && help.contains("Mood"), "{help}");
    server.signal("TERM");
    assert!(server.wait().0.success());
}
