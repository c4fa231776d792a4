//! Bodies of `multipart/form-data`: each part becomes a pair. See [`super::request`] for the other forms.
//!
//! The whole body is there, so multer never has to wait, and this is an ordinary function.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use multer::Multipart;

use super::error::AciError;
use super::request::{MAX_PAIRS, PairValue, Pairs, too_many_pairs};
use super::words::shorten;

/// Number of bytes of the body that the reader gets at a time: the whole at once would be in memory twice more.
const PIECE: usize = 64 * 1024;

/// Returns true if a content type is that of a multipart form.
#[must_use]
pub fn is_multipart(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

/// Appends a pair for each part of the body: text if its bytes are UTF-8, else bytes. Nothing is percent-decoded, and
/// the parts' own headers count for nothing but the name (Java clients and curl send different ones; observed). A name is
/// UTF-8, or else Latin-1.
///
/// # Errors
/// If the body is not what its content type says, a part has no name, or there are more than [`MAX_PAIRS`] pairs. Pairs
/// before the fault are kept.
pub fn read_parts(content_type: &str, body: &[u8], pairs: &mut Pairs) -> Result<(), AciError> {
    if body.is_empty() {
        return Ok(());
    }
    let boundary = multer::parse_boundary(content_type).map_err(|error| unreadable(&error))?;
    let pieces = body.chunks(PIECE).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
    let mut parts = Multipart::new(stream::iter(pieces), boundary);
    let mut number = 0_usize;
    while let Some(part) = ready(parts.next_field())? {
        number = number.saturating_add(1);
        let name = name_of(part.headers().get("content-disposition").map(|value| value.as_bytes()));
        let name = name.map_err(|why| unnamed(number, &why))?;
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

/// Reads the name in the `Content-Disposition` of a part. Multer's own reader takes no name that is not UTF-8, and one
/// inside of a quoted file name for the part's.
///
/// # Errors
/// The text says what is wrong with the header.
fn name_of(header: Option<&[u8]>) -> Result<String, String> {
    let header = header.ok_or("has no Content-Disposition")?;
    let mut rest = header;
    let mut found = None;
    // The kind of disposition comes first, and is ignored.
    while let Some(at) = rest.iter().position(|byte| *byte == b';') {
        let (name, value, after) = parameter(rest.get(at..).unwrap_or_default());
        rest = after;
        let Some(value) = value else { continue };
        if name.eq_ignore_ascii_case(b"name*")
            && let Some(name) = extended(&value)
        {
            return Ok(name);
        }
        if name.eq_ignore_ascii_case(b"name") && found.is_none() {
            found = Some(text_of(value));
        }
    }
    found.ok_or_else(|| {
        let header = String::from_utf8_lossy(header);
        format!("has no name in its Content-Disposition, '{}'", shorten(&header))
    })
}

/// Splits the first parameter off: its name, its value without quotes (if there is a `=`), and the rest.
/// `text` begins with its semicolon.
fn parameter(text: &[u8]) -> (&[u8], Option<Vec<u8>>, &[u8]) {
    let text = text.get(1..).unwrap_or_default();
    let end = text.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix(b"=") else { return (name.trim_ascii(), None, rest) };
    let Some(mut rest) = rest.trim_ascii_start().strip_prefix(b"\"") else {
        let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        return (name.trim_ascii(), Some(value.trim_ascii().to_vec()), rest);
    };
    let mut value = Vec::new();
    loop {
        rest = match rest {
            // Nothing else is escaped: browsers send the backslashes of paths as they are.
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                after
            }
            [b'"', after @ ..] => return (name.trim_ascii(), Some(value), after),
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
            [] => return (name.trim_ascii(), Some(value), rest),
        }
    }
}

/// Reads a value as RFC 5987 writes it: `UTF-8''Gr%C3%B6%C3%9Fe`. Older Python clients do so.
fn extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded: Vec<u8> = percent_encoding::percent_decode(encoded).collect();
    if charset.eq_ignore_ascii_case(b"utf-8") {
        String::from_utf8(decoded).ok()
    } else {
        charset.eq_ignore_ascii_case(b"iso-8859-1").then(|| latin1(&decoded))
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| latin1(error.as_bytes()))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn unnamed(number: usize, why: &str) -> AciError {
    AciError::malformed(&format!(
        "part {number} of the multipart body {why}; each part needs Content-Disposition: form-data; name=\"...\"."
    ))
}

/// Returns the output of a future that never has to wait.
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
    fn a_name_is_utf_8_or_latin_1_in_any_form_that_clients_send() {
        let table: [(&[u8], &str); 19] = [
            (b"form-data; name=\"a\"", "a"),
            ("form-data; name=\"Größe\"".as_bytes(), "Größe"),
            (b"form-data; name=\"Gr\xF6\xDFe\"", "Größe"),
            (b"form-data; name=Gr\xF6\xDFe; filename=x", "Größe"),
            (b"form-data; name*=UTF-8''Gr%C3%B6%C3%9Fe", "Größe"),
            (b"form-data; name*=utf-8'de'Gr%C3%B6%C3%9Fe; filename*=utf-8''f", "Größe"),
            (b"form-data; name*=ISO-8859-1''Gr%F6%DFe", "Größe"),
            (b"form-data; name=\"Gr__e\"; NAME*=\"UTF-8''Gr%C3%B6%C3%9Fe\"", "Größe"),
            (b"form-data; name=\"a\"; name*=utf-16''%FF", "a"),
            (b"form-data; name=\"a\"; name*=utf-8''%FF", "a"),
            (b"form-data; name=\"a\"; name*=a", "a"),
            (b"FORM-DATA;Name = \"a b\" ;filename=c", "a b"),
            (b"form-data; name=a b ; filename=c", "a b"),
            (b"form-data; filename=\"x; name=y\"; name=\"z\"", "z"),
            (b"form-data; filename=\"x\\\"; name=y\"; name=\"z\"", "z"),
            (b"form-data; name=\"a\\\"b\\c;=d\"", "a\"b\\c;=d"),
            (b"form-data; filename=name; xname=1; name=a; name=b", "a"),
            (b"form-data; name=\"\"", ""),
            (b"form-data; name=\"open", "open"),
        ];
        for (header, name) in table {
            let shown = String::from_utf8_lossy(header);
            let head = [b"--XX\r\nContent-Disposition: ", header, b"\r\n\r\n"].concat();
            let body = [&head, b"v\r\n--XX--\r\n".as_slice()].concat();
            let mut pairs = Pairs::default();
            read_parts(TYPE, &body, &mut pairs).unwrap();
            let read: Vec<_> = pairs.iter().map(|(name, _)| name).collect();
            assert_eq!(read, [name], "{shown}");
        }
    }

    #[test]
    fn a_part_without_a_name_is_named_by_its_number_and_what_it_has() {
        let named = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n";
        for (header, says) in [
            (
                "Content-Disposition: form-data",
                "has no name in its Content-Disposition, 'form-data'",
            ),
            ("Content-Disposition: form-data; filename=\"ü\"", "'form-data; filename=\"ü\"'"),
            ("Content-Disposition: form-data; name", "'form-data; name'"),
            ("Content-Disposition: name=\"a\"", "'name=\"a\"'"),
            (
                "Content-Type: text/plain",
                "part 2 of the multipart body has no Content-Disposition;",
            ),
        ] {
            let error = read(&format!("{named}--XX\r\n{header}\r\n\r\nv\r\n--XX--\r\n"));
            let said = error.unwrap_err().description;
            assert!(said.contains("part 2 ") && said.contains(says), "{said}");
        }
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
