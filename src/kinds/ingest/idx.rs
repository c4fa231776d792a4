//! Documents in IDX, the line format that the vendor's index servers read, and as lines of JSON.
//!
//! IDX has no escapes that are documented, so what could be taken for its markup is changed here
//! (our choice); the JSON lines hold everything to the letter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::documents::document::{Document, DocumentKind};

/// The lines that end a file of IDX documents.
pub(crate) const IDX_END: &str = "#DREENDDATANOOP\n\n";

/// Characters that must not stand raw in a reference that is percent-encoded on a line of its own.
const LINE: &AsciiSet = &CONTROLS.add(b'%');

/// Writes one document in IDX; `sections` are its content.
pub(crate) fn write_idx<S: AsRef<str>>(
    out: &mut impl Write,
    document: &Document,
    sections: &[S],
) -> io::Result<()> {
    writeln!(out, "#DREREFERENCE {}", one_line(&document.reference))?;
    let (mut title, mut database, mut date) = (None, None, None);
    for (name, value) in &document.fields {
        if is(name, "DRETITLE") {
            title = Some(value);
        } else if is(name, "DREDBNAME") {
            database = Some(value);
        } else if is(name, "DREDATE") {
            date = Some(value);
        } else {
            writeln!(out, "#DREFIELD {}=\"{}\"", field_name(name), lines(&quoted(value)))?;
        }
    }
    if let Some(date) = date {
        writeln!(out, "#DREDATE {}", one_line(date))?;
    }
    if let Some(title) = title {
        writeln!(out, "#DRETITLE\n{}", lines(title))?;
    }
    if let Some(database) = database {
        writeln!(out, "#DREDBNAME {}", one_line(database))?;
    }
    for (number, section) in sections.iter().enumerate() {
        writeln!(out, "#DRESECTION {number}\n#DRECONTENT\n{}", lines(section.as_ref()))?;
    }
    writeln!(out, "#DREENDDOC")
}

/// Writes one document as a line of JSON; sections of its content are joined by line feeds.
pub(crate) fn write_json<S: AsRef<str>>(
    out: &mut impl Write,
    document: &Document,
    sections: &[S],
) -> io::Result<()> {
    let mut line = Line {
        action: match document.kind {
            DocumentKind::Add => "add",
            DocumentKind::Update => "update",
        },
        reference: &document.reference,
        title: None,
        database: None,
        fields: Some(BTreeMap::new()),
        content: None,
    };
    for (name, value) in &document.fields {
        if is(name, "DRETITLE") {
            line.title = Some(value);
        } else if is(name, "DREDBNAME") {
            line.database = Some(value);
        }
        if let Some(fields) = &mut line.fields {
            fields.entry(name.as_str()).or_default().push(value.as_str());
        }
    }
    let content = match sections {
        [] => None,
        [only] => Some(Cow::Borrowed(only.as_ref())),
        many => Some(Cow::Owned(many.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\n"))),
    };
    line.content = content.as_deref();
    write_line(out, &line)
}

/// Writes the removal of a reference as a line of JSON.
pub(crate) fn write_json_remove(out: &mut impl Write, reference: &str) -> io::Result<()> {
    write_line(
        out,
        &Line {
            action: "remove",
            reference,
            title: None,
            database: None,
            fields: None,
            content: None,
        },
    )
}

/// Writes a reference to remove: percent-encoded, on a line of its own.
pub(crate) fn write_remove(out: &mut impl Write, reference: &str) -> io::Result<()> {
    writeln!(out, "{}", utf8_percent_encode(reference, LINE))
}

#[derive(Serialize)]
struct Line<'a> {
    action: &'static str,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<BTreeMap<&'a str, Vec<&'a str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

fn write_line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn is(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// Brings a field's name to what IDX allows: no spaces, no accents, nothing that ends a name.
fn field_name(name: &str) -> String {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | ':');
    name.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

/// Puts a backslash before each quote, and doubles those before a quote or at the end, so that the end of the value is clear.
fn quoted(value: &str) -> Cow<'_, str> {
    if !value.contains('"') && !value.ends_with('\\') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 8);
    let mut backslashes = 0_usize;
    for c in value.chars() {
        if c == '"' {
            out.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        out.push(c);
    }
    out.extend(std::iter::repeat_n('\\', backslashes));
    Cow::Owned(out)
}

/// Makes every line end a line feed, and puts a space before lines that would be taken for markup.
fn lines(text: &str) -> Cow<'_, str> {
    let is_markup = |line: &str| line.get(..4).is_some_and(|start| is(start, "#DRE"));
    if !text.contains('\r') && !text.split('\n').any(is_markup) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len() + 16);
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if is_markup(line) {
            out.push(' ');
        }
        out.push_str(line);
    }
    Cow::Owned(out)
}

