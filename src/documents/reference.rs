//! A file's reference: the name of its document for Ingest, from which the path can be read again.
//!
//! A reference is the absolute path where that is plain text. A path that is not UTF-8, or holds
//! what would not survive XML, becomes `bytes:` and the percent-encoded path (our choice). The two
//! forms cannot collide, for an absolute path starts with `/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::xml::is_xml_char;

const PREFIX: &str = "bytes:";

/// Characters that stay readable in the encoded form.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Returns the reference of a path.
pub(crate) fn of(path: &Path) -> String {
    of_bytes(path.as_os_str().as_encoded_bytes())
}

/// Returns the reference of a path given by its bytes.
pub(crate) fn of_bytes(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if is_plain(text) => text.to_owned(),
        _ => format!("{PREFIX}{}", percent_encode(path, ENCODED)),
    }
}

/// Returns the path of a reference; one without the prefix is a path as it stands.
pub(crate) fn to_path(reference: &str) -> PathBuf {
    match reference.strip_prefix(PREFIX) {
        Some(encoded) => path_of_bytes(percent_decode_str(encoded).collect()),
        None => PathBuf::from(reference),
    }
}

/// Returns the path with these bytes.
#[cfg(unix)]
pub(crate) fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    PathBuf::from(OsString::from_vec(bytes))
}

/// Returns the path with these bytes; where paths are not bytes, what is not UTF-8 is replaced.
#[cfg(not(unix))]
pub(crate) fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Returns true if a path survives XML and a line of text. Space at the end would be trimmed.
fn is_plain(text: &str) -> bool {
    let is_breaking =
        |c: char| c.is_control() || !is_xml_char(c) || matches!(c, '\u{2028}' | '\u{2029}');
    Path::new(text).is_absolute()
        && !text.starts_with(PREFIX)
        && !text.ends_with(char::is_whitespace)
        && !text.contains(is_breaking)
}

#[cfg(all(test, unix))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::documents::csv;
    use crate::documents::document::Documents;

    #[test]
    fn plain_paths_stay_and_others_are_encoded() {
        for (path, expected) in [
            (&b"/a b/c,d.txt"[..], "/a b/c,d.txt"),
            ("/é/100%".as_bytes(), "/é/100%"),
            (b"/bytes:", "/bytes:"),
            (b"/a\nb", "bytes:/a%0Ab"),
            (b"/a\xFF", "bytes:/a%FF"),
            (b"/a ", "bytes:/a%20"),
            (b"bytes:/a", "bytes:bytes%3A/a"),
            (b"relative", "bytes:relative"),
            ("/\u{FFFE}".as_bytes(), "bytes:/%EF%BF%BE"),
        ] {
            assert_eq!(of_bytes(path), expected);
            assert_eq!(to_path(expected), path_of_bytes(path.to_vec()));
        }
        assert_eq!(to_path("My File.doc"), PathBuf::from("My File.doc"));
    }

    proptest! {
        #[test]
        fn every_path_comes_back(tail in any::<Vec<u8>>(), absolute in any::<bool>()) {
            let path = if absolute { [b"/".as_slice(), &tail].concat() } else { tail };
            let reference = of_bytes(&path);
            prop_assert_eq!(to_path(&reference).into_os_string().into_encoded_bytes(), path);
        }

        #[test]
        fn references_survive_the_way_to_ingest(tail in "[a-z,\"'<&> \n\t\u{85}\u{1}é%]{0,8}") {
            let reference = of_bytes(format!("/{tail}").as_bytes());
            let escaped = quick_xml::escape::escape(reference.as_str());
            let xml = format!("<add><reference>{escaped}</reference></add>");
            let document = Documents::new(&xml).unwrap().next().unwrap().unwrap();
            prop_assert_eq!(&document.reference, &reference);
            prop_assert_eq!(csv::read(&csv::write([reference.as_str()])).unwrap(), [reference]);
        }
    }
}
