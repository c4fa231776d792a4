//! Reader of ACI `.cfg` text: sections, `Key=Value` lines and comments, each with its line.
//!
//! It knows no key and no type; see `table` and `kind` for those. The form is that of the vendor's
//! shipped files: names are compared without regard to case, a comment (`//`, `#`, `;`) has a line
//! of its own, so that a value may hold `//`, `#` and `=`. Included files are refused, not ignored.

use std::collections::HashMap;

use super::findings::{Findings, Place};
use crate::aci::error::shorten;

/// How many headers and keys one file may hold: it bounds the memory and time that a file of nonsense
/// can take.
const MAX_LINES: usize = 50_000;

/// One `Key=Value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    /// Without the white space around it.
    pub(super) value: &'t str,
    /// From 1.
    pub(super) line: usize,
}

/// All that the file says under one section name, in the order of the file.
#[derive(Debug)]
pub(super) struct Section<'t> {
    pub(super) name: &'t str,
    /// Line of its first header, from 1.
    pub(super) line: usize,
    entries: Vec<Entry<'t>>,
    index: HashMap<String, usize>,
}

impl<'t> Section<'t> {
    pub(super) fn get(&self, key: &str) -> Option<Entry<'t>> {
        self.index.get(&fold(key)).and_then(|at| self.entries.get(*at)).copied()
    }

    /// Goes through the keys, each once.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'t>> {
        self.entries.iter().copied()
    }

    fn put(&mut self, entry: Entry<'t>, findings: &mut Findings) {
        let at = *self.index.entry(fold(entry.key)).or_insert(self.entries.len());
        let Some(earlier) = self.entries.get_mut(at) else {
            self.entries.push(entry);
            return;
        };
        let (section, line) = (self.name, earlier.line);
        findings.warning(Some(entry.line), || {
            let (section, key) = (shorten(section), shorten(entry.key));
            format!("[{section}] {key} was given in line {line} already; the last one counts")
        });
        *earlier = entry;
    }
}

/// The sections of one file, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Ini<'t> {
    sections: Vec<Section<'t>>,
    index: HashMap<String, usize>,
}

/// Where the next key goes.
enum Current {
    /// No header yet.
    Nowhere,
    /// Under a header that was refused: one problem is enough.
    Skipped,
    At(usize),
}

impl<'t> Ini<'t> {
    /// Splits the text; what is wrong goes to `findings`, and the rest is still read.
    pub(super) fn parse(text: &'t str, findings: &mut Findings) -> Self {
        let mut ini = Self::default();
        let mut current = Current::Nowhere;
        let mut taken = 0;
        for (index, raw) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            let line = index + 1;
            let content = raw.trim();
            if content.is_empty() || ["//", "#", ";"].iter().any(|mark| content.starts_with(mark)) {
                continue;
            }
            let line_of_file = classify(content);
            taken += usize::from(line_of_file.is_ok());
            if taken > MAX_LINES {
                let place = Place { line: Some(line), ..Place::default() };
                findings.problem(place, format!("more than {MAX_LINES} section headers and keys"));
                break;
            }
            match line_of_file {
                Ok(Line::Header(name)) => current = Current::At(ini.open(name, line)),
                Ok(Line::Pair(key, value)) => match current {
                    Current::At(at) => {
                        if let Some(section) = ini.sections.get_mut(at) {
                            section.put(Entry { key, value, line }, findings);
                        }
                    }
                    Current::Nowhere => {
                        let place = Place { line: Some(line), ..Place::default() };
                        let what = "a key before the first [Section]";
                        findings.problem(place, format!("{what}: {}", shorten(content)));
                    }
                    Current::Skipped => {}
                },
                Err(what) => {
                    if content.starts_with('[') {
                        current = Current::Skipped;
                    }
                    let place = Place { line: Some(line), ..Place::default() };
                    // A control character would confuse a terminal, so `?` is shown instead.
                    let shown = shorten(content).replace(char::is_control, "?");
                    findings.problem(place, format!("{what}: {shown}"));
                }
            }
        }
        ini
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section<'t>> {
        self.index.get(&fold(name)).and_then(|at| self.sections.get(*at))
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = &Section<'t>> {
        self.sections.iter()
    }

    /// Returns the place of the section; one that comes a second time is continued.
    fn open(&mut self, name: &'t str, line: usize) -> usize {
        let next = self.sections.len();
        let at = *self.index.entry(fold(name)).or_insert(next);
        if at == next {
            self.sections.push(Section { name, line, entries: vec![], index: HashMap::new() });
        }
        at
    }
}

