//! Work that is done elsewhere: attempts that outlive a server, commands that are passed on, and what is reserved for those
//! that begin.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::lifecycle::{Ended, GIVEN_UP};
use actiond_actors::store::StoreError;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::testing::{FaultyStore, Gate, Script, eventually};
use actiond_actors::{
    ActionContext, ActionId, Failure, OnRestart, Perform, QueueError, QueueHandle, QueueSettings,
    RelayedCommand, State, System, Wish, Work,
};
use futures_util::StreamExt as _;
use tokio::sync::oneshot;

use crate::common::{
    Home, SOON, builder, end, end_state, graceless, nothing, state, submit, threads, to_do, until,
};

/// What one attempt has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    attempt: u32,
    is_resumed: bool,
    note: Option<String>,
    wishes: Vec<Wish>,
}

/// Work that keeps a note, goes on until the gate is open, and obeys nobody.
#[derive(Clone)]
struct Elsewhere {
    gate: Gate,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Elsewhere {
    fn new() -> Self {
        Self { gate: Gate::new(), seen: Arc::default() }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn script(&self) -> Script {
        let elsewhere = self.clone();
        let script = Script::new(move |context| elsewhere.work(context));
        script.pausable().on_restart(OnRestart::Resume)
    }

    fn work(&self, context: ActionContext) -> Work {
        let Self { gate, seen } = self.clone();
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen {
                attempt: context.attempt_number(),
                is_resumed: context.is_resumed(),
                note: context.note(),
                wishes: Vec::new(),
            });
            seen.len() - 1
        };
        Work::task(async move {
            let mut wishes = context.wishes();
            if !context.is_resumed() {
                context.keep_note("never read").await.unwrap();
                context.keep_note("it is at B").await.unwrap();
            }
            loop {
                tokio::select! {
                    () = gate.wait() => return Ok(Vec::new()),
                    Some(wish) = wishes.next() => seen.lock().unwrap()[index].wishes.push(wish),
                }
            }
        })
    }
}

fn first(attempt: u32) -> Seen {
    Seen { attempt, is_resumed: false, note: None, wishes: vec![Wish::Run] }
}

fn resumed(attempt: u32, wish: Wish) -> Seen {
    let note = Some("it is at B".to_owned());
    Seen { attempt, is_resumed: true, note, wishes: vec![wish] }
}

