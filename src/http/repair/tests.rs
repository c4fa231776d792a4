//! Tests of the stream with a scripted peer, and properties of the mending whatever the pieces.

use std::{collections::VecDeque, task::Waker};

use futures_util::task::noop_waker_ref;
use proptest::prelude::*;

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

fn stream(pieces: Vec<Vec<u8>>, stays_open: bool) -> Repaired<Peer> {
    let peer = Peer { pieces: pieces.into(), stays_open, ..Peer::default() };
    Repaired::new(peer, MAX_LINE, Duration::from_secs(3600))
}

/// All that is read up to the end, `size` bytes at most a read. Pendings must be the peer's own.
fn read_all(stream: &mut Repaired<Peer>, size: usize) -> Vec<u8> {
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

/// `input` through the stream in one piece, then cut in two at every byte, then byte by byte with waits between.
#[tokio::test]
async fn by_table() {
    let long = "x".repeat(200);
    let multi = "é".repeat(30);
    let cases: Vec<(String, String)> = [
        // Accepted as it is.
        ("GET /action=A&b=%zz HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("OPTIONS * HTTP/1.1\r\n\r\n", None),
        ("CONNECT h:1 HTTP/1.1\r\n\r\nGET /é HTTP/1.1\r\n\r\n", None),
        // Mended.
        ("GET /a=é HTTP/1.1\r\nX: é\r\n\r\n", Some("GET /a=%C3%A9 HTTP/1.1\r\nX: é\r\n\r\n")),
        ("GET /a=b c  d HTTP/1.0\n\n", Some("GET /a=b%20c%20%20d HTTP/1.0\n\n")),
        ("GET action=A HTTP/1.1\r\n\r\n", Some("GET /action=A HTTP/1.1\r\n\r\n")),
        ("GET  HTTP/1.1\r\n\r\n", Some("GET / HTTP/1.1\r\n\r\n")),
        ("\r\n\nGET /<\t> HTTP/1.1\r\n\r\n", Some("\r\n\nGET /%3C%09%3E HTTP/1.1\r\n\r\n")),
        // No request: untouched, and so is all that follows.
        ("\n", None),
        ("\r\r\nGET /é HTTP/1.1\r\n\r\n", None),
        (" GET /é HTTP/1.1\r\n\r\n", None),
        ("GET /é\r\n\r\nGET /é HTTP/1.1\r\n\r\n", None),
        ("GET /é HTTP/2\r\n\r\nGET /é HTTP/1.1\r\n\r\n", None),
        ("\u{16}\u{3}\u{1}é é HTTP/1.1\r\n", None),
        ("{\"a\": \"é HTTP/1.1\n\"}", None),
        // Ends in the middle of a line.
        ("GET /é HT", None),
        ("GET /a=1 HTTP/1.1\r\n\r\nGE", None),
        // The next request, after none, counted and chunked bodies that look like a request themselves.
        (
            "GET /é HTTP/1.1\r\n\r\nGET /é HTTP/1.1\r\n\r\n",
            Some("GET /%C3%A9 HTTP/1.1\r\n\r\nGET /%C3%A9 HTTP/1.1\r\n\r\n"),
        ),
        (
            "POST / HTTP/1.1\r\nExpect: 100-continue\r\ncontent-LENGTH: 18\r\n\r\nGET /é HTTP/1.1\r\nGET /é HTTP/1.1\r\n\r\n",
            Some(
                "POST / HTTP/1.1\r\nExpect: 100-continue\r\ncontent-LENGTH: 18\r\n\r\nGET /é HTTP/1.1\r\nGET /%C3%A9 HTTP/1.1\r\n\r\n",
            ),
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12;x=\"y\"\r\nGET /é HTTP/1.1\r\n\r\n1 \r\nx\r\n0\r\nT: 1\r\n\r\nGET /é HTTP/1.1\r\n\r\n",
            Some(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12;x=\"y\"\r\nGET /é HTTP/1.1\r\n\r\n1 \r\nx\r\n0\r\nT: 1\r\n\r\nGET /%C3%A9 HTTP/1.1\r\n\r\n",
            ),
        ),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /é HTTP/1.1\r\n\r\n",
            Some(
                "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /%C3%A9 HTTP/1.1\r\n\r\n",
            ),
        ),
        // Bodies whose end is not sure: nothing after them is touched.
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\nGET /é HTTP/1.1\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nGET /é HTTP/1.1\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nGET /é HTTP/1.1\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nGET /é HTTP/1.1\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\nGET /é HTTP/1.1\r\n", None),
        // Chunks that are none: the stream ends before the first byte that is wrong.
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nGET /é HTTP/1.1\r\n",
            Some("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyGET /é HTTP/1.1\r\n",
            Some("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx"),
        ),
        ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\nGET /é HTTP/1.1\r\n", None),
        ("GET / HTTP/1.1\r\nno header\r\n\r\nGET /é HTTP/1.1\r\n", None),
    ]
    .map(|(input, wanted)| (input.to_owned(), wanted.unwrap_or(input).to_owned()))
    .into_iter()
    .chain([
        // Too long as it is, and by encoding: the length is that of the target as sent.
        (
            format!("GET /{long} HTTP/1.1\r\nA: b\r\n\r\nGET /é HTTP/1.0\r\n"),
            "GET /%00oversized=201 HTTP/1.1\r\nA: b\r\n\r\nGET /%C3%A9 HTTP/1.0\r\n".to_owned(),
        ),
        (format!("POST /{multi} HTTP/1.0\n\n"), "POST /%00oversized=61 HTTP/1.0\n\n".to_owned()),
        // Too long and no request: still short enough for the parser to refuse it.
        (format!("GET /{long}\r\nGET /é HTTP/1.1\r\n"), "GET /%00oversized=203\nGET /é HTTP/1.1\r\n".to_owned()),
        (format!("GET /{long}"), String::new()),
        // A header longer than what is kept of one, and one that matters.
        (
            format!("GET / HTTP/1.1\r\nx-{}: 1\r\n\r\nGET /é HTTP/1.1\r\n", long.repeat(3)),
            format!("GET / HTTP/1.1\r\nx-{}: 1\r\n\r\nGET /%C3%A9 HTTP/1.1\r\n", long.repeat(3)),
        ),
        (
            format!("GET / HTTP/1.1\r\nContent-Length: {}5\r\n\r\n12345GET /a HTTP/1.1\r\n", " ".repeat(400)),
            format!("GET / HTTP/1.1\r\nContent-Length: {}5\r\n\r\n12345GET /a HTTP/1.1\r\n", " ".repeat(400)),
        ),
        // One that is longer and might have mattered ends the stream. After one without a colon nothing is touched.
        (
            format!("GET / HTTP/1.1\r\nContent-Length: {}5\r\n\r\n12345GET /é HTTP/1.1\r\n", " ".repeat(600)),
            format!("GET / HTTP/1.1\r\nContent-Length: {}5\r\n\r\n", " ".repeat(600)),
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n\r\nGET /é HTTP/1.1\r\n", long.repeat(3)),
            format!("GET / HTTP/1.1\r\n{}\r\n\r\nGET /é HTTP/1.1\r\n", long.repeat(3)),
        ),
    ])
    .collect();
    for (input, wanted) in cases {
        let bytes = input.as_bytes();
        let whole = read_all(&mut stream(vec![bytes.to_vec()], false), 4096);
        assert_eq!(String::from_utf8_lossy(&whole), wanted);
        for at in 1..bytes.len() {
            let (a, b) = bytes.split_at(at);
            for pieces in [vec![a.to_vec(), b.to_vec()], vec![a.to_vec(), vec![], b.to_vec()]] {
                let got = read_all(&mut stream(pieces, false), 4096);
                assert_eq!(String::from_utf8_lossy(&got), wanted, "cut at {at}");
            }
        }
        let slow = bytes.iter().flat_map(|&byte| [vec![], vec![byte]]).collect();
        let got = read_all(&mut stream(slow, false), 1);
        assert_eq!(String::from_utf8_lossy(&got), wanted, "byte by byte");
    }
}

#[test]
fn nothing_is_held_back_of_a_whole_request() {
    let mut stream = stream(vec![b"GET /\xE9 HTTP/1.1\r\nHo".to_vec()], true);
    let mut space = [0; 100];
    let mut buf = ReadBuf::new(&mut space);
    let mut cx = Context::from_waker(noop_waker_ref());
    assert!(Pin::new(&mut stream).poll_read(&mut cx, &mut buf).is_ready());
    assert_eq!(buf.filled(), b"GET /%E9 HTTP/1.1\r\nHo");
}

#[test]
fn an_endless_line_ends_the_connection_in_bounded_memory() {
    let mut mender = Mender::new(MAX_LINE);
    let piece = [b"GET /".as_slice(), &[b'x'; 8000]].concat();
    let mut sent = 0;
    while !mender.is_over() {
        let out = mender.feed(if sent == 0 { &piece } else { &[b'x'; 8000] });
        assert_eq!(out, Some(Vec::new()));
        assert!(mender.end().len() <= MAX_LINE, "held bytes");
        sent += 8000;
        assert!(sent < 2 * MAX_THROWN_AWAY);
    }
    assert!(sent > MAX_THROWN_AWAY);

    let mut pieces = vec![b"GET /a HTTP/1.1\r\n\r\n".to_vec(), piece];
    pieces.extend(std::iter::repeat_n(vec![b'x'; 8000], 200));
    let mut stream = stream(pieces, true);
    assert_eq!(read_all(&mut stream, 8192), b"GET /a HTTP/1.1\r\n\r\n");
    assert!(stream.inner.pieces.len() > 10, "went on reading");
}

/// The time limit is for the head alone: neither an idle connection nor a slow body is cut.
#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_stream() {
    for (sent, cut) in [
        ("", false),
        ("\r\n", false),
        ("GET /a HTTP/1.1\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1", false),
        ("G", true),
        ("GET /a HTTP/1.1\r\n", true),
        ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n", true),
    ] {
        let peer =
            Peer { pieces: VecDeque::from([sent.into()]), stays_open: true, ..Peer::default() };
        let mut stream = Repaired::new(peer, MAX_LINE, Duration::ZERO);
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

/// `input` through a mender in pieces of these sizes, over and over.
fn mended(input: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut mender = Mender::new(MAX_LINE);
    let mut out = Vec::new();
    let mut rest = input;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        match mender.feed(piece) {
            Some(mended) => out.extend(mended),
            None => out.extend_from_slice(piece),
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    out.extend(mender.end());
    out
}

fn clean_request() -> impl Strategy<Value = Vec<u8>> {
    let target = "/[a-zA-Z0-9/%&=.:+-]{0,20}([?][a-zA-Z0-9/%&=.:+`-]{0,20})?";
    let end = prop_oneof![Just("\r\n"), Just("\n")];
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    (target, end, body, 0..3_u8, 1..10_usize).prop_map(|(target, end, body, kind, chunk)| {
        let mut request = format!("POST {target} HTTP/1.1{end}Host: h{end}").into_bytes();
        match kind {
            0 => request.extend(end.bytes()),
            1 => {
                request.extend(format!("Content-Length:{}{end}{end}", body.len()).bytes());
                request.extend(body);
            }
            _ => {
                request.extend(format!("Transfer-Encoding: chunked{end}{end}").bytes());
                for data in body.chunks(chunk) {
                    request.extend(format!("{:x}\r\n", data.len()).bytes());
                    request.extend(data);
                    request.extend(b"\r\n");
                }
                request.extend(b"0\r\n\r\n");
            }
        }
        request
    })
}

/// Bytes that look like requests often enough to reach every place.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"GET /".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b" HTTP/1.0\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"POST a\xE9 HTTP/1.1\r\nContent-Length: 3\r\n\r\n".to_vec()),
        Just(b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n".to_vec()),
        Just(vec![b'x'; 70]),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn clean_requests_pass_byte_for_byte(
        requests in proptest::collection::vec(clean_request(), 1..4),
        sizes in proptest::collection::vec(1..60_usize, 1..6),
    ) {
        let input = requests.concat();
        prop_assert_eq!(mended(&input, &sizes), input);
    }

    #[test]
    fn the_last_of_many_requests_is_mended(
        requests in proptest::collection::vec(clean_request(), 0..4),
        sizes in proptest::collection::vec(1..60_usize, 1..6),
    ) {
        let input = [requests.concat(), b"GET /\xE9 HTTP/1.1\r\n".to_vec()].concat();
        let wanted = [requests.concat(), b"GET /%E9 HTTP/1.1\r\n".to_vec()].concat();
        prop_assert_eq!(mended(&input, &sizes), wanted);
    }

    #[test]
    fn the_pieces_make_no_difference(
        input in soup(),
        sizes in proptest::collection::vec(1..60_usize, 1..6),
    ) {
        prop_assert_eq!(mended(&input, &sizes), mended(&input, &[usize::MAX]));
    }
}
