//! The registry: the programs of this process that have not ended, with all that they started.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::adopted::{Note, Owner, Starter, Starters};
use super::census::Serial;
use super::proc::Process;

static PROGRAMS: Mutex<Registry> = Mutex::new(Registry { next: 0, running: BTreeMap::new() });

/// The programs, by serial number.
pub(super) struct Registry {
    /// Number of the one that is taken in next.
    pub(super) next: Serial,
    pub(super) running: BTreeMap<Serial, Running>,
}

pub(super) struct Running {
    pub(super) mark: String,
    pub(super) owner: Owner,
    /// None while it is being started.
    pub(super) leader: Option<Process>,
    /// True once its leader has ended.
    pub(super) ends: bool,
}

pub(super) fn programs() -> MutexGuard<'static, Registry> {
    // Nothing that holds the lock can leave it half changed.
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Takes in a program that is about to be started.
    pub(super) fn add(&mut self, mark: &str, owner: Owner) -> Serial {
        let serial = self.next;
        self.next += 1;
        let program = Running { mark: mark.to_owned(), owner, leader: None, ends: false };
        self.running.insert(serial, program);
        serial
    }

    /// Returns the numbers of all leaders.
    pub(super) fn leaders(&self) -> HashSet<i32> {
        self.running.values().filter_map(|running| Some(running.leader?.id)).collect()
    }

    /// Returns the first that is being started.
    pub(super) fn starting(&self) -> Option<Serial> {
        self.running.iter().find(|(_, running)| running.leader.is_none()).map(|(serial, _)| *serial)
    }

    pub(super) fn starters(&self) -> Starters {
        Starters::of(self.running.iter().map(|(&serial, running)| Starter {
            serial,
            start: running.leader.map(|leader| leader.start),
            ends: running.ends,
        }))
    }

    /// Makes the note of a process: with the attempt of its program, or of all that may have started it.
    pub(super) fn note(
        &self,
        process: Process,
        program: Option<Serial>,
        starters: &Starters,
        before: Serial,
    ) -> Note {
        let owner = |of: Serial| Some(self.running.get(&of)?.owner.clone());
        let owners = match program {
            Some(serial) => owner(serial).into_iter().collect(),
            None => starters.may_be_of(process.start, before).filter_map(owner).collect(),
        };
        (process, owners)
    }
}