enum Line<'t> {
    Header(&'t str),
    Pair(&'t str, &'t str),
}

fn classify(content: &str) -> Result<Line<'_>, &'static str> {
    if is_include(content) {
        return Err(
            "including another file (<) is not supported yet, so put its lines here instead",
        );
    }
    if content.contains(|c: char| c.is_control() && c != '\t') {
        return Err("a line must not hold control characters");
    }
    if let Some(rest) = content.strip_prefix('[') {
        let Some((name, after)) = rest.split_once(']') else {
            return Err("a section header without its closing ]");
        };
        if !after.trim().is_empty() {
            return Err("text after a section header (a comment needs a line of its own)");
        }
        return match name.trim() {
            "" => Err("a section header without a name"),
            name => Ok(Line::Header(name)),
        };
    }
    match content.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok(Line::Pair(key.trim(), value.trim())),
        Some(_) => Err("a value without a key"),
        None => Err("neither a [Section], nor Key=Value, nor a comment"),
    }
}

/// Tells whether the line is one of the vendor's forms that take in another file:
/// `[A] < "file" [B]`, `< "file" [B]`, `Key < "file" [B] Key` and `Key=< "file" [B] Key`.
fn is_include(content: &str) -> bool {
    let quoted_after_mark = |text: &str| {
        text.split_once('<').is_some_and(|(_, rest)| rest.trim_start().starts_with('"'))
    };
    if content.starts_with('<') {
        return true;
    }
    if let Some(rest) = content.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(_, after)| after.trim_start().starts_with('<'));
    }
    match content.split_once('=') {
        // The file's name may hold the `=`: if the mark is in the key, the whole line is looked at.
        Some((key, _)) if key.contains('<') => quoted_after_mark(content),
        Some((_, value)) => value.trim_start().starts_with('<') && quoted_after_mark(value),
        None => quoted_after_mark(content),
    }
}

