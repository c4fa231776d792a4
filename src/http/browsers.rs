//! The policy that says which web pages may reach the endpoint. A browser sends requests for any page that is open in it, so
//! without a policy any page could steer a server that listens for its own machine only.
//!
//! A browser says where a request comes from: in `Sec-Fetch-Site` (source: W3C, Fetch Metadata Request Headers) and in
//! `Origin` (WHATWG, Fetch). A page whose own name was made to stand for this machine (DNS rebinding) counts as of the
//! same origin there; the `Host` that it asks for gives it away. A prefetch has neither header: it carries `Sec-Purpose`
//! (WHATWG, Fetch), and `Purpose`, `X-Purpose` or `X-Moz` in older browsers. Programs send none of these but `Host`, with the
//! name that they were given.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

use crate::aci::error::AciError;
use crate::aci::words::shorten;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Headers by which a browser says that it prefetches.
static AHEAD: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];
static ASKS_FOR_PRIVATE: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
static ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The entry of a list that allows anything.
pub(crate) const ANY: &str = "*";

/// The web pages that may send requests, and the host names under which they may.
///
/// The default lets in programs and the endpoint's own pages. A request over a loopback address must then name a loopback
/// host, such as `localhost`, the host of the endpoint's tokens, or one of [`allow_host`](Self::allow_host): behind a proxy on
/// the same machine, that is the name by which the proxy is reached, unless the proxy sets another.
///
/// ```
/// use actiond::http::BrowserPolicy;
///
/// let policy = BrowserPolicy::default()
///     .allow_origin("https://tools.example.org")
///     .and_then(|policy| policy.allow_host("actions.example.org"));
/// assert!(policy.is_some());
/// assert!(BrowserPolicy::default().allow_origin("tools.example.org/page").is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct BrowserPolicy {
    unchecked: bool,
    origins: Vec<String>,
    hosts: Vec<String>,
    /// True if the server listens on loopback addresses alone; `None` to decide by the connection.
    local: Option<bool>,
}

impl BrowserPolicy {
    /// Lets in every request, for an application that checks its requests itself.
    #[must_use]
    pub fn unchecked() -> Self {
        Self { unchecked: true, ..Self::default() }
    }

    /// Lets in pages of this origin: `scheme://host`, with `:port` unless it is the scheme's own, or `*` for all. They may
    /// read the replies, too (CORS). Returns `None` where it is no origin.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Option<Self> {
        self.origins.push(if origin == ANY { ANY.to_owned() } else { normal_origin(origin)? });
        Some(self)
    }

    /// Lets in requests that name this host, without a port, or `*` for any. With one of them, requests that come by other
    /// addresses than loopback are held to the list, too. Returns `None` where it is no host.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Option<Self> {
        self.hosts.push(if host == ANY { ANY.to_owned() } else { normal_host(host)? });
        Some(self)
    }

    /// Sets if the server listens on loopback addresses alone. By default the local address of each request's socket decides, as
    /// `HttpServer` knows it.
    #[must_use]
    pub fn local(mut self, is_local: bool) -> Self {
        self.local = Some(is_local);
        self
    }

    /// Decides if a request to an endpoint whose tokens carry `own_host` is let in.
    ///
    /// # Errors
    ///
    /// An error for the client where its request is refused.
    pub(super) fn judge(
        &self,
        request: &HttpRequest,
        own_host: &str,
        last: &LastHost,
    ) -> Result<CorsHeaders, Refused> {
        if self.unchecked {
            return Ok(CorsHeaders::default());
        }
        let is_of_browser = request.headers().keys().any(is_of_browsers);
        let ahead = || AHEAD.iter().find_map(|name| request.headers().get(name));
        if let Some(value) = is_of_browser.then(ahead).flatten() {
            let why = "says that a browser fetches this before anybody asked for it";
            return Err(Refused { is_ahead: true, ..refused("the purpose", &text_of(value), why) });
        }
        if self.holds_hosts(request) && !last.is_that_of(request) {
            if let Some(name) = names(request).find(|name| !self.is_known_host(name, own_host)) {
                return Err(refused(
                    "the host",
                    &name,
                    "is not one of this server's; AllowedHosts ([Server], or allow_host of BrowserPolicy) lists further ones",
                ));
            }
            last.keep(request);
        }
        if !is_of_browser {
            return Ok(CorsHeaders::default());
        }
        let origin = self.origin(request)?;
        let is_foreign = |site: &&HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
        match request.headers().get_all(&SEC_FETCH_SITE).find(is_foreign) {
            Some(site) if origin.is_none() => Err(refused(
                "Sec-Fetch-Site",
                &text_of(site),
                "says that a page of another site sent this; AllowedOrigins ([Server], or allow_origin of BrowserPolicy) lists those that may",
            )),
            _ => Ok(CorsHeaders { origin }),
        }
    }

    /// Finds the listed origin that a request comes from: `None` where that is no page, or one of this server.
    fn origin(&self, request: &HttpRequest) -> Result<Option<HeaderValue>, Refused> {
        let mut listed = None;
        for value in request.headers().get_all(ORIGIN) {
            let origin = text_of(value);
            if self.origins.iter().any(|known| known == ANY || *known == origin) {
                listed = Some(value.clone());
            } else if !is_own(&origin, request) {
                return Err(refused(
                    "the origin",
                    &origin,
                    "may not send requests here; AllowedOrigins ([Server], or allow_origin of BrowserPolicy) lists those that may",
                ));
            }
        }
        Ok(listed)
    }

    fn holds_hosts(&self, request: &HttpRequest) -> bool {
        let by_loopback = || request.app_config().local_addr().ip().is_loopback();
        !self.hosts.is_empty() || self.local.unwrap_or_else(by_loopback)
    }

    fn is_known_host(&self, name: &str, own: &str) -> bool {
        let Some(Authority { host, .. }) = Authority::of(name) else {
            return false;
        };
        let is = |known: &str| known == ANY || known.eq_ignore_ascii_case(&host);
        is_loopback(&host) || is(own) || self.hosts.iter().any(|known| is(known))
    }
}

