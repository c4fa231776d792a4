//! Patterns of client addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

use crate::aci::words::shorten;

/// The forms that a pattern may have, for errors.
pub const ALLOWED: &str = "*, localhost, an address, a network such as 10.0.0.0/8 or fd00::/8, a.b.*.*, or the name of a host";

/// A set of client addresses, as one entry of `Clients` describes it.
///
/// An IPv4 address that came as an IPv6 one (`::ffff:10.0.0.1`) is the IPv4 address.
///
/// ```
/// use actiond::access::AddressPattern;
/// let office = AddressPattern::parse("10.1.0.0/16")?;
/// assert!(office.matches("10.1.2.3".parse()?) && !office.matches("10.2.0.0".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPattern {
    /// The pattern as it was written.
    text: String,
    addresses: Addresses,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Addresses {
    /// Every client, also one without an address.
    Any,
    /// This machine: the loopback addresses, and sockets of Unix.
    Local,
    /// The addresses that begin with so many bits of this one.
    Network(IpAddr, u8),
    /// The addresses of a host when its name was looked up; none before.
    Host(Vec<IpAddr>),
}

/// Error: a text has none of the forms of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no pattern of addresses: it must be {ALLOWED}")]
pub struct BadPattern(String);

/// Error: a host can't be looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host {name} can't be looked up: {reason}")]
pub struct UnknownHost {
    /// The name of the host.
    pub name: String,
    /// The reason, from the system.
    pub reason: String,
}

impl AddressPattern {
    /// The pattern of every client.
    #[must_use]
    pub fn any() -> Self {
        Self { text: "*".to_owned(), addresses: Addresses::Any }
    }

    /// The pattern of this machine.
    #[must_use]
    pub fn local() -> Self {
        Self { text: "localhost".to_owned(), addresses: Addresses::Local }
    }

