//! The hosts to which events may be sent: those of `AllowedHosts` and `AllowedCallbackHosts`.
//!
//! A name is judged as a name, and an address as an address: whatever address an allowed name leads to is allowed, and no name is
//! allowed for the address that it leads to.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::access::AddressPattern;
use crate::aci::words::shorten;

/// The forms that a pattern may have, for errors.
pub(crate) const HOST_FORMS: &str = "names such as hooks.example.org, *.example.org for all names below one, addresses, networks such as 10.0.0.0/8 or fd00::/8, a.b.*.*, or * for any";

/// A set of hosts, as one entry of a list describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// The pattern as it was written.
    text: String,
    hosts: Hosts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Any,
    /// This machine, by the name `localhost` or a loopback address.
    Local,
    /// One name, in lower case.
    Name(String),
    /// The names that end with this, which begins with a dot.
    Below(String),
    Addresses(AddressPattern),
}

impl HostPattern {
    /// Reads a pattern; `None` if the text has none of the forms.
    ///
    /// ```
    /// use actiond::events::handlers::HostPattern;
    /// let below = HostPattern::parse("*.example.org").unwrap();
    /// assert!(below.matches("hooks.example.org") && !below.matches("example.org"));
    /// assert!(HostPattern::parse("http://example.org").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let hosts = if text == "*" {
            Hosts::Any
        } else if text.eq_ignore_ascii_case("localhost") {
            Hosts::Local
        } else if let Some(parent) = text.strip_prefix("*.").filter(|rest| !rest.contains('*')) {
            Hosts::Below(format!(".{}", name(parent)?))
        } else if text.contains(['/', '*']) || bare.parse::<IpAddr>().is_ok() {
            Hosts::Addresses(AddressPattern::parse(text).ok()?)
        } else {
            Hosts::Name(name(text)?)
        };
        Some(Self { text: text.to_owned(), hosts })
    }

    /// Returns true if this host, as [`Url::host_str`] returns it, is one of them.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match (&self.hosts, address(host)) {
            (Hosts::Any, _) => true,
            (Hosts::Local, Some(address)) => address.is_loopback(),
            (Hosts::Local, None) => without_dot(host).eq_ignore_ascii_case("localhost"),
            (Hosts::Name(name), None) => without_dot(host).eq_ignore_ascii_case(name),
            (Hosts::Below(end), None) => {
                let host = without_dot(host).to_ascii_lowercase();
                host.len() > end.len() && host.ends_with(end.as_str())
            }
            (Hosts::Addresses(addresses), Some(address)) => addresses.matches(address),
            (Hosts::Name(_) | Hosts::Below(_), Some(_)) | (Hosts::Addresses(_), None) => false,
        }
    }

    /// Returns true if any host is one of them.
    pub(crate) const fn is_any(&self) -> bool {
        matches!(self.hosts, Hosts::Any)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads an address to which something may be sent.
///
/// # Errors
///
/// The reason for which it can't be used, as a text that can follow "must be".
pub(crate) fn target(text: &str) -> Result<Url, &'static str> {
    let forms = "an address such as https://hooks.example.org/path";
    // A parser of addresses takes these away, so that what it reads is not what others see.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("an address without spaces, control characters and backslashes");
    }
    let url = Url::parse(text).map_err(|_| forms)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("an address with http:// or https:// in front");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without user and password");
    }
    url.host_str().filter(|host| !host.is_empty()).ok_or(forms)?;
    Ok(url)
}

/// Returns true if one of the patterns has the host of an address.
pub(crate) fn allows(patterns: &[HostPattern], url: &Url) -> bool {
    url.host_str().is_some_and(|host| patterns.iter().any(|pattern| pattern.matches(host)))
}

/// Returns true if an address is that of one of these ports of this machine, as far as it can be told without looking names up: by a
/// loopback address, the address of no host, `localhost`, or the name by which the server calls itself.
pub(crate) fn is_own_port(url: &Url, own_host: &str, ports: &[u16]) -> bool {
    let Some(host) = url.host_str() else { return false };
    let is_here = match address(host) {
        Some(address) => address.is_loopback() || address.is_unspecified(),
        None => {
            let name = without_dot(host);
            name.eq_ignore_ascii_case("localhost")
                || name.eq_ignore_ascii_case(without_dot(own_host))
        }
    };
    let own_address = address(own_host).is_some_and(|own| address(host) == Some(own));
    (is_here || own_address)
        && url.port_or_known_default().is_some_and(|port| ports.contains(&port))
}

/// Returns host and port of an address, for messages: path and query may be secret.
pub(crate) fn shown(url: &Url) -> String {
    let host = shorten(url.host_str().unwrap_or_default());
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into_owned(),
    }
}

