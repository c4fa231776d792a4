//! A small server that behaves as those of the vendor do: XML alone, no `Wait`, no `Idempotency-Key`, no parameters of what has
//! ended. What it does with an action, and when it replies, is up to the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actiond::aci::request::{Pairs, RawRequest, parse};
use actiond::aci::token;

use super::super::server::wait_until;

/// An action of it.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) token: String,
    pub(super) status: &'static str,
    pub(super) parameters: Pairs,
    /// What stands beside the status: results, an error.
    pub(super) beside: String,
    /// Elements and attributes of its progress.
    pub(super) progress: String,
    pub(super) priority: String,
    /// Commands that it got, in order.
    pub(super) told: Vec<String>,
}

/// What it does with the next submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mood {
    #[default]
    Take,
    /// It takes the action, and never replies.
    TakeInSilence,
    /// It has got the action, and takes it once it is let in.
    Hold,
    /// It closes the connection and takes nothing.
    Drop,
    /// It replies with this error code.
    Refuse(&'static str),
}

#[derive(Debug, Default)]
struct State {
    tasks: Vec<Task>,
    mood: Mood,
    /// It is there, and closes each connection.
    is_broken: bool,
    /// It is no ACI server: this is the status of its replies, which are pages.
    pages: Option<u16>,
    obeys: bool,
    /// Submissions that it got, and those that it let in.
    received: usize,
    is_open: bool,
    /// Searches for an action by its parameters.
    searches: usize,
    looks: usize,
    now: usize,
    most: usize,
    headers: Vec<String>,
}