/// Folds a name for comparison: names of ACI settings are ASCII.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Section, key, value and line.
    type Pair = (String, String, String, usize);

    /// Reads a text that must be free of problems; returns the pairs and the warnings.
    fn good(text: &str) -> (Vec<Pair>, Vec<String>) {
        let mut findings = Findings::new("t.cfg");
        let ini = Ini::parse(text, &mut findings);
        let all = ini.sections().flat_map(|section| {
            section.entries().map(|entry| {
                (section.name.to_owned(), entry.key.to_owned(), entry.value.to_owned(), entry.line)
            })
        });
        let warnings = findings.finish().unwrap();
        (all.collect(), warnings.iter().map(ToString::to_string).collect())
    }

    fn bad(text: &str) -> String {
        let mut findings = Findings::new("t.cfg");
        Ini::parse(text, &mut findings);
        findings.finish().unwrap_err().to_string()
    }

    #[test]
    fn pairs_are_read_with_their_line() {
        let table = [
            ("[S]\nA=1", ("S", "A", "1", 2)),
            ("\u{feff}[S]\r\nA=1\r\n", ("S", "A", "1", 2)),
            ("  [ S ]  \n\n  A b =  1 2  ", ("S", "A b", "1 2", 3)),
            ("[S]\nA=b=c//d#e;f", ("S", "A", "b=c//d#e;f", 2)),
            ("[S]\nA=", ("S", "A", "", 2)),
            ("// c\n# c\n; c\n[S]\n//B=1\n0=x", ("S", "0", "x", 6)),
            ("[S]\nA=\"quoted\"", ("S", "A", "\"quoted\"", 2)),
            ("[S]\nA=[x]", ("S", "A", "[x]", 2)),
            ("[S]\nA=<b>", ("S", "A", "<b>", 2)),
            ("[S]\nA=x < \"y\"", ("S", "A", "x < \"y\"", 2)),
            ("[S]\nA=1\r", ("S", "A", "1", 2)),
        ];
        for (text, (section, key, value, line)) in table {
            let want = (section.to_owned(), key.to_owned(), value.to_owned(), line);
            assert_eq!(good(text), (vec![want], vec![]), "{text:?}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_sections_merged() {
        let mut findings = Findings::new("t.cfg");
        let text = "[Server]\nPort=1\n[Paths]\nX=2\n[SERVER]\nThreads=3\nPORT=4\n";
        let ini = Ini::parse(text, &mut findings);
        let server = ini.section("server").unwrap();
        assert_eq!((server.name, server.line), ("Server", 1));
        assert_eq!(server.get("poRT"), Some(Entry { key: "PORT", value: "4", line: 7 }));
        assert_eq!(server.get("Threads").map(|entry| entry.line), Some(6));
        assert_eq!(server.entries().count(), 2);
        assert!(ini.section("None").is_none());
        assert_eq!(
            findings.finish().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["t.cfg:7: [Server] PORT was given in line 2 already; the last one counts"]
        );
    }

    #[test]
    fn other_lines_are_refused() {
        let include = "including another file (<) is not supported yet";
        let table = [
            ("[S]\nnonsense", "t.cfg:2: neither a [Section]"),
            ("A=1", "t.cfg:1: a key before the first [Section]: A=1"),
            ("[S", "t.cfg:1: a section header without its closing ]: [S"),
            ("[]", "t.cfg:1: a section header without a name"),
            ("[S] // c", "t.cfg:1: text after a section header"),
            ("[S]\n=1", "t.cfg:2: a value without a key: =1"),
            ("[S]\nA=1\u{0}", "t.cfg:2: a line must not hold control characters: A=1?"),
            ("[S]\nA=1\rB=2", "t.cfg:2: a line must not hold control characters"),
            ("[S] < \"a.cfg\" [T]", include),
            ("[S] < a.cfg [T]", include),
            ("[S]\n< \"a.cfg\" [T]", include),
            ("[S]\n< \"a.cfg\" [T] A", include),
            ("[S]\nA=< \"a.cfg\" [T] A", include),
            ("[S]\nA < \"a.cfg\" [T] A", include),
            ("[S]\nA < \"a=b.cfg\" [T] A", include),
        ];
        for (text, want) in table {
            let got = bad(text);
            assert!(got.contains(want), "{text:?}: {got}");
            assert_eq!(got.lines().count(), 1, "{text:?}: {got}");
        }
    }

    #[test]
    fn a_refused_header_hides_its_keys_and_no_more() {
        let text = "[A\nX=1\nY=2\n[B]\nZ=3";
        let mut findings = Findings::new("t.cfg");
        let ini = Ini::parse(text, &mut findings);
        assert_eq!(findings.problem_count(), 1);
        assert_eq!(ini.sections().map(|section| section.name).collect::<Vec<_>>(), ["B"]);
    }

    #[test]
    fn the_number_of_headers_and_keys_is_bounded() {
        let many = |count: usize| {
            let mut text = "[S]\n".to_owned();
            text.extend((0..count).map(|key| format!("{key}=\n")));
            text
        };
        assert_eq!(good(&many(MAX_LINES - 1)).0.len(), MAX_LINES - 1);
        let want = "t.cfg:50001: more than 50000 section headers and keys";
        assert_eq!(bad(&many(MAX_LINES)), want);
        assert_eq!(bad(&"[S]\n".repeat(MAX_LINES + 9)), want);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(
            text in "([\\[\\]=<\"/#;\r\n\t A-z0-9\u{0}\u{feff}é]|\\PC){0,200}"
        ) {
            let mut findings = Findings::new("t.cfg");
            let ini = Ini::parse(&text, &mut findings);
            let lines = text.lines().count();
            for section in ini.sections() {
                prop_assert!(section.entries().all(|entry| (1..=lines).contains(&entry.line)));
            }
        }

        #[test]
        fn pairs_survive_printing_and_reading(
            pairs in proptest::collection::btree_map("[a-z][a-z0-9]{0,8}", "[!-;=-~]([ -~]{0,20}[!-~])?", 0..20)
        ) {
            let mut text = "[S]\n".to_owned();
            for (key, value) in &pairs {
                text.push_str(&format!("{key}={value}\n"));
            }
            let (read, warnings) = good(&text);
            prop_assert!(warnings.is_empty());
            let read: Vec<_> = read.into_iter().map(|(_, key, value, _)| (key, value)).collect();
            prop_assert_eq!(read, pairs.into_iter().collect::<Vec<_>>());
        }
    }
}
