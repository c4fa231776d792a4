//! The sweeper: the thread that finds and kills what programs leave behind.
//!
//! There is one for all systems of this process, since adopted orphans are children of the whole process. It starts with
//! the first program that ends, or where orphans are adopted with the first that begins. One look at all processes serves
//! all programs that ended before it began.
//!
//! Where orphans are adopted, it also glances at the children of this process, which takes little, so that a new orphan is
//! in the records soon: if the server is killed, nothing else may tell whose it is.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpgrp, getpid, waitpid};
use tokio::sync::oneshot;

use super::adopted::{Leavers, Owner, Verdict};
use super::bystander;
use super::census::{Census, Look, Of, Roster, Seen, Serial};
use super::proc::{self, Marked, Process, Stat};
use super::registry::{Running, programs};
use crate::worker::run::GONE_WITHIN;

/// Time between two looks while programs run and this process adopts orphans.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Least time between two glances at the children of this process meanwhile.
const GLANCE_EVERY: Duration = Duration::from_millis(100);
/// The time between two glances is at least as many times that of a glance: a twentieth of one core.
const RESTS: u32 = 20;
/// Time for which it is waited whether an orphan proves to be a program that is being started.
const CLEAR_WITHIN: Duration = Duration::from_secs(1);
/// Time for which numbers of processes are taken not to be used again.
const QUICKLY: Duration = Duration::from_secs(3);
/// Longest rest between two looks: they take no more than half of one core.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// True once this process adopts orphans. It stays so.
static ADOPTS: AtomicBool = AtomicBool::new(false);
/// Where the sweeper is asked; none if its thread could not be started.
static SWEEPER: OnceLock<Option<mpsc::Sender<Ask>>> = OnceLock::new();

/// Something that the sweeper is asked.
enum Ask {
    /// A program was started where there was none.
    Begin,
    /// End what belongs to this program and runs.
    Sweep(Serial, oneshot::Sender<Swept>),
}

/// Number of the processes that belong to a program, or may do so, and had not ended, or not when the look before began; they
/// were killed. `None` if processes are not shown here.
type Swept = Option<usize>;

/// A program that is known to the sweeper, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry(Serial);

impl Entry {
    /// Takes a program in that is about to be started.
    pub(super) fn of(mark: &str, owner: Owner) -> Self {
        let mut programs = programs();
        let is_first = programs.running.is_empty();
        let serial = programs.add(mark, owner);
        drop(programs);
        if is_first
            && ADOPTS.load(Ordering::Relaxed)
            && let Some(sweeper) = sweeper()
        {
            let _ = sweeper.send(Ask::Begin);
        }
        Self(serial)
    }

    /// Sets the leader, for which nobody has waited.
    pub(super) fn led_by(&self, leader: Process) {
        if let Some(running) = programs().running.get_mut(&self.0) {
            running.leader = Some(leader);
        }
    }

    /// Kills what belongs to the program, whose leader has ended and was not waited for. Returns the number of processes
    /// of which something may run on, or `None` if that can't be told here.
    pub(super) async fn sweep(&self) -> Option<usize> {
        if let Some(running) = programs().running.get_mut(&self.0) {
            running.ends = true;
        }
        let (reply, swept) = oneshot::channel();
        sweeper()?.send(Ask::Sweep(self.0, reply)).ok()?;
        swept.await.ok()?
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        programs().running.remove(&self.0);
    }
}

/// Makes this process adopt the orphans among its descendants.
pub(crate) fn adopt_orphans() -> rustix::io::Result<()> {
    rustix::process::set_child_subreaper(Some(getpid()))?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

fn sweeper() -> Option<&'static mpsc::Sender<Ask>> {
    let start = || {
        let (asks, asked) = mpsc::channel();
        let run = move || Sweeper::default().run(&asked);
        match std::thread::Builder::new().name("actiond-sweeper".to_owned()).spawn(run) {
            Ok(_) => Some(asks),
            Err(error) => {
                log::error!("what programs leave behind can't be found: no thread for it: {error}");
                None
            }
        }
    };
    SWEEPER.get_or_init(start).as_ref()
}

/// The processes of this machine.
struct Machine;

impl Look for Machine {
    fn all(&self) -> std::io::Result<Vec<i32>> {
        proc::all()
    }

    fn stat(&self, process: i32) -> Option<Stat> {
        Stat::of(process)
    }