/// The server. It listens until the end of the test.
#[derive(Debug, Clone)]
pub(super) struct Vendor {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

impl Vendor {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { obeys: true, ..State::default() }));
        let vendor = Self { port, state };
        let serving = vendor.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let vendor = serving.clone();
                thread::spawn(move || vendor.serve(stream.unwrap()));
            }
        });
        vendor
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    pub(super) fn set_broken(&self, is_broken: bool) {
        self.state().is_broken = is_broken;
    }

    /// Lets it reply with pages of this status to all that it is asked.
    pub(super) fn set_pages(&self, status: Option<u16>) {
        self.state().pages = status;
    }

    /// Waits until it has got so many submissions, taken or not.
    pub(super) fn wait_for_received(&self, count: usize) {
        wait_until(&format!("{count} submissions"), || self.state().received >= count);
    }

    /// Waits until it was searched for an action so many times.
    pub(super) fn wait_for_searches(&self, count: usize) {
        wait_until(&format!("{count} searches"), || self.state().searches >= count);
    }

    /// Takes what it holds.
    pub(super) fn let_in(&self) {
        self.state().is_open = true;
    }

    /// Lets it accept stops, pauses and the like without doing what they say.
    pub(super) fn disobey(&self) {
        self.state().obeys = false;
    }

    pub(super) fn forget_all(&self) {
        self.state().tasks.clear();
    }

    pub(super) fn tasks(&self) -> Vec<Task> {
        self.state().tasks.clone()
    }

    /// Waits until it has so many actions, and returns them.
    pub(super) fn wait_for_tasks(&self, count: usize) -> Vec<Task> {
        wait_until(&format!("{count} actions over there"), || self.tasks().len() >= count);
        self.tasks()
    }

    /// Changes its action of this place.
    pub(super) fn change(&self, place: usize, change: impl FnOnce(&mut Task)) {
        change(&mut self.state().tasks[place]);
    }

    /// Ends an action well, with this result.
    pub(super) fn finish(&self, place: usize, result: &str) {
        self.change(place, |task| {
            task.status = "Finished";
            task.beside = result.to_owned();
        });
    }

    /// The number of looks at actions so far, and the most requests that it had at once.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.looks, state.most)
    }

    /// The values of this header in all requests.
    pub(super) fn headers(&self, name: &str) -> Vec<String> {
        let state = self.state();
        let named = state.headers.iter().filter_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        named.collect()
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some((content_type, body)) = self.read(&mut stream) {
            if self.state().is_broken {
                return;
            }
            let pages = self.state().pages;
            if let Some(status) = pages {
                let page = "<html><body>Who are you?</body></html>";
                let length = page.len();
                let reply =
                    format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n\r\n{page}");
                if stream.get_mut().write_all(reply.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            let raw = RawRequest {
                target: "/",
                content_type: Some(&content_type),
                body: &body,
                max_input_string: 64_000,
                max_upload: usize::MAX,
            };
            let request = parse(&raw).unwrap();
            {
                let mut state = self.state();
                state.now += 1;
                state.most = state.most.max(state.now);
            }
            let reply = self.answer(&request.action, &request.pairs);
            self.state().now -= 1;
            let Some((response, data)) = reply else { return };
            let action = request.action.to_uppercase();
            let xml = format!(
                "<?xml version='1.0' encoding='UTF-8' ?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'>\
                 <action>{action}</action><response>{response}</response><responsedata>{data}</responsedata></autnresponse>"
            );
            let sent = write!(
                stream.get_mut(),
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{xml}",
                xml.len()
            );
            if sent.is_err() {
                return;
            }
        }
    }

    fn read(&self, stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
        let (mut content_type, mut length) = (String::new(), 0);
        let mut is_first = true;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if !std::mem::take(&mut is_first) {
                self.state().headers.push(line.to_owned());
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-type" => content_type = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some((content_type, body))
    }

    /// Returns the word of the response and its data, or nothing if the connection is to be closed without one.
    fn answer(&self, action: &str, pairs: &Pairs) -> Option<(&'static str, String)> {
        match action.to_ascii_lowercase().as_str() {
            "getversion" => {
                let version = "<autn:version>26.1</autn:version><autn:productname>Media Server</autn:productname>";
                let epoch = now_ms() / 1000;
                let time =
                    format!("<autn:servertime><autn:epoch>{epoch}</autn:epoch></autn:servertime>");
                Some(("SUCCESS", format!("{version}{time}")))
            }
            "process" => self.submit(pairs),
            "queueinfo" => Some(match self.queue_info(pairs) {
                Some(data) => ("SUCCESS", data),
                None => error("ERRORPARAMINVALID", "No such token, or not in this state"),
            }),
            _ => Some(error("ERRORNOTIMPLEMENTED", "The requested action was not recognised")),
        }
    }

    fn submit(&self, pairs: &Pairs) -> Option<(&'static str, String)> {
        let mut state = self.state();
        state.received += 1;
        match state.mood {
            Mood::Take | Mood::TakeInSilence => {}
            Mood::Hold => {
                drop(state);
                while !self.state().is_open {
                    thread::sleep(Duration::from_millis(5));
                }
                state = self.state();
            }
            Mood::Drop => return None,
            Mood::Refuse(code) => return Some(error(code, "Refused as the test wants it")),
        }
        let id = state.tasks.len() as u64 + 1;
        let token = token::encode("127.0.0.1", self.port, "PROCESS", now_ms(), id);
        state.tasks.push(Task {
            token: token.clone(),
            status: "Processing",
            parameters: pairs.clone(),
            beside: String::new(),
            progress: "<percent>0</percent>".to_owned(),
            priority: "0".to_owned(),
            told: Vec::new(),
        });
        if state.mood == Mood::TakeInSilence {
            drop(state);
            // Until the mood changes.
            while self.state().mood == Mood::TakeInSilence {
                thread::sleep(Duration::from_millis(5));
            }
            return None;
        }
        Some(("SUCCESS", format!("<token>{token}</token>")))
    }

    fn queue_info(&self, pairs: &Pairs) -> Option<String> {
        let mut state = self.state();
        let command = pairs.given("QueueAction")?.to_ascii_lowercase();
        // It wants the queue in any case, and knows no other.
        pairs.given("QueueName").filter(|name| name.eq_ignore_ascii_case("Process"))?;
        assert!(
            command != "getstatus" || pairs.get("Token").is_some() || pairs.get("Wait").is_none()
        );
        let obeys = state.obeys;
        let Some(token) = pairs.given("Token") else {
            return match command.as_str() {
                "getstatus" => {
                    let number =
                        |name: &str| pairs.given(name).and_then(|n| n.parse::<usize>().ok());
                    let start = number("Start").unwrap_or(1) - 1;
                    let most = number("MaxResults").unwrap_or(usize::MAX);
                    let newest_first = state.tasks.iter().rev().skip(start).take(most);
                    Some(format!(
                        "<actions>{}</actions>",
                        newest_first.map(Task::show).collect::<String>()
                    ))
                }
                "getactionparameters" => {
                    state.searches += 1;
                    let unended = state.tasks.iter().filter(|task| !task.has_ended());
                    Some(unended.map(Task::request).collect())
                }
                _ => None,
            };
        };
        if command == "getstatus" {
            state.looks += 1;
        }
        let task = state.tasks.iter_mut().find(|task| task.token == token)?;
        let (from, to) = match command.as_str() {
            "getstatus" => return Some(format!("<actions>{}</actions>", task.show())),
            "getactionparameters" => return Some(task.request()),
            "progress" => {
                return Some(format!(
                    "<action><token>{token}</token><status>{}</status><progress>{}</progress></action>",
                    task.status, task.progress
                ));
            }
            "changepriority" => {
                task.priority = pairs.given("Priority")?.to_owned();
                ("Queued", "Queued")
            }
            "cancel" => ("Queued", "Cancelled"),
            "stop" if task.status == "Paused" => ("Paused", "Stopped"),
            "stop" => ("Processing", "Stopped"),
            "pause" => ("Processing", "Paused"),
            "resume" => ("Paused", "Processing"),
            _ => return None,
        };
        task.told.push(command);
        if task.status != from {
            return None;
        }
        if obeys {
            task.status = to;
        }
        Some(format!("<token>{token}</token>"))
    }
}

impl Task {
    fn has_ended(&self) -> bool {
        !["Queued", "Processing", "Paused"].contains(&self.status)
    }

    fn show(&self) -> String {
        format!(
            "<action><status>{}</status><queued_time>2015-Aug-17 17:40:49</queued_time><time_in_queue>1</time_in_queue>\
             {}<token>{}</token></action>",
            self.status, self.beside, self.token
        )
    }

    fn request(&self) -> String {
        let (token, status) = (&self.token, self.status);
        let parameters = self.parameters.iter().map(|(name, value)| {
            let actiond::aci::request::PairValue::Text(value) = value else { return String::new() };
            let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!("<parameter name=\"{name}\" value=\"{value}\"/>")
        });
        let parameters: String = if self.has_ended() {
            String::new()
        } else {
            format!("<parameters>{}</parameters>", parameters.collect::<String>())
        };
        format!("<request><token>{token}</token><status>{status}</status>{parameters}</request>")
    }
}

fn error(code: &str, text: &str) -> (&'static str, String) {
    let data = format!(
        "<error><errorid>MEDIASERVERPROCESS502</errorid><errorstring>{text}</errorstring>\
         <errorcode>{code}</errorcode><errortime>20 Nov 15 16:49:50</errortime></error>"
    );
    ("ERROR", data)
}

#[expect(clippy::disallowed_methods, reason = "it is another server, with a clock of its own")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
