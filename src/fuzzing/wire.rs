//! The targets for what stands on the wire: request lines, requests, multipart bodies, tokens, times.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::h1::Codec;
use actix_web::rt::Runtime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use chrono::{FixedOffset, TimeZone};
use futures_util::task::noop_waker_ref;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::Decoder as _;

use super::tree::check_reply;
use super::zone::{Changing, FIRST, LAST};
use super::{MAX_MESSAGE, check_message, split, sure};
use crate::aci::catalog::builtin::QUEUE_WORK;
use crate::aci::catalog::validate;
use crate::aci::client::{Fault, Reply};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_info::{ManyActions, QueueCommand, QueueInfo};
use crate::aci::queue_work::{MAX_QUEUES, QueueWork};
use crate::aci::request::{self, MAX_PAIRS, PairValue, Pairs, RawRequest};
use crate::aci::response::{self, ResponseFormat};
use crate::aci::time::{FILTER_FORMS, error_time, parse_filter, queue_time, span};
use crate::aci::token::Token;
use crate::http::connection::{MendedStream, REFUSED};

/// 2014-07-17 15:00:00 UTC.
const NOW_MS: i64 = 1_405_609_200_000;

const FORMATS: [ResponseFormat; 3] =
    [ResponseFormat::Xml, ResponseFormat::Json, ResponseFormat::SimpleJson];

/// Input: a line with the request's target, a line with its content type, and the body.
pub fn request(data: &[u8]) {
    let [target, content_type, body] = split(data);
    let target = String::from_utf8_lossy(target);
    let content_type = String::from_utf8_lossy(content_type);
    let raw = RawRequest {
        target: &target,
        content_type: Some(&*content_type).filter(|text| !text.is_empty()),
        body,
        max_input_string: 64_000,
        max_upload: 10_000_000,
    };
    let read = match request::parse(&raw) {
        Ok(read) => read,
        Err(rejected) => return check_error(&rejected.action, &rejected.error),
    };
    assert!(!read.action.is_empty() && read.action.trim() == read.action, "{:?}", read.action);
    // A name in Latin-1 takes twice as much in UTF-8.
    assert!(size(&read.pairs) <= target.len() + 2 * body.len(), "more came out than went in");
    assert!(read.pairs.len() < MAX_PAIRS && read.pairs.get("action").is_none());
    if let Some(form) = as_form(&read.action, &read.pairs) {
        let raw = RawRequest {
            target: "/",
            content_type: None,
            body: form.as_bytes(),
            max_input_string: 1,
            max_upload: usize::MAX,
        };
        assert_eq!(sure("a request, written", &form, request::parse(&raw)), read);
    }
    match QueueInfo::parse(&read.pairs, NOW_MS, &Changing(3600)) {
        Ok(asked) => check_queue_info(&asked),
        Err(error) => check_error(&read.action, &error),
    }
    let before = size(&read.pairs);
    let mut pairs = read.pairs;
    let valid = validate(&QUEUE_WORK, QUEUE_WORK.common(), &pairs, false);
    match valid.and_then(|()| QueueWork::parse_validated(&mut pairs)) {
        Ok(QueueWork::Take(take)) => {
            assert!((1..=MAX_QUEUES).contains(&take.queues.len()), "{take:?}");
            assert!((1..=100).contains(&take.max) && take.wait_secs <= 3600.0, "{take:?}");
        }
        Ok(QueueWork::Report(report)) => {
            assert!(report.attempt > 0 && size(&pairs) <= before, "{report:?}");
        }
        Err(error) => check_error(&read.action, &error),
    }
}