    fn mark(&self, process: i32) -> Marked {
        proc::mark_of(process)
    }
}

#[derive(Default)]
struct Sweeper {
    census: Census,
    looked: Option<Instant>,
    leavers: Leavers,
    /// Orphans that were killed, and when that was first.
    killed: BTreeMap<Process, Instant>,
    /// True if orphans were seen in the last look, or in a glance since.
    has_orphans: bool,
    /// True if programs ran at the last look or glance.
    had_programs: bool,
}

/// Orphans that no program which goes on can have started.
struct Orphans {
    nobodys: Vec<Process>,
    /// Number of those of which the next look may tell it.
    unclear: usize,
}

impl Sweeper {
    fn run(mut self, asked: &mpsc::Receiver<Ask>) {
        let mut pause = GLANCE_EVERY;
        loop {
            let has_programs = !programs().running.is_empty();
            // Once more after the last has ended: something may have escaped its last look.
            let had_programs = std::mem::replace(&mut self.had_programs, has_programs);
            let looks_by_itself = ADOPTS.load(Ordering::Relaxed)
                && (self.has_orphans || has_programs || had_programs);
            let first = if looks_by_itself {
                match asked.recv_timeout(pause) {
                    Ok(ask) => Some(ask),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match asked.recv() {
                    Ok(ask) => Some(ask),
                    Err(_) => return,
                }
            };
            let asks: Vec<_> = first.into_iter().chain(asked.try_iter()).collect();
            let since = Instant::now();
            let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
            if !asks.is_empty() || is_due || !self.glance() {
                let seen = self.look();
                self.answer(asks, seen.as_deref());
            }
            let took = since.elapsed();
            pause = GLANCE_EVERY.max(took * RESTS);
            // Those who ask meanwhile are served by one look.
            std::thread::sleep(took.min(LONGEST_REST));
        }
    }

    /// Writes down which processes were adopted since the last look. Returns false if only a look tells more.
    fn glance(&mut self) -> bool {
        let Some(children) = proc::children() else { return false };
        let leaders = programs().leaders();
        let (own, own_group) = (getpid().as_raw_pid(), getpgrp().as_raw_pid());
        // After the look at the children: one that is being started is known by then.
        let bystanders = bystander::groups();
        let mut fresh = Vec::new();
        for id in children {
            if leaders.contains(&id) {
                // It was being started when it was seen first.
                self.leavers.forget(id);
            } else if !self.leavers.has(id)
                && let Some(stat) = Stat::of(id)
                && stat.parent == own
                && stat.group != own_group
                && !bystanders.contains(&stat.group)
                && !stat.has_ended
            {
                let process = Process { id, start: stat.start };
                fresh.push((process, stat.group, proc::mark_of(id)));
            }
        }
        let mut notes = Vec::new();
        let mut is_nobodys = false;
        let programs = programs();
        let starters = programs.starters();
        for (process, group, mark) in fresh {
            // Nobody but a look waits for it, so its number is its own until then.
            self.has_orphans = true;
            let of = |running: &Running| {
                running.leader.is_some_and(|leader| leader.id == group)
                    || matches!(&mark, Marked::By(mark) if *mark == running.mark)
            };
            let before = self.leavers.keep(process, None, programs.next).before;
            let program = programs.running.iter().find(|(_, running)| of(running));
            let program = program.map(|(serial, _)| *serial);
            is_nobodys |=
                program.is_none() && starters.verdict(process.start, before) == Verdict::Nobodys;
            notes.push(programs.note(process, program, &starters, before));
        }
        drop(programs);
        self.leavers.write(notes);
        !is_nobodys
    }

    /// Looks at all processes.
    fn look(&mut self) -> Option<Vec<Seen>> {
        let programs = programs();
        let leader = |(serial, running): (&Serial, &Running)| {
            let leader = running.leader?;
            Some((leader.id, (leader.start, *serial)))
        };
        let mark = |(serial, running): (&Serial, &Running)| (running.mark.clone(), *serial);
        let roster = Roster {
            leaders: programs.running.iter().filter_map(leader).collect(),
            marks: programs.running.iter().map(mark).collect(),
            server: getpid().as_raw_pid(),
            group: getpgrp().as_raw_pid(),
            bystanders: bystander::groups(),
            adopts: ADOPTS.load(Ordering::Relaxed),
        };
        drop(programs);
        let now = Instant::now();
        let quickly = self.looked.is_some_and(|looked| now.duration_since(looked) < QUICKLY);
        self.looked = Some(now);
        self.census.look(&Machine, &roster, quickly, now).ok()
    }

    fn answer(&mut self, asks: Vec<Ask>, seen: Option<&[Seen]>) {
        let Some(seen) = seen else {
            for ask in asks {
                if let Ask::Sweep(_, reply) = ask {
                    let _ = reply.send(None);
                }
            }
            return;
        };
        let orphans = self.judge(seen);
        let hopeful = self.kill_orphans(&orphans.nobodys) + orphans.unclear;
        let ended = |of| seen.iter().filter(|seen| seen.has_just_ended && seen.of == of).count();
        for ask in asks {
            let Ask::Sweep(serial, reply) = ask else { continue };
            let of = |seen: &&Seen| seen.of == Of::Program(serial) && !seen.has_ended;
            let left = seen.iter().filter(of).map(|seen| seen.process);
            // Any program that ends now may have started those orphans.
            let number = left.map(kill).count()
                + ended(Of::Program(serial))
                + ended(Of::Orphan)
                + hopeful
                + usize::from(self.census.is_unsure(Instant::now()));
            // Nobody waits for the answer if the system has been dropped.
            let _ = reply.send(Some(number));
        }
    }

    /// Kills orphans, and returns the number of those that can be expected to end.
    fn kill_orphans(&mut self, orphans: &[Process]) -> usize {
        self.killed.retain(|process, _| orphans.contains(process));
        let mut hopeful = 0;
        for process in orphans {
            let since = self.killed.entry(*process).or_insert_with(Instant::now);
            if since.elapsed() < GONE_WITHIN {
                hopeful += 1;
                kill(*process);
            }
        }
        hopeful
    }

    /// Returns the orphans that run and that no program which goes on can have started. Writes down what has left its
    /// program, and waits for what was adopted and has ended.
    fn judge(&mut self, seen: &[Seen]) -> Orphans {
        let programs = programs();
        let leaders = programs.leaders();
        let starters = programs.starters();
        let starting = programs.starting().unwrap_or(Serial::MAX);
        // One may have been started since the look began, and be taken for an orphan there.
        let bystanders = bystander::groups();
        let is_bystander = |process: Process| {
            !bystanders.is_empty()
                && (bystanders.contains(&process.id)
                    || Stat::of(process.id).is_some_and(|stat| bystanders.contains(&stat.group)))
        };
        let mut orphans = Orphans { nobodys: Vec::new(), unclear: 0 };
        let mut known = self.leavers.take_all();
        let mut notes = Vec::new();
        self.has_orphans = false;
        for Seen { process, of, has_ended, is_own_child, is_in_group, .. } in seen.iter().copied() {
            let program = match of {
                Of::Orphan => None,
                Of::Program(serial) if is_own_child || !is_in_group => Some(serial),
                _ => continue,
            };
            if leaders.contains(&process.id) || program.is_none() && is_bystander(process) {
                continue;
            }
            self.has_orphans |= program.is_none();
            let leaver = self.leavers.keep(process, known.remove(&process.id), programs.next);
            let before = leaver.before;
            if has_ended {
                // A program before that which is still being started may be one of these.
                let is_adopted = is_own_child && starting >= before;
                if is_adopted && let Some(id) = Pid::from_raw(process.id) {
                    // Only this process waits for it: whoever starts programs here knows their numbers.
                    let _ = waitpid(Some(id), WaitOptions::NOHANG);
                    self.leavers.forget(process.id);
                }
                continue;
            }
            if program.is_none() {
                match starters.verdict(process.start, before) {
                    Verdict::Somebodys => {}
                    Verdict::Unclear if leaver.seen.elapsed() < CLEAR_WITHIN => {
                        orphans.unclear += 1;
                    }
                    Verdict::Unclear => {}
                    Verdict::Nobodys => orphans.nobodys.push(process),
                }
            }
            if !leaver.was_noted {
                notes.push(programs.note(process, program, &starters, before));
            }
        }
        drop(programs);
        // These have gone, or have proved to be programs.
        self.leavers.strike_out(known.into_values());
        self.leavers.write(notes);
        orphans
    }
}

fn kill(process: Process) {
    if let Err(error) = process.signal(Signal::KILL) {
        log::debug!("process {} can't be killed: {error}", process.id);
    }
}
