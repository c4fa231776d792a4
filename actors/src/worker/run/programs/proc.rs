//! Processes as Linux shows them in `/proc`, and signals that reach none but the process that was looked at.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Name of the environment variable that marks a program and all that it starts.
pub(super) const MARK: &str = "ACTIOND_PROCESS";
/// Most bytes of an environment that are read.
const MOST_ENVIRONMENT: u64 = 4 << 20;
/// Flag of a thread of the kernel, which has no program.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process that is meant for good: its number is used again, but not with the same time of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Process {
    pub(super) id: i32,
    /// Ticks since the machine was started.
    pub(super) start: u64,
}

impl Process {
    /// Tells whether it is there and has not ended.
    pub(super) fn lives(self) -> bool {
        Stat::of(self.id).is_some_and(|stat| stat.start == self.start && !stat.has_ended)
    }

    /// Sends it a signal. One that has gone gets none, and is no error.
    pub(super) fn signal(self, signal: Signal) -> Result<(), Errno> {
        let Some(id) = Pid::from_raw(self.id) else { return Ok(()) };
        let handle = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            // An older kernel: the number may pass to another process in between, in theory.
            Err(Errno::NOSYS) => None,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Looked at once the handle is held, which stays with the process that it was opened for.
        if !self.lives() {
            return Ok(());
        }
        let sent = match handle {
            Some(handle) => pidfd_send_signal(handle, signal),
            None => kill_process(id, signal),
        };
        sent.or_else(|error| if error == Errno::SRCH { Ok(()) } else { Err(error) })
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) start: u64,
    /// True for one that nobody has waited for yet, if no thread of it runs.
    pub(super) has_ended: bool,
    pub(super) is_of_kernel: bool,
}

impl Stat {
    /// Reads it. `None` if there is no such process, or it is hidden.
    pub(super) fn of(process: i32) -> Option<Self> {
        let mut stat = [0; 2048];
        let read = File::open(format!("/proc/{process}/stat")).ok()?.read(&mut stat).ok()?;
        Self::parse(stat.get(..read)?)
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        // The name of the program may hold anything.
        let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields =
            std::str::from_utf8(stat.get(behind_name..)?).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let flags: u64 = fields.nth(2)?.parse().ok()?;
        let threads: u32 = fields.nth(10)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        // While another thread of it runs, the process does.
        let has_ended = matches!(state, "Z" | "X") && threads <= 1;
        let is_of_kernel = flags & KERNEL_THREAD != 0;
        Some(Self { parent, group, session, start, has_ended, is_of_kernel })
    }
}

/// Returns the numbers of all processes.
pub(super) fn all() -> io::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Returns the numbers of the children of this process, also of those that have ended and that nobody has waited for. One may
/// be missing if others end meanwhile. `None` if this kernel does not tell them.
pub(super) fn children() -> Option<Vec<i32>> {
    let mut all = None;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread may have ended meanwhile.
        let Ok(children) = fs::read_to_string(thread.path().join("children")) else { continue };
        let numbers =
            children.split_ascii_whitespace().filter_map(|number| number.parse::<i32>().ok());
        all.get_or_insert_with(Vec::new).extend(numbers);
    }
    all
}

/// What the environment of a process says of its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marked {
    By(String),
    /// It has an environment, and no mark in it; or it may not be read.
    No,
    /// It has none: it was cleared, or the process is about to begin or to end.
    Empty,
}

