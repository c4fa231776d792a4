//! Finds the text of a document: its pages, or its source if that is text.

use std::io::{self, Read as _};
use std::path::Path;

use super::parse::{Document, DocumentKind, Source};
use crate::actions::regular;

/// The field that tells why a source could not be read.
const ERROR_FIELD: &str = "ImportErrorDescription";

/// Takes the sections of text out of a document; at most `max_bytes` of a source are read.
///
/// A source that cannot be read is told by a field of the document and never ends the action; it is
/// the only one that is left in the document. An update has no text: it changes fields only.
pub(crate) fn take_sections(document: &mut Document, max_bytes: usize) -> Vec<String> {
    let source = document.source.take();
    if document.kind == DocumentKind::Update {
        return Vec::new();
    }
    let pages = std::mem::take(&mut document.pages);
    if !pages.is_empty() {
        return pages;
    }
    let text = match source {
        None => None,
        Some(Source::Content(mut bytes)) => {
            let cut = bytes.len() > max_bytes;
            bytes.truncate(max_bytes);
            text_of(bytes, cut)
        }
        Some(Source::File { path, temporary }) => match read_file(&path, max_bytes) {
            Ok((bytes, cut)) => text_of(bytes, cut),
            Err(error) => {
                let why = format!("{}: {error}", path.display());
                document.fields.push((ERROR_FIELD.to_owned(), why));
                document.source = Some(Source::File { path, temporary });
                None
            }
        },
    };
    text.filter(|t| !t.is_empty()).into_iter().collect()
}

/// Reads the start of a regular file; tells whether there was more.
fn read_file(path: &Path, max_bytes: usize) -> io::Result<(Vec<u8>, bool)> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    regular::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let cut = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok((bytes, cut))
}

/// Returns the bytes as text, or `None` if they are none: not UTF-8, or with a NUL. Text that was
/// cut ends at the last whole character.
fn text_of(mut bytes: Vec<u8>, cut: bool) -> Option<String> {
    if let Err(error) = std::str::from_utf8(&bytes) {
        if !cut || error.error_len().is_some() {
            return None;
        }
        bytes.truncate(error.valid_up_to());
    }
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(source: Source) -> Document {
        Document {
            kind: DocumentKind::Add,
            reference: "r".to_owned(),
            fields: Vec::new(),
            pages: Vec::new(),
            source: Some(source),
        }
    }

    #[test]
    fn text_is_told_from_other_bytes_and_cut_between_characters() {
        for (bytes, max, expected) in [
            (&b"hello"[..], 100, Some("hello")),
            (b"hello", 5, Some("hello")),
            (b"hello", 3, Some("hel")),
            (b"hello", 0, None),
            (b"", 100, None),
            ("aé".as_bytes(), 3, Some("aé")),
            ("aé".as_bytes(), 2, Some("a")),
            ("\u{FEFF}x".as_bytes(), 10, Some("x")),
            (b"a\xC3", 10, None),
            (b"a\xFFb", 2, None),
            (b"a\0b", 10, None),
        ] {
            let sections = take_sections(&mut with(Source::Content(bytes.to_vec())), max);
            assert_eq!(sections.first().map(String::as_str), expected, "{bytes:?} {max}");

            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            fs::write(&path, bytes).unwrap();
            let mut document = with(Source::File { path, temporary: false });
            let sections = take_sections(&mut document, max);
            assert_eq!(sections.first().map(String::as_str), expected, "file {bytes:?} {max}");
            assert!(document.fields.is_empty());
        }
    }

    #[test]
    fn pages_come_before_the_source_and_updates_have_no_text() {
        let mut document = with(Source::Content(b"source".to_vec()));
        document.pages = vec!["page".to_owned()];
        assert_eq!(take_sections(&mut document.clone(), 10), ["page"]);
        document.kind = DocumentKind::Update;
        assert!(take_sections(&mut document, 10).is_empty());
    }

    #[test]
    fn a_source_that_cannot_be_read_is_told_by_a_field() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("none"), directory.path().to_owned(), "a\0b".into()] {
            let mut document = with(Source::File { path, temporary: false });
            assert!(take_sections(&mut document, 10).is_empty());
            assert!(
                matches!(document.fields.as_slice(), [(name, why)] if name == ERROR_FIELD && !why.is_empty())
            );
        }
    }
}
