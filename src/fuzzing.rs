//! The fuzz targets: one function for each reader of foreign bytes, which panics where a rule is broken.
//!
//! Behind the feature `fuzzing` and no part of the public API. `fuzz/` feeds these functions with made-up bytes and
//! `tests/corpus` with the inputs kept from that; `docs/fuzzing.md` says which rules are checked. Beside this file:
//! `wire.rs` has the targets of the wire, `work.rs` those of what programs and workers say, `tree.rs` makes reply trees and compares them with what readers see, `zone.rs` has a
//! clock that changes.
#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "to panic is how a target says that a rule is broken"
)]

mod tree;
mod wire;
mod work;
mod zone;

use std::collections::HashSet;
use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::aci::element::{escape_attribute, escape_text};
use crate::documents::csv;
use crate::documents::document::{Document, DocumentKind, DocumentSource, Documents};
use crate::documents::reference as file_reference;
use crate::documents::xml::{ParseError, is_xml_char};

pub use tree::render;
pub use wire::{mender, multipart, reply, request, time_filter, token};
pub use work::result;
#[cfg(unix)]
pub use work::{command_line, program_lines};

/// A target takes any bytes and panics where a rule is broken.
pub type Target = fn(&[u8]);

/// Every target with the name of its file in `fuzz/fuzz_targets` and of its directory in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(unix)]
    ("command_line", command_line),
    ("config", config),
    ("ingest_xml", ingest_xml),
    ("mender", mender),
    ("multipart", multipart),
    #[cfg(unix)]
    ("program_lines", program_lines),
    ("reference", reference),
    ("removes_csv", removes_csv),
    ("render", render),
    ("reply", reply),
    ("request", request),
    ("result", result),
    ("time_filter", time_filter),
    ("token", token),
];

/// The most bytes that one message about bad input may have: what it repeats of the input is cut.
const MAX_MESSAGE: usize = 2000;

/// Input: the text of a configuration file, and behind NULs those of the files that it may include: `1.cfg`, `2.cfg` and so on.
/// A variable of the environment is set if its name begins with `S`, to the rest of the name. Nothing is read from the disk.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts: Vec<_> = text.split('\0').collect();
    let text = texts.first().copied().unwrap_or_default();
    let included = |name: &str| {
        let number = name.strip_suffix(".cfg").and_then(|number| number.parse::<usize>().ok());
        let text = number.filter(|number| *number > 0).and_then(|number| texts.get(number));
        text.map(|text| (*text).to_owned()).ok_or_else(|| "there is none".to_owned())
    };
    let variable = |name: &str| name.strip_prefix('S').map(Into::into);
    // Where a line is, only the first file says.
    let of_first = |file: &str, line: Option<usize>| line.filter(|_| file == "fuzz.cfg");
    match crate::config::parse_closed(text, "fuzz.cfg", &included, &variable) {
        Ok((settings, warnings)) => {
            assert!(!settings.queues.is_empty(), "no queue");
            let names: HashSet<_> =
                settings.queues.iter().map(|queue| queue.name.to_lowercase()).collect();
            assert_eq!(names.len(), settings.queues.len(), "two queues of one name");
            assert!(warnings.len() <= 101, "{} warnings", warnings.len());
            warnings.iter().for_each(|warning| check_message(&warning.to_string()));
            check_lines(text, warnings.iter().filter_map(|w| of_first(&w.file, w.line)));
        }
        Err(error) => {
            assert!((1..=100).contains(&error.problems().len()), "{error:?}");
            error.problems().iter().for_each(|problem| check_message(&problem.to_string()));
            check_lines(text, error.problems().iter().filter_map(|p| of_first(&p.file, p.line)));
        }
    }
}

/// Input: the value of the parameter `adds` or `updates`.
pub fn ingest_xml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let documents = match documents(text) {
        Ok(documents) => documents,
        Err(error) => return check_place(text, &error),
    };
    // Prefixes are names like any other to Ingest; the second reader wants each declared.
    if !text.contains(':') && !text.contains("xmlns") {
        let text = text.trim_start_matches('\u{FEFF}');
        sure("a second reader", text, roxmltree::Document::parse(text));
    }
    let names = documents.iter().flat_map(|document| &document.fields);
    let names: usize = names.map(|(name, _)| name.len()).sum();
    assert!(names <= 9 * text.len() + 65_536, "{names} bytes of names");
    for document in &documents {
        assert!(!document.reference.is_empty() && document.reference.trim() == document.reference);
    }
    let again = written(&documents);
    assert_eq!(sure("what was read, written", &again, self::documents(&again)), documents);
}

