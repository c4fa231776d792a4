//! The configuration: from the text of an ACI `.cfg` file to typed [`Settings`].
//!
//! [`Settings::parse`] is pure; [`load`] alone reads a file, and looks at what stands where a
//! directory is wanted. The way of a value: `ini` splits the text into sections and lines, `table`
//! says which keys there are and what they may hold, `kind` turns a value into its type, `reader`
//! looks values up, `disk` looks at directories, `build` and `queues` make the settings of them, and `unknown` warns about what
//! nothing has read. [`describe()`] prints the table as a file that can be used. To add a key: one
//! entry in `table`, one field in `settings`, one line in `build` or `queues`.

mod build;
mod describe;
mod disk;
mod findings;
mod ini;
mod kind;
mod queues;
mod reader;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod unknown;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

pub use describe::describe;
use disk::Real;
pub use findings::{ConfigError, Problem, Warning};
pub use settings::{
    ActionsSettings, Durability, FetchSettings, FetchTask, IngestSettings, IngestTarget, OnRestart,
    Output, Overrides, PathSettings, QueueKind, QueueLimits, QueueSettings, ServerSettings,
    Settings,
};

/// The configuration file that is used when none is named, in the working directory.
pub const DEFAULT_FILE: &str = "actiond.cfg";

/// The largest configuration text that is read, in bytes (our choice).
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Reads the settings from `file`, or from [`DEFAULT_FILE`] when none is named.
///
/// A file that was named must exist. Without a name and without a [`DEFAULT_FILE`] the defaults
/// apply, and a warning says so. Warnings are in the order of the file's lines.
///
/// # Errors
///
/// The file cannot be read, is larger than [`MAX_FILE_BYTES`], is not UTF-8, holds what
/// [`Settings::parse`] refuses, or wants documents written where there is a file.
pub fn load(
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|open| open.take(limit).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound => {
            let (settings, mut warnings) = Settings::parse_among("", &name, overrides, &Real)?;
            let text = "there is no such file in the working directory, so the defaults apply";
            warnings.push(Warning::about_file(&name, text));
            return Ok((settings, warnings));
        }
        Err(error) => {
            return Err(ConfigError::about_file(&name, None, format!("cannot be read: {error}")));
        }
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Settings::parse_among(text, &name, overrides, &Real),
        // Where the size was cut, a character may have been cut too: the size is what is wrong.
        Err(_) if bytes.len() > MAX_FILE_BYTES => Err(ConfigError::too_large(&name)),
        Err(error) => {
            let good = bytes.iter().take(error.valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            let reason = "holds bytes that are not UTF-8: save the file as UTF-8".to_owned();
            Err(ConfigError::about_file(&name, Some(line), reason))
        }
    }
}

#[cfg(test)]
mod load_tests {
    use std::path::PathBuf;

    use super::*;

    fn load_bytes(bytes: &[u8]) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.cfg");
        std::fs::write(&path, bytes).unwrap();
        load(Some(&path), &Overrides::default())
    }

    #[test]
    fn a_file_is_read_and_overridden() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.cfg");
        std::fs::write(&path, "\u{feff}[Server]\r\nPort=9000\r\n[Paths]\r\nDataDirectory=/d\r\n")
            .unwrap();
        let (settings, warnings) = load(Some(&path), &Overrides::default()).unwrap();
        assert_eq!(settings.server.port, 9000);
        assert_eq!(settings.paths.data_directory, PathBuf::from("/d"));
        assert!(warnings.is_empty());

        let overrides = Overrides { port: Some(0), data_directory: Some(PathBuf::from("/other")) };
        let (settings, _) = load(Some(&path), &overrides).unwrap();
        assert_eq!(settings.server.port, 0);
        assert_eq!(settings.paths.data_directory, PathBuf::from("/other"));
    }

    #[test]
    fn a_named_file_must_exist() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("absent.cfg");
        let error = load(Some(&path), &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("absent.cfg") && error.contains("cannot be read"), "{error}");
        assert!(load(Some(directory.path()), &Overrides::default()).is_err());
    }

    #[test]
    fn documents_are_not_written_to_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, data) = (directory.path().join("test.cfg"), directory.path().join("data"));
        let overrides = Overrides { data_directory: Some(data.clone()), ..Overrides::default() };
        let load_with = |line: &str| {
            let text = format!("[AsyncActions]\n0=Ingest\n[Ingest]\nType=Ingest\n{line}");
            std::fs::write(&path, text).unwrap();
            load(Some(&path), &overrides).map(drop).map_err(|error| error.to_string())
        };
        std::fs::create_dir(&data).unwrap();
        for output in [&data, &data.join("new/deep")] {
            assert_eq!(load_with(&format!("OutputDirectory={}", output.display())), Ok(()));
        }
        for output in [&path, &path.join("below")] {
            let output = output.display();
            let error = load_with(&format!("OutputDirectory={output}")).unwrap_err();
            let place =
                format!("test.cfg:5: [Ingest] OutputDirectory={output}: must be a directory");
            assert!(error.contains(&place), "{error}");
        }
        assert_eq!(load_with(""), Ok(()));
        std::fs::write(data.join("ingest"), "").unwrap();
        let error = load_with("").unwrap_err();
        assert!(error.contains("test.cfg:3: [Ingest] OutputDirectory: must be"), "{error}");
        assert!(error.contains("data/ingest"), "{error}");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_with_their_line() {
        let error = load_bytes(b"[Server]\nPort=1\nTokenHost=\xe9\n").unwrap_err();
        assert_eq!(error.problems()[0].line, Some(3));
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let mut bytes = vec![b'#'; MAX_FILE_BYTES];
        assert!(load_bytes(&bytes).is_ok());
        bytes.extend_from_slice("é".as_bytes());
        let error = load_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("4194304 bytes"), "{error}");
    }
}
