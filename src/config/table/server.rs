//! The keys of `[Server]` and `[Service]`, and of the sections of their certificates.

use super::super::key::Key;
use super::super::value::ValueKind;
use super::{BILLION, DAY};

pub(in crate::config) const PORT: &Key = &Key::with_default(
    "Port",
    ValueKind::from_to(0, 65_535),
    "7000",
    "The port for ACI requests; 0 takes any free one.",
);

pub(in crate::config) const BIND_ADDRESS: &Key = &Key::with_default(
    "BindAddress",
    ValueKind::Addresses,
    "127.0.0.1,::1",
    "The addresses to listen on, all with the same port. The default lets in programs on this machine only. Where a machine has no ::1, that is left out if there are others.",
);

pub(in crate::config) const TOKEN_HOST: &Key = &Key::optional(
    "TokenHost",
    ValueKind::Host,
    "actiond.example.org",
    "The host part of the tokens that are given out. The default is the first of BindAddress, or 127.0.0.1 if that stands for all addresses.",
);

pub(in crate::config) const SERVER_NAME: &Key = &Key::optional(
    "ServerName",
    ValueKind::TextOf("1 to 100 characters, none of them a control character"),
    "actions-1",
    "The name of this server among those that share a database, for people. The default is the name of the machine, a colon and the port.",
);

pub(in crate::config) const ALLOWED_HOSTS: &Key = &Key::optional(
    "AllowedHosts",
    ValueKind::Hosts,
    "actions.example.org",
    "Host names, without ports, by which clients may ask for this server. Where it listens on loopback addresses alone, those and TokenHost may be used in any case; elsewhere any name may, unless some are listed. * allows any.",
)
.read_again();

pub(in crate::config) const ALLOWED_ORIGINS: &Key = &Key::optional(
    "AllowedOrigins",
    ValueKind::Origins,
    "https://tools.example.org",
    "Origins of web pages of other servers whose scripts may send requests to this one and read the replies (CORS). * allows any page that is open in a browser to do everything that its user may.",
)
.read_again();

pub(in crate::config) const BACKUP_DIRECTORIES: &Key = &Key::optional(
    "BackupDirectories",
    ValueKind::Paths,
    "/srv/backups",
    "Directories below which BackupServer may write and RestoreServer may read, beside the data directory.",
);

pub(in crate::config) const THREADS: &Key = &Key::with_default(
    "Threads",
    ValueKind::from_to(0, 1024),
    "0",
    "How many threads answer requests; 0 takes two for each core and one more, at most 32 more than cores. Each needs four open files.",
);

pub(in crate::config) const MAX_INPUT_STRING: &Key = &Key::with_default(
    "MaxInputString",
    ValueKind::or_unlimited(1, 1_000_000),
    "64000",
    "The longest request target in bytes, where a percent-encoded byte counts once. A request line of over 65000 bytes is refused in any case: send long parameters by POST.",
)
.read_again();

pub(in crate::config) const MAX_FILE_UPLOAD_SIZE: &Key = &Key::with_default(
    "MaxFileUploadSize",
    ValueKind::or_unlimited(1, 1000 * BILLION),
    "10000000",
    "The largest POST body in bytes.",
)
.read_again();

pub(in crate::config) const MAX_UPLOAD_MEMORY: &Key = &Key::with_default(
    "MaxUploadMemory",
    ValueKind::or_unlimited(1_000_000, 1000 * BILLION),
    "50000000",
    "How many bytes of POST bodies are held at the same time; of each, 16 KB are not counted. A body that finds no room waits for some seconds and is then refused; meanwhile those of which nothing came for two seconds lose what they hold. There is always room for one of MaxFileUploadSize, if that is not unlimited. While a body is read, stored and performed, it takes up to ten times its size.",
)
.read_again();

pub(in crate::config) const MAX_REPLY_MEMORY: &Key = &Key::with_default(
    "MaxReplyMemory",
    ValueKind::or_unlimited(1_000_000, 1000 * BILLION),
    "50000000",
    "How many bytes of replies of over 64 KB are held at the same time, until their clients have taken them. One that finds no room waits for some seconds and is then refused; one that is larger has to be alone. Long lists are sent in smaller pieces meanwhile.",
)
.read_again();

