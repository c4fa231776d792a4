//! Shared helpers of the tests of a running system.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::{Clock, SystemClock};
use actiond_actors::store::Store;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::testing::{FaultyStore, Gate, Plan, Script, eventually};
use actiond_actors::{
    ActionId, ActionStatus, Builder, Interest, Observer, Parameters, QueueHandle, QueueSettings,
    StartError, State, Submission, System, observer,
};
use tempfile::TempDir;

/// Time limit that is longer than any test, for things that must not happen by themselves.
pub(crate) const NEVER: Duration = Duration::from_secs(3_600);
/// Time for which a test waits for something that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

#[expect(
    clippy::field_reassign_with_default,
    reason = "the settings may grow: no other crate can name all"
)]
pub(crate) fn threads(number: usize) -> QueueSettings {
    let mut settings = QueueSettings::default();
    settings.maximum_threads = number;
    settings.stop_grace = NEVER;
    settings
}

pub(crate) fn graceless(number: usize) -> QueueSettings {
    let mut settings = threads(number);
    settings.stop_grace = Duration::from_millis(20);
    settings
}

pub(crate) fn builder(directory: &Path) -> Builder {
    // These tests do not depend on fsync.
    System::builder(directory).durability(Durability::Normal)
}

/// A system with the one queue `Work`, in a directory of its own.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
    pub(crate) system: System,
    pub(crate) work: QueueHandle,
}

impl Home {
    pub(crate) async fn new(settings: QueueSettings, script: &Script) -> Self {
        Self::at(tempfile::tempdir().unwrap(), settings, script).await
    }

    /// Starts in this directory, as soon as it is no longer in use.
    pub(crate) async fn at(directory: TempDir, settings: QueueSettings, script: &Script) -> Self {
        Self::by(Arc::new(SystemClock), directory, settings, script).await
    }

    /// Starts in this directory with this clock.
    pub(crate) async fn by(
        clock: Arc<dyn Clock>,
        directory: TempDir,
        settings: QueueSettings,
        script: &Script,
    ) -> Self {
        let mut started = None;
        eventually("the directory can be opened", async || {
            let queue = builder(directory.path()).clock(Arc::clone(&clock)).queue(
                "Work",
                settings.clone(),
                script.clone(),
            );
            match queue.start().await {
                Ok(system) => started = Some(system),
                Err(StartError::Store(error)) => {
                    assert!(error.to_string().contains("in use"), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
            started.is_some()
        })
        .await;
        let system = started.unwrap();
        let work = system.queue("work").unwrap();
        Self { directory, system, work }
    }

    /// Ends as a killed server does.
    pub(crate) fn crash(self) -> TempDir {
        let Self { directory, system, work } = self;
        drop((system, work));
        directory
    }

    pub(crate) async fn shut_down(self) -> TempDir {
        self.system.shutdown(SOON).await;
        self.crash()
    }
}

/// A system with the queues `Work` and `Other` on a store that can fail.
pub(crate) struct Faulty {
    pub(crate) directory: TempDir,
    pub(crate) store: FaultyStore,
    pub(crate) system: System,
    pub(crate) work: QueueHandle,
}

impl Faulty {
    pub(crate) async fn new(settings: QueueSettings, script: &Script) -> Self {
        Self::observed(settings, script, observer(Interest::NONE, |_, _| {})).await
    }

    /// Starts with this observer.
    pub(crate) async fn observed(
        settings: QueueSettings,
        script: &Script,
        observer: impl Observer,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
        let store = FaultyStore::new(Arc::new(sqlite) as Arc<dyn Store>);
        let system = builder(directory.path())
            .store(Arc::new(store.clone()))
            .observer(observer)
            .queue("Work", settings, script.clone())
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        let faulty = Self { directory, store, system, work };
        faulty.settled().await;
        faulty
    }

    /// Returns once nothing is on its way to the store.
    pub(crate) async fn settled(&self) {
        // Each is answered only after all that came before it.
        self.work.resume_queue().await.unwrap();
        self.work.resume_queue().await.unwrap();
    }
}

pub(crate) fn nothing() -> Plan {
    Plan::Finish(Vec::new())
}

/// Does what the parameter `Do` says: `wait`, `deaf`, `block` and `block deaf` at the gate, `fail`,
/// else it finishes.
pub(crate) fn at_gate(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::choosing(move |context| match context.parameters().get("Do") {
        Some("wait") => Plan::Wait(gate.clone()),
        Some("deaf") => Plan::WaitDeaf(gate.clone()),
        Some("block") => Plan::Block(gate.clone()),
        Some("block deaf") => Plan::BlockDeaf(gate.clone()),
        Some("fail") => Plan::Fail("as planned".to_owned()),
        _ => nothing(),
    })
}

pub(crate) fn to_do(what: &str) -> Submission {
    Submission::new(Parameters::from_iter([("Do", what)]))
}

pub(crate) async fn submit(queue: &QueueHandle, what: &str) -> ActionId {
    queue.submit(to_do(what)).await.unwrap().id
}

pub(crate) async fn state(queue: &QueueHandle, id: ActionId) -> State {
    queue.status(id).await.unwrap().record.state
}

/// Waits until the action is in this state, which must be one that it stays in.
pub(crate) async fn until(queue: &QueueHandle, id: ActionId, wanted: State) {
    let what = format!("action {id} is {wanted}");
    eventually(what, async || state(queue, id).await == wanted).await;
}

/// Waits until the attempt has noticed a pause, by its processing time, which stands still then. Also works for one that has ended.
pub(crate) async fn heard_pause(queue: &QueueHandle, id: ActionId) {
    let mut last = None;
    eventually("its watch stands", async || {
        let now = queue.status(id).await.unwrap().processing;
        last.replace(now) == Some(now)
    })
    .await;
}

/// Waits until this number of actions has ended: the queue's counts follow the store's with a delay.
pub(crate) async fn until_finished(queue: &QueueHandle, number: u64) {
    let what = format!("{number} of {} have ended", queue.name());
    eventually(what, async || queue.summary().counts.finished() == number).await;
}

/// Waits for the action's end.
pub(crate) async fn end(queue: &QueueHandle, id: ActionId) -> ActionStatus {
    let status = queue.wait(id, SOON).await.unwrap();
    assert!(status.record.state.is_final(), "action {id} is still {}", status.record.state);
    status
}

pub(crate) async fn end_state(queue: &QueueHandle, id: ActionId) -> State {
    end(queue, id).await.record.state
}
