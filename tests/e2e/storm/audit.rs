//! What must hold when a storm is over: first while all queues are paused and nothing moves, then when
//! everything has ended, and at last in the database file and in the files that actions wrote.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actiond_actors::State;
use actiond_actors::lifecycle::Command;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::server::{Home, PATIENCE, Server};
use super::client::Talk;
use super::ledger::{Books, Entry, LONG_MS, Ledger};
use super::seen::Wrong;
use super::watch::{compare, list, pause, resume, status};
use super::{QUEUES, Queue};

/// What has not ended after this long is stuck.
const BOUND: Duration = Duration::from_secs(2 * PATIENCE.as_secs());

/// Lists everything and checks that what was acknowledged is there, once, and nothing else.
pub(crate) fn review(server: &Server, ledger: &Ledger) {
    let alive = AtomicBool::new(false);
    let mut talk = Talk::new(server.address, ledger, &alive).expect("a connection");
    for (queue, Queue { name, .. }) in QUEUES.iter().enumerate() {
        let before = status(&mut talk, queue).expect("a reply");
        let listed = list(&mut talk, queue, "").expect("a reply");
        compare(&talk, queue, "all", &listed, before.total());
        let listed: HashSet<u64> = listed.into_iter().map(|(id, _)| id).collect();
        let mut books = ledger.books();
        let mine = books.entries.iter().filter(|entry| entry.plan.queue == queue);
        let known: HashSet<u64> = mine.map(|entry| entry.id).collect();
        for id in known.difference(&listed) {
            books.found(Wrong::Lost, format!("action {id} of {name}"));
        }
        let resent = books.unanswered.iter().filter(|(plan, _)| plan.queue == queue).count() as u64;
        let more = listed.difference(&known).count() as u64;
        if more > books.queues[queue].lost_copies + resent {
            let what = format!("{more} in {name} that nobody knows");
            books.found(Wrong::Counts, what);
        }
        if books.queues[queue].paused.is_some_and(|paused| paused != before.paused) {
            books.found(Wrong::Lost, format!("a pause or a resume: {before:?} in {name}"));
        }
    }
}

/// Pauses everything, waits until nothing moves, and compares counts with listings.
pub(crate) fn calm_down(server: &Server, ledger: &Ledger) {
    let alive = AtomicBool::new(false);
    let mut talk = Talk::new(server.address, ledger, &alive).expect("a connection");
    let talk = &mut talk;
    for queue in 0..QUEUES.len() {
        pause(talk, queue).expect("a reply");
    }
    let began = Instant::now();
    for (queue, Queue { name, .. }) in QUEUES.iter().enumerate() {
        loop {
            let running = list(talk, queue, "&State=running").expect("a reply");
            if running.iter().all(|(_, state)| *state == State::Paused) {
                break;
            }
            if began.elapsed() > BOUND {
                ledger.found(Wrong::Stuck, format!("{name} is paused: {running:?}"));
                break;
            }
        }
        let before = status(talk, queue).expect("a reply");
        for (states, expected) in
            [("queued", before.pending), ("running", before.running), ("finished", before.finished)]
        {
            let listed = list(talk, queue, &format!("&State={states}")).expect("a reply");
            compare(talk, queue, states, &listed, expected);
        }
        let after = status(talk, queue).expect("a reply");
        if before != after {
            let what = format!("{name} is paused: {before:?}, then {after:?}");
            ledger.found(Wrong::StartedWhilePaused, what);
        }
    }
    review(server, ledger);
}

