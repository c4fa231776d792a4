//! What a store is opened with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _, poll_fn};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Socket};

use super::moment::LeaseClock;
use crate::store::Site;

/// Settings of a [`PostgresStore`](super::PostgresStore).
#[derive(Debug, Clone)]
pub struct Settings {
    /// The way to the database.
    pub connect: Connect,
    /// Name of the schema that holds the tables. It is created if it is missing.
    pub schema: String,
    /// Time for which this server's lease holds after a renewal. All servers of a schema should have the same.
    pub lease: Duration,
    /// Time between two renewals of the lease, at most a third of it.
    pub heartbeat: Duration,
    /// Maximum time for an answer of the database. After that it counts as unavailable.
    pub patience: Duration,
    /// Maximum number of connections that read.
    pub readers: usize,
    /// This server's name, and the host and port in its tokens: others show them so.
    pub site: Site,
    /// Number of actions that it may run at a time, for others to see.
    pub slots: u32,
    /// The clock by which this server measures its own lease.
    pub clock: LeaseClock,
}

impl Settings {
    /// Default of [`Settings::schema`].
    pub const SCHEMA: &'static str = "actiond";
    /// Default of [`Settings::lease`].
    pub const LEASE: Duration = Duration::from_secs(15);
    /// Default of [`Settings::heartbeat`].
    pub const HEARTBEAT: Duration = Duration::from_secs(5);
    /// Default of [`Settings::patience`].
    pub const PATIENCE: Duration = Duration::from_millis(1_500);
    /// Default of [`Settings::readers`].
    pub const READERS: usize = 4;

    /// Makes the default settings for this database.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            connect,
            schema: Self::SCHEMA.to_owned(),
            lease: Self::LEASE,
            heartbeat: Self::HEARTBEAT,
            patience: Self::PATIENCE,
            readers: Self::READERS,
            site: Site { name: String::new(), host: String::new(), port: 0 },
            slots: 0,
            clock: LeaseClock::default(),
        }
    }
}

/// The way to a database: hosts, user, password and the like, and the TLS to be used.
#[derive(Clone)]
pub struct Connect {
    config: Config,
    dial: Arc<dyn Dial>,
}

/// What a connection receives beside the answers to its client. It must be polled for the client to get any.
pub(super) type Incoming = BoxStream<'static, Result<AsyncMessage, Error>>;

trait Dial: Send + Sync {
    fn dial(&self, config: Config) -> BoxFuture<'static, Result<(Client, Incoming), Error>>;
}

struct Tls<T>(T);

impl<T> Dial for Tls<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn dial(&self, config: Config) -> BoxFuture<'static, Result<(Client, Incoming), Error>> {
        let tls = self.0.clone();
        async move {
            let (client, mut connection) = config.connect(tls).await?;
            let incoming = poll_fn(move |context| connection.poll_message(context));
            Ok((client, incoming.boxed()))
        }
        .boxed()
    }
}

impl Connect {
    /// Makes the way to a database without TLS.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_tls(config, NoTls)
    }

    /// Makes the way to a database with TLS, as far as the configuration's `sslmode` wants it.
    #[must_use]
    pub fn with_tls<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Self { config, dial: Arc::new(Tls(tls)) }
    }

    /// Connects, and gives a connection up that gets no answer for so long.
    pub(super) fn dial(
        &self,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(Client, Incoming), Error>> {
        let mut config = self.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(patience);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(patience);
        }
        config.keepalives(true).keepalives_idle(patience).keepalives_interval(patience);
        config.keepalives_retries(2);
        if config.get_application_name().is_none() {
            config.application_name("actiond");
        }
        self.dial.dial(config)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("Connect")
            .field("hosts", &self.config.get_hosts())
            .field("user", &self.config.get_user())
            .field("database", &self.config.get_dbname())
            .finish_non_exhaustive()
    }
}
