//! The process group of a program: signals to it, and the wait until nothing of it runs any more (Q4).

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, test_kill_process_group,
    waitid, waitpgid,
};
use tokio::task::JoinHandle;

use crate::worker::Wish;

/// Time to wait for killed processes: more than any needs that the system can end at all. It is bounded because the number of
/// the group is free once its leader was waited for: what is seen there later may be somebody else's.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// Longest time between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process group.
pub(super) struct Group {
    id: Pid,
    /// True until its leader is waited for: the number is still its own.
    is_held: bool,
}

impl Group {
    /// Takes the group of this leader, which was not waited for yet.
    pub(super) const fn of(leader: Pid) -> Self {
        Self { id: leader, is_held: true }
    }

    pub(super) const fn id(&self) -> Pid {
        self.id
    }

    /// Sends no signal any more: its leader is about to be waited for.
    pub(super) const fn let_go(&mut self) {
        self.is_held = false;
    }

    /// Passes a wish on as signals.
    pub(super) fn steer(&self, wish: Wish) {
        match wish {
            Wish::Run => self.signal(Signal::CONT),
            Wish::Pause => self.signal(Signal::STOP),
            Wish::Stop => {
                self.signal(Signal::TERM);
                // A paused process gets it only then.
                self.signal(Signal::CONT);
            }
            Wish::Force => self.signal(Signal::KILL),
        }
    }

    /// Sends a signal to the whole group, while the number is still its own.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_held
            && let Err(error) = kill_process_group(self.id, signal)
            && error != Errno::SRCH
        {
            let id = self.id.as_raw_pid();
            log::warn!("process group {id} can't be sent signal {}: {error}", signal.as_raw());
        }
    }

    /// Returns a task that ends once the group's leader has ended. It does not wait for the leader in the sense of `wait`.
    pub(super) fn first_has_ended(&self) -> JoinHandle<()> {
        let id = self.id;
        tokio::task::spawn_blocking(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(id), options), Err(Errno::INTR)) {}
        })
    }

    /// Waits until nothing of a group runs any more whose processes were all killed (Q4). One that has ended and is not
    /// waited for does not run: its parent may take its time, or never do it, as the first process of many a container.
    pub(super) async fn gone(&self, queue: &str) {
        let since = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            // If this program is the first process of a container, orphans of the group become its children.
            while let Ok(Some(_)) = waitpgid(self.id, WaitOptions::NOHANG) {}
            if test_kill_process_group(self.id) == Err(Errno::SRCH) || have_ended(self.id).await {
                return;
            }
            if since.elapsed() > GONE_WITHIN {
                let id = self.id.as_raw_pid();
                log::warn!(
                    "queue {queue}: process group {id} was killed and is still there; it is not waited for any longer"
                );
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_EVERY);
        }
    }
}

/// Tells whether all processes of a group have ended. Nothing follows from false: the system may not tell.
#[cfg(target_os = "linux")]
async fn have_ended(group: Pid) -> bool {
    // It looks at all processes of the system, once a thread is free for that.
    let looks = tokio::task::spawn_blocking(move || proc::have_ended(group));
    matches!(tokio::time::timeout(Duration::from_secs(1), looks).await, Ok(Ok(true)))
}

#[cfg(not(target_os = "linux"))]
async fn have_ended(_: Pid) -> bool {
    false
}

/// The processes of a group, as Linux tells of them.
#[cfg(target_os = "linux")]
mod proc {
    use std::fs;

    use rustix::process::Pid;

    /// Tells whether there are processes of this group, and all have ended.
    pub(super) fn have_ended(group: Pid) -> bool {
        let Ok(entries) = fs::read_dir("/proc") else { return false };
        let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let mut is_there = false;
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(is_process) {
                continue;
            }
            // One that can't be read has gone meanwhile.
            let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
            match has_ended(&stat, group) {
                Some(true) => is_there = true,
                Some(false) => return false,
                None => {}
            }
        }
        // Where none is shown, they are hidden or have gone: the next look tells.
        is_there
    }

    /// Reads from `/proc/PID/stat` whether the process has ended; `None` if it is not of this group.
    pub(super) fn has_ended(stat: &[u8], group: Pid) -> Option<bool> {
        // The name of the program may hold anything.
        let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields =
            std::str::from_utf8(stat.get(behind_name..)?).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let of: i32 = fields.nth(1)?.parse().ok()?;
        if of != group.as_raw_pid() {
            return None;
        }
        // While another thread of it runs, the process does.
        let threads: u32 = fields.nth(14)?.parse().ok()?;
        Some(matches!(state, "Z" | "X") && threads <= 1)
    }
}

/// For a system that ends without a shutdown: nothing else would end the group.
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn pid(number: u32) -> Pid {
        Pid::from_raw(number.cast_signed()).unwrap()
    }

    #[test]
    fn what_has_ended_is_told_from_what_runs() {
        let rest = "41 0 -1 4194560 99 0 0 0 0 0 0 0 20 0";
        for (start, threads, want) in [
            ("42 (sleep) S 1 41", 1, Some(false)),
            ("42 (sleep) D 1 41", 1, Some(false)),
            ("42 (sleep) T 1 41", 1, Some(false)),
            ("42 (sleep) Z 1 41", 1, Some(true)),
            ("42 (sleep) Z 1 41", 0, Some(true)),
            ("42 (sleep) X 1 41", 0, Some(true)),
            ("42 (server) Z 1 41", 2, Some(false)),
            ("42 (sleep) Z 1 40", 1, None),
            ("42 (sleep) S 41 40", 1, None),
            ("42 (a) Z 1 41) S 1 41", 1, Some(false)),
            ("42 (\u{FF}\n) Z 1 41", 1, Some(true)),
        ] {
            let stat = format!("{start} {rest} {threads} 0 12345 5 6 7\n");
            assert_eq!(proc::has_ended(stat.as_bytes(), pid(41)), want, "{stat}");
        }
        for stat in
            ["", "42", "42 (sleep)", "42 (sleep) Z", "42 (sleep) Z 1 x", "42 (sleep) Z 1 41 41"]
        {
            assert_eq!(proc::has_ended(stat.as_bytes(), pid(41)), None, "{stat}");
        }
    }

    /// A real one, for which nobody waits.
    #[tokio::test]
    async fn a_zombie_does_not_run() {
        let mut sleeps = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = pid(sleeps.id());
        assert!(!have_ended(group).await);
        kill_process_group(group, Signal::KILL).unwrap();
        let since = Instant::now();
        while !have_ended(group).await {
            assert!(since.elapsed() < GONE_WITHIN);
        }
        assert_eq!(test_kill_process_group(group), Ok(()), "its number is still taken");
        sleeps.wait().unwrap();
        assert!(!have_ended(group).await, "nothing is there of which it could be told");
    }
}
