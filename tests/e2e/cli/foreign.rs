//! Another ACI server: it waits for nobody, knows no pages, no commands to many and no live events, has other words for the end of
//! an action, and passes over what it does not know.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use actiond::aci::request::{RawRequest, Request, parse};

use super::{Ran, command, run};

/// The actions of the other server, and the requests that it has got.
#[derive(Default)]
struct Inside {
    /// Requests, as `ACTION QueueAction Token`.
    asked: Vec<String>,
    /// Number of polls after which the action ends.
    polls: usize,
    /// The word for its end.
    end: &'static str,
}

pub(super) struct Foreign {
    pub(super) url: String,
    inside: Arc<Mutex<Inside>>,
}

const TOKENS: [&str; 3] = ["111", "222", "333"];

fn success(action: &str, data: &str) -> String {
    format!(
        "<?xml version='1.0'?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>{}</action>\
         <response>SUCCESS</response><responsedata>{data}</responsedata></autnresponse>",
        action.to_uppercase()
    )
}

fn refusal(action: &str, id: &str, why: &str) -> String {
    format!(
        "<autnresponse><action>{}</action><response>ERROR</response><responsedata><error><errorid>{id}</errorid>\
         <errorstring>ERROR</errorstring><errordescription>{why}</errordescription></error></responsedata></autnresponse>",
        action.to_uppercase()
    )
}

fn shown(token: &str, status: &str) -> String {
    format!(
        "<action><status>{status}</status><queued_time>2026-Nov-30 12:00:00</queued_time><token>{token}</token></action>"
    )
}

impl Inside {
    fn answer(&mut self, request: &Request) -> String {
        let get = |name: &str| request.pairs.get(name).unwrap_or_default().to_owned();
        let (queue_action, token) = (get("QueueAction"), get("Token"));
        self.asked.push(format!("{} {queue_action} {token}", request.action).trim().to_owned());
        let action = request.action.as_str();
        match (action.to_lowercase().as_str(), queue_action.to_lowercase().as_str()) {
            ("fetch", _) => success(action, "<token>111</token>"),
            ("view", _) => success(action, "<hit><title>The end</title></hit>"),
            ("getversion", _) => {
                success(action, "<autn:productname>ContentServer</autn:productname>")
            }
            ("queueinfo", "getstatus") if token.is_empty() => {
                let state = get("State");
                let all = TOKENS.map(|token| {
                    shown(token, if state == "queued" { "Queued" } else { "Processing" })
                });
                success(action, &format!("<actions>{}</actions>", all.concat()))
            }
            ("queueinfo", "getstatus") => {
                let left = self.polls.checked_sub(1);
                self.polls = left.unwrap_or_default();
                let status = if left.is_some() { "Processing" } else { self.end };
                success(action, &format!("<actions>{}</actions>", shown(&token, status)))
            }
            ("queueinfo", "queuestatus") => success(
                action,
                "<paused>false</paused><pending>3</pending><running>0</running><finished>4</finished>",
            ),
            ("queueinfo", "cancel" | "stop" | "changepriority") => success(action, ""),
            _ => refusal(action, "AXEQUERY1", "The requested action was not recognised"),
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if std::io::BufRead::read_line(&mut reader, &mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let content_type = header("content-type");
    let target = head.split(' ').nth(1)?;
    // Live events are an action of that name to it.
    let target = target.replace("/events", "/action=events");
    let raw = RawRequest {
        target: &target,
        content_type: content_type.as_deref(),
        body: &body,
        max_input_string: 64_000,
        max_upload: usize::MAX,
    };
    Some(parse(&raw).unwrap_or_else(|rejected| panic!("{rejected:?}")))
}

impl Foreign {
    pub(super) fn start(polls: usize, end: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let inside = Arc::new(Mutex::new(Inside { polls, end, ..Inside::default() }));
        let served = Arc::clone(&inside);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let body = served.lock().expect("it").answer(&request);
                let mut stream = stream;
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, inside }
    }

    fn run(&self, line: &str) -> Ran {
        run(command(&self.url, line), b"")
    }

    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.inside.lock().expect("it").asked)
    }
}