    /// Reads a pattern. One with the name of a host matches nothing until that is [looked up](Self::look_up).
    ///
    /// # Errors
    ///
    /// The text has none of the forms.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.trim();
        let addresses = match text {
            "*" | "*.*.*.*" => Addresses::Any,
            _ if text.eq_ignore_ascii_case("localhost") => Addresses::Local,
            _ => network(text).unwrap_or_else(|| Ok(Addresses::Host(Vec::new())))?,
        };
        Ok(Self { text: text.to_owned(), addresses })
    }

    /// Looks up the name of a host, where the pattern is one: it then matches the addresses that the host has now. This may
    /// take seconds.
    ///
    /// # Errors
    ///
    /// The host can't be found.
    pub fn look_up(&mut self) -> Result<(), UnknownHost> {
        let Addresses::Host(addresses) = &mut self.addresses else { return Ok(()) };
        let failed =
            |reason: String| UnknownHost { name: shorten(&self.text).into_owned(), reason };
        let found = (self.text.as_str(), 0).to_socket_addrs();
        let found = found.map_err(|error| failed(error.to_string()))?;
        *addresses = found.map(|found| found.ip().to_canonical()).collect();
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        log::info!("the host {} has the addresses {}", self.text, shown.join(", "));
        Ok(())
    }

    /// Returns true if a client with this address is one of them.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match &self.addresses {
            Addresses::Any => true,
            Addresses::Local => address.is_loopback(),
            Addresses::Network(network, bits) => {
                bits_of(address) == bits_of(*network)
                    && prefix(address, *bits) == prefix(*network, *bits)
            }
            Addresses::Host(addresses) => addresses.contains(&address),
        }
    }

    /// Returns true if every client is one of them.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        matches!(self.addresses, Addresses::Any)
    }

    /// Returns true if this machine is meant by the word, so that a client without an address, at a socket of Unix, is one.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.addresses, Addresses::Local)
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Number of bits of addresses of this family.
const fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first bits of an address, the rest cleared.
fn prefix(address: IpAddr, bits: u8) -> u128 {
    let (number, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    number.checked_shr(width - u32::from(bits)).unwrap_or(0)
}

/// Reads an address, a network or a pattern with wildcards; `None` if it looks like the name of a host.
fn network(text: &str) -> Option<Result<Addresses, BadPattern>> {
    let bad = || Err(BadPattern(shorten(text).into_owned()));
    if let Some((address, bits)) = text.split_once('/') {
        let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let network = address.parse().ok().zip(digits.then(|| bits.parse().ok()).flatten());
        return Some(match network {
            Some((address, bits)) => of_network(address, bits).map_or_else(bad, Ok),
            None => bad(),
        });
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        let address = address.to_canonical();
        return Some(Ok(Addresses::Network(address, bits_of(address))));
    }
    if text.contains('*') {
        return Some(wildcards(text).map_or_else(bad, Ok));
    }
    // Four numbers are no host, and neither is anything with a character that names can't have.
    let is_name = text.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    let is_number =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (!is_name || is_number).then(bad)
}

/// Makes a network; an IPv4 one that is written as IPv6 is the IPv4 one.
fn of_network(address: IpAddr, bits: u8) -> Option<Addresses> {
    if bits > bits_of(address) {
        return None;
    }
    match address.to_canonical() {
        mapped @ IpAddr::V4(_) if address.is_ipv6() => {
            Some(Addresses::Network(mapped, bits.checked_sub(96)?))
        }
        address => Some(Addresses::Network(address, bits)),
    }
}

/// Reads `a.b.*.*`: once a part is a wildcard, so are those after it.
fn wildcards(text: &str) -> Option<Addresses> {
    let parts: Vec<&str> = text.split('.').collect();
    let fixed = parts.iter().take_while(|part| **part != "*").count();
    if parts.len() != 4 || parts.iter().skip(fixed).any(|part| *part != "*") {
        return None;
    }
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(parts.iter().take(fixed)) {
        *octet = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    let bits = u8::try_from(8 * fixed).ok()?;
    Some(Addresses::Network(Ipv4Addr::from(octets).into(), bits))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, inside, outside) in [
            ("*", vec!["1.2.3.4", "::1"], vec![]),
            ("*.*.*.*", vec!["1.2.3.4", "::1"], vec![]),
            (
                "LocalHost",
                vec!["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"],
                vec!["10.0.0.1", "::2"],
            ),
            ("10.1.2.3", vec!["10.1.2.3", "::ffff:10.1.2.3"], vec!["10.1.2.4", "::10.1.2.3"]),
            ("::ffff:10.1.2.3", vec!["10.1.2.3"], vec!["10.1.2.4"]),
            ("[fd00::1]", vec!["fd00::1"], vec!["fd00::2"]),
            (
                "10.1.0.0/16",
                vec!["10.1.0.0", "10.1.255.255", "::ffff:10.1.7.7"],
                vec!["10.2.0.0", "fd00::1"],
            ),
            ("10.1.2.3/16", vec!["10.1.9.9"], vec!["10.2.2.3"]),
            ("::ffff:10.1.0.0/112", vec!["10.1.9.9"], vec!["10.2.0.0"]),
            ("0.0.0.0/0", vec!["1.2.3.4"], vec!["::1", "fd00::1"]),
            ("::/0", vec!["fd00::1"], vec!["1.2.3.4"]),
            ("fd00::/8", vec!["fdff::1"], vec!["fe00::1"]),
            ("10.1.*.*", vec!["10.1.200.7"], vec!["10.2.0.0"]),
            ("10.*.*.*", vec!["10.255.0.1"], vec!["11.0.0.0"]),
        ] {
            let parsed = AddressPattern::parse(pattern).unwrap();
            for (addresses, is_in) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(
                        parsed.matches(address.parse().unwrap()),
                        is_in,
                        "{address} of {pattern}"
                    );
                }
            }
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "10.1.2",
            "10.1.2.3.4",
            "10.1.2.256",
            "10.*.2.3",
            "10.*",
            "*.10.*.*",
            "10.1.2.3/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "a/8",
            "::ffff:10.0.0.0/95",
            "a b",
            "a..b",
            "http://host",
            "fd00::*",
            "+1.*.*.*",
        ] {
            let error = AddressPattern::parse(text).unwrap_err();
            assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
        }
    }

    #[test]
    fn a_host_has_the_addresses_that_are_found() {
        let mut host = AddressPattern::parse("localhost.localdomain").unwrap();
        assert!(!host.matches([127, 0, 0, 1].into()), "it was not looked up");
        host = AddressPattern { text: "127.0.0.1".to_owned(), ..host };
        host.look_up().unwrap();
        assert!(host.matches([127, 0, 0, 1].into()) && !host.matches([127, 0, 0, 2].into()));
        // RFC 6761 keeps this name for what is never found.
        let mut nowhere = AddressPattern::parse("nowhere.invalid").unwrap();
        let error = nowhere.look_up().unwrap_err().to_string();
        assert!(error.starts_with("the host nowhere.invalid can't be looked up: "), "{error}");
    }

    proptest! {
        #[test]
        fn a_network_has_the_addresses_with_its_bits(network in any::<u32>(), other in any::<u32>(), bits in 0_u8..=32) {
            let pattern = AddressPattern::parse(&format!("{}/{bits}", Ipv4Addr::from(network))).unwrap();
            let differing = (network ^ other).leading_zeros();
            prop_assert_eq!(pattern.matches(Ipv4Addr::from(other).into()), differing >= u32::from(bits));
            prop_assert!(pattern.matches(Ipv4Addr::from(network).into()));
        }

        #[test]
        fn so_has_a_larger_one(network in any::<u128>(), other in any::<u128>(), bits in 0_u8..=128) {
            let (network, other) = (Ipv6Addr::from(network), Ipv6Addr::from(other));
            prop_assume!(network.to_ipv4_mapped().is_none() && other.to_ipv4_mapped().is_none());
            let pattern = AddressPattern::parse(&format!("{network}/{bits}")).unwrap();
            let differing = (u128::from(network) ^ u128::from(other)).leading_zeros();
            prop_assert_eq!(pattern.matches(other.into()), differing >= u32::from(bits));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.:*/\\[\\]]{0,20}") {
            // Without letters, so that nothing is looked up.
            drop(AddressPattern::parse(&text));
        }
    }
}
