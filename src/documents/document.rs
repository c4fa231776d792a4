//! A document, and the reader of `adds` and `updates`, which are documents in XML. References to remove are
//! read by [`super::csv`].
//!
//! Names and structure are those of the vendor's published schema of CFS; other elements are skipped. [`super::xml`] checks
//! that the text is well-formed, this module that it has documents.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::xml::{ParseError, Piece, StrictReader, Tag};
use super::{reference, shorten};

/// Largest number of fields in one parameter: a tiny element takes twenty times its size in memory.
const MAX_FIELDS: usize = 1_000_000;

/// Bytes that the names of nested fields may take in all, for each byte of text. They repeat the names
/// of the elements around them, so without a bound a small text could fill the memory.
const MAX_NAME_BYTES_PER_BYTE: usize = 8;

/// The change that a document asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    /// Takes it in, with its content.
    Add,
    /// Changes its fields, never its content.
    Update,
}

/// One document to add or update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The change that it asks for.
    pub(crate) kind: DocumentKind,
    /// The first reference; further ones are fields named `Reference`.
    pub(crate) reference: String,
    /// Names and values in the order they came; those of `xmlmetadata` nest as `A/B`, and
    /// attributes there as `A/@b`.
    pub(crate) fields: Vec<(String, String)>,
    /// Text that came with the document, in sections.
    pub(crate) pages: Vec<String>,
    /// The document itself.
    pub(crate) source: Option<DocumentSource>,
}

/// The location or content of a document itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentSource {
    /// A file that this server can read.
    File {
        /// Its path.
        path: PathBuf,
        /// It is deleted once the document is safe.
        temporary: bool,
    },
    /// The document's bytes.
    Content(Vec<u8>),
}

/// Goes through the documents of one parameter. The root element is `adds`, `updates`, or a single
/// `add` or `update`. After an error it ends.
pub(crate) struct Documents<'a> {
    xml: StrictReader<'a>,
    at: Position,
    fields_left: usize,
    name_bytes_left: usize,
}

enum Position {
    Before,
    Inside,
    Behind,
    Over,
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.at = Position::Over;
        }
        next
    }
}

impl<'a> Documents<'a> {
    /// Starts to read.
    ///
    /// # Errors
    ///
    /// A character that XML forbids, wherever it stands.
    pub(crate) fn new(text: &'a str) -> Result<Self, ParseError> {
        Ok(Self {
            xml: StrictReader::new(text)?,
            at: Position::Before,
            fields_left: MAX_FIELDS,
            name_bytes_left: text
                .len()
                .saturating_mul(MAX_NAME_BYTES_PER_BYTE)
                .saturating_add(65_536),
        })
    }

    fn advance(&mut self) -> Result<Option<Document>, ParseError> {
        loop {
            match self.at {
                Position::Before => {
                    let Piece::Start(root) = self.xml.next()? else { continue };
                    match (kind_of(&root.name), root.name.as_str()) {
                        (Some(kind), _) => {
                            self.at = Position::Behind;
                            return self.document(kind, &root).map(Some);
                        }
                        (None, "adds" | "updates") => self.at = Position::Inside,
                        (None, name) => {
                            let message = format!(
                                "root element \"{}\" is not allowed; allowed are adds, updates, add, update",
                                shorten(name)
                            );
                            return Err(self.xml.error(root.at, message));
                        }
                    }
                }
                Position::Inside => match self.xml.next()? {
                    Piece::Start(tag) => match kind_of(&tag.name) {
                        Some(kind) => return self.document(kind, &tag).map(Some),
                        None => self.skip()?,
                    },
                    Piece::Text(_) => {}
                    Piece::End | Piece::Done => self.at = Position::Behind,
                },
                Position::Behind => {
                    if self.xml.next()? == Piece::Done {
                        return Ok(None);
                    }
                }
                Position::Over => return Ok(None),
            }
        }
    }

    fn document(&mut self, kind: DocumentKind, tag: &Tag) -> Result<Document, ParseError> {
        let mut document = Document {
            kind,
            reference: String::new(),
            fields: Vec::new(),
            pages: Vec::new(),
            source: None,
        };
        let mut seen_inner = false;
        self.children(&mut document, &mut seen_inner, false)?;
        if document.reference.is_empty() {
            return Err(self.xml.error(tag.at, format!("{} has no reference", tag.name)));
        }
        Ok(document)
    }

