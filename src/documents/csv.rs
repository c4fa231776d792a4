//! A line of comma-separated references, read and written: the value of `removes`.
//!
//! A reference that holds a comma is put in double quotes, with quotes inside doubled. Clients that
//! know no quotes are served as well: quotes matter only at the start of a reference (our choice).

use super::xml::ParseError;

/// Reads references. White space around an unquoted one is dropped, and so are empty ones.
///
/// # Errors
///
/// Text after a closing quote, or a quote that is not closed; with its line and column.
pub(crate) fn read(text: &str) -> Result<Vec<String>, ParseError> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let (reference, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (reference, after) = unquote(quoted)
                    .ok_or_else(|| ParseError::at(text, at, "a quoted reference is not closed"))?;
                (reference, after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (reference, after) = rest.split_at(end);
                (reference.trim_end().to_owned(), after)
            }
        };
        if !reference.is_empty() {
            all.push(reference);
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(all),
            None => {
                let at = text.len() - after.len();
                return Err(ParseError::at(
                    text,
                    at,
                    "a quoted reference is not followed by a comma",
                ));
            }
        }
    }
}

/// Reads up to the closing quote; returns what was quoted and what follows.
fn unquote(mut rest: &str) -> Option<(String, &str)> {
    let mut quoted = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        quoted.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                quoted.push('"');
                rest = next;
            }
            None => return Some((quoted, after)),
        }
    }
}

/// Writes references so that [`read`] gives the same ones back; empty ones are lost.
pub(crate) fn write<'a>(references: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for reference in references {
        if !line.is_empty() {
            line.push(',');
        }
        if reference.contains(',') || reference.starts_with('"') || reference.trim() != reference {
            line.push('"');
            line.push_str(&reference.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(reference);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_read() {
        for (text, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a b , c\n", &["a b", "c"]),
            ("\"a,b\",c", &["a,b", "c"]),
            (" \"a\"\"b\" ,c", &["a\"b", "c"]),
            ("\" a \"", &[" a "]),
            ("\"\",a", &["a"]),
            ("a\"b,c\"", &["a\"b", "c\""]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn bad_quotes_are_refused_with_their_place() {
        for (text, line, column, what) in [
            ("a,\n\"b", 2, 1, "not closed"),
            ("\"a\"\"", 1, 1, "not closed"),
            ("é,\"a\" b", 1, 7, "not followed by a comma"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            assert!(error.message.contains(what), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(references in proptest::collection::vec("[a,\" \n]{1,6}", 0..5)) {
            let line = write(references.iter().map(String::as_str));
            prop_assert_eq!(read(&line).unwrap(), references);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
