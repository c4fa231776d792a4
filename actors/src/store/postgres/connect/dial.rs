//! Hosts are tried one after the other, within a bounded time in all.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode as Mode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{DialError, Why, may_try_otherwise};
use super::options::{HostAt, Options, SslMode};
use super::password::{self, For, Password};
use super::{APPLICATION, Incoming, PROBES, incoming, tls};

/// The hosts of a connection string, and what is needed to connect to one.
pub(super) struct Hosts {
    pub(super) options: Options,
    pub(super) user: String,
    pub(super) database: String,
    password: Password,
    /// Whether it was said that the password file is not used.
    warned: AtomicBool,
    /// The host that was reached last.
    good: AtomicUsize,
    tls: Mutex<Tls>,
}

/// The settings of TLS, and when the files that they are made of were changed.
struct Tls {
    connector: MakeRustlsConnect,
    stamps: Vec<Option<SystemTime>>,
}

impl Tls {
    fn new(config: ClientConfig, stamps: Vec<Option<SystemTime>>) -> Self {
        Self { connector: MakeRustlsConnect::new(config), stamps }
    }
}

/// The time that is left, in equal parts for those that are to come.
#[derive(Clone, Copy)]
struct Time {
    end: Instant,
    parts: u32,
}

impl Time {
    /// Returns the end of the next part.
    fn next(&mut self) -> Instant {
        let now = Instant::now();
        let part = self.end.saturating_duration_since(now) / self.parts.max(1);
        self.parts = self.parts.saturating_sub(1);
        now + part
    }
}

fn parts(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Hosts {
    pub(super) fn new(
        options: Options,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let user = match &options.user {
            Some(user) => user.clone(),
            None => whoami::username().map_err(|error| {
                format!("it names no user, and the system does not, either: {error}")
            })?,
        };
        let database = options.database.clone().unwrap_or_else(|| user.clone());
        let given = options.password.as_deref();
        let password = Password::find(given, options.passfile.as_deref(), environment);
        let stamps = stamps(&options);
        let tls = Mutex::new(Tls::new(tls::configure(&options.ssl)?, stamps));
        let (warned, good) = (AtomicBool::new(false), AtomicUsize::new(0));
        Ok(Self { options, user, database, password, warned, good, tls })
    }

    /// Connects to the first host that will do.
    pub(super) async fn dial(
        self: &Arc<Self>,
        patience: Duration,
    ) -> Result<(Client, Incoming), DialError> {
        let mut time =
            Time { end: Instant::now() + patience, parts: parts(self.options.hosts.len()) };
        let this = Arc::clone(self);
        // Files may be slow.
        let read = tokio::task::spawn_blocking(move || (this.connector(), this.passwords()));
        let Ok(Ok((connector, passwords))) = timeout_at(time.end, read).await else {
            let files = "the files of passwords and certificates".to_owned();
            return Err(DialError::new(vec![(files, Why::Timeout(patience))]));
        };
        let mut tried = Vec::new();
        for index in self.order() {
            let Some(at) = self.options.hosts.get(index) else { continue };
            let mut end = time.next();
            if let Some(timeout) = self.options.connect_timeout {
                end = end.min(Instant::now() + timeout);
            }
            let way = Dialling {
                hosts: self,
                at,
                connector: &connector,
                passwords: &passwords,
                patience,
            };
            if let Some(dialled) = way.dial(end, &mut tried).await {
                self.good.store(index, Ordering::Relaxed);
                return Ok(dialled);
            }
        }
        Err(DialError::new(tried))
    }

    /// Returns the order in which the hosts are tried: from the one that was reached last, or by chance.
    fn order(&self) -> Vec<usize> {
        let count = self.options.hosts.len();
        let mut order: Vec<usize> = (0..count).collect();
        match self.options.shuffled {
            true => fastrand::shuffle(&mut order),
            false => order.rotate_left(self.good.load(Ordering::Relaxed).min(count)),
        }
        order
    }

    /// Returns the settings of TLS. Where their files have changed these are read again; as long as they can't be used, the
    /// earlier ones are.
    fn connector(&self) -> MakeRustlsConnect {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.options);
        if tls.stamps != stamps {
            match tls::configure(&self.options.ssl) {
                Ok(config) => *tls = Tls::new(config, stamps),
                Err(why) => {
                    log::warn!(
                        "the certificates for the database are used as they were before: {why}"
                    );
                    tls.stamps = stamps;
                }
            }
        }
        tls.connector.clone()
    }

    /// Reads the password file, if there may be one.
    fn passwords(&self) -> Vec<u8> {
        let Password::File(path) = &self.password else { return Vec::new() };
        password::read(path).unwrap_or_else(|why| {
            if !self.warned.swap(true, Ordering::Relaxed) {
                log::warn!("the password file {} is not used: {why}", path.display());
            }
            Vec::new()
        })
    }
}

/// Returns when each of the files of TLS was changed.
fn stamps(options: &Options) -> Vec<Option<SystemTime>> {
    let changed = |file: &Path| std::fs::metadata(file).and_then(|about| about.modified()).ok();
    options.ssl.files().map(changed).collect()
}

