//! Tests of the reader: what is read of texts and of the files that they include, and what is refused.

use proptest::prelude::*;

use super::super::files::Included;
use super::super::variables::{Expanded, escape};
use super::*;

/// Section, key, value and line.
type Pair = (String, String, String, String);

/// Reads `t.cfg`, which may include these files; returns its pairs, and what was found.
fn read(text: &str, others: &[(&str, &str)]) -> (Vec<Pair>, Result<Vec<String>, String>) {
    let mut findings = Findings::new("t.cfg");
    let included = |name: &str| {
        let other = others.iter().find(|(other, _)| *other == name);
        let text = other.map(|(_, text)| (*text).to_owned());
        Included { name: name.to_owned(), text: text.ok_or("is not there".to_owned()) }
    };
    let files = Files::gather(text, &included, &mut findings);
    let variables = Expanded::of(&files, &|_| None);
    let ini = Ini::parse(&files, &variables, &mut findings);
    for lacking in ini.lacking() {
        findings.warning(Some(lacking.line), || lacking.message());
    }
    let pair = |section: &IniSection<'_>, entry: Entry<'_>| {
        let (key, value) = (entry.key.to_owned(), entry.value.to_owned());
        (section.name.to_owned(), key, value, findings.place(entry.line))
    };
    let all = ini.sections().flat_map(|s| s.entries().map(move |e| pair(s, e))).collect();
    let found = findings.finish();
    let told = |warnings: Vec<_>| warnings.iter().map(ToString::to_string).collect();
    (all, found.map(told).map_err(|error: super::super::ConfigError| error.to_string()))
}

/// Reads a text that must be free of problems and warnings.
fn good(text: &str, others: &[(&str, &str)]) -> Vec<String> {
    let (pairs, found) = read(text, others);
    assert_eq!(found, Ok(vec![]), "{text}");
    let shown = |(s, k, v, l): &Pair| format!("[{s}] {k}={v} {l}");
    pairs.iter().map(shown).collect()
}

fn bad(text: &str, others: &[(&str, &str)]) -> String {
    read(text, others).1.unwrap_err()
}

#[test]
fn pairs_are_read_with_their_line() {
    let table = [
        ("[S]\nA=1", "[S] A=1 t.cfg:2"),
        ("\u{feff}[S]\r\nA=1\r\n", "[S] A=1 t.cfg:2"),
        ("  [ S ]  \n\n  A b =  1 2  ", "[S] A b=1 2 t.cfg:3"),
        ("[S] // the port\nA=1", "[S] A=1 t.cfg:2"),
        ("[S]\nA=b=c//d#e;f", "[S] A=b=c//d#e;f t.cfg:2"),
        ("[S]\nA=", "[S] A= t.cfg:2"),
        ("// c\n# c\n; c\n[S]\n//B=1\n0=x", "[S] 0=x t.cfg:6"),
        ("[S]\nA=\"quoted\"", "[S] A=\"quoted\" t.cfg:2"),
        ("[S]\nA=[x]", "[S] A=[x] t.cfg:2"),
        ("[S]\nA=1\r", "[S] A=1 t.cfg:2"),
    ];
    for (text, want) in table {
        assert_eq!(good(text, &[]), [want], "{text:?}");
    }
}

#[test]
fn names_are_compared_without_case_and_sections_merged() {
    let text = "[Server]\nPort=1\n[Paths]\nX=2\n[SERVER]\nThreads=3\nPORT=4\n";
    let (pairs, found) = read(text, &[]);
    let told = "t.cfg:7: [Server] PORT was given in line 2 already; the last one counts";
    assert_eq!(found, Ok(vec![told.to_owned()]));
    let pairs: Vec<_> = pairs.iter().map(|(s, k, v, _)| format!("{s} {k} {v}")).collect();
    assert_eq!(pairs, ["Server PORT 4", "Server Threads 3", "Paths X 2"]);
}

#[test]
fn other_lines_are_refused() {
    let table = [
        ("[S]\nnonsense", "t.cfg:2: neither a [Section]"),
        ("A=1", "t.cfg:1: a key before the first [Section]: A=1"),
        (
            "SSLPrivateKeyPassword = secret",
            "before the first [Section]: SSLPrivateKeyPassword =***",
        ),
        ("[S]\nSSLPrivateKeyPassword secret", "SSLPrivateKeyPassword ***"),
        ("[S]\nKeys: secret", "Keys:***"),
        ("[S]\nKeys=secret\u{0}", "must not hold control characters: Keys=***"),
        ("[S", "t.cfg:1: a section header without its closing ]: [S"),
        ("[S] A=1", "t.cfg:1: text after a section header"),
        ("[S]\n=1", "t.cfg:2: a value without a key: =1"),
        ("[S]\nA=1\u{0}", "t.cfg:2: a line must not hold control characters: A=1?"),
        ("[S]\n< a.cfg", "t.cfg:2: the file to include must stand in double quotes"),
    ];
    for (text, want) in table {
        let got = bad(text, &[]);
        assert!(got.contains(want) && !got.contains("secret"), "{text:?}: {got}");
        assert_eq!(got.lines().count(), 1, "{text:?}: {got}");
    }
}

