//! The body of a request: a form, or a multipart form where a value is bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::request::{PairValue, Pairs, encoded};

/// The body of a request, with its content type.
#[derive(Debug)]
pub struct Body {
    /// The content type: that of a form, or of a multipart form where a value is bytes.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// Makes the body for an action with these parameters; the action comes first.
    #[must_use]
    pub fn new(action: &str, pairs: Pairs) -> Self {
        let action = ("action".to_owned(), PairValue::Text(action.to_owned()));
        let pairs: Vec<_> = std::iter::once(action).chain(pairs).collect();
        let has_bytes = pairs.iter().any(|(_, value)| matches!(value, PairValue::Bytes(_)));
        if has_bytes { multipart(&pairs) } else { form(&pairs) }
    }
}

fn form(pairs: &[(String, PairValue)]) -> Body {
    let mut text = String::new();
    for (name, value) in pairs {
        let separator = if text.is_empty() { "" } else { "&" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}={}", encoded(name), encoded(bytes(value)));
    }
    Body { content_type: "application/x-www-form-urlencoded".to_owned(), bytes: text.into_bytes() }
}

fn multipart(pairs: &[(String, PairValue)]) -> Body {
    let boundary = boundary(pairs);
    let size: usize = pairs.iter().map(|(name, value)| name.len() + bytes(value).len() + 200).sum();
    let mut out = Vec::with_capacity(size);
    for (name, value) in pairs {
        let kind = match value {
            PairValue::Text(_) => "text/plain; charset=UTF-8",
            PairValue::Bytes(_) => "application/octet-stream",
        };
        let name = disposition(name);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(bytes(value));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Body { content_type: format!("multipart/form-data; boundary={boundary}"), bytes: out }
}

fn bytes(value: &PairValue) -> &[u8] {
    match value {
        PairValue::Text(text) => text.as_bytes(),
        PairValue::Bytes(bytes) => bytes,
    }
}

/// Finds a boundary that occurs in no value.
fn boundary(pairs: &[(String, PairValue)]) -> String {
    let stands_in = |boundary: &str, value: &[u8]| {
        value.windows(boundary.len()).any(|window| window == boundary.as_bytes())
    };
    // There are more numbers than places in the values, so one of them is free.
    let mut number = 0_u64;
    loop {
        let boundary = format!("actiond-aci-part-{number:020}");
        if !pairs.iter().any(|(_, value)| stands_in(&boundary, bytes(value))) {
            return boundary;
        }
        number = number.wrapping_add(1);
    }
}

/// Writes the name of a part. Where it can't be quoted it is percent-encoded, and follows once more in the form that says so.
fn disposition(name: &str) -> String {
    let forbidden = |c: char| matches!(c, '"' | '\\') || c.is_control();
    if !name.contains(forbidden) {
        return format!("name=\"{name}\"");
    }
    let shown: Cow<'_, str> = utf8_percent_encode(name, NON_ALPHANUMERIC).into();
    format!("name=\"{shown}\"; name*=UTF-8''{shown}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{RawRequest, parse};

    fn read(body: &Body) -> (String, Pairs) {
        let raw = RawRequest {
            target: "/",
            content_type: Some(&body.content_type),
            body: &body.bytes,
            max_input_string: 1000,
            max_upload: usize::MAX,
        };
        let request = parse(&raw).unwrap();
        (request.action, request.pairs)
    }

    #[test]
    fn text_goes_as_a_form() {
        let body = Body::new("Ingest", Pairs::from([("adds", "<adds a='ä&+ '/>")]));
        assert_eq!(
            String::from_utf8(body.bytes).unwrap(),
            "action=Ingest&adds=%3Cadds%20a%3D%27%C3%A4%26%2B%20%27%2F%3E"
        );
        assert_eq!(body.content_type, "application/x-www-form-urlencoded");
    }

    #[test]
    fn a_boundary_stands_in_no_value() {
        let pairs = [0, 1, 3].map(|n| ("p", format!("x--actiond-aci-part-{n:020}--").into_bytes()));
        let body = Body::new("Echo", Pairs::from(pairs));
        assert!(body.content_type.ends_with("0002"), "{}", body.content_type);
        assert_eq!(read(&body).1.len(), 3);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(
            names in proptest::collection::vec("[a-zé\"\\\\\r\n;=&%+ \\x01]{1,8}", 1..4),
            texts in proptest::collection::vec("\\PC{0,12}|[\\x00-\\x7F]{0,12}", 3),
            bytes in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        ) {
            let mut pairs = Pairs::default();
            for (name, text) in names.iter().zip(texts) {
                pairs.push(format!("x{name}"), PairValue::Text(text));
            }
            // Bytes that are text come as text.
            if let Some(Err(error)) = bytes.map(String::from_utf8) {
                pairs.push("bytes", PairValue::Bytes(error.into_bytes()));
            }
            prop_assert_eq!(read(&Body::new("Echo", pairs.clone())), ("Echo".to_owned(), pairs));
        }
    }
}