#[tokio::test]
async fn an_attempt_goes_on_in_the_next_server() {
    for crashes in [false, true] {
        let elsewhere = Elsewhere::new();
        let home = Home::new(threads(2), &elsewhere.script()).await;
        let id = submit(&home.work, "").await;
        elsewhere.gate.until_waiting(1).await;
        let started_at = home.work.status(id).await.unwrap().record.started_at;
        let processing = async |home: &Home| home.work.status(id).await.unwrap().processing;
        eventually("it has worked for a while", async || processing(&home).await > SOON / 40).await;
        let before = processing(&home).await;
        let directory = if crashes { home.crash() } else { home.shut_down().await };

        let home = Home::at(directory, threads(2), &elsewhere.script()).await;
        elsewhere.gate.until_waiting(1).await;
        let other = submit(&home.work, "").await;
        elsewhere.gate.until_waiting(2).await;
        let all = [first(1), resumed(1, Wish::Run), first(1)];
        let seen = format!("{all:?} is seen, crashes: {crashes}");
        eventually(seen, async || elsewhere.seen() == all).await;
        assert!(processing(&home).await >= before, "it has worked since it was started");
        elsewhere.gate.open();
        let record = end(&home.work, id).await.record;
        assert_eq!((record.state, record.attempt), (State::Finished, 1));
        assert_eq!(record.started_at, started_at, "it is the same attempt");
        assert_eq!(home.work.history(id).await.unwrap(), []);
        assert_eq!(end_state(&home.work, other).await, State::Finished);
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_goes_on_without_it() {
    let elsewhere = Elsewhere::new();
    let home = Home::new(threads(1), &elsewhere.script()).await;
    let runs = submit(&home.work, "").await;
    let waits = submit(&home.work, "").await;
    elsewhere.gate.until_waiting(1).await;
    let shutdown = home.system.shutdown(SOON * 100);
    tokio::time::timeout(SOON, shutdown).await.expect("it does not wait");
    let home = Home::at(home.crash(), threads(1), &elsewhere.script()).await;
    assert_eq!(state(&home.work, runs).await, State::Processing);
    assert_eq!(state(&home.work, waits).await, State::Queued);
    elsewhere.gate.open();
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
}

#[tokio::test]
async fn what_it_was_asked_last_holds_in_the_next_server() {
    let elsewhere = Elsewhere::new();
    let home = Home::new(threads(2), &elsewhere.script()).await;
    let (paused, stopping) = (submit(&home.work, "").await, submit(&home.work, "").await);
    elsewhere.gate.until_waiting(2).await;
    home.work.pause(paused).await.unwrap();
    home.work.stop(stopping).await.unwrap();
    let directory = home.shut_down().await;

    let home = Home::at(directory, graceless(2), &elsewhere.script()).await;
    // Nobody obeys it; the grace period has begun anew, and is short.
    assert_eq!(end_state(&home.work, stopping).await, State::Stopped);
    assert_eq!(state(&home.work, paused).await, State::Paused);
    let pause = resumed(1, Wish::Pause);
    eventually("the other one knows of its pause", async || elsewhere.seen().contains(&pause))
        .await;
    // A stop right after the start reaches it, too.
    assert_eq!(home.work.stop(paused).await, Ok(State::Stopping));
    let record = end(&home.work, paused).await.record;
    assert_eq!((record.state, record.attempt), (State::Stopped, 1));
}

#[tokio::test]
async fn a_crash_of_the_queue_s_actor_resumes_nothing() {
    let elsewhere = Elsewhere::new();
    let home = Home::new(threads(1), &elsewhere.script()).await;
    let id = submit(&home.work, "").await;
    elsewhere.gate.until_waiting(1).await;
    home.work.crash_actor();
    // The first one may be lost with the actor.
    eventually("it is paused", async || home.work.pause(id).await == Ok(State::Paused)).await;
    assert_eq!(home.work.resume(id).await, Ok(State::Processing));
    elsewhere.gate.open();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    assert_eq!(elsewhere.seen().len(), 1);
}

#[tokio::test]
async fn a_note_is_kept_for_the_attempt_that_runs_alone() {
    let (send, context) = oneshot::channel();
    let send = Mutex::new(Some(send));
    let script = Script::new(move |context| {
        if let Some(send) = send.lock().unwrap().take() {
            send.send(context.clone()).unwrap();
        }
        Work::done(Err(Failure::failed("no luck")))
    });
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    let context = context.await.unwrap();
    assert_eq!(end_state(&home.work, id).await, State::Error);
    assert_eq!(context.settled().await, Some(State::Error));
    assert_eq!(context.keep_note("late").await, Err(QueueError::UnknownAction { id }));
    assert_eq!(context.note(), None);
}

/// Sends the contexts of its attempts.
fn sending() -> (Script, tokio::sync::mpsc::UnboundedReceiver<ActionContext>) {
    let (send, contexts) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::new(move |context| {
        send.send(context).unwrap();
        Work::task(std::future::pending())
    });
    (script.on_restart(OnRestart::Resume), contexts)
}

#[tokio::test]
async fn nobody_waits_for_the_end_of_what_was_let_go() {
    let (script, mut contexts) = sending();
    let home = Home::new(threads(1), &script).await;
    submit(&home.work, "").await;
    let context = contexts.recv().await.unwrap();
    let settled = tokio::spawn({
        let context = context.clone();
        async move { context.settled().await }
    });
    home.system.shutdown(SOON).await;
    assert!(context.is_detached());
    let settled = tokio::time::timeout(SOON, settled).await.expect("it is told").unwrap();
    assert_eq!(settled, None);
}

/// Passes commands on, and does what the test says.
struct Relaying(Mutex<Option<oneshot::Sender<ActionContext>>>);

impl Perform for Relaying {
    fn perform(&self, context: ActionContext) -> Work {
        let send = self.0.lock().unwrap().take();
        Work::task(async move {
            let mut commands = context.relayed();
            if let Some(send) = send {
                send.send(context.clone()).unwrap();
            }
            while let Some(relayed) = commands.next().await {
                match relayed.command {
                    RelayedCommand::ChangePriority(5) => relayed.answer(Ok(State::Processing)),
                    RelayedCommand::ChangePriority(6) => drop(relayed),
                    RelayedCommand::ChangePriority(_) => {
                        relayed.answer(Err("it runs over there".to_owned()));
                    }
                    RelayedCommand::Cancel => {
                        relayed.answer(Ok(State::Cancelled));
                        return Err(Failure::Cancelled);
                    }
                }
            }
            Ok(Vec::new())
        })
    }

    fn relays(&self) -> bool {
        true
    }
}

async fn start(performer: impl Perform) -> (tempfile::TempDir, System, QueueHandle) {
    let directory = tempfile::tempdir().unwrap();
    let system = builder(directory.path()).queue("Work", threads(1), performer).start();
    let system = system.await.unwrap();
    let work = system.queue("Work").unwrap();
    (directory, system, work)
}

#[tokio::test]
async fn commands_to_what_has_not_begun_elsewhere_are_answered_from_there() {
    let (send, listens) = oneshot::channel();
    let (_directory, system, work) = start(Relaying(Mutex::new(Some(send)))).await;
    let id = submit(&work, "").await;
    let context = listens.await.unwrap();
    let waits = submit(&work, "").await;
    // What waits here is cancelled here.
    assert_eq!(work.cancel(waits).await, Ok(State::Cancelled));
    assert_eq!(work.change_priority(id, 5).await, Ok(State::Processing));
    let reason = "it runs over there".to_owned();
    assert_eq!(work.change_priority(id, 7).await, Err(QueueError::RefusedElsewhere { reason }));
    let unanswered = work.change_priority(id, 6).await.unwrap_err();
    assert!(matches!(unanswered, QueueError::Refused(_)), "{unanswered:?}");
    assert_eq!(work.cancel(id).await, Ok(State::Cancelled));
    let record = end(&work, id).await.record;
    assert_eq!((record.state, record.started_at), (State::Cancelled, None));
    assert_eq!(context.settled().await, Some(State::Cancelled));
    // It has ended.
    assert!(matches!(work.change_priority(id, 5).await, Err(QueueError::Refused(_))));
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn what_is_given_back_undone_counts_as_no_attempt_and_obeys_a_stop() {
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                if context.attempt_number() > 2 {
                    return Ok(Vec::new());
                }
                gate.wait().await;
                Err(Failure::Released)
            })
        }
    });
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    for _ in 0..2 {
        gate.until_waiting(1).await;
        gate.let_through(1);
    }
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Finished, 3));

    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.work.stop(id).await.unwrap();
    gate.let_through(1);
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
    let gives_back = Script::new(|_| Work::done(Err(Failure::Released)));
    let home = Home::new(threads(1), &gives_back).await;
    let outcome = home.work.run_now(Default::default()).await.unwrap();
    assert_eq!(outcome.state, State::Error);
    assert!(outcome.error.unwrap().contains("given back"));
}

