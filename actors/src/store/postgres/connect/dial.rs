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
    /// True once it was said that the password file is not used.
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

#[cfg(test)]
mod tests {
    use super::super::string::ConnectionString;
    use super::*;

    fn hosts(text: &str) -> Hosts {
        let string: ConnectionString = text.parse().unwrap();
        Hosts::new(string.options, |_| None).unwrap()
    }

    fn dialling<'d>(
        hosts: &'d Hosts,
        index: usize,
        connector: &'d MakeRustlsConnect,
        passwords: &'d [u8],
    ) -> Dialling<'d> {
        let at = &hosts.options.hosts[index];
        Dialling { hosts, at, connector, passwords, patience: Duration::from_secs(1) }
    }

    #[test]
    fn each_host_has_the_password_of_its_line() {
        let hosts =
            hosts("host=a,/run/pg,a hostaddr=,,10.0.0.1 port=1,2,3 user=u dbname=d passfile=/x");
        let text = b"a:1:d:u:first\nlocalhost:2:d:u:second\n*:3:d:u:third\n";
        let connector = hosts.connector();
        let address = [None, None, Some("10.0.0.1".parse().unwrap())];
        for (index, want) in ["first", "second", "third"].into_iter().enumerate() {
            let config = dialling(&hosts, index, &connector, text).config(address[index]);
            assert_eq!(config.get_password(), Some(want.as_bytes()));
            assert_eq!((config.get_user(), config.get_dbname()), (Some("u"), Some("d")));
        }
        // One in the string is that of all.
        let hosts = self::hosts("host=a,b user=u passfile=/x password=all");
        for index in 0..2 {
            let config = dialling(&hosts, index, &connector, text).config(None);
            assert_eq!(config.get_password(), Some(&b"all"[..]));
        }
    }

    #[test]
    fn a_connection_is_known_to_be_dead_soon_unless_something_else_is_asked_for() {
        let config = |text: &str| {
            let hosts = hosts(text);
            let connector = hosts.connector();
            dialling(&hosts, 0, &connector, b"").config(None)
        };
        let usual = config("host=a user=u");
        let second = Duration::from_secs(1);
        assert!(usual.get_keepalives());
        assert_eq!(
            (usual.get_keepalives_idle(), usual.get_keepalives_interval()),
            (second, Some(second))
        );
        assert_eq!(usual.get_tcp_user_timeout(), Some(&second));
        assert_eq!(usual.get_application_name(), Some("actiond"));
        assert_eq!(usual.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        let given = config(
            "host=a user=u keepalives=0 keepalives_idle=9 keepalives_count=7 tcp_user_timeout=50 \
             fallback_application_name=b options='-c work_mem=1MB' target_session_attrs=any",
        );
        assert!(!given.get_keepalives());
        assert_eq!(
            (given.get_keepalives_idle(), given.get_keepalives_retries()),
            (9 * second, Some(7))
        );
        assert_eq!(given.get_tcp_user_timeout(), Some(&Duration::from_millis(50)));
        assert_eq!(given.get_application_name(), Some("b"));
        assert_eq!(given.get_options(), Some("-c work_mem=1MB"));
        assert_eq!(given.get_target_session_attrs(), TargetSessionAttrs::Any);
    }

    #[test]
    fn the_host_that_was_reached_last_comes_first() {
        let hosts = hosts("host=a,b,c user=u");
        assert_eq!(hosts.order(), [0, 1, 2]);
        hosts.good.store(1, Ordering::Relaxed);
        assert_eq!(hosts.order(), [1, 2, 0]);
        let mut order = self::hosts("host=a,b,c user=u load_balance_hosts=random").order();
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn a_host_is_shown_with_its_port_and_with_the_address_of_its_name() {
        for (text, address, want) in [
            ("host=a user=u", None, "a:5432"),
            ("host=a user=u", Some("::1"), "a:5432 (::1)"),
            ("host=127.0.0.1 port=1 user=u", Some("127.0.0.1"), "127.0.0.1:1"),
            ("host=::1 user=u", Some("::1"), "[::1]:5432"),
            ("hostaddr=::1 user=u", Some("::1"), "[::1]:5432"),
            ("hostaddr=10.0.0.1 user=u", Some("10.0.0.1"), "10.0.0.1:5432"),
            ("host=/run/pg port=7 user=u", None, "/run/pg/.s.PGSQL.7"),
        ] {
            let hosts = hosts(text);
            let connector = hosts.connector();
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(dialling(&hosts, 0, &connector, b"").shown(address), want);
        }
    }

    #[tokio::test]
    async fn what_one_host_leaves_of_the_time_the_others_have() {
        let whole = Duration::from_secs(4);
        let mut time = Time { end: Instant::now() + whole, parts: 2 };
        let half = time.next() - Instant::now();
        assert!(half <= whole / 2 && half > whole / 4, "{half:?}");
        // The first has failed at once.
        assert!(time.end - time.next() < Duration::from_millis(1));
    }
}
