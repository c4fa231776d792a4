//! One line of a configuration file, read by itself.

/// A line that is neither empty nor a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'t> {
    /// `[Name]`, and what its section takes from another file: `[Name] < "file" [Section]`.
    Header(&'t str, Option<Include<'t>>),
    /// `< "file"` and what of it.
    Include(Include<'t>),
    /// `Key=Value`.
    Pair(&'t str, &'t str),
    /// `Key=< "file" [Section] Key`; of the file it is always one key.
    Taken(&'t str, Include<'t>),
}

/// Something that is taken from another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Include<'t> {
    /// Its path, as the line gives it.
    pub(super) file: &'t str,
    pub(super) part: Part<'t>,
}

/// The part of the other file that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    All,
    /// One section.
    Section(&'t str),
    /// The keys of a section whose names fit; `*` and `?` are wildcards.
    Keys {
        section: &'t str,
        name: &'t str,
        /// The value of a key that the section lacks.
        default: Option<&'t str>,
    },
}

/// Reads a line without the white space around it; `None` for one that says nothing.
///
/// # Errors
///
/// The text says what is wrong with it.
pub(super) fn read(line: &str) -> Result<Option<Content<'_>>, &'static str> {
    if says_nothing(line) {
        return Ok(None);
    }
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err("a line must not hold control characters");
    }
    if let Some(rest) = line.strip_prefix('<') {
        return include(rest).map(|include| Some(Content::Include(include)));
    }
    if let Some(rest) = line.strip_prefix('[') {
        return header(rest).map(Some);
    }
    if takes_value_without_sign(line) {
        return Err(
            "a value can't be taken from a file in this form: write Key=< \"file\" [Section] Key, or < \"file\" [Section] Key",
        );
    }
    match line.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            let (key, value) = (key.trim(), value.trim());
            match value.strip_prefix('<').filter(|rest| rest.trim_start().starts_with('"')) {
                Some(rest) => taken(key, rest).map(Some),
                None => Ok(Some(Content::Pair(key, value))),
            }
        }
        Some(_) => Err("a value without a key"),
        None => Err("neither a [Section], nor Key=Value, nor < \"file\", nor a comment"),
    }
}

fn says_nothing(text: &str) -> bool {
    text.is_empty() || ["//", "#", ";"].iter().any(|mark| text.starts_with(mark))
}

fn header(rest: &str) -> Result<Content<'_>, &'static str> {
    let Some((name, after)) = rest.split_once(']') else {
        return Err("a section header without its closing ]");
    };
    let (name, after) = (name.trim(), after.trim());
    if name.is_empty() {
        return Err("a section header without a name");
    }
    if says_nothing(after) {
        return Ok(Content::Header(name, None));
    }
    let Some(rest) = after.strip_prefix('<') else {
        return Err("text after a section header, where only a comment or < \"file\" may stand");
    };
    match include(rest)? {
        Include { part: Part::All, .. } => {
            Err("a section can't hold a whole file: say which section of it, as [Name]")
        }
        include => Ok(Content::Header(name, Some(include))),
    }
}

/// Reads what stands after the `<`.
fn include(rest: &str) -> Result<Include<'_>, &'static str> {
    let quoted = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let Some((file, rest)) = quoted else {
        return Err("the file to include must stand in double quotes after the <");
    };
    if file.trim().is_empty() {
        return Err("the file to include has no name");
    }
    let rest = rest.trim();
    if says_nothing(rest) {
        return Ok(Include { file, part: Part::All });
    }
    let section = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some((section, rest)) = section else {
        return Err("after the file to include, only [Section] or a comment may stand");
    };
    let (section, rest) = (section.trim(), rest.trim());
    if says_nothing(rest) {
        return Ok(Include { file, part: Part::Section(section) });
    }
    let (name, default) = match rest.split_once('=') {
        Some((name, default)) => (name.trim(), Some(default.trim())),
        None => (rest, None),
    };
    if name.is_empty() {
        return Err("a default value without the name of its key");
    }
    if default.is_some() && name.contains(['*', '?']) {
        return Err("a default value can't be that of several keys (* or ?)");
    }
    Ok(Include { file, part: Part::Keys { section, name, default } })
}

/// Reads what stands after the `<` behind a key.
fn taken<'t>(key: &'t str, rest: &'t str) -> Result<Content<'t>, &'static str> {
    let include = include(rest)?;
    match include.part {
        Part::Keys { name, .. } if name.contains(['*', '?']) => {
            Err("the value of a key can't be that of several keys (* or ?)")
        }
        Part::Keys { .. } => Ok(Content::Taken(key, include)),
        Part::All | Part::Section(_) => Err(
            "the value of a key can't be a whole file or section: say which key of it, as [Section] Key",
        ),
    }
}

