//! A running system whose power is cut: what its clients were told must still be so when it runs again.
//!
//! The seed decides what the clients do and where the power is cut; threads decide the rest, so a seed
//! is not the same twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Record, Store};
use actiond_actors::testing::{Call, Gate, Script, eventually};
use actiond_actors::{
    ActionId, Builder, OnRestart, QueueError, QueueHandle, State, Submitted, System,
};
use fastrand::Rng;
use futures_util::future::{Either, join_all, select};
use rusqlite::{Connection, OpenFlags};

use super::disk::{Cut, Disk, Honesty};
use super::inspect;
use super::vfs::{mount, unmount};
use crate::common::{at_gate, end, threads, to_do};

/// How many rounds there are between two cuts at most, each of several clients at once.
const ROUNDS: usize = 30;
const CLIENTS: usize = 5;
const CHECKPOINT_PAGES: u32 = 40;

/// What an action may be to do.
const WHATS: [&str; 8] = ["", "", "", "", "fail", "wait", "wait", "deaf"];

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Submit { key: Option<u8>, priority: i32, what: &'static str },
    Duplicate(ActionId),
    Cancel(ActionId),
    Stop(ActionId),
    Priority(ActionId, i32),
    Look(ActionId),
    Hold,
    GoOn,
}

/// And what it is told.
#[derive(Debug)]
enum Told {
    Queued(Submitted),
    State(State),
    Is(Box<Record>),
    Done,
}

/// What is known of an action.
#[derive(Debug)]
struct Known {
    submitted: Submitted,
    what: Option<&'static str>,
    priority: Option<i32>,
    /// How often it had begun when it was cancelled.
    cancelled: Option<usize>,
    stopping: Option<Stopping>,
    ended: Option<Record>,
}

/// A stop that was acknowledged while the action ran.
#[derive(Debug, Clone, Copy)]
struct Stopping {
    /// How often the power had been cut by then.
    cuts: u32,
    /// Which attempt it was, as the file says after the next cut.
    attempt: Option<u32>,
}

/// One queue through several cuts, and all that its clients were told.
struct Run {
    random: Rng,
    disk: Arc<Disk>,
    script: Script,
    on_restart: OnRestart,
    gate: Gate,
    /// How often the power has been cut.
    cuts: u32,
    /// How many that were to stop had not ended when it was.
    cut_stops: usize,
    known: BTreeMap<ActionId, Known>,
    keys: BTreeMap<u8, Submitted>,
    /// Keys of submissions that were not answered: under each there may be an action already.
    keys_in_doubt: BTreeSet<u8>,
    /// `None` where a command was not answered.
    paused: Option<bool>,
    /// How many submissions were not answered.
    unanswered: usize,
}

/// Runs the clients of this seed; what they find wrong is a panic. Returns how many actions that were to stop
/// had not ended when the power was cut.
pub(crate) async fn run(seed: u64, honesty: Honesty) -> Result<usize, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Rng::with_seed(seed);
    let gate = Gate::new();
    let on_restart = if random.bool() { OnRestart::Fail } else { OnRestart::Requeue };
    let mut run = Run {
        disk: Arc::new(Disk::new(512, honesty)),
        script: at_gate(&gate).on_restart(on_restart).pausable(),
        on_restart,
        gate,
        cuts: 0,
        cut_stops: 0,
        known: BTreeMap::new(),
        keys: BTreeMap::new(),
        keys_in_doubt: BTreeSet::new(),
        paused: Some(false),
        unanswered: 0,
        random,
    };
    for _ in 0..run.random.u32(1..=3) {
        let most = if run.random.u8(0..4) == 0 { 40 } else { 600 };
        run.disk.cut_at(Cut { kind: None, nth: run.random.u64(1..=most), late: run.random.bool() });
        run.powered(directory.path(), false).await?;
        run.disk.cut_now();
        run.disk = Arc::new(run.disk.after_cut(&mut run.random));
        run.cuts += 1;
    }
    run.powered(directory.path(), true).await?;
    unmount(directory.path());
    Ok(run.cut_stops)
}

