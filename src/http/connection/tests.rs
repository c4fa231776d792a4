//! Tests of the stream with a scripted peer.

use std::{collections::VecDeque, task::Waker};

use futures_util::task::noop_waker_ref;

use super::*;

/// Gives its pieces one a read (an empty one is a `Pending`), then the end of the stream or `Pending` for ever.
#[derive(Debug, Default)]
struct Peer {
    pieces: VecDeque<Vec<u8>>,
    stays_open: bool,
    pendings: usize,
    waker: Option<Waker>,
    written: Vec<u8>,
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.pieces.pop_front() {
            Some(piece) if !piece.is_empty() => {
                let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
                buf.put_slice(now);
                if !later.is_empty() {
                    self.pieces.push_front(later.to_vec());
                }
                Poll::Ready(Ok(()))
            }
            None if !self.stays_open => Poll::Ready(Ok(())),
            _ => {
                self.pendings += 1;
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const MAX_LINE: usize = 80;

fn stream(pieces: Vec<Vec<u8>>, stays_open: bool) -> MendedStream<Peer> {
    let peer = Peer { pieces: pieces.into(), stays_open, ..Peer::default() };
    MendedStream::new(peer, MAX_LINE, Duration::from_secs(3600))
}

/// All that is read up to the end, `size` bytes at most a read. Pendings must be the peer's own.
fn read_all(stream: &mut MendedStream<Peer>, size: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut space = vec![0; size];
        let mut buf = ReadBuf::new(&mut space);
        let before = stream.inner.pendings;
        let mut cx = Context::from_waker(noop_waker_ref());
        match Pin::new(&mut *stream).poll_read(&mut cx, &mut buf) {
            Poll::Ready(result) => {
                result.unwrap();
                if buf.filled().is_empty() {
                    return all;
                }
                all.extend_from_slice(buf.filled());
            }
            Poll::Pending => {
                assert_eq!(stream.inner.pendings, before + 1, "Pending without a waker");
                assert!(buf.filled().is_empty(), "Pending with bytes");
                assert!(!stream.inner.pieces.is_empty(), "waits for ever");
            }
        }
    }
}

/// The head that stands for a refused one with this target.
fn refused(word: &str, target: &str) -> String {
    format!(
        "POST {REFUSED}{word}:{target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551615\r\n\r\n"
    )
}

/// `input` through the stream in one piece, then cut in two at every byte, then byte by byte with waits between.
fn check(input: &[u8], wanted: &[u8]) {
    let same = |got: &[u8], how: &str| {
        let [input, wanted, got] = [input, wanted, got].map(String::from_utf8_lossy);
        assert_eq!(got, wanted, "{how}: {input}");
    };
    same(&read_all(&mut stream(vec![input.to_vec()], false), 4096), "whole");
    for at in 1..input.len() {
        let (a, b) = input.split_at(at);
        for pieces in [vec![a.to_vec(), b.to_vec()], vec![a.to_vec(), vec![], b.to_vec()]] {
            same(&read_all(&mut stream(pieces, false), 4096), &format!("cut at {at}"));
        }
    }
    let slow = input.iter().flat_map(|&byte| [vec![], vec![byte]]).collect();
    same(&read_all(&mut stream(slow, false), 1), "byte by byte");
}

/// What passes, as it is or mended, and the next request after it.
#[tokio::test]
async fn by_table() {
    let h = "Host: h\r\n";
    let next = format!("GET /é HTTP/1.1\r\n{h}\r\n");
    let mended = format!("GET /%C3%A9 HTTP/1.1\r\n{h}\r\n");
    for (input, wanted) in [
        // Accepted as it is.
        (format!("GET /action=A&b=%zz HTTP/1.1\r\n{h}\r\n"), None),
        (format!("OPTIONS * HTTP/1.1\r\n{h}\r\n"), None),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), None),
        (format!("GET http://h:1/a HTTP/1.1\r\n{h}\r\n"), None),
        (format!("GET / HTTP/1.1\r\n{h}A:\tb\t\r\nB: é\r\nC:\r\n\r\n"), None),
        // Mended.
        (
            format!("GET /a=é HTTP/1.1\r\n{h}X: é\r\n\r\n"),
            Some(format!("GET /a=%C3%A9 HTTP/1.1\r\n{h}X: é\r\n\r\n")),
        ),
        (
            "GET /a=b c  d HTTP/1.0\r\n\r\n".to_owned(),
            Some("GET /a=b%20c%20%20d HTTP/1.0\r\n\r\n".to_owned()),
        ),
        (
            format!("GET action=A HTTP/1.1\r\n{h}\r\n"),
            Some(format!("GET /action=A HTTP/1.1\r\n{h}\r\n")),
        ),
        (format!("GET  HTTP/1.1\r\n{h}\r\n"), Some(format!("GET / HTTP/1.1\r\n{h}\r\n"))),
        (
            format!("\r\n\nGET /<\t> HTTP/1.1\r\n{h}\r\n"),
            Some(format!("GET /%3C%09%3E HTTP/1.1\r\n{h}\r\n")),
        ),
        // Bodies that look like a request themselves, counted and in chunks.
        (format!("POST / HTTP/1.1\r\n{h}content-LENGTH:  18 \r\n\r\nGET /é HTTP/1.1\r\n"), None),
        (format!("GET / HTTP/1.1\r\n{h}Content-Length: 00\r\n\r\n"), None),
        ("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n".to_owned(), None),
        (
            format!(
                "POST / HTTP/1.1\r\n{h}Transfer-Encoding: Chunked\r\n\r\n12;x=\"y\"\r\nGET /é HTTP/1.1\r\n\r\n1 \r\nx\r\n0\r\nT: 1\r\n\r\n"
            ),
            None,
        ),
        // An offer of another protocol.
        (format!("GET / HTTP/1.1\r\n{h}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), None),
        // A header that matters after a long one, and with blanks before its value.
        (
            format!(
                "GET / HTTP/1.1\r\n{h}x-{}: 1\r\nContent-Length:{}5\r\n\r\n12345",
                "x".repeat(600),
                " ".repeat(600)
            ),
            None,
        ),
    ] {
        let wanted = wanted.unwrap_or_else(|| input.clone());
        check(input.as_bytes(), wanted.as_bytes());
        check(format!("{input}{next}").as_bytes(), format!("{wanted}{mended}").as_bytes());
    }
}

/// What ends in the middle of a head is no request; what another protocol sends is not touched.
#[tokio::test]
async fn by_table_without_next() {
    let tunnel = "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nGET /é HTTP/1.1\n\n";
    let socket = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nUpgrade: WebSocket\r\n\r\n\nGET /é HTTP/1.1\n\n";
    let good = "GET /a=1 HTTP/1.1\r\nHost: h\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (input, wanted) in [
        (tunnel.to_owned(), tunnel.to_owned()),
        (socket.to_owned(), socket.to_owned()),
        ("GET /é HT".to_owned(), String::new()),
        ("\r".to_owned(), String::new()),
        (format!("{good}GE"), good.to_owned()),
        (format!("{good}GET / HTTP/1.1\r\nHost: h\r\n"), good.to_owned()),
        // Chunks that are none: the stream ends before the first byte that is wrong.
        (format!("{chunked}GET /é HTTP/1.1\r\n"), chunked.to_owned()),
        (format!("{chunked}1\r\nxyGET /é HTTP/1.1\r\n"), format!("{chunked}1\r\nx")),
        (format!("{chunked}1\nx"), format!("{chunked}1")),
        (format!("{chunked}0\r\nT: 1\n\r\n{good}"), format!("{chunked}0\r\nT: 1")),
        (format!("{chunked}0\r\n\n{good}"), format!("{chunked}0\r\n")),
    ] {
        check(input.as_bytes(), wanted.as_bytes());
    }
}

/// Heads that others may read otherwise than the parser, or that it refuses: none of what follows is a request.
#[tokio::test]
async fn refusals_by_table() {
    let good = "GET /a=1 HTTP/1.1\r\nHost: h\r\n\r\n";
    let many = |count| "a:b\r\n".repeat(count);
    let after = |line: &str, rest: &str| format!("{line}\r\nHost: h\r\n{rest}\r\n");
    let get = |headers: &str| after("GET /é HTTP/1.1", headers);
    let post = |headers: &str| after("POST /é HTTP/1.1", headers);
    let e = "/%C3%A9";
    for (input, word, target) in [
        ("\r\r\n".to_owned(), "no-request,0", ""),
        (" GET /é HTTP/1.1\r\n\r\n".to_owned(), "no-request,0", ""),
        ("G\0T / HTTP/1.1\r\n\r\n".to_owned(), "no-request,0", ""),
        ("GET\t/ HTTP/1.1\r\n\r\n".to_owned(), "no-request,0", ""),
        ("GET /é\r\n\r\n".to_owned(), "no-request,0", ""),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "no-request,0", ""),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n".to_owned(), "no-request,0", ""),
        ("GET / http/1.1\r\nHost: h\r\n\r\n".to_owned(), "no-request,0", ""),
        ("\u{16}\u{3}\u{1}é é HTTP/1.1\r\n".to_owned(), "no-request,0", ""),
        ("{\"a\": \"é HTTP/1.1\n\"}".to_owned(), "no-request,0", ""),
        ("GET / HTTP/1.1\nHost: h\r\n\r\n".to_owned(), "line-feed,0", ""),
        ("GET /a\n/b HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "line-feed,0", ""),
        (get("A: b\nContent-Length: 40\r\n"), "line-feed,0", e),
        ("GET /é HTTP/1.1\r\nHost: h\n\n".to_owned(), "line-feed,0", e),
        ("GET /é HTTP/1.1\r\nHost: h\r\n\n".to_owned(), "line-feed,0", e),
        ("GET /é\r HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "carriage-return,0", "/%C3%A9%0D"),
        (get("A: b\rContent-Length: 40\r\n"), "header-value,0", e),
        (get("A: b\r\r\n"), "header-value,0", e),
        (get("A: b\0\r\n"), "header-value,0", e),
        (get("A: b\r\n c\r\n"), "header-name,0", e),
        (get("A: b\r\n\tContent-Length: 40\r\n"), "header-name,0", e),
        (get("Content-Length : 40\r\n"), "header-name,0", e),
        (get(" A: b\r\n"), "header-name,0", e),
        (get("no colon\r\n"), "header-name,0", e),
        (get("nocolon\r\n"), "header-name,0", e),
        (get(": b\r\n"), "header-name,0", e),
        (get("Ä: b\r\n"), "header-name,0", e),
        (get("A\rB: b\r\n"), "header-name,0", e),
        (get(&many(96)), "many-headers,97", e),
        (get(&format!("A: {}\r\n", "b".repeat(MAX_HEADER_BYTES))), "long-headers,0", e),
        ("GET /é HTTP/1.1\r\n\r\n".to_owned(), "no-host,0", e),
        (get("host: h\r\n"), "several-hosts,0", e),
        (after("GET / HTTP/1.0", "Host: h\r\n"), "several-hosts,0", "/"),
        (post("Content-Length: 1\r\nContent-Length: 1\r\n"), "content-length,0", e),
        (post("Content-Length: 1\r\nContent-Length: 0\r\n"), "content-length,0", e),
        (post("Content-Length: 1, 1\r\n"), "content-length,0", e),
        (post("Content-Length: +5\r\n"), "content-length,0", e),
        (post("Content-Length: -5\r\n"), "content-length,0", e),
        (post("Content-Length: 0x5\r\n"), "content-length,0", e),
        (post("Content-Length: 5 5\r\n"), "content-length,0", e),
        (post("Content-Length: \r\n"), "content-length,0", e),
        (post("Content-Length: ٥\r\n"), "content-length,0", e),
        (post("Content-Length: 99999999999999999999\r\n"), "content-length,0", e),
        (post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "two-lengths,0", e),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), "two-lengths,0", e),
        (post("Transfer-Encoding: gzip, chunked\r\n"), "transfer-encoding,0", e),
        (post("Transfer-Encoding: chunked, chunked\r\n"), "transfer-encoding,0", e),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            "transfer-encoding,0",
            e,
        ),
        (post("Transfer-Encoding: identity\r\n"), "transfer-encoding,0", e),
        (post("Transfer-Encoding: \u{b}chunked\r\n"), "header-value,0", e),
        (after("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"), "transfer-encoding,0", "/"),
        ("POST / HTTP/1.0\r\n\r\n".to_owned(), "no-content-length,0", "/"),
        (after("GET http://[::1/ HTTP/1.1", ""), "target,0", ""),
        (after("GET http:// HTTP/1.1", ""), "target,0", ""),
        (after("CONNECT /é HTTP/1.1", ""), "target,0", e),
    ] {
        let wanted = refused(word, target);
        if input.len() < 1000 {
            check(input.as_bytes(), wanted.as_bytes());
        }
        let among = [format!("{good}{input}{good}"), format!("{good}{wanted}")];
        let got = read_all(&mut stream(vec![among[0].clone().into_bytes()], false), 4096);
        assert_eq!(String::from_utf8_lossy(&got), among[1]);
    }
    // As many as may be; and a reply to HEAD has no body, whatever it is about.
    check(get(&many(95)).as_bytes(), get(&many(95)).replace('é', "%C3%A9").as_bytes());
    let head = "HEAD /é HTTP/1.1\r\n\r\n";
    check(head.as_bytes(), refused("no-host,0", e).replace("POST", "HEAD").as_bytes());
}

