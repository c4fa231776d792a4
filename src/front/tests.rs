//! Tests of the way of a request: everything passes where callers are let in, and nothing is performed twice, whatever room
//! there is for the reply.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::store::sqlite::SqliteStore;
use actiond_actors::testing::{FaultyStore, Gate, Script};
use actiond_actors::{
    Durability, Node, Parameters, QueueHandle, QueueSettings, State, StoreError, Submission,
    Submitted, System, Work,
};
use bytes::Bytes;

use super::message::{AciBody, AciRequest, Caller, Port};
use super::reply_memory::{ReplyBudget, ReplyMemory, SMALL};
use super::{Endpoint, answer};
use crate::access::{Access, Concerned, Wanted};
use crate::aci::catalog::StandardRole;
use crate::aci::error::AciError;
use crate::http::memory::PATIENCE;

thread_local! {
    /// What was asked of [`super::authorize`] on this thread.
    static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The action that nobody may have performed on this thread.
    static FORBIDDEN: RefCell<Option<&'static str>> = const { RefCell::new(None) };
}

pub(super) fn judge(caller: &Caller, wanted: &Wanted<'_>) -> Result<(), AciError> {
    let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
    let queue = match wanted.queue {
        Concerned::Server => "",
        Concerned::Queue(name) => name,
        Concerned::Unknown => "?",
    };
    let Wanted { action, subaction, role, .. } = *wanted;
    let asked = format!("{address} {role:?} {action} {} {queue}", subaction.unwrap_or_default());
    ASKED.with_borrow_mut(|all| all.push(asked.trim_end().to_owned()));
    if FORBIDDEN.with_borrow(|name| *name == Some(action)) {
        return Err(AciError::permission("it is forbidden."));
    }
    Ok(())
}

const MANY: usize = 1_000_000;

struct Bench {
    system: System,
    work: QueueHandle,
    endpoint: Endpoint,
    store: FaultyStore,
    gate: Gate,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// A queue `Work` whose actions hear nothing, wait until the gate is opened, and then say `result`; and an endpoint that has
    /// `memory` bytes for replies, and some patience.
    async fn new(result: String, memory: usize, patience: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
        let store = FaultyStore::new(Arc::new(store));
        let gate = Gate::new();
        let opens = gate.clone();
        let script = Script::new(move |_| {
            let (gate, result) = (opens.clone(), result.clone());
            Work::task(async move {
                gate.wait().await;
                Ok(vec![Node::text("said", result)])
            })
        });
        let system = System::builder(directory.path())
            .store(Arc::new(store.clone()))
            .queue("Work", QueueSettings::default(), script)
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        let mut endpoint = Endpoint::builder(system.clone())
            .role("work", StandardRole::Index)
            .access(Access::open())
            .build();
        Arc::get_mut(&mut endpoint.inner).unwrap().replies = ReplyBudget::patient(memory, patience);
        Self { system, work, endpoint, store, gate, _directory: directory }
    }

    async fn ask(&self, target: &str) -> String {
        let request = AciRequest {
            target: target.to_owned(),
            content_type: None,
            body: Ok(Bytes::new()),
            refused: None,
            warning: None,
            port: Port::Aci,
            caller: Caller::at(Some([192, 0, 2, 7].into())),
            idempotency_key: None,
            is_get: true,
            wants_html: target == "/",
            client: super::Client::default(),
        };
        let reply = answer(self.endpoint.clone().into(), request).await;
        let AciBody::Whole(body) = reply.body else { panic!("a list of many pages") };
        String::from_utf8(body).unwrap()
    }

    fn about(&self, command: &str, action: Submitted) -> String {
        let token = self.endpoint.token_for("Work", action).unwrap();
        format!("/action=QueueInfo&QueueName=Work&QueueAction={command}&Token={token}")
    }

    /// An action that runs.
    async fn running(&self) -> Submitted {
        let action = self.work.submit(Submission::default()).await.unwrap();
        self.gate.until_waiting(1).await;
        action
    }

    /// An action that has ended.
    async fn ended(&self) -> Submitted {
        let action = self.running().await;
        self.gate.open();
        self.work.wait(action.id, Duration::MAX).await.unwrap();
        action
    }

    /// Holds all the memory for replies.
    fn exhausted(&self) -> ReplyMemory {
        let mut memory = ReplyMemory::default();
        assert!(self.endpoint.inner.replies.try_reserve(usize::MAX, &mut memory));
        memory
    }

    async fn close(self) {
        self.gate.open();
        self.system.shutdown(Duration::from_secs(5)).await;
    }
}

/// What was asked of [`judge`] while this was done.
async fn asked(of: impl Future<Output = String>) -> (Vec<String>, String) {
    ASKED.take();
    let reply = of.await;
    (ASKED.take(), reply)
}

