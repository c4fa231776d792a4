//! A line of a stream, as text or as JSON. What it says can't end it: whatever could is escaped.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use chrono::{DateTime, Local, TimeZone as _};

use super::APPLICATION_TYPE;
use super::level::Level;
use super::settings::{LogFormat, StreamSettings};

/// The content of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) level: Level,
    /// The name of its type.
    pub(super) kind: &'a str,
    /// The module that says it.
    pub(super) target: &'a str,
    pub(super) message: fmt::Arguments<'a>,
    pub(super) about: About<'a>,
}

/// The subject of a line, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    /// The id of the request.
    pub(super) action_id: Option<&'a str>,
    /// The token of the action.
    pub(super) token: Option<&'a str>,
    pub(super) queue: Option<&'a str>,
    pub(super) client: Option<std::net::IpAddr>,
}

/// The thread that says a line: its number in this process, counted from 1 in the order in which threads say something, and its
/// name.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThreadName<'a> {
    pub(super) number: u32,
    pub(super) name: &'a str,
}

/// Makes a line that a stream says of itself, in its own form.
pub(super) fn of_stream(
    settings: &StreamSettings,
    level: Level,
    target: &str,
    millis: i64,
    message: fmt::Arguments<'_>,
) -> Vec<u8> {
    let kind = settings.types.first().map_or(APPLICATION_TYPE, String::as_str);
    let line = Line { level, kind, target, message, about: About::default() };
    let mut text = Vec::new();
    write(&mut text, settings, millis, ThreadName { number: 0, name: "" }, &line);
    text
}

/// Writes a line at the end of others.
pub(super) fn write(
    out: &mut Vec<u8>,
    settings: &StreamSettings,
    millis: i64,
    thread: ThreadName<'_>,
    line: &Line<'_>,
) {
    match settings.format {
        LogFormat::Text => text(out, settings, millis, thread, line),
        LogFormat::Json => json(out, settings, millis, thread, line),
    }
    out.push(b'\n');
}

fn text(
    out: &mut Vec<u8>,
    settings: &StreamSettings,
    millis: i64,
    thread: ThreadName<'_>,
    line: &Line<'_>,
) {
    if settings.has_time {
        with_second(millis, |second| out.extend_from_slice(second.text.as_bytes()));
        out.push(b' ');
    }
    put(out, format_args!("[{}] {}: ", thread.number, line.level.label()));
    let begin = out.len();
    message(out, settings.max_line, false, line.message);
    ids(out, begin, line.about);
}

/// Writes the ids that a line is about in brackets behind what it says, which begins here.
fn ids(out: &mut Vec<u8>, begin: usize, about: About<'_>) {
    let About { action_id, token, .. } = about;
    // A line that says a token already need not say it twice.
    let says = |out: &[u8], what: &str| {
        let said = out.get(begin..).unwrap_or_default();
        what.len() >= LONG_ID && said.windows(what.len()).any(|part| part == what.as_bytes())
    };
    for what in [action_id, token].into_iter().flatten() {
        if !says(out, what) {
            out.extend_from_slice(b" [");
            message(out, MAX_ID, false, format_args!("{what}"));
            out.push(b']');
        }
    }
}

/// Writes a line for the console: what is said, and the ids that it is about, in the same brackets.
pub(super) fn with_ids(said: fmt::Arguments<'_>, about: About<'_>) -> String {
    let mut out = said.to_string().into_bytes();
    ids(&mut out, 0, about);
    String::from_utf8(out).unwrap_or_default()
}

/// Length in bytes from which an id is nothing else by chance: tokens, and ids that are made here, are longer.
const LONG_ID: usize = 20;
/// Largest number of bytes of an id or a token in a line.
const MAX_ID: usize = 1_000;

