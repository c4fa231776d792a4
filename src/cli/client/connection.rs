//! The server that a command speaks to, and the key by which it says who it is.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::failure::Failure;
use crate::aci::client::{Builder, Client, Trust};

/// The server, if nothing names one.
const DEFAULT: &str = "http://127.0.0.1:7000";

/// The port of a server that is named without a scheme and a port.
const DEFAULT_PORT: u16 = 7000;

/// The variables of the environment.
const SERVER: &str = "ACTIOND_SERVER";
const KEY: &str = "ACTIOND_KEY";

/// Number of bytes that a reply may have: a result can be large.
const MAX_REPLY: usize = 256 << 20;

/// The help for `--server`.
const SERVER_HELP: &str = "Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]";

/// The options by which all commands find their server.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ConnectionArgs {
    /// Address of the server, such as `https://host:7000`, or `host` for its port 7000
    #[arg(long, value_name = "URL", global = true, help = SERVER_HELP)]
    pub(crate) server: Option<String>,
    /// Key that says who you are [env: `ACTIOND_KEY`]
    ///
    /// Others on this machine can see the arguments of a program: use --key-file, or `ACTIOND_KEY`.
    #[arg(long, value_name = "KEY", conflicts_with = "key_file", global = true)]
    pub(crate) key: Option<Key>,
    /// File with the key on its first line
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the certificate of the authority that is trusted, as PEM, in place of those of the system
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Time in seconds that an answer may take; waiting for the end of an action comes on top
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds, global = true)]
    pub(crate) timeout: Duration,
}

/// A key. It is in no debug output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Key {
    fn from(key: String) -> Self {
        Self(key)
    }
}

/// Reads a number of seconds, from a millisecond to a year.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let allowed = 0.001..=31_536_000.0;
    let number = text.trim().parse::<f64>().ok().filter(|number| allowed.contains(number));
    let time = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    time.ok_or_else(|| "a number of seconds is needed, from 0.001 to 31536000".to_owned())
}

impl ConnectionArgs {
    /// Makes the client that these options mean. Nothing is connected.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let address = self.address(std::env::var_os(SERVER))?;
        let mut builder = Client::builder(address.host.clone(), address.port)
            .path(address.path.clone())
            .timeout(self.timeout)
            .max_reply_bytes(MAX_REPLY);
        builder = self.trusting(builder, &address)?;
        if let Some(key) = self.key(std::env::var_os(KEY))? {
            builder = builder.header("Authorization", format!("Bearer {key}"));
        }
        builder.build().map_err(Failure::from)
    }

    fn trusting(&self, builder: Builder, address: &Address) -> Result<Builder, Failure> {
        match &self.ca {
            Some(_) if !address.https => Err(Failure::Usage(
                "--ca is for https://, and the server is named with http://".to_owned(),
            )),
            Some(file) => {
                let pem = fs::read(file).map_err(|error| unread(file, &error))?;
                Ok(builder.https(Trust::Only(pem)))
            }
            None if address.https => Ok(builder.https(Trust::System)),
            None => Ok(builder),
        }
    }

    fn address(&self, variable: Option<OsString>) -> Result<Address, Failure> {
        let (text, origin) = match (&self.server, variable.filter(|text| !text.is_empty())) {
            (Some(text), _) => (text.clone(), "--server"),
            (None, Some(text)) => (text.to_string_lossy().into_owned(), SERVER),
            (None, None) => (DEFAULT.to_owned(), "the default"),
        };
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "{origin} can't be used: {what}; an example is https://host:7000"
            ))
        };
        Address::read(&text).map_err(wrong)
    }

    /// Returns the key. No error shows any of it.
    fn key(&self, variable: Option<OsString>) -> Result<Option<String>, Failure> {
        let (key, origin) = match (&self.key, &self.key_file, variable) {
            (Some(Key(key)), ..) => (key.clone(), "--key".to_owned()),
            (None, Some(file), _) => {
                let text = fs::read_to_string(file).map_err(|error| unread(file, &error))?;
                let line = text.lines().next().unwrap_or_default().to_owned();
                (line, file.display().to_string())
            }
            (None, None, Some(key)) if !key.is_empty() => {
                (key.into_string().unwrap_or_default(), KEY.to_owned())
            }
            (None, None, _) => return Ok(None),
        };
        let key = key.trim();
        let is_sent = |byte: u8| byte.is_ascii_graphic();
        if key.is_empty() || !key.bytes().all(is_sent) {
            let why = "a key has one or more visible characters of ASCII, and no spaces";
            return Err(Failure::Usage(format!("there is no key in {origin}: {why}")));
        }
        Ok(Some(key.to_owned()))
    }
}