    /// Reads the elements in `add` or `update`, or in the `document` there: both may hold all of them.
    fn children(
        &mut self,
        document: &mut Document,
        seen_inner: &mut bool,
        inner: bool,
    ) -> Result<(), ParseError> {
        loop {
            let tag = match self.xml.next()? {
                Piece::Start(tag) => tag,
                Piece::Text(_) => continue,
                Piece::End | Piece::Done => return Ok(()),
            };
            match tag.name.as_str() {
                "document" if !inner => {
                    if std::mem::replace(seen_inner, true) {
                        return Err(self
                            .xml
                            .error(tag.at, "a second document in one add or update"));
                    }
                    self.children(document, seen_inner, true)?;
                }
                "reference" => {
                    let text = self.text()?;
                    let text = text.trim();
                    if text.is_empty() {
                        return Err(self.xml.error(tag.at, "a reference is empty"));
                    }
                    if document.reference.is_empty() {
                        document.reference = text.to_owned();
                    } else {
                        self.field(document, &tag, "Reference".to_owned(), text.to_owned())?;
                    }
                }
                "metadata" => {
                    let name = self.required(&tag, "name")?;
                    let value = tag.attribute("value").map(str::to_owned);
                    let value = value.ok_or_else(|| self.lacks(&tag, "value"))?;
                    self.field(document, &tag, name, value)?;
                    self.skip()?;
                }
                "xmlmetadata" => self.nested(document, &mut String::new(), &tag)?,
                "pages" => {
                    let content = tag.attribute("content").map(str::to_owned);
                    document.pages.push(content.ok_or_else(|| self.lacks(&tag, "content"))?);
                    self.skip()?;
                }
                "source" => {
                    let source = self.source(&tag)?;
                    if document.source.replace(source).is_some() {
                        return Err(self.xml.error(tag.at, "a document has two sources"));
                    }
                    self.skip()?;
                }
                _ => self.skip()?,
            }
        }
    }

    /// Reads the fields of `xmlmetadata`, and below; `path` is the current path, such as `A/B`. The reader bounds the depth.
    fn nested(
        &mut self,
        document: &mut Document,
        path: &mut String,
        element: &Tag,
    ) -> Result<(), ParseError> {
        let mut text = String::new();
        let mut has_children = false;
        loop {
            match self.xml.next()? {
                Piece::Text(more) => text.push_str(&more),
                Piece::Start(tag) => {
                    has_children = true;
                    let before = path.len();
                    if before > 0 {
                        path.push('/');
                    }
                    path.push_str(&tag.name);
                    for (name, value) in &tag.attributes {
                        self.charge(&tag, path.len() + name.len())?;
                        self.field(document, &tag, format!("{path}/@{name}"), value.clone())?;
                    }
                    self.charge(&tag, path.len())?;
                    self.nested(document, path, &tag)?;
                    path.truncate(before);
                }
                Piece::End | Piece::Done => break,
            }
        }
        // White space between elements is no value, but what a leaf holds is kept to the letter.
        let value = if has_children { text.trim() } else { text.as_str() };
        if !path.is_empty() && (!has_children || !value.is_empty()) {
            self.field(document, element, path.clone(), value.to_owned())?;
        }
        Ok(())
    }

    fn charge(&mut self, tag: &Tag, bytes: usize) -> Result<(), ParseError> {
        match self.name_bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.name_bytes_left = left;
                Ok(())
            }
            None => {
                Err(self.xml.error(tag.at, "the names of nested xmlmetadata are too long in all"))
            }
        }
    }

    fn field(
        &mut self,
        document: &mut Document,
        tag: &Tag,
        name: String,
        value: String,
    ) -> Result<(), ParseError> {
        if self.fields_left == 0 {
            return Err(self.xml.error(tag.at, format!("there are more than {MAX_FIELDS} fields")));
        }
        self.fields_left -= 1;
        document.fields.push((name, value));
        Ok(())
    }

    fn source(&self, tag: &Tag) -> Result<DocumentSource, ParseError> {
        let temporary = match tag.attribute("lifetime") {
            None | Some("permanent") => false,
            Some("temporary") => true,
            Some(other) => {
                let message = format!(
                    "lifetime \"{}\" is not allowed; allowed are permanent, temporary",
                    shorten(other)
                );
                return Err(self.xml.error(tag.at, message));
            }
        };
        match (tag.attribute("filename"), tag.attribute("content")) {
            (Some(_), None) => {
                let path = reference::to_path(&self.required(tag, "filename")?);
                Ok(DocumentSource::File { path, temporary })
            }
            (None, Some(content)) => {
                let content: String = content.split_ascii_whitespace().collect();
                let bytes = BASE64.decode(content);
                bytes.map(DocumentSource::Content).map_err(|e| {
                    self.xml.error(tag.at, format!("the content of source is not base64: {e}"))
                })
            }
            _ => Err(self.xml.error(tag.at, "source needs either filename or content")),
        }
    }

    fn required(&self, tag: &Tag, name: &str) -> Result<String, ParseError> {
        let value = tag.attribute(name).filter(|v| !v.trim().is_empty());
        value.map(str::to_owned).ok_or_else(|| self.lacks(tag, name))
    }

    fn lacks(&self, tag: &Tag, attribute: &str) -> ParseError {
        self.xml.error(tag.at, format!("{} has no {attribute}", tag.name))
    }

    /// Reads the text of an element whose start has been read; elements in it are skipped.
    fn text(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        loop {
            match self.xml.next()? {
                Piece::Text(more) => text.push_str(&more),
                Piece::Start(_) => self.skip()?,
                Piece::End | Piece::Done => return Ok(text),
            }
        }
    }

    /// Skips the rest of an element whose start has been read.
    fn skip(&mut self) -> Result<(), ParseError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.xml.next()? {
                Piece::Start(_) => depth += 1,
                Piece::End => depth -= 1,
                Piece::Text(_) => {}
                Piece::Done => return Ok(()),
            }
        }
        Ok(())
    }
}

fn kind_of(name: &str) -> Option<DocumentKind> {
    match name {
        "add" => Some(DocumentKind::Add),
        "update" => Some(DocumentKind::Update),
        _ => None,
    }
}