fn json(
    out: &mut Vec<u8>,
    settings: &StreamSettings,
    millis: i64,
    thread: ThreadName<'_>,
    line: &Line<'_>,
) {
    let thousandth = millis.rem_euclid(1_000);
    with_second(millis, |Second { date, offset, .. }| {
        put(out, format_args!("{{\"time\":\"{date}.{thousandth:03}{offset}\""));
    });
    put(out, format_args!(",\"level\":\"{}\"", line.level.word()));
    let About { action_id, token, queue, client } = line.about;
    let mut member = |name: &str, value: Option<&str>| {
        let Some(value) = value else { return };
        put(out, format_args!(",\"{name}\":\""));
        message(out, MAX_ID, true, format_args!("{value}"));
        out.push(b'"');
    };
    member("type", Some(line.kind));
    member("thread", Some(thread.name));
    member("target", Some(line.target));
    member("action_id", action_id);
    member("token", token);
    member("queue", queue);
    if let Some(client) = client {
        put(out, format_args!(",\"client\":\"{client}\""));
    }
    out.extend_from_slice(b",\"message\":\"");
    message(out, settings.max_line, true, line.message);
    out.extend_from_slice(b"\"}");
}

fn put(out: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    // Writing to memory can't fail.
    let _ = Bytes(out).write_fmt(what);
}