pub(in crate::config) const MAX_CONNECTIONS_PER_CLIENT: &Key = &Key::with_default(
    "MaxConnectionsPerClient",
    ValueKind::from_to(0, 1_000_000),
    "0",
    "How many connections a client may have at a time, on both ports together; 0 is unlimited. One beyond has a second to send a request, is answered with an error that says so, and closed; whoever has more than twice as many and 16 is not answered. A client is an address, of IPv6 a network of 64 bits. Connections of TrustedProxies do not count.",
)
.read_again();

pub(in crate::config) const MAX_REQUESTS_PER_SECOND_PER_CLIENT: &Key = &Key::with_default(
    "MaxRequestsPerSecondPerClient",
    ValueKind::from_to(0, 1_000_000),
    "0",
    "How many requests a second a client may send, on both ports together, and as many at once after a second without any; 0 is unlimited. What is beyond is answered with an error that says so, and does not count. A client is an address, of IPv6 a network of 64 bits; behind TrustedProxies it is the one that X-Forwarded-For names.",
)
.read_again();

pub(in crate::config) const EVENT_HISTORY: &Key = &Key::with_default(
    "EventHistory",
    ValueKind::from_to(0, 1_000_000),
    "10000",
    "How many of the latest events are kept for clients that listen at /events and come back, from the first listener on; 0 closes /events. They take up to 1 KB of memory each; where errors and stages are long, fewer are kept.",
);

pub(in crate::config) const MAX_EVENT_LISTENERS: &Key = &Key::with_default(
    "MaxEventListeners",
    ValueKind::from_to(1, 100_000),
    "10000",
    "How many clients may listen at /events at a time; one more is refused. Each takes up to 70 KB of memory.",
);

pub(in crate::config) const REQUEST_TIMEOUT: &Key = &Key::with_default(
    "RequestTimeout",
    ValueKind::from_to(1, DAY),
    "30",
    "How many seconds a client may take to send the head of a request, and as many for its body, plus one for each 1000 bytes of it.",
);

pub(in crate::config) const REPLY_TIMEOUT: &Key = &Key::with_default(
    "ReplyTimeout",
    ValueKind::from_to(1, DAY),
    "60",
    "After how many seconds in which a client takes nothing of its reply the connection is closed. Whatever runs or waits for a client alone ends a second after that has ended its side of the connection.",
);

pub(in crate::config) const IDLE_TIMEOUT: &Key = &Key::with_default(
    "IdleTimeout",
    ValueKind::from_to(1, DAY),
    "75",
    "How many seconds a connection is kept for the next request, at least 2; replies say two seconds less, at least 1 (Keep-Alive). One on which nothing was ever sent is closed after RequestTimeout.",
);

pub(in crate::config) const ADMIN_PAGE: &Key = &Key::with_default(
    "AdminPage",
    ValueKind::Boolean,
    "true",
    "Whether there is a page for people at /admin. It allows nobody more than the actions do.",
);

pub(in crate::config) const ADMIN_SECRET: &Key = &Key::optional(
    "AdminSecret",
    ValueKind::Text,
    "at least 32 random characters",
    "What signs the sessions of the admin page. Servers with the same one know each other's, as behind a balancer; without one each server has its own, and users sign in again after it has started again.",
);

pub(in crate::config) const ADMIN_SECRET_FILE: &Key = &Key::optional(
    "AdminSecretFile",
    ValueKind::Path,
    "/etc/actiond/admin.secret",
    "A file whose first line is the AdminSecret.",
);

pub(in crate::config) const STRICT_ACTION_VALIDATION: &Key = &Key::with_default(
    "StrictActionValidation",
    ValueKind::Boolean,
    "false",
    "Whether a parameter that an action does not know is an error; otherwise it is ignored.",
)
.read_again();

