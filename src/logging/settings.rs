//! The settings of log streams: `[Logging]` and the section of each stream.

use std::path::PathBuf;

use super::level::Level;

/// The settings of one log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// The name of its section.
    pub name: String,
    /// `LogFile`, below `LogDirectory` unless it is absolute.
    pub path: PathBuf,
    /// `LogTypeCSVs`: the types of its lines, in lower case.
    pub types: Vec<String>,
    /// `LogLevel`: the least level of its lines.
    pub level: Level,
    /// `LogFormat`: the form of its lines.
    pub format: LogFormat,
    /// `LogTime`: true if a line of text begins with its time. JSON always has it.
    pub has_time: bool,
    /// `LogEcho`: whether its lines come to the console; `None` for those that come there anyway.
    pub echo: Option<bool>,
    /// `LogMaxSizeKBs`, in bytes: the largest size of its file; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// `LogMaxOldFiles`: the largest number of old files that are kept; `None` for all.
    pub max_old_files: Option<usize>,
    /// `LogExpireAction`: what becomes of a file that is full.
    pub expire: ExpireAction,
    /// `LogOldAction` and `LogArchiveDirectory`: the directory to which old files move that are too many; `None` if they are
    /// deleted.
    pub archive: Option<PathBuf>,
    /// `LogHistorySize`: the largest number of its lines that are kept in memory.
    pub history: usize,
    /// `LogMaxLineLength`: the largest number of bytes of a message; a longer one is cut.
    pub max_line: usize,
}

/// The form of the lines of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text, as other ACI servers write it.
    Text,
    /// A JSON object (ours).
    Json,
}

/// The fate of a log file that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireAction {
    /// It gets its time behind its name, and is compressed with gzip.
    Compress,
    /// It gets the next free number behind its name.
    Consecutive,
    /// It gets its time behind its name.
    Datestamp,
    /// It gets `previous` behind its name, in place of the one before it.
    Previous,
    /// It gets its day behind its name; so does one that was begun on an earlier day.
    Day,
}
