//! Finds the text of a document: its pages, or its source if that is text.

use std::io::Read as _;
use std::path::Path;

use super::super::shorten;
use super::sources::Sources;
use crate::documents::beneath::Stamp;
use crate::documents::document::{Document, DocumentKind, DocumentSource};

/// The field that tells why nothing was taken of a source.
const ERROR_FIELD: &str = "ImportErrorDescription";
/// The field that tells that only the beginning was taken of a source.
const CUT_FIELD: &str = "ImportContentTruncated";

/// The text that was taken of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Sections of text, at least one; and what the file was that they come from, if it is to be deleted.
    Text(Vec<String>, Option<Stamp>),
    /// The beginning of a text that is longer than may be taken. Its source must stay, for nothing else holds the rest.
    Beginning {
        text: String,
        /// The source was a file that was to be deleted.
        was_temporary: bool,
    },
    /// No text; and why, unless there was none to take.
    Nothing(Option<String>),
    /// Nothing, because its source could not be read or may not be; and why.
    Failed(String),
    /// Nothing, as was to be: an update changes fields only.
    Update,
}

/// Returns true if a document holds what is not used: an update changes fields only, and where there are pages
/// no source is read.
pub(crate) fn holds_unused(document: &Document) -> bool {
    let (has_pages, has_source) = (!document.pages.is_empty(), document.source.is_some());
    match document.kind {
        DocumentKind::Update => has_pages || has_source,
        DocumentKind::Add => has_pages && has_source,
    }
}

/// Takes the text of the document at this place; at most `max_bytes` of a source are read. Why nothing
/// was taken is told by a field of the document, too.
pub(crate) fn take(
    document: &mut Document,
    place: usize,
    sources: &Sources<'_>,
    max_bytes: usize,
) -> Taken {
    if document.kind == DocumentKind::Update {
        return Taken::Update;
    }
    let pages = std::mem::take(&mut document.pages);
    if !pages.is_empty() {
        return Taken::Text(pages, None);
    }
    let taken = match document.source.take() {
        None => Taken::Nothing(None),
        Some(DocumentSource::Content(mut bytes)) => {
            let cut = bytes.len() > max_bytes;
            bytes.truncate(max_bytes);
            taken(bytes, cut, None, "source content")
        }
        Some(DocumentSource::File { path, temporary }) => {
            let path_shown = path.to_string_lossy();
            let shown = shorten(&path_shown);
            match read_file(place, &path, sources, max_bytes) {
                Ok((bytes, cut, stamp)) => taken(bytes, cut, temporary.then_some(stamp), &shown),
                Err(why) => Taken::Failed(format!("{shown}: {why}")),
            }
        }
    };
    match &taken {
        Taken::Failed(why) | Taken::Nothing(Some(why)) => {
            document.fields.push((ERROR_FIELD.to_owned(), why.clone()));
        }
        Taken::Beginning { .. } => {
            let why =
                format!("only the first {max_bytes} bytes were taken, as MaxContentSize says");
            document.fields.push((CUT_FIELD.to_owned(), why));
        }
        Taken::Text(..) | Taken::Nothing(None) | Taken::Update => {}
    }
    taken
}

fn taken(bytes: Vec<u8>, cut: bool, stamp: Option<Stamp>, shown: &str) -> Taken {
    match text_of(bytes, cut) {
        Ok(text) if text.is_empty() => Taken::Nothing(None),
        Ok(text) if cut => Taken::Beginning { text, was_temporary: stamp.is_some() },
        Ok(text) => Taken::Text(vec![text], stamp),
        Err(why) => Taken::Nothing(Some(format!("{shown}: {why}"))),
    }
}

/// Reads the start of a file; tells whether there was more, and what it was when it was opened.
fn read_file(
    place: usize,
    path: &Path,
    sources: &Sources<'_>,
    max_bytes: usize,
) -> Result<(Vec<u8>, bool, Stamp), String> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let (file, stamp) = sources.open(place, path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let cut = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok((bytes, cut, stamp))
}

