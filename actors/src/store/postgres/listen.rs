//! The connection that listens for the notices of other servers.
//!
//! It may go dead in silence, so it is asked each second whether something waits; and what was said while it was away is lost, so every queue looks once it is
//! back. A pooler that gives a session to others between transactions would swallow every notice: it is recognised by a text
//! that does not come back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, Notification, Statement};

use super::connection::{Role, Task, begin_session, connect, within};
use super::errors::{Failure, pooled};
use super::notices::{Channels, Peers, Said, read, write};
use super::owner::{Owner, Part};
use super::read::queue_number;
use super::setup::Setup;
use super::write::sums;
use crate::store::{Notice, NoticeSink, QueueId};

/// Pauses between two tries to listen again: each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The receiver of notices, and the queues that are told if they may have missed some.
#[derive(Default)]
pub(super) struct Audience {
    sink: Mutex<Option<NoticeSink>>,
    queues: Mutex<BTreeSet<QueueId>>,
}

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").field("queues", &self.queues).finish_non_exhaustive()
    }
}

impl Audience {
    pub(super) fn set_sink(&self, sink: NoticeSink) {
        *lock(&self.sink) = Some(sink);
    }

    pub(super) fn add_queue(&self, queue: QueueId) {
        lock(&self.queues).insert(queue);
    }

    fn tell(&self, notice: Notice) {
        let sink = lock(&self.sink).clone();
        if let Some(sink) = sink {
            sink(notice);
        }
    }

    fn queues(&self) -> Vec<QueueId> {
        lock(&self.queues).iter().copied().collect()
    }

    /// Has every queue look for what it may have missed.
    fn look(&self) {
        for queue in self.queues() {
            self.tell(Notice::Work(queue));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds the lock can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time between two looks for actions that wait, of which a notice may have got lost. They also show that the connection lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The queues among these in which something may start. By the counts: while somebody holds an old snapshot, a walk would go past
/// all that was started since.
const WAITING: &str = concat!(
    "SELECT q.id FROM unnest($1::int4[]) AS u(id) JOIN queue q ON q.id = u.id CROSS JOIN LATERAL (SELECT ",
    sums!("q.id"),
    " AS counts) AS stands WHERE NOT q.paused AND stands.counts[1] > stands.counts[9]"
);

/// A connection that listens.
pub(super) struct Ear {
    client: Client,
    channels: Channels,
    waiting: Statement,
    heard: mpsc::UnboundedReceiver<Notification>,
    _task: Task,
}

impl Ear {
    /// Begins to listen for an owner, and makes sure that something is heard. Other servers are told that this one is there.
    ///
    /// # Errors
    ///
    /// Any failure of the connection, or that nothing is heard.
    pub(super) async fn open(setup: &Setup, owner: &Owner) -> Result<Self, Failure> {
        let (client, dialled) = connect(setup).await?;
        let (say, mut heard) = mpsc::unbounded_channel();
        let task = Task::of(dialled, Some(say));
        within(setup.patience, begin_session(&client, setup, Role::Listens)).await?;
        let channels = within(setup.patience, Channels::of(&client)).await?;
        let own = channels.of_owner(owner.id());
        let listen = format!("LISTEN {}; LISTEN {own}", channels.of_all());
        within(setup.patience, client.batch_execute(&listen)).await?;
        // From another connection: a pooler may give both ends of one to the same session.
        let number = fastrand::u64(..);
        let (other, dialled) = connect(setup).await?;
        let _driver = Task::of(dialled, None);
        let test = write(owner.id(), &Said::Test(number)).concat();
        let hello = write(owner.id(), &Said::Hello).concat();
        let say = "SELECT pg_notify($1, $2), pg_notify($3, $4)";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&own, &test, &channels.of_all(), &hello];
        within(setup.patience, other.query(say, &values)).await?;
        let deadline = Instant::now() + setup.patience;
        loop {
            let next = tokio::time::timeout_at(deadline, heard.recv()).await;
            match next {
                Ok(Some(text)) if read(text.payload(), owner.id()) == Some(Said::Test(number)) => {
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(Failure::Lost("it has closed the connection".to_owned())),
                Err(_) => return Err(not_heard()),
            }
        }
        let waiting = within(setup.patience, client.prepare(WAITING)).await?;
        Ok(Self { client, channels, waiting, heard, _task: task })
    }

    /// Tells the queues to look in which something may start.
    async fn look(&self, setup: &Setup, audience: &Audience) -> Result<(), Failure> {
        let queues: Vec<i32> = audience.queues().into_iter().map(queue_number).collect();
        let rows = within(setup.patience, self.client.query(&self.waiting, &[&queues])).await?;
        for row in rows {
            audience.tell(Notice::Work(QueueId(row.try_get::<_, i32>(0)?.into())));
        }
        Ok(())
    }
}

fn not_heard() -> Failure {
    Failure::Refused(pooled("a NOTIFY does not reach the connection that listens"))
}

/// Passes notices on as long as the store is open. `succeeded` tells that this server is another owner now.
pub(super) async fn listen(
    setup: Arc<Setup>,
    owner: Arc<Owner>,
    peers: Arc<Peers>,
    audience: Arc<Audience>,
    mut ear: Ear,
    mut succeeded: mpsc::UnboundedReceiver<()>,
) {
    let mut ping = interval(LOOK_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let failure = loop {
            tokio::select! {
                text = ear.heard.recv() => match text {
                    Some(text) => match read(text.payload(), owner.id()) {
                        Some(Said::Notices(notices)) => {
                            peers.note(true);
                            notices.into_iter().for_each(|notice| audience.tell(notice));
                        }
                        Some(Said::Hello) => peers.note(true),
                        Some(Said::Test(_)) | None => {}
                    },
                    None => break Failure::Lost("it has closed the connection".to_owned()),
                },
                _ = ping.tick() => {
                    if let Err(failure) = ear.look(&setup, &audience).await {
                        break failure;
                    }
                    owner.reach(Part::Listens);
                }
                there = succeeded.recv() => {
                    if there.is_none() {
                        return;
                    }
                    let own = ear.channels.of_owner(owner.id());
                    let listen = format!("LISTEN {own}");
                    let listen = within(setup.patience, ear.client.batch_execute(&listen)).await;
                    if let Err(failure) = listen {
                        break failure;
                    }
                }
            }
        };
        log::debug!("the connection that listens for other servers is lost: {failure}");
        owner.miss(Part::Listens, &failure);
        let mut pause = PAUSES.0;
        ear = loop {
            // The store may be closed meanwhile, which ends this task.
            match timeout(setup.patience * 4, Ear::open(&setup, &owner)).await {
                Ok(Ok(ear)) => break ear,
                Ok(Err(Failure::Refused(error))) => log::error!("{error}"),
                Ok(Err(failure)) => log::debug!("can't listen yet: {failure}"),
                Err(_) => log::debug!("can't listen yet: it does not answer"),
            }
            tokio::time::sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        };
        log::debug!("this server hears others again");
        owner.reach(Part::Listens);
        audience.look();
    }
}
