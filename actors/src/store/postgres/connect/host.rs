//! One host: its addresses, TLS or none, and the settings of a connection to it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode as Mode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::{Hosts, Time, parts};
use super::failure::{Why, may_try_otherwise};
use super::options::{HostAt, SslMode};
use super::password::{self, For, Password};
use super::{APPLICATION, Incoming, PROBES, incoming};

/// One host that is tried.
pub(super) struct Dialling<'d> {
    pub(super) hosts: &'d Hosts,
    pub(super) at: &'d HostAt,
    pub(super) connector: &'d MakeRustlsConnect,
    pub(super) passwords: &'d [u8],
    pub(super) patience: Duration,
}

impl Dialling<'_> {
    /// Connects to one of the host's addresses, until `end`; notes why that failed.
    pub(super) async fn dial(
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
}
