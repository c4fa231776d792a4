//! `LibraryName=HttpHandler`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::super::disk::Disk;
use super::super::key::Key;
use super::super::queues::Purposes;
use super::super::reader::Reader;
use super::super::secrets::secret;
use super::super::tls::client_tls;
use super::{hosts, keys};
use crate::events::handlers::http::{
    HttpSettings, Proxy, Receiver, SigningKey, Trust, is_own_header,
};
use crate::events::handlers::{Format, HostPattern, allows, target};

/// The purpose for which a section is read.
pub(super) enum Use {
    /// It is a handler with a URL of its own.
    Handler,
    /// It says how addresses of submissions are told, which may be on these hosts.
    Callbacks(Vec<HostPattern>),
}

/// Keys of other servers for a way to log in that this one does not have.
const NTLM: [&str; 2] = ["NTLMUser", "NTLMPassword"];
const USE_NTLM: [&str; 2] = ["UseNTLMAuthentication", "UseNTLMv2"];

/// Reads the settings; `connections` is the number of messages at a time.
pub(super) fn read<'r>(
    reader: &mut Reader<'r>,
    section: &str,
    purpose: Use,
    connections: usize,
    purposes: &mut Purposes<'r>,
    disk: Disk,
) -> HttpSettings {
    refuse_ntlm(reader, section);
    let mut headers = headers(reader, section);
    let login = login(reader, section, disk);
    if let (Some((by, _)), Use::Callbacks(_)) = (&login, &purpose) {
        let reason =
            "can't be used for CallbackURL: it would be sent to whatever address a client names";
        reader.problem_at(section, by, reason);
    }
    if let Use::Callbacks(_) = &purpose
        && headers.contains_key(AUTHORIZATION)
    {
        let reason = "can't have Authorization for CallbackURL: it would be sent to whatever address a client names";
        reader.problem_at(section, keys::HEADERS, reason);
    }
    headers.extend(login.map(|(_, value)| (AUTHORIZATION, value)));
    let receiver = match purpose {
        Use::Handler => Receiver::One(url(reader, section)),
        Use::Callbacks(hosts) => Receiver::OfEvent(hosts),
    };
    let own = &[section];
    let method = match reader.word(own, keys::METHOD) {
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        _ => Method::POST,
    };
    let timeout = reader.integer(own, keys::TIMEOUT_SECS);
    HttpSettings {
        receiver,
        method,
        format: Format::of_word(reader.word(own, keys::FORMAT)),
        timeout: std::time::Duration::from_secs(u64::try_from(timeout).unwrap_or_default()),
        headers,
        proxy: proxy(reader, section, disk),
        trust: Trust(client_tls(reader, section, keys::SSL_CONFIG, purposes, disk)),
        keys: signing_keys(reader, section, disk),
        connections,
    }
}

/// Refuses what would log in by NTLM: without it the receiver would refuse every event.
fn refuse_ntlm(reader: &mut Reader<'_>, section: &str) {
    let Some(own) = reader.ini.section(section) else { return };
    let is = |names: &[&str], key: &str| names.iter().any(|name| name.eq_ignore_ascii_case(key));
    for entry in own.entries() {
        let is_off = crate::aci::words::parse_switch(entry.value) == Some(false);
        if is(&NTLM, entry.key) || is(&USE_NTLM, entry.key) && !is_off {
            let reason = "can't be honoured: NTLM is not supported. Take the line away, and let the receiver take BasicUser or BearerToken";
            let place = super::super::findings::Location {
                line: Some(entry.line),
                section: Some(own.name),
                key: Some(entry.key),
                value: Some(entry.value),
            };
            reader.findings.problem(place, reason);
        }
    }
}

fn url(reader: &mut Reader<'_>, section: &str) -> Url {
    // Where it is bad, nothing is ever sent there.
    let nowhere = || Url::parse("http://nowhere.invalid/").unwrap_or_else(|_| unreachable!());
    if let Some(own) = reader.ini.section(section)
        && !reader.require(own, keys::URL, &keys::URL.kind.allowed())
    {
        return nowhere();
    }
    let given = reader.text(&[section], keys::URL);
    let allowed = hosts(reader, section, keys::ALLOWED_HOSTS);
    let Some(text) = given else { return nowhere() };
    match target(&text) {
        Ok(url) => {
            if allowed.is_some_and(|allowed| !allows(&allowed, &url)) {
                let reason = "has a host that is none of AllowedHosts";
                reader.problem_at(section, keys::URL, reason);
            }
            url
        }
        Err(must_be) => {
            let more = match must_be.contains("password") {
                true => ": those are BasicUser and BasicPassword",
                false => "",
            };
            reader.problem_at(section, keys::URL, format!("must be {must_be}{more}"));
            nowhere()
        }
    }
}

