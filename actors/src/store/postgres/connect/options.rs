//! The parameters of a connection string: which there are, and what they mean. Their values are read in `given`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::given::Given;
use super::string::ConnectError;

/// The parameters that are taken.
const KNOWN: [&str; 25] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "passfile",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
    "application_name",
    "fallback_application_name",
    "options",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "gssencmode",
];

/// The parameters of a connection string, read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Never empty.
    pub(super) hosts: Vec<HostAt>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) database: Option<String>,
    pub(super) application_name: Option<String>,
    /// Settings for the session, as the server's command line has them.
    pub(super) session: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keep: KeepAlive,
    /// Only a server that takes writes will do.
    pub(super) writable: bool,
    /// The hosts are tried in an order by chance.
    pub(super) shuffled: bool,
    pub(super) channel_binding: ChannelBinding,
    pub(super) ssl: Ssl,
}

/// One of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostAt {
    /// A name, an address, or the directory of a Unix socket.
    pub(super) host: String,
    /// The address, if it is not to be looked up.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

impl HostAt {
    /// Returns true if it is the directory of a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.address.is_none() && self.host.starts_with('/')
    }
}

/// The times after which a connection counts as dead; those that are not given are chosen by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub(super) on: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
    pub(super) tcp_user_timeout: Option<Duration>,
}

/// The demands on TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ssl {
    pub(super) mode: SslMode,
    pub(super) root: Option<Root>,
    /// The files of the client's certificate and of its key.
    pub(super) own: Option<(PathBuf, PathBuf)>,
    /// TLS begins at once, without a question before.
    pub(super) direct: bool,
}

impl Ssl {
    /// Returns the files of certificates and keys.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let root = match &self.root {
            Some(Root::File(file)) => Some(file.as_path()),
            _ => None,
        };
        let own = self.own.iter().flat_map(|(certificate, key)| [certificate.as_path(), key]);
        root.into_iter().chain(own)
    }
}

/// The extent of TLS that there has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    /// Only if the server refuses a connection without.
    Allow,
    /// Unless the server has none.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The authorities that may have signed the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    File(PathBuf),
    /// Those that the system trusts.
    System,
}

impl Options {
    /// Reads parameters. Empty values are none, as with libpq.
    ///
    /// # Errors
    ///
    /// The text names the parameter and what is allowed.
    pub(super) fn read(pairs: &[(String, String)]) -> Result<Self, ConnectError> {
        for (key, _) in pairs {
            if !KNOWN.contains(&key.as_str()) {
                return Err(unknown(key));
            }
        }
        let given = Given(pairs);
        given.word("gssencmode", &[("disable", ()), ("prefer", ())], ())?;
        let attributes = [("read-write", true), ("primary", true), ("any", false)];
        Ok(Self {
            hosts: given.hosts()?,
            user: given.text("user"),
            password: given.text("password"),
            passfile: given.path("passfile"),
            database: given.text("dbname"),
            application_name: given
                .text("application_name")
                .or_else(|| given.text("fallback_application_name")),
            session: given.text("options"),
            connect_timeout: given.seconds("connect_timeout")?,
            keep: KeepAlive {
                on: given.word("keepalives", &[("1", true), ("0", false)], true)?,
                idle: given.seconds("keepalives_idle")?,
                interval: given.seconds("keepalives_interval")?,
                count: given.number("keepalives_count", "a whole number")?,
                tcp_user_timeout: given
                    .number("tcp_user_timeout", "a whole number of milliseconds")?
                    .map(|millis: u32| Duration::from_millis(millis.into())),
            },
            writable: given.word("target_session_attrs", &attributes, true)?,
            shuffled: given.word(
                "load_balance_hosts",
                &[("disable", false), ("random", true)],
                false,
            )?,
            channel_binding: given.word(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
                ChannelBinding::Prefer,
            )?,
            ssl: given.ssl()?,
        })
    }
}