/// It is bounded as what runs here is: by the deaths of servers.
#[tokio::test]
async fn what_nobody_speaks_of_after_a_restart_counts_as_one() {
    let gate = Gate::new();
    let script = || {
        let gate = gate.clone();
        let script = Script::new(move |context| {
            let gate = gate.clone();
            Work::task(async move {
                if context.is_resumed() {
                    return Err(Failure::Lost("nobody speaks of it".to_owned()));
                }
                gate.wait().await;
                Ok(Vec::new())
            })
        });
        script.on_restart(OnRestart::Resume)
    };
    let settings = || QueueSettings { max_restarts: 2, ..threads(1) };
    let home = Home::new(settings(), &script()).await;
    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    let home = Home::at(home.crash(), settings(), &script()).await;
    eventually("the next attempt runs", async || {
        let record = home.work.status(id).await.unwrap().record;
        (record.state, record.attempt) == (State::Processing, 2)
    })
    .await;
    let home = Home::at(home.crash(), settings(), &script()).await;
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 2));
    assert_eq!(record.error.as_deref(), Some(GIVEN_UP));
    let past = home.work.history(id).await.unwrap();
    let past: Vec<_> = past.iter().map(|past| (past.attempt, past.ended, &past.error)).collect();
    assert_eq!(past, [(1, Some(Ended::Lost), &Some("nobody speaks of it".to_owned()))]);
    home.shut_down().await;
}

/// A performer with so many permits, one for each action that begins.
#[derive(Clone)]
struct Permits {
    left: Arc<Mutex<usize>>,
    script: Script,
}

impl Permits {
    fn new(number: usize, script: Script) -> Self {
        Self { left: Arc::new(Mutex::new(number)), script }
    }

    fn left(&self) -> usize {
        *self.left.lock().unwrap()
    }

    fn add(&self, number: usize) {
        *self.left.lock().unwrap() += number;
    }
}

impl Perform for Permits {
    fn perform(&self, context: ActionContext) -> Work {
        self.script.perform(context)
    }

    fn on_restart(&self) -> OnRestart {
        Perform::on_restart(&self.script)
    }

    fn demand(&self) -> usize {
        self.left()
    }

    fn reserve(&self, most: usize) -> usize {
        let mut left = self.left.lock().unwrap();
        let given = most.min(*left);
        *left -= given;
        given
    }

    fn give_back(&self, unused: usize) {
        self.add(unused);
    }
}

/// A system on a store with faults, with ten slots.
async fn permitted(permits: &Permits) -> (tempfile::TempDir, FaultyStore, System, QueueHandle) {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let store = FaultyStore::new(Arc::new(sqlite));
    let system = builder(directory.path())
        .store(Arc::new(store.clone()))
        .queue("Work", threads(10), permits.clone())
        .start()
        .await
        .unwrap();
    let work = system.queue("Work").unwrap();
    (directory, store, system, work)
}

