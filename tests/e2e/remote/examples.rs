//! The workers of `examples/workers`, as they are: each does its work, obeys, and outlives a server that is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::calls::Answer;
use super::super::example::built;
use super::super::server::{Home, Server, wait_until};
use super::super::skip::skipped;
use super::CONFIG;

/// A worker that runs. It is killed when this is dropped.
struct Worker(Child);

impl Worker {
    /// Starts a worker of this language for the server at this address, unless what it needs is missing.
    fn start(language: &str, address: SocketAddr, name: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workers");
        let (needs, file): (&[&str], _) = match language {
            "Python" => (&["python3"], "worker.py"),
            "JavaScript" => (&["node"], "worker.mjs"),
            "Rust" => (&[], "worker.rs"),
            _ => (&["bash", "curl", "jq"], "worker.sh"),
        };
        for program in needs {
            let there = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !there.is_ok_and(|status| status.success()) {
                skipped(&format!("the worker in {language}"), &format!("there is no {program}"));
                return None;
            }
        }
        let mut command = match needs.first() {
            Some(interpreter) => {
                let mut command = Command::new(interpreter);
                command.arg(folder.join(file));
                command
            }
            None => Command::new(built("worker")),
        };
        command.arg(format!("http://{address}"));
        command.args(["Render", name]).stdin(Stdio::null()).stdout(Stdio::null());
        Some(Self(command.spawn().expect("it starts")))
    }

    /// Asks it to end, and waits until it has.
    fn end(mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(asked.expect("kill").success());
        wait_until("the end of the worker", || self.0.try_wait().expect("its status").is_some());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.0.try_wait().expect("its status").is_none() {
            // So that a shell can end what it has started.
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            wait_until("the end of the worker", || {
                self.0.try_wait().expect("its status").is_some()
            });
        }
    }
}

/// A server in this home on the port that an earlier one had, so that its workers find it.
fn again_at(home: &Home, port: u16) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--config").arg(home.path().join("test.cfg")).arg("--data").arg(home.data());
    command.args(["--port", &port.to_string()]).current_dir(home.path());
    Server::run(command)
}

/// Submits an action with a parameter that is a file, which workers get in base64.
fn submit_steps_as_file(server: &Server) -> String {
    let part = |name: &str, rest: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n{value}\r\n")
    };
    let steps = part("STEPS", "; filename=\"f\"\r\nContent-Type: application/octet-stream", "3");
    let body = [part("action", "", "Render"), part("stepsecs", "", "0.01"), steps].concat();
    let body = format!("{body}--b--\r\n");
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b";
    let length = body.len();
    let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    Answer(server.send(request.as_bytes()).body_text()).success().must("token")
}

fn does_all(language: &str) {
    let keys = "[Render]\nStopGraceSecs=20\nLeaseSecs=10\n";
    let home = Home::new(&CONFIG.replace("[Render]\n", keys));
    let server = home.start();
    let Some(worker) = Worker::start(language, server.address, "example") else { return };

    let token = server.submit_to("Render", "&Steps=3&StepSecs=0.01&Name=%3C%26%C3%B6");
    let ended = server.outcome("Render", &token);
    let found = (ended.must("status"), ended.must("steps"), ended.must("language"));
    assert_eq!(found, ("Finished".into(), "3".into(), language.into()), "{}", ended.0);

    // Names in whatever case, and a value that is sent in base64.
    let token = submit_steps_as_file(&server);
    assert_eq!(server.outcome("Render", &token).must("steps"), "3");

    let token = server.submit_to("Render", "&Steps=1&StepSecs=0&Fail=no%20light%20%3C%26%3E");
    let ended = server.outcome("Render", &token);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("no light <&>"), "{}", ended.0);

    let token = server.submit_to("Render", "&Steps=1000&StepSecs=0.05");
    let percent = |token: &str| server.about("Render", "progress", token).must("percent");
    wait_until("its progress", || percent(&token) != "0");
    assert_eq!(server.about("Render", "getStatus", &token).must("worker"), "example");
    server.about("Render", "pause", &token).success();
    // What was under way when it heard of that may still come, two seconds later at most.
    let mut last = (percent(&token), std::time::Instant::now());
    wait_until("that it pauses", || {
        let now = percent(&token);
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        last.1.elapsed().as_secs() >= 3
    });
    server.about("Render", "resume", &token).success();
    wait_until("that it goes on", || percent(&token) != last.0);
    server.about("Render", "stop", &token).success();
    let ended = server.outcome("Render", &token);
    assert_eq!(ended.must("status"), "Stopped", "{}", ended.0);
    assert!(ended.number("steps") > 0, "the partial result is kept: {}", ended.0);

    // It outlives its server, and reports to the next one. Until it is heard of, its action may still be on the way to it.
    let token = server.submit_to("Render", "&Steps=60&StepSecs=0.05");
    wait_until("its first word", || percent(&token) != "0");
    let port = server.address.port();
    server.kill();
    let server = again_at(&home, port);
    let ended = server.outcome("Render", &token);
    assert_eq!((ended.must("status"), ended.must("steps")), ("Finished".into(), "60".into()));
    let told = format!("{token}&History=true");
    let history = server.about("Render", "getStatus", &told).success();
    assert_eq!(history.values("outcome"), ["Finished"], "in one attempt: {}", history.0);

    // One that is asked to end gives back what it has.
    let token = server.submit_to("Render", "&Steps=1000&StepSecs=0.05");
    wait_until("its first word", || {
        server.about("Render", "progress", &token).must("percent") != "0"
    });
    worker.end();
    wait_until("that it is given back", || server.status_in("Render", &token) == "Queued");
}

