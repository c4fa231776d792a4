//! Who steers whole queues in a storm, and who compares counts with listings.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use actiond_actors::State;
use actiond_actors::clock::{Clock as _, SystemClock};

use super::super::calls::Answer;
use super::client::{Dice, Talk};
use super::ledger::Span;
use super::seen::{Seen, Wrong};
use super::{QUEUES, Queue};

/// What `queueStatus` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) paused: bool,
    pub(crate) pending: u64,
    pub(crate) running: u64,
    pub(crate) finished: u64,
}

impl Status {
    pub(crate) fn read(answer: &Answer) -> Self {
        Self {
            paused: answer.must("paused") == "true",
            pending: answer.number("pending"),
            running: answer.number("running"),
            finished: answer.number("finished"),
        }
    }

    pub(crate) const fn total(self) -> u64 {
        self.pending + self.running + self.finished
    }
}

/// Pauses and resumes whole queues, and stops all that runs in one, until told that it is over. The
/// only one who does: so what it knows of a queue holds.
pub(crate) fn govern(talk: &mut Talk<'_>, dice: &mut Dice, over: &AtomicBool) -> Option<()> {
    while !over.load(Ordering::SeqCst) {
        let queue = dice.below(QUEUES.len());
        match dice.below(10) {
            0..=3 => {
                pause(talk, queue)?;
                // As long as some requests take.
                for _ in 0..dice.below(60) {
                    status(talk, queue)?;
                }
                resume(talk, queue)?;
            }
            4..=5 => resume(talk, queue)?,
            // Only now and then: what sleeps for long ends by this alone.
            7 if QUEUES[queue].long > 0 => {
                talk.ledger.books().queues[queue].stop_all = true;
                talk.info(queue, "stop")?;
            }
            _ => drop(status(talk, queue)?),
        }
    }
    Some(())
}

/// Pauses a queue; from its reply on nothing may start.
pub(crate) fn pause(talk: &mut Talk<'_>, queue: usize) -> Option<()> {
    talk.ledger.books().queues[queue].paused = None;
    let (answer, _) = talk.info(queue, "pause")?;
    let now = SystemClock.now().millis();
    let mut books = talk.ledger.books();
    if !Status::read(&answer).paused {
        books.found(Wrong::Reply, format!("not paused: {}", answer.0));
    }
    books.queues[queue].paused = Some(true);
    books.queues[queue].paused_since.get_or_insert(now);
    Some(())
}

/// Resumes a queue and all that is paused in it.
pub(crate) fn resume(talk: &mut Talk<'_>, queue: usize) -> Option<()> {
    {
        let now = SystemClock.now().millis();
        let book = &mut talk.ledger.books().queues[queue];
        book.paused = None;
        if let Some(since) = book.paused_since.take() {
            book.pauses.push((since, now));
        }
    }
    let (answer, _) = talk.info(queue, "resume")?;
    if Status::read(&answer).paused {
        talk.ledger.found(Wrong::Reply, format!("still paused: {}", answer.0));
    }
    talk.ledger.books().queues[queue].paused = Some(false);
    Some(())
}

/// Asks for the counts of a queue and checks them against what all clients know.
pub(crate) fn status(talk: &mut Talk<'_>, queue: usize) -> Option<Status> {
    let (acknowledged, ended) = {
        let books = talk.ledger.books();
        let ended = books.entries.iter().filter(|e| e.plan.queue == queue && e.end().is_some());
        (books.queues[queue].acknowledged, ended.count() as u64)
    };
    let (answer, _) = talk.info(queue, "queueStatus")?;
    let status = Status::read(&answer);
    let mut books = talk.ledger.books();
    let sent = books.queues[queue].submissions;
    let Status { running, finished, .. } = status;
    if status.total() < acknowledged || status.total() > sent || finished < ended {
        books.found(
            Wrong::Counts,
            format!("{status:?}, {acknowledged} to {sent} submitted, {ended} ended, in {queue}"),
        );
    }
    if running > QUEUES[queue].threads {
        books.found(Wrong::TooManyRun, format!("{status:?} in {}", QUEUES[queue].name));
    }
    Some(status)
}

/// Compares counts with listings, queue after queue, until told that it is over.
pub(crate) fn count(talk: &mut Talk<'_>, over: &AtomicBool) -> Option<()> {
    let mut last: HashMap<usize, Status> = HashMap::new();
    while !over.load(Ordering::SeqCst) {
        for (queue, Queue { name, threads, .. }) in QUEUES.iter().enumerate() {
            for states in ["queued", "running"] {
                let before = status(talk, queue)?;
                let listed = list(talk, queue, &format!("&State={states}"))?;
                let after = status(talk, queue)?;
                for (earlier, later) in [(last.get(&queue), before), (Some(&before), after)] {
                    let Some(earlier) = earlier else { continue };
                    if earlier.total() > later.total() || earlier.finished > later.finished {
                        let what = format!("{earlier:?}, then {later:?} in {name}");
                        talk.ledger.found(Wrong::Counts, what);
                    }
                }
                last.insert(queue, after);
                if states == "running" && listed.len() as u64 > *threads {
                    let what = format!("{} in {name}", listed.len());
                    talk.ledger.found(Wrong::TooManyRun, what);
                }
                // All three numbers only ever move one way: nothing was added, started or ended.
                if (before.pending, before.running, before.finished)
                    == (after.pending, after.running, after.finished)
                {
                    let expected =
                        if states == "running" { before.running } else { before.pending };
                    compare(talk, queue, states, &listed, expected);
                }
            }
            list(talk, queue, "&State=finished&Sort-By=finish-time&MaxResults=20")?;
        }
    }
    Some(())
}

/// Compares a listing with the number that was counted while nothing changed.
pub(crate) fn compare(
    talk: &Talk<'_>,
    queue: usize,
    states: &str,
    listed: &[(u64, State)],
    expected: u64,
) {
    let mut books = talk.ledger.books();
    books.compared += 1;
    let queue = QUEUES[queue].name;
    let different: HashSet<u64> = listed.iter().map(|(id, _)| *id).collect();
    if different.len() != listed.len() {
        books.found(Wrong::TokenTwice, format!("{states} in {queue}: {listed:?}"));
    }
    if listed.len() as u64 != expected {
        let what = format!("{} {states} listed, {expected} counted in {queue}", listed.len());
        books.found(Wrong::Counts, what);
    }
}

/// Lists actions, notes how each is shown, and returns their ids and states.
pub(crate) fn list(talk: &mut Talk<'_>, queue: usize, filter: &str) -> Option<Vec<(u64, State)>> {
    let (answer, span) = talk.info(queue, &format!("getStatus{filter}"))?;
    let all: Vec<(u64, Seen)> = answer.with(|document| {
        let actions = document.descendants().find(|node| node.has_tag_name("actions"));
        let actions = actions.unwrap_or_else(|| panic!("no list: {}", answer.0));
        actions.children().map(Seen::read).collect()
    });
    Some(note(talk, span, all))
}

fn note(talk: &Talk<'_>, span: Span, all: Vec<(u64, Seen)>) -> Vec<(u64, State)> {
    let mut books = talk.ledger.books();
    let mut listed = Vec::new();
    for (id, seen) in all {
        listed.push((id, seen.state));
        if let Some(index) = books.by_id.get(&id).copied() {
            books.observe(index, span, seen);
        }
    }
    listed
}
