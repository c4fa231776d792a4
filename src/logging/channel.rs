//! The channel of log lines to the thread that writes them. Logging never waits: while the thread can't write, lines are
//! dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Largest number of bytes of lines that wait, where each is written by itself.
const MOST: usize = 1_000_000;
/// Largest number of bytes of lines that wait, where they are gathered.
const MOST_GATHERED: usize = 4_000_000;
/// Number of bytes that are written at a time, where lines are gathered.
const GATHERED: usize = 64 << 10;
/// Time for which lines are gathered after a write, as waking the thread costs more than a line; none where a loss is to be told.
const GATHERING: Duration = Duration::from_millis(5);
/// Stack of the writing thread, with room to spare.
const STACK: usize = 256 << 10;

/// The place to which lines are written.
pub(crate) trait Sink: Send {
    /// Writes a block of so many whole lines, and returns how many of them are lost.
    fn write_lines(&mut self, block: &[u8], lines: u64) -> u64;
}

/// One write for a line: others may write to the same file or pipe.
impl<W: Write + Send> Sink for W {
    fn write_lines(&mut self, block: &[u8], lines: u64) -> u64 {
        match self.write_all(block).and_then(|()| self.flush()) {
            Ok(()) => 0,
            Err(_) => lines,
        }
    }
}

/// Makes the line that says how many were lost.
type Told = Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// The channel. All clones are the same one.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    told: Told,
    /// Largest number of bytes that wait.
    most: usize,
    /// True if waiting lines are written together.
    gathers: bool,
    /// Wakes the thread: there is something to write.
    more: Condvar,
    /// Wakes a caller that waits for the end: something was written.
    written: Condvar,
    /// Wakes the thread while it gathers: a caller waits for the end.
    awaited: Condvar,
}

#[derive(Default)]
struct State {
    /// Blocks, mostly of one line, with their numbers of lines.
    blocks: VecDeque<(Vec<u8>, u64)>,
    bytes: usize,
    /// Number of lines that were dropped since the last report of that.
    lost: u64,
    /// Number of writes that the thread has finished.
    done: u64,
    /// True while the thread writes.
    writes: bool,
    /// True while the thread waits for lines.
    idles: bool,
    /// True while a caller waits until all is written.
    is_awaited: bool,
    /// True once the thread is to end when all is written.
    is_closed: bool,
}

impl Channel {
    /// Starts the thread that writes to `out`, line by line; `told` makes the line that says how many were lost.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        out: impl Sink + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::begin(out, told, MOST, false)
    }

    /// Does the same, but writes together what waits: for files, of which there is a lot.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn gathering(
        out: impl Sink + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::begin(out, told, MOST_GATHERED, true)
    }

    fn begin(
        out: impl Sink + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
        most: usize,
        gathers: bool,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            told: Box::new(told),
            most,
            gathers,
            more: Condvar::new(),
            written: Condvar::new(),
            awaited: Condvar::new(),
        });
        let channel = Self(Arc::clone(&shared));
        let thread = thread::Builder::new().name("actiond-log".to_owned()).stack_size(STACK);
        thread.spawn(move || shared.write_all_to(out))?;
        Ok(channel)
    }

    /// Puts a line in, if there is room.
    pub(crate) fn put(&self, line: Vec<u8>) {
        self.put_lines(line, 1);
    }

    /// Puts a block of so many whole lines in, if there is room.
    pub(crate) fn put_lines(&self, block: Vec<u8>, lines: u64) {
        let mut state = self.0.lock();
        let fits = state.blocks.is_empty() || state.bytes + block.len() <= self.0.most;
        if state.lost > 0 || !fits {
            state.lost += lines;
        } else {
            self.0.take(&mut state, block, lines);
        }
    }

    /// Puts a line in that must not be lost.
    pub(crate) fn put_anyway(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        self.0.tell_lost(&mut state);
        self.0.take(&mut state, line, 1);
    }

    /// Has the thread end once all is written. What is put in later is not.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        self.0.tell_lost(&mut state);
        state.is_closed = true;
        self.0.more.notify_one();
        self.0.awaited.notify_one();
    }

    /// Waits until all is written, or `patience` has passed in which no line could be.
    pub(crate) fn finish(&self, patience: Duration) {
        let mut state = self.0.lock();
        self.0.tell_lost(&mut state);
        state.is_awaited = true;
        self.0.awaited.notify_one();
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
        self.writes || !self.blocks.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State, block: Vec<u8>, lines: u64) {
        state.bytes += block.len();
        state.blocks.push_back((block, lines));
        if state.idles {
            self.more.notify_one();
        }
    }

    fn tell_lost(&self, state: &mut State) {
        if state.lost > 0 {
            let line = (self.told)(std::mem::take(&mut state.lost));
            self.take(state, line, 1);
        }
    }

    /// Takes the next block, and with it what waits behind it where lines are gathered.
    fn next(&self, state: &mut State) -> Option<(Vec<u8>, u64)> {
        let (mut block, mut lines) = state.blocks.pop_front()?;
        let fits = |(more, _): &(Vec<u8>, u64), block: &[u8]| block.len() + more.len() <= GATHERED;
        while self.gathers && state.blocks.front().is_some_and(|more| fits(more, &block)) {
            let Some((more, of_them)) = state.blocks.pop_front() else { break };
            block.extend_from_slice(&more);
            lines += of_them;
        }
        state.bytes -= block.len();
        Some((block, lines))
    }

    fn write_all_to(&self, mut out: impl Sink) {
        let mut failed = 0;
        let mut state = self.lock();
        loop {
            // Were they taken again at once, every other line would tell of a loss.
            if state.bytes <= self.most / 2 {
                self.tell_lost(&mut state);
            }
            let Some((block, lines)) = self.next(&mut state) else {
                if state.is_closed {
                    return;
                }
                state.idles = true;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idles = false;
                continue;
            };
            state.writes = true;
            drop(state);
            let lost = out.write_lines(&block, lines);
            state = self.lock();
            match lost {
                // Also of those for which there was no room on the disk of a log file.
                0 => state.lost += std::mem::take(&mut failed),
                lost => failed += lost,
            }
            state.writes = false;
            state.done += 1;
            if state.is_awaited {
                self.written.notify_all();
            } else if self.gathers && state.lost == 0 && state.blocks.is_empty() && !state.is_closed
            {
                let waited = self.awaited.wait_timeout(state, GATHERING);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
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
    fn what_is_gathered_is_written_together_and_all_of_it_before_the_end() {
        let ((lines, seen), (open, may)) = (channel(), channel());
        let told = |lost| format!("{lost} lost\n").into_bytes();
        let channel = Channel::gathering(Gate { lines, may }, told).unwrap();
        channel.put_lines(b"1\n".to_vec(), 1);
        assert_eq!(next(&seen), "1\n");
        channel.put_lines(b"2\n3\n".to_vec(), 2);
        channel.put_lines(b"4\n".to_vec(), 1);
        channel.put_lines([b'x'; GATHERED].to_vec(), 1);
        open.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        assert_eq!(next(&seen), "2\n3\n4\n");
        open.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        assert_eq!(next(&seen).len(), GATHERED);
        channel.put(b"5\n".to_vec());
        channel.close();
        drop(open);
        assert_eq!(next(&seen), "5\n4 lost\n");
        assert!(seen.recv_timeout(PATIENCE).is_err(), "the thread has ended");
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
