//! Who may do what: roles, keys, web pages and the service port, over real sockets.
//!
//! | file | what it is about |
//! |---|---|
//! | `table` | every action and command as every kind of caller, in configurations that differ in their roles |
//! | `roles` | what a refusal looks like, and what one action tells of others: `ShowPermissions`, `Help`, `GetVersion` |
//! | `bypass` | requests that say something twice or in another way, so that a check could look at the wrong half |
//! | `keys` | how keys are made and sent, what a wrong one costs, and that no key is ever told |
//! | `configuration` | restrictions that can't be honoured stop the start |
//! | `browsers` | pages of other servers, preflights, and when a browser is asked for a key |
//! | `service` | the service port |
//! | `metrics` | who may see `/metrics` |
//! | `reload` | what SIGHUP reads again |
//!
//! Clients of other machines are simulated: the test is a proxy that the server trusts, and says for whom it asks.

mod browsers;
mod bypass;
mod configuration;
mod keys;
mod metrics;
mod reload;
mod roles;
mod service;
mod table;

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::calls::Answer;
use super::server::{Home, PATIENCE, Reply, Server, between};

/// A line of `[Server]` by which this machine is a proxy that may say for whom it asks.
const PROXY: &str = "TrustedProxies=127.0.0.1\n";

/// A key that a server could have, and has not.
const WRONG: &str = "bm90LWEta2V5LW9mLWFueWJvZHktYXQtYWxsLWhlcmU";

/// A key with its hash, as `actiond key` makes them.
#[derive(Debug, Clone)]
struct Key {
    text: String,
    hash: String,
}

impl Key {
    fn make() -> Self {
        let output =
            Command::new(env!("CARGO_BIN_EXE_actiond")).arg("key").output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let line = |name: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no line {name} in {said}")).trim().to_owned()
        };
        Self { text: line("key:"), hash: line("hash:") }
    }
}

/// Who sends a request.
#[derive(Debug, Clone, Default)]
struct Who {
    /// The address from which it seems to come; none for this machine.
    address: Option<String>,
    /// The value of the header `Authorization`.
    authorization: Option<String>,
}

impl Who {
    /// Somebody on this machine, without a key.
    fn here() -> Self {
        Self::default()
    }

    fn at(address: &str) -> Self {
        Self { address: Some(address.to_owned()), authorization: None }
    }

    fn with(mut self, key: &str) -> Self {
        self.authorization = Some(format!("Bearer {key}"));
        self
    }

    fn authorized(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned());
        self
    }

    /// The lines of a request's head that say so.
    fn lines(&self) -> String {
        let line = |name: &str, value: &Option<String>| {
            value.as_ref().map_or(String::new(), |value| format!("{name}: {value}\r\n"))
        };
        line("X-Forwarded-For", &self.address) + &line("Authorization", &self.authorization)
    }

    fn get(&self, target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", self.lines()).into_bytes()
    }

    /// Sends an action to the ACI port; the reply is an ACI reply.
    fn ask(&self, server: &Server, action: &str) -> Answer {
        self.ask_at(server.address, &format!("/action={action}"))
    }

    fn ask_at(&self, address: SocketAddr, target: &str) -> Answer {
        Answer(send_to(address, &self.get(target)).body_text())
    }

    /// Sends an action that must be done.
    fn may(&self, server: &Server, action: &str) -> Answer {
        let answer = self.ask(server, action);
        assert!(answer.is_success(), "{action} of {self:?}: {}", answer.0);
        answer
    }

    /// Sends an action that must be refused.
    fn may_not(&self, server: &Server, action: &str) {
        let reply = send_to(server.address, &self.get(&format!("/action={action}")));
        assert!(is_refused(&reply), "{action} of {self:?}: {}\n{}", reply.head, reply.body_text());
    }
}

/// Sends a request on a connection of its own and reads the reply.
fn send_to(address: SocketAddr, request: &[u8]) -> Reply {
    try_send_to(address, request).unwrap_or_else(|error| {
        panic!("no whole reply: {error}, to {}", String::from_utf8_lossy(request))
    })
}

fn try_send_to(address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(request)?;
    Reply::try_read(&mut stream)
}

/// A connection that is used again and again, for as long as the server keeps it open.
struct Talk {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Talk {
    fn with(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    fn say(&mut self, request: &[u8]) -> Reply {
        let address = self.address;
        let stream = self.stream.get_or_insert_with(|| BufReader::new(connect(address)));
        stream.get_mut().write_all(request).expect("the request is sent");
        let reply = Reply::try_read(stream).expect("a whole reply");
        if reply.header("connection") == Some("close") {
            self.stream = None;
        }
        reply
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Whether this is the refusal of who has no role for it, in XML or JSON.
fn is_refused(reply: &Reply) -> bool {
    let body = reply.body_text();
    let is_error = body.contains("<errorcode>ERRORPERMISSION</errorcode>")
        || body.contains(r#""errorcode":"ERRORPERMISSION""#)
        || body.contains(r#""errorcode":{"$":"ERRORPERMISSION"}"#);
    assert!(!is_error || reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
    is_error
}

/// The address of the service port, as the server tells those who may ask.
fn service_port(server: &Server, who: &Who) -> SocketAddr {
    let children = who.may(server, "GetChildren");
    let port = u16::try_from(children.number("serviceport")).expect("a port");
    assert_ne!(port, 0, "there is no service port: {}", children.0);
    (server.address.ip(), port).into()
}

/// The reply of the service port to this target.
fn ask_service(port: SocketAddr, who: &Who, target: &str) -> Reply {
    send_to(port, &who.get(target))
}

/// What the reply of a service port says in this element.
fn told<'a>(body: &'a str, element: &str) -> &'a str {
    between(body, &format!("<{element}>"), &format!("</{element}>"))
        .unwrap_or_else(|| panic!("no {element} in {body}"))
}

/// Whether the service port has done what it was asked for, and not refused it.
fn is_done(reply: &Reply) -> bool {
    let body = reply.body_text();
    // Some are text without more.
    !body.starts_with("<ACTION>") || told(&body, "RESPONSE") != "ERROR"
}

/// Ends a server as an administrator does, and returns its log.
fn end(server: Server) -> Vec<String> {
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:#?}");
    log
}

/// Replaces the configuration of this home.
fn configure(home: &Home, config: &str) {
    std::fs::write(home.path().join("test.cfg"), config).expect("the configuration");
}

/// How the queues stand: which are paused, and each action with its status and priority. Asked of a server that lets
/// everybody do everything.
fn standing(server: &Server, queues: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for queue in queues {
        let status = server.info(queue, "queueStatus", "").success();
        all.push(format!("{queue} paused: {}", status.must("paused")));
        let list = server.info(queue, "getStatus", "&Sort-Order=ascending").success();
        let (tokens, words) = (list.values("token"), list.values("status"));
        let priorities = list.values("priority");
        assert!(tokens.len() == words.len() && words.len() == priorities.len(), "{}", list.0);
        for ((token, word), priority) in tokens.iter().zip(words).zip(priorities) {
            all.push(format!("{queue} {}: {word}, {priority}", super::calls::id_of(token)));
        }
    }
    all
}
