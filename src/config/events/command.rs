//! `LibraryName=CommandHandler`.

use super::super::kind_reader::SectionReader;
use super::keys;
use crate::events::handlers::Library;

/// Reads the settings; `None` if they can't be used.
#[cfg(unix)]
pub(super) fn read(own: &mut SectionReader<'_, '_>) -> Option<Library> {
    use std::path::PathBuf;

    use crate::events::handlers::{CommandSettings, Format};

    let command = own.text(keys::COMMAND).unwrap_or_default();
    let words = shell_words::split(&command).unwrap_or_else(|_| {
        own.problem(
            keys::COMMAND,
            "has a quote that is not closed: each ' and \" must have a second one",
        );
        Vec::new()
    });
    let directory = own.text(keys::WORKING_DIRECTORY).map(PathBuf::from);
    if let Some(directory) = &directory {
        own.warn_if_absent(keys::WORKING_DIRECTORY, directory);
    }
    let codes = own.texts(keys::SUCCESS_EXIT_CODES);
    let codes = codes.iter().map(|code| code.parse::<u8>().ok().map(i32::from));
    let success = codes.collect::<Option<Vec<_>>>().filter(|codes| !codes.is_empty());
    if success.is_none() {
        let reason = "must be one or more numbers from 0 to 255, with commas between them";
        own.problem(keys::SUCCESS_EXIT_CODES, reason);
    }
    let format = Format::of_word(own.word(keys::FORMAT));
    let timeout = own.seconds(keys::TIMEOUT_SECS);
    let settings =
        CommandSettings { words, directory, format, timeout, success: success.unwrap_or_default() };
    Some(Library::Command(settings))
}

/// Reads nothing: processes are told apart by groups, which this system lacks.
#[cfg(not(unix))]
pub(super) fn read(own: &mut SectionReader<'_, '_>) -> Option<Library> {
    own.problem(keys::LIBRARY_NAME, "is for Unix alone");
    None
}