/// Returns a name in the form in which addresses have it.
fn name(text: &str) -> Option<String> {
    let text = without_dot(text);
    // What is no part of a host would be read as one of another kind.
    if text.is_empty()
        || text.contains(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_'))
    {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let host = url.host_str()?;
    // Numbers in odd forms are addresses.
    address(host).is_none().then(|| without_dot(host).to_owned())
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The name of a host may end with a dot, and is the same.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_server_itself_is_known_by_each_of_its_names() {
        let is_own = |url: &str| is_own_port(&Url::parse(url).unwrap(), "Own.Example", &[7000, 80]);
        for own in [
            "http://127.0.0.1:7000/",
            "http://2130706433/",
            "http://[::1]:7000/x",
            "http://[::ffff:127.0.0.1]:7000/",
            "http://0.0.0.0:7000/",
            "http://LOCALHOST.:7000/",
            "http://own.example./",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in ["http://127.0.0.1:7001/", "https://localhost/", "http://else.example:7000/"] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn a_pattern_has_the_hosts_that_it_says() {
        for (pattern, inside, outside) in [
            ("*", vec!["a.example", "10.0.0.1", "[::1]"], vec![]),
            (
                "localhost",
                vec!["localhost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]"],
                vec!["localhost.example", "10.0.0.1"],
            ),
            (
                "Hooks.Example.ORG",
                vec!["hooks.example.org", "hooks.example.org."],
                vec!["a.hooks.example.org", "example.org", "xhooks.example.org"],
            ),
            (
                "*.example.org",
                vec!["a.example.org", "a.b.example.org."],
                vec!["example.org", "badexample.org", ".example.org", "example.org.evil.test"],
            ),
            ("bücher.example", vec!["xn--bcher-kva.example"], vec!["bucher.example"]),
            (
                "10.1.2.3",
                vec!["10.1.2.3", "[::ffff:10.1.2.3]"],
                vec!["10.1.2.4", "10.1.2.3.example"],
            ),
            (
                "10.0.0.0/8",
                vec!["10.255.0.1", "[::ffff:a00:1]"],
                vec!["11.0.0.1", "[fd00::1]", "a.example"],
            ),
            ("10.1.*.*", vec!["10.1.200.7"], vec!["10.2.0.1"]),
            ("fd00::/8", vec!["[fdff::1]"], vec!["[fe00::1]", "10.0.0.1"]),
            ("[fd00::1]", vec!["[fd00::1]"], vec!["[fd00::2]"]),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            for (hosts, is_in) in [(inside, true), (outside, false)] {
                for host in hosts {
                    assert_eq!(parsed.matches(host), is_in, "{host} of {pattern}");
                }
            }
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            " ",
            "http://a.example",
            "a.example:80",
            "a b",
            "a.*",
            "*a.example",
            "*.*.example",
            "10.0.0.0/33",
            "*.",
            ".",
            "1.2.3",
            "0x7f.1",
            "a@b",
            "a/b",
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_judged_as_it_is_connected_to() {
        let only = |text: &str| vec![HostPattern::parse(text).unwrap()];
        for (pattern, url, is_in) in [
            ("example.org", "https://EXAMPLE.org/x?y", true),
            ("example.org", "http://example.org:8080", true),
            ("example.org", "http://example.org.:8080", true),
            ("example.org", "http://example.org.evil.test/", false),
            ("example.org", "http://evil.test/example.org", false),
            ("example.org", "http://evil.test?example.org", false),
            ("example.org", "http://evil.test#example.org", false),
            ("10.0.0.0/8", "http://127.0.0.1/", false),
            // Other ways to write 127.0.0.1.
            ("127.0.0.1", "http://2130706433/", true),
            ("127.0.0.1", "http://0x7f.1/", true),
            ("10.0.0.0/8", "http://0177.0.0.1/", false),
            ("10.0.0.0/8", "http://[::ffff:7f00:1]/", false),
        ] {
            assert_eq!(allows(&only(pattern), &target(url).unwrap()), is_in, "{url} of {pattern}");
        }
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        for text in [
            "",
            "example.org",
            "/path",
            "ftp://example.org/",
            "file:///etc/passwd",
            "http://u@example.org/",
            "http://:p@example.org/",
            "http://",
            "http://exa mple.org",
            "http://evil.test\\@example.org",
            "http://example.org/\n",
            "gopher://example.org",
            "http:example.org\t",
        ] {
            assert!(target(text).is_err(), "{text:?}");
        }
        assert_eq!(
            shown(&target("https://example.org:8443/a?key=s3cret").unwrap()),
            "example.org:8443"
        );
        assert_eq!(shown(&target("https://[::1]/a").unwrap()), "[::1]");
    }
}
