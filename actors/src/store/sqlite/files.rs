//! Whether the database is still where it was opened, as it was left, and still this server's alone. What is written to a file that was deleted or
//! moved away is written nowhere that the next server looks, and no call of the system's fails: so
//! the path is looked at now and then. Why it is as it is: `docs/adr/0010-a-database-that-is-gone.md`.
//! Who asks: [`super::write`].

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lock::Locks;
#[cfg(unix)]
use super::own_files::OwnFiles;
use crate::store::StoreError;

/// How much time passes between two looks, at least: each is some microseconds of the writing thread.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// A log that begins anew is cut to this where it is longer; else no file becomes shorter. In bytes.
pub(super) const LOG_IS_CUT_TO: u64 = 64 << 20;

/// What stays the same as long as a path leads to the same file.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);
/// A file that is open can't be deleted or moved away: that there is one says enough.
#[cfg(not(unix))]
pub(super) type Identity = ();

/// Where the files of a database were when it was opened.
#[derive(Debug)]
pub(super) struct DatabaseFiles {
    files: Vec<Noted>,
    /// What keeps others from it.
    locks: Option<Locks>,
    looked: Instant,
    /// The first of the files that was not there at the last look.
    gone: Option<PathBuf>,
    /// Another server had a lock of ours then.
    taken: Option<StoreError>,
    /// Somebody else has written to this file, or cut it. What this process believes of it is wrong from then on.
    overwritten: Option<PathBuf>,
    /// Nobody else in this process opens them meanwhile.
    #[cfg(unix)]
    _own: Option<OwnFiles>,
}

#[derive(Debug)]
struct Noted {
    path: PathBuf,
    is: Identity,
    /// How long it was at the last look.
    length: u64,
    /// It is open if it is the log. The database must not be: to close it would take SQLite's locks away.
    log: Option<File>,
    /// What stood at the head of the log at the last look.
    head: Option<Head>,
}

/// What SQLite writes at the head of a log that begins anew: a number that is one higher each time, and one that is
/// another each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    number: u32,
    salt: [u8; 8],
}

impl DatabaseFiles {
    /// Notes what is at these paths now. Where there is no file, nothing is looked for later.
    pub(super) fn note(
        paths: impl IntoIterator<Item = PathBuf>,
        locks: Option<Locks>,
        now: Instant,
    ) -> Self {
        let files = paths.into_iter().filter_map(|path| {
            // So that a message says where, and a directory above that was moved is noticed too.
            let path = std::path::absolute(&path).unwrap_or(path);
            let file = fs::metadata(&path).ok()?;
            let (is, length) = (identity_of(&file), file.len());
            let is_log = path.extension().is_some_and(|extension| extension == "db-wal");
            let log = is_log.then(|| File::open(&path).ok()).flatten();
            let head = log.as_ref().and_then(Head::of);
            Some(Noted { path, is, length, log, head })
        });
        let files: Vec<Noted> = files.collect();
        Self {
            #[cfg(unix)]
            _own: files.first().and_then(|file| {
                let held = files.iter().map(|file| file.is).collect();
                Some(OwnFiles::holding(file.path.parent()?, held))
            }),
            files,
            locks,
            looked: now,
            gone: None,
            taken: None,
            overwritten: None,
        }
    }