#[actix_web::test]
async fn every_request_passes_where_callers_are_let_in() {
    let bench = Bench::new(String::new(), MANY, PATIENCE).await;
    let token = bench.endpoint.token_for("Work", bench.running().await).unwrap();
    let by_token = format!("/action=queueinfo&queueaction=progress&token={token}");
    let table = [
        ("/", "Query Help"),
        ("/action=help", "Query Help"),
        ("/action=getstatus", "Admin GetStatus"),
        ("/action=GetRequestLog&Tail=wrong", "Admin GetRequestLog"),
        ("/action=QueueInfo&QueueName=work&QueueAction=stop", "Query QueueInfo stop Work"),
        ("/action=QueueInfo&QueueName=work&QueueAction=PROGRESS", "Query QueueInfo progress Work"),
        // One that there is not is no sub-action.
        ("/action=QueueInfo&QueueName=other&QueueAction=wrong", "Query QueueInfo  ?"),
        (&by_token, "Query QueueInfo progress Work"),
        ("/action=WORK&Priority=wrong", "Index Work  Work"),
    ];
    for (target, expected) in table {
        let (asked, _) = asked(bench.ask(target)).await;
        assert_eq!(asked, [format!("192.0.2.7 {expected}")], "{target}");
    }
    let (asked, reply) = asked(bench.ask("/action=Wrok")).await;
    assert_eq!(asked, Vec::<String>::new(), "there is no such action");
    assert!(reply.contains("Is Work meant?"), "{reply}");
    bench.close().await;
}

#[actix_web::test]
async fn who_is_not_let_in_has_nothing_performed() {
    let bench = Bench::new(String::new(), MANY, PATIENCE).await;
    let runs = bench.running().await;
    let before = bench.store.commits();
    for (name, target) in [
        ("Help", "/".to_owned()),
        ("GetStatus", "/action=GetStatus".to_owned()),
        ("QueueInfo", bench.about("stop", runs)),
        ("QueueInfo", "/action=QueueInfo&QueueName=Work&QueueAction=pause".to_owned()),
        ("Work", "/action=Work&Wait=1".to_owned()),
        ("Work", "/action=Work&Synchronous=true".to_owned()),
    ] {
        FORBIDDEN.set(Some(name));
        let reply = bench.ask(&target).await;
        FORBIDDEN.set(None);
        assert!(reply.contains("ERRORPERMISSION"), "{target}: {reply}");
    }
    assert_eq!(bench.store.commits(), before);
    assert_eq!(bench.gate.waiting(), 1, "and nothing ran at once");
    bench.close().await;
}

/// A second stop would force the work, and a second copy would be one too many.
#[actix_web::test]
async fn commands_are_performed_once_whatever_room_there_is() {
    for has_room in [true, false] {
        let bench = Bench::new("x".repeat(10), MANY, Duration::ZERO).await;
        let runs = bench.running().await;
        let waits = bench.work.submit(Submission::default()).await.unwrap();
        let held = (!has_room).then(|| bench.exhausted());
        for (command, action, says) in [
            ("changePriority&Priority=7", waits, "<status>Queued"),
            ("duplicate", waits, "<token>"),
            ("retry", waits, "<status>Queued"),
            ("cancel", waits, "<status>Cancelled"),
            ("stop", runs, "<status>Stopping"),
        ] {
            let before = bench.store.commits();
            let reply = bench.ask(&bench.about(command, action)).await;
            assert!(reply.contains(says), "{command}: {reply}");
            assert_eq!(bench.store.commits(), before + 1, "{command}");
        }
        let counts = bench.work.read_summary().await.unwrap().counts;
        assert_eq!((counts.queued(), counts.finished()), (1, 1), "a copy, and the cancelled one");
        assert_eq!(counts.of(State::Stopping), 1, "it was not forced");
        assert_eq!(bench.store.handed_out(), 0, "no result was looked at");
        drop(held);
        bench.close().await;
    }
}

#[actix_web::test]
async fn a_submission_that_is_waited_for_is_made_once_whatever_room_there_is() {
    for has_room in [true, false] {
        let bench = Bench::new("x".repeat(10 * SMALL), 20 * SMALL, Duration::ZERO).await;
        bench.gate.open();
        let held = (!has_room).then(|| bench.exhausted());
        let reply = bench.ask("/action=Work&Wait=60").await;
        assert!(reply.contains("<token>"), "{}", reply.len());
        assert_eq!(reply.contains("<status>Finished"), has_room);
        assert_eq!(reply.len() > 10 * SMALL, has_room);
        let finished = bench.work.read_summary().await.unwrap().counts.finished();
        assert_eq!((finished, bench.store.handed_out()), (1, u64::from(has_room)));
        drop(held);
        bench.close().await;
    }
}