/// Returns the error of a parameter that is not taken.
fn unknown(key: &str) -> ConnectError {
    // Anything else may be a part of the password of a URI that is none.
    let is_name = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let key = if is_name { format!("the parameter {key}") } else { "a parameter".to_owned() };
    ConnectError(format!("{key} is not known here; there are {}", KNOWN.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::string::ConnectionString;
    use super::*;

    fn read(text: &str) -> Result<Options, String> {
        let string: Result<ConnectionString, _> = text.parse();
        string.map(|string| string.options).map_err(|error| error.to_string())
    }

    #[test]
    fn hosts_addresses_and_ports_go_together() {
        for (text, want) in [
            ("host=a", &[("a", None, 5432)][..]),
            ("host=a,b port=1", &[("a", None, 1), ("b", None, 1)]),
            ("host=a,b port=,2", &[("a", None, 5432), ("b", None, 2)]),
            ("hostaddr=::1 port=5", &[("", Some("::1"), 5)]),
            ("host=a,b hostaddr=10.0.0.1,", &[("a", Some("10.0.0.1"), 5432), ("b", None, 5432)]),
            ("postgres://a,[::1]:7/x", &[("a", None, 5432), ("::1", None, 7)]),
        ] {
            let hosts = read(text).unwrap().hosts;
            let got: Vec<_> = hosts
                .iter()
                .map(|at| (at.host.as_str(), at.address.map(|a| a.to_string()), at.port))
                .collect();
            let want: Vec<_> =
                want.iter().map(|(host, a, port)| (*host, a.map(str::to_owned), *port)).collect();
            assert_eq!(got, want, "{text}");
        }
        assert!(read("host=/run/postgresql").unwrap().hosts[0].is_socket());
        assert!(!read("host=/run/postgresql hostaddr=::1").unwrap().hosts[0].is_socket());
    }

    #[test]
    fn what_is_not_given_has_a_good_default() {
        let options = read("host=a user=''").unwrap();
        assert!(options.writable, "or it would go on with what is a standby after a failover");
        assert!(options.keep.on && options.user.is_none() && options.connect_timeout.is_none());
        assert_eq!(
            (options.ssl.mode, options.channel_binding),
            (SslMode::Prefer, ChannelBinding::Prefer)
        );
        assert_eq!(read("host=a sslrootcert=system").unwrap().ssl.mode, SslMode::VerifyFull);
        assert!(!read("host=a target_session_attrs=any").unwrap().writable);
    }

    #[test]
    fn times_have_the_units_of_libpq() {
        let text = "host=a connect_timeout=3 tcp_user_timeout=1500 keepalives=0 keepalives_idle=7 \
                    keepalives_interval=2 keepalives_count=4";
        let Options { connect_timeout, keep, .. } = read(text).unwrap();
        assert_eq!(connect_timeout, Some(Duration::from_secs(3)));
        let KeepAlive { on, idle, interval, count, tcp_user_timeout } = keep;
        assert_eq!((on, count), (false, Some(4)));
        assert_eq!(idle.zip(interval), Some((Duration::from_secs(7), Duration::from_secs(2))));
        assert_eq!(tcp_user_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(read("host=a connect_timeout=0").unwrap().connect_timeout, None);
        assert_eq!(read("host=a connect_timeout=-1").unwrap().connect_timeout, None);
    }

    #[test]
    fn what_is_not_taken_is_said_with_what_is() {
        for (text, want) in [
            (
                "host=a sslcrl=x",
                "the parameter sslcrl is not known here; there are host, hostaddr,",
            ),
            ("postgresql://h/d?Host=a", "the parameter Host is not known"),
            ("mysql://u:s3cret@h/d?x=y", "must begin with postgres://"),
            ("postgres://u:s3cret/x@h/d", "one behind the first /"),
            ("postgres://u:5432/s3cret@h/d", "one behind the first /"),
            ("user=a", "it names no host"),
            ("host=a,,b", "one of the hosts is empty"),
            ("host='a b'", "a host holds white space"),
            ("host=a port=x", "port=x must be numbers from 1 to 65535"),
            ("host=a port=0", "port=0 must be"),
            ("host=a port=65536", "port=65536 must be"),
            ("host=a,b,c port=1,2", "there are 2 ports for 3 hosts"),
            ("host=a,b hostaddr=::1", "host lists 2 and hostaddr 1"),
            ("host=a hostaddr=b", "hostaddr=b must be IP addresses"),
            (
                "host=a sslmode=on",
                "sslmode=on must be one of disable, allow, prefer, require, verify-ca, verify-full",
            ),
            ("host=a sslmode=verify-full", "sslmode=verify-full needs sslrootcert"),
            ("host=a sslmode=require sslrootcert=system", "needs sslmode=verify-full"),
            ("host=a sslcert=x", "sslcert and sslkey need each other"),
            ("host=a sslnegotiation=direct", "needs sslmode=require"),
            ("host=a target_session_attrs=standby", "must be one of read-write, primary, any"),
            ("host=a channel_binding=yes", "must be one of disable, prefer, require"),
            ("host=a connect_timeout=1s", "connect_timeout=1s must be a whole number of seconds"),
            ("host=a keepalives=2", "keepalives=2 must be one of 1, 0"),
            ("host=a gssencmode=require", "must be one of disable, prefer"),
        ] {
            let error = read(text).map(drop).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
