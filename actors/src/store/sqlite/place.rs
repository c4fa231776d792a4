//! Whether the database is still where it was opened, and still this server's alone. What is written to a file that was deleted or
//! moved away is written nowhere that the next server looks, and no call of the system's fails: so
//! the path is looked at now and then. Why it is as it is: `docs/adr/0010-a-database-that-is-gone.md`.
//! Who asks: [`super::write`].

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lock::Locks;
#[cfg(unix)]
use super::own_files::OwnFiles;
use crate::store::StoreError;

/// How much time passes between two looks, at least: each is some microseconds of the writing thread.
const EVERY: Duration = Duration::from_secs(1);

/// What stays the same as long as a path leads to the same file.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);
/// A file that is open can't be deleted or moved away: that there is one says enough.
#[cfg(not(unix))]
pub(super) type Identity = ();

/// Where the files of a database were when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    files: Vec<(PathBuf, Identity)>,
    /// What keeps others from it.
    locks: Option<Locks>,
    looked: Instant,
    /// The first of the files that was not there at the last look.
    gone: Option<PathBuf>,
    /// Another server had a lock of ours then.
    taken: Option<StoreError>,
    /// Nobody else in this process opens them meanwhile.
    #[cfg(unix)]
    _own: Option<OwnFiles>,
}

impl Place {
    /// Notes what is at these paths now. Where there is no file, nothing is looked for later.
    pub(super) fn note(
        paths: impl IntoIterator<Item = PathBuf>,
        locks: Option<Locks>,
        now: Instant,
    ) -> Self {
        let files = paths.into_iter().filter_map(|path| {
            // So that a message says where, and a directory above that was moved is noticed too.
            let path = std::path::absolute(&path).unwrap_or(path);
            let identity = identity(&path).ok()?;
            Some((path, identity))
        });
        let files: Vec<_> = files.collect();
        Self {
            #[cfg(unix)]
            _own: files.first().and_then(|(path, _)| {
                let held = files.iter().map(|(_, identity)| *identity).collect();
                Some(OwnFiles::holding(path.parent()?, held))
            }),
            files,
            locks,
            looked: now,
            gone: None,
            taken: None,
        }
    }

    /// Says whether all is where it was, by a look that is a second old at most.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), StoreError> {
        if now.saturating_duration_since(self.looked) >= EVERY {
            self.looked = now;
            self.look();
        }
        match (&self.gone, &self.taken) {
            (None, None) => Ok(()),
            (Some(path), _) => Err(StoreError::Io(format!("{} {GONE}", path.display()))),
            (None, Some(error)) => Err(error.clone()),
        }
    }

    /// Looks now, and logs what has changed.
    pub(super) fn look(&mut self) {
        let gone = self.files.iter().find(|(path, was)| is_gone(path, was));
        let gone = gone.map(|(path, _)| path.clone());
        match (&gone, &self.gone) {
            (Some(path), None) => log::error!(
                "{} {GONE}: every change is refused until it is back; the next server will not find what this one has acknowledged",
                path.display()
            ),
            (None, Some(path)) => {
                log::info!("{} is back: changes are taken again", path.display());
            }
            _ => {}
        }
        self.gone = gone;
        if self.gone.is_none() {
            self.look_at_locks();
        }
    }

    /// In the directory that it was: another one has locks of its own.
    fn look_at_locks(&mut self) {
        let taken = self.locks.as_mut().and_then(|locks| locks.look().err());
        match (&taken, &self.taken) {
            (Some(error), None) => log::error!("{error}: every change is refused until that ends"),
            (None, Some(_)) => log::info!("the data directory is ours again: changes are taken"),
            _ => {}
        }
        self.taken = taken;
    }
}

const GONE: &str = "was deleted or moved, or another file is in its place";

/// Only what is certain counts: a path that can't be followed for another reason may still lead there.
fn is_gone(path: &Path, was: &Identity) -> bool {
    match identity(path) {
        Ok(is) => is != *was,
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|file| identity_of(&file))
}

#[cfg(unix)]
pub(super) fn identity_of(file: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

#[cfg(not(unix))]
pub(super) const fn identity_of(_: &fs::Metadata) -> Identity {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_missed_when_it_is_gone_or_another_and_found_when_it_is_back() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let (file, log) = (data.join("actions.db"), data.join("actions.db-wal"));
        fs::create_dir(&data).unwrap();
        fs::write(&file, "").unwrap();
        fs::write(&log, "").unwrap();
        let mut now = Instant::now();
        let mut place = Place::note([file.clone(), log.clone(), data.join("none")], None, now);
        let mut later = || {
            now += EVERY;
            place.check(now)
        };
        assert_eq!(later(), Ok(()));

        let away = home.path().join("away");
        let there_and_back = [
            (&data, None),
            (&data, Some("a file")),
            (&file, None),
            (&file, Some("another one")),
            (&log, None),
        ];
        for (path, instead) in there_and_back {
            fs::rename(path, &away).unwrap();
            if let Some(text) = instead {
                fs::write(path, text).unwrap();
            }
            let error = later().unwrap_err().to_string();
            let named = if *path == log { &log } else { &file };
            assert!(error.contains(&format!("{} was deleted", named.display())), "{error}");
            if instead.is_some() {
                fs::remove_file(path).unwrap();
            }
            fs::rename(&away, path).unwrap();
            assert_eq!(later(), Ok(()), "{path:?} is back");
        }
    }

    #[test]
    fn it_is_looked_at_once_a_second() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("actions.db");
        fs::write(&file, "").unwrap();
        let began = Instant::now();
        let mut place = Place::note([file.clone()], None, began);
        fs::remove_file(&file).unwrap();
        assert_eq!(place.check(began + EVERY / 2), Ok(()));
        assert!(place.check(began + EVERY).is_err(), "the first change after a second");
        assert!(place.check(began + EVERY).is_err(), "and those that follow");
    }
}
