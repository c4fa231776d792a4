//! The address of another server, as `ForwardTo` gives it.

/// The parts of `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) https: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The form of an address, in words that can follow "must be".
pub(super) const FORM: &str = "URLs such as http://media.example.org:14000 or https://[::1]:7000, with a port and without a path";

impl Address {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`; one slash may follow.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':')?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| *port > 0 && digits)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            }
        };
        is_host.then(|| Self { https, host: host.to_ascii_lowercase(), port })
    }

    /// Tells whether a text would be an address if it had a port.
    pub(super) fn lacks_port(text: &str) -> bool {
        let bare = text.strip_suffix('/').unwrap_or(text);
        Self::parse(text).is_none() && Self::parse(&format!("{bare}:1")).is_some()
    }

    /// Tells whether what is sent there stays on this machine.
    pub(super) fn is_local(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        bare == "localhost"
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_scheme_host_and_port() {
        for (text, shown) in [
            ("http://h:1", Some("http://h:1")),
            ("HTTPS://Media.Example.org:14000/", Some("https://media.example.org:14000")),
            ("http://[::1]:7000", Some("http://[::1]:7000")),
            ("http://127.0.0.1:65535", Some("http://127.0.0.1:65535")),
            ("http://h", None),
            ("http://h:", None),
            ("http://h:0", None),
            ("http://h:+1", None),
            ("http://h:65536", None),
            ("http://:1", None),
            ("http://::1:7000", None),
            ("http://u:p@h:1", None),
            ("http://h:1/action", None),
            ("http://h:1//", None),
            ("ftp://h:1", None),
            ("h:1", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(text).map(|a| a.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_missing_port_is_known() {
        for text in ["http://h", "https://media.example.org/", "http://[::1]"] {
            assert!(Address::lacks_port(text), "{text}");
        }
        for text in ["http://h:1", "http://h:", "http://h:0", "http://h/x", "ftp://h", "h", ""] {
            assert!(!Address::lacks_port(text), "{text}");
        }
    }

    #[test]
    fn loopback_addresses_are_local() {
        let is_local = |text| Address::parse(text).unwrap().is_local();
        for text in ["http://localhost:1", "http://127.0.0.2:1", "http://[::1]:1"] {
            assert!(is_local(text), "{text}");
        }
        assert!(!is_local("http://10.0.0.1:1") && !is_local("http://localhost.example.org:1"));
    }
}
