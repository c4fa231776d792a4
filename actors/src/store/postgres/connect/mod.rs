//! The way to the database.
//!
//! - the text of a connection string: `string`, what its parameters mean: `options`, and how their values are read: `given`;
//! - the password: `password`; certificates and what is verified: `tls`; files of both, which are read again when they have
//!   changed: `files`;
//! - the hosts, one after the other: `dial`; one of them: `host`; why none could be reached: `failure`.

mod dial;
mod failure;
mod files;
mod given;
mod host;
mod options;
mod password;
mod string;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _, poll_fn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};

use dial::Hosts;
pub(super) use failure::DialError;
use failure::Why;
pub use string::{ConnectError, ConnectionString};

/// The name by which the database's list of sessions shows this program, where none is given.
const APPLICATION: &str = "actiond";

/// Number of unanswered probes after which a connection is dead.
const PROBES: u32 = 2;

/// Messages that a connection receives beside the answers to its client. It must be polled for the client to get any.
pub(super) type Incoming = BoxStream<'static, Result<AsyncMessage, Error>>;

/// The way to a database: hosts, user, password and the like, and the TLS to be used.
#[derive(Clone)]
pub struct Connect(Way);

#[derive(Clone)]
enum Way {
    Config(Box<Config>),
    Hosts(Arc<Hosts>),
}

impl Connect {
    /// Makes the way to a database by a configuration of `tokio-postgres`, without TLS.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Way::Config(Box::new(config)))
    }

    /// Makes the way that a connection string tells, with TLS by rustls as its `sslmode` wants it. A password that is not in
    /// the string is looked for as libpq does: in the environment variable `PGPASSWORD`, then in the password file
    /// (`passfile`, `PGPASSFILE`, or `.pgpass` in the home directory).
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// use actiond_actors::store::postgres::{Connect, PostgresStore, Settings};
    /// let string = "postgres://actiond@db1,db2/actiond?sslmode=verify-full&sslrootcert=ca.crt".parse()?;
    /// let store = PostgresStore::open(Settings::new(Connect::of_string(&string)?)).await?;
    /// let builder = actiond_actors::System::builder("./data").store(std::sync::Arc::new(store));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// A certificate or a key can't be used, or there is no name of a user.
    pub fn of_string(string: &ConnectionString) -> Result<Self, ConnectError> {
        let environment = |name: &str| std::env::var(name).ok();
        let hosts = Hosts::new(string.options.clone(), environment).map_err(ConnectError)?;
        Ok(Self(Way::Hosts(Arc::new(hosts))))
    }

    /// Connects within this time, and gives a connection up that gets no answer for so long.
    pub(super) async fn dial(&self, patience: Duration) -> Result<(Client, Incoming), DialError> {
        match &self.0 {
            Way::Hosts(hosts) => hosts.dial(patience).await,
            Way::Config(config) => {
                let mut config = (**config).clone();
                if config.get_tcp_user_timeout().is_none() {
                    config.tcp_user_timeout(patience);
                }
                config.keepalives_idle(patience).keepalives_interval(patience);
                config.keepalives_retries(PROBES);
                if config.get_application_name().is_none() {
                    config.application_name(APPLICATION);
                }
                let dialled = match timeout(patience, config.connect(NoTls)).await {
                    Ok(dialled) => dialled.map_err(Why::Postgres),
                    Err(_) => Err(Why::Timeout(patience)),
                };
                match dialled {
                    Ok((client, connection)) => Ok((client, incoming(connection))),
                    Err(why) => {
                        Err(DialError::new(vec![(format!("{:?}", config.get_hosts()), why)]))
                    }
                }
            }
        }
    }
}

/// Returns what a connection receives, as a stream.
fn incoming<S, T>(mut connection: Connection<S, T>) -> Incoming
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    poll_fn(move |context| connection.poll_message(context)).boxed()
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        let mut shown = f.debug_struct("Connect");
        match &self.0 {
            Way::Config(config) => shown
                .field("hosts", &config.get_hosts())
                .field("user", &config.get_user())
                .field("database", &config.get_dbname()),
            Way::Hosts(hosts) => shown
                .field("hosts", &hosts.options.hosts)
                .field("user", &hosts.user)
                .field("database", &hosts.database),
        };
        shown.finish_non_exhaustive()
    }
}