#[test]
fn a_refused_header_hides_its_keys_and_no_more() {
    let (pairs, found) = read("[A\nX=1\nY=2\n[B]\nZ=3", &[]);
    assert_eq!(found.unwrap_err().lines().count(), 1);
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].0, "B");
}

const BASE: &str = "\
[Server] // of all
Port=1
Threads=2
[Logs]
LogLevel=full
[SERVER]
LogFile=a
";

#[test]
fn whole_files_sections_and_keys_are_included() {
    let others = [
        ("base.cfg", BASE),
        ("head.cfg", "Port=7\n"),
        ("deep.cfg", "// more\n< \"base.cfg\" [Logs]\n[Deep]\nX=1\n< \"head.cfg\"\n"),
        ("nested.cfg", "< \"head.cfg\"\n"),
    ];
    let table: [(&str, &[&str]); 13] = [
        (
            "< \"base.cfg\"",
            &[
                "[Server] Port=1 base.cfg:2",
                "[Server] Threads=2 base.cfg:3",
                "[Server] LogFile=a base.cfg:7",
                "[Logs] LogLevel=full base.cfg:5",
            ],
        ),
        ("< \"base.cfg\" [logs]", &["[Logs] LogLevel=full base.cfg:5"]),
        (
            "[Mine] < \"base.cfg\" [Logs]\nB=2",
            &["[Mine] LogLevel=full base.cfg:5", "[Mine] B=2 t.cfg:2"],
        ),
        // What is set here wins without a word.
        ("[Mine] < \"base.cfg\" [Logs]\nloglevel=none", &["[Mine] loglevel=none t.cfg:2"]),
        ("[Mine]\n< \"base.cfg\" [Server] threads", &["[Mine] Threads=2 base.cfg:3"]),
        ("[Mine] < \"base.cfg\" [Server] PORT", &["[Mine] Port=1 base.cfg:2"]),
        (
            "[Mine]\n< \"base.cfg\" [Server] Port=9\n< \"base.cfg\" [Server] Other=9 9",
            &["[Mine] Port=1 base.cfg:2", "[Mine] Other=9 9 t.cfg:3"],
        ),
        ("[Mine]\n< \"base.cfg\" [None] Port=9", &["[Mine] Port=9 t.cfg:2"]),
        ("[Mine]\n< \"base.cfg\" [Server] log*", &["[Mine] LogFile=a base.cfg:7"]),
        ("[Mine]\n< \"base.cfg\" [Server] P?rt", &["[Mine] Port=1 base.cfg:2"]),
        ("[Mine]\n< \"head.cfg\"\nB=1", &["[Mine] Port=7 head.cfg:1", "[Mine] B=1 t.cfg:3"]),
        ("[Mine]\n< \"nested.cfg\"", &["[Mine] Port=7 head.cfg:1"]),
        (
            "< \"deep.cfg\"\n< \"deep.cfg\" [Logs]\n[Logs]\nLogLevel=x",
            &["[Logs] LogLevel=x t.cfg:4", "[Deep] X=1 deep.cfg:4", "[Deep] Port=7 head.cfg:1"],
        ),
    ];
    for (text, want) in table {
        let (pairs, found) = read(text, &others);
        let shown: Vec<_> = pairs.iter().map(|(s, k, v, l)| format!("[{s}] {k}={v} {l}")).collect();
        assert_eq!(shown, want, "{text}");
        assert!(found.is_ok(), "{text}: {found:?}");
    }
    assert_eq!(good(table[3].0, &others).len(), 1, "no warning either");
}

#[test]
fn what_included_files_repeat_is_told() {
    let others = [("base.cfg", BASE), ("other.cfg", "[Server]\nPort=3\n")];
    let table = [
        (
            "[Server]\nPort=1\n< \"base.cfg\" [Server] Port",
            "base.cfg:2: [Server] Port was given in t.cfg:2 already; the last one counts",
        ),
        (
            "< \"base.cfg\"\n< \"other.cfg\"",
            "other.cfg:2: [Server] Port was given in base.cfg:2 already; the last one counts",
        ),
        ("[S]\n< \"base.cfg\" [Server] Prot", "t.cfg:2: \"base.cfg\" has no key Prot in [Server]"),
        ("[S]\n< \"base.cfg\" [Server] X*", "t.cfg:2: \"base.cfg\" has no key X* in [Server]"),
        ("< \"base.cfg\" [X]", "t.cfg:1: \"base.cfg\" has no section [X]"),
        ("[S] < \"base.cfg\" [X]\nA=1", "t.cfg:1: \"base.cfg\" has no section [X]"),
        ("[S]\n< \"base.cfg\" [X] A\nA=1", "t.cfg:2: \"base.cfg\" has no section [X]"),
    ];
    for (text, want) in table {
        let told = read(text, &others).1.unwrap();
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].starts_with(want), "{text}: {told:?}");
    }
}