/// The length that counts is that of the line as it is sent; the target must fit the parser as well.
#[tokio::test]
async fn lines_that_are_too_long() {
    let long = "x".repeat(200);
    let multi = "é".repeat(30);
    let fits = MAX_LINE - "GET / HTTP/1.1\r\n".len();
    let rest = "A: b\r\nHost: h\r\n\r\nGET /é HTTP/1.0\r\n\r\n";
    let after = "A: b\r\nHost: h\r\n\r\nGET /%C3%A9 HTTP/1.0\r\n\r\n";
    for (line, wanted) in [
        (format!("GET /{} HTTP/1.1", &long[..fits]), format!("/{}", &long[..fits])),
        (format!("GET /{} HTTP/1.1", &long[..=fits]), format!("/%00oversized={}", fits + 17)),
        (format!("GET /{long} HTTP/1.1"), "/%00oversized=216".to_owned()),
        (format!("GET /{multi} HTTP/1.1"), format!("/{}", "%C3%A9".repeat(30))),
        (format!("GET /{multi}{multi} HTTP/1.1"), "/%00oversized=136".to_owned()),
    ] {
        let wanted = format!("GET {wanted} HTTP/1.1\r\n{after}");
        check(format!("{line}\r\n{rest}").as_bytes(), wanted.as_bytes());
    }
    check(format!("GET /{long}").as_bytes(), b"");
    // Too long and no request, and too long with a bad end.
    check(format!("GET /{long}\r\n{rest}").as_bytes(), refused("no-request,0", "").as_bytes());
    check(
        format!("GET /{long} HTTP/1.1\n{rest}").as_bytes(),
        refused("line-feed,0", "").as_bytes(),
    );

    // 15 bytes more than the target.
    let line = |raw: usize, plain: usize| {
        let target = [&b"/"[..], &vec![0xE9; raw], &vec![b'x'; plain]].concat();
        [b"GET ", target.as_slice(), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat()
    };
    for (raw, plain, wanted) in [
        (21_844, 1, format!("/{}x", "%E9".repeat(21_844))),
        (21_844, 2, "/%00encoded=65535".to_owned()),
        (64_984, 0, "/%00encoded=194953".to_owned()),
        (64_984, 1, "/%00oversized=65001".to_owned()),
    ] {
        let peer = Peer { pieces: VecDeque::from([line(raw, plain)]), ..Peer::default() };
        let got = read_all(&mut MendedStream::new(peer, 65_000, Duration::MAX), 200_000);
        let wanted = format!("GET {wanted} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(got == wanted.as_bytes(), "{raw} {plain}: {} bytes", got.len());
    }
}

#[test]
fn nothing_is_held_back_of_a_whole_head() {
    let input = b"GET /\xE9 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1";
    let mut stream = stream(vec![input.to_vec()], true);
    let mut space = [0; 100];
    let mut buf = ReadBuf::new(&mut space);
    let mut cx = Context::from_waker(noop_waker_ref());
    assert!(Pin::new(&mut stream).poll_read(&mut cx, &mut buf).is_ready());
    assert_eq!(buf.filled(), b"GET /%E9 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1");
}

#[test]
fn an_endless_line_is_refused_in_bounded_memory() {
    for (method, wanted) in [("GET", "POST"), ("HEAD", "HEAD")] {
        let mut mender = Mender::new(MAX_LINE);
        let mut out = mender.feed(format!("{method} /").as_bytes());
        let mut sent = 0;
        while out == Some(Vec::new()) {
            out = mender.feed(&[b'x'; 8000]);
            assert!(mender.held() < MAX_LINE, "held bytes");
            sent += 8000;
            assert!(sent < 2 * MAX_THROWN_AWAY);
        }
        assert!(sent > MAX_THROWN_AWAY);
        let head = String::from_utf8(out.unwrap()).unwrap();
        let marked = format!("{wanted} /%00refused=long-line,{}: ", sent + method.len() + 2);
        assert!(head.starts_with(&marked), "{head}");
        assert_eq!((mender.feed(b"x HTTP/1.1\r\n"), mender.held()), (Some(Vec::new()), 0));
    }
}

#[test]
fn endless_headers_are_refused_in_bounded_memory() {
    for piece in [&b"a: b\r\n"[..], b"aaaaaaaaaaa"] {
        let mut mender = Mender::new(MAX_LINE);
        assert_eq!(mender.feed(b"GET / HTTP/1.1\r\n"), Some(Vec::new()));
        let mut out = Vec::new();
        while out.is_empty() {
            out = mender.feed(piece).unwrap();
            assert!(mender.held() <= MAX_LINE + MAX_HEADER_BYTES + piece.len());
        }
        assert_eq!(String::from_utf8(out).unwrap(), refused("long-headers,0", "/"));
        assert_eq!((mender.feed(piece), mender.held()), (Some(Vec::new()), 0));
    }
}

/// The time limit is for the head alone: neither an idle connection nor a slow body is cut.
#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_stream() {
    for (sent, cut) in [
        ("", false),
        ("\r\n", false),
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1", false),
        ("G", true),
        ("GET /a HTTP/1.1\r\n", true),
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n", true),
    ] {
        let peer =
            Peer { pieces: VecDeque::from([sent.into()]), stays_open: true, ..Peer::default() };
        let mut stream = MendedStream::new(peer, MAX_LINE, Duration::ZERO);
        let mut all = Vec::new();
        let ended = std::future::poll_fn(|cx| {
            loop {
                let mut space = [0; 256];
                let mut buf = ReadBuf::new(&mut space);
                let poll = Pin::new(&mut stream).poll_read(cx, &mut buf);
                all.extend_from_slice(buf.filled());
                match poll {
                    Poll::Ready(_) if buf.filled().is_empty() => return Poll::Ready(true),
                    Poll::Ready(_) => {}
                    Poll::Pending if cut => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(false),
                }
            }
        })
        .await;
        assert_eq!(ended, cut, "{sent:?}");
        assert!(sent.as_bytes().starts_with(&all));
    }
}

#[test]
fn writes_pass_through() {
    let mut stream = stream(Vec::new(), true);
    let mut cx = Context::from_waker(noop_waker_ref());
    let written = Pin::new(&mut stream).poll_write(&mut cx, b"HTTP/1.1 200 OK\r\n");
    assert!(matches!(written, Poll::Ready(Ok(17))));
    assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_ready());
    assert!(Pin::new(&mut stream).poll_shutdown(&mut cx).is_ready());
    assert_eq!(stream.inner.written, b"HTTP/1.1 200 OK\r\n");
}