/// The host that the policy let in last. Nearly every request names it again, and a comparison takes less time than parsing.
#[derive(Debug, Default)]
pub(super) struct LastHost(RefCell<Option<HeaderValue>>);

impl LastHost {
    /// Forgets it, because another policy is in force.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = None;
    }

    fn is_that_of(&self, request: &HttpRequest) -> bool {
        let mut hosts = request.headers().get_all(HOST);
        let host = hosts.next();
        host.is_some() && host == self.0.borrow().as_ref() && hosts.next().is_none()
    }

    fn keep(&self, request: &HttpRequest) {
        let host = request.headers().get(HOST);
        // As a copy: it would keep the buffer of the connection.
        *self.0.borrow_mut() = host.and_then(|host| HeaderValue::from_bytes(host.as_bytes()).ok());
    }
}

/// A request that was not let in.
#[derive(Debug)]
pub(super) struct Refused {
    /// The error for the client.
    pub(super) error: AciError,
    /// True if a browser prefetches. It keeps the reply until a user wants it, unless the status is an error: then it asks
    /// again.
    pub(super) is_ahead: bool,
}

fn refused(what: &str, value: &str, why: &str) -> Refused {
    let error = AciError::permission(&format!("{what} '{}' {why}.", shorten(value)));
    Refused { error, is_ahead: false }
}

/// The CORS headers for the reply to a request that was let in.
#[derive(Debug, Default)]
pub(super) struct CorsHeaders {
    /// The origin to name in them: a listed one whose page sent the request.
    origin: Option<HeaderValue>,
}