#[test]
fn what_can_not_be_included_is_refused() {
    let others = [
        ("base.cfg", BASE),
        ("head.cfg", "Port=7\n"),
        ("bad.cfg", "[S\n"),
        ("self.cfg", "[S]\nA=1\n< \"self.cfg\"\n"),
        ("ring.cfg", "< \"gnir.cfg\"\n"),
        ("gnir.cfg", "[S]\n< \"ring.cfg\" [S] A\n"),
    ];
    let table = [
        ("< \"none.cfg\"\nA=1", "t.cfg:1: can't include \"none.cfg\": is not there"),
        ("< \"base.cfg\" [X]\nA=1", "t.cfg:2: a key after included sections"),
        ("< \"base.cfg\" [Server] Port", "before the first [Section]: Port"),
        ("< \"head.cfg\"", "head.cfg:1: a key before the first [Section]: Port"),
        ("[S]\n< \"base.cfg\" [Logs]\nA=1", "t.cfg:3: a key after included sections"),
        ("[S]\n< \"base.cfg\"\nA=1", "t.cfg:3: a key after included sections"),
        ("< \"bad.cfg\"", "bad.cfg:1: a section header without its closing ]"),
        ("< \"self.cfg\"", "self.cfg:3: can't include \"self.cfg\": it is what includes"),
        ("< \"ring.cfg\"", "gnir.cfg:2: can't include \"ring.cfg\": it is what includes"),
    ];
    for (text, want) in table {
        let got = bad(text, &others);
        assert!(got.contains(want), "{text:?}: {got}");
        assert_eq!(got.lines().count(), 1, "{text:?}: {got}");
    }
}

#[test]
fn the_number_of_headers_keys_and_files_is_bounded() {
    let many = |count: usize| {
        let mut text = "[S]\n".to_owned();
        text.extend((0..count).map(|key| format!("{key}=\n")));
        text
    };
    assert_eq!(good(&many(MAX_LINES - 1), &[]).len(), MAX_LINES - 1);
    let want = "t.cfg:50001: more than 50000 section headers and keys";
    assert_eq!(bad(&many(MAX_LINES), &[]), want);
    assert_eq!(bad(&"[S]\n".repeat(MAX_LINES + 9), &[]), want);
    // Each time that it is included it counts.
    let base = many(20_000);
    let includes = "[A] < \"base.cfg\" [S]\n[B] < \"base.cfg\" [S]\n[C] < \"base.cfg\" [S]\n";
    let got = bad(includes, &[("base.cfg", &base)]);
    assert!(got.contains("more than 50000 section headers and keys"), "{got}");
    let small = [("a.cfg", "[S]\nA=1\n")];
    let got = bad(&"< \"a.cfg\" [S]\n".repeat(1_001), &small);
    assert!(got.contains("t.cfg:1001: can't include \"a.cfg\": too much is included"), "{got}");
    let names: Vec<_> = (0..101).map(|number| format!("{number}.cfg")).collect();
    let others: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let all: String = names.iter().map(|name| format!("< \"{name}\"\n")).collect();
    let got = bad(&all, &others);
    let want = "t.cfg:101: can't include \"100.cfg\": more than 100 files are included";
    assert_eq!(got, want);
    let large = "#".repeat(super::super::MAX_FILE_BYTES);
    let got = bad("< \"a.cfg\"", &[("a.cfg", &large)]);
    assert!(got.contains("have at most 4194304 bytes"), "{got}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "([\\[\\]=<\"/#;\r\n\t A-z0-9\u{0}\u{feff}é]|< \"[ab]\"( \\[S\\])?|\\PC){0,200}",
        other in "(\\[S\\]\n|A=1\n|< \"[ab]\"( \\[S\\])?( A\\*?)?\n){0,20}",
    ) {
        let (pairs, _) = read(&text, &[("a", &other), ("b", &text)]);
        prop_assert!(pairs.len() <= MAX_LINES);
    }

    #[test]
    fn pairs_survive_printing_and_reading(
        pairs in proptest::collection::btree_map("[a-z][a-z0-9]{0,8}", "[!-;=-~]([ -~]{0,20}[!-~])?", 0..20)
    ) {
        let mut text = "[S]\n".to_owned();
        for (key, value) in &pairs {
            text.push_str(&format!("{key}={}\n", escape(value)));
        }
        let (read, found) = read(&text, &[]);
        prop_assert_eq!(found, Ok(vec![]));
        let read: Vec<_> = read.into_iter().map(|(_, key, value, _)| (key, value)).collect();
        prop_assert_eq!(read, pairs.into_iter().collect::<Vec<_>>());
    }
}
