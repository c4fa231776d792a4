//! A disk that tells synced data from data that was only written, and whose power can be cut.
//!
//! Each file has its contents on the medium, those that programs see, and the changes between the two in
//! their order. A sync moves the changes of one file to the medium. At the cut a random part of the
//! others gets there too: see [`Disk::after_cut`]. What SQLite keeps in memory beside the files is in
//! [`super::locks`], how it gets here in [`super::vfs`].

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard};

use fastrand::Rng;

use super::locks::Locks;

/// Honesty of the disk about syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Honesty {
    /// Synced data is on the medium.
    Honest,
    /// Every sync is a lie: nothing gets to the medium before the cut.
    NeverSyncs,
    /// Only the syncs of the write-ahead log are lies.
    NeverSyncsLog,
    /// Names of new files get to the medium only by chance.
    NeverSyncsNames,
}

/// The operation during which the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum During {
    /// A write to the log: a commit.
    LogWrite,
    /// A sync of the log: the end of a commit, or the beginning of a checkpoint.
    LogSync,
    /// A change of the log's length.
    LogLength,
    /// A write to the database file itself: a checkpoint, or the making of the file.
    MainWrite,
    /// A sync of the database file.
    MainSync,
    /// A change of its length.
    MainLength,
    /// Anything about the rollback journal, which is used once.
    Journal,
    /// A file being made or deleted.
    Names,
    /// Nothing: it was cut between two operations.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Disk {
    state: Mutex<State>,
    pub(super) locks: Mutex<Locks>,
    pub(super) locks_changed: Condvar,
    sector: usize,
    honesty: Honesty,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    names: Names,
    names_on_medium: Names,
    name_changes: Vec<NameChange>,
    /// Number of changes and syncs so far.
    operations: u64,
    cut_at: Option<Cut>,
    cut_during: Option<During>,
    /// Maximum number of bytes of all files.
    room: Option<usize>,
}

/// The point at which the power is to be cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// At an operation of this kind, or of any.
    pub(crate) kind: Option<During>,
    /// At which of them from now, from 1.
    pub(crate) nth: u64,
    /// True if a sync is cut after it is done, but before it returns; else it is cut in the middle.
    pub(crate) late: bool,
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone)]
enum NameChange {
    Made(String, usize),
    Deleted(String),
}

#[derive(Debug, Default)]
struct File {
    medium: Vec<u8>,
    seen: Vec<u8>,
    changes: Vec<Change>,
    /// Its first sync also syncs the directory, as SQLite does for logs and journals.
    syncs_names: bool,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => write(to, *at, data),
            Self::Length(length) => to.resize(*length, 0),
        }
    }
}

fn write(to: &mut Vec<u8>, at: usize, data: &[u8]) {
    if to.len() < at {
        to.resize(at, 0);
    }
    let (over, behind) = data.split_at(data.len().min(to.len() - at));
    to[at..at + over.len()].copy_from_slice(over);
    to.extend_from_slice(behind);
}

fn no_power() -> io::Error {
    io::Error::other("the power is cut")
}

impl Disk {
    /// An empty disk. Sectors of this many bytes are written one by one.
    pub(crate) fn new(sector: usize, honesty: Honesty) -> Self {
        Self {
            state: Mutex::default(),
            locks: Mutex::default(),
            locks_changed: Condvar::new(),
            sector,
            honesty,
        }
    }

    /// Plans when the power is cut.
    pub(crate) fn cut_at(&self, cut: Cut) {
        self.state().cut_at = Some(cut);
    }

    /// Cuts the power now, if it is still there.
    pub(crate) fn cut_now(&self) {
        self.state().cut_during.get_or_insert(During::Nothing);
    }

    /// Returns the operation during which the power was cut; `None` while it is on.
    pub(crate) fn cut_during(&self) -> Option<During> {
        self.state().cut_during
    }

    /// Returns how many changes and syncs there were.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Returns a new disk with the contents of the medium after the cut.
    ///
    /// Of each change that was not synced, each sector is kept, dropped, or torn: then only the first
    /// or the last bytes of what was written to it are there. How many are kept differs from file to
    /// file, from all to none. Changes of length and of names are kept or not. A file that had grown
    /// may have its new length without its new content: there are zeros, or what lay there before.
    pub(crate) fn after_cut(&self, random: &mut Rng) -> Self {
        let state = self.state();
        let mut names = state.names_on_medium.clone();
        for change in &state.name_changes {
            if random.bool() {
                change_name(&mut names, change);
            }
        }
        let after = Self::new(self.sector, self.honesty);
        let files = state.files.iter().map(|file| {
            let medium = self.remains(file, random);
            File { seen: medium.clone(), medium, ..File::default() }
        });
        let mut new = after.state();
        new.files = files.collect();
        new.names = names.clone();
        new.names_on_medium = names;
        drop(new);
        after
    }