impl CorsHeaders {
    /// Adds the headers that let the page read a reply.
    pub(super) fn add_to(&self, reply: &mut HeaderMap) {
        if let Some(origin) = &self.origin {
            reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            reply.insert(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Adds the headers that answer a preflight, by which a browser asks before it sends such a request.
    pub(super) fn add_preflight_to(&self, request: &HeaderMap, reply: &mut HeaderMap) {
        if self.origin.is_none() {
            return;
        }
        self.add_to(reply);
        let mut say = |name, value| reply.insert(name, HeaderValue::from_static(value));
        say(ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
        say(
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
        );
        say(ACCESS_CONTROL_MAX_AGE, "600");
        if request.contains_key(&ASKS_FOR_PRIVATE) {
            say(ALLOWS_PRIVATE.clone(), "true");
        }
    }
}

/// Returns true if only browsers send a header of this name. Most requests have none: to check each name once is cheaper than
/// to look for each of these.
fn is_of_browsers(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.len() {
        5 => name == "x-moz",
        6 => name == "origin",
        7 => name == "purpose",
        9 => name == "x-purpose",
        11 => name == "sec-purpose",
        14 => name == "sec-fetch-site",
        _ => false,
    }
}

/// Returns the host names that a request asks for, usually one: HTTP/1.0 needs none, and an empty one does not count. Over
/// HTTP/2 it is in the target alone; one that is there beside `Host` comes from a proxy, and from no browser.
fn names(request: &HttpRequest) -> impl Iterator<Item = Cow<'_, str>> {
    let mut hosts = request.headers().get_all(HOST).map(text_of).peekable();
    let target = match hosts.peek() {
        Some(_) => None,
        None => request.uri().authority().map(|authority| Cow::Borrowed(authority.as_str())),
    };
    target.into_iter().chain(hosts).filter(|name| !name.is_empty())
}

/// Returns true if an origin is that of the server that was asked.
fn is_own(origin: &str, request: &HttpRequest) -> bool {
    let Some((scheme, name)) = origin.split_once("://") else {
        return false;
    };
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Some(page) = Authority::of(name) else {
        return false;
    };
    let is_page = |name: Cow<'_, str>| {
        Authority::of(&name).is_some_and(|asked| {
            asked.host == page.host && asked.port.unwrap_or(usual) == page.port.unwrap_or(usual)
        })
    };
    let mut names = names(request).peekable();
    names.peek().is_some() && names.all(is_page)
}

/// A host, and perhaps a port.
#[derive(Debug, PartialEq, Eq)]
struct Authority<'a> {
    /// In lower case, an IPv6 address without its brackets and as it is usually written.
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn of(text: &'a str) -> Option<Self> {
        // Alone, an IPv6 address needs no brackets.
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self { host: address.to_string().into(), port: None });
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (address.to_string().into(), port)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(n, p)| (n, Some(p)));
            let name = name.strip_suffix('.').unwrap_or(name);
            let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if name.is_empty() || name.len() > 253 || !name.chars().all(safe) {
                return None;
            }
            (lower(name), port)
        };
        let Some(port) = port else {
            return Some(Self { host, port: None });
        };
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { host, port: Some(is_number.then(|| port.parse().ok())??) })
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

/// Returns true if a host is this machine, whatever a name server says: names below `localhost` are never looked up (RFC 6761,
/// section 6.3). These are just the hosts to which browsers send `Sec-Fetch-Site` (W3C, Secure Contexts, section 3.1): an IPv4
/// address in the form of IPv6 reaches a loopback socket, too, but comes without that header, so it is not one of them.
fn is_loopback(host: &str) -> bool {
    let address = host.parse().map(|address: IpAddr| address.is_loopback());
    address.unwrap_or(host == "localhost" || host.ends_with(".localhost"))
}

/// Writes a host as it is compared: in lower case, without brackets and a last dot. `None` if it is no host, or has a port.
pub(crate) fn normal_host(text: &str) -> Option<String> {
    Authority::of(text).filter(|it| it.port.is_none()).map(|it| it.host.into_owned())
}

/// Writes an origin as browsers do: in lower case, without the scheme's default port. `None` if it is no origin.
pub(crate) fn normal_origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let first = scheme.chars().next()?;
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !first.is_ascii_alphabetic() || !scheme.chars().all(safe) {
        return None;
    }
    let Authority { host, port } = Authority::of(rest.strip_suffix('/').unwrap_or(rest))?;
    let host = if host.contains(':') { format!("[{host}]").into() } else { host };
    let port = port.filter(|port| !matches!((scheme, port), ("http", 80) | ("https", 443)));
    Some(
        port.map_or_else(
            || format!("{scheme}://{host}"),
            |port| format!("{scheme}://{host}:{port}"),
        ),
    )
}

fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes().trim_ascii())
}

#[cfg(test)]
#[path = "browsers_tests.rs"]
mod tests;