/// The pages of proxies whose server is away, with their statuses: XML, HTML that is XML as well, and HTML that is none.
const PAGES: [(&str, &str, &str); 3] = [
    ("502 Bad Gateway", "text/xml", "<?xml version=\"1.0\"?><error><status>502</status></error>"),
    (
        "502 Bad Gateway",
        "text/html",
        "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>",
    ),
    ("503 Service Unavailable", "text/html", "<html><body><hr><p>Back soon & well<br></html>"),
];

/// Stands before a server and answers so many requests with its own pages in turn, as long as there are any left.
struct Proxy {
    address: SocketAddr,
    left: Arc<AtomicUsize>,
}

impl Proxy {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, left) = (listener.local_addr().expect("its address"), Arc::default());
        let pages = Arc::clone(&left);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, pages) = (client.expect("a connection"), Arc::clone(&pages));
                // Whoever has gone needs no answer.
                std::thread::spawn(move || drop(pass(client, server, &pages)));
            }
        });
        Self { address, left }
    }

    /// Answers the next requests with each page once, and waits until that is done.
    fn answer_with_pages(&self, what: &str) {
        self.left.store(PAGES.len(), Ordering::SeqCst);
        wait_until(&format!("that all pages were sent {what}"), || {
            self.left.load(Ordering::SeqCst) == 0
        });
    }
}

/// Answers one request with a page, or passes it on with its reply; then the connection is closed.
fn pass(client: TcpStream, server: SocketAddr, left: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut client = client;
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if let Ok(number) = taken {
        let (status, kind, page) = PAGES[number - 1];
        let size = page.len();
        return write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{page}"
        );
    }
    let mut passed_on = TcpStream::connect(server)?;
    write!(passed_on, "{head}Connection: close\r\n\r\n")?;
    passed_on.write_all(&body)?;
    std::io::copy(&mut passed_on, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// A page of a proxy is no reply of the server: whatever it holds, the worker goes on asking.
fn outlasts_a_proxy(language: &str) {
    let keys = "[Render]\nLeaseSecs=60\n";
    let home = Home::new(&CONFIG.replace("[Render]\n", keys));
    let server = home.start();
    let proxy = Proxy::before(server.address);
    let Some(mut worker) = Worker::start(language, proxy.address, "example") else { return };
    proxy.answer_with_pages("while it asks for something to do");
    let token = server.submit_to("Render", "&Steps=60&StepSecs=0.05");
    let percent = || server.about("Render", "progress", &token).must("percent");
    wait_until("its progress", || percent() != "0");
    proxy.answer_with_pages("while it works");
    let ended = server.outcome("Render", &token);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert_eq!(ended.must("language"), language, "{}", ended.0);
    let history = server.about("Render", "getStatus", &format!("{token}&History=true")).success();
    assert_eq!(history.values("outcome"), ["Finished"], "in one attempt: {}", history.0);
    assert!(worker.0.try_wait().expect("its status").is_none(), "it has given up");
}

#[test]
fn the_worker_in_python_outlasts_a_proxy() {
    outlasts_a_proxy("Python");
}

#[test]
fn the_worker_in_javascript_outlasts_a_proxy() {
    outlasts_a_proxy("JavaScript");
}

#[test]
fn the_worker_in_shell_outlasts_a_proxy() {
    outlasts_a_proxy("shell");
}

#[test]
fn the_worker_in_python_does_all() {
    does_all("Python");
}

#[test]
fn the_worker_in_javascript_does_all() {
    does_all("JavaScript");
}

#[test]
fn the_worker_in_shell_does_all() {
    does_all("shell");
}

#[test]
fn the_worker_in_rust_outlasts_a_proxy() {
    outlasts_a_proxy("Rust");
}

#[test]
fn the_worker_in_rust_does_all() {
    does_all("Rust");
}
