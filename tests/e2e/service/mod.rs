//! The service port: what it tells of the server and of its configuration, and the reload by it. Who may ask is tested in `access`.
//!
//! - `statistics`: after known work the figures have known values;
//! - `config`: what is in force is shown, and no secret in it; a configuration is checked and changes nothing;
//! - `reload`: what changes, what needs a restart, and that an error changes nothing;
//! - `log_streams`: the last lines of the log;
//! - `embedded`: a server that is part of another program.

mod config;
mod embedded;
mod log_streams;
mod reload;
mod statistics;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use super::server::{CONFIG, Home, PATIENCE, Reply, Server};

/// The service port of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServicePort(pub(crate) SocketAddr);

/// A reply of the service port that has its form.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) action: String,
    pub(crate) response: String,
    /// The text of its data.
    pub(crate) data: String,
    /// The attributes of each element in its data.
    pub(crate) elements: Vec<Vec<(String, String)>>,
}

impl ServicePort {
    /// Finds the port in the log.
    pub(crate) fn of(server: &Server) -> Self {
        let line = server.wait_for_line(&["the service port answers on http://"]);
        let (_, address) = line.split_once("answers on http://").expect("an address");
        Self(address.trim_end_matches('/').parse().expect("an address"))
    }

    /// Sends an action with its parameters, and returns the reply as it came.
    pub(crate) fn text(self, action: &str) -> String {
        self.send(&format!(
            "GET /action={action} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Sends it as a form, and reads the reply.
    pub(crate) fn post(self, action: &str) -> Told {
        Told::read(&self.send(&format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\naction={action}",
            "action=".len() + action.len()
        )))
    }

    /// Sends it, and reads the reply.
    pub(crate) fn ask(self, action: &str) -> Told {
        Told::read(&self.text(action))
    }

    /// Sends it, and waits for no reply.
    pub(crate) fn begin(self, action: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.0).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request = format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is sent");
        stream
    }

    fn send(self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.0).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let reply = Reply::read(&mut stream);
        assert!(reply.head.starts_with("HTTP/1.1 200 "), "{request}: {}", reply.head);
        reply.body_text()
    }
}

impl Told {
    /// Reads a reply, which must be well-formed but for its lack of a root.
    pub(crate) fn read(body: &str) -> Self {
        let whole = format!("<reply xmlns:autn=\"autn\">{body}</reply>");
        let document =
            roxmltree::Document::parse(&whole).unwrap_or_else(|error| panic!("{error}: {body}"));
        let parts: Vec<_> = document.root_element().children().filter(|n| n.is_element()).collect();
        let names: Vec<_> = parts.iter().map(|part| part.tag_name().name()).collect();
        assert_eq!(names, ["ACTION", "RESPONSE", "RESPONSEDATA"], "{body}");
        let text = |at: usize| parts[at].text().unwrap_or_default().to_owned();
        let of = |node: roxmltree::Node<'_, '_>| -> Vec<(String, String)> {
            let attributes = node.attributes();
            attributes.map(|one| (one.name().to_owned(), one.value().to_owned())).collect()
        };
        let elements = parts[2].children().filter(|node| node.is_element()).map(of).collect();
        Self { action: text(0), response: text(1), data: text(2), elements }
    }

    /// The lines of its data that begin with this word, without it.
    pub(crate) fn lines(&self, word: &str) -> Vec<&str> {
        let start = format!("{word}: ");
        self.data.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    /// Returns the reason of an error, which it must say.
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.response, "ERROR", "{self:?}");
        assert!(!self.data.is_empty(), "{self:?}");
        &self.data
    }
}

/// The error names the actions that the port has, and no others.
#[test]
fn a_request_that_names_no_action_is_told_those_of_the_port() {
    let home = Home::new(&format!("[Service]\nServicePort=0\n{CONFIG}"));
    let server = home.start();
    let told = ServicePort::of(&server).ask("");
    let said = told.error();
    assert!(said.contains("GetStatistics") && !said.contains("Help"), "{said}");
}
