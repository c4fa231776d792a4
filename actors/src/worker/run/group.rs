//! The process group of a program: signals to it, and the wait until it is gone (Q4).

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpgid, kill_process, kill_process_group, test_kill_process_group,
    waitpgid,
};

use super::GONE_WITHIN;
use crate::worker::Wish;

/// Longest time between two looks at killed processes.
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

    /// Sends a signal to the whole group, while the number is still its own. A leader that has changed to another group
    /// gets it, too.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.is_held {
            return;
        }
        let mut sent = kill_process_group(self.id, signal);
        if getpgid(Some(self.id)).is_ok_and(|group| group != self.id) {
            sent = kill_process(self.id, signal);
        }
        if let Err(error) = sent
            && error != Errno::SRCH
        {
            let id = self.id.as_raw_pid();
            log::warn!("process group {id} can't be sent signal {}: {error}", signal.as_raw());
        }
    }

    /// Waits until a group is gone whose processes were all killed and whose leader was waited for. For systems that don't
    /// tell more of processes: one that has ended counts until it is waited for. The wait is bounded because the number is
    /// free by now: what is seen there later may be somebody else's.
    pub(super) async fn gone(&self, queue: &str) {
        let since = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            // If this program is the first process of a container, orphans of the group become its children.
            while let Ok(Some(_)) = waitpgid(self.id, WaitOptions::NOHANG) {}
            if test_kill_process_group(self.id) == Err(Errno::SRCH) {
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

/// For a system that ends without a shutdown: nothing else would end the group.
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_group_is_gone_once_all_of_it_has_ended() {
        let mut leader = Command::new("sh");
        let leader = leader.arg("-c").arg("sleep 1000 & exit 0").process_group(0);
        let mut leader = leader.spawn().unwrap();
        let mut group = Group::of(Pid::from_raw(leader.id().cast_signed()).unwrap());
        tokio::task::spawn_blocking(move || leader.wait().unwrap()).await.unwrap();
        let gone = tokio::time::timeout(Duration::from_millis(20), group.gone("q"));
        assert!(gone.await.is_err(), "one of it runs");
        group.signal(Signal::KILL);
        group.let_go();
        let gone = tokio::time::timeout(GONE_WITHIN / 2, group.gone("q"));
        gone.await.expect("it is gone");
    }
}
