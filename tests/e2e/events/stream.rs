//! A client of server-sent events over a raw socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::server::Server;

/// One event, as the rules for parsing a stream have it (source: WHATWG, HTML, section 9.2.6).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// The last id that was sent up to here.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: Value,
}

impl Event {
    /// A member of the data, as text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.data[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// True if it is about this action.
    pub(super) fn is_of(&self, token: &str) -> bool {
        self.data["token"] == token
    }
}

/// One who listens.
pub(super) struct Stream {
    reader: BufReader<TcpStream>,
    pub(super) head: String,
    /// The part of the body that was received and is no whole block yet.
    body: String,
    /// The comments so far.
    pub(super) comments: Vec<String>,
    /// The last id so far.
    pub(super) last_id: String,
    /// The time after which to come back, in milliseconds.
    pub(super) retry: Option<u64>,
}

/// Sends a request for events with these lines in its head, and returns the connection.
pub(super) fn ask(server: &Server, query: &str, headers: &str) -> TcpStream {
    let mut stream = server.connect();
    let request = format!("GET /events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    stream
}

impl Stream {
    /// Listens from now on.
    pub(super) fn open(server: &Server, query: &str) -> Self {
        Self::read(ask(server, query, ""))
    }

    /// Goes on after the event of this id.
    pub(super) fn resume(server: &Server, query: &str, id: &str) -> Self {
        Self::read(ask(server, query, &format!("Last-Event-ID: {id}\r\n")))
    }

    /// Reads the head of the response, and the first block.
    pub(super) fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "it broke off: {head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut stream = Self {
            reader,
            head,
            body: String::new(),
            comments: Vec::new(),
            last_id: String::new(),
            retry: None,
        };
        while !stream.body.contains("\n\n") {
            assert!(stream.read_chunk(), "it ended before it began");
        }
        stream
    }

    /// Reads a chunk; false at the end.
    fn read_chunk(&mut self) -> bool {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a size");
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("{line:?}"));
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).expect("a chunk");
        chunk.truncate(size);
        self.body.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        size > 0
    }

    /// Reads the next event; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.body.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.body = rest;
                if let Some(event) = self.block(&block) {
                    return Some(event);
                }
            }
            if !self.read_chunk() {
                assert_eq!(self.body, "", "it broke off");
                return None;
            }
        }
    }

    fn block(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut data) = (String::new(), String::new());
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => self.comments.push(value.to_owned()),
                "id" => self.last_id = value.to_owned(),
                "event" => name = value.to_owned(),
                "data" => data.push_str(value),
                "retry" => self.retry = value.parse().ok(),
                _ => panic!("what is {line:?}?"),
            }
        }
        (!data.is_empty()).then(|| Event {
            id: self.last_id.clone(),
            name,
            data: serde_json::from_str(&data).unwrap_or_else(|_| panic!("no JSON: {data}")),
        })
    }

    /// Reads on to the next event that is as wanted.
    pub(super) fn until(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("it ended before {what}"));
            if is_it(&event) {
                return event;
            }
        }
    }

    /// Reads on to the next event of this name.
    pub(super) fn until_named(&mut self, name: &str) -> Event {
        self.until(name, |event| event.name == name)
    }
}
