//! Extracts the text of a document: its pages, or its source if that is text.

use std::io::Read as _;
use std::path::Path;

use super::super::shorten;
use super::sources::Sources;
use crate::documents::beneath::Stamp;
use crate::documents::document::{Document, DocumentKind, DocumentSource};

/// The field with the reason for which no text was extracted from a source.
const ERROR_FIELD: &str = "ImportErrorDescription";
/// The field that says that only the beginning of a source was extracted.
const CUT_FIELD: &str = "ImportContentTruncated";

/// The text that was extracted from a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Extracted {
    /// Sections of text, at least one; and the stamp of their file, if it is to be deleted.
    Text(Vec<String>, Option<Stamp>),
    /// The beginning of a text that is longer than allowed. Its source must stay, for nothing else holds the rest.
    Beginning {
        text: String,
        /// The source was a file that was to be deleted.
        was_temporary: bool,
    },
    /// No text; with a reason, unless the document has none.
    Nothing(Option<String>),
    /// No text, because its source could not be read or is not allowed; with the reason.
    Failed(String),
    /// No text, as intended: an update changes fields only.
    Update,
}

/// Returns true if a document holds something that is not used: an update changes fields only, and a document with pages has
/// its source ignored.
pub(crate) fn holds_unused(document: &Document) -> bool {
    let (has_pages, has_source) = (!document.pages.is_empty(), document.source.is_some());
    match document.kind {
        DocumentKind::Update => has_pages || has_source,
        DocumentKind::Add => has_pages && has_source,
    }
}

/// Extracts the text of the document with this index; at most `max_bytes` of a source are read. If there is none, the reason
/// is added as a field of the document, too.
pub(crate) fn extract(
    document: &mut Document,
    index: usize,
    sources: &Sources<'_>,
    max_bytes: usize,
) -> Extracted {
    if document.kind == DocumentKind::Update {
        return Extracted::Update;
    }
    let pages = std::mem::take(&mut document.pages);
    if !pages.is_empty() {
        return Extracted::Text(pages, None);
    }
    let taken = match document.source.take() {
        None => Extracted::Nothing(None),
        Some(DocumentSource::Content(mut bytes)) => {
            let cut = bytes.len() > max_bytes;
            bytes.truncate(max_bytes);
            taken(bytes, cut, None, "source content")
        }
        Some(DocumentSource::File { path, temporary }) => {
            let path_shown = path.to_string_lossy();
            let shown = shorten(&path_shown);
            match read_file(index, &path, sources, max_bytes) {
                Ok((bytes, cut, stamp)) => taken(bytes, cut, temporary.then_some(stamp), &shown),
                Err(why) => Extracted::Failed(format!("{shown}: {why}")),
            }
        }
    };
    match &taken {
        Extracted::Failed(why) | Extracted::Nothing(Some(why)) => {
            document.fields.push((ERROR_FIELD.to_owned(), why.clone()));
        }
        Extracted::Beginning { .. } => {
            let why =
                format!("only the first {max_bytes} bytes were taken, as MaxContentSize says");
            document.fields.push((CUT_FIELD.to_owned(), why));
        }
        Extracted::Text(..) | Extracted::Nothing(None) | Extracted::Update => {}
    }
    taken
}

fn taken(bytes: Vec<u8>, cut: bool, stamp: Option<Stamp>, shown: &str) -> Extracted {
    match text_of(bytes, cut) {
        Ok(text) if text.is_empty() => Extracted::Nothing(None),
        Ok(text) if cut => Extracted::Beginning { text, was_temporary: stamp.is_some() },
        Ok(text) => Extracted::Text(vec![text], stamp),
        Err(why) => Extracted::Nothing(Some(format!("{shown}: {why}"))),
    }
}

/// Reads the start of a file; also returns true if there was more, and the file's stamp when it was opened.
fn read_file(
    index: usize,
    path: &Path,
    sources: &Sources<'_>,
    max_bytes: usize,
) -> Result<(Vec<u8>, bool, Stamp), String> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let (file, stamp) = sources.open(index, path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let cut = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok((bytes, cut, stamp))
}

/// Returns the bytes as text, or the reason for which they are none. Text that was cut ends at the last whole character.
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
    fn take_from(directory: &Path, document: &mut Document, max_bytes: usize) -> Extracted {
        let options = IngestOptions {
            output: Vec::new(),
            directory: directory.join("out"),
            max_content_bytes: max_bytes,
            max_output_bytes: 0,
            allowed_sources: vec![directory.to_owned()],
            avoided: Vec::new(),
        };
        let sources = Sources::new(&options, "Ingest", &Parameters::default()).unwrap();
        extract(document, 0, &sources, max_bytes)
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
                            Extracted::Beginning { text: text.to_owned(), was_temporary: false };
                        let told = format!(
                            "only the first {max} bytes were taken, as MaxContentSize says"
                        );
                        (beginning, vec![(CUT_FIELD.to_owned(), told)])
                    }
                    Ok(text) => (Extracted::Text(vec![text.to_owned()], None), vec![]),
                    Err("") => (Extracted::Nothing(None), vec![]),
                    Err(why) => {
                        let why = format!("{shown}: {why}");
                        (Extracted::Nothing(Some(why.clone())), vec![(ERROR_FIELD.to_owned(), why)])
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
        let expected = Extracted::Text(vec!["page".to_owned()], None);
        assert_eq!(take_from(directory.path(), &mut document.clone(), 10), expected);
        document.kind = DocumentKind::Update;
        assert_eq!(take_from(directory.path(), &mut document, 10), Extracted::Update);
    }

    #[test]
    fn only_a_temporary_file_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "text").unwrap();
        for temporary in [false, true] {
            let mut document = with(DocumentSource::File { path: path.clone(), temporary });
            let cut = take_from(directory.path(), &mut document.clone(), 3);
            assert_eq!(
                cut,
                Extracted::Beginning { text: "tex".to_owned(), was_temporary: temporary }
            );
            let taken = take_from(directory.path(), &mut document, 10);
            let Extracted::Text(sections, stamp) = taken else { panic!("{taken:?}") };
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
            let Extracted::Failed(told) = taken else { panic!("{taken:?}") };
            assert!(told.contains(why) && told.len() < 300, "{told}");
            assert_eq!(document.fields, [(ERROR_FIELD.to_owned(), told)]);
        }
    }
}