/// Reads the mark of a process.
pub(super) fn mark_of(process: i32) -> Marked {
    let Ok(environment) = File::open(format!("/proc/{process}/environ")) else { return Marked::No };
    let mut environment = BufReader::with_capacity(16 << 10, environment.take(MOST_ENVIRONMENT));
    let mut variable = Vec::new();
    let mut read = Marked::Empty;
    loop {
        variable.clear();
        match environment.read_until(0, &mut variable) {
            Ok(0) | Err(_) => return read,
            Ok(_) => read = Marked::No,
        }
        if let Some(mark) =
            variable.strip_prefix(MARK.as_bytes()).and_then(|v| v.strip_prefix(b"="))
        {
            let mark = mark.strip_suffix(&[0]).unwrap_or(mark);
            return Marked::By(String::from_utf8_lossy(mark).into_owned());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::{Deref, DerefMut};
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;

    /// A child that does not outlive its test.
    pub(in super::super) struct Kept(pub(in super::super) Child);

    impl Deref for Kept {
        type Target = Child;

        fn deref(&self) -> &Child {
            &self.0
        }
    }

    impl DerefMut for Kept {
        fn deref_mut(&mut self) -> &mut Child {
            &mut self.0
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            // It may have been waited for.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn what_has_ended_is_told_from_what_runs() {
        let rest = "39 0 -1 4194560 99 0 0 0 0 0 0 0 20 0";
        for (start, threads, want) in [
            ("42 (sleep) S 1 41", 1, false),
            ("42 (sleep) D 1 41", 1, false),
            ("42 (sleep) T 1 41", 1, false),
            ("42 (sleep) Z 1 41", 1, true),
            ("42 (sleep) Z 1 41", 0, true),
            ("42 (sleep) X 1 41", 0, true),
            ("42 (server) Z 1 41", 2, false),
            ("42 (a) Z 1 41) S 1 41", 1, false),
            ("42 (\u{FF}\n) Z 1 41", 1, true),
        ] {
            let stat = format!("{start} {rest} {threads} 0 12345 5 6 7\n");
            let want = Stat {
                parent: 1,
                group: 41,
                session: 39,
                start: 12_345,
                has_ended: want,
                is_of_kernel: false,
            };
            assert_eq!(Stat::parse(stat.as_bytes()), Some(want), "{stat}");
        }
        let kernel = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0\n";
        assert!(Stat::parse(kernel).unwrap().is_of_kernel);
        for stat in
            ["", "42", "42 (sleep)", "42 (sleep) Z", "42 (sleep) Z 1 x", "42 (sleep) Z 1 41 41"]
        {
            assert_eq!(Stat::parse(stat.as_bytes()), None, "{stat}");
        }
    }

    /// A real one, for which nobody waits; and one whose number is meant with another start.
    #[test]
    fn a_signal_reaches_only_the_process_that_is_meant() {
        let sleeps = Command::new("sleep").arg("1000").env(MARK, "a.1.2").spawn();
        let mut sleeps = Kept(sleeps.unwrap());
        let id = sleeps.id().cast_signed();
        let start = Stat::of(id).unwrap().start;
        // It shows its environment once its program has begun.
        while mark_of(id) == Marked::Empty {
            std::thread::yield_now();
        }
        assert_eq!(mark_of(id), Marked::By("a.1.2".to_owned()));
        assert!(all().unwrap().contains(&id));
        if let Some(children) = children() {
            assert!(children.contains(&id), "{children:?}");
        }
        let process = Process { id, start };
        Process { id, start: start + 1 }.signal(Signal::KILL).unwrap();
        assert!(sleeps.try_wait().unwrap().is_none(), "it was meant for another");
        process.signal(Signal::KILL).unwrap();
        while process.lives() {
            std::thread::yield_now();
        }
        assert!(Stat::of(id).unwrap().has_ended);
        sleeps.wait().unwrap();
        process.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn an_environment_may_lack_a_mark_or_be_empty() {
        for (clear, want) in [(true, Marked::Empty), (false, Marked::No)] {
            let mut command = Command::new("sleep");
            command.arg("1000").env_clear();
            if !clear {
                command.env("NOT_ACTIOND_PROCESS", "a.1.2");
            }
            let sleeps = Kept(command.spawn().unwrap());
            let since = Instant::now();
            let mut mark = Marked::Empty;
            while mark == Marked::Empty && since.elapsed() < Duration::from_millis(100) {
                mark = mark_of(sleeps.id().cast_signed());
            }
            assert_eq!(mark, want);
        }
    }
}
