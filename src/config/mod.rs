//! The configuration: from the text of an ACI `.cfg` file to typed [`Settings`].
//!
//! [`Settings::parse`] is pure; only [`load`] and [`check`] read files, and look at the directories on the disk.
//!
//! From a file to the settings:
//!
//! | module | what it does |
//! |---|---|
//! | `files` | gathers the texts of the file and its includes |
//! | `lines` | parses a line |
//! | `variables` | looks up what stands for a variable of the environment |
//! | `ini` | makes sections of lines |
//! | `table`, `key` | define the sections and keys, with their values, defaults and meanings |
//! | `value` | parses a value |
//! | `reader` | looks values up |
//! | `build`, `queues`, `events`, `schedules`, `access`, `tls`, `store` | make the [`settings`](Settings) |
//! | `disk` | looks whether the directories that the settings name can be there |
//! | `kind_reader` | reads the keys of a kind of action |
//! | `secrets` | masks what is not for other eyes |
//! | `findings`, `unknown` | collect problems and warnings; warn about keys that nothing reads |
//! | `in_force` | notes the value that each key has in the end |
//! | `values` | keeps those, for [`check`], and tells what another reading changes |
//! | `describe` | prints the table as a configuration file |
//!
//! To add a key: one entry in `table`, one field in `settings`, one line in `build`. A [`Kind`](crate::kinds::Kind) of action
//! has [`Key`]s and [`Section`]s of its own, and reads them by a [`KindReader`]. Nothing here knows any kind but by [`Kinds`].

mod access;
mod build;
mod describe;
mod disk;
#[cfg(test)]
mod docs_tests;
mod events;
mod files;
mod findings;
#[cfg(test)]
mod foreign_tests;
mod in_force;
mod ini;
mod key;
mod kind_reader;
mod lines;
mod log_files;
mod logging;
mod queues;
mod reader;
#[cfg(test)]
mod reference_tests;
mod schedules;
mod secrets;
mod settings;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod unknown;
mod value;
mod values;
mod variables;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use build::BuildInputs;
pub use describe::describe;
use disk::Disk;
use files::Included;
pub use findings::{ConfigError, Problem, Warning};
pub use key::{Key, Section};
pub use kind_reader::{KindReader, SectionReader};
pub(crate) use settings::Parsed;
pub use settings::{
    AccessSettings, ActionsSettings, AdminSecret, Backoff, Durability, InMemorySettings, OnRestart,
    Overrides, PathSettings, PostgresSettings, QueueConfig, QueueLimits, RetryPolicy,
    ServerSettings, ServiceSettings, Settings, StoreSettings,
};
pub(crate) use store::is_schema;
pub use table::TYPE;
pub(crate) use table::{ON_RESTART, QUEUE_KEYS, fixed_section};
pub use value::ValueKind;
pub(crate) use value::is_name;
pub(crate) use values::{Change, Values};

use crate::kinds::Kinds;

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
/// [`Settings::parse`] refuses, or wants a directory where there is a file.
pub fn load(
    kinds: &Kinds,
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let Parsed { settings, warnings, .. } = load_values(kinds, file, overrides)?;
    Ok((settings, warnings))
}

/// Reads a file as [`load`] does, and returns the value of every key, too.
///
/// # Errors
///
/// As for [`load`].
pub(crate) fn load_values(
    kinds: &Kinds,
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<Parsed, ConfigError> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    match read(path) {
        Err(Unread::Io(error)) if file.is_none() && error.kind() == ErrorKind::NotFound => {
            let mut parsed = parse(kinds, path, "", overrides)?;
            let text = "there is no such file in the working directory, so the defaults apply";
            parsed.warnings.push(Warning::about_file(&path.display().to_string(), text));
            Ok(parsed)
        }
        text => parse(kinds, path, &good(path, text)?, overrides),
    }
}

/// Reads a file as [`load`] does and returns, as configuration text, the value of every key in force, each below a
/// comment that says where it comes from; and the warnings.
///
/// # Errors
///
/// As for [`load`].
pub fn show(kinds: &Kinds, file: Option<&Path>) -> Result<(String, Vec<Warning>), ConfigError> {
    let Parsed { warnings, in_force, .. } = load_values(kinds, file, &Overrides::default())?;
    Ok((in_force.print(), warnings))
}

/// Does the same with a file that was named.
///
/// # Errors
///
/// As for [`load`].
pub fn check(kinds: &Kinds, file: &Path) -> Result<(String, Vec<Warning>), ConfigError> {
    show(kinds, Some(file))
}