#[test]
fn its_actions_are_sent_and_waited_for() {
    let table = [("Finished", 0), ("Processed", 0), ("Error", 3), ("Failed", 3), ("Gone", 1)];
    for (end, code) in table {
        let foreign = Foreign::start(2, end);
        let ran = foreign.run("send Fetch FetchAction=Synchronize --wait");
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.out.contains(&format!("status: {end}")), "{ran:?}");
        assert_eq!(ran.err.contains("not known here"), end == "Gone", "{ran:?}");
        let asked = foreign.asked();
        assert_eq!(asked[0], "Fetch");
        // It tells no progress, and is asked for it once.
        let asked_progress = asked.iter().filter(|asked| asked.contains("progress")).count();
        assert_eq!(asked_progress, 1, "{asked:?}");
    }
}

#[test]
fn what_it_answers_at_once_is_printed() {
    let foreign = Foreign::start(0, "Finished");
    assert_eq!(foreign.run("send View Reference=1 --wait").ok(), "hit\n  title: The end\n");
    let said = foreign.run("send Nothing").failed(6);
    assert!(said.contains("not recognised (AXEQUERY1)"), "{said}");
}

#[test]
fn a_list_without_pages_has_an_end() {
    let foreign = Foreign::start(0, "Finished");
    let listed = foreign.run("list Fetch --limit 2 --json").ok();
    assert_eq!(listed.matches("\"token\"").count(), 2, "{listed}");
    assert_eq!(foreign.run("list Fetch --csv").ok().lines().count(), 4);
}

#[test]
fn a_command_to_many_reaches_no_more_than_was_meant() {
    let foreign = Foreign::start(0, "Finished");
    let told = foreign.run("stop --all --queue Fetch --state running --yes").ok();
    assert_eq!(told, "3 actions done, 0 refused\n");
    let asked = foreign.asked();
    let stops: Vec<_> = asked.iter().filter(|asked| asked.contains("stop")).collect();
    assert_eq!(stops, ["QueueInfo stop 111", "QueueInfo stop 222", "QueueInfo stop 333"]);
    // It would list all for a filter that it does not know.
    let said = foreign.run("cancel --all --queue Fetch Parameter.Name=Ada --yes").failed(8);
    assert!(said.contains("may not know the filter Parameter.Name"), "{said}");
    assert!(!foreign.asked().iter().any(|asked| asked.contains("cancel")));
    assert_eq!(foreign.run("cancel --tokens 111,222 --yes").ok(), "2 actions done, 0 refused\n");
    assert_eq!(foreign.run("priority 111 5 --queue Fetch").ok(), "accepted  111\n");
}

#[test]
fn its_queues_have_to_be_named() {
    let foreign = Foreign::start(0, "Finished");
    let said = foreign.run("queues").failed(8);
    assert!(said.contains("names of its queues"), "{said}");
    let table = foreign.run("queues Fetch").ok();
    assert!(table.lines().nth(1).is_some_and(|line| line.starts_with("Fetch")), "{table}");
}

#[test]
fn what_it_does_not_have_is_said() {
    let foreign = Foreign::start(0, "Finished");
    let said = foreign.run("events").failed(8);
    assert!(said.contains("no live events") && said.contains("actiond watch"), "{said}");
    let said = foreign.run("bench").failed(2);
    assert!(said.contains("name an action"), "{said}");
    foreign.run("schedules").failed(6);
    foreign.run("backup x").failed(6);
}

#[test]
fn a_measurement_says_what_stays_there() {
    let foreign = Foreign::start(0, "Finished");
    let ran = foreign.run("bench Fetch --number 3 --connections 1 --keep");
    assert!(ran.out.contains("durability   not told"), "{ran:?}");
    assert!(ran.err.contains("stay in Fetch, until the server deletes"), "{ran:?}");
    let asked = foreign.asked();
    assert!(
        !asked.iter().any(|asked| asked.contains("delete") || asked.contains("stop")),
        "{asked:?}"
    );
}
