//! The programs of one system: how each is marked, recorded, watched and ended with all that it started.
//!
//! - [`proc`]: processes as Linux shows them;
//! - [`census`]: which of them belong to which program;
//! - [`registry`]: those that run;
//! - [`sweeper`]: finds and kills what programs leave behind;
//! - [`adopted`]: what has left its program or lost its parent, and whose it may be;
//! - [`bystander`]: programs that are nobody's work, and are left alone;
//! - [`cgroup`]: control groups, where the server may make them;
//! - [`records`]: what is written of each program that runs;
//! - [`survivors`]: the end of those that outlived an earlier server.
//!
//! A program of another system, by another data directory, is never touched: its mark and records have another id.

mod adopted;
mod bystander;
mod census;
mod cgroup;
mod proc;
mod records;
mod registry;
mod survivors;
mod sweeper;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::GONE_WITHIN;
use crate::worker::Attempt;
use adopted::Owner;
pub use bystander::Bystander;
use cgroup::{Cgroup, Home};
use proc::{Process, Stat};
use records::{Record, Records};
use survivors::{Left, Survivors};
pub(crate) use sweeper::adopt_orphans;

/// Time for which a start waits for the records, which an earlier system of this process may still hold.
const FREE_WITHIN: Duration = Duration::from_secs(2);
/// Longest time between two looks at killed processes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The programs of one system.
#[derive(Debug)]
pub(crate) struct Programs {
    directory: PathBuf,
    at_once: AtomicU64,
    opened: Mutex<Option<Opened>>,
}

/// What is kept of the programs of a system. It is opened when the first one runs.
#[derive(Debug)]
struct Opened {
    id: String,
    /// None if they can't be written. Survivors are then not found, so there are no cgroups that could be left over either.
    records: Option<Records>,
    cgroups: Cgroups,
}

/// The cgroups of a system.
#[derive(Debug)]
enum Cgroups {
    NotTried,
    In(Home),
    Off,
}

impl Programs {
    /// Takes the data directory of a system.
    pub(crate) fn new(directory: &Path) -> Self {
        let directory = directory.join("processes");
        Self { directory, at_once: AtomicU64::new(0), opened: Mutex::new(None) }
    }

    /// Ends the programs that outlived an earlier server of this directory. Blocks until they have ended, ten seconds at
    /// most. What can't be ended is logged.
    pub(crate) fn end_survivors(&self) {
        if !self.directory.is_dir() {
            // No server has run a program.
            return;
        }
        let since = Instant::now();
        let records = loop {
            match Records::open(&self.directory) {
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && since.elapsed() < FREE_WITHIN =>
                {
                    std::thread::sleep(LOOK_EVERY);
                }
                records => break records,
            }
        };
        let mut fresh = Opened::with(records, &self.directory);
        if let Some(records) = &mut fresh.records {
            let directory = self.directory.display();
            let read = records.read().unwrap_or_else(|error| {
                log::error!("{directory}: records of programs can't be read: {error}");
                Vec::new()
            });
            let cgroup = records.cgroup().filter(|path| cgroup::is_one(path));
            let left = Left { records: &read, id: records.id(), cgroup: cgroup.as_deref() };
            say(&survivors::end(&left, Instant::now() + GONE_WITHIN));
            if let Some(path) = &cgroup {
                cgroup::remove(path);
            }
            if let Err(error) = records.clear() {
                log::error!("{directory}: records of programs can't be cleared: {error}");
            }
        }
        // Not locked before: a look at a process may hang in the system.
        *self.opened() = Some(fresh);
    }

    /// Takes in a program that is about to be started for this attempt.
    pub(super) fn begin(self: &Arc<Self>, attempt: &Attempt) -> Program {
        let mut opened = self.opened();
        let Opened { id, .. } = opened
            .get_or_insert_with(|| Opened::with(Records::open(&self.directory), &self.directory));
        let (action, number) = match attempt.id() {
            Some(action) => (action.get(), u64::from(attempt.number())),
            None => (0, self.at_once.fetch_add(1, Ordering::Relaxed)),
        };
        let mark = format!("{id}.{action}.{number}");
        drop(opened);
        let queue = attempt.queue_name().to_owned();
        let owner = Owner { system: Arc::downgrade(self), action, number, queue };
        let entry = sweeper::Entry::of(&mark, owner);
        Program {
            programs: Arc::clone(self),
            action,
            number,
            mark,
            entry,
            cgroup: None,
            line: None,
        }
    }

    /// Removes the cgroups, since no more programs are started.
    pub(crate) fn close(&self) {
        if let Some(opened) = self.opened().as_mut() {
            opened.cgroups = Cgroups::Off;
        }
    }

    /// Records a process that has left its program or lost its parent, and returns the line.
    fn note(&self, record: &Record) -> Option<u64> {
        self.opened().as_mut()?.records.as_mut()?.add(record)
    }

