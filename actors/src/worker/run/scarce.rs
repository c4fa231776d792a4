//! Programs that can't be started just now, since the system or this process has no more descriptors or processes to give.
//! Others give theirs back when they end, so such a start waits and is tried again.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::perform::Failure;
use crate::worker::Attempt;

/// Time until the second try; each pause after that is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Least time between two lines of the log about starts that wait.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The time at which the log was told last that starts wait.
static TOLD: Mutex<Option<Instant>> = Mutex::new(None);

/// Tells whether this is an error of a start that passes by itself when others end: too many open files of this process or
/// of the system, or too many processes.
pub(super) fn passes(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN))
}

/// Tries to start a program until that works, or fails in a way that does not pass. No time counts as worked meanwhile. A
/// pause of the attempt is one of this, too.
///
/// # Errors
///
/// [`Failure::Stopped`] if the attempt is asked to stop meanwhile, or what became of the last try.
pub(super) async fn started<T>(
    attempt: &Attempt,
    mut start: impl FnMut() -> io::Result<T>,
    cannot: impl FnOnce(io::Error) -> Failure,
) -> Result<T, Failure> {
    let mut pause = FIRST_PAUSE;
    let mut held = None;
    loop {
        match start() {
            Err(error) if passes(&error) => {
                tell(attempt.queue_name(), &error);
                held.get_or_insert_with(|| Held::of(attempt));
                // So that those which wait do not all come back at once.
                let pause_now = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
                attempt.sleep(pause_now).await.map_err(|_| Failure::Stopped)?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            started => return started.map_err(cannot),
        }
    }
}

/// The stopwatch of an attempt, held while this lives.
struct Held<'a>(&'a Attempt);

impl<'a> Held<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        attempt.hold_stopwatch();
        Self(attempt)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release_stopwatch();
    }
}

/// Logs that starts wait, unless that was done within the last minute.
fn tell(queue: &str, error: &io::Error) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
        return;
    }
    *told = Some(Instant::now());
    drop(told);
    log::warn!(
        "queue {queue}: a program can't be started now: {error}. Its action waits until that works, and so do others. If this comes \
         often, raise the limit of open files (ulimit -n) or of processes (ulimit -u), or lower MaximumThreads"
    );
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::action::Parameters;
    use crate::lifecycle::OnRestart;
    use crate::worker::Wish;

    fn attempt() -> Arc<Attempt> {
        Arc::new(Attempt::new(None, "work".into(), Parameters::default(), OnRestart::Fail))
    }

    fn cannot(error: io::Error) -> Failure {
        Failure::failed(error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_is_tried_again_until_it_works_or_fails_for_good() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::AGAIN] {
            let (attempt, tries) = (attempt(), Cell::new(0));
            let start = || {
                tries.set(tries.get() + 1);
                if tries.get() < 20 { Err(io::Error::from(errno)) } else { Ok(tries.get()) }
            };
            let since = tokio::time::Instant::now();
            assert_eq!(started(&attempt, start, cannot).await, Ok(20));
            // Twenty tries with pauses that are bounded, and none without one.
            let waited = since.elapsed();
            assert!(
                waited > Duration::from_secs(5) && waited < Duration::from_secs(20),
                "{waited:?}"
            );
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOMEM, Errno::TOOBIG, Errno::NOEXEC] {
            let tries = Cell::new(0);
            let start = || {
                tries.set(tries.get() + 1);
                Err::<(), _>(io::Error::from(errno))
            };
            let failed = started(&attempt(), start, cannot).await;
            assert_eq!(failed, Err(cannot(io::Error::from(errno))));
            assert_eq!(tries.get(), 1, "{errno}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait_and_a_pause_lengthens_it() {
        let never = || Err::<(), _>(io::Error::from(Errno::MFILE));
        for ask in [(|a| a.ask(Wish::Stop)) as fn(&Attempt), Attempt::interrupt, Attempt::time_out]
        {
            let attempt = attempt();
            let stopping = async {
                tokio::time::sleep(Duration::from_secs(100)).await;
                ask(&attempt);
            };
            let (failed, ()) = tokio::join!(started(&attempt, never, cannot), stopping);
            assert_eq!(failed, Err(Failure::Stopped));
        }
        let (attempt, may) = (attempt(), Cell::new(false));
        let start = || if may.get() { Ok(()) } else { Err(io::Error::from(Errno::MFILE)) };
        let pausing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            attempt.ask(Wish::Pause);
            may.set(true);
            tokio::time::sleep(Duration::from_secs(1_000)).await;
            attempt.ask(Wish::Run);
        };
        let since = tokio::time::Instant::now();
        let (done, ()) = tokio::join!(started(&attempt, start, cannot), pausing);
        assert_eq!(done, Ok(()));
        assert!(since.elapsed() > Duration::from_secs(1_000));
        // Nothing of that was time of work, which goes by the real clock.
        attempt.hold_stopwatch();
        assert!(attempt.progress().1 < Duration::from_secs(10));
    }
}
