//! Reads the log streams: `[Logging]`, and the section of each. Files of other servers name types that nothing here writes, so much
//! that would be a problem elsewhere is a warning.

use std::path::{Path, PathBuf};

use super::queues::Purposes;
use super::reader::Reader;
use super::table::fixed_section;
use super::table::logging::{self as keys, LOG_STREAM};
use super::value::Value;
use crate::kinds::Kinds;
use crate::logging::{
    ACTION_TYPE, APPLICATION_TYPE, ExpireAction, Level, LogFormat, StreamSettings, is_old_name,
};

const LOGGING: &str = keys::LOGGING.name;

/// The stream that there is where none is listed.
const DEFAULT_STREAM: &str = "ApplicationLogStream";
const DEFAULT_FILE: &str = "application.log";

/// Largest number of streams: each has a thread.
const MAX_STREAMS: usize = 64;

/// Makes the settings of the streams. The sections that are listed are added to `purposes`.
pub(super) fn streams<'r>(
    reader: &mut Reader<'r>,
    purposes: &mut Purposes<'r>,
) -> Vec<StreamSettings> {
    let Some(list) = reader.ini.section(LOGGING) else { return Vec::new() };
    let entries = list.entries();
    let mut listed: Vec<_> =
        entries.filter_map(|entry| Some((keys::STREAM_NUMBER.index(entry.key)?, entry))).collect();
    if listed.is_empty() {
        return vec![default_stream(reader, purposes)];
    }
    listed.sort_by_key(|(index, _)| *index);
    let mut streams: Vec<StreamSettings> = Vec::new();
    for (_, entry) in listed {
        let Some(Value::Text(name)) = reader.parse(list, entry, keys::STREAM_NUMBER) else {
            continue;
        };
        reader.note(list, keys::STREAM_NUMBER, entry);
        let warn = |reader: &mut Reader<'_>, why: &str| {
            reader.findings.warning(Some(entry.line), || {
                format!("[{LOGGING}] {}={name} is left out: {why}", entry.key)
            });
        };
        let Some(section) = reader.ini.section(&name) else {
            warn(reader, &format!("there is no section [{name}]"));
            continue;
        };
        let is_other = fixed_section(reader.kinds, &name).is_some()
            || purposes.names().any(|taken| taken.eq_ignore_ascii_case(&name));
        if is_other {
            warn(reader, "the section of that name has another meaning, or is listed twice");
            continue;
        }
        purposes.listed.push((section.name, LOG_STREAM));
        let types = types(reader, section.name);
        if types.is_empty() {
            warn(reader, "nothing here writes lines of its types");
            continue;
        }
        if streams.len() >= MAX_STREAMS {
            warn(reader, &format!("there may be {MAX_STREAMS} log streams at most"));
            continue;
        }
        let new = stream(reader, section.name, types);
        add(reader, &mut streams, new);
    }
    streams
}

/// Makes the stream that there is where none is listed: all lines come to its file.
fn default_stream<'r>(reader: &mut Reader<'r>, purposes: &mut Purposes<'r>) -> StreamSettings {
    let how = "without a list in [Logging] there is this stream";
    reader.derived(LOGGING, keys::STREAM_NUMBER, DEFAULT_STREAM, how);
    let section = reader.ini.section(DEFAULT_STREAM);
    if let Some(section) = section {
        purposes.listed.push((section.name, LOG_STREAM));
    }
    let types = match section.and_then(|section| section.get(keys::LOG_TYPES.name)) {
        Some(_) => types(reader, DEFAULT_STREAM),
        None => {
            let all = known_types(reader.kinds);
            reader.derived(DEFAULT_STREAM, keys::LOG_TYPES, &all.join(","), how);
            all
        }
    };
    let has_file = section.is_some_and(|section| section.get(keys::LOG_FILE.name).is_some());
    let mut stream = stream(reader, DEFAULT_STREAM, types);
    if !has_file {
        stream.path.set_file_name(DEFAULT_FILE);
        reader.derived(DEFAULT_STREAM, keys::LOG_FILE, DEFAULT_FILE, how);
    }
    stream
}

