//! The values of a connection string's parameters: words, numbers, hosts, and what is demanded of TLS.

use std::path::PathBuf;
use std::time::Duration;

use super::options::{HostAt, Root, Ssl, SslMode};
use super::string::ConnectError;

/// The port of a host that names none.
const PORT: u16 = 5432;

/// The parameters that are given.
pub(super) struct Given<'p>(pub(super) &'p [(String, String)]);

impl Given<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(known, value)| known == key && !value.is_empty());
        pair.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_owned)
    }

    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.get(key).map(PathBuf::from)
    }

    fn list(&self, key: &str) -> Vec<&str> {
        self.get(key).map_or_else(Vec::new, |text| text.split(',').map(str::trim).collect())
    }

    /// Reads one of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, ConnectError> {
        let Some(text) = self.get(key) else { return Ok(default) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            refused(key, text, &format!("one of {}", words.join(", ")))
        })
    }

    /// Reads a number; one below 1 means what none does.
    pub(super) fn number(&self, key: &str, allowed: &str) -> Result<Option<u32>, ConnectError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let number: i32 = text.trim().parse().map_err(|_| refused(key, text, allowed))?;
        Ok(u32::try_from(number).ok().filter(|number| *number > 0))
    }

    pub(super) fn seconds(&self, key: &str) -> Result<Option<Duration>, ConnectError> {
        let number = self.number(key, "a whole number of seconds")?;
        Ok(number.map(|number| Duration::from_secs(number.into())))
    }

    pub(super) fn hosts(&self) -> Result<Vec<HostAt>, ConnectError> {
        let (names, addresses) = (self.list("host"), self.list("hostaddr"));
        let ports = self.list("port");
        let count = names.len().max(addresses.len());
        if count == 0 {
            return Err(ConnectError(
                "it names no host: a name, an address, or the directory of a Unix socket such as /run/postgresql"
                    .to_owned(),
            ));
        }
        let matches = |count_of: usize| count_of == 0 || count_of == count;
        if !matches(names.len()) || !matches(addresses.len()) {
            let (names, addresses) = (names.len(), addresses.len());
            return Err(ConnectError(format!(
                "host lists {names} and hostaddr {addresses}: they must be as many"
            )));
        }
        if !matches(ports.len()) && ports.len() != 1 {
            let ports = ports.len();
            return Err(ConnectError(format!(
                "there are {ports} ports for {count} hosts: there must be one, or as many"
            )));
        }
        let host = |index: usize| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or_default();
            let port = match port {
                "" => PORT,
                text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                    refused("port", text, "numbers from 1 to 65535 with commas between them")
                })?,
            };
            let address = match addresses.get(index).copied().unwrap_or_default() {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    refused("hostaddr", text, "IP addresses with commas between them")
                })?),
            };
            let host = names.get(index).copied().unwrap_or_default();
            if host.is_empty() && address.is_none() {
                return Err(ConnectError("one of the hosts is empty".to_owned()));
            }
            if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(ConnectError(
                    "a host holds white space or a control character".to_owned(),
                ));
            }
            Ok(HostAt { host: host.to_owned(), address, port })
        };
        (0..count).map(host).collect()
    }

    pub(super) fn ssl(&self) -> Result<Ssl, ConnectError> {
        let root = self.get("sslrootcert").map(|root| match root {
            "system" => Root::System,
            file => Root::File(file.into()),
        });
        let modes = [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ];
        let default = match root {
            Some(Root::System) => SslMode::VerifyFull,
            _ => SslMode::Prefer,
        };
        let mode = self.word("sslmode", &modes, default)?;
        if root == Some(Root::System) && mode < SslMode::VerifyFull {
            // Anybody can have a certificate that some authority of the system has signed.
            return Err(ConnectError("sslrootcert=system needs sslmode=verify-full".to_owned()));
        }
        if root.is_none() && mode >= SslMode::VerifyCa {
            let mode = self.get("sslmode").unwrap_or_default();
            return Err(ConnectError(format!(
                "sslmode={mode} needs sslrootcert: the file of the authorities that may have signed the server's certificate, \
                 or system for those that the system trusts"
            )));
        }
        let own = match (self.path("sslcert"), self.path("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(ConnectError("sslcert and sslkey need each other".to_owned())),
        };
        let direct =
            self.word("sslnegotiation", &[("postgres", false), ("direct", true)], false)?;
        if direct && mode < SslMode::Require {
            return Err(ConnectError(
                "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".to_owned(),
            ));
        }
        Ok(Ssl { mode, root, own, direct })
    }
}

/// Returns the error of a value that is not allowed. Passwords have none.
fn refused(key: &str, value: &str, allowed: &str) -> ConnectError {
    let value: String = value.chars().take(100).collect();
    ConnectError(format!("{key}={value} must be {allowed}"))
}
