//! One connection: its settings, its task, and what is waited for and for how long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::connect::{DialError, Incoming};
use super::errors::Failure;
use super::schema::quoted;
use super::settings::Settings;
use super::setup::{FAREWELL, Setup};

/// Pauses between two tries to connect: each is twice as long as the one before.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The settings of every session. Plans are made once: all are walks along an index, and a plan by the statistics of a
/// table that was empty a minute ago would read all of it.
const SESSION: &str = "
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET enable_material = off;
    SET enable_incremental_sort = off;
    SET jit = off;
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_read_only = off;
    SET client_min_messages = warning;
";

/// Time after which it ends a transaction of a server that does not go on with it, because it was frozen or cut off: until then
/// that holds up others.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time by which a statement may last longer than it is waited for. The database does not notice otherwise that nobody does.
const GRACE: Duration = Duration::from_millis(500);

/// A connection whose task does not run yet.
pub(super) struct Dialled {
    incoming: Incoming,
    living: watch::Receiver<bool>,
}

/// Connects.
///
/// # Errors
///
/// Any failure, also if it takes longer than the settings' patience.
pub(super) async fn connect(setup: &Setup) -> Result<(Client, Dialled), DialError> {
    let (client, incoming) = setup.connect.dial(setup.patience).await?;
    Ok((client, Dialled { incoming, living: setup.living() }))
}

/// The purpose of a connection, as the database's list of sessions shows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Opens,
    Writes,
    Reads,
    Renews,
    Notifies,
    Listens,
    Shows,
    Watches,
    Moves,
}

/// Sets the session of a connection whose task runs.
pub(super) async fn begin_session(
    client: &Client,
    settings: &Settings,
    role: Role,
) -> Result<(), tokio_postgres::Error> {
    let name = match role {
        Role::Opens => "opens",
        Role::Writes => "writes",
        Role::Reads => "reads",
        Role::Renews => "renews",
        Role::Notifies => "notifies",
        Role::Listens => "listens",
        Role::Shows => "shows",
        Role::Watches => "watches",
        Role::Moves => "moves",
    };
    let text = format!(
        "{SESSION}
         SET search_path TO {}, pg_temp;
         SET statement_timeout = {};
         SET idle_in_transaction_session_timeout = {};
         SET lock_timeout = {};
         SELECT set_config('application_name', current_setting('application_name') || ' {name}', false)",
        quoted(&settings.schema),
        match role {
            // A commit that waits for a standby must not be taken for one that has it.
            Role::Writes => 0,
            _ => (settings.patience + GRACE).as_millis(),
        },
        IDLE_TIMEOUT.as_millis(),
        // Shorter than what waits for the answer: the connection is of use if another transaction is in the way.
        (settings.patience * 4 / 5).as_millis(),
    );
    client.batch_execute(&text).await
}

/// Passes answers to the client, and notifications to whoever wants them, until the connection ends. It does once the client has
/// gone, and the database was told so.
async fn pass(mut incoming: Incoming, notifications: Option<mpsc::UnboundedSender<Notification>>) {
    while let Some(message) = incoming.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                // Nobody may want them.
                drop(notifications.as_ref().map(|wanted| wanted.send(notification)));
            }
            Ok(AsyncMessage::Notice(notice)) => log::debug!("PostgreSQL: {notice}"),
            Ok(_) => {}
            Err(error) => {
                log::debug!("a connection to PostgreSQL has ended: {error}");
                return;
            }
        }
    }
}

/// The task of a connection. It ends soon after this was dropped, with the client: until then it may tell the database of the end.
pub(super) struct Task {
    task: tokio::task::AbortHandle,
    _held: oneshot::Sender<()>,
}

impl Task {
    pub(super) fn of(
        dialled: Dialled,
        notifications: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Self {
        let (held, released) = oneshot::channel();
        let task = tokio::spawn(async move {
            let Dialled { incoming, living: _living } = dialled;
            let mut passing = pin!(pass(incoming, notifications));
            tokio::select! {
                () = &mut passing => return,
                // Nothing is ever sent.
                _ = released => {}
            }
            drop(timeout(FAREWELL, passing).await);
        });
        Self { task: task.abort_handle(), _held: held }
    }

    /// Ends the connection without a word, with all that is under way.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

/// A connection that is made when it is needed, and again after it was lost.
pub(super) struct Link<P> {
    setup: Arc<Setup>,
    role: Role,
    open: Option<Arc<Open<P>>>,
    pause: Duration,
    /// The time before which nothing is tried, and why.
    failed: Option<(Instant, Failure)>,
}

/// A connection, with the statements that are prepared in it.
pub(super) struct Open<P> {
    pub(super) client: Client,
    pub(super) prepared: P,
    task: Task,
}

/// Preparation of a new connection before it is used.
pub(super) trait Prepare: Sized {
    async fn prepare(client: &Client) -> Result<Self, Failure>;
}

impl<P: Prepare> Link<P> {
    pub(super) const fn new(setup: Arc<Setup>, role: Role) -> Self {
        Self { setup, role, open: None, pause: PAUSES.0, failed: None }
    }

    /// Returns the connection. Where one can't be made, tries again only after a pause, and fails at once meanwhile.
    pub(super) async fn get(&mut self) -> Result<Arc<Open<P>>, Failure> {
        if let Some(open) = self.open.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        self.open = None;
        if let Some((until, failure)) = &self.failed
            && Instant::now() < *until
        {
            return Err(failure.clone());
        }
        // Boxed, as other futures that are large and rarely made: each that awaits them would be as large.
        match Box::pin(self.connect()).await {
            Ok(open) => {
                (self.pause, self.failed) = (PAUSES.0, None);
                self.open = Some(Arc::clone(&open));
                Ok(open)
            }
            Err(failure) => {
                self.failed = Some((Instant::now() + self.pause, failure.clone()));
                self.pause = PAUSES.1.min(self.pause * 2);
                Err(failure)
            }
        }
    }

    /// Gives up a connection that was lost, so that the next use makes another. The database sees its end at once, if it sees
    /// anything, and ends what it still does for it.
    pub(super) fn give_up(&mut self) {
        if let Some(open) = self.open.take() {
            open.task.abort();
        }
    }

    /// Ends the connection in order, once nobody uses it.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Connects and prepares, all within one patience.
    async fn connect(&self) -> Result<Arc<Open<P>>, Failure> {
        let until = Instant::now() + self.setup.patience;
        let (client, dialled) = connect(&self.setup).await?;
        let task = Task::of(dialled, None);
        let prepare = Box::pin(async {
            begin_session(&client, &self.setup, self.role).await?;
            P::prepare(&client).await
        });
        let prepared = by(until, prepare).await?;
        Ok(Arc::new(Open { client, prepared, task }))
    }
}

/// Runs something with an answer of the database's, and fails if that takes too long.
pub(super) async fn within<T, E: Into<Failure>>(
    patience: Duration,
    what: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    by(Instant::now() + patience, what).await
}

/// Runs something with an answer of the database's, and fails if it is not there by this time.
pub(super) async fn by<T, E: Into<Failure>>(
    until: Instant,
    what: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout_at(until, what).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Failure::Silent),
    }
}