/// Lets everything come to its end and checks how it ended; then ends the server and checks its files.
pub(crate) fn finish(server: Server, home: &Home, ledger: &Ledger) {
    let alive = AtomicBool::new(false);
    let mut talk = Talk::new(server.address, ledger, &alive).expect("a connection");
    let talk = &mut talk;
    for queue in 0..QUEUES.len() {
        resume(talk, queue).expect("a reply");
    }
    let is_long = |entry: &Entry| entry.plan.sleep_ms == LONG_MS && entry.end().is_none();
    let entries = ledger.books().entries.iter().map(is_long).collect::<Vec<_>>();
    for (index, _) in entries.into_iter().enumerate().filter(|(_, long)| *long) {
        talk.command(index, "stop", Command::Stop).expect("a reply");
    }
    let began = Instant::now();
    for queue in 0..QUEUES.len() {
        while began.elapsed() < BOUND {
            let status = status(talk, queue).expect("a reply");
            if status.pending + status.running == 0 {
                break;
            }
            // A look that takes as long as an end does, and no longer.
            list(talk, queue, "&State=running").expect("a reply");
        }
    }
    review(&server, ledger);
    {
        let mut books = ledger.books();
        for index in 0..books.entries.len() {
            if let Some((wrong, what)) = wrong_end(&books, &books.entries[index]) {
                books.found(wrong, what);
            }
        }
    }
    server.signal("TERM");
    assert!(server.wait().0.success());
    let rows = rows(home, ledger);
    let mut books = ledger.books();
    books.repeated = rows.values().filter(|row| row.attempt > 1).count();
    for wrong in wrong_rows(home, &books, &rows) {
        books.found(wrong.0, wrong.1);
    }
}

/// What is wrong with the end of an action, as it was shown.
fn wrong_end(books: &Books, entry: &Entry) -> Option<(Wrong, String)> {
    let queue = &QUEUES[entry.plan.queue];
    let whose = format!("{entry:?}");
    let Some(end) = entry.end() else { return Some((Wrong::Stuck, whose)) };
    let details = entry.seen.iter().filter(|(_, seen)| seen.state.is_final());
    let details = details.filter_map(|(_, seen)| seen.details.as_ref()).next_back()?;
    let fits = match end.state {
        State::Finished => !entry.plan.fails && entry.plan.sleep_ms < LONG_MS,
        State::Error => match details.error.as_deref() {
            Some("as planned") => entry.plan.fails,
            Some("interrupted by server restart") => !queue.requeues && books.life > 1,
            _ => false,
        },
        State::Stopped => entry.end_asked || books.queues[entry.plan.queue].stop_all,
        _ => entry.end_asked,
    };
    if !fits {
        return Some((Wrong::EndUnasked, whose));
    }
    if end.state == State::Finished && queue.echo && details.mark.is_none() {
        return Some((Wrong::Reply, whose));
    }
    let mut allowed: Vec<i32> = entry.changes.iter().map(|change| change.priority).collect();
    let last = entry.changes.iter().filter(|change| change.done).find(|last| {
        let before = |other: &super::ledger::Change| {
            std::ptr::eq(other, *last) || other.received.is_some_and(|r| r <= last.sent)
        };
        entry.changes.iter().all(before)
    });
    match last {
        Some(last) => allowed = vec![last.priority],
        None => allowed.push(entry.plan.priority),
    }
    // A copy has the priority that its source had at that moment.
    let unknown = entry.copy && last.is_none();
    (!unknown && !allowed.contains(&details.priority)).then_some((Wrong::Reply, whose))
}

/// A row of the database file; times in milliseconds.
struct Row {
    queue: usize,
    state: State,
    priority: i32,
    attempt: u32,
    queued_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    processing_ms: u64,
}