/// Input: a line with the content type, and the body.
pub fn multipart(data: &[u8]) {
    let [content_type, body] = split(data);
    let content_type = String::from_utf8_lossy(content_type);
    let mut pairs = Pairs::default();
    let result = crate::aci::multipart::read_parts(&content_type, body, &mut pairs);
    assert!(size(&pairs) <= 2 * body.len() && pairs.len() <= MAX_PAIRS);
    if let Err(error) = result {
        return check_error("Process", &error);
    }
    // How odd characters are written in a name is the sender's choice, so such names are not written again.
    let plain = |name: &str| !name.contains(|c: char| c.is_control() || "\"\\%".contains(c));
    if pairs.is_empty() || !pairs.iter().all(|(name, _)| plain(name)) {
        return;
    }
    let holds = |boundary: &str| {
        pairs.iter().any(|(_, value)| {
            bytes(value).windows(boundary.len()).any(|w| w == boundary.as_bytes())
        })
    };
    let Some(boundary) = (0..100).map(|n| format!("-actiond{n}-")).find(|b| !holds(b)) else {
        return;
    };
    let mut again = Vec::new();
    for (name, value) in pairs.iter() {
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        again.extend([head.as_bytes(), bytes(value), b"\r\n"].concat());
    }
    again.extend(format!("--{boundary}--\r\n").bytes());
    let mut read = Pairs::default();
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let result = crate::aci::multipart::read_parts(&content_type, &again, &mut read);
    sure("a body, written", &String::from_utf8_lossy(&again), result);
    assert_eq!(read, pairs);
}

