//! A real `EventSource`, in Chromium: a page of another origin hears events, comes back after a restart of the server by itself, and
//! learns that it has to list again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use super::config;
use crate::server::{Home, PATIENCE};
use crate::skip::skipped;

/// Passes on each event of the server to the one that it came from.
const PAGE: &str = r#"<!doctype html><title>events</title><script>
const say = text => fetch("/said", { method: "POST", body: text });
const source = new EventSource("http://SERVER/events?Types=finished");
source.onopen = () => say("open");
for (const name of ["finished", "reset"])
    source.addEventListener(name, event => say(name + " " + event.lastEventId + " " + event.data));
</script>"#;

/// The little server of the page: what the page says comes out of the channel.
fn serve(listener: TcpListener, page: String) -> mpsc::Receiver<String> {
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (said, page) = (said.clone(), page.clone());
            std::thread::spawn(move || answer(stream, &page, &said));
        }
    });
    heard
}

/// Answers one request.
fn answer(stream: TcpStream, page: &str, said: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let reply = if head.starts_with("GET / ") { page } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.len()
    );
    // Said once it is answered: the browser may go when the test has heard it.
    let _ = reader.get_mut().write_all(format!("{head}{reply}").as_bytes());
    if !body.is_empty() {
        let _ = said.send(body);
    }
}

/// A browser, until this is dropped.
struct Browser(Child);

impl Browser {
    /// Opens a page, if there is a browser.
    fn open(program: &str, page: SocketAddr, directory: &std::path::Path) -> Self {
        let mut command = Command::new(program);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-port=0",
        ]);
        command.arg(format!("--user-data-dir={}", directory.display()));
        command.arg(format!("http://{page}/"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the browser starts"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes end with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn next(heard: &mpsc::Receiver<String>, what: &str) -> String {
    heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

#[test]
fn an_event_source_hears_and_comes_back() {
    let exists = |program: &&str| {
        let asked = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    };
    let Some(program) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(exists)
    else {
        return skipped("live events in a browser", "there is no chromium");
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let page = listener.local_addr().unwrap();
    let home = Home::new(&config(&format!("AllowedOrigins=http://{page}")));
    let server = home.start();
    let address = server.address;
    let heard = serve(listener, PAGE.replace("SERVER", &address.to_string()));
    let profile = tempfile::tempdir().unwrap();
    let _browser = Browser::open(program, page, profile.path());
    assert_eq!(next(&heard, "the page"), "open");
    let token = server.submit("");
    let said = next(&heard, "an event");
    let (id, data) = said.strip_prefix("finished ").and_then(|rest| rest.split_once(' ')).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (data["token"].as_str(), data["status"].as_str()),
        (Some(token.as_str()), Some("Finished"))
    );

    // It comes back by itself, with the id of a run that is over.
    server.kill();
    let server = home.start_on(address.port());
    // The page tells of each by a request of its own, and those may overtake one another.
    let mut said = [next(&heard, "its return"), next(&heard, "a reset")];
    said.sort();
    let [open, reset] = said;
    assert_eq!(open, "open");
    assert!(reset.starts_with("reset ") && !reset.contains(id), "{reset}");
    let token = server.submit("");
    let said = next(&heard, "another event");
    assert!(said.starts_with("finished ") && said.contains(&token), "{said}");
}
