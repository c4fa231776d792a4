//! Raw sockets against a running server whose handler tells what it got.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::mpsc,
    thread::JoinHandle,
};

use actix_web::{App, HttpRequest, HttpResponse, dev::ServerHandle, rt::System, web};

use super::{
    super::connection::{OVERSIZED, REFUSED},
    *,
};

struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async move {
                let server = serve(
                    listener,
                    Timeouts::default(),
                    ConnectionLimit::default(),
                    1,
                    Duration::from_secs(30),
                    || App::new().default_service(web::to(tell)),
                )?;
                sender.send(server.handle()).unwrap();
                server.await
            })
        });
        Self { address, handle: receiver.recv().unwrap(), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The order is given by the call; the future is only the wait for its end.
        drop(self.handle.stop(true));
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap().unwrap();
        }
    }
}

/// Method, target, peer and body, one a line; `/early` and what was refused are answered without reading the body.
async fn tell(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let mut body = web::Bytes::new();
    if request.path() != "/early" && !request.path().starts_with(REFUSED) {
        body = payload.to_bytes().await.unwrap_or(web::Bytes::from_static(b"broke off"));
    }
    let head = format!(
        "{} {}\n{}\n",
        request.method(),
        request.uri(),
        request.peer_addr().map(|peer| peer.to_string()).unwrap_or_default()
    );
    HttpResponse::Ok().body([head.as_bytes(), &body].concat())
}

/// Sends bytes and reads one reply; the status line and the body.
fn ask(stream: &mut TcpStream, request: &[u8]) -> (String, String) {
    stream.write_all(request).unwrap();
    reply(stream)
}

fn reply(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap())
}