/// Adds a stream. One with the file of another is one with that: two threads would write over one another.
fn add(reader: &mut Reader<'_>, streams: &mut Vec<StreamSettings>, new: StreamSettings) {
    let Some(same) = streams.iter_mut().find(|stream| stream.path == new.path) else {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_of = |one: &StreamSettings, other: &StreamSettings| {
            let names = name(&one.path).zip(name(&other.path));
            one.path.parent() == other.path.parent()
                && names.is_some_and(|(one, other)| is_old_name(&one, &other))
        };
        if let Some(other) = streams.iter().find(|other| is_of(other, &new) || is_of(&new, other)) {
            let reason = format!(
                "would be taken for an old file of the stream {}, or the other way round",
                other.name
            );
            reader.problem_at(&new.name, keys::LOG_FILE, reason);
        }
        streams.push(new);
        return;
    };
    reader.warn_at(
        &new.name,
        keys::LOG_FILE,
        &format!("is the file of the stream {}, too: that takes the lines of both", same.name),
    );
    same.types.extend(new.types);
}

/// Returns the types of lines of a stream that there are here.
fn types(reader: &mut Reader<'_>, section: &str) -> Vec<String> {
    let known = known_types(reader.kinds);
    let mut types = Vec::new();
    for given in reader.texts(&[section], keys::LOG_TYPES) {
        let lower = given.to_ascii_lowercase();
        if known.contains(&lower) {
            types.push(lower);
        } else if !given.is_empty() {
            let what = format!(
                "names {given}: nothing here writes lines of that type; there are {}",
                known.join(", ")
            );
            reader.warn_at(section, keys::LOG_TYPES, &what);
        }
    }
    types
}

/// Returns all types of lines.
fn known_types(kinds: &Kinds) -> Vec<String> {
    let of_kinds = kinds.iter().flat_map(|kind| kind.log_types());
    let own = [APPLICATION_TYPE, ACTION_TYPE].into_iter();
    own.chain(of_kinds).map(str::to_ascii_lowercase).collect()
}