/// Writes what is said, escaped and cut.
fn message(out: &mut Vec<u8>, most: usize, is_json: bool, said: fmt::Arguments<'_>) {
    let mut escaped = Escaped { out, left: most, is_json, is_cut: false };
    // It ends early where it is cut.
    let _ = escaped.write_fmt(said);
    if escaped.is_cut {
        out.extend_from_slice(b"...");
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A writer that escapes, up to a number of bytes of what is given to it.
struct Escaped<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    is_json: bool,
    is_cut: bool,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(self.left);
        let kept = text.get(..end).unwrap_or_default();
        self.left -= kept.len();
        let is_json = self.is_json;
        let is_plain =
            |byte: u8| matches!(byte, b' '..=b'~') && !(is_json && matches!(byte, b'"' | b'\\'));
        if kept.bytes().all(is_plain) {
            self.out.extend_from_slice(kept.as_bytes());
        } else {
            kept.chars().for_each(|c| self.put(c));
        }
        if kept.len() < text.len() {
            self.is_cut = true;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

impl Escaped<'_> {
    fn put(&mut self, c: char) {
        // Separators of lines and paragraphs, and characters that change the direction of text.
        let misleads = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '"' | '\\' if self.is_json => put(self.out, format_args!("\\{c}")),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            // All of these have one unit of UTF-16, as JSON wants it.
            c if c.is_control() || misleads => put(self.out, format_args!("\\u{:04x}", c as u32)),
            c => put(self.out, format_args!("{c}")),
        }
    }
}

/// A second as lines show it, in the zone of the server. To make it costs more than the rest of a line, so each thread keeps its
/// latest.
#[derive(Debug, Default)]
struct Second {
    number: Option<i64>,
    /// As text has it.
    text: String,
    /// As JSON has it, without the offset.
    date: String,
    offset: String,
}

thread_local! {
    static SECOND: RefCell<Second> = RefCell::default();
}

fn with_second(millis: i64, show: impl FnOnce(&Second)) {
    let number = millis.div_euclid(1_000);
    // The thread may be about to end.
    let kept = SECOND.try_with(RefCell::take).ok();
    let second = kept.filter(|second| second.number == Some(number));
    let second = second.unwrap_or_else(|| Second::of(number));
    show(&second);
    let _ = SECOND.try_with(|kept| kept.replace(second));
}

impl Second {
    fn of(number: i64) -> Self {
        let time = local(number.saturating_mul(1_000));
        Self {
            number: Some(number),
            text: time.format("%d/%m/%Y %H:%M:%S").to_string(),
            date: time.format("%Y-%m-%dT%H:%M:%S").to_string(),
            offset: time.format("%:z").to_string(),
        }
    }
}

/// Returns a time in milliseconds since 1970 in the zone of the server.
pub(super) fn local(millis: i64) -> DateTime<Local> {
    Local.timestamp_millis_opt(millis).single().unwrap_or_else(|| DateTime::UNIX_EPOCH.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::testing::settings;

    const THREAD: ThreadName<'_> = ThreadName { number: 5, name: "worker" };
    const NOW: i64 = 1_785_142_156_007;

    fn written(settings: &StreamSettings, message: fmt::Arguments<'_>, about: About<'_>) -> String {
        let mut out = Vec::new();
        let line =
            Line { level: Level::Warning, kind: "application", target: "a::b", message, about };
        write(&mut out, settings, NOW, THREAD, &line);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_of_text_is_as_other_servers_write_it() {
        let mut settings = settings("a");
        let time = local(NOW).format("%d/%m/%Y %H:%M:%S").to_string();
        let about = About::default();
        let line = written(&settings, format_args!("said"), about);
        assert_eq!(line, format!("{time} [5] 50-Warning: said\n"));
        settings.has_time = false;
        let about = About { action_id: Some("id"), token: Some("TOKEN"), ..about };
        let line = written(&settings, format_args!("said"), about);
        assert_eq!(line, "[5] 50-Warning: said [id] [TOKEN]\n");
        let token = "MTI3LjAuMC4xOjM1NjQxOl";
        let about = About { token: Some(token), ..about };
        let line = written(&settings, format_args!("action {token}: no id"), about);
        assert_eq!(line, format!("[5] 50-Warning: action {token}: no id [id]\n"));
    }

    #[test]
    fn a_line_of_the_console_has_the_same_ids() {
        let about = About { action_id: Some("a\nb"), token: Some("TOKEN"), ..About::default() };
        assert_eq!(with_ids(format_args!("said"), about), "said [a\\nb] [TOKEN]");
        assert_eq!(with_ids(format_args!("said"), About::default()), "said");
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let settings = StreamSettings { format: LogFormat::Json, ..settings("a") };
        let client = "::1".parse().ok();
        let about = About { action_id: Some("i\"d"), token: Some("T"), queue: Some("Q"), client };
        let line = written(&settings, format_args!("sa\"id \\"), about);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "time": local(NOW).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
                "level": "Warning",
                "type": "application",
                "thread": "worker",
                "target": "a::b",
                "action_id": "i\"d",
                "token": "T",
                "queue": "Q",
                "client": "::1",
                "message": "sa\"id \\",
            })
        );
        let line = written(&settings, format_args!("x"), About::default());
        assert!(line.ends_with("\"target\":\"a::b\",\"message\":\"x\"}\n"), "{line}");
    }

    #[test]
    fn no_text_can_forge_a_line() {
        let hostile = "a\nb\rc\u{85}d\u{2028}e\u{2029}f\u{1b}[0mg\0h\u{202e}i\u{b}j\u{c}k\ttéü\"\\";
        for format in [LogFormat::Text, LogFormat::Json] {
            let settings = StreamSettings { format, ..settings("a") };
            let about =
                About { action_id: Some(hostile), token: Some(hostile), ..About::default() };
            let line = written(&settings, format_args!("{hostile}"), about);
            let inner = line.strip_suffix('\n').unwrap();
            let is_bad =
                |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}');
            assert!(!inner.contains(is_bad), "{line:?}");
            if format == LogFormat::Json {
                let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                assert_eq!(value["message"], hostile);
                assert_eq!(value["action_id"], hostile);
            }
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let settings = StreamSettings { format, max_line: 6, ..settings("a") };
            let line = written(&settings, format_args!("12{}", "3ééé"), About::default());
            assert!(line.contains("123é..."), "{line}");
            let line = written(&settings, format_args!("123456"), About::default());
            assert!(line.contains("123456") && !line.contains("..."), "{line}");
        }
    }
}
