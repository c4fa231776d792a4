//! The keys of `LibraryName=HttpHandler`.

use super::super::super::key::{Key, Section};
use super::super::super::value::ValueKind;
use super::super::ACTIONS;
use super::{
    FORMAT, LIBRARY_NAME, MAX_IN_FLIGHT, MAX_PENDING, MAX_RETRY_INTERVAL, RETRIES, RETRY_INTERVAL,
    TIMEOUT_SECS,
};
use crate::events::handlers::HOST_FORMS;

pub(in crate::config) const URL: &Key = &Key::optional(
    "URL",
    ValueKind::TextOf("an address such as https://hooks.example.org/path"),
    "https://hooks.example.org/actions",
    "The receiver. Redirects are not followed.",
);

pub(in crate::config) const METHOD: &Key = &Key::with_default(
    "Method",
    ValueKind::OneOf(&["POST", "PUT", "PATCH"]),
    "POST",
    "The HTTP method.",
);

pub(in crate::config) const BASIC_USER: &Key = &Key::optional(
    "BasicUser",
    ValueKind::Text,
    "actiond",
    "The user for HTTP basic authentication.",
);

pub(in crate::config) const BASIC_PASSWORD: &Key =
    &Key::optional("BasicPassword", ValueKind::Text, "secret", "The password of BasicUser.");

pub(in crate::config) const BASIC_PASSWORD_FILE: &Key = &Key::optional(
    "BasicPasswordFile",
    ValueKind::Path,
    "./receiver.password",
    "A file with that password on its first line, in place of BasicPassword.",
);

pub(in crate::config) const BEARER_TOKEN: &Key = &Key::optional(
    "BearerToken",
    ValueKind::Text,
    "secret",
    "A token that is sent as Authorization: Bearer TOKEN.",
);

pub(in crate::config) const BEARER_TOKEN_FILE: &Key = &Key::optional(
    "BearerTokenFile",
    ValueKind::Path,
    "./receiver.token",
    "A file with that token on its first line, in place of BearerToken.",
);

pub(in crate::config) const HEADERS: &Key = &Key::optional(
    "Headers",
    ValueKind::Texts("NAME: VALUE; one that holds a comma stands in double quotes"),
    "X-Origin: actions,X-Team: media",
    "Headers that are sent with each event.",
);

pub(in crate::config) const PROXY_HOST: &Key = &Key::optional(
    "ProxyHost",
    ValueKind::Host,
    "proxy.example.org",
    "The HTTP proxy through which the receiver is reached. Without it none is used, whatever the environment says.",
);

pub(in crate::config) const PROXY_PORT: &Key = &Key::optional(
    "ProxyPort",
    ValueKind::from_to(1, 65_535),
    "3128",
    "The port of the proxy; must be given with ProxyHost.",
);

pub(in crate::config) const PROXY_USERNAME: &Key =
    &Key::optional("ProxyUsername", ValueKind::Text, "actiond", "The user for the proxy.");

pub(in crate::config) const PROXY_PASSWORD: &Key =
    &Key::optional("ProxyPassword", ValueKind::Text, "secret", "The password of ProxyUsername.");

pub(in crate::config) const PROXY_PASSWORD_FILE: &Key = &Key::optional(
    "ProxyPasswordFile",
    ValueKind::Path,
    "./proxy.password",
    "A file with that password on its first line, in place of ProxyPassword.",
);

pub(in crate::config) const SSL_CONFIG: &Key = &Key::optional(
    "SSLConfig",
    ValueKind::Name,
    "SSLOption0",
    "The section with the certificates for https: SSLCACertificate says who is trusted, in place of those that the system trusts; SSLCertificate with SSLPrivateKey is shown to receivers that ask. The receiver's certificate is checked in any case.",
);

pub(in crate::config) const SECRET: &Key = &Key::optional(
    "Secret",
    ValueKind::TextOf(
        "base64 of 24 to 64 bytes, with or without whsec_ in front; several have spaces between them",
    ),
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "The secret by which messages are signed, as the Standard Webhooks specification has it (webhook-signature). With several, each signs, so that a receiver can change from one to the other.",
);

pub(in crate::config) const SECRET_FILE: &Key = &Key::optional(
    "SecretFile",
    ValueKind::Path,
    "./receiver.secret",
    "A file with that secret on its first line, in place of Secret.",
);

pub(in crate::config) const ALLOWED_HOSTS: &Key = &Key::optional(
    "AllowedHosts",
    ValueKind::Texts(HOST_FORMS),
    "*.example.org",
    "The hosts to which this handler may send; its URL must name one of them.",
);

/// The section of a handler that sends events by HTTP.
pub(in crate::config) const HTTP_HANDLER: &Section = &Section::listed(
    "Receiver",
    "handler with LibraryName=HttpHandler",
    ACTIONS,
    &[
        LIBRARY_NAME,
        URL,
        METHOD,
        FORMAT,
        RETRIES,
        RETRY_INTERVAL,
        MAX_RETRY_INTERVAL,
        TIMEOUT_SECS,
        MAX_IN_FLIGHT,
        MAX_PENDING,
        BASIC_USER,
        BASIC_PASSWORD,
        BASIC_PASSWORD_FILE,
        BEARER_TOKEN,
        BEARER_TOKEN_FILE,
        HEADERS,
        PROXY_HOST,
        PROXY_PORT,
        PROXY_USERNAME,
        PROXY_PASSWORD,
        PROXY_PASSWORD_FILE,
        SSL_CONFIG,
        SECRET,
        SECRET_FILE,
        ALLOWED_HOSTS,
    ],
);
