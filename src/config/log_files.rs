//! Places where log files and files of events may not be: the server's own files, which are appended to, renamed and deleted no more than others'.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::disk::Disk;
use super::key::Key;
use super::reader::Reader;
use crate::logging::{StreamSettings, is_old_name};

/// The only directory of the data directory that may have log files.
const LOGS: &str = "logs";

/// Largest number of links that are followed in a path.
const MAX_LINKS: usize = 40;

/// Adds a problem for each stream whose file is a directory, or whose file, or an old one of it, is or would be one of the server's own: what is in the data
/// directory, and these files of the configuration.
pub(super) fn check(
    reader: &mut Reader<'_>,
    streams: &[StreamSettings],
    key: &Key,
    data: &Path,
    files: &[PathBuf],
    disk: Disk,
) {
    let real = |path: &Path| match disk {
        Disk::Real => real(path, &mut 0),
        Disk::Unknown => path.to_owned(),
    };
    let data_there = real(data);
    for stream in streams {
        // A link may have the names of old files beside it, and beside what it leads to.
        let named = stream.path.parent().map(real).zip(stream.path.file_name());
        let named = named.map(|(directory, name)| directory.join(name));
        let file = real(&stream.path);
        let places = named.iter().chain([&file]);
        let path = stream.path.display();
        let reason = if places.clone().any(|file| is_in(file, &data_there)) {
            format!(
                "{path} is in the data directory {}, which is the server's own but for {LOGS}/ in it: let it be there or elsewhere",
                data.display()
            )
        } else if let Some(own) = files.iter().find(|own| {
            let own = [real(own), own.to_path_buf()];
            places.clone().any(|file| own.iter().any(|own| file == own || is_old(file, own)))
        }) {
            format!(
                "{path}, or an old file of it, is {}, a file of the configuration",
                own.display()
            )
        } else if disk == Disk::Real && stream.path.is_dir() {
            format!("{path} is a directory, and a file is wanted")
        } else if disk == Disk::Real && is_own(&stream.path) {
            format!("{path} is one of the server's own files")
        } else {
            continue;
        };
        reader.problem_at(&stream.name, key, reason);
    }
}

fn is_in(file: &Path, data: &Path) -> bool {
    let below = file.strip_prefix(data);
    below.is_ok_and(|below| {
        let mut names = below.components();
        // A file of that name is none in it.
        names.next() != Some(Component::Normal(LOGS.as_ref())) || names.next().is_none()
    })
}

fn is_old(of: &Path, file: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    of.parent() == file.parent()
        && name(of).zip(name(file)).is_some_and(|(of, file)| is_old_name(&of, &file))
}

#[cfg(unix)]
fn is_own(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| crate::documents::beneath::is_protected(&there))
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    false
}

/// Returns the path to which one leads, also where nothing is there yet.
fn real(path: &Path, links: &mut usize) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            real.pop();
            continue;
        }
        real.push(component);
        if *links < MAX_LINKS
            && let Ok(target) = fs::read_link(&real)
        {
            *links += 1;
            real.pop();
            real = self::real(&real.join(target), links);
        }
    }
    real
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::check;
    use crate::kinds::Kinds;
    use std::fs;

    #[test]
    fn no_file_of_the_server_is_a_log_file_by_whatever_name() {
        let home = tempfile::tempdir().unwrap();
        let (at, here) = (home.path(), home.path().display());
        for directory in ["data/logs", "logs"] {
            fs::create_dir_all(at.join(directory)).unwrap();
        }
        fs::write(at.join("part.1"), "[A]\nPort=7000\n").unwrap();
        for (target, link) in [
            ("../data/actions.db", "logs/link"),
            ("link", "logs/link-to-link"),
            ("../a.cfg", "logs/to.cfg"),
            ("../part", "logs/to-part"),
            ("endless", "logs/endless"),
            ("data", "other-name"),
        ] {
            symlink(target, at.join(link)).unwrap();
        }
        let (in_data, of_configuration) =
            ("is in the data directory", "a file of the configuration");
        for (directory, file, want) in [
            ("data", "actions.db", in_data),
            ("data", "x.log", in_data),
            ("data", "logs", in_data),
            ("data/new", "x.log", in_data),
            ("other-name", "x.log", in_data),
            ("logs/../data", "x.log", in_data),
            ("logs/none/../../data", "x.log", in_data),
            ("data/logs/..", "x.log", in_data),
            ("logs", "link", in_data),
            ("logs", "link-to-link", in_data),
            ("", "a.cfg", of_configuration),
            ("logs", "to.cfg", of_configuration),
            ("", "part", of_configuration),
            ("logs", "to-part", of_configuration),
            ("data/logs", "x.log", ""),
            ("data2", "x.log", ""),
            ("logs", "actions.db", ""),
            ("logs", "endless", ""),
            ("new", "x.log", ""),
        ] {
            let text = format!(
                "[Server]\nPort=< \"part.1\" [A] Port\n[Paths]\nDataDirectory={here}/data\n\
                 [Logging]\nLogDirectory={here}/{directory}\n0=S\n[S]\nLogFile={file}\n"
            );
            fs::write(at.join("a.cfg"), text).unwrap();
            let checked = check(&Kinds::shipped(), &at.join("a.cfg"));
            let error = checked.map_or_else(|error| error.to_string(), |_| String::new());
            let place =
                if want.is_empty() { "" } else { &*format!("a.cfg:9: [S] LogFile={file}: ") };
            assert!(
                error.contains(want)
                    && error.contains(place)
                    && error.is_empty() == want.is_empty(),
                "{directory}/{file}: {error}"
            );
        }
    }
}