    /// Deletes the record of one that was noted.
    fn strike_out(&self, line: u64) {
        if let Some(records) = self.opened().as_mut().and_then(|opened| opened.records.as_mut()) {
            records.remove(line);
        }
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        // Nothing that holds the lock can leave it half changed.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs what became of survivors.
fn say(survivors: &Survivors) {
    let number = survivors.number();
    if number > 0 {
        let processes = if number == 1 { "process" } else { "processes" };
        log::warn!("ended {number} {processes} that outlived an earlier server: {survivors}");
    }
    if !survivors.remain.is_empty() {
        let remain: Vec<_> = survivors.remain.iter().map(ToString::to_string).collect();
        log::error!(
            "these processes of an earlier server were killed and are still there: {}; what they do may be done again beside them",
            remain.join(", ")
        );
    }
}

impl Opened {
    fn with(records: io::Result<Records>, directory: &Path) -> Self {
        match records {
            Ok(mut records) => {
                match records.take_over() {
                    Ok(None) => {}
                    Ok(Some(server)) => log::warn!(
                        "{}: this is a copy of the directory of a server that runs (process {server}), whose programs are left alone",
                        directory.display()
                    ),
                    Err(error) => log::error!("{}: can't be written: {error}", directory.display()),
                }
                let id = records.id().to_owned();
                Self { id, records: Some(records), cgroups: Cgroups::NotTried }
            }
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::WouldBlock => "another system has it".to_owned(),
                    _ => error.to_string(),
                };
                log::error!(
                    "{}: programs can't be recorded: {reason}. They run, but none that outlives this server is found by the next start",
                    directory.display()
                );
                Self { id: records::new_id(), records: None, cgroups: Cgroups::Off }
            }
        }
    }

    /// Puts a program into a cgroup of its own, where that can be done.
    fn admit(&mut self, program: Process) -> Option<Cgroup> {
        if matches!(self.cgroups, Cgroups::NotTried) {
            self.cgroups = match self.make_cgroup() {
                Ok(home) => Cgroups::In(home),
                Err(error) => {
                    log::info!("programs get no cgroup of their own: {error}");
                    Cgroups::Off
                }
            };
        }
        let Cgroups::In(home) = &mut self.cgroups else { return None };
        match home.admit(program) {
            Ok(cgroup) => Some(cgroup),
            Err(error) if error.raw_os_error() == Some(cgroup::SRCH) => None,
            Err(error) => {
                log::warn!("programs get no cgroup of their own any more: {error}");
                self.cgroups = Cgroups::Off;
                None
            }
        }
    }

    fn make_cgroup(&self) -> io::Result<Home> {
        let records = self.records.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let path = cgroup::place(&records.cgroup_name())?;
        records.set_cgroup(&path)?;
        Home::make(path)
    }
}

/// A program, from just before its start until nothing of it runs any more.
#[derive(Debug)]
pub(super) struct Program {
    programs: Arc<Programs>,
    action: u64,
    number: u64,
    mark: String,
    entry: sweeper::Entry,
    cgroup: Option<Cgroup>,
    /// Line of its record.
    line: Option<u64>,
}

impl Program {
    /// Returns the environment variable that marks it, if it is marked.
    pub(super) fn mark(&self) -> Option<(&str, &str)> {
        Some((proc::MARK, &self.mark))
    }

    /// Records that it was started with this leader, for which nobody has waited.
    pub(super) fn started(&mut self, leader: Pid, queue: &str) {
        let id = leader.as_raw_pid();
        // Nothing of this can be done where processes are not shown.
        let Some(stat) = Stat::of(id) else { return };
        let leader = Process { id, start: stat.start };
        let mut opened = self.programs.opened();
        if let Some(opened) = opened.as_mut() {
            // First of all: what it starts before is not in its cgroup.
            self.cgroup = opened.admit(leader);
            let record = Record {
                process: leader,
                session: stat.session,
                action: self.action,
                attempt: self.number,
                cgroup: self.cgroup.as_ref().and_then(Cgroup::number),
                queue: queue.to_owned(),
            };
            self.line = opened.records.as_mut().and_then(|records| records.add(&record));
        }
        drop(opened);
        self.entry.led_by(leader);
    }

    /// Tells whether another process of its group runs than this leader, for which nobody has waited.
    pub(super) async fn has_others(&self, leader: Pid) -> bool {
        let leader = leader.as_raw_pid();
        let look = move || {
            let of_group =
                |id: i32| Stat::of(id).is_some_and(|stat| stat.group == leader && !stat.has_ended);
            proc::all().unwrap_or_default().into_iter().any(|id| id != leader && of_group(id))
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    /// Kills all that is in its cgroup, if it has one.
    pub(super) fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    /// Kills all that belongs to it, and waits until it has ended. Its leader has ended, and nobody has waited for that.
    /// Returns false if it can't be told here what belongs to it.
    pub(super) async fn gone(&mut self, queue: &str) -> bool {
        let since = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            let left = GONE_WITHIN.saturating_sub(since.elapsed());
            let swept = tokio::time::timeout(left, self.entry.sweep()).await;
            let is_empty = self.cgroup.as_ref().is_none_or(Cgroup::is_empty);
            match swept {
                Ok(Some(0)) if is_empty => {
                    self.forget();
                    return true;
                }
                Ok(None) if is_empty => {
                    self.forget();
                    return false;
                }
                _ => {}
            }
            if !is_empty {
                self.kill();
            }
            if since.elapsed() >= GONE_WITHIN {
                let what = self.action;
                log::error!(
                    "queue {queue}: what the program of action {what} started was killed and is still there; it is not waited for any longer"
                );
                return true;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_EVERY);
        }
    }

    /// Deletes its record, and gives its cgroup back.
    fn forget(&mut self) {
        let mut opened = self.programs.opened();
        let Some(opened) = opened.as_mut() else { return };
        if let (Some(line), Some(records)) = (self.line.take(), &mut opened.records) {
            records.remove(line);
        }
        if let (Some(cgroup), Cgroups::In(home)) = (self.cgroup.take(), &mut opened.cgroups) {
            home.give_back(cgroup);
        }
    }
}

/// For a system that ends without a shutdown. The record stays for the next start.
impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