/// One host that is tried.
struct Dialling<'d> {
    hosts: &'d Hosts,
    at: &'d HostAt,
    connector: &'d MakeRustlsConnect,
    passwords: &'d [u8],
    patience: Duration,
}

impl Dialling<'_> {
    /// Connects to one of the host's addresses, until `end`; notes why that failed.
    async fn dial(
        &self,
        end: Instant,
        tried: &mut Vec<(String, Why)>,
    ) -> Option<(Client, Incoming)> {
        let (begun, HostAt { host, port, .. }) = (Instant::now(), self.at);
        let timed_out = || Why::Timeout(begun.elapsed());
        let addresses = match (self.at.is_socket(), self.at.address) {
            (true, _) => vec![None],
            (false, Some(address)) => vec![Some(address)],
            (false, None) => match timeout_at(end, lookup_host((host.as_str(), *port))).await {
                Ok(Ok(found)) => found.map(|address| Some(address.ip())).collect(),
                Ok(Err(error)) => {
                    tried.push((self.shown(None), Why::Lookup(error)));
                    return None;
                }
                Err(_) => {
                    tried.push((self.shown(None), timed_out()));
                    return None;
                }
            },
        };
        let mut time = Time { end, parts: parts(addresses.len()) };
        for address in addresses {
            let why = match timeout_at(time.next(), self.dial_address(address)).await {
                Ok(Ok(dialled)) => return Some(dialled),
                Ok(Err(error)) => Why::Postgres(error),
                Err(_) => timed_out(),
            };
            tried.push((self.shown(address), why));
        }
        None
    }

    /// Returns the words for a host in a message, with the address that was found for its name.
    fn shown(&self, address: Option<IpAddr>) -> String {
        let HostAt { host, port, .. } = self.at;
        let address = address.map(|address| address.to_string()).filter(|address| address != host);
        if self.at.is_socket() {
            return format!("{host}/.s.PGSQL.{port}");
        }
        let bracketed = |host: &str| match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match address {
            Some(address) if host.is_empty() => format!("{}:{port}", bracketed(&address)),
            Some(address) => format!("{host}:{port} ({address})"),
            None => format!("{}:{port}", bracketed(host)),
        }
    }

    /// Connects with TLS or without, as the mode says, and in the other way where the mode allows that.
    async fn dial_address(&self, address: Option<IpAddr>) -> Result<(Client, Incoming), Error> {
        let mode = if self.at.is_socket() { SslMode::Disable } else { self.hosts.options.ssl.mode };
        let (first, second) = match mode {
            SslMode::Disable => (Mode::Disable, None),
            SslMode::Allow => (Mode::Disable, Some(Mode::Require)),
            SslMode::Prefer => (Mode::Prefer, Some(Mode::Disable)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Mode::Require, None),
        };
        let error = match self.connect(address, first).await {
            Ok(dialled) => return Ok(dialled),
            Err(error) => error,
        };
        match second.filter(|_| may_try_otherwise(mode, &error)) {
            // What the first way came to is more telling.
            Some(second) => self.connect(address, second).await.map_err(|_| error),
            None => Err(error),
        }
    }

    async fn connect(
        &self,
        address: Option<IpAddr>,
        mode: Mode,
    ) -> Result<(Client, Incoming), Error> {
        let mut config = self.config(address);
        config.ssl_mode(mode);
        let (client, connection) = config.connect(self.connector.clone()).await?;
        Ok((client, incoming(connection)))
    }

    fn config(&self, address: Option<IpAddr>) -> Config {
        let Hosts { options, user, database, .. } = self.hosts;
        let HostAt { host, port, .. } = self.at;
        let mut config = Config::new();
        config.user(user).dbname(database).port(*port);
        match address {
            Some(address) => {
                // The name is only for TLS then.
                let name = if host.is_empty() { address.to_string() } else { host.clone() };
                config.host(name).hostaddr(address);
            }
            None => {
                config.host(host);
            }
        }
        let host = match address {
            Some(address) if host.is_empty() => &address.to_string(),
            _ => host,
        };
        match &self.hosts.password {
            Password::Known(password) => {
                config.password(password);
            }
            Password::File(_) => {
                let wanted = For { host, port: *port, database, user };
                if let Some(password) = password::look_up(self.passwords, wanted) {
                    config.password(password);
                }
            }
            Password::Nowhere => {}
        }
        config.application_name(options.application_name.as_deref().unwrap_or(APPLICATION));
        if let Some(session) = &options.session {
            config.options(session);
        }
        let (keep, patience) = (&options.keep, self.patience);
        config.keepalives(keep.on);
        config.keepalives_idle(keep.idle.unwrap_or(patience));
        config.keepalives_interval(keep.interval.unwrap_or(patience));
        config.keepalives_retries(keep.count.unwrap_or(PROBES));
        config.tcp_user_timeout(keep.tcp_user_timeout.unwrap_or(patience));
        config.channel_binding(options.channel_binding);
        if options.writable {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if options.ssl.direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config
    }
}