fn parse(
    kinds: &Kinds,
    path: &Path,
    text: &str,
    overrides: &Overrides,
) -> Result<Parsed, ConfigError> {
    // Also of a file that another one below it includes (source: the page "Include an External Configuration File").
    let directory = path.parent().unwrap_or(Path::new(""));
    let included = |name: &str| {
        let path = directory.join(name);
        // A pipe without a writer would be waited for.
        let is_file = std::fs::metadata(&path).map(|file| file.is_file() || file.is_dir());
        let text = match is_file {
            Ok(false) => Err("is no file".to_owned()),
            _ => read(&path).map_err(|error| error.to_string()),
        };
        Included { name: path.display().to_string(), text }
    };
    let variable = |name: &str| std::env::var_os(name);
    let among = BuildInputs {
        overrides,
        disk: Disk::Real,
        kinds,
        included: &included,
        variable: &variable,
    };
    Settings::parse_among(text, &path.display().to_string(), &among)
}

/// Reads a text whose other files and variables are these, and looks at nothing else.
#[cfg(feature = "fuzzing")]
pub(crate) fn parse_closed(
    text: &str,
    name: &str,
    included: &dyn Fn(&str) -> Result<String, String>,
    variable: &dyn Fn(&str) -> Option<std::ffi::OsString>,
) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let included = |path: &str| Included { name: path.to_owned(), text: included(path) };
    let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
    let disk = Disk::Unknown;
    let among = BuildInputs { overrides, disk, kinds, included: &included, variable };
    Settings::parse_among(text, name, &among).map(|parsed| (parsed.settings, parsed.warnings))
}

/// The reason for which a file can't be taken for text.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is too large: a configuration has at most {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("holds bytes that are not UTF-8 in line {line}: save the file as UTF-8")]
    NotUtf8 { line: usize },
}

fn good(path: &Path, text: Result<String, Unread>) -> Result<String, ConfigError> {
    text.map_err(|unread| {
        let line = if let Unread::NotUtf8 { line } = unread { Some(line) } else { None };
        ConfigError::about_file(&path.display().to_string(), line, unread.to_string())
    })
}

fn read(path: &Path) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Unread::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        Unread::NotUtf8 { line: 1 + good.filter(|byte| **byte == b'\n').count() }
    })
}

#[cfg(test)]
mod load_tests {
    use std::path::PathBuf;

    use super::*;

    fn load(
        file: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<(Settings, Vec<Warning>), ConfigError> {
        super::load(&Kinds::shipped(), file, overrides)
    }

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

    #[cfg(unix)]
    #[test]
    fn nothing_waits_for_a_pipe_that_is_included() {
        let directory = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(directory.path().join("pipe")).status();
        assert!(made.unwrap().success());
        let path = directory.path().join("test.cfg");
        std::fs::write(&path, "[Server] < \"pipe\" [Server]\n").unwrap();
        let error = load(Some(&path), &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("is no file"), "{error}");
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
    fn the_data_directory_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, file) = (directory.path().join("test.cfg"), directory.path().join("file"));
        std::fs::write(&file, "").unwrap();
        let queue = "[AsyncActions]\n0=Ingest\n[Ingest]\nType=Ingest\n";
        let load_with = |data: &Path, overrides: Option<&Path>| {
            let text = format!("{queue}[Paths]\nDataDirectory={}\n", data.display());
            std::fs::write(&path, text).unwrap();
            let overrides = Overrides { data_directory: overrides.map(Path::to_owned), port: None };
            load(Some(&path), &overrides).map(drop).map_err(|error| error.to_string())
        };
        let (free, told) = (directory.path().join("new/deep"), "must be a directory or a path");
        for data in [&file, &file.join("below")] {
            let shown = data.display();
            let place = format!("{}:6: [Paths] DataDirectory={shown}: {told}", path.display());
            // A path that would lie in it is reported once, too.
            let error = load_with(data, None).unwrap_err();
            assert!(error.starts_with(&place) && error.lines().count() == 1, "{error}");
            assert!(check(&Kinds::shipped(), &path).unwrap_err().to_string().starts_with(&place));
            // What the command line says counts, for better or worse.
            assert_eq!(load_with(data, Some(&free)), Ok(()));
            let error = load_with(&free, Some(data)).unwrap_err();
            let place = format!("{}: --data {shown}: {told}", path.display());
            assert!(error.starts_with(&place) && error.lines().count() == 1, "{error}");
        }
        assert_eq!(load_with(&free, None), Ok(()));
        assert_eq!(load_with(directory.path(), None), Ok(()));
    }