/// Returns the bytes as text, or says why they are none. Text that was cut ends at the last whole
/// character.
fn text_of(mut bytes: Vec<u8>, cut: bool) -> Result<String, String> {
    if let Err(error) = std::str::from_utf8(&bytes) {
        if !cut || error.error_len().is_some() {
            return Err(format!("not text in UTF-8 (byte {})", error.valid_up_to() + 1));
        }
        bytes.truncate(error.valid_up_to());
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(format!("not text: byte {} is NUL", at + 1));
    }
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    Ok(text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;

    use actiond_actors::Parameters;

    use super::super::IngestOptions;
    use super::*;

    fn with(source: DocumentSource) -> Document {
        Document {
            kind: DocumentKind::Add,
            reference: "r".to_owned(),
            fields: Vec::new(),
            pages: Vec::new(),
            source: Some(source),
        }
    }

    /// Takes a document whose source may lie in this directory.
    fn take_from(directory: &Path, document: &mut Document, max_bytes: usize) -> Taken {
        let options = IngestOptions {
            output: Vec::new(),
            directory: directory.join("out"),
            max_content_bytes: max_bytes,
            max_output_bytes: 0,
            allowed_sources: vec![directory.to_owned()],
            avoided: Vec::new(),
        };
        let sources = Sources::new(&options, "Ingest", &Parameters::default()).unwrap();
        take(document, 0, &sources, max_bytes)
    }

    #[test]
    fn text_is_told_from_other_bytes_and_cut_between_characters() {
        for (bytes, max, expected) in [
            (&b"hello"[..], 100, Ok("hello")),
            (b"hello", 5, Ok("hello")),
            (b"hello", 3, Ok("hel")),
            (b"hello", 0, Err("")),
            (b"", 100, Err("")),
            ("\u{FEFF}".as_bytes(), 100, Err("")),
            ("aé".as_bytes(), 3, Ok("aé")),
            ("aé".as_bytes(), 2, Ok("a")),
            ("\u{FEFF}x".as_bytes(), 10, Ok("x")),
            (b"a\xC3", 10, Err("not text in UTF-8 (byte 2)")),
            (b"a\xFFb", 2, Err("not text in UTF-8 (byte 2)")),
            (b"ab\0b", 10, Err("not text: byte 3 is NUL")),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            fs::write(&path, bytes).unwrap();
            for (source, shown) in [
                (DocumentSource::Content(bytes.to_vec()), "source content".to_owned()),
                (
                    DocumentSource::File { path: path.clone(), temporary: false },
                    path.display().to_string(),
                ),
            ] {
                let mut document = with(source);
                let taken = take_from(directory.path(), &mut document, max);
                let (expected, fields) = match expected {
                    Ok(text) if bytes.len() > max => {
                        let beginning =
                            Taken::Beginning { text: text.to_owned(), was_temporary: false };
                        let told = format!(
                            "only the first {max} bytes were taken, as MaxContentSize says"
                        );
                        (beginning, vec![(CUT_FIELD.to_owned(), told)])
                    }
                    Ok(text) => (Taken::Text(vec![text.to_owned()], None), vec![]),
                    Err("") => (Taken::Nothing(None), vec![]),
                    Err(why) => {
                        let why = format!("{shown}: {why}");
                        (Taken::Nothing(Some(why.clone())), vec![(ERROR_FIELD.to_owned(), why)])
                    }
                };
                assert_eq!(taken, expected, "{bytes:?} {max}");
                assert_eq!(document.fields, fields, "{bytes:?} {max}");
            }
        }
    }

    #[test]
    fn pages_come_before_the_source_and_updates_have_no_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "not read").unwrap();
        let mut document = with(DocumentSource::File { path, temporary: true });
        document.pages = vec!["page".to_owned()];
        let expected = Taken::Text(vec!["page".to_owned()], None);
        assert_eq!(take_from(directory.path(), &mut document.clone(), 10), expected);
        document.kind = DocumentKind::Update;
        assert_eq!(take_from(directory.path(), &mut document, 10), Taken::Update);
    }

    #[test]
    fn only_a_temporary_file_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "text").unwrap();
        for temporary in [false, true] {
            let mut document = with(DocumentSource::File { path: path.clone(), temporary });
            let cut = take_from(directory.path(), &mut document.clone(), 3);
            assert_eq!(cut, Taken::Beginning { text: "tex".to_owned(), was_temporary: temporary });
            let taken = take_from(directory.path(), &mut document, 10);
            let Taken::Text(sections, stamp) = taken else { panic!("{taken:?}") };
            assert_eq!(
                (sections.as_slice(), stamp.is_some()),
                (&["text".to_owned()][..], temporary)
            );
        }
    }

    #[test]
    fn a_source_that_cannot_be_read_is_told_by_a_field() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(5_000);
        for (path, why) in [
            (directory.path().join("none"), "No such file"),
            (directory.path().to_owned(), "not a regular file"),
            ("a\0b".into(), ""),
            (directory.path().join(long), ""),
        ] {
            let mut document = with(DocumentSource::File { path, temporary: true });
            let taken = take_from(directory.path(), &mut document, 10);
            let Taken::Failed(told) = taken else { panic!("{taken:?}") };
            assert!(told.contains(why) && told.len() < 300, "{told}");
            assert_eq!(document.fields, [(ERROR_FIELD.to_owned(), told)]);
        }
    }
}
