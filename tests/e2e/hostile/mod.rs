//! Clients that mean harm or know no better: many, slow, and sending far too much. Each gets its answer or is hung up
//! on, the server's memory stays within bounds that are checked here, and everybody else is served meanwhile.
//!
//! `connections` is about how many and how slow, `bodies` about the memory of uploads, `amounts` about what a request
//! holds, `pages` about web pages that use a browser on the same machine, `pipelining` about those that send on, or leave,
//! while they are owed replies, `protocol` about what of HTTP is not spoken here, `replies` about those that nobody takes.

mod amounts;
mod bodies;
mod connections;
mod pages;
mod pipelining;
mod protocol;
mod replies;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::calls::{Answer, Caller};
use super::server::{PATIENCE, Reply, Server, between, rest_of};

/// A configuration with these settings of `[Server]`, and the queues `Process` and `Other`.
fn config(server: &str) -> String {
    format!(
        "
[Server]
{server}
[Actions]
Durability=normal
[AsyncActions]
0=Process
1=Other
[Process]
Type=Echo
[Other]
Type=Echo
"
    )
}

/// A line of the server's `/proc/PID/status`, in kilobytes.
fn memory(server: &Server, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(&format!("{line}:")));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).expect("kilobytes")
}

/// What the server holds now, in kilobytes.
fn resident(server: &Server) -> u64 {
    memory(server, "VmRSS")
}

/// The most it ever held, in kilobytes.
fn peak(server: &Server) -> u64 {
    memory(server, "VmHWM")
}

/// How much processor time it has used, in hundredths of a second.
pub(super) fn processor_time(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How many descriptors this process may have, less some for everything else.
fn spare_descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files")).unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse()
        .map_or(usize::MAX, |n: usize| n.saturating_sub(200))
}

/// How many descriptors more than when it had just answered a server may have: its threads open some of their own.
const SLACK: usize = 20;

/// How many files and sockets it has open.
fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// Somebody else is answered, and soon; and can submit to another queue and take it back. Every
/// configuration here has that queue, `Other`.
fn others_are_served(server: &Server) {
    let mut caller = Caller::new(server.address).unwrap();
    let mut ask = |what: &str, seconds: u64| {
        let began = Instant::now();
        let answer = caller.ask(what).unwrap().success();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(seconds), "{what} took {took:?}");
        answer
    };
    ask("GetPid", 3);
    // What is written waits for what others have written before, which may be megabytes. Paused, so that what is
    // cancelled surely still waits.
    let about_other = "QueueInfo&QueueName=Other&QueueAction";
    ask(&format!("{about_other}=pause"), 5);
    let token = ask("Other&Name=x", 5).must("token");
    let cancelled = ask(&format!("{about_other}=cancel&Token={token}"), 5);
    assert_eq!(cancelled.must("status"), "Cancelled");
}

/// A connection for a thread of its own.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// How many bytes that were sent on this connection the server has not read.
fn unread(stream: &TcpStream) -> u64 {
    let port = |address: std::io::Result<SocketAddr>| format!("{:04X}", address.unwrap().port());
    let (ours, theirs) = (port(stream.local_addr()), port(stream.peer_addr()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut bytes = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (sent, received) = fields[4].split_once(':').unwrap();
        let ends = (fields[1].rsplit(':').next().unwrap(), fields[2].rsplit(':').next().unwrap());
        let waiting = match ends {
            (from, to) if from == ours && to == theirs => sent,
            (from, to) if from == theirs && to == ours => received,
            _ => "0",
        };
        bytes += u64::from_str_radix(waiting, 16).unwrap();
    }
    bytes
}

/// The head of a POST request with this line in it.
fn head(target: &str, line: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n")
}

/// A POST request with this body.
fn post(target: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let line = format!("Content-Type: {kind}\r\nContent-Length: {}", body.len());
    [head(target, &line).as_bytes(), body].concat()
}

/// Sends the piece again and again until the server takes no more, at most so many bytes; how many it took.
fn pour(stream: &mut TcpStream, piece: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most && stream.write_all(piece).is_ok() {
        sent += piece.len();
    }
    sent
}

/// Number and description of the ACI error in this text.
fn error_in(text: &str) -> (String, String) {
    let part = |from, to| between(text, from, to).unwrap_or_else(|| panic!("no {from} in {text}"));
    let raw = part("<rawerrorid>0x", "</rawerrorid>");
    let number = u32::from_str_radix(raw, 16).unwrap().to_string();
    (number, part("<errordescription>", "</errordescription>").to_owned())
}

/// A connection on which this was sent.
fn sending(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    stream
}

/// A connection on which all of this was sent, as far as the server's system took it; the rest is on its way.
fn pouring(server: &Server, bytes: Vec<u8>) -> TcpStream {
    let stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || drop(writer.write_all(&bytes)));
    stream
}

/// Sends a request and reads its reply, which must come within this time.
fn answer(server: &Server, request: &[u8], within: Duration) -> Answer {
    let began = Instant::now();
    let mut stream = sending(server, request);
    let answer = Answer(Reply::read(&mut stream).body_text());
    assert!(began.elapsed() < within, "it took {:?}", began.elapsed());
    answer
}
