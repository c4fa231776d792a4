//! The connections that read, and for how long a read waits for one of them and its answer.
//!
//! A read that gets no answer may be a slow one, or the first to find out that the database does not answer anybody. So another
//! connection is tried then. If that is not answered either, all reads are refused at once, those that wait too, until it is.

use std::future::pending;
use std::sync::Arc;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Timeouts,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Config, Error};

use super::connection::{PAUSES, Role, Task, begin_session, by, connect, within};
use super::errors::Failure;
use super::owner::{Owner, Part};
use super::setup::Setup;
use crate::store::StoreError;

/// A pool of connections that read.
#[derive(Clone)]
pub(super) struct Readers {
    pool: Pool,
    setup: Arc<Setup>,
    owner: Arc<Owner>,
    state: watch::Sender<State>,
}

/// The state of the database as reads have found it.
#[derive(Debug, Clone)]
enum State {
    Answers,
    /// A read had no answer, and another connection is tried.
    Doubted,
    /// That has failed, too.
    Away(Failure),
}

/// Makes connections for the pool.
struct Dialler(Arc<Setup>);

impl deadpool_postgres::Connect for Dialler {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async {
            let (client, dialled) = match connect(&self.0).await {
                Ok(dialled) => dialled,
                Err(error) => match error.into_error() {
                    Some(error) => return Err(error),
                    // The pool's own time for a new connection is over, too.
                    None => pending().await,
                },
            };
            let task = Task::of(dialled, None);
            begin_session(&client, &self.0, Role::Reads).await?;
            // The pool ends its task without a word. So it gets one that ends the connection's by its own end.
            let held = tokio::spawn(async move {
                let _task = task;
                pending::<()>().await;
            });
            Ok((client, held))
        }
        .boxed()
    }
}

impl Readers {
    pub(super) fn new(setup: Arc<Setup>, owner: Arc<Owner>) -> Result<Self, Failure> {
        let manager = Manager::from_connect(
            Config::new(),
            Dialler(Arc::clone(&setup)),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let patience = Some(setup.patience);
        // It is to be known that it was this which took too long.
        let wait = Some(setup.patience * 4 / 5);
        let timeouts = Timeouts { wait, create: patience, recycle: patience };
        let pool = Pool::builder(manager)
            .max_size(setup.readers.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Failure::Refused(StoreError::Io(error.to_string())))?;
        Ok(Self { pool, setup, owner, state: watch::Sender::new(State::Answers) })
    }

    /// Reads with a connection of the pool, which is closed if it does not answer. All of it within one patience; at once, while
    /// the database is away.
    pub(super) async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&Object) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + self.setup.patience;
        let object = tokio::select! {
            biased;
            failure = self.away() => return Err(failure),
            object = by(until, self.object()) => object,
        };
        let object = object.inspect_err(|failure| self.mind(failure))?;
        let answer = tokio::select! {
            biased;
            failure = self.away() => Err(failure),
            answer = by(until, Box::pin(read(&object))) => answer,
        };
        if let Err(failure) = &answer
            && failure.is_lost()
        {
            drop(Object::take(object));
            self.mind(failure);
        }
        answer
    }

    async fn object(&self) -> Result<Object, Failure> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => Failure::of(&error),
            // All are in use: whoever has them finds out what is wrong.
            PoolError::Timeout(TimeoutType::Wait) => {
                StoreError::Unavailable("all connections that read are in use".to_owned()).into()
            }
            PoolError::Timeout(_) => Failure::Silent,
            error => StoreError::Unavailable(error.to_string()).into(),
        })
    }

    /// Waits until the database is away.
    async fn away(&self) -> Failure {
        let mut state = self.state.subscribe();
        loop {
            if let State::Away(failure) = &*state.borrow_and_update() {
                return failure.clone();
            }
            if state.changed().await.is_err() {
                // The sender lives as long as this does.
                pending::<()>().await;
            }
        }
    }

    /// Has another connection tried after a failure of one.
    fn mind(&self, failure: &Failure) {
        let begins = failure.is_lost()
            && self.state.send_if_modified(|state| {
                let begins = matches!(state, State::Answers);
                if begins {
                    *state = State::Doubted;
                }
                begins
            });
        if begins {
            let readers = self.clone();
            self.setup.spawn(async move { readers.come_back().await });
        }
    }

    /// Tries until the database answers.
    async fn come_back(&self) {
        // Who reads has waited already.
        let mut patience = self.setup.patience / 5;
        let mut pause = PAUSES.0;
        while let Err(failure) = within(patience, self.try_another()).await {
            log::debug!("the database does not answer who reads: {failure}");
            self.owner.miss(Part::Reads, &failure);
            self.state.send_replace(State::Away(failure));
            // They may be as dead as the one that was tried.
            self.pool.retain(|_, _| false);
            sleep(pause).await;
            (patience, pause) = (self.setup.patience, PAUSES.1.min(pause * 2));
        }
        self.state.send_replace(State::Answers);
        self.owner.reach(Part::Reads);
    }

    /// Makes another connection.
    async fn try_another(&self) -> Result<(), Failure> {
        match connect(&self.setup).await {
            Ok((_client, dialled)) => drop(Task::of(dialled, None)),
            Err(error) if error.is_answer() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Closes all connections that nobody uses, and makes no more.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}