/// Reads all rows of the file, which must be sound; compares them with the counts it holds.
fn rows(home: &Home, ledger: &Ledger) -> HashMap<u64, Row> {
    let file = rusqlite::Connection::open(home.data().join("actions.db")).expect("the file");
    let text = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    let mut numbers = HashMap::new();
    for (queue, Queue { name, .. }) in QUEUES.iter().enumerate() {
        let number = text(&format!("SELECT CAST(id AS TEXT) FROM queue WHERE name = '{name}'"));
        let counts = text(&format!("SELECT counts FROM queue WHERE id = {number}"));
        let counted: Vec<u64> = serde_json::from_str(&counts).expect("counts");
        for (state, counted) in counted.into_iter().enumerate() {
            let sql = format!(
                "SELECT CAST(count(*) AS TEXT) FROM action WHERE queue = {number} AND state = {state}"
            );
            let rows = text(&sql);
            if rows != counted.to_string() {
                let what = format!(
                    "{counted} in the file's counts, {rows} rows of state {state} in {name}"
                );
                ledger.found(Wrong::Counts, what);
            }
        }
        numbers.insert(number.parse::<i64>().expect("a number"), queue);
    }
    let mut statement = file
        .prepare(
            "SELECT id, queue, state, priority, attempt, queued_at, started_at, finished_at,
             processing_ms FROM action",
        )
        .expect("rows");
    let rows = statement.query_map([], |row| {
        let read = Row {
            queue: numbers[&row.get::<_, i64>(1)?],
            state: State::ALL[row.get::<_, usize>(2)?],
            priority: row.get(3)?,
            attempt: row.get(4)?,
            queued_at: row.get(5)?,
            started_at: row.get(6)?,
            finished_at: row.get(7)?,
            processing_ms: row.get(8)?,
        };
        Ok((row.get(0)?, read))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

type Found = Vec<(Wrong, String)>;

fn wrong_rows(home: &Home, books: &Books, rows: &HashMap<u64, Row>) -> Found {
    let mut found = Found::new();
    for entry in &books.entries {
        let Some(row) = rows.get(&entry.id) else {
            found.push((Wrong::Lost, format!("no row of {entry:?}")));
            continue;
        };
        let kind = wrong_row(books, entry, row).or_else(|| wrong_files(home, books, entry, row));
        found.extend(kind.map(|wrong| (wrong, format!("attempt {} of {entry:?}", row.attempt))));
    }
    for queue in 0..QUEUES.len() {
        found.extend(too_many_at_once(queue, rows));
        found.extend(wrong_order(queue, books, rows));
    }
    found.extend(wrong_ids(books));
    found
}

fn wrong_row(books: &Books, entry: &Entry, row: &Row) -> Option<Wrong> {
    let Row { queued_at, attempt, .. } = *row;
    let end = entry.end()?;
    let queue = &QUEUES[entry.plan.queue];
    if end.state != row.state {
        return Some(Wrong::TwoEnds);
    }
    let started = row.started_at.unwrap_or(queued_at);
    if queued_at > started || row.finished_at.is_none_or(|finished| started > finished) {
        return Some(Wrong::Times);
    }
    let token = STANDARD.decode(&entry.token).ok().and_then(|text| String::from_utf8(text).ok())?;
    let digits = token.rsplit(':').next()?.get(..13)?;
    if digits.parse() != Ok(queued_at) {
        return Some(Wrong::Times);
    }
    let ran = row.state != State::Cancelled;
    let may_repeat = queue.requeues && books.life > 1;
    if row.started_at.is_some() != ran || (!ran && attempt > 0 && !may_repeat) {
        return Some(Wrong::RanAfterCancel);
    }
    if attempt > 1 && !may_repeat {
        return Some(Wrong::RanTwice);
    }
    // The watch and the sleep do not stop at the very same moment when they are paused.
    let too_short = row.processing_ms + 50 < entry.plan.sleep_ms;
    if row.state == State::Finished && too_short {
        return Some(Wrong::Reply);
    }
    let pauses = &books.queues[entry.plan.queue].pauses;
    let within =
        |(from, until): &(i64, i64)| row.started_at.is_some_and(|s| *from < s && s < *until);
    pauses.iter().any(within).then_some(Wrong::StartedWhilePaused)
}

/// What an Ingest leaves behind tells whether it ran, whatever the server says.
fn wrong_files(home: &Home, books: &Books, entry: &Entry, row: &Row) -> Option<Wrong> {
    let source = entry.plan.source.as_ref()?;
    let batch = home
        .data()
        .join(QUEUES[entry.plan.queue].name.to_lowercase())
        .join(format!("batch-{:011}", entry.id));
    // One that a kill sent back to its queue may have run before it was cancelled; only the row tells.
    let never_ran = books.life == 1 || row.attempt == 0;
    match row.state {
        State::Cancelled if never_ran && (batch.exists() || !source.exists()) => {
            Some(Wrong::RanAfterCancel)
        }
        State::Finished if !batch.exists() || source.exists() => Some(Wrong::EndUnasked),
        _ => None,
    }
}

/// Counts who ran at the same time, by the times that the file holds.
fn too_many_at_once(queue: usize, rows: &HashMap<u64, Row>) -> Option<(Wrong, String)> {
    let mut steps = Vec::new();
    for row in rows.values().filter(|row| row.queue == queue) {
        if let (Some(started), Some(finished)) = (row.started_at, row.finished_at)
            && started < finished
        {
            steps.push((started, 1));
            steps.push((finished, -1));
        }
    }
    // Within one millisecond ends come first: a slot is free only after an end.
    steps.sort_unstable();
    let most = steps.iter().scan(0, |running, (_, step)| {
        *running += step;
        Some(*running)
    });
    let most = most.max().unwrap_or(0);
    (most > QUEUES[queue].threads as i64)
        .then(|| (Wrong::TooManyRun, format!("{most} at once in {}", QUEUES[queue].name)))
}

/// Looks for actions that left the queue after one that came later and was not more urgent. Only what
/// is certain counts: one was acknowledged, with the priority that it kept, before the other was sent.
fn wrong_order(queue: usize, books: &Books, rows: &HashMap<u64, Row>) -> Found {
    let mine = || {
        let entries = books.entries.iter().filter(|entry| entry.plan.queue == queue);
        entries.filter_map(|entry| Some((entry, rows.get(&entry.id)?)))
    };
    let mut settled: Vec<_> = mine()
        // When one that ran again started for the first time is not known.
        .filter(|(_, row)| row.attempt <= 1)
        .filter_map(|(entry, row)| {
            let left = row.started_at.or(row.finished_at)?;
            let mut at = entry.span.received;
            for change in &entry.changes {
                at = at.max(change.received?);
            }
            Some((at, row.priority, left, entry.id))
        })
        .collect();
    settled.sort_unstable();
    let mut sent: Vec<_> = mine().filter(|(_, row)| row.started_at.is_some()).collect();
    sent.sort_unstable_by_key(|(entry, _)| entry.span.sent);
    let mut found = Found::new();
    // Of each priority, the one that left the queue last.
    let mut last: BTreeMap<i32, (i64, u64)> = BTreeMap::new();
    let mut settled = settled.into_iter().peekable();
    for (entry, row) in sent {
        while let Some((_, priority, left, id)) = settled.next_if(|(at, ..)| *at < entry.span.sent)
        {
            let latest = last.entry(priority).or_insert((left, id));
            *latest = (*latest).max((left, id));
        }
        let changes = entry.changes.iter().map(|change| change.priority);
        let own = if entry.copy { row.priority } else { entry.plan.priority };
        let highest = changes.chain([own, row.priority]).max().unwrap_or(own);
        for (priority, (left, id)) in last.range(highest..) {
            if row.started_at.is_some_and(|started| *left > started) {
                let what = format!("action {id} of priority {priority} waited behind {entry:?}");
                found.push((Wrong::Order, what));
            }
        }
    }
    found
}

/// Ids rise: one that was sent after another was acknowledged has the higher one.
fn wrong_ids(books: &Books) -> Found {
    let mut known: Vec<_> = books.entries.iter().map(|e| (e.span.received, e.id)).collect();
    known.sort_unstable();
    let mut sent: Vec<_> = books.entries.iter().map(|e| (e.span.sent, e.id)).collect();
    sent.sort_unstable();
    let mut known = known.into_iter().peekable();
    let (mut found, mut highest) = (Found::new(), 0);
    for (at, id) in sent {
        while let Some((_, id)) = known.next_if(|(received, _)| *received < at) {
            highest = highest.max(id);
        }
        if id < highest {
            found.push((Wrong::TokenTwice, format!("action {id} came after {highest}")));
        }
    }
    found
}
