//! A receiver of events over real sockets, which does as it is told.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::super::server::wait_until;

/// The treatment of a request by a receiver.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    /// Answers with this status.
    Answers(u16),
    /// Answers with this status, and where to go instead.
    Redirects(SocketAddr),
    /// Ends the connection in the middle of its answer.
    Breaks,
    /// Keeps the connection and never answers.
    Hangs,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) head: String,
    pub(super) body: String,
}

impl Came {
    pub(super) fn header(&self, name: &str) -> String {
        let found = self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then(|| value.to_owned())
        });
        found.unwrap_or_default()
    }

    /// Reads a request; `None` if the other side has ended the connection.
    pub(super) fn read(reader: &mut impl std::io::BufRead) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let came = Self { head, body: String::new() };
        let mut body = vec![0; came.header("content-length").parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        Some(Self { body: String::from_utf8(body).ok()?, ..came })
    }
}

/// A receiver; it lives as long as the test.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
    does: Arc<Mutex<Does>>,
}

impl Receiver {
    /// Makes one that does these things with the first requests, and answers all others well.
    pub(super) fn new(first: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let first = Arc::new(Mutex::new(first.to_vec()));
        let (came, does) = (Arc::default(), Arc::new(Mutex::new(Does::Answers(204))));
        let receiver = Self { address, came, does };
        let (came, does) = (Arc::clone(&receiver.came), Arc::clone(&receiver.does));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (first, came, does) =
                    (Arc::clone(&first), Arc::clone(&came), Arc::clone(&does));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(request) = Came::read(&mut reader) {
                        let next = {
                            let mut first = first.lock().expect("the list");
                            if first.is_empty() { None } else { Some(first.remove(0)) }
                        };
                        let next = next.unwrap_or(*does.lock().expect("what it does"));
                        came.lock().expect("the requests").push(request);
                        if !answer(reader.get_mut(), next) {
                            return;
                        }
                    }
                });
            }
        });
        receiver
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Has it do this with all requests from here on.
    pub(super) fn does(&self, what: Does) {
        *self.does.lock().expect("what it does") = what;
    }

    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().expect("the requests").clone()
    }

    /// Waits until so many requests have come, and returns all of them.
    pub(super) fn wait_for(&self, number: usize) -> Vec<Came> {
        wait_until(&format!("{number} requests"), || self.came().len() >= number);
        self.came()
    }
}

/// Returns false if the connection is to be ended.
pub(super) fn answer(stream: &mut TcpStream, does: Does) -> bool {
    let (status, more) = match does {
        Does::Answers(status) => (status, String::new()),
        Does::Redirects(to) => (307, format!("Location: http://{to}/\r\n")),
        Does::Breaks => {
            let _ = stream.write_all(b"HTTP/1.1 200 O");
            return false;
        }
        Does::Hangs => {
            // Until the other side has had enough.
            let _ = stream.read(&mut [0]);
            return false;
        }
    };
    let answer = format!("HTTP/1.1 {status} As told\r\n{more}Content-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).is_ok()
}
