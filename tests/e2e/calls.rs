//! Calls to any queue of a server under test: replies as XML, and connections that stay open and may
//! break, as they do when the server is killed.

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::server::{PATIENCE, Reply, Server, wait_until};

/// An ACI reply.
#[derive(Debug, Clone)]
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    /// Returns the text of the first element of this local name.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }

    /// Returns the texts of all elements of this local name, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        self.with(|document| {
            let found = document.descendants().filter(|node| node.tag_name().name() == name);
            found.map(|node| node.text().unwrap_or_default().to_owned()).collect()
        })
    }

    /// Returns what this makes of the parsed reply.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&roxmltree::Document<'_>) -> T) -> T {
        let document = roxmltree::Document::parse(&self.0);
        read(&document.unwrap_or_else(|error| panic!("{error}: {}", self.0)))
    }

    /// Returns what the reply says for this; it must say something.
    pub(crate) fn must(&self, name: &str) -> String {
        self.value(name).unwrap_or_else(|| panic!("there is no {name} in {}", self.0))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        let text = self.must(name);
        text.parse().unwrap_or_else(|_| panic!("{name} is no number but {text}"))
    }

    pub(crate) fn is_success(&self) -> bool {
        self.value("response").as_deref() == Some("SUCCESS")
    }

    /// Returns itself if it is a success; else the test fails.
    pub(crate) fn success(self) -> Self {
        assert!(self.is_success(), "no success: {}", self.0);
        self
    }

    /// Returns the code and the description of the error that the reply must be.
    pub(crate) fn error(&self) -> (String, String) {
        assert_eq!(self.value("response").as_deref(), Some("ERROR"), "{}", self.0);
        (self.must("errorcode"), self.must("errordescription"))
    }
}

impl Server {
    /// Asks on a connection of its own: the parameters of an action, such as `GetStatus`.
    pub(crate) fn ask(&self, action: &str) -> Answer {
        Answer(self.get(&format!("/action={action}")))
    }

    /// Sends an action as a form, so that its values may be long and hold anything.
    pub(crate) fn post(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        Answer(self.send(&form(action, parameters)).body_text())
    }

    /// Submits to this queue; returns the token.
    pub(crate) fn submit_to(&self, queue: &str, parameters: &str) -> String {
        self.ask(&format!("{queue}{parameters}")).success().must("token")
    }

    /// Submits to `Process`, the queue of most tests; returns the token.
    pub(crate) fn submit(&self, parameters: &str) -> String {
        self.submit_to("Process", parameters)
    }

    /// Sends a `QueueInfo` request about this queue.
    pub(crate) fn info(&self, queue: &str, queue_action: &str, rest: &str) -> Answer {
        self.ask(&format!("QueueInfo&QueueName={queue}&QueueAction={queue_action}{rest}"))
    }

    /// Sends a `QueueInfo` request about this action.
    pub(crate) fn about(&self, queue: &str, queue_action: &str, token: &str) -> Answer {
        self.info(queue, queue_action, &format!("&Token={token}"))
    }

    /// Returns the status word of an action.
    pub(crate) fn status_in(&self, queue: &str, token: &str) -> String {
        self.about(queue, "getStatus", token).success().must("status")
    }

    /// Returns the status word of an action of `Process`.
    pub(crate) fn status(&self, token: &str) -> String {
        self.status_in("Process", token)
    }

    /// Checks that this queue holds nothing, and never performed anything.
    pub(crate) fn nothing_was_queued(&self, queue: &str) {
        let status = self.info(queue, "queueStatus", "").success();
        for count in ["pending", "running", "finished"] {
            assert_eq!(status.number(count), 0, "{}", status.0);
        }
    }

    /// Waits until an action of this queue has this status.
    pub(crate) fn wait_in(&self, queue: &str, token: &str, wanted: &str) {
        let mut last = String::new();
        wait_until(&format!("{wanted} in {queue}"), || {
            last = self.status_in(queue, token);
            let is_over = ["Finished", "Error", "Cancelled", "Stopped"].contains(&last.as_str());
            assert!(!is_over || last == wanted, "it ended as {last}, not as {wanted}");
            last == wanted
        });
    }

    /// Waits until an action of `Process` has this status.
    pub(crate) fn wait_for_status(&self, token: &str, wanted: &str) {
        self.wait_in("Process", token, wanted);
    }

    /// Waits until the server shuts down.
    pub(crate) fn wait_for_draining(&self) {
        wait_until("the shutdown", || self.ask("GetStatus").must("draining") == "true");
    }

    /// Waits until the action has ended, whatever way, and returns its status reply.
    pub(crate) fn outcome(&self, queue: &str, token: &str) -> Answer {
        let answer = self.info(
            queue,
            "getStatus",
            &format!("&Token={token}&Wait={}", PATIENCE.as_secs() - 2),
        );
        let status = answer.clone().success().must("status");
        assert!(
            ["Finished", "Error", "Cancelled", "Stopped"].contains(&status.as_str()),
            "{}",
            answer.0
        );
        answer
    }
}

/// Makes a POST request of these parameters.
pub(crate) fn form(action: &str, parameters: &[(&str, &str)]) -> Vec<u8> {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let mut body = format!("action={action}");
    for (name, value) in parameters {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        body.push_str(&format!("&{name}={value}"));
    }
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns the id of the action that a token names: the last eleven digits of what it encodes.
pub(crate) fn id_of(token: &str) -> u64 {
    let text = plain(token);
    text[text.len() - 11..].parse().expect("an id")
}

/// Returns the text that a token holds.
pub(crate) fn plain(token: &str) -> String {
    String::from_utf8(STANDARD.decode(token).expect("base64")).expect("text")
}

/// Makes the token that holds this text.
pub(crate) fn token_of(plain: &str) -> String {
    STANDARD.encode(plain)
}

/// A connection that stays open for many requests.
pub(crate) struct Caller {
    stream: BufReader<TcpStream>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one request and reads its reply; an error means that there was no whole reply.
    pub(crate) fn ask(&mut self, action: &str) -> io::Result<Answer> {
        let request = format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        Ok(Answer(Reply::try_read(&mut self.stream)?.body_text()))
    }

    /// Sends a `QueueInfo` request about this action.
    pub(crate) fn about(&mut self, queue: &str, what: &str, token: &str) -> io::Result<Answer> {
        self.ask(&format!("QueueInfo&QueueName={queue}&QueueAction={what}&Token={token}"))
    }
}
