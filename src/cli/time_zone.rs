//! A warning if the time zone that the environment names is not known: times would silently be those of another one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use actiond_actors::OneLine;
use actiond_actors::clock::{Clock as _, SystemClock};
use chrono::Local;
use regex::Regex;

/// The directories in which the crate chrono looks for zones.
const FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo", "/usr/share/lib/zoneinfo"];

/// The POSIX form that chrono takes, such as `CET-1CEST,M3.5.0,M10.5.0/3`: a name and an offset, and where summer
/// has another name, its rules too.
const POSIX: &str = "^(?x)
    (?:[A-Za-z]{3,7}|<[A-Za-z0-9+-]{3,7}>) [+-]?[0-9]{1,2}(?::[0-9]{1,2}){0,2}
    (?:
        (?:[A-Za-z]{3,7}|<[A-Za-z0-9+-]{3,7}>) (?:[+-]?[0-9]{1,2}(?::[0-9]{1,2}){0,2})?
        (?:,(?:J?[0-9]{1,3}|M[0-9]{1,2}\\.[1-5]\\.[0-6])(?:/[0-9]{1,2}(?::[0-9]{1,2}){0,2})?){2}
    )?$";

/// Returns what is wrong with `TZ`, and which time is shown instead; `None` if all is well.
pub(super) fn warning() -> Option<String> {
    let given = std::env::var_os("TZ")?;
    // chrono does as if one that is no text were not set.
    if cfg!(not(unix)) || given.to_str().is_some_and(|zone| is_known(zone, &is_zone_file)) {
        return None;
    }
    let now = super::log_lines::time(SystemClock.now().millis(), &Local);
    let given = given.to_string_lossy();
    Some(format!(
        "TZ={} names no time zone that is known here (is the package tzdata there?); it is {now} by \
         the time that the log and replies show",
        OneLine(&given)
    ))
}

fn is_known(zone: &str, is_zone_file: &dyn Fn(&Path) -> bool) -> bool {
    let path = Path::new(zone.strip_prefix(':').unwrap_or(zone));
    let in_file = if path.is_absolute() {
        is_zone_file(path)
    } else {
        FOLDERS.iter().any(|folder| is_zone_file(&Path::new(folder).join(path)))
    };
    let posix = || Regex::new(POSIX).is_ok_and(|posix| posix.is_match(zone.trim_ascii()));
    zone.is_empty() || zone == "localtime" || in_file || (!zone.starts_with(':') && posix())
}

fn is_zone_file(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"TZif"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_files_or_have_the_form_of_posix() {
        let files = |path: &Path| {
            path == Path::new("/usr/share/zoneinfo/Europe/Berlin") || path == Path::new("/z")
        };
        let table = [
            ("", true),
            ("localtime", true),
            ("Europe/Berlin", true),
            (":Europe/Berlin", true),
            ("/z", true),
            (":/z", true),
            ("HST10", true),
            ("UTC0", true),
            ("<+0530>-5:30", true),
            ("CET-1CEST,M3.5.0,M10.5.0/3", true),
            ("EST5EDT4,J60/2:30,300", true),
            ("Europe/Berlim", false),
            ("/nowhere", false),
            ("UTC", false),
            ("CET", false),
            (":UTC0", false),
            ("CET-1CEST", false),
            ("AB1", false),
            ("CET-1CEST,M3.6.0,M10.5.0", false),
        ];
        for (zone, known) in table {
            assert_eq!(is_known(zone, &files), known, "{zone}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_a_file_of_zones_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zone");
        assert!(!is_zone_file(&path) && !is_zone_file(directory.path()));
        std::fs::write(&path, "TZi").unwrap();
        assert!(!is_zone_file(&path));
        std::fs::write(&path, "TZif2...").unwrap();
        assert!(is_zone_file(&path));
    }
}
