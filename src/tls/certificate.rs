//! The contents of a certificate: the time for which it is good, and the names of its owner. Pure.
//!
//! It judges no certificate: rustls has verified those of clients by then.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Utc};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::{Decode as _, Encode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::name::Name;

use super::error::Problem;

/// The parts of a certificate that are of use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
    /// The subject in each usual spelling, its common names, and the alternative names.
    pub(super) names: Vec<String>,
    /// True if it may sign others (basic constraints).
    pub(super) is_authority: bool,
}

impl Certificate {
    /// Returns the name to call it by.
    pub(super) fn subject(&self) -> &str {
        self.names.first().map_or("nobody", String::as_str)
    }

    /// Fails if it is not valid at this time.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        if now < self.not_before {
            return Err(Problem::NotYetValid(self.not_before));
        }
        if now > self.not_after {
            return Err(Problem::Expired(self.not_after));
        }
        Ok(())
    }
}

/// Reads a certificate.
pub(super) fn read(der: &[u8]) -> Result<Certificate, Problem> {
    let damaged = |failed| Problem::Damaged(format!("not a certificate: {failed}"));
    // Raw: as lenient as it can be, because others decide what is a good certificate.
    let read = CertificateInner::<Raw>::from_der(der).map_err(damaged)?;
    let read = read.tbs_certificate();
    let time = |time: x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    let mut names = Names::default();
    names.add_subject(read.subject());
    // One with a kind of name that is not known is not read at all; the subject stands.
    if let Ok(Some((_, alternative))) = read.get_extension::<SubjectAltName>() {
        alternative.0.iter().filter_map(alternative_name).for_each(|name| names.add_alone(name));
    }
    let constraints = read.get_extension::<BasicConstraints>();
    let is_authority = matches!(constraints, Ok(Some((_, constraints))) if constraints.ca);
    let validity = read.validity();
    Ok(Certificate {
        not_before: time(validity.not_before),
        not_after: time(validity.not_after),
        names: names.0,
        is_authority,
    })
}

/// Each name once.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: String) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Adds the spellings of a subject: as RFC 4514 has it, the last part first, with and without spaces; and in the order of
    /// the certificate, as `openssl x509 -subject` prints it.
    fn add_subject(&mut self, subject: &Name) {
        let mut spelled = |equals: &str, comma: &str, is_reversed: bool| {
            let mut parts: Vec<_> = subject
                .iter_rdn()
                .map(|part| {
                    let values: Vec<_> =
                        part.iter().map(|value| attribute(value, equals)).collect();
                    values.join("+")
                })
                .collect();
            if is_reversed {
                parts.reverse();
            }
            if !parts.is_empty() {
                self.add(parts.join(comma));
            }
        };
        spelled("=", ",", true);
        spelled("=", ", ", true);
        spelled("=", ", ", false);
        spelled(" = ", ", ", false);
        subject
            .iter()
            .filter(|value| short_name(&value.oid.to_string()) == Some("CN"))
            .filter_map(text)
            .for_each(|name| self.add_alone(name.into_owned()));
    }

    /// Adds a name that is no subject. One that looks like a subject would pass for the owner of that, and one with control
    /// characters is not what it looks like.
    fn add_alone(&mut self, name: String) {
        let is_subject = name.split_once('=').is_some_and(|(key, _)| {
            key.trim().chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-'))
        });
        if !name.is_empty() && !is_subject && !name.contains(char::is_control) {
            self.add(name);
        }
    }
}

fn alternative_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

/// Returns the name that RFC 4514 or OpenSSL has for a kind of attribute.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// Writes an attribute of a subject; one that is not known, or no text, as the digits of its DER.
fn attribute(attribute: &AttributeTypeAndValue, equals: &str) -> String {
    let oid = attribute.oid.to_string();
    match (short_name(&oid), text(attribute)) {
        (Some(key), Some(value)) => format!("{key}{equals}{}", escaped(&value)),
        (key, _) => {
            let mut written = format!("{}{equals}#", key.unwrap_or(&oid));
            for byte in attribute.value.to_der().unwrap_or_default() {
                // Writing to a string can't fail.
                let _ = write!(written, "{byte:02X}");
            }
            written
        }
    }
}

fn text(attribute: &AttributeTypeAndValue) -> Option<Cow<'_, str>> {
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            str::from_utf8(bytes).ok().map(Cow::Borrowed)
        }
        Tag::TeletexString => {
            Some(bytes.iter().copied().map(char::from).collect::<String>().into())
        }
        Tag::BmpString => {
            let (pairs, []) = bytes.as_chunks::<2>() else { return None };
            let units: Vec<_> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

/// Escapes a value as RFC 4514 has it, so that none can look like two.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut written = String::with_capacity(value.len());
    for (at, char) in value.chars().enumerate() {
        match char {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => written.extend(['\\', char]),
            ' ' if at == 0 || at == last => written.push_str("\\ "),
            '#' if at == 0 => written.push_str("\\#"),
            control if control.is_ascii_control() => {
                let _ = write!(written, "\\{:02X}", u32::from(control));
            }
            other => written.push(other),
        }
    }
    written
}
