//! The search for the program of a command line.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Returns the path that a name stands for by itself: one with a `/` is below the server's working directory, not the program's own.
pub(super) fn as_named(name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    if name.contains('/') { std::path::absolute(&path).unwrap_or(path) } else { path }
}

/// Returns the path of a program; one without a `/` is looked for in the directories of `PATH`.
///
/// # Errors
///
/// It is not there, or no executable file. The text can follow the name of a key.
pub(super) fn found(name: &str, path: Option<&OsStr>) -> Result<PathBuf, String> {
    if name.contains('/') {
        let program = as_named(name);
        return match look(&program) {
            Ok(()) => Ok(program),
            Err(why) => Err(format!("names the program {}: {why}", program.display())),
        };
    }
    let directories = path.into_iter().flat_map(std::env::split_paths);
    let mut unfit = None;
    for program in directories.filter(|path| path.is_absolute()).map(|path| path.join(name)) {
        match look(&program) {
            Ok(()) => return Ok(program),
            // One that is there says more than those that are not.
            Err(why) if why != NOT_THERE => {
                unfit.get_or_insert_with(|| format!("{}: {why}", program.display()));
            }
            Err(_) => {}
        }
    }
    Err(match (unfit, path) {
        (Some(unfit), _) => format!("names the program {name}, and {unfit}"),
        (None, Some(path)) => format!(
            "names the program {name}, which is in no directory of PATH now ({})",
            path.to_string_lossy()
        ),
        (None, None) => {
            format!(
                "names the program {name}, and there is no PATH to look for it in: give its whole path"
            )
        }
    })
}

const NOT_THERE: &str = "there is no such file now";

/// Looks whether a file can be run.
fn look(program: &Path) -> Result<(), String> {
    let is_executable = |found: &Metadata| found.permissions().mode() & 0o111 != 0;
    match program.metadata() {
        Ok(found) if !found.is_file() => Err("it is no file".to_owned()),
        Ok(found) if !is_executable(&found) => Err("it is not executable (chmod +x)".to_owned()),
        Ok(_) => Ok(()),
        Err(error) if is_absence(&error) => Err(NOT_THERE.to_owned()),
        Err(error) => Err(format!("it can't be looked at: {error}")),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_found_or_it_is_said_what_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for directory in ["first", "second", "second/tool"] {
            fs::create_dir(at(directory)).unwrap();
        }
        for (name, mode) in [("first/plain", 0o644), ("second/plain", 0o755), ("first/data", 0o600)]
        {
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([at("absent"), "first".into(), at("first"), at("second")]);
        let path = path.unwrap();
        let found_there = |name: &str| found(name, Some(&path));
        // The first that can be run, in a directory that is no other one elsewhere.
        assert_eq!(found_there("plain"), Ok(at("second/plain")));
        let named = |name: &str| found(at(name).to_str().unwrap(), None);
        assert_eq!(named("second/plain"), Ok(at("second/plain")));
        for (error, words) in [
            (found_there("data"), "first/data: it is not executable (chmod +x)"),
            (found_there("tool"), "second/tool: it is no file"),
            (found_there("nothing"), "the program nothing, which is in no directory of PATH now"),
            (found("plain", None), "there is no PATH"),
            (named("absent/x"), "absent/x: there is no such file now"),
            (named("first/plain"), "first/plain: it is not executable"),
            (named("first/plain/x"), "first/plain/x: there is no such file now"),
            (named("first"), "first: it is no file"),
        ] {
            let error = error.unwrap_err();
            assert!(error.starts_with("names the program ") && error.contains(words), "{error}");
        }
        // One with a slash is below the directory of the server.
        let relative = found("./no/such", Some(&path)).unwrap_err();
        assert!(
            relative.contains(std::env::current_dir().unwrap().to_str().unwrap()),
            "{relative}"
        );
    }
}
