//! Settings that tests of streams share.

use super::{ExpireAction, Level, LogFormat, StreamSettings};

/// Returns the settings of a stream of this name that the configuration gives by default, with the file in no directory.
pub(crate) fn settings(name: &str) -> StreamSettings {
    StreamSettings {
        name: name.to_owned(),
        path: format!("{name}.log").into(),
        types: vec!["application".to_owned()],
        level: Level::Normal,
        format: LogFormat::Text,
        has_time: true,
        echo: None,
        max_bytes: None,
        max_old_files: Some(10),
        expire: ExpireAction::Compress,
        archive: None,
        history: 100,
        max_line: 10_000,
    }
}
