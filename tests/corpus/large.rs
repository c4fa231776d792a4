//! Inputs of a megabyte, made of one shape again and again: none may take long or need much memory.
//!
//! The limits are far above what any of them needs, so that they fail for a cost that grows with the square of the
//! length and not for a busy machine. What they really take is in `docs/fuzzing.md`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actiond::fuzzing::TARGETS;

use super::MEMORY;

const SIZE: usize = 1_000_000;

/// With optimisation the slowest shape takes less than a second.
const OPTIMISED: Duration = Duration::from_secs(4);

/// The most that may be allocated at a time, in bytes; the hungriest shape takes 55,000,000.
const MOST_BYTES: usize = 100_000_000;

/// Shapes run one at a time, for memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// How long a shape of this target may take: without optimisation about ten times what its slowest one needs.
fn limit(target: &str) -> Duration {
    let seconds = match target {
        _ if !cfg!(debug_assertions) => return OPTIMISED,
        "render" => 40,
        "ingest_xml" => 30,
        "config" => 20,
        "mender" | "reference" | "reply" => 10,
        "removes_csv" => 6,
        // Those that need a tenth of a second: ten times that is nothing on a busy machine.
        _ => 5,
    };
    Duration::from_secs(seconds)
}

/// Target, name, head, what is repeated, and tail.
#[rustfmt::skip]
const SHAPES: &[(&str, &str, &str, &str, &str)] = &[
    ("command_line", "words", "p", " {A}", "\0x"),
    ("command_line", "parameters", "p", " {A.} {A-} x", ""),
    ("command_line", "one word", "p ", "{A}", "\0x"),
    ("command_line", "braces", "p ", "{{", ""),
    ("command_line", "quotes", "p ", "''", ""),
    ("command_line", "never closed", "p {", "a", ""),
    ("command_line", "value", "p {A}\0", "x", ""),
    ("config", "sections", "", "[S]\n", ""),
    ("config", "keys", "[Server]\n", "#=1\nx=\n", ""),
    ("config", "one line", "[Server]\nPort=", "x", ""),
    ("config", "nonsense", "", "x\n", ""),
    ("config", "unknown sections", "", "[Servr]\nX=1\n", ""),
    ("config", "command", "[AsyncActions]\n0=A\n[A]\nType=Command\nCommand=p {", "a", ""),
    ("config", "environment", "[AsyncActions]\n0=A\n[A]\nType=Command\nCommand=p\nEnvironment=", "a", ""),
    ("config", "own variable", "[AsyncActions]\n0=A\n[A]\nType=Command\nCommand=p\nEnvironment=ACTIOND_", "a", "=1"),
    ("config", "address", "[AsyncActions]\n0=A\n[A]\nType=Forward\nForwardTo=http://", "a", ""),
    ("config", "list", "[AsyncActions]\n", "0=A\n1=A\n", ""),
    ("ingest_xml", "fields", "<add><reference>r</reference><xmlmetadata>", "<a/>", "</xmlmetadata></add>"),
    ("ingest_xml", "deep fields", "<add><reference>r</reference><xmlmetadata>", "<aaaaaaaa><b><c/></b></aaaaaaaa>", "</xmlmetadata></add>"),
    ("ingest_xml", "documents", "<adds>", "<add><reference>r</reference></add>", "</adds>"),
    ("ingest_xml", "references", "<add><reference>", "&amp;", "</reference></add>"),
    ("ingest_xml", "attributes", "<adds ", "a='1' ", "/>"),
    ("ingest_xml", "never closed", "", "<add>", ""),
    ("ingest_xml", "comment", "<adds><!--", " -x", "--></adds>"),
    ("ingest_xml", "brackets", "<adds>", "]]", ""),
    ("ingest_xml", "content", "<add><reference>r</reference><source content='", "QUJD\n", "'/></add>"),
    ("program_lines", "empty lines", "\u{1}", "\n", ""),
    ("program_lines", "progress", "\u{1}", "progress 1/2 x\n", ""),
    ("program_lines", "one line", "\u{1}actiond:", "x", ""),
    ("program_lines", "title", "\u{1}progress 1 ", "x", ""),
    ("result", "elements", "", "<a/>", ""),
    ("result", "deep", "", "<a>", ""),
    ("result", "attributes", "<a ", "a='1' ", "/>"),
    ("result", "text", "<a>", "&amp;", "</a>"),
    ("result", "members", "{\"a\":1", ",\"a\":1", "}"),
    ("result", "items", "{\"a\":[1", ",1", "]}"),
    ("result", "lists", "{\"a\":", "[", ""),
    ("result", "plain", "", "x", ""),
    ("mender", "requests", "1\u{1}\n", "GET /é HTTP/1.1\r\n\r\n", ""),
    ("mender", "line", "4\n", "GET /é", ""),
    ("mender", "headers", "1\u{3}\nGET / HTTP/1.1\r\n", "A: b\r\n", ""),
    ("mender", "header", "1\u{3}\nGET / HTTP/1.1\r\n", "A", ""),
    ("mender", "chunks", "1\u{3}\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", ""),
    ("mender", "empty lines", "1\u{1}\n", "\r\n", ""),
    ("multipart", "parts", "multipart/form-data; boundary=X\n", "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n", "--X--"),
    ("multipart", "almost the boundary", "multipart/form-data; boundary=XXXX\n--XXXX\r\nContent-Disposition: form-data; name=a\r\n\r\n", "\r\n--XXX", "\r\n--XXXX--"),
    ("multipart", "headers", "multipart/form-data; boundary=X\n--X\r\n", "a: b\r\n", ""),
    ("multipart", "header", "multipart/form-data; boundary=X\n--X\r\nContent-Disposition: form-data; name=\"", "a\\\"", ""),
    ("multipart", "preamble", "multipart/form-data; boundary=X\n", "\r\n--", ""),
    ("reference", "plain", "/", "é/", ""),
    ("reference", "encoded", "/", "\n", ""),
    ("removes_csv", "commas", "", ",", ""),
    ("removes_csv", "letters", "", "a,", ""),
    ("removes_csv", "quotes", "", "\"\"", ""),
    ("removes_csv", "quoted", "", "\" a\"\"\",", ""),
    ("removes_csv", "spaces", "", " \n", ","),
    ("render", "elements", "A\n", "element=text\n", ""),
    ("render", "names", "A\n<a\n", "a=elementtext\nb=elementtext\nc=elementtext\nd=elementtext\n", ""),
    ("render", "attributes", "A\n<a\n", "@a\n@b\n", ""),
    ("render", "characters", "A\na=", "\u{1}&", ""),
    ("render", "stairs", "A\n", "<a\n<b\n>\n", ""),
    ("reply", "elements", "", "<a/>", ""),
    ("reply", "texts", "", "<a>&lt;</a>", ""),
    ("reply", "attributes", "<a ", "a='1' ", "/>"),
    ("reply", "stairs", "", "<a><b>", ""),
    ("reply", "never closed", "", "<a>", ""),
    ("reply", "references", "<a>", "&#65;", "</a>"),
    ("request", "pairs", "/", "a&", "\n\naction=x"),
    ("request", "empty pairs", "/", "&", ""),
    ("request", "lines", "/\n\naction=x\n", "a=\n", ""),
    ("request", "almost lines", "/\n\naction=x\n", "a=\n", "="),
    ("request", "percent", "/?action=x&a=", "%41+", ""),
    ("request", "action", "/?action=", "é", ""),
    ("request", "states", "/?action=QueueInfo&QueueName=q&QueueAction=getStatus&State=", "queued,", ""),
    ("time_filter", "digits", "0", "1", ""),
    ("token", "colons", "", ":", ""),
    ("token", "spaces", "", " ", "A"),
];

fn run(target: &str) {
    let (_, function) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let shapes: Vec<_> = SHAPES.iter().filter(|shape| shape.0 == target).collect();
    assert!(!shapes.is_empty());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (_, name, head, unit, tail) in shapes {
        let input = format!("{head}{}{tail}", unit.repeat(SIZE / unit.len()));
        let start = Instant::now();
        function(input.as_bytes());
        let took = start.elapsed();
        let most = MEMORY.max_allocated();
        println!("{target}, {name}: {} ms, at most {most} bytes so far", took.as_millis());
        assert!(took < limit(target), "{target}, {name}: {took:?}");
        assert!(most < MOST_BYTES, "{target}, {name}: {most} bytes at a time");
    }
}

macro_rules! runs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
    };
}

runs! {
    command_line config ingest_xml mender multipart program_lines reference removes_csv render reply request result
    time_filter token
}