/// Reads `Headers`.
fn headers(reader: &mut Reader<'_>, section: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for text in reader.texts(&[section], keys::HEADERS) {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        match parsed {
            Some((name, _)) if is_own_header(&name) => {
                let reason = format!("sets {name}, which is the server's own");
                reader.problem_at(section, keys::HEADERS, reason);
            }
            Some((name, mut value)) => {
                value.set_sensitive(true);
                headers.append(name, value);
            }
            // The value may be a secret, so it is not told.
            None => reader.problem_at(
                section,
                keys::HEADERS,
                "must be NAME: VALUE, with commas between several, and has one that is not",
            ),
        }
    }
    headers
}

/// Reads the value of `Authorization`, and the key that gives it.
fn login(
    reader: &mut Reader<'_>,
    section: &str,
    disk: Disk,
) -> Option<(&'static Key, HeaderValue)> {
    let user = reader.text(&[section], keys::BASIC_USER);
    let password = secret(reader, section, (keys::BASIC_PASSWORD, keys::BASIC_PASSWORD_FILE), disk);
    let token = secret(reader, section, (keys::BEARER_TOKEN, keys::BEARER_TOKEN_FILE), disk);
    let (by, text) = match (user, password, token) {
        (Some(_), _, Some(token)) | (None, Some(_), Some(token)) => {
            reader.problem_at(section, token.by, "can't stand beside BasicUser and BasicPassword");
            return None;
        }
        (None, Some(password), None) => {
            reader.problem_at(section, password.by, "needs BasicUser");
            return None;
        }
        (Some(user), _, None) if user.contains(':') => {
            reader.problem_at(section, keys::BASIC_USER, "must have no colon");
            return None;
        }
        (Some(user), password, None) => {
            let password = password.map(|password| password.text).unwrap_or_default();
            let login = BASE64.encode(format!("{user}:{password}"));
            (keys::BASIC_USER, format!("Basic {login}"))
        }
        (None, None, Some(token)) => (token.by, format!("Bearer {}", token.text)),
        (None, None, None) => return None,
    };
    match HeaderValue::from_str(&text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some((by, value))
        }
        Err(_) => {
            reader.problem_at(section, by, "must be visible ASCII characters");
            None
        }
    }
}

fn proxy(reader: &mut Reader<'_>, section: &str, disk: Disk) -> Option<Proxy> {
    let own = &[section];
    let host = reader.text(own, keys::PROXY_HOST);
    let port = u16::try_from(reader.integer(own, keys::PROXY_PORT)).ok().filter(|port| *port > 0);
    let user = reader.text(own, keys::PROXY_USERNAME);
    let password = secret(reader, section, (keys::PROXY_PASSWORD, keys::PROXY_PASSWORD_FILE), disk);
    let others = [
        (keys::PROXY_PORT, port.is_some()),
        (keys::PROXY_USERNAME, user.is_some()),
        (password.as_ref().map_or(keys::PROXY_PASSWORD, |given| given.by), password.is_some()),
    ];
    let Some(host) = host else {
        for (key, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
            reader.problem_at(section, key, "needs ProxyHost");
        }
        return None;
    };
    if let (None, Some(password)) = (&user, &password) {
        reader.problem_at(section, password.by, "needs ProxyUsername");
    }
    let Some(port) = port else {
        reader.problem_at(section, keys::PROXY_HOST, "needs ProxyPort");
        return None;
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let login = user.map(|user| (user, password.map(|given| given.text).unwrap_or_default()));
    Some(Proxy { host, port, login })
}

/// Reads the secrets that sign.
fn signing_keys(reader: &mut Reader<'_>, section: &str, disk: Disk) -> Vec<SigningKey> {
    let Some(given) = secret(reader, section, (keys::SECRET, keys::SECRET_FILE), disk) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for text in given.text.split_whitespace() {
        match SigningKey::parse(text) {
            Some(key) => all.push(key),
            None => {
                let reason = format!("must be {}", keys::SECRET.kind.allowed());
                reader.problem_at(section, given.by, reason);
            }
        }
    }
    if given.text.trim().is_empty() {
        reader.problem_at(section, given.by, "has no secret on its first line");
    }
    if all.iter().any(|key| !key.is_of_good_length()) {
        let what = "is not of 24 to 64 bytes, so that some verifiers may refuse it";
        reader.warn_at(section, given.by, what);
    }
    all
}
