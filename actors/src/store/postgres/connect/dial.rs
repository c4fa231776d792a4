//! Hosts are tried one after the other, within a bounded time in all. One of them: `host`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{DialError, Why};
use super::host::Dialling;
use super::options::Options;
use super::password::{self, Password};
use super::{Incoming, tls};

/// The hosts of a connection string, and what is needed to connect to one.
pub(super) struct Hosts {
    pub(super) options: Options,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Password,
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
pub(super) struct Time {
    pub(super) end: Instant,
    pub(super) parts: u32,
}

impl Time {
    /// Returns the end of the next part.
    pub(super) fn next(&mut self) -> Instant {
        let now = Instant::now();
        let part = self.end.saturating_duration_since(now) / self.parts.max(1);
        self.parts = self.parts.saturating_sub(1);
        now + part
    }
}

pub(super) fn parts(count: usize) -> u32 {
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
    pub(super) fn connector(&self) -> MakeRustlsConnect {
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

#[cfg(test)]
mod tests {
    use super::super::string::ConnectionString;
    use super::*;

    fn hosts(text: &str) -> Hosts {
        let string: ConnectionString = text.parse().unwrap();
        Hosts::new(string.options, |_| None).unwrap()
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
