//! The table of commands and states: what each command answers, and how the action stands after it.

use super::super::calls::{Answer, id_of};
use super::super::server::{Home, Server, wait_until};

/// In `Work` everything starts; `Held` is paused, so everything stays queued there.
const CONFIG: &str = "
[AsyncActions]
0=Work
1=Held
2=Ingest
[Work]
Type=Echo
MaximumThreads=1000
[Held]
Type=Echo
[Ingest]
Type=Ingest
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Processing,
    Paused,
    Finished,
    Error,
    Cancelled,
    Stopped,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Processing,
        Self::Paused,
        Self::Finished,
        Self::Error,
        Self::Cancelled,
        Self::Stopped,
    ];

    const fn queue(self) -> &'static str {
        match self {
            Self::Queued | Self::Cancelled => "Held",
            _ => "Work",
        }
    }

    /// Brings a new action into this state.
    fn bring(self, server: &Server) -> String {
        let parameters = match self {
            Self::Finished => "&Name=Ada",
            Self::Error => "&Name=Ada&Fail=no%20luck",
            _ => "&Name=Ada&Sleep=600",
        };
        let token = server.submit_to(self.queue(), parameters);
        match self {
            Self::Queued | Self::Finished | Self::Error => {}
            Self::Cancelled => drop(server.about("Held", "cancel", &token).success()),
            Self::Processing | Self::Paused | Self::Stopped => {
                server.wait_in("Work", &token, "Processing");
            }
        }
        match self {
            Self::Paused => drop(server.about("Work", "pause", &token).success()),
            Self::Stopped => drop(server.about("Work", "stop", &token).success()),
            _ => {}
        }
        server.wait_in(self.queue(), &token, &format!("{self:?}"));
        token
    }
}

/// What a command answers.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Success with this status word; the action comes to the second one.
    Done(&'static str, &'static str),
    /// Refused with these words; nothing changes.
    Refused(&'static str),
}

const RUNS_STOP_IT: Expected = Expected::Refused("it is running, stop it instead");
const ENDED: Expected = Expected::Refused("it has ended, and a final state never changes");
const NO_PRIORITY: Expected =
    Expected::Refused("only an action that waits has a priority to change");

fn expected(command: &str, state: State) -> Expected {
    use Expected::{Done, Refused};
    use State::{Cancelled, Paused, Processing, Queued, Stopped};
    match (command, state) {
        ("cancel" | "stop", Queued) => Done("Cancelled", "Cancelled"),
        ("cancel" | "stop", Cancelled) => Done("Cancelled", "Cancelled"),
        ("cancel", Processing | Paused) => RUNS_STOP_IT,
        ("stop", Processing | Paused) => Done("Stopping", "Stopped"),
        ("stop", Stopped) => Done("Stopped", "Stopped"),
        ("changePriority", Queued) => Done("Queued", "Queued"),
        ("changePriority", Processing | Paused) => NO_PRIORITY,
        ("pause", Queued) => Refused("it is not running; pause the queue to keep it from starting"),
        ("pause", Processing | Paused) => Done("Paused", "Paused"),
        ("resume", Queued) => Refused("it is not paused; if the queue is paused, resume the queue"),
        ("resume", Processing | Paused) => Done("Processing", "Processing"),
        _ => ENDED,
    }
}

#[test]
fn every_command_in_every_state() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    for (command, rest, participle) in [
        ("cancel", "", "cancelled"),
        ("stop", "", "stopped"),
        ("changePriority", "&Priority=7", "given another priority"),
        ("pause", "", "paused"),
        ("resume", "", "resumed"),
    ] {
        for state in State::ALL {
            let token = state.bring(&server);
            let send = || server.info(state.queue(), command, &format!("{rest}&Token={token}"));
            let answer = send();
            let what = format!("{command} on {state:?}: {}", answer.0);
            match expected(command, state) {
                Expected::Done(word, then) => {
                    assert!(answer.is_success(), "{what}");
                    assert_eq!(answer.must("status"), word, "{what}");
                    assert_eq!(answer.must("token"), token, "{what}");
                    server.wait_in(state.queue(), &token, then);
                    // A client whose reply was lost may send it again.
                    let again = send().success();
                    assert_eq!(again.must("status"), then, "{what}");
                    assert_eq!(server.status_in(state.queue(), &token), then, "{what}");
                }
                Expected::Refused(advice) => {
                    refused(&answer, state, &format!("can't be {participle}: {advice}"), &token);
                    assert_eq!(server.status_in(state.queue(), &token), format!("{state:?}"));
                }
            }
            if command == "changePriority" {
                let shown = server.about(state.queue(), "getStatus", &token).must("priority");
                assert_eq!(shown, if state == State::Queued { "7" } else { "0" }, "{what}");
            }
        }
    }
}

