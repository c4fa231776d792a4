//! The part of the table about the log: `[Logging]`, and the sections of its streams.

use super::super::key::{Key, Section};
use super::super::value::ValueKind;

/// `[Logging]`.
pub(in crate::config) const LOGGING: &Section = &Section::fixed(
    "Logging",
    "Log files. Without this section the log comes to the console alone; with it and no list of streams, all of it goes to the file application.log, too.",
    &[
        STREAM_NUMBER,
        LOG_DIRECTORY,
        LOG_ARCHIVE_DIRECTORY,
        LOG_LEVEL,
        LOG_FORMAT,
        LOG_TIME,
        LOG_ECHO,
        LOG_MAX_SIZE_KBS,
        LOG_MAX_OLD_FILES,
        LOG_EXPIRE_ACTION,
        LOG_OLD_ACTION,
        LOG_HISTORY_SIZE,
        LOG_MAX_LINE_LENGTH,
    ],
)
.by_example();
/// The section of a log stream.
pub(in crate::config) const LOG_STREAM: &Section = &Section::listed(
    "ActionLogStream",
    "log stream",
    LOGGING,
    &[
        LOG_FILE,
        LOG_TYPES,
        LOG_DIRECTORY,
        LOG_ARCHIVE_DIRECTORY,
        LOG_LEVEL,
        LOG_FORMAT,
        LOG_TIME,
        LOG_ECHO,
        LOG_MAX_SIZE_KBS,
        LOG_MAX_OLD_FILES,
        LOG_EXPIRE_ACTION,
        LOG_OLD_ACTION,
        LOG_HISTORY_SIZE,
        LOG_MAX_LINE_LENGTH,
    ],
);

/// The levels of log lines, the least first.
const LOG_LEVELS: &[&str] = &["Full", "Normal", "Warning", "Error", "Always"];

pub(in crate::config) const STREAM_NUMBER: &Key = &Key::numbered(
    "0",
    ValueKind::Name,
    "ActionLogStream",
    "The names of the log streams, each with a section of its own: 0, 1 and so on.",
)
.read_again();

pub(in crate::config) const LOG_FILE: &Key = &Key::optional(
    "LogFile",
    ValueKind::Path,
    "action.log",
    "The file of the stream, in LogDirectory. By default it is the name of the stream with .log behind it. It may not be in the data directory, but for the directory logs in it, nor be a file of the configuration.",
)
.read_again();

pub(in crate::config) const LOG_TYPES: &Key = &Key::with_default(
    "LogTypeCSVs",
    ValueKind::Texts("types of lines"),
    "application",
    "The types of lines that the stream takes: action (requests, start and end of actions), one for each kind of action (command, echo, fetch, forward, ingest, remote), and application for all else. What is of a kind that no stream names is of the application.",
)
.read_again();

pub(in crate::config) const LOG_DIRECTORY: &Key = &Key::with_default(
    "LogDirectory",
    ValueKind::Path,
    "./logs",
    "The directory of the log files, relative to the working directory. It is made if it is not there, for the user of the server alone.",
)
.read_again();

pub(in crate::config) const LOG_ARCHIVE_DIRECTORY: &Key = &Key::optional(
    "LogArchiveDirectory",
    ValueKind::Path,
    "./logs/archive",
    "The directory to which LogOldAction=move moves old log files. By default it is archive in LogDirectory. Nothing is ever deleted or replaced there, so several servers may have one.",
)
.read_again();

pub(in crate::config) const LOG_LEVEL: &Key = &Key::with_default(
    "LogLevel",
    ValueKind::OneOf(LOG_LEVELS),
    "Normal",
    "The least level of lines: Full is all, Always only requests, starts and ends.",
)
.read_again();

pub(in crate::config) const LOG_FORMAT: &Key = &Key::with_default(
    "LogFormat",
    ValueKind::OneOf(&["text", "json"]),
    "text",
    "The form of lines: text as other ACI servers write it, or a JSON object each.",
)
.read_again();

pub(in crate::config) const LOG_TIME: &Key = &Key::with_default(
    "LogTime",
    ValueKind::Boolean,
    "true",
    "Whether lines of text begin with their time; those of JSON always have it.",
)
.read_again();

pub(in crate::config) const LOG_ECHO: &Key = &Key::optional(
    "LogEcho",
    ValueKind::Boolean,
    "true",
    "Whether the lines that the stream takes come to the console: all of them with true, none with false. By default the console says what it would say without streams. The reason for which the server ends always comes there.",
)
.read_again();

pub(in crate::config) const LOG_MAX_SIZE_KBS: &Key = &Key::with_default(
    "LogMaxSizeKBs",
    ValueKind::or_unlimited(1, 1_000_000_000),
    "20480",
    "The largest size of a log file, in units of 1,024 bytes; -1 is no limit. Then no old file is deleted or compressed, unless LogExpireAction=day.",
)
.read_again();

pub(in crate::config) const LOG_MAX_OLD_FILES: &Key = &Key::with_default(
    "LogMaxOldFiles",
    ValueKind::or_unlimited(0, 1_000_000),
    "10",
    "The largest number of old log files of a stream that are kept; -1 is no limit. Only files with names that LogExpireAction gives count.",
)
.read_again();

pub(in crate::config) const LOG_EXPIRE_ACTION: &Key = &Key::with_default(
    "LogExpireAction",
    ValueKind::OneOf(&["compress", "consecutive", "datestamp", "previous", "day"]),
    "compress",
    "What becomes of a full log file: it gets its time behind its name and is compressed with gzip (compress), gets its time (datestamp), the next number (consecutive), or the word previous in place of the one before it. With day it gets its date, and so does one of an earlier day.",
)
.read_again();

pub(in crate::config) const LOG_OLD_ACTION: &Key = &Key::with_default(
    "LogOldAction",
    ValueKind::OneOf(&["delete", "move"]),
    "delete",
    "What becomes of the oldest files beyond LogMaxOldFiles.",
)
.read_again();

pub(in crate::config) const LOG_HISTORY_SIZE: &Key = &Key::with_default(
    "LogHistorySize",
    ValueKind::from_to(0, 10_000),
    "100",
    "The number of the last lines of a stream that are kept in memory, in at most 1 MB.",
)
.read_again();

pub(in crate::config) const LOG_MAX_LINE_LENGTH: &Key = &Key::with_default(
    "LogMaxLineLength",
    ValueKind::from_to(100, 1_000_000),
    "16384",
    "The largest number of bytes of what a line says; a longer one is cut.",
)
.read_again();