/// Returns the failure for a file that can't be read.
pub(super) fn unread(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Local(format!("{} can't be read: {error}", file.display()))
}

/// The parts of a server's address.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

impl Address {
    /// Reads an address; the error says what is wrong, and shows nothing that may be a password.
    fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let has_scheme = text.contains("://");
        let whole = if has_scheme { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|_| "it is no address")?;
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err("it begins with neither http:// nor https://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a name or password is in it, and a key is given by --key-file or ACTIOND_KEY",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("there is a ? or # in it, and actions are named behind the command");
        }
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or("there is no host in it")?;
        let port = match url.port() {
            Some(port) => port,
            None if has_scheme => url.port_or_known_default().unwrap_or(DEFAULT_PORT),
            // What was written as :80 counts as written.
            None if text.split('/').next().is_some_and(|host| host.ends_with(":80")) => 80,
            None => DEFAULT_PORT,
        };
        Ok(Self { https, host: host.to_owned(), port, path: url.path().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> ConnectionArgs {
        let timeout = Duration::from_secs(1);
        ConnectionArgs { server: None, key: None, key_file: None, ca: None, timeout }
    }

    #[test]
    fn addresses() {
        let good = [
            ("http://127.0.0.1:7000", (false, "127.0.0.1", 7000, "/")),
            ("https://host", (true, "host", 443, "/")),
            ("http://host/aci/", (false, "host", 80, "/aci/")),
            ("host", (false, "host", 7000, "/")),
            ("host:80", (false, "host", 80, "/")),
            ("host:7010/aci", (false, "host", 7010, "/aci")),
            ("[::1]:7000", (false, "[::1]", 7000, "/")),
            (" HTTPS://[::1] ", (true, "[::1]", 443, "/")),
        ];
        for (text, (https, host, port, path)) in good {
            let want = Address { https, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Address::read(text), Ok(want), "{text}");
        }
        let bad = [
            ("", "no address"),
            ("http://", "no address"),
            ("ftp://host", "neither"),
            ("http://user:secret@host", "password"),
            ("http://host/?action=x", "?"),
            ("host:99999", "no address"),
        ];
        for (text, said) in bad {
            let error = Address::read(text).unwrap_err();
            assert!(error.contains(said) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn the_option_counts_more_than_the_environment() {
        let mut args = args();
        let host = |args: &ConnectionArgs, variable: Option<&str>| {
            args.address(variable.map(Into::into)).unwrap().host
        };
        assert_eq!(host(&args, None), "127.0.0.1");
        assert_eq!(host(&args, Some("")), "127.0.0.1");
        assert_eq!(host(&args, Some("b")), "b");
        args.server = Some("a".to_owned());
        assert_eq!(host(&args, Some("b")), "a");
    }

    #[test]
    fn a_key_is_found_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        fs::write(&file, "from-file \nnote\n").unwrap();
        let mut args = args();
        let key =
            |args: &ConnectionArgs, variable: Option<&str>| args.key(variable.map(Into::into));
        assert_eq!(key(&args, None).unwrap(), None);
        assert_eq!(key(&args, Some("from-environment")).unwrap().unwrap(), "from-environment");
        args.key_file = Some(file.clone());
        assert_eq!(key(&args, Some("from-environment")).unwrap().unwrap(), "from-file");
        (args.key_file, args.key) = (None, Some(Key("a b-secret".to_owned())));
        let failure = key(&args, None).unwrap_err();
        assert!(!format!("{failure:?} {args:?}").contains("secret"), "{failure:?} {args:?}");
        args.key = None;
        args.key_file = Some(directory.path().join("missing"));
        assert!(matches!(key(&args, None), Err(Failure::Local(_))));
        fs::write(&file, "\n").unwrap();
        args.key_file = Some(file);
        assert!(matches!(key(&args, None), Err(Failure::Usage(_))));
    }

    #[test]
    fn seconds_are_read() {
        for good in ["0.001", "1", " 2.5 ", "31536000"] {
            assert!(seconds(good).is_ok(), "{good}");
        }
        for bad in ["0", "-1", "NaN", "inf", "x", "", "31536001"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