/// A refusal names the token, the state and what to do.
fn refused(answer: &Answer, state: State, text: &str, token: &str) {
    let (code, description) = answer.error();
    assert_eq!(code, "ERRORPARAMINVALID", "{description}");
    let sentence = format!("an action that is {state:?} {text}");
    assert!(description.contains(&sentence), "not \"{sentence}\": {description}");
    assert!(description.contains(&format!("with the token {}", &token[..40])), "{description}");
}

#[test]
fn copies_parameters_and_progress_in_every_state() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    for state in State::ALL {
        let queue = state.queue();
        let token = state.bring(&server);
        let is_final = !matches!(state, State::Queued | State::Processing | State::Paused);

        let copy = server.about(queue, "duplicate", &token).success().must("token");
        assert!(id_of(&copy) > id_of(&token));
        let given = |token: &str| {
            let rest = format!("&Final=true&Token={token}");
            let answer = server.info(queue, "getActionParameters", &rest).success();
            answer.with(|document| {
                let found = document.descendants().filter(|n| n.has_tag_name("parameter"));
                let pair = |n: roxmltree::Node<'_, '_>| {
                    (
                        n.attribute("name").unwrap().to_owned(),
                        n.attribute("value").unwrap().to_owned(),
                    )
                };
                found.map(pair).collect::<Vec<_>>()
            })
        };
        assert!(given(&token).contains(&("Name".to_owned(), "Ada".to_owned())));
        assert_eq!(given(&copy), given(&token));
        // It may have ended already.
        server.about(queue, "stop", &copy);

        let answer = server.about(queue, "getActionParameters", &token).success();
        assert_eq!(answer.must("status"), format!("{state:?}"));
        assert_eq!(answer.must("token"), token);
        assert_eq!(answer.value("parameters").is_some(), !is_final, "{}", answer.0);

        let answer = server.about(queue, "progress", &token).success();
        assert_eq!(answer.must("status"), format!("{state:?}"));
        let percent: f64 = answer.must("percent").parse().unwrap();
        match state {
            State::Queued | State::Cancelled => assert_eq!(percent, 0.0),
            State::Finished => assert_eq!(percent, 100.0),
            _ => assert!((0.0..1.0).contains(&percent), "{percent}"),
        }
    }
}

#[test]
fn an_action_that_stopped_keeps_its_last_progress_and_its_partial_result() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Work", "&Sleep=20");
    wait_until("some progress", || {
        let percent: f64 =
            server.about("Work", "progress", &token).must("percent").parse().unwrap();
        percent >= 1.0
    });
    server.about("Work", "stop", &token).success();
    let ended = server.outcome("Work", &token);
    assert_eq!(ended.must("status"), "Stopped");
    assert!((200..20_000).contains(&ended.number("slept_ms")), "{}", ended.0);
    assert!(ended.value("process_end_time").is_some());
    let percent: f64 = server.about("Work", "progress", &token).must("percent").parse().unwrap();
    assert!((1.0..100.0).contains(&percent), "{percent}");
}

#[test]
fn what_cannot_pause_says_so() {
    let home = Home::new(CONFIG);
    let server = home.start();
    // Long enough to be seen running: every document is read before a byte is written.
    let mut adds = String::from("<adds>");
    for number in 0..30_000 {
        adds.push_str(&format!("<add><reference>{number}</reference></add>"));
    }
    adds.push_str("</adds>");
    let token = server.post("Ingest", &[("adds", &adds)]).success().must("token");
    server.wait_in("Ingest", &token, "Processing");
    let answer = server.about("Ingest", "pause", &token);
    let text = "can't be paused: actions of this kind do not support pausing";
    refused(&answer, State::Processing, text, &token);
    server.about("Ingest", "stop", &token).success();
    server.wait_in("Ingest", &token, "Stopped");
}

#[test]
fn a_token_of_another_queue_or_of_nothing_steers_nothing() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let token = State::Queued.bring(&server);
    for (queue, token, named) in [
        ("Work", token.as_str(), "Work"),
        ("Held", "bm90aGluZw==", "Token"),
        ("Held", "%21", "Token"),
    ] {
        for command in ["cancel", "stop", "pause", "resume", "duplicate", "getStatus", "progress"] {
            let (code, description) = server.about(queue, command, token).error();
            assert_eq!(code, "ERRORPARAMINVALID");
            assert!(description.contains(named) && description.contains("Token"), "{description}");
        }
    }
    assert_eq!(server.status_in("Held", &token), "Queued");
}
