//! Bodies of `multipart/form-data`: each part becomes a pair. See [`super::request`] for the other forms.
//!
//! The whole body is at hand, so the reader of multer never has to wait, and this stays an ordinary function.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use multer::Multipart;

use super::error::{AciError, shorten};
use super::request::{MAX_PAIRS, PairValue, Pairs, too_many_pairs};

/// The body is handed over in pieces, so that it does not stand in memory twice more.
const PIECE: usize = 64 * 1024;

/// Says whether a content type is that of a multipart form.
#[must_use]
pub fn is_multipart(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

/// Appends a pair for each part of the body: text if its bytes are UTF-8, else bytes. Nothing is percent-decoded, and
/// the parts' own headers count for nothing but the name (Java clients and curl send different ones; observed).
///
/// # Errors
/// If the body is not what its content type says, a part has no name, or there are more than [`MAX_PAIRS`] pairs. Pairs
/// in front of the fault are kept.
pub fn read_parts(content_type: &str, body: &[u8], pairs: &mut Pairs) -> Result<(), AciError> {
    if body.is_empty() {
        return Ok(());
    }
    let boundary = multer::parse_boundary(content_type).map_err(|error| unreadable(&error))?;
    let pieces = body.chunks(PIECE).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
    let mut parts = Multipart::new(stream::iter(pieces), boundary);
    while let Some(part) = ready(parts.next_field())? {
        let Some(name) = part.name().map(ToOwned::to_owned) else {
            return Err(AciError::malformed(
                "a part of the multipart body has no name; each needs Content-Disposition: form-data; name=\"...\".",
            ));
        };
        if pairs.len() >= MAX_PAIRS {
            return Err(too_many_pairs());
        }
        let value = match String::from_utf8(ready(part.bytes())?.into()) {
            Ok(text) => PairValue::Text(text),
            Err(error) => PairValue::Bytes(error.into_bytes()),
        };
        pairs.push(name, value);
    }
    Ok(())
}

/// Takes what a future gives that has all it needs.
fn ready<T>(future: impl Future<Output = Result<T, multer::Error>>) -> Result<T, AciError> {
    match future.now_or_never() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(unreadable(&error)),
        None => Err(AciError::malformed("the multipart body ends too early.")),
    }
}

fn unreadable(error: &multer::Error) -> AciError {
    AciError::malformed(&format!(
        "the multipart body is not well formed: {}.",
        shorten(&error.to_string())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn read(body: &str) -> Result<Pairs, AciError> {
        let mut pairs = Pairs::default();
        read_parts(TYPE, body.as_bytes(), &mut pairs).map(|()| pairs)
    }

    #[test]
    fn the_content_type_decides() {
        for yes in [TYPE, "Multipart/Form-Data;boundary=a", " multipart/form-data "] {
            assert!(is_multipart(yes), "{yes}");
        }
        for no in ["", "text/plain", "multipart/mixed; boundary=a", "multipart/form-data-x"] {
            assert!(!is_multipart(no), "{no}");
        }
    }

    #[test]
    fn parts_of_real_clients_are_read() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"action\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\
                    Content-Transfer-Encoding: 8bit\r\n\r\nGet+Version%20\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"config\"; filename=\"a.cfg\"\r\n\r\nline1\r\n--line2\r\n\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"empty\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--XX--\r\n";
        let pairs = read(body).unwrap();
        assert_eq!(pairs.get("ACTION"), Some("Get+Version%20"));
        assert_eq!(pairs.get("config"), Some("line1\r\n--line2\r\n"));
        assert_eq!(pairs.get("empty"), Some(""));
        assert_eq!(pairs.len(), 3);
    }

    #[test]
    fn bytes_that_are_no_text_stay_bytes() {
        let mut body = b"--XX\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n".to_vec();
        let data: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        body.extend_from_slice(&data);
        body.extend_from_slice(b"\r\n--XX--\r\n");
        let mut pairs = Pairs::default();
        read_parts(TYPE, &body, &mut pairs).unwrap();
        assert_eq!(pairs.value("data"), Some(&PairValue::Bytes(data)));
        assert_eq!(pairs.get("data"), None);
    }

    #[test]
    fn what_is_not_multipart_is_an_error() {
        let bodies = [
            "rubbish",
            "--XX",
            "--XX\r\n",
            "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end",
            "--XX\r\nContent-Disposition: form-data\r\n\r\nv\r\n--XX--\r\n",
            "--XX\r\nContent-Type: text/plain\r\n\r\nv\r\n--XX--\r\n",
        ];
        for body in bodies {
            let error = read(body).unwrap_err();
            assert_eq!((error.number, error.string), (502, "The request cannot be read"), "{body}");
        }
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary",
        ] {
            assert!(
                read_parts(content_type, b"--\r\n", &mut Pairs::default()).is_err(),
                "{content_type}"
            );
        }
        assert_eq!(read("").unwrap().len(), 0);
    }

    #[test]
    fn there_are_only_so_many_parts() {
        let mut body =
            "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n".repeat(MAX_PAIRS + 1);
        body.push_str("--XX--");
        assert_eq!(read(&body).unwrap_err().number, 505);
    }
}
