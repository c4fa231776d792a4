//! The channel of log lines to the thread that writes them. Logging never waits: while the thread can't write, lines are
//! dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Largest number of bytes of lines that wait.
const MOST: usize = 1_000_000;
/// Number of waiting bytes at which lines are taken again after some were lost: else every other line would tell of a loss.
const ENOUGH_ROOM: usize = MOST / 2;
/// Stack of the writing thread, with room to spare.
const STACK: usize = 256 << 10;

/// Makes the line that says how many were lost.
type Told = Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// The channel. All clones are the same one.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    told: Told,
    /// Wakes the thread: there is something to write.
    more: Condvar,
    /// Wakes a caller that waits for the end: a line was written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Number of lines that were dropped since the last report of that.
    lost: u64,
    /// Number of lines that the thread has finished.
    done: u64,
    /// True while the thread writes a line.
    writes: bool,
    /// True while the thread waits for lines.
    idles: bool,
    /// True while a caller waits until all is written.
    is_awaited: bool,
}

impl Channel {
    /// Starts the thread that writes to `out`; `told` makes the line that says how many were lost.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            told: Box::new(told),
            more: Condvar::new(),
            written: Condvar::new(),
        });
        let channel = Self(Arc::clone(&shared));
        let thread = thread::Builder::new().name("actiond-log".to_owned()).stack_size(STACK);
        thread.spawn(move || shared.write_all_to(out))?;
        Ok(channel)
    }

    /// Puts a line in, if there is room.
    pub(crate) fn put(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        let fits = state.lines.is_empty() || state.bytes + line.len() <= MOST;
        if state.lost > 0 || !fits {
            state.lost += 1;
        } else {
            self.0.take(&mut state, line);
        }
    }

    /// Puts a line in that must not be lost.
    pub(crate) fn put_anyway(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        self.0.tell_lost(&mut state);
        self.0.take(&mut state, line);
    }

    /// Waits until all is written, or `patience` has passed in which no line could be.
    pub(crate) fn finish(&self, patience: Duration) {
        let mut state = self.0.lock();
        self.0.tell_lost(&mut state);
        state.is_awaited = true;
        while state.is_under_way() {
            let before = state.done;
            let waits = |state: &mut State| state.done == before;
            let waited = self.0.written.wait_timeout_while(state, patience, waits);
            let (now, ended) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if ended.timed_out() {
                return;
            }
        }
    }
}

/// Each write is one line: what `env_logger` makes of a record it writes at once.
impl Write for Channel {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn is_under_way(&self) -> bool {
        self.writes || !self.lines.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State, line: Vec<u8>) {
        state.bytes += line.len();
        state.lines.push_back(line);
        if state.idles {
            self.more.notify_one();
        }
    }

    fn tell_lost(&self, state: &mut State) {
        if state.lost > 0 {
            let line = (self.told)(std::mem::take(&mut state.lost));
            self.take(state, line);
        }
    }

    fn write_all_to(&self, mut out: impl Write) {
        let mut failed = 0;
        let mut state = self.lock();
        loop {
            if state.bytes <= ENOUGH_ROOM {
                self.tell_lost(&mut state);
            }
            let Some(line) = state.lines.pop_front() else {
                state.idles = true;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idles = false;
                continue;
            };
            state.bytes -= line.len();
            state.writes = true;
            drop(state);
            // One write for a line: others may write to the same file or pipe.
            let written = out.write_all(&line).and_then(|()| out.flush());
            state = self.lock();
            match written {
                // Also of those for which there was no room on the disk of a log file.
                Ok(()) => state.lost += std::mem::take(&mut failed),
                Err(_) => failed += 1,
            }
            state.writes = false;
            state.done += 1;
            if state.is_awaited {
                self.written.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Hands out each line, and writes it only when it may.
    struct Gate {
        lines: Sender<String>,
        may: Receiver<io::Result<()>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.lines.send(String::from_utf8(line.to_vec()).unwrap()).unwrap();
            // Whoever has gone lets all through.
            self.may.recv().unwrap_or(Ok(())).map(|()| line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Channel, Receiver<String>, Sender<io::Result<()>>) {
        let ((lines, seen), (open, may)) = (channel(), channel());
        let told = |lost| format!("{lost} lost").into_bytes();
        (Channel::start(Gate { lines, may }, told).unwrap(), seen, open)
    }

    fn next(seen: &Receiver<String>) -> String {
        seen.recv_timeout(PATIENCE).expect("a line")
    }

    /// Fills the channel while its first line is being written.
    fn filled() -> (Channel, Receiver<String>, Sender<io::Result<()>>) {
        let (channel, seen, open) = gated();
        channel.put(b"first".to_vec());
        assert_eq!(next(&seen), "first");
        (0..10).for_each(|_| channel.put(vec![b'x'; MOST / 10]));
        (channel, seen, open)
    }

    #[test]
    fn who_logs_does_not_wait_and_what_is_lost_is_told_where_it_was() {
        let (channel, seen, open) = filled();
        for _ in 0..7 {
            channel.put(b"lost".to_vec());
        }
        // Half of them are still there when it is told; until then nothing else is taken.
        for _ in 0..4 {
            open.send(Ok(())).unwrap();
            assert_eq!(next(&seen).len(), MOST / 10);
            channel.put(b"lost".to_vec());
        }
        drop(open);
        for _ in 0..6 {
            assert_eq!(next(&seen).len(), MOST / 10);
        }
        assert_eq!(next(&seen), "11 lost");
        channel.put(b"later".to_vec());
        assert_eq!(next(&seen), "later");
    }

    #[test]
    fn a_line_that_must_be_written_is_even_if_there_is_no_room() {
        let (channel, seen, open) = filled();
        channel.put(b"lost".to_vec());
        channel.put_anyway(b"why it ends".to_vec());
        drop(open);
        channel.finish(PATIENCE);
        let all: Vec<_> = seen.try_iter().skip(10).collect();
        assert_eq!(all, ["1 lost", "why it ends"]);
    }

    #[test]
    fn the_end_waits_for_who_reads_slowly_and_not_for_who_does_not_read() {
        let (channel, seen, open) = gated();
        for number in 0..3 {
            channel.put(number.to_string().into_bytes());
        }
        // Nobody lets anything through: it comes back all the same.
        channel.finish(Duration::from_millis(10));
        assert_eq!(next(&seen), "0");
        assert_eq!(seen.try_recv().ok(), None);
        drop(open);
        channel.finish(PATIENCE);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_line_that_cannot_be_written_counts_as_lost() {
        let (channel, seen, open) = gated();
        for (line, result) in [("a", Err(io::ErrorKind::StorageFull.into())), ("b", Ok(()))] {
            channel.put(line.as_bytes().to_vec());
            assert_eq!(next(&seen), line);
            open.send(result).unwrap();
        }
        assert_eq!(next(&seen), "1 lost");
    }

    #[test]
    fn a_line_that_is_larger_than_the_channel_is_taken_alone() {
        let (channel, seen, open) = gated();
        channel.put(b"first".to_vec());
        assert_eq!(next(&seen), "first");
        channel.put(vec![b'x'; MOST + 1]);
        channel.put(b"lost".to_vec());
        drop(open);
        assert_eq!(next(&seen).len(), MOST + 1);
        assert_eq!(next(&seen), "1 lost");
    }
}