/// Input: the data of a reply, or a whole one.
pub fn reply(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let whole = format!(
        "<autnresponse><action>A</action><response>SUCCESS</response><responsedata>{text}</responsedata></autnresponse>"
    );
    for text in [&text, &*whole] {
        match Reply::read(text) {
            Ok(reply) => check_reply_read(&reply),
            Err(Fault::NotAci(shown)) => assert!(shown.chars().count() <= 103, "{shown}"),
            Err(Fault::Refused(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Checks that a request that was read can be written, and is then read the same.
fn check_reply_read(reply: &Reply) {
    let write = |data: &[Element]| {
        let xml = response::success("A", data, ResponseFormat::Xml);
        sure("a reply", "", String::from_utf8(xml))
    };
    // Names that no reply of ours has are mended, and long attributes are cut; once that is done, nothing changes.
    let mended = sure("a reply", "", Reply::read(&write(&reply.data)));
    let again = write(&mended.data);
    let read = sure("a reply, written", &again, Reply::read(&again));
    assert_eq!(read.data, mended.data, "{again}");
}

/// Input: the text of a token; as well, the text that base64 hides in one.
pub fn token(data: &[u8]) {
    check_token(&String::from_utf8_lossy(data));
    let encoded = BASE64.encode(data);
    if let Some(token) = check_token(&encoded) {
        // An action has one token: only the case of the queue's name is free.
        let written = sure("a token", &encoded, BASE64.decode(token.encode()));
        let written = sure("a token", &encoded, String::from_utf8(written));
        assert_eq!(written, upper_queue(&String::from_utf8_lossy(data)));
    }
}

/// Input: a digit for the zone (`0` UTC, each more a quarter of an hour east; `A` and above a zone that changes its
/// clock), then the text of a filter.
pub fn time_filter(data: &[u8]) {
    let Some((zone, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let quarters = i32::from(*zone) - i32::from(b'0');
    if quarters >= 17 {
        // From four hours back to a whole day forward, the widest change there has been.
        let by = ((quarters - 17) % 113 - 16) * 900;
        if let Some(seconds) = check_filter(&text, &Changing(by)) {
            let shown = queue_time(seconds * 1000, &Changing(by));
            let read = parse_filter(&shown, NOW_MS, &Changing(by));
            // Times that the clock shows twice: of these the first is read.
            let (back_at, by_much) = (if by < 0 { FIRST } else { LAST }, i64::from(by.abs()));
            let again = (back_at..back_at + by_much).contains(&seconds);
            let doubled = if again { by_much } else { 0 };
            if !shown.starts_with('0') {
                assert_eq!(read, Ok(seconds - doubled), "{text:?}, {shown}, {by} s");
            }
        }
    } else if let Some(zone) = FixedOffset::east_opt(quarters * 900)
        && let Some(seconds) = check_filter(&text, &zone)
    {
        let shown = queue_time(seconds * 1000, &zone);
        if !shown.starts_with('0') {
            assert_eq!(parse_filter(&shown, NOW_MS, &zone), Ok(seconds), "{text:?}, {shown}");
        }
    }
}

/// Input: a line of settings, then what a client sends. The first letter of the settings chooses the longest request
/// line, the others are the sizes of the pieces in which the bytes arrive, again and again.
pub fn mender(data: &[u8]) {
    let [settings, stream] = split(data);
    let limits = [64, 80, 200, 1000, 65_000];
    let first = settings.first().copied().unwrap_or_default();
    let limit = limits.get(usize::from(first) % limits.len()).copied().unwrap_or(64);
    let whole = mended(stream, limit, &[], 65_536);
    let sizes = settings.get(1..).unwrap_or_default();
    let pieces = mended(stream, limit, sizes, usize::from(first) + 1);
    assert!(whole == pieces, "pieces of {sizes:?} bytes make a difference");
    // What was encoded may be longer than what may be sent.
    if whole.len() < 65_000 {
        assert!(mended(&whole, 65_000, &[], 65_536) == whole, "what is mended is mended again");
    }

    let [target, _] = split(stream);
    if target.len() > 20_000 {
        return;
    }
    let ending = b" HTTP/1.1\r\nHost: h\r\n\r\n";
    let line = mended(&[b"GET ", target, ending].concat(), 65_000, &[], 65_536);
    let shown = String::from_utf8_lossy(&line);
    if line.starts_with(format!("POST {REFUSED}").as_bytes()) {
        // Only an address with a scheme may be none, and a carriage return is no character of a target.
        assert!(target.contains(&b'\r') || target.contains(&b':'), "refused: {shown}");
        return;
    }
    let seen = line.strip_prefix(b"GET ").and_then(|rest| rest.strip_suffix(ending));
    let seen = sure("a mended line", &shown, seen.ok_or(()));
    let decoded: Vec<u8> = percent_decode(seen).collect();
    let wanted: Vec<u8> = percent_decode(target).collect();
    assert!(decoded == wanted || decoded.strip_prefix(b"/") == Some(&wanted), "{shown:?}");
    if seen.starts_with(b"/") {
        let uri = sure("a mended target", &shown, actix_http::Uri::try_from(seen));
        assert_eq!(uri.to_string().as_bytes(), seen);
    }
    taken(&whole);
}

/// Feeds the mended bytes to the parser, which must take all of them.
fn taken(mended: &[u8]) {
    // A codec begins a task that keeps the time, if only for the dates of replies.
    thread_local! {
        static RUNTIME: Runtime = sure("the runtime", "", Runtime::new());
    }
    let mut codec = RUNTIME.with(|runtime| runtime.block_on(async { Codec::default() }));
    let mut input = BytesMut::from(mended);
    let shown = String::from_utf8_lossy(mended);
    while sure("what was mended", &shown, codec.decode(&mut input)).is_some() {}
}

/// Sends the bytes in pieces of these sizes (in one if there are none) to a reader with room for `room` bytes.
fn mended(stream: &[u8], limit: usize, sizes: &[u8], room: usize) -> Vec<u8> {
    let mut pieces = VecDeque::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*size).max(1)));
        if piece.is_empty() {
            break;
        }
        pieces.push_back(piece);
        rest = after;
    }
    pieces.push_back(rest);
    let mut reader = MendedStream::new(Peer(pieces), limit, Duration::MAX);
    let mut all = Vec::new();
    let mut space = vec![0; room];
    loop {
        let mut buf = ReadBuf::new(&mut space);
        let read =
            Pin::new(&mut reader).poll_read(&mut Context::from_waker(noop_waker_ref()), &mut buf);
        assert!(matches!(read, Poll::Ready(Ok(()))), "the peer never lets a reader wait");
        if buf.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(buf.filled());
    }
}

/// A stream that returns one of its pieces for each read, then the end.
struct Peer<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.0.pop_front().unwrap_or_default();
        let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
        buf.put_slice(now);
        if !later.is_empty() {
            self.0.push_front(later);
        }
        Poll::Ready(Ok(()))
    }
}

fn check_filter(text: &str, zone: &impl TimeZone) -> Option<i64> {
    let read = parse_filter(text, NOW_MS, zone);
    assert_eq!(parse_filter(&format!(" \t{text}\r\n"), NOW_MS, zone), read);
    let seconds = match read {
        Ok(seconds) => seconds,
        Err(allowed) => {
            assert_eq!(allowed, FILTER_FORMS);
            return None;
        }
    };
    let ms = seconds * 1000;
    assert_eq!(queue_time(ms, zone).len(), 20);
    assert_eq!(error_time(ms, zone).len(), 18);
    assert!(span(seconds.unsigned_abs()).ends_with(" secs"));
    Some(seconds)
}

fn check_token(text: &str) -> Option<Token> {
    let token = Token::parse(text).ok()?;
    assert!(!token.host.is_empty() && !token.queue.is_empty() && !token.queue.contains(':'));
    let encoded = token.encode();
    // Upper case can be longer, in odd alphabets.
    if encoded.len() <= 1024 {
        assert_eq!(Token::parse(&encoded).as_ref(), Ok(&token), "{text:?}");
        assert_eq!(Token::parse(encoded.trim_end_matches('=')).as_ref(), Ok(&token), "{text:?}");
    }
    Some(token)
}

/// Writes the queue's name in the text of a token in upper case.
fn upper_queue(plain: &str) -> String {
    let mut fields: Vec<_> = plain.rsplitn(4, ':').map(ToOwned::to_owned).collect();
    if let Some(queue) = fields.get_mut(1) {
        *queue = queue.to_uppercase();
    }
    fields.reverse();
    fields.join(":")
}

fn check_queue_info(asked: &QueueInfo) {
    let has_tokens = asked.many.as_ref().is_some_and(|many| many.tokens().is_some());
    assert!(asked.queue.is_some() || asked.token.is_some() || has_tokens, "{asked:?}");
    assert!(asked.token.is_none() || asked.many.is_none(), "{asked:?}");
    match &asked.command {
        QueueCommand::GetStatus(query) => {
            assert!(query.start >= 1, "{query:?}");
            assert!(query.wait_secs.is_none_or(|wait| (0.0..=3600.0).contains(&wait)), "{query:?}");
        }
        QueueCommand::Delete => {
            let many = asked.many.as_ref().map(|many| &many.actions);
            if let Some(ManyActions::Listed(query)) = many {
                assert!(query.start >= 1, "{query:?}");
                let words = query.states.iter().flatten().flat_map(|state| state.statuses());
                let running = ["Queued", "Processing", "Paused", "Stopping"];
                let mut running = words.filter(|word| running.contains(word));
                assert_eq!(running.next(), None, "{query:?}");
            }
            assert!(asked.token.is_some() || asked.many.is_some(), "{asked:?}");
        }
        QueueCommand::Progress { .. } | QueueCommand::Duplicate => {
            assert!(asked.token.is_some(), "{asked:?}");
        }
        QueueCommand::Cancel | QueueCommand::ChangePriority { .. } | QueueCommand::Retry => {
            assert!(asked.token.is_some() || asked.many.is_some(), "{asked:?}");
        }
        QueueCommand::GetActionParameters { .. }
        | QueueCommand::QueueStatus { .. }
        | QueueCommand::Stop
        | QueueCommand::Pause
        | QueueCommand::Resume => {}
    }
}

/// Checks an error as clients get it.
fn check_error(action: &str, error: &AciError) {
    assert!(!error.string.is_empty() && error.string.len() <= MAX_MESSAGE, "{error:?}");
    check_message(error.code);
    assert!(!error.description.is_empty() && error.description.len() <= MAX_MESSAGE, "{error:?}");
    for format in FORMATS {
        check_reply(&response::error(action, error, "17 Jul 14 15:00:00", format), format);
    }
}

fn bytes(value: &PairValue) -> &[u8] {
    match value {
        PairValue::Text(text) => text.as_bytes(),
        PairValue::Bytes(bytes) => bytes,
    }
}

fn size(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + bytes(value).len()).sum()
}

/// Writes a request as a form; `None` if it has values that are no text.
fn as_form(action: &str, pairs: &Pairs) -> Option<String> {
    let encoded = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    let mut form = format!("action={}", encoded(action));
    for (name, value) in pairs.iter() {
        let PairValue::Text(text) = value else { return None };
        form.push_str(&format!("&{}={}", encoded(name), encoded(text)));
    }
    Some(form)
}