fn ends(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn odd_targets_over_one_connection() {
    let server = Running::start();
    let mut stream = server.connect();
    let peer = stream.local_addr().unwrap();
    for (target, wanted) in [
        ("/action=A&b=c", "/action=A&b=c"),
        ("/?action=A&b=%2F+%zz", "/?action=A&b=%2F+%zz"),
        ("/action=A&t=é <b>`#1`", "/action=A&t=%C3%A9%20%3Cb%3E%60%231%60"),
        ("/?t=\"é\"#`", "/?t=%22%C3%A9%22%23`"),
        ("action=A&u=http://x//../y?z", "/action=A&u=http://x//../y?z"),
        ("/{\"a\":[1]}", "/{\"a\":[1]}"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (status, body) = ask(&mut stream, request.as_bytes());
        assert_eq!(status, "http/1.1 200 ok", "{target}");
        assert_eq!(body, format!("GET {wanted}\n{peer}\n"));
    }
    let (_, body) = ask(&mut stream, b"GET /\xE9\xFF HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(body, format!("GET /%E9%FF\n{peer}\n"));
}

#[test]
fn bodies_counted_chunked_and_continued() {
    let server = Running::start();
    let mut stream = server.connect();
    let peer = stream.local_addr().unwrap();
    let wanted = format!("POST /a=%20\n{peer}\nGET /é HTTP/1.1\r\n");
    for request in [
        "POST /a=  HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET /é HTTP/1.1\r\n",
        "POST /a=  HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n12\r\nGET /é HTTP/1.1\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(ask(&mut stream, request.as_bytes()).1, wanted);
    }
    let expect =
        b"POST /a=  HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 18\r\n\r\n";
    assert_eq!(ask(&mut stream, expect).0, "http/1.1 100 continue");
    assert_eq!(ask(&mut stream, "GET /é HTTP/1.1\r\n".as_bytes()).1, wanted);
    // Two at once.
    let two = "GET /é HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2);
    assert_eq!(ask(&mut stream, two.as_bytes()).1, format!("GET /%C3%A9\n{peer}\n"));
    assert_eq!(reply(&mut stream).1, format!("GET /%C3%A9\n{peer}\n"));
}

/// A body that is still on its way when the reply is out must stay a body: nothing of it becomes a request.
#[test]
fn a_body_after_an_early_reply_is_not_touched() {
    let server = Running::start();
    let mut stream = server.connect();
    let head = b"POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n";
    assert!(ask(&mut stream, head).1.starts_with("POST /early"));
    let rest = "GET /é HTTP/1.1\r\n\r\n0\r\n\r\nGET /next<> HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(ask(&mut stream, rest.as_bytes()).1.starts_with("GET /next%3C%3E\n"));
}

#[test]
fn http_1_0_closes_unless_asked_to_stay() {
    let server = Running::start();
    let mut stream = server.connect();
    let kept = ask(&mut stream, b"GET a b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(kept.1.starts_with("GET /a%20b\n"), "{kept:?}");
    let last = ask(&mut stream, b"GET a b HTTP/1.0\r\n\r\n");
    assert!(last.1.starts_with("GET /a%20b\n"), "{last:?}");
    assert!(ends(&mut stream));
}

#[test]
fn lines_around_the_limit() {
    let server = Running::start();
    let mut stream = server.connect();
    // With GET, two spaces, version and line end: 15 bytes.
    for (length, over) in
        [(64_000, false), (MAX_REQUEST_LINE - 15, false), (64_986, true), (900_000, true)]
    {
        let target = format!("/{}", "x".repeat(length - 1));
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (status, body) = ask(&mut stream, request.as_bytes());
        assert_eq!(status, "http/1.1 200 ok");
        let wanted = if over { format!("{OVERSIZED}{}", length + 15) } else { target };
        assert!(body.starts_with(&format!("GET {wanted}\n")), "{length}");
    }
}

#[test]
fn an_endless_line_is_answered_and_ends_the_connection() {
    let server = Running::start();
    let mut stream = server.connect();
    let line = [b"GET /".as_slice(), &[b'x'; 1_200_000]].concat();
    let (status, body) = ask(&mut stream, &line);
    assert_eq!(status, "http/1.1 200 ok");
    assert!(body.starts_with("POST /%00refused=long-line,1"), "{body}");
    assert!(ends(&mut stream));
    assert!(ask(&mut server.connect(), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").0.contains("200"));
}

/// Each request that a handler sees of these bytes; none is hidden from the server by what another may read otherwise.
#[test]
fn no_request_hides_in_another() {
    let server = Running::start();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let get = |headers: &str| format!("GET /a HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    let post = |headers: &str| get(headers).replace("GET", "POST");
    let one = |body: &str| vec![format!("POST /a {body}")];
    let bad = |why: &str| vec![format!("POST /%00refused={why},0:/a ")];
    let (a, next) = ("GET /a ".to_owned(), "GET /hidden ".to_owned());
    for (sent, wanted) in [
        // The plain cases, which show that the next request is seen.
        (format!("{}{hidden}", get("")), vec![a.clone(), next.clone()]),
        (
            format!("{}{hidden}", post("Content-Length: 0\r\n")),
            vec![one("")[0].clone(), next.clone()],
        ),
        (
            format!("{}{hidden}", post(&format!("Content-Length: {}\r\n", hidden.len()))),
            one(hidden),
        ),
        (
            format!(
                "{}{:x}\r\n{hidden}\r\n0\r\n\r\n{hidden}",
                post("Transfer-Encoding: chunked\r\n"),
                hidden.len()
            ),
            vec![one(hidden)[0].clone(), next],
        ),
        // A line that ends for some and not for others.
        (format!("{}{hidden}", get("A: b\nContent-Length: 40\r\n")), bad("line-feed")),
        (format!("{}{hidden}", get("A: b\n\n")), bad("line-feed")),
        (format!("{}{hidden}", get("A: b\rContent-Length: 40\r\n")), bad("header-value")),
        (format!("{}{hidden}", get("A: b\r\n Content-Length: 40\r\n")), bad("header-name")),
        // A header that counts for some and not for others.
        (format!("{}{hidden}", get("Content-Length : 40\r\n")), bad("header-name")),
        (format!("{}{hidden}", get("Content-Length: +40\r\n")), bad("content-length")),
        (format!("{}{hidden}", get("Content-Length: 40, 40\r\n")), bad("content-length")),
        (
            format!("{}{hidden}", get("Content-Length: 40\r\nContent-Length: 0\r\n")),
            bad("content-length"),
        ),
        (
            format!("{}{hidden}", get("Content-Length: 40\r\nTransfer-Encoding: chunked\r\n")),
            bad("two-lengths"),
        ),
        (format!("{}{hidden}", get("Transfer-Encoding: xchunked\r\n")), bad("transfer-encoding")),
        (
            format!("{}{hidden}", get("Transfer-Encoding: chunked, identity\r\n")),
            bad("transfer-encoding"),
        ),
        (format!("{}{hidden}", get("Host: evil\r\n")), bad("several-hosts")),
        // Chunks that end for some and not for others: that body breaks off, and nothing follows.
        (
            format!("{}1\nx\r\n0\r\n\r\n{hidden}", post("Transfer-Encoding: chunked\r\n")),
            one("broke off"),
        ),
        (
            format!("{}0\r\nA: b\n\r\n{hidden}", post("Transfer-Encoding: chunked\r\n")),
            one("broke off"),
        ),
        (format!("{}0\r\n\n{hidden}", post("Transfer-Encoding: chunked\r\n")), one("broke off")),
        (
            format!("{}0x1\r\nx\r\n0\r\n\r\n{hidden}", post("Transfer-Encoding: chunked\r\n")),
            one("broke off"),
        ),
    ] {
        let mut stream = server.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        // A reply repeats the request line, the peer and the body.
        let seen: Vec<String> = all
            .split("HTTP/1.1 200 OK\r\n")
            .skip(1)
            .map(|reply| {
                let (_, body) = reply.split_once("\r\n\r\n").unwrap();
                let mut lines = body.splitn(3, '\n');
                let line = lines.next().unwrap();
                format!("{line} {}", lines.nth(1).unwrap())
            })
            .collect();
        assert_eq!(seen, wanted, "{sent}");
    }
}

#[test]
fn what_is_no_request_reaches_a_handler_as_refused_and_ends_the_connection() {
    let server = Running::start();
    for bytes in
        ["é / HTTP/1.1\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.7\r\n\r\n", "\u{16}\u{3}\u{1}\n"]
    {
        let mut stream = server.connect();
        let (status, body) = ask(&mut stream, bytes.as_bytes());
        assert_eq!(status, "http/1.1 200 ok", "{bytes}");
        assert!(body.starts_with("POST /%00refused=no-request,0:\n"), "{bytes}: {body}");
        assert!(ends(&mut stream));
    }
}

/// The reply to a refused head is not lost in a reset because the client goes on sending.
#[test]
fn a_refused_client_that_goes_on_sending_gets_its_reply() {
    let server = Running::start();
    for _ in 0..20 {
        let mut stream = server.connect();
        let head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n";
        let body = vec![b'x'; 4 << 20];
        stream.write_all(&[head.as_slice(), &body].concat()).unwrap();
        assert!(reply(&mut stream).1.starts_with("POST /%00refused=content-length,0:/a\n"));
        assert!(ends(&mut stream));
    }
}

#[test]
fn a_graceful_stop_ends_idle_connections_at_once() {
    let server = Running::start();
    let mut idle = server.connect();
    ask(&mut idle, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let started = std::time::Instant::now();
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(10), "waited for an idle connection");
    assert!(ends(&mut idle));
}
