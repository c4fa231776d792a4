//! The sweeper: the thread that finds and kills what programs leave behind.
//!
//! There is one for all systems of this process, since adopted orphans are children of the whole process. It starts with
//! the first program that ends. One look at all processes serves all programs that ended before it began.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpgrp, getpid, waitpid};
use tokio::sync::oneshot;

use super::census::{Census, Look, Of, Roster, Seen, Serial};
use super::proc::{self, Marked, Process, Stat};
use crate::worker::run::GONE_WITHIN;

/// Time between two looks while programs run and this process adopts orphans.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time for which numbers of processes are taken not to be used again.
const QUICKLY: Duration = Duration::from_secs(3);
/// Longest rest between two looks: they take no more than half of one core.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// True once this process adopts orphans. It stays so.
static ADOPTS: AtomicBool = AtomicBool::new(false);
static PROGRAMS: Mutex<Programs> = Mutex::new(Programs { next: 0, running: BTreeMap::new() });
/// Where the sweeper is asked; none if its thread could not be started.
static SWEEPER: OnceLock<Option<mpsc::Sender<Ask>>> = OnceLock::new();

/// The programs of this process that have not ended, with all that they started.
struct Programs {
    next: Serial,
    running: BTreeMap<Serial, Running>,
}

struct Running {
    mark: String,
    /// None while it is being started.
    leader: Option<Process>,
    /// True once its leader has ended.
    ends: bool,
}

fn programs() -> MutexGuard<'static, Programs> {
    // Nothing that holds the lock can leave it half changed.
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that the sweeper is asked.
enum Ask {
    /// A program was started where there was none.
    Begin,
    /// End what belongs to this program and runs.
    Sweep(Serial, oneshot::Sender<Swept>),
}

/// Number of the processes that belong to a program, or may do so, and had not ended; they were killed. `None` if
/// processes are not shown here.
type Swept = Option<usize>;

/// A program that is known to the sweeper, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry(Serial);

impl Entry {
    /// Takes a program in that is about to be started.
    pub(super) fn of(mark: &str) -> Self {
        let mut programs = programs();
        let serial = programs.next;
        programs.next += 1;
        let is_first = programs.running.is_empty();
        programs
            .running
            .insert(serial, Running { mark: mark.to_owned(), leader: None, ends: false });
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
    /// that had not ended, or `None` if that can't be told here.
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
    /// Adopted processes that have ended, with the number of the program that was to be started next when they were first
    /// seen. A program before that which is still being started may be one of them.
    ended: BTreeMap<Process, Serial>,
    /// Orphans that were killed, and when that was first.
    killed: BTreeMap<Process, Instant>,
    /// True if orphans were seen in the last look.
    has_orphans: bool,
}

impl Sweeper {
    fn run(mut self, asked: &mpsc::Receiver<Ask>) {
        loop {
            let looks_by_itself = ADOPTS.load(Ordering::Relaxed)
                && (self.has_orphans || !programs().running.is_empty());
            let first = if looks_by_itself {
                match asked.recv_timeout(LOOK_EVERY) {
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
            let seen = self.look();
            self.answer(asks, seen.as_deref());
            // Those who ask meanwhile are served by one look.
            std::thread::sleep(since.elapsed().min(LONGEST_REST));
        }
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
        let unowned = self.judge(seen);
        let hopeful = self.kill_orphans(&unowned);
        for ask in asks {
            let Ask::Sweep(serial, reply) = ask else { continue };
            let of = |seen: &&Seen| seen.of == Of::Program(serial) && !seen.has_ended;
            let left = seen.iter().filter(of).map(|seen| seen.process);
            // Any program that ends now may have started those orphans.
            let number = left.map(kill).count()
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

    /// Returns the orphans that run and that no program which goes on can have started. Waits for those that have ended.
    fn judge(&mut self, seen: &[Seen]) -> Vec<Process> {
        let programs = programs();
        let is_leader = |process: Process| {
            programs.running.values().any(|r| r.leader.is_some_and(|l| l.id == process.id))
        };
        let starting = programs.running.iter().find(|(_, running)| running.leader.is_none());
        let starting = starting.map_or(Serial::MAX, |(serial, _)| *serial);
        let going_on = programs.running.values().filter(|running| !running.ends);
        // One that is being started may prove to be the orphan itself.
        let first = going_on.map(|running| running.leader.map_or(0, |leader| leader.start)).min();
        let mut unowned = Vec::new();
        self.has_orphans = false;
        let mut ended = BTreeMap::new();
        for Seen { process, of, has_ended, is_own_child } in seen.iter().copied() {
            let is_orphan = of == Of::Orphan && !is_leader(process);
            self.has_orphans |= is_orphan;
            let is_left = is_own_child && matches!(of, Of::Program(_)) && !is_leader(process);
            if has_ended && is_own_child && (is_orphan || is_left) {
                let since = self.ended.get(&process).copied().unwrap_or(programs.next);
                if starting >= since
                    && let Some(id) = Pid::from_raw(process.id)
                {
                    // Only this process waits for it: whoever starts programs here knows their numbers.
                    let _ = waitpid(Some(id), WaitOptions::NOHANG);
                } else {
                    ended.insert(process, since);
                }
            } else if is_orphan && !has_ended && first.is_none_or(|first| process.start < first) {
                unowned.push(process);
            }
        }
        self.ended = ended;
        unowned
    }
}

fn kill(process: Process) {
    if let Err(error) = process.signal(Signal::KILL) {
        log::debug!("process {} can't be killed: {error}", process.id);
    }
}
