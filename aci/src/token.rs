//! The token: the text by which a client names one action, for as long as that is kept.
//!
//! It is standard base64 of `HOST:PORT:QUEUE:` with 13 digits of queue time and 11 digits of id. By host and port an action
//! handler in front of several servers can tell whose it is. The shape is observed; that the last digits are our id is our
//! choice. A server looks an action up by its id and compares the rest.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 that is written with padding and read with or without it: people lose it when they copy a token.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// No token is longer than this, so nothing longer is decoded.
const MAX_LENGTH: usize = 1024;
const TIME_DIGITS: usize = 13;
const ID_DIGITS: usize = 11;
/// The latest time that [`TIME_DIGITS`] can hold, in the year 2286.
const MAX_TIME: i64 = 9_999_999_999_999;

/// Names one action: where it was queued, when, and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// The host of the server that queued it, as it calls itself; may be an IPv6 address.
    pub host: String,
    /// The ACI port of that server.
    pub port: u16,
    /// The name of the queue in upper case; never has a colon.
    pub queue: String,
    /// The time at which it was queued, in milliseconds since 1970; a token holds 0 to 9,999,999,999,999.
    pub queued_ms: i64,
    /// The id of the action; 11 digits, more only for an id that needs them.
    pub id: u64,
}

/// The reason for which a text is no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than any token.
    #[error("a token has at most {MAX_LENGTH} characters")]
    TooLong,
    /// Not base64, or not of text.
    #[error("a token is base64 text")]
    NotBase64,
    /// Not `HOST:PORT:QUEUE:NUMBER`.
    #[error("a token holds host, port, queue and number")]
    Shape,
    /// A token of some ACI server, with a number that this server never gives.
    #[error("the token was not given by this kind of server")]
    Foreign,
}

/// Writes the token of these parts, as [`Token::encode`] does, without a [`Token`].
#[must_use]
pub fn encode(host: &str, port: u16, queue: &str, queued_ms: i64, id: u64) -> String {
    let mut plain = String::with_capacity(host.len() + queue.len() + 40);
    let queued_ms = queued_ms.clamp(0, MAX_TIME);
    // Writing to a string cannot fail.
    let _ = write!(plain, "{host}:{port}:{queue}:{queued_ms:013}{id:011}");
    let mut encoded = String::with_capacity(plain.len().div_ceil(3) * 4);
    BASE64.encode_string(plain, &mut encoded);
    encoded
}

impl Token {
    /// Writes the token as clients see it.
    ///
    /// For ASCII without `>`, `?`, `~` and DEL in host and queue it has no `+` or `/`, so that clients may paste it
    /// into URLs and file names as it is.
    #[must_use]
    pub fn encode(&self) -> String {
        encode(&self.host, self.port, &self.queue, self.queued_ms, self.id)
    }

    /// Reads a token as clients send it: white space around it is ignored, padding may be missing, and spaces inside
    /// stand for `+` (form decoding makes them so).
    ///
    /// # Errors
    /// [`TokenError`] if it is not a token that [`encode`](Self::encode) writes.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_LENGTH {
            return Err(TokenError::TooLong);
        }
        let plain = if text.contains(' ') {
            BASE64.decode(text.replace(' ', "+"))
        } else {
            BASE64.decode(text)
        };
        let plain = plain
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(TokenError::NotBase64)?;

        // From the right, because an IPv6 host has colons too.
        let mut fields = plain.rsplitn(4, ':');
        let (Some(number), Some(queue), Some(port), Some(host)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(TokenError::Shape);
        };
        // One action has one token, so no number may be padded in a way of its own.
        let port = if is_digits(port) && (port == "0" || !port.starts_with('0')) {
            port.parse().map_err(|_| TokenError::Shape)?
        } else {
            return Err(TokenError::Shape);
        };
        if host.is_empty() || queue.is_empty() {
            return Err(TokenError::Shape);
        }
        let (time, id) = number.split_at_checked(TIME_DIGITS).ok_or(TokenError::Foreign)?;
        // For the same reason a longer id may not begin with a zero.
        let length_is_right =
            id.len() == ID_DIGITS || (id.len() > ID_DIGITS && !id.starts_with('0'));
        if !is_digits(number) || !length_is_right {
            return Err(TokenError::Foreign);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            queue: queue.to_uppercase(),
            queued_ms: time.parse().map_err(|_| TokenError::Foreign)?,
            id: id.parse().map_err(|_| TokenError::Foreign)?,
        })
    }
}

/// Returns the name of the queue in a token, also in one of another kind of server.
#[must_use]
pub fn queue_of(token: &str) -> Option<String> {
    fields_of(token).map(|(queue, _)| queue)
}

/// Returns the queue time in a token, in milliseconds since 1970, also in one of another kind of server; `None` in the older form,
/// which has no time.
#[must_use]
pub fn queued_ms_of(token: &str) -> Option<i64> {
    let (_, number) = fields_of(token)?;
    let (time, id) = number.split_at_checked(TIME_DIGITS)?;
    if is_digits(time) && !id.is_empty() { time.parse().ok() } else { None }
}