/// Keeps a value on its line: one that holds control characters is percent-encoded.
fn one_line(value: &str) -> Cow<'_, str> {
    if value.contains(char::is_control) {
        utf8_percent_encode(value, LINE).into()
    } else {
        Cow::Borrowed(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(fields: &[(&str, &str)]) -> Document {
        Document {
            kind: DocumentKind::Add,
            reference: "ref".to_owned(),
            fields: fields.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect(),
            pages: Vec::new(),
            source: None,
        }
    }

    fn idx(document: &Document, sections: &[&str]) -> String {
        let mut out = Vec::new();
        write_idx(&mut out, document, sections).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json(document: &Document, sections: &[&str]) -> String {
        let mut out = Vec::new();
        write_json(&mut out, document, sections).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_document_in_idx() {
        let document = document(&[
            ("A", "1"),
            ("dretitle", "T"),
            ("DREDBNAME", "News"),
            ("DREDATE", "1998/08/06"),
            ("A", "2"),
        ]);
        assert_eq!(
            idx(&document, &["one\ntwo", "three"]),
            "#DREREFERENCE ref\n#DREFIELD A=\"1\"\n#DREFIELD A=\"2\"\n#DREDATE 1998/08/06\n#DRETITLE\nT\n#DREDBNAME News\n\
             #DRESECTION 0\n#DRECONTENT\none\ntwo\n#DRESECTION 1\n#DRECONTENT\nthree\n#DREENDDOC\n"
        );
        assert!(!idx(&document, &[]).contains("#DRECONTENT"));
    }

    #[test]
    fn nothing_in_a_document_is_taken_for_markup() {
        let mut document =
            document(&[("Näme \"x\"", "a\r\n#dreenddoc\n\"b"), ("DREDBNAME", "x\n#DREENDDOC")]);
        document.reference = "é\n#DREENDDOC".to_owned();
        assert!(idx(&document, &[]).starts_with("#DREREFERENCE %C3%A9%0A#DREENDDOC\n"));
        let text = idx(&document, &["#DREENDDOC\r#DREENDDATA\n#DR"]);
        assert_eq!(
            text,
            "#DREREFERENCE %C3%A9%0A#DREENDDOC\n#DREFIELD N_me__x_=\"a\n #dreenddoc\n\\\"b\"\n#DREDBNAME x%0A#DREENDDOC\n\
             #DRESECTION 0\n#DRECONTENT\n #DREENDDOC\n #DREENDDATA\n#DR\n#DREENDDOC\n"
        );
    }

    #[test]
    fn quotes_and_backslashes_can_be_told_apart() {
        assert_eq!(one_line("/é 100%"), "/é 100%");
        for (value, expected) in [
            ("plain", "plain"),
            ("C:\\dir\\file", "C:\\dir\\file"),
            ("C:\\dir\\", "C:\\dir\\\\"),
            ("say \"x\"", "say \\\"x\\\""),
            ("\\\"", "\\\\\\\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }

    #[test]
    fn a_document_in_json() {
        let document =
            document(&[("B", "1"), ("A", "\n"), ("B", "2"), ("DRETITLE", "T"), ("DREDBNAME", "D")]);
        assert_eq!(
            json(&document, &["one", "two"]),
            "{\"action\":\"add\",\"reference\":\"ref\",\"title\":\"T\",\"database\":\"D\",\
             \"fields\":{\"A\":[\"\\n\"],\"B\":[\"1\",\"2\"],\"DREDBNAME\":[\"D\"],\"DRETITLE\":[\"T\"]},\"content\":\"one\\ntwo\"}\n"
        );
        let plain = Document { kind: DocumentKind::Update, fields: Vec::new(), ..document };
        assert_eq!(
            json(&plain, &[]),
            "{\"action\":\"update\",\"reference\":\"ref\",\"fields\":{}}\n"
        );
        let mut out = Vec::new();
        write_json_remove(&mut out, "a\"b").unwrap();
        assert_eq!(out, b"{\"action\":\"remove\",\"reference\":\"a\\\"b\"}\n");
    }

    #[test]
    fn a_removed_reference_keeps_to_its_line() {
        let mut out = Vec::new();
        write_remove(&mut out, "/a b/100%\né").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "/a b/100%25%0A%C3%A9\n");
    }
}