pub(in crate::config) const SSL_CONFIG: &Key = &Key::optional(
    "SSLConfig",
    ValueKind::Name,
    "SSLOption0",
    "The section with the certificate of this port, which then speaks TLS and nothing else. Without it the port speaks plain HTTP.",
)
.read_again();

pub(in crate::config) const SSL_METHOD: &Key = &Key::with_default(
    "SSLMethod",
    ValueKind::OneOf(&["Negotiate", "None"]),
    "Negotiate",
    "Negotiate speaks TLS 1.2 or 1.3, as the client does; None is plain HTTP.",
)
.read_again();

pub(in crate::config) const SSL_CERTIFICATE: &Key = &Key::optional(
    "SSLCertificate",
    ValueKind::Path,
    "./tls/server.crt",
    "The file of the server's certificate, and below it those of its authorities: PEM, or DER. The section must have it. The files are read again when they change.",
)
.read_again();

pub(in crate::config) const SSL_PRIVATE_KEY: &Key = &Key::optional(
    "SSLPrivateKey",
    ValueKind::Path,
    "./tls/server.key",
    "The file of the certificate's private key: PKCS#8, PKCS#1 or SEC1. The section must have it.",
)
.read_again();

pub(in crate::config) const SSL_PRIVATE_KEY_PASSWORD: &Key = &Key::optional(
    "SSLPrivateKeyPassword",
    ValueKind::Text,
    "secret",
    "The password of the private key, if that is encrypted (PKCS#8).",
)
.read_again();

pub(in crate::config) const SSL_PRIVATE_KEY_PASSWORD_FILE: &Key = &Key::optional(
    "SSLPrivateKeyPasswordFile",
    ValueKind::Path,
    "./tls/password.txt",
    "A file with that password on its first line, in place of SSLPrivateKeyPassword.",
)
.read_again();

pub(in crate::config) const SSL_CA_CERTIFICATE: &Key = &Key::optional(
    "SSLCACertificate",
    ValueKind::Path,
    "./tls/clients.crt",
    "The file of the authorities that sign certificates of clients. With it clients are asked for theirs, and bad ones are refused.",
)
.read_again();

pub(in crate::config) const SSL_CHECK_CERTIFICATE: &Key = &Key::with_default(
    "SSLCheckCertificate",
    ValueKind::Boolean,
    "false",
    "Whether a client must have a certificate; it needs SSLCACertificate.",
)
.read_again();

pub(in crate::config) const ADMIN_CLIENTS: &Key = &Key::optional(
    "AdminClients",
    ValueKind::Clients,
    "localhost",
    "Clients with the standard role Admin, as a role of its own would have them. Roles say more.",
)
.read_again();

pub(in crate::config) const QUERY_CLIENTS: &Key = &Key::optional(
    "QueryClients",
    ValueKind::Clients,
    "localhost,10.0.0.0/8",
    "Clients with the standard role Query, as a role of its own would have them. Roles say more.",
)
.read_again();

pub(in crate::config) const TRUSTED_PROXIES: &Key = &Key::optional(
    "TrustedProxies",
    ValueKind::Clients,
    "10.0.0.7",
    "Proxies whose header X-Forwarded-For is believed: it says who the client is. A request that any other sender has forwarded has no address that a role could let in, but for *. All addresses can't be trusted.",
)
.read_again();

pub(in crate::config) const SERVICE_PORT: &Key = &Key::optional(
    "ServicePort",
    ValueKind::from_to(0, 65_535),
    "7002",
    "The service port, at the same addresses; 0 takes any free one. Without it there is none.",
);

pub(in crate::config) const SERVICE_STATUS_CLIENTS: &Key = &Key::optional(
    "ServiceStatusClients",
    ValueKind::Clients,
    "*",
    "Clients with the standard role ServiceStatus, as a role of its own would have them.",
)
.read_again();

pub(in crate::config) const SERVICE_CONTROL_CLIENTS: &Key = &Key::optional(
    "ServiceControlClients",
    ValueKind::Clients,
    "localhost",
    "Clients with the standard role ServiceControl, as a role of its own would have them.",
)
.read_again();