/// Returns true if the line may be meant to take one value from a file, as `Key < "file" [Section] Key`: no form that is
/// documented, and it must not become a value.
fn takes_value_without_sign(line: &str) -> bool {
    let quoted_after_mark = |text: &str| {
        text.split_once('<').is_some_and(|(_, rest)| rest.trim_start().starts_with('"'))
    };
    match line.split_once('=') {
        // The file's name may hold the `=`: if the mark is in the key, the whole line is looked at.
        Some((key, _)) => key.contains('<') && quoted_after_mark(line),
        None => quoted_after_mark(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lines() {
        let all = Some(Include { file: "a b.cfg", part: Part::All });
        let section = Some(Include { file: "a.cfg", part: Part::Section("T") });
        let keys = |name, default| {
            Some(Include { file: "a.cfg", part: Part::Keys { section: "T", name, default } })
        };
        let included = |include: Option<Include<'static>>| include.map(Content::Include);
        let header = |include| Some(Content::Header("S x", include));
        let taken = |key, default| {
            let part = Part::Keys { section: "T", name: "Key", default };
            Some(Content::Taken(key, Include { file: "a.cfg", part }))
        };
        let table = [
            ("", None),
            ("// [S]", None),
            ("#A=1", None),
            (";", None),
            ("[S x]", header(None)),
            ("[ S x ] // a comment", header(None)),
            ("[S x]# a comment", header(None)),
            ("[S x]\t; a comment", header(None)),
            ("[S x] < \"a.cfg\" [T]", header(section)),
            ("[S x]<\"a.cfg\"[T]// from there", header(section)),
            ("[S x] < \"a.cfg\" [T] Key", header(keys("Key", None))),
            ("< \"a b.cfg\"", included(all)),
            ("<\"a b.cfg\" // a comment", included(all)),
            ("< \"a.cfg\" [T]", included(section)),
            ("< \"a.cfg\" [ T ] # a comment", included(section)),
            ("< \"a.cfg\" [T] Key", included(keys("Key", None))),
            ("< \"a.cfg\" [T] Key*", included(keys("Key*", None))),
            ("< \"a.cfg\" [T] Key = a=b // c", included(keys("Key", Some("a=b // c")))),
            ("< \"a.cfg\" [T] Key=", included(keys("Key", Some("")))),
            ("A b =  1 2 // 3", Some(Content::Pair("A b", "1 2 // 3"))),
            ("A=<b>", Some(Content::Pair("A", "<b>"))),
            ("A=x < \"y\"", Some(Content::Pair("A", "x < \"y\""))),
            ("A=< y", Some(Content::Pair("A", "< y"))),
            ("A b =< \"a.cfg\" [T] Key", taken("A b", None)),
            ("A b=<\"a.cfg\"[T]Key = x=y", taken("A b", Some("x=y"))),
        ];
        for (line, want) in table {
            assert_eq!(read(line), Ok(want), "{line}");
        }
    }

    #[test]
    fn bad_lines() {
        let quotes = "must stand in double quotes";
        let form = "a value can't be taken from a file in this form";
        let table = [
            ("nonsense", "neither a [Section]"),
            ("=1", "a value without a key"),
            ("A=1\u{0}", "control characters"),
            ("A=1\rB=2", "control characters"),
            ("[S", "without its closing ]"),
            ("[ ]", "a section header without a name"),
            ("[S] Port=1", "text after a section header"),
            ("[S] / c", "text after a section header"),
            ("[S] < \"a.cfg\"", "a section can't hold a whole file"),
            ("[S] < a.cfg [T]", quotes),
            ("< a.cfg", quotes),
            ("< \"a.cfg [T]", quotes),
            ("<", quotes),
            ("< \" \" [T]", "has no name"),
            ("< \"a.cfg\" T", "only [Section] or a comment"),
            ("< \"a.cfg\" [T", "only [Section] or a comment"),
            ("< \"a.cfg\" [T] =1", "without the name of its key"),
            ("< \"a.cfg\" [T] A*=1", "can't be that of several keys"),
            ("A=< \"a.cfg\"", "can't be a whole file or section"),
            ("A=< \"a.cfg\" [T]", "can't be a whole file or section"),
            ("A=< \"a.cfg\" [T] A*", "can't be that of several keys"),
            ("A=< \"a.cfg", quotes),
            ("A < \"a.cfg\" [T] A", form),
            ("A < \"a=b.cfg\" [T] A", form),
        ];
        for (line, want) in table {
            let got = read(line).unwrap_err();
            assert!(got.contains(want), "{line}: {got}");
        }
    }
}
