//! Checks that the database files are still at their paths, unchanged by others, and locked. Writes to a file that was
//! deleted or moved away succeed, but the next server will not find them: so
//! the paths are checked at intervals. The reasons are in `docs/adr/0010-a-database-that-is-gone.md`. Used by
//! [`super::write`].

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lock::Locks;
#[cfg(unix)]
use super::own_files::OwnFiles;
use crate::store::StoreError;
use crate::store::directory::{FileId, file_id, file_id_of};

/// Minimum time between two checks: each takes some microseconds of the writing thread.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Length in bytes to which SQLite truncates a longer log when it restarts. Else files get shorter only when we have said so
/// ([`DatabaseFiles::shrinks_to`], [`DatabaseFiles::cut_log`]).
pub(super) const JOURNAL_SIZE_LIMIT: u64 = 64 << 20;

/// The files of an open database.
#[derive(Debug)]
pub(super) struct DatabaseFiles {
    files: Vec<WatchedFile>,
    /// The locks that keep other servers away.
    locks: Option<Locks>,
    last_check: Instant,
    /// The first of the files that was missing at the last check.
    missing: Option<PathBuf>,
    /// Set if another server had one of our locks at the last check.
    lock_error: Option<StoreError>,
    /// The file that somebody else wrote to or truncated. What this process knows of its contents is wrong from then on.
    overwritten: Option<PathBuf>,
    /// Keeps others in this process from opening them.
    #[cfg(unix)]
    _own: Option<OwnFiles>,
}

#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    id: FileId,
    /// Its length at the last check.
    length: u64,
    /// The open file if it is the log. The database must not be opened: closing it would drop SQLite's locks.
    log: Option<File>,
    /// The header of the log at the last check.
    header: Option<LogHeader>,
    /// Length in bytes to which the next checkpoint may cut the database, until it has.
    shrinks_to: Option<u64>,
}

/// The part of the log's header that SQLite changes when it restarts the log: the number grows by one, the salt is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LogHeader {
    number: u32,
    salt: [u8; 8],
}

impl DatabaseFiles {
    /// Notes the files at these paths as they are now. Paths without a file are ignored.
    pub(super) fn watch(
        paths: impl IntoIterator<Item = PathBuf>,
        locks: Option<Locks>,
        now: Instant,
    ) -> Self {
        let files = paths.into_iter().filter_map(|path| {
            // Absolute, so that messages are clear and a moved parent directory is noticed too.
            let path = std::path::absolute(&path).unwrap_or(path);
            let file = fs::metadata(&path).ok()?;
            let (id, length) = (file_id_of(&file), file.len());
            let is_log = path.extension().is_some_and(|extension| extension == "db-wal");
            let log = is_log.then(|| File::open(&path).ok()).flatten();
            let header = log.as_ref().and_then(LogHeader::of);
            Some(WatchedFile { path, id, length, log, header, shrinks_to: None })
        });
        let files: Vec<WatchedFile> = files.collect();
        Self {
            #[cfg(unix)]
            _own: files.first().and_then(|file| {
                let open = files.iter().map(|file| file.id).collect();
                Some(OwnFiles::with_open(file.path.parent()?, open))
            }),
            files,
            locks,
            last_check: now,
            missing: None,
            lock_error: None,
            overwritten: None,
        }
    }

    /// Watches the locks of a directory in which no file is open.
    pub(super) fn none(directory: &Path, locks: Locks, now: Instant) -> Self {
        #[cfg(not(unix))]
        let _ = directory;
        Self {
            #[cfg(unix)]
            _own: Some(OwnFiles::of(directory)),
            ..Self::watch([], Some(locks), now)
        }
    }

    /// Checks the files, or returns the result of the last check if that is less than a second ago.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), StoreError> {
        if now.saturating_duration_since(self.last_check) >= CHECK_INTERVAL {
            self.last_check = now;
            self.check_now();
        } else {
            // The log each time: once it grows again, a truncation could no longer be seen.
            self.check_content(|file| file.log.is_some());
        }
        if let Some(path) = &self.overwritten {
            return Err(StoreError::Io(format!("{} {OVERWRITTEN}", path.display())));
        }
        match (&self.missing, &self.lock_error) {
            (None, None) => Ok(()),
            (Some(path), _) => Err(StoreError::Io(format!("{} {GONE}", path.display()))),
            (None, Some(error)) => Err(error.clone()),
        }
    }

    /// Checks everything now, and logs changes.
    pub(super) fn check_now(&mut self) {
        let missing = self.files.iter().find(|file| is_missing(&file.path, &file.id));
        let missing = missing.map(|file| file.path.clone());
        match (&missing, &self.missing) {
            (Some(path), None) => log::error!(
                "{} {GONE}: every change is refused until it is back; the next server will not find what this one has acknowledged",
                path.display()
            ),
            (None, Some(path)) => {
                log::info!("{} is back: changes are taken again", path.display());
            }
            _ => {}
        }
        self.missing = missing;
        if self.missing.is_none() {
            self.check_content(|_| true);
            self.check_locks();
        }
    }

    /// Notes that a checkpoint will cut the database to this length: pages at its end were given back.
    pub(super) fn shrinks_to(&mut self, bytes: u64) {
        for file in self.files.iter_mut().filter(|file| file.log.is_none()) {
            let before = file.shrinks_to.unwrap_or(u64::MAX);
            file.shrinks_to = Some(before.min(bytes));
        }
    }

    /// Notes that this process has just cut the log.
    pub(super) fn cut_log(&mut self) {
        for file in &mut self.files {
            if let Some(log) = &file.log {
                file.length = log.metadata().map_or(0, |log| log.len());
                file.header = LogHeader::of(log);
            }
        }
    }

    /// Returns true if somebody else has written to one of the files: nothing more may be written then.
    pub(super) const fn is_overwritten(&self) -> bool {
        self.overwritten.is_some()
    }

    /// Checks these files for writes by others, as far as their length and the log's header show that. It is final.
    fn check_content(&mut self, which: impl Fn(&WatchedFile) -> bool) {
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

    /// Checks the locks. Only called while the files are at their paths: another directory there has its own locks.
    fn check_locks(&mut self) {
        let lock_error = self.locks.as_mut().and_then(|locks| locks.check().err());
        match (&lock_error, &self.lock_error) {
            (Some(error), None) => log::error!("{error}: every change is refused until that ends"),
            (None, Some(_)) => log::info!("the data directory is ours again: changes are taken"),
            _ => {}
        }
        self.lock_error = lock_error;
    }
}