/// Returns the queue and the number in a token.
fn fields_of(token: &str) -> Option<(String, String)> {
    let token = token.trim();
    let plain = if token.len() > MAX_LENGTH { None } else { BASE64.decode(token).ok() };
    let plain = String::from_utf8(plain?).ok()?;
    let mut fields = plain.rsplitn(4, ':');
    let (number, queue) = (fields.next()?, fields.next()?);
    let (port, _host) = (fields.next()?, fields.next()?);
    (is_digits(port) && !queue.is_empty()).then(|| (queue.to_owned(), number.to_owned()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_queue_time_is_read_of_other_servers_too() {
        for (plain, time) in [
            ("10.15.75.239:7030:FETCH:1667557418363-1682507182", Some(1_667_557_418_363)),
            ("16.28.94.172:1234:FETCH:143982964946601268845536", Some(1_439_829_649_466)),
            ("10.2.105.34:1234:FETCH:1402957368", None),
            ("10.2.105.112:7004:FETCH:-659042282", None),
            ("FOO-123", None),
        ] {
            assert_eq!(queued_ms_of(&BASE64.encode(plain)), time, "{plain}");
        }
    }

    fn token(host: &str, id: u64) -> Token {
        Token {
            host: host.to_owned(),
            port: 7000,
            queue: "FETCH".to_owned(),
            queued_ms: 1_439_829_649_466,
            id,
        }
    }

    #[test]
    fn it_is_base64_of_its_parts() {
        let encoded = token("10.2.105.34", 42).encode();
        assert_eq!(
            BASE64.decode(&encoded).unwrap(),
            b"10.2.105.34:7000:FETCH:143982964946600000000042"
        );
        assert_eq!(Token::parse(&encoded), Ok(token("10.2.105.34", 42)));
    }

    #[test]
    fn it_is_read_as_people_send_it() {
        for host in ["h", "hh", "hhh", "::1", "[fe80::1]", "a.example"] {
            let encoded = token(host, 7).encode();
            for text in [format!(" {encoded}\r\n"), encoded.trim_end_matches('=').to_owned()] {
                assert_eq!(Token::parse(&text), Ok(token(host, 7)), "{text}");
            }
        }
        let plus = token("~~~>>>", 1);
        assert!(plus.encode().contains('+'));
        assert_eq!(Token::parse(&plus.encode().replace('+', " ")), Ok(plus));
    }

    #[test]
    fn what_is_no_token_of_ours_is_told_apart() {
        let of = |plain: &str| BASE64.encode(plain);
        let table = [
            (String::new(), TokenError::Shape),
            ("...".to_owned(), TokenError::NotBase64),
            ("FOO-123".to_owned(), TokenError::NotBase64),
            (BASE64.encode([0xFF, 0xFE]), TokenError::NotBase64),
            ("A".repeat(2000), TokenError::TooLong),
            (of("h:7000:FETCH"), TokenError::Shape),
            (of(":7000:FETCH:143982964946600000000042"), TokenError::Shape),
            (of("h:70000:FETCH:143982964946600000000042"), TokenError::Shape),
            (of("h:+700:FETCH:143982964946600000000042"), TokenError::Shape),
            (of("h:07000:FETCH:143982964946600000000042"), TokenError::Shape),
            (of("h:7000::143982964946600000000042"), TokenError::Shape),
            (of("h:7000:FETCH:1439829649466000000000420"), TokenError::Foreign),
            (of("h:7000:FETCH:143982964946"), TokenError::Foreign),
            (of("h:7000:FETCH:1439829649466-1682507182"), TokenError::Foreign),
            (of("h:7000:FETCH:143982964946699999999999999999999"), TokenError::Foreign),
            (of("h:7000:FETCH:14398296494é600000000042"), TokenError::Foreign),
            ("MTAuMi4xMDUuMzQ6MTIzNDpGRVRDSDoxNDAyOTU3MzY4".to_owned(), TokenError::Foreign),
        ];
        for (text, expected) in table {
            assert_eq!(Token::parse(&text), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_queue_stands_in_tokens_of_any_server() {
        let old = BASE64.encode("10.2.105.112:7004:FETCH:-659042282");
        for (token, queue) in [
            (token("::1", 7).encode(), Some("FETCH")),
            (old, Some("FETCH")),
            (BASE64.encode("h:1::7"), None),
            (BASE64.encode("h:x:FETCH:7"), None),
            (BASE64.encode("FETCH:7"), None),
            ("FOO-123".to_owned(), None),
            ("A".repeat(2000), None),
        ] {
            assert_eq!(queue_of(&token).as_deref(), queue, "{token}");
        }
    }

    #[test]
    fn times_out_of_range_are_brought_into_it() {
        for (queued_ms, held) in [(-5, 0), (i64::MAX, MAX_TIME)] {
            let encoded = Token { queued_ms, ..token("h", 1) }.encode();
            assert_eq!(Token::parse(&encoded).unwrap().queued_ms, held);
        }
    }

    proptest! {
        #[test]
        fn any_token_comes_back(host in "[ -~]{1,40}", port in any::<u16>(), queue in "[A-Z0-9_-]{1,30}", queued_ms in 0..=MAX_TIME, id in any::<u64>()) {
            let token = Token { host, port, queue, queued_ms, id };
            prop_assert_eq!(Token::parse(&token.encode()), Ok(token));
        }

        #[test]
        fn a_token_of_plain_names_is_safe_in_urls(host in "[a-zA-Z0-9.:\\[\\]-]{1,40}", queue in "[A-Z0-9_. -]{1,30}", id in any::<u64>()) {
            let encoded = Token { queue, ..token(&host, id) }.encode();
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'='), "{}", encoded);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), plain in any::<String>()) {
            let _ = Token::parse(&text);
            let _ = Token::parse(&BASE64.encode(&plain));
            let _ = Token::parse(&BASE64.encode(format!("h:1:Q:{plain}")));
        }
    }
}