/// Input: the value of the parameter `removes`; as well, references with a NUL between them.
pub fn removes_csv(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match csv::read(&text) {
        Ok(references) => {
            assert!(references.iter().map(String::len).sum::<usize>() <= text.len());
            check_csv(&references);
        }
        Err(error) => check_place(&text, &error),
    }
    let references: Vec<_> = text.split('\0').filter(|reference| !reference.is_empty()).collect();
    check_csv(&references);
}

/// Input: the bytes of a path; as well, the text of a reference.
pub fn reference(data: &[u8]) {
    let reference = file_reference::of_bytes(data);
    let illegal = |c: char| !is_xml_char(c) || c.is_control();
    assert!(!reference.contains(illegal) && reference.trim_end() == reference, "{reference:?}");
    let path = file_reference::to_path(&reference);
    if cfg!(unix) {
        assert_eq!(path.as_os_str().as_encoded_bytes(), data, "{reference:?}");
    }
    assert_eq!(file_reference::of(&path), reference);
    check_csv(&[&reference]);
    let xml = written(&[Document {
        kind: DocumentKind::Add,
        reference: reference.clone(),
        fields: Vec::new(),
        pages: Vec::new(),
        source: Some(DocumentSource::File { path, temporary: false }),
    }]);
    let read = sure("a reference in XML", &xml, documents(&xml));
    assert_eq!(read.first().map(|document| &document.reference), Some(&reference));

    let path = file_reference::to_path(&String::from_utf8_lossy(data));
    assert_eq!(file_reference::to_path(&file_reference::of(&path)), path);
}

fn documents(text: &str) -> Result<Vec<Document>, ParseError> {
    Documents::new(text)?.collect()
}

/// Writes documents as XML without any use of nesting.
fn written(documents: &[Document]) -> String {
    let mut out = b"<adds>".to_vec();
    for document in documents {
        let kind: &[u8] = match document.kind {
            DocumentKind::Add => b"add>",
            DocumentKind::Update => b"update>",
        };
        out.extend([b"<", kind, b"<reference>"].concat());
        escape_text(&document.reference, &mut out);
        out.extend(b"</reference>");
        let mut element = |name: &str, attributes: &[(&str, &str)]| {
            out.extend(format!("<{name}").bytes());
            for (name, value) in attributes {
                out.extend(format!(" {name}=\"").bytes());
                escape_attribute(value, &mut out);
                out.push(b'"');
            }
            out.extend(b"/>");
        };
        for (name, value) in &document.fields {
            element("metadata", &[("name", name), ("value", value)]);
        }
        for page in &document.pages {
            element("pages", &[("content", page)]);
        }
        match &document.source {
            None => {}
            Some(DocumentSource::Content(bytes)) => {
                element("source", &[("content", &BASE64.encode(bytes))]);
            }
            Some(DocumentSource::File { path, temporary }) => {
                let lifetime = if *temporary { "temporary" } else { "permanent" };
                let name = file_reference::of(path);
                element("source", &[("filename", &name), ("lifetime", lifetime)]);
            }
        }
        out.extend([b"</", kind].concat());
    }
    out.extend(b"</adds>");
    sure("XML", &"", String::from_utf8(out))
}

fn check_csv<S: AsRef<str> + Debug>(references: &[S]) {
    let line = csv::write(references.iter().map(AsRef::as_ref));
    let read = sure("references, written", &line, csv::read(&line));
    assert!(read.iter().eq(references.iter().map(AsRef::as_ref)), "{references:?}: {line:?}");
}

fn check_place(text: &str, error: &ParseError) {
    // It may repeat several lines of the input, unlike a message for a log.
    check_message(&error.message.replace(['\n', '\r'], " "));
    let lines = text.matches('\n').count() + 1;
    assert!((1..=lines).contains(&error.line), "{error}");
    let line = text.split('\n').nth(error.line - 1).unwrap_or_default();
    assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
}

fn check_lines(text: &str, mut lines: impl Iterator<Item = usize>) {
    let count = text.lines().count();
    assert!(lines.all(|line| (1..=count).contains(&line)));
}

fn check_message(message: &str) {
    assert!(!message.is_empty() && message.len() <= MAX_MESSAGE, "{} bytes", message.len());
    assert!(!message.contains(['\n', '\r', '\0']), "{message:?}");
}

/// Returns a value that must be there, or panics.
fn sure<T, E: Debug>(what: &str, of: &(impl Debug + ?Sized), result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} cannot be read: {error:?}\n{of:?}"),
    }
}

/// Cuts the input at its first line feeds; what is missing is empty.
fn split<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