impl WatchedFile {
    fn is_overwritten(&mut self) -> bool {
        let file = self.log.as_ref().map_or_else(|| fs::metadata(&self.path), File::metadata);
        let Ok(file) = file else { return false };
        let (was, is) = (self.header, self.log.as_ref().and_then(LogHeader::of));
        let went_back = was.zip(is).is_some_and(|(was, is)| is.went_back(was));
        let least = self.length.min(JOURNAL_SIZE_LIMIT).min(self.shrinks_to.unwrap_or(u64::MAX));
        let is_cut = file.len() < least;
        if self.shrinks_to.is_some_and(|bytes| file.len() <= bytes) {
            self.shrinks_to = None;
        }
        self.length = file.len();
        self.header = is;
        is_cut || went_back
    }
}

impl LogHeader {
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

/// Returns true only if that is certain: a path that can't be followed for another reason may still lead to the file.
fn is_missing(path: &Path, was: &FileId) -> bool {
    match file_id(path) {
        Ok(is) => is != *was,
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

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
            DatabaseFiles::watch([file.clone(), log.clone(), data.join("none")], None, now);
        let mut later = || {
            now += CHECK_INTERVAL;
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
            let mut files = DatabaseFiles::watch([file.clone(), log.clone()], None, began);
            fs::write(changed, &text).unwrap();
            let length = text.len();
            assert_eq!(
                files.check(began + CHECK_INTERVAL).is_ok(),
                expected,
                "{changed:?} {length}"
            );
            assert_eq!(files.is_overwritten(), !expected);
            if !expected {
                fs::write(&file, [0; 100]).unwrap();
                fs::write(&log, head(7, 1)).unwrap();
                let error = files.check(began + 2 * CHECK_INTERVAL).unwrap_err().to_string();
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
        let mut files = DatabaseFiles::watch([log.clone()], None, began);
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
        file.set_len(2 * JOURNAL_SIZE_LIMIT).unwrap();
        let began = Instant::now();
        let mut files = DatabaseFiles::watch([log], None, began);
        file.set_len(JOURNAL_SIZE_LIMIT).unwrap();
        assert_eq!(files.check(began + CHECK_INTERVAL), Ok(()));
        file.set_len(JOURNAL_SIZE_LIMIT - 1).unwrap();
        assert!(files.check(began + 2 * CHECK_INTERVAL).is_err());
    }

    #[test]
    fn what_we_have_given_back_may_be_cut_once() {
        let home = tempfile::tempdir().unwrap();
        let (path, log) = (home.path().join("actions.db"), home.path().join("actions.db-wal"));
        fs::write(&path, [0; 1_000]).unwrap();
        fs::write(&log, head(7, 1)).unwrap();
        let mut now = Instant::now();
        let mut files = DatabaseFiles::watch([path.clone(), log.clone()], None, now);
        let mut later = |files: &mut DatabaseFiles| {
            now += CHECK_INTERVAL;
            files.check(now).is_ok()
        };
        let cut =
            |length| File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        files.shrinks_to(600);
        files.shrinks_to(400);
        assert!(later(&mut files), "it is not cut yet");
        cut(600);
        assert!(later(&mut files), "as far as the first checkpoint knew");
        cut(400);
        assert!(later(&mut files) && later(&mut files));
        fs::write(&path, [0; 900]).unwrap();
        assert!(later(&mut files), "it grows");
        File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
        files.cut_log();
        assert!(later(&mut files));
        fs::write(&log, head(8, 2)).unwrap();
        assert!(later(&mut files));
        cut(899);
        assert!(!later(&mut files), "nobody has said so");
    }

    #[test]
    fn it_is_looked_at_once_a_second() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("actions.db");
        fs::write(&file, "").unwrap();
        let began = Instant::now();
        let mut files = DatabaseFiles::watch([file.clone()], None, began);
        fs::remove_file(&file).unwrap();
        assert_eq!(files.check(began + CHECK_INTERVAL / 2), Ok(()));
        assert!(files.check(began + CHECK_INTERVAL).is_err(), "the first change after a second");
        assert!(files.check(began + CHECK_INTERVAL).is_err(), "and those that follow");
    }
}