fn waits_at(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::new(move |_| {
        let gate = gate.clone();
        Work::task(async move {
            gate.wait().await;
            Ok(Vec::new())
        })
    })
}

async fn submit_all(work: &QueueHandle, number: usize) -> Vec<ActionId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        ids.push(submit(work, "").await);
    }
    ids
}

#[tokio::test]
async fn no_more_begin_than_somebody_is_there_for() {
    let gate = Gate::new();
    let permits = Permits::new(3, waits_at(&gate));
    let (_directory, store, system, work) = permitted(&permits).await;
    let ids = submit_all(&work, 8).await;
    gate.until_waiting(3).await;
    work.look_again().await;
    // Without demand nothing is written, however often it looks.
    let before = store.commits();
    for _ in 0..10 {
        work.look_again().await;
    }
    assert_eq!(store.commits(), before);
    permits.add(2);
    work.look_again().await;
    gate.until_waiting(5).await;
    assert_eq!((permits.script.peak(), permits.left()), (5, 0));
    permits.add(10);
    gate.open();
    work.look_again().await;
    for id in ids {
        assert_eq!(end_state(&work, id).await, State::Finished);
    }
    eventually("what is not used is back", async || permits.left() == 15 - 8).await;
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn what_a_batch_does_not_use_is_given_back() {
    let gate = Gate::new();
    let permits = Permits::new(3, waits_at(&gate));
    let (_directory, store, system, work) = permitted(&permits).await;
    eventually("what the first batch has reserved is back", async || permits.left() == 3).await;
    store.fail_nth_commit(1, StoreError::Io("a planned fault".to_owned()));
    assert!(work.submit(to_do("")).await.is_err());
    eventually("it is given back", async || permits.left() == 3).await;
    submit_all(&work, 2).await;
    gate.until_waiting(2).await;
    eventually("one is left", async || permits.left() == 1).await;
    gate.open();
    system.shutdown(SOON).await;
    assert_eq!(permits.left(), 1);
}

/// The actor dies between the claim and the start.
#[tokio::test]
async fn a_crash_of_the_queue_s_actor_keeps_nothing_reserved() {
    let gate = Gate::new();
    let permits = Permits::new(3, waits_at(&gate).on_restart(OnRestart::Requeue));
    let (_directory, store, system, work) = permitted(&permits).await;
    submit_all(&work, 1).await;
    gate.until_waiting(1).await;
    eventually("two are left", async || permits.left() == 2).await;
    store.hold_answers();
    let claimed = tokio::spawn({
        let work = work.clone();
        async move { work.submit(to_do("")).await }
    });
    eventually("it is claimed", async || store.held() == 1).await;
    work.crash_actor();
    store.release();
    // Nobody knows whether it was queued.
    let _ = claimed.await.unwrap();
    work.resume_queue().await.unwrap();
    work.resume_queue().await.unwrap();
    eventually("all is accounted for", async || permits.left() + permits.script.running() == 3)
        .await;
    gate.open();
    permits.add(10);
    work.look_again().await;
    eventually("all have ended", async || work.summary().counts.finished() == 2).await;
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_worker_that_dies_before_it_begins_costs_no_permit() {
    let permits = Permits::new(1, Script::always(nothing()));
    let (_directory, _store, system, work) = permitted(&permits).await;
    let first = submit(&work, "").await;
    assert_eq!(end_state(&work, first).await, State::Finished);
    assert_eq!(permits.left(), 0);
    // It dies with the next attempt in its mailbox, or idle before that: either way the permit is used once.
    work.crash_worker(0).await;
    permits.add(1);
    let next = submit(&work, "").await;
    assert!(end_state(&work, next).await.is_final());
    eventually("it is used or back", async || permits.left() + permits.script.calls().len() == 2)
        .await;
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_wait_goes_on_over_a_restart_of_the_attempt_alone() {
    let elsewhere = Elsewhere::new();
    let home = Home::new(threads(1), &elsewhere.script()).await;
    let id = submit(&home.work, "").await;
    elsewhere.gate.until_waiting(1).await;
    let home = Home::at(home.shut_down().await, threads(1), &elsewhere.script()).await;
    let waiting = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(id, SOON).await }
    });
    elsewhere.gate.until_waiting(1).await;
    until(&home.work, id, State::Processing).await;
    elsewhere.gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().record.state, State::Finished);
    // Its time is that of this server.
    assert!(home.work.status(id).await.unwrap().processing < Duration::from_secs(60));
}