impl Run {
    /// Starts the system, looks what is there, and goes on until the power is cut, or to the end of
    /// all actions.
    async fn powered(&mut self, directory: &Path, to_the_end: bool) -> Result<(), String> {
        let vfs = mount(directory, &self.disk);
        let outcome = self.started(directory, vfs, to_the_end).await;
        if to_the_end || self.disk.cut_during().is_none() { outcome } else { Ok(()) }
    }

    async fn started(&mut self, at: &Path, vfs: &str, to_the_end: bool) -> Result<(), String> {
        let store = SqliteStore::open_with_vfs(at, Durability::Full, vfs, CHECKPOINT_PAGES, false);
        let store = Arc::new(store.map_err(|e| e.to_string())?);
        // Nobody writes yet, so the power stays.
        self.inspect(at, vfs);
        let system = System::builder(at).store(Arc::clone(&store) as Arc<dyn Store>);
        let outcome = match self.start(system).await {
            Ok(system) => {
                let work = system.queue("Work").unwrap();
                let outcome = self.in_use(&work, to_the_end).await.map_err(|e| e.to_string());
                if !to_the_end {
                    self.disk.cut_now();
                }
                outcome
            }
            Err(error) => Err(error),
        };
        store.close().await;
        outcome
    }

    /// Starts the system. Without power that would try for some seconds to recover what ran before.
    async fn start(&self, system: Builder) -> Result<System, String> {
        let started = pin!(system.queue("Work", threads(3), self.script.clone()).start());
        let cut = pin!(eventually("the power is cut", async || self.disk.cut_during().is_some()));
        match select(started, cut).await {
            Either::Left((system, _)) => system.map_err(|e| e.to_string()),
            Either::Right(_) => Err("the power was cut during the start".to_owned()),
        }
    }

