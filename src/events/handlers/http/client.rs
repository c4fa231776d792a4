//! The client of a handler: its proxy, its TLS, its connections.

use std::fmt;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use super::{HttpSettings, Receiver};
use crate::tls::{ClientTls, TlsError};

/// Time after which an idle connection is closed: shorter than servers keep one, so that no message is sent over a connection
/// that its receiver is about to close.
const IDLE: Duration = Duration::from_secs(5);

/// The longest time that connecting may take, as part of that of the request.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The proxy through which a handler reaches its receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `ProxyHost`, with brackets around an IPv6 address.
    pub host: String,
    /// `ProxyPort`.
    pub port: u16,
    /// `ProxyUsername` and `ProxyPassword`.
    pub login: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

/// The certificates that are trusted for `https`, and the one that is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust(pub Option<ClientTls>);

/// Makes a client.
pub(super) fn client(settings: &HttpSettings) -> Result<Client, String> {
    let HttpSettings { receiver, headers, proxy, trust, timeout, connections, .. } = settings;
    let builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .user_agent(concat!("actiond/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN.min(*timeout))
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(*connections)
        .default_headers(headers.clone())
        // Without a configuration of ours, one is made for the whole process.
        .tls_backend_preconfigured(tls(receiver, trust)?);
    let builder = match proxy {
        Some(proxy) => builder.proxy(self::proxy(proxy)?),
        None => builder,
    };
    builder.build().map_err(|error| super::root_cause(&error))
}

fn proxy(Proxy { host, port, login }: &Proxy) -> Result<reqwest::Proxy, String> {
    let proxy = reqwest::Proxy::all(format!("http://{host}:{port}/"))
        .map_err(|error| super::root_cause(&error))?;
    Ok(match login {
        Some((user, password)) => proxy.basic_auth(user, password),
        None => proxy,
    })
}

fn tls(receiver: &Receiver, Trust(given): &Trust) -> Result<ClientConfig, String> {
    let told = |error: TlsError| error.to_string();
    match (receiver, given) {
        (Receiver::One(url), _) if url.scheme() != "https" => ClientTls::nobody().map_err(told),
        (_, Some(tls)) => tls.config().map_err(told),
        (Receiver::One(_), None) => ClientTls::default().config().map_err(told),
        // A machine without authorities can still reach what has no certificate.
        (Receiver::OfEvent(_), None) => match ClientTls::default().config() {
            Ok(config) => Ok(config),
            Err(error) => {
                log::warn!("no CallbackURL with https can be reached: {error}");
                ClientTls::nobody().map_err(told)
            }
        },
    }
}