    #[test]
    fn a_directory_to_read_from_that_is_not_there_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let (path, there) = (directory.path().join("test.cfg"), directory.path().join("there"));
        std::fs::create_dir(&there).unwrap();
        let (absent, file) = (directory.path().join("absent"), path.join("in a file"));
        let shown = [&there, &absent, &file].map(|path| format!("\"{}\"", path.display()));
        let text = format!(
            "[AsyncActions]\n0=In\n1=Out\n[In]\nType=Ingest\nAllowedSourceDirectories={0}\n\
             [Out]\nType=FileSystemConnector\n[FetchTasks]\n0=T\n[T]\nDirectoryPathCSVs={0}\n",
            shown.join(",")
        );
        std::fs::write(&path, text).unwrap();
        let (_, at_start) = load(Some(&path), &Overrides::default()).unwrap();
        let (_, checked) = check(&Kinds::shipped(), &path).unwrap();
        assert_eq!(at_start, checked);
        let got: Vec<_> = checked.iter().map(ToString::to_string).collect();
        let mut want = Vec::new();
        for (line, key) in [(6, "[In] AllowedSourceDirectories"), (12, "[T] DirectoryPathCSVs")] {
            let start = format!("{}:{line}: {key} names ", path.display());
            want.push(format!("{start}{}: there is no such directory now", absent.display()));
            want.push(format!("{start}{}: it can't be read now: ", file.display()));
        }
        assert_eq!(got.len(), want.len(), "{got:#?}");
        assert!(got.iter().zip(&want).all(|(got, want)| got.starts_with(want)), "{got:#?}");
    }

    #[test]
    fn included_files_are_found_beside_the_one_that_was_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("shared")).unwrap();
        let path = directory.path().join("test.cfg");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        };
        write("test.cfg", b"[Server] < \"shared/a.cfg\" [Server]\n");
        // From below, too, a path begins beside the file that was named.
        write("shared/a.cfg", b"[Server]\n< \"shared/b.cfg\" [Server] P*\n");
        write("shared/b.cfg", b"[Server]\nPort=7003\nThreads=2\n");
        let (settings, warnings) = load(Some(&path), &Overrides::default()).unwrap();
        assert_eq!((settings.server.port, settings.server.threads), (7003, None));
        assert_eq!(warnings, []);

        let refused = |bytes: &[u8]| {
            write("shared/b.cfg", bytes);
            load(Some(&path), &Overrides::default()).unwrap_err().to_string()
        };
        let a = directory.path().join("shared/a.cfg");
        let at = format!("{}:2: can't include \"shared/b.cfg\": ", a.display());
        assert_eq!(
            refused(b"[Server]\nPort=\xe9"),
            format!("{at}holds bytes that are not UTF-8 in line 2: save the file as UTF-8")
        );
        assert!(refused(&vec![b'#'; MAX_FILE_BYTES + 1]).starts_with(&format!("{at}is too large")));
        let b = directory.path().join("shared/b.cfg");
        let place = format!("{}:2: [Server] Port=x: must be", b.display());
        assert!(refused(b"[Server]\nPort=x\n").starts_with(&place));
        std::fs::remove_file(b).unwrap();
        let error = load(Some(&path), &Overrides::default()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{at}cannot be read: ")), "{error}");
    }

    #[test]
    fn the_settings_know_the_files_that_they_are_made_of() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (keys, certificates) = (at("keys.txt"), crate::tls::testing::Place::new());
        std::fs::write(at("shared.cfg"), "[R]\nStandardRoles=Query\n").unwrap();
        std::fs::write(&keys, format!("sha256:{}\n", "0".repeat(64))).unwrap();
        let text = format!(
            "[Server]\nSSLConfig=S\n[S]\nSSLMethod=Negotiate\nSSLCertificate={}\nSSLPrivateKey={}\n\
             SSLCACertificate={}\n[AuthorizationRoles]\n0=R\n[R] < \"shared.cfg\" [R]\nKeys={}\n",
            certificates.path("server.pem").display(),
            certificates.path("server.key").display(),
            certificates.path("ca.pem").display(),
            keys.display()
        );
        std::fs::write(at("test.cfg"), text).unwrap();
        let (settings, _) = load(Some(&at("test.cfg")), &Overrides::default()).unwrap();
        let named = ["server.pem", "server.key", "ca.pem"].map(|name| certificates.path(name));
        let mut files: Vec<_> =
            named.into_iter().chain([at("test.cfg"), at("shared.cfg"), keys]).collect();
        files.sort();
        assert_eq!(settings.files, files);
        assert_eq!(Settings::default().files, Vec::<PathBuf>::new());
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