/// Reads the settings of one stream: from its own section, else from `[Logging]`.
fn stream(reader: &mut Reader<'_>, name: &str, types: Vec<String>) -> StreamSettings {
    let sections = &[name, LOGGING];
    let file = reader.text(&[name], keys::LOG_FILE).unwrap_or_else(|| {
        let file = format!("{name}.log");
        reader.derived(name, keys::LOG_FILE, &file, "the name of the stream");
        file
    });
    let directory = PathBuf::from(reader.text(sections, keys::LOG_DIRECTORY).unwrap_or_default());
    let archive = reader.text(sections, keys::LOG_ARCHIVE_DIRECTORY).map(PathBuf::from);
    let archives = reader.word(sections, keys::LOG_OLD_ACTION) == Some("move");
    let max_kb = u64::try_from(reader.integer(sections, keys::LOG_MAX_SIZE_KBS)).ok();
    let max_old_files = reader.integer(sections, keys::LOG_MAX_OLD_FILES);
    let level = reader.word(sections, keys::LOG_LEVEL).and_then(Level::of_word);
    StreamSettings {
        name: name.to_owned(),
        path: directory.join(file),
        types,
        level: level.unwrap_or(Level::Normal),
        format: match reader.word(sections, keys::LOG_FORMAT) {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Text,
        },
        has_time: reader.boolean(sections, keys::LOG_TIME),
        echo: match reader.value(sections, keys::LOG_ECHO) {
            Some(Value::Boolean(echo)) => Some(echo),
            _ => None,
        },
        max_bytes: max_kb.map(|size| size.saturating_mul(1_024)),
        max_old_files: usize::try_from(max_old_files).ok(),
        expire: match reader.word(sections, keys::LOG_EXPIRE_ACTION) {
            Some("consecutive") => ExpireAction::Consecutive,
            Some("datestamp") => ExpireAction::Datestamp,
            Some("previous") => ExpireAction::Previous,
            Some("day") => ExpireAction::Day,
            _ => ExpireAction::Compress,
        },
        archive: archives.then(|| archive.unwrap_or_else(|| directory.join("archive"))),
        history: reader.size(sections, keys::LOG_HISTORY_SIZE),
        max_line: reader.size(sections, keys::LOG_MAX_LINE_LENGTH),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(text: &str) -> (Vec<StreamSettings>, Vec<String>) {
        let (settings, warnings) = Settings::parse(text, "t").unwrap();
        (settings.log_streams, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_stream_has_its_own_settings_and_else_those_of_all() {
        let (streams, warnings) = read(
            "[Logging]\nLogLevel=FULL\nLogDirectory=l\nLogMaxSizeKBs=2\nLogEcho=true\nLogOldAction=move\n\
             0=A\n1=B\n[A]\nLogTypeCSVs=Action,synchronize\nLogFormat=JSON\nLogMaxOldFiles=-1\n\
             [B]\nLogFile=x.log\nLogLevel=warning\nLogEcho=no\nLogExpireAction=Day\nLogArchiveDirectory=a\n",
        );
        assert_eq!(warnings, [""; 0]);
        let [a, b] = &streams[..] else { panic!("{streams:?}") };
        assert_eq!((&*a.name, a.path.to_str(), a.types.len()), ("A", Some("l/A.log"), 2));
        assert_eq!((a.level, a.format, a.echo), (Level::Full, LogFormat::Json, Some(true)));
        assert_eq!((a.max_bytes, a.max_old_files), (Some(2_048), None));
        assert_eq!(
            (a.expire, a.archive.as_deref()),
            (ExpireAction::Compress, Some("l/archive".as_ref()))
        );
        assert_eq!(
            (b.path.to_str(), &b.types[..]),
            (Some("l/x.log"), &["application".to_owned()][..])
        );
        assert_eq!((b.level, b.format, b.echo), (Level::Warning, LogFormat::Text, Some(false)));
        assert_eq!((b.expire, b.archive.as_deref()), (ExpireAction::Day, Some("a".as_ref())));
    }

    #[test]
    fn without_the_section_there_is_no_stream_and_without_a_list_one_for_all() {
        assert_eq!(read("").0, []);
        let (streams, warnings) = read("[Logging]\nLogDirectory=l\n");
        assert_eq!((streams.len(), warnings.len()), (1, 0));
        assert_eq!(
            (&*streams[0].name, streams[0].path.to_str()),
            (DEFAULT_STREAM, Some("l/application.log"))
        );
        for kind in ["application", "action", "echo", "fetch", "synchronize", "ingest", "remote"] {
            assert!(streams[0].types.iter().any(|known| known == kind), "{kind}");
        }
    }

    #[test]
    fn what_other_servers_write_is_a_warning() {
        for (text, want) in [
            ("0=A\n[A]\nLogTypeCSVs=import,Action", "[A] LogTypeCSVs names import: nothing here"),
            ("0=A\n[A]\nLogTypeCSVs=import\n", "[Logging] 0=A is left out: nothing here writes"),
            ("0=A\n7=B\n[A]\n", "[Logging] 7=B is left out: there is no section [B]"),
            (
                "0=A\n1=Process\n[A]\n[Process]\nType=Echo",
                "1=Process is left out: the section of that name",
            ),
            ("0=A\n1=A\n[A]\n", "1=A is left out: the section of that name"),
            ("0=A\n1=B\n[A]\nLogFile=x\n[B]\nLogFile=x", "is the file of the stream A, too"),
        ] {
            let (streams, warnings) = read(&format!("[Logging]\n{text}\n"));
            assert!(warnings.iter().any(|warning| warning.contains(want)), "{text}: {warnings:?}");
            assert!(streams.len() <= 1, "{streams:?}");
        }
        let taken = "[Logging]\n0=A\n1=B\n[A]\nLogFile=a.log\n[B]\nLogFile=a.log.1\n";
        let error = Settings::parse(taken, "t").unwrap_err().to_string();
        assert!(
            error.contains("LogFile=a.log.1: would be taken for an old file of the stream A"),
            "{error}"
        );
    }
}