    /// Says whether all is where it was, and as it was left, by a look that is a second old at most.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), StoreError> {
        if now.saturating_duration_since(self.looked) >= EVERY {
            self.looked = now;
            self.look();
        } else {
            // Each time, through its open file: what is written behind a log that was cut would hide that.
            self.look_at_content(|file| file.log.is_some());
        }
        if let Some(path) = &self.overwritten {
            return Err(StoreError::Io(format!("{} {OVERWRITTEN}", path.display())));
        }
        match (&self.gone, &self.taken) {
            (None, None) => Ok(()),
            (Some(path), _) => Err(StoreError::Io(format!("{} {GONE}", path.display()))),
            (None, Some(error)) => Err(error.clone()),
        }
    }

    /// Looks now, and logs what has changed.
    pub(super) fn look(&mut self) {
        let gone = self.files.iter().find(|file| is_gone(&file.path, &file.is));
        let gone = gone.map(|file| file.path.clone());
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
            self.look_at_content(|_| true);
            self.look_at_locks();
        }
    }

    /// Whether somebody else has written to one of the files: nothing more may be written then.
    pub(super) const fn is_overwritten(&self) -> bool {
        self.overwritten.is_some()
    }

    /// Looks whether these files are as this process has left them, as far as that shows. That can't be mended.
    fn look_at_content(&mut self, which: impl Fn(&Noted) -> bool) {
        if self.overwritten.is_some() {
            return;
        }
        let mut files = self.files.iter_mut().filter(|file| which(file));
        let Some(file) = files.find_map(|file| file.is_overwritten().then_some(file)) else {
            return;
        };
        log::error!(
            "{} {OVERWRITTEN}: every change is refused until the server is started anew; what was acknowledged may be lost",
            file.path.display()
        );
        self.overwritten = Some(file.path.clone());
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

impl Noted {
    fn is_overwritten(&mut self) -> bool {
        let file = self.log.as_ref().map_or_else(|| fs::metadata(&self.path), File::metadata);
        let Ok(file) = file else { return false };
        let (was, is) = (self.head, self.log.as_ref().and_then(Head::of));
        let went_back = was.zip(is).is_some_and(|(was, is)| is.went_back(was));
        let is_cut = file.len() < self.length.min(LOG_IS_CUT_TO);
        self.length = file.len();
        self.head = is;
        is_cut || went_back
    }
}

impl Head {
    fn of(mut log: &File) -> Option<Self> {
        let mut bytes = [0; 24];
        log.rewind().and_then(|()| log.read_exact(&mut bytes)).ok()?;
        let number = bytes.get(12..16)?.try_into().ok()?;
        let salt = bytes.get(16..)?.try_into().ok()?;
        Some(Self { number: u32::from_be_bytes(number), salt })
    }

    fn went_back(self, was: Self) -> bool {
        self.number < was.number || (self.number == was.number && self.salt != was.salt)
    }
}

const OVERWRITTEN: &str = "was written to or cut by somebody else";

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
        let mut files =
            DatabaseFiles::note([file.clone(), log.clone(), data.join("none")], None, now);
        let mut later = || {
            now += EVERY;
            files.check(now)
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

    /// As SQLite writes it.
    fn head(number: u32, salt: u8) -> Vec<u8> {
        [&[0x37; 12], &number.to_be_bytes()[..], &[salt; 8], &[0; 4_096]].concat()
    }

    #[test]
    fn what_somebody_else_has_written_or_cut_is_seen_and_stays_so() {
        let home = tempfile::tempdir().unwrap();
        let (file, log) = (home.path().join("actions.db"), home.path().join("actions.db-wal"));
        // Written in place, as `cp` does.
        for (changed, text, expected) in [
            (&file, vec![0; 100], true),
            (&file, Vec::new(), false),
            (&file, vec![1; 99], false),
            (&log, head(7, 1), true),
            (&log, head(8, 2), true),
            (&log, head(6, 1), false),
            (&log, head(7, 2), false),
            (&log, head(8, 2)[..4_000].to_vec(), false),
            (&log, Vec::new(), false),
        ] {
            fs::write(&file, [0; 100]).unwrap();
            fs::write(&log, head(7, 1)).unwrap();
            let began = Instant::now();
            let mut files = DatabaseFiles::note([file.clone(), log.clone()], None, began);
            fs::write(changed, &text).unwrap();
            let length = text.len();
            assert_eq!(files.check(began + EVERY).is_ok(), expected, "{changed:?} {length}");
            assert_eq!(files.is_overwritten(), !expected);
            if !expected {
                fs::write(&file, [0; 100]).unwrap();
                fs::write(&log, head(7, 1)).unwrap();
                let error = files.check(began + 2 * EVERY).unwrap_err().to_string();
                let named = format!("{} was written to or cut", changed.display());
                assert!(error.contains(&named), "{error}");
            }
        }
    }

    #[test]
    fn a_log_that_is_cut_is_seen_at_once() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("actions.db-wal");
        fs::write(&log, head(7, 1)).unwrap();
        let began = Instant::now();
        let mut files = DatabaseFiles::note([log.clone()], None, began);
        assert_eq!(files.check(began), Ok(()));
        let longer = [head(7, 1), vec![0; 100]].concat();
        fs::write(&log, longer).unwrap();
        assert_eq!(files.check(began), Ok(()));
        fs::write(&log, head(7, 1)).unwrap();
        assert!(files.check(began).is_err());
    }

    #[test]
    fn a_long_log_that_begins_anew_is_cut_by_us() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("actions.db-wal");
        let file = File::create(&log).unwrap();
        file.set_len(2 * LOG_IS_CUT_TO).unwrap();
        let began = Instant::now();
        let mut files = DatabaseFiles::note([log], None, began);
        file.set_len(LOG_IS_CUT_TO).unwrap();
        assert_eq!(files.check(began + EVERY), Ok(()));
        file.set_len(LOG_IS_CUT_TO - 1).unwrap();
        assert!(files.check(began + 2 * EVERY).is_err());
    }

    #[test]
    fn it_is_looked_at_once_a_second() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("actions.db");
        fs::write(&file, "").unwrap();
        let began = Instant::now();
        let mut files = DatabaseFiles::note([file.clone()], None, began);
        fs::remove_file(&file).unwrap();
        assert_eq!(files.check(began + EVERY / 2), Ok(()));
        assert!(files.check(began + EVERY).is_err(), "the first change after a second");
        assert!(files.check(began + EVERY).is_err(), "and those that follow");
    }
}