    fn inspect(&mut self, directory: &Path, vfs: &str) {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let path = directory.join("actions.db");
        let database = Connection::open_with_flags_and_vfs(path, flags, vfs).unwrap();
        inspect(&database);
        let there: usize =
            database.query_row("SELECT count(*) FROM action", [], |row| row.get(0)).unwrap();
        let known = self.known.len();
        let allowed = known..=known + self.unanswered;
        assert!(allowed.contains(&there), "{there} actions, of which {known} are known (Q2)");
        for (id, known) in &mut self.known {
            let Some(stopping) = &mut known.stopping else { continue };
            let sql = "SELECT state, attempt FROM action WHERE id = ?";
            let (state, attempt): (usize, u32) =
                database.query_row(sql, [id.get()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            let state = State::ALL[state];
            assert!(state == State::Stopping || state.is_final(), "{id} is {state}: {known:?}");
            self.cut_stops += usize::from(state == State::Stopping);
            assert_eq!(*stopping.attempt.get_or_insert(attempt), attempt, "{id} began again");
        }
    }

    async fn in_use(&mut self, work: &QueueHandle, to_the_end: bool) -> Result<(), QueueError> {
        self.check(work).await?;
        if !to_the_end {
            for _ in 0..self.random.usize(1..=ROUNDS) {
                self.round(work).await?;
            }
            return self.check(work).await;
        }
        self.gate.open();
        work.resume_queue().await?;
        self.paused = Some(false);
        for id in self.known.keys() {
            end(work, *id).await;
        }
        self.check(work).await
    }

    /// Holds all that the clients were told against what they are told now.
    async fn check(&mut self, work: &QueueHandle) -> Result<(), QueueError> {
        if let Some(paused) = self.paused {
            assert_eq!(work.read_summary().await?.paused, paused, "the queue is paused, or not");
        }
        let ids: Vec<_> = self.known.keys().copied().collect();
        for id in ids {
            let (_, parameters) = work.parameters(id, false).await?;
            let begun = self.begun(id);
            let record = work.status(id).await?.record;
            if let (Some(parameters), Some(what)) = (parameters, self.known[&id].what) {
                assert_eq!(parameters.get("Do"), Some(what), "{record:?}");
            }
            self.note_record(record, &begun);
        }
        let calls = self.script.calls();
        let attempts: BTreeSet<_> = calls.iter().map(|c| (c.id, c.attempt)).collect();
        assert_eq!(attempts.len(), calls.len(), "an attempt ran twice: {calls:?}");
        if self.on_restart == OnRestart::Fail {
            let actions: BTreeSet<_> = calls.iter().map(|call| call.id).collect();
            assert_eq!(actions.len(), calls.len(), "an action began twice: {calls:?}");
        }
        Ok(())
    }

    /// Compares a record with what is known of the action, and with the attempts that had begun before
    /// it was read; remembers it if it has ended.
    fn note_record(&mut self, record: Record, begun: &[u32]) {
        let cuts = self.cuts;
        let known = self.known.get_mut(&record.id).unwrap();
        assert_eq!(record.queued_at, known.submitted.queued_at, "{record:?}");
        if let Some(ended) = &known.ended {
            assert_eq!(record, *ended, "final is final (Q7)");
        }
        if known.priority.is_some_and(|priority| priority != record.priority) {
            panic!("{record:?} has another priority than {known:?}");
        }
        if let Some(before) = known.cancelled {
            assert_eq!(record.state, State::Cancelled, "{record:?}");
            assert_eq!(begun.len(), before, "{record:?} began after it was cancelled (Q6)");
        }
        if let Some(stopping) = known.stopping {
            let waits = record.state == State::Stopping && stopping.cuts == cuts;
            assert!(waits || record.state.is_final(), "{record:?} was to stop: {stopping:?}");
            let attempt = stopping.attempt.unwrap_or(record.attempt);
            assert_eq!(record.attempt, attempt, "{record:?} began again: {stopping:?}");
        }
        let last = begun.iter().max().copied().unwrap_or_default();
        assert!(record.attempt >= last, "{record:?} began before that was on the disk (Q5)");
        if record.state.is_final() {
            known.ended = Some(record);
        }
    }

    fn begun(&self, id: ActionId) -> Vec<u32> {
        attempts(&self.script.calls(), id)
    }

    /// Lets several clients ask at once, no two about the same action.
    async fn round(&mut self, work: &QueueHandle) -> Result<(), QueueError> {
        let mut ids: Vec<_> = self.known.keys().copied().collect();
        self.random.shuffle(&mut ids);
        let clients = self.random.usize(1..=CLIENTS);
        let asks: Vec<_> = (0..clients).map(|_| self.choose(&mut ids)).collect();
        let calls = self.script.calls();
        let told = join_all(asks.iter().map(|ask| ask.of(work))).await;
        let mut failed = None;
        for (ask, told) in asks.iter().zip(told) {
            match told {
                Ok(told) => self.note(*ask, told, &calls),
                Err(QueueError::Refused(_)) => {}
                Err(error) => {
                    assert!(self.disk.cut_during().is_some(), "{ask:?}: {error}");
                    self.note_no_answer(*ask);
                    failed = Some(error);
                }
            }
        }
        if asks.iter().filter(|ask| matches!(ask, Ask::Hold | Ask::GoOn)).count() > 1 {
            // In whichever order they came.
            self.paused = None;
        }
        failed.map_or(Ok(()), Err)
    }

    fn choose(&mut self, ids: &mut Vec<ActionId>) -> Ask {
        let random = &mut self.random;
        let key = (random.u8(0..4) == 0).then(|| random.u8(0..30));
        let priority = random.i32(-2..3);
        let what = random.usize(0..8);
        // What comes under one key is always the same.
        let what = WHATS[key.map_or(what, |key| usize::from(key) % WHATS.len())];
        let submit = Ask::Submit { key, priority, what };
        let Some(id) = ids.pop() else { return submit };
        match random.u8(0..16) {
            0..6 => submit,
            6 => Ask::Duplicate(id),
            7..9 => Ask::Cancel(id),
            9..11 => Ask::Stop(id),
            11 => Ask::Priority(id, random.i32(-2..3)),
            12..14 => Ask::Look(id),
            14 => Ask::Hold,
            _ => Ask::GoOn,
        }
    }

    fn note(&mut self, ask: Ask, told: Told, calls: &[Call]) {
        match (ask, told) {
            (Ask::Submit { key, priority, what }, Told::Queued(submitted)) => {
                if let Some(first) = key.and_then(|key| self.keys.get(&key)) {
                    assert_eq!(submitted, *first, "the same key");
                    return;
                }
                if let Some(key) = key {
                    self.keys.insert(key, submitted);
                }
                let as_asked = key.is_none_or(|key| !self.keys_in_doubt.contains(&key));
                self.note_new(submitted, as_asked.then_some(what), as_asked.then_some(priority));
            }
            (Ask::Duplicate(id), Told::Queued(submitted)) => {
                let Known { what, priority, .. } = self.known[&id];
                self.note_new(submitted, what, priority);
            }
            (Ask::Cancel(id) | Ask::Stop(id), Told::State(State::Cancelled)) => {
                let begun = self.begun(id).len();
                self.known.get_mut(&id).unwrap().cancelled.get_or_insert(begun);
            }
            (Ask::Stop(id), Told::State(State::Stopping)) => {
                let stopping = Stopping { cuts: self.cuts, attempt: None };
                self.known.get_mut(&id).unwrap().stopping.get_or_insert(stopping);
            }
            (Ask::Priority(id, priority), Told::State(_)) => {
                self.known.get_mut(&id).unwrap().priority = Some(priority);
            }
            (Ask::Look(_), Told::Is(record)) => {
                let begun = attempts(calls, record.id);
                self.note_record(*record, &begun);
            }
            (Ask::Hold, _) => self.paused = Some(true),
            (Ask::GoOn, _) => self.paused = Some(false),
            _ => {}
        }
    }

    fn note_new(
        &mut self,
        submitted: Submitted,
        what: Option<&'static str>,
        priority: Option<i32>,
    ) {
        let (cancelled, stopping, ended) = (None, None, None);
        let new = Known { submitted, what, priority, cancelled, stopping, ended };
        let before = self.known.insert(submitted.id, new);
        assert!(before.is_none(), "{} was given out twice (Q1)", submitted.id);
    }

    fn note_no_answer(&mut self, ask: Ask) {
        match ask {
            Ask::Submit { key, .. } => {
                self.unanswered += 1;
                self.keys_in_doubt.extend(key);
            }
            Ask::Duplicate(_) => self.unanswered += 1,
            Ask::Priority(id, _) => self.known.get_mut(&id).unwrap().priority = None,
            Ask::Hold | Ask::GoOn => self.paused = None,
            Ask::Cancel(_) | Ask::Stop(_) | Ask::Look(_) => {}
        }
    }
}

/// The attempts at this action among the calls.
fn attempts(calls: &[Call], id: ActionId) -> Vec<u32> {
    calls.iter().filter(|call| call.id == Some(id)).map(|call| call.attempt).collect()
}

impl Ask {
    async fn of(self, work: &QueueHandle) -> Result<Told, QueueError> {
        Ok(match self {
            Self::Submit { key, priority, what } => {
                let submission = to_do(what).priority(priority);
                let submission = match key {
                    Some(key) => submission.key(key.to_string()),
                    None => submission,
                };
                Told::Queued(work.submit(submission).await?)
            }
            Self::Duplicate(id) => Told::Queued(work.duplicate(id).await?),
            Self::Cancel(id) => Told::State(work.cancel(id).await?),
            Self::Stop(id) => Told::State(work.stop(id).await?),
            Self::Priority(id, priority) => Told::State(work.change_priority(id, priority).await?),
            Self::Look(id) => Told::Is(Box::new(work.status(id).await?.record)),
            Self::Hold => {
                work.pause_queue().await?;
                Told::Done
            }
            Self::GoOn => {
                work.resume_queue().await?;
                Told::Done
            }
        })
    }
}
