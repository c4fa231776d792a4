//! What holds for the mending whatever is sent, and in whatever pieces.

use actix_http::h1::{Codec, Message, MessageType};
use proptest::prelude::*;
use tokio_util::codec::Decoder as _;

use super::mend::Mender;

const MAX_LINE: usize = 80;

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
    out
}

fn clean_request() -> impl Strategy<Value = Vec<u8>> {
    let target = "/[a-zA-Z0-9/%&=.:+-]{0,20}([?][a-zA-Z0-9/%&=.:+`-]{0,20})?";
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    (target, body, 0..3_u8, 1..10_usize).prop_map(|(target, body, kind, chunk)| {
        let mut request = format!("POST {target} HTTP/1.1\r\nHost: h\r\n").into_bytes();
        match kind {
            0 => request.extend(b"\r\n"),
            1 => {
                request.extend(format!("Content-Length:{}\r\n\r\n", body.len()).bytes());
                request.extend(body);
            }
            _ => {
                request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
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
    let lines = prop::sample::select(vec![
        "Host: h\r\n",
        "host: h\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: +3\r\n",
        "content-length:3\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Upgrade: websocket\r\n",
        "Expect: 100-continue\r\n",
        "A: b\rc\r\n",
        " d\r\n",
    ]);
    let starts = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST a\u{e9} HTTP/1.1\r\nHost: h\r\n",
        "POST / HTTP/1.0\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n",
        "GET http://h/ HTTP/1.1\r\nHost: h\r\n",
        "P / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n",
    ]);
    let bits = prop::sample::select(vec![
        "GET /",
        " HTTP/1.1\r\n",
        " HTTP/1.0\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "abc",
        "abc\r\n0\r\n\r\n",
        "0\r\n",
    ]);
    let word = prop_oneof![
        3 => starts.prop_map(|text| text.as_bytes().to_vec()),
        3 => lines.prop_map(|text| text.as_bytes().to_vec()),
        3 => bits.prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(vec![b'x'; 70]),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// A head that was taken before makes no difference to the next one, however alike they are.
#[test]
fn a_head_is_judged_as_if_it_were_the_first() {
    let mut heads = Vec::new();
    for line in [
        "GET /a",
        "GET /b c",
        "POST /a",
        "CONNECT /a",
        "CONNECT /<",
        "GET http://h/",
        "GET http://[",
        "G\u{1} /a",
    ] {
        for behind in [
            "HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP/1.0\r\nHost: h\r\n\r\n",
            "HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1\r\nA: h\r\n\r\n",
        ] {
            heads.push(format!("{line} {behind}"));
        }
    }
    for first in &heads {
        for second in &heads {
            let after = |before: &[&str]| {
                let mut mender = Mender::new(MAX_LINE);
                for head in before {
                    drop(mender.feed(head.as_bytes()));
                }
                if !mender.framing.at_head() {
                    return None;
                }
                let mended = mender.feed(second.as_bytes());
                Some((mended, mender.framing.at_head()))
            };
            if let Some(mended) = after(&[first]) {
                assert_eq!(Some(mended), after(&[]), "{second:?} after {first:?}");
            }
        }
    }
}

/// Checks that the parser of `actix-http` takes all that is passed on, and after each piece of this size is where the mender is:
/// before a head, or in a body.
fn agree(input: &[u8], size: usize) {
    let mut mender = Mender::new(MAX_LINE);
    // A codec begins a task that keeps the time, if only for the dates of replies.
    let runtime = actix_web::rt::Runtime::new().unwrap();
    let mut codec = runtime.block_on(async { Codec::default() });
    let mut seen = bytes::BytesMut::new();
    let mut in_body = false;
    for piece in input.chunks(size) {
        let passed = mender.feed(piece);
        seen.extend_from_slice(passed.as_deref().unwrap_or(piece));
        while let Some(message) = codec.decode(&mut seen).unwrap() {
            in_body = match message {
                Message::Item(_) => codec.message_type() != MessageType::None,
                Message::Chunk(chunk) => chunk.is_some(),
            };
        }
        if mender.is_over() {
            break;
        }
        assert_eq!(in_body, !mender.framing.at_head());
        assert!(in_body || seen.is_empty());
    }
}

/// `httparse`, which judges heads, takes more characters in a method than the parser that reads them then.
#[test]
fn a_method_or_header_of_any_characters_is_taken_or_refused_by_both() {
    for byte in 0..=u8::MAX {
        for name in [&[byte][..], &[b'A', byte, b'B']] {
            let rest = b"Host: h\r\n\r\n".as_slice();
            agree(&[name, b" / HTTP/1.1\r\n", rest].concat(), usize::MAX);
            agree(&[b"GET / HTTP/1.1\r\n", name, b": v\r\n", rest].concat(), usize::MAX);
            agree(&[b"GET / HTTP/1.1\r\nA: ", name, b"\r\n", rest].concat(), usize::MAX);
        }
    }
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
        let rest = b" HTTP/1.1\r\nHost: h\r\n\r\n".as_slice();
        let input = [&requests.concat(), b"GET /\xE9".as_slice(), rest].concat();
        let wanted = [&requests.concat(), b"GET /%E9".as_slice(), rest].concat();
        prop_assert_eq!(mended(&input, &sizes), wanted);
    }

    #[test]
    fn the_pieces_make_no_difference(
        input in soup(),
        sizes in proptest::collection::vec(1..60_usize, 1..6),
    ) {
        prop_assert_eq!(mended(&input, &sizes), mended(&input, &[usize::MAX]));
    }

    /// So nobody can hide a request from one of the two.
    #[test]
    fn the_parser_takes_what_is_passed_on_and_sees_the_same_requests(
        input in soup(),
        size in 1..60_usize,
    ) {
        agree(&input, size);
    }
}