    fn remains(&self, file: &File, random: &mut Rng) -> Vec<u8> {
        let mut medium = file.medium.clone();
        let of_eight = [0, 1, 4, 7, 8][random.usize(0..5)];
        let torn_of_sixteen = random.u8(0..2);
        for change in &file.changes {
            match change {
                Change::Length(_) if random.u8(0..8) < of_eight => change.apply(&mut medium),
                Change::Length(_) => {}
                Change::Write(at, data) => {
                    let mut done = 0;
                    while done < data.len() {
                        let left_in_sector = self.sector - (at + done) % self.sector;
                        let until = data.len().min(done + left_in_sector);
                        let mut part = done..until;
                        if random.u8(0..16) < torn_of_sixteen {
                            let tear = random.usize(part.clone());
                            part = if random.bool() { done..tear } else { tear..until };
                        } else if random.u8(0..8) >= of_eight {
                            part = done..done;
                        }
                        if !part.is_empty() {
                            write(&mut medium, at + part.start, &data[part]);
                        }
                        done = until;
                    }
                }
            }
        }
        if medium.len() < file.seen.len() && random.bool() {
            let old = medium.len();
            medium.resize(random.usize(old..=file.seen.len()), 0);
            if random.bool() {
                random.fill(&mut medium[old..]);
            }
        }
        medium
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Gives the disk room for so many bytes, or for any number.
    pub(crate) fn set_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// Returns the contents of a file; nothing if it does not exist.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].seen.clone()).unwrap_or_default()
    }

    /// Fails if there is no power.
    pub(super) fn powered(&self) -> io::Result<()> {
        self.state().powered()
    }

    /// Finds a file, or makes it.
    pub(super) fn open(&self, name: &str, make: bool, syncs_names: bool) -> io::Result<usize> {
        let mut state = self.state();
        if let Some(file) = state.names.get(name).copied() {
            return state.powered().map(|()| file);
        }
        if !make {
            return Err(io::ErrorKind::NotFound.into());
        }
        let made = state.files.len();
        state.change(During::Names, |state| {
            state.files.push(File { syncs_names, ..File::default() });
            state.change_name(NameChange::Made(name.to_owned(), made));
        })?;
        Ok(made)
    }

    pub(super) fn exists(&self, name: &str) -> io::Result<bool> {
        self.powered()?;
        Ok(self.state().names.contains_key(name))
    }

    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let deleted = NameChange::Deleted(name.to_owned());
        state.change(During::Names, |state| state.change_name(deleted))
    }

    pub(super) fn length(&self, file: usize) -> io::Result<usize> {
        self.powered()?;
        Ok(self.state().files[file].seen.len())
    }

    /// Reads as much as there is, and fills the rest with zeros; tells whether all was there.
    pub(super) fn read(&self, file: usize, at: usize, to: &mut [u8]) -> io::Result<bool> {
        self.powered()?;
        let state = self.state();
        let there = state.files[file].seen.get(at..).unwrap_or_default();
        let read = there.len().min(to.len());
        to[..read].copy_from_slice(&there[..read]);
        to[read..].fill(0);
        Ok(read == to.len())
    }

    pub(super) fn write(&self, file: usize, at: usize, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let grows = (at + data.len()).saturating_sub(state.files[file].seen.len());
        let used: usize = state.names.values().map(|file| state.files[*file].seen.len()).sum();
        if state.room.is_some_and(|room| used + grows > room) && grows > 0 {
            // What the library makes SQLITE_FULL of.
            return Err(io::ErrorKind::WriteZero.into());
        }
        let during = state.during(file, During::LogWrite, During::MainWrite);
        state.change(during, |state| {
            state.files[file].change(Change::Write(at, data.to_owned()));
        })
    }

    pub(super) fn set_length(&self, file: usize, length: usize) -> io::Result<()> {
        let mut state = self.state();
        let during = state.during(file, During::LogLength, During::MainLength);
        state.change(during, |state| state.files[file].change(Change::Length(length)))
    }

    pub(super) fn sync(&self, file: usize) -> io::Result<()> {
        let mut state = self.state();
        let during = state.during(file, During::LogSync, During::MainSync);
        let lies = match self.honesty {
            Honesty::Honest | Honesty::NeverSyncsNames => false,
            Honesty::NeverSyncs => true,
            Honesty::NeverSyncsLog => during == During::LogSync,
        };
        state.powered()?;
        let done = state.change(during, |_| {});
        if lies || done.is_err() && !state.cut_at.is_some_and(|cut| cut.late) {
            return done;
        }
        let File { medium, changes, syncs_names, .. } = &mut state.files[file];
        for change in changes.drain(..) {
            change.apply(medium);
        }
        if std::mem::take(syncs_names) && self.honesty != Honesty::NeverSyncsNames {
            let changes = std::mem::take(&mut state.name_changes);
            for change in changes {
                change_name(&mut state.names_on_medium, &change);
            }
        }
        done
    }
}

fn change_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Made(name, file) => names.insert(name.clone(), *file),
        NameChange::Deleted(name) => names.remove(name),
    };
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.cut_during.is_some() { Err(no_power()) } else { Ok(()) }
    }

    /// Makes one change, unless the power is cut; it may be cut in the middle of this one, which then
    /// is as good as any other that was not synced.
    fn change(&mut self, during: During, make: impl FnOnce(&mut Self)) -> io::Result<()> {
        self.powered()?;
        make(self);
        self.operations += 1;
        if let Some(Cut { kind, nth, .. }) = &mut self.cut_at
            && kind.is_none_or(|kind| kind == during)
        {
            *nth -= 1;
            if *nth == 0 {
                self.cut_during = Some(during);
                return Err(no_power());
            }
        }
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        change_name(&mut self.names, &change);
        self.name_changes.push(change);
    }

    fn during(&self, file: usize, log: During, main: During) -> During {
        let named = |ending: &str| {
            self.names.iter().any(|(name, of)| *of == file && name.ends_with(ending))
        };
        if named("-wal") {
            log
        } else if named("-journal") {
            During::Journal
        } else {
            main
        }
    }
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push(change);
    }
}