#[actix_web::test]
async fn what_waits_for_room_is_read_once_when_there_is_some() {
    let bench = Bench::new("x".repeat(10 * SMALL), 20 * SMALL, PATIENCE).await;
    let action = bench.ended().await;
    let held = bench.exhausted();
    let target = bench.about("getStatus", action);
    let before = bench.store.handed_out();
    let mut asks = Box::pin(bench.ask(&target));
    let soon = tokio::time::timeout(Duration::from_millis(300), &mut asks).await;
    assert!(soon.is_err(), "there is no memory");
    assert_eq!(bench.store.handed_out(), before);
    drop(held);
    assert!(asks.await.len() > 10 * SMALL);
    assert_eq!(bench.store.handed_out(), before + 1);
    bench.close().await;
}

#[actix_web::test]
async fn what_gets_no_room_is_refused_unread() {
    let bench = Bench::new(String::new(), 20 * SMALL, Duration::ZERO).await;
    let given = Parameters::from_iter([("text", "y".repeat(10 * SMALL))]);
    bench.work.pause_queue().await.unwrap();
    let waits = bench.work.submit(Submission::new(given)).await.unwrap();
    let held = bench.exhausted();
    let target = bench.about("getActionParameters", waits);
    let refused = bench.ask(&target).await;
    assert!(refused.contains("MaxReplyMemory"), "{refused}");
    assert_eq!(bench.store.handed_out(), 0);
    drop(held);
    assert!(bench.ask(&target).await.len() > 10 * SMALL);
    assert_eq!(bench.store.handed_out(), 1);
    bench.close().await;
}

/// Each character takes four bytes in the reply, so that it has four times the room that was found for it.
#[actix_web::test]
async fn what_outgrows_its_room_gets_more_and_is_not_read_again() {
    let bench = Bench::new("<".repeat(2 * SMALL), 20 * SMALL, Duration::ZERO).await;
    let action = bench.ended().await;
    let target = bench.about("getStatus", action);
    let before = bench.store.handed_out();
    assert!(bench.ask(&target).await.len() > 8 * SMALL);
    assert_eq!(bench.store.handed_out(), before + 1);

    // With room for what is stored alone, one at a time may have more than there is.
    let mut most = ReplyMemory::default();
    assert!(bench.endpoint.inner.replies.try_reserve(17 * SMALL, &mut most));
    assert!(bench.ask(&target).await.len() > 8 * SMALL);
    drop(most);
    let (all, mut other) = (bench.exhausted(), ReplyMemory::default());
    bench.endpoint.inner.replies.fit(4 * SMALL, &mut other).await.unwrap();
    drop(all);
    let mut most = ReplyMemory::default();
    assert!(bench.endpoint.inner.replies.try_reserve(17 * SMALL, &mut most));
    let before = bench.store.handed_out();
    let refused = bench.ask(&target).await;
    assert!(refused.contains("MaxReplyMemory"), "{} bytes", refused.len());
    let submitted = bench.ask("/action=Work&Wait=60").await;
    assert!(submitted.contains("<token>") && !submitted.contains("<status>"), "{submitted}");
    let finished = bench.work.read_summary().await.unwrap().counts.finished();
    assert_eq!(finished, 2, "it was queued once");
    assert_eq!(bench.store.handed_out(), before + 2, "each was read, and outgrew its memory");
    bench.close().await;
}

/// Paths are for the log.
#[actix_web::test]
async fn an_error_names_no_path_to_a_client() {
    let bench = Bench::new(String::new(), MANY, PATIENCE).await;
    let path = std::path::PathBuf::from("/var/lib/actiond/actions.db");
    for (error, says) in [
        (StoreError::Io(format!("{} was deleted", path.display())), "can't be read or written"),
        (
            StoreError::Corrupt { path: path.clone(), reason: path.display().to_string() },
            "is damaged",
        ),
        (StoreError::TooNew { path: path.clone(), found: 9, known: 2 }, "a newer format"),
        (
            StoreError::InUse { path: path.clone(), owner: " (process 17)".to_owned() },
            "(process 17)",
        ),
    ] {
        bench.store.fail_commits(error.clone());
        let reply = bench.ask("/action=Work").await;
        bench.store.mend();
        assert!(reply.contains("ERRORUNAVAILABLE") && reply.contains(says), "{reply}");
        assert!(!reply.contains("actions.db") && !reply.contains("/var"), "{reply}");
        let told = super::errors::queue_error(&error.into(), "Work", None);
        assert!(told.log_text().contains("/var/lib/actiond/actions.db"), "{}", told.log_text());
    }
    bench.close().await;
}
