//! TLS by rustls: the certificates of a port, which are read again while it is open, and the handshake with its clients.
//!
//! [`Tls::load`] reads and checks the files, [`crate::http::server::Listener::tls`] takes the result, and [`Tls::watch`] follows
//! the files. A connection keeps what it began with; the next handshake takes what was read last.
//!
//! | file | contents |
//! |---|---|
//! | here | [`TlsOptions`] and [`Tls`]: what to read, and what was read |
//! | `client.rs` | the same for connections that the server makes itself |
//! | `accept.rs` | the handshake with a client: its deadline, clients that speak plain HTTP, the log of those that failed |
//! | `stream.rs` | a connection, with TLS or without |
//! | `watch.rs` | notices changed files, and certificates that are about to expire |
//! | `files.rs` | the bytes of the files, and the marks of a change |
//! | `pem.rs` | certificates and private keys out of bytes; pure |
//! | `certificate.rs` | what a certificate says: its dates and names; pure |
//! | `error.rs` | [`TlsError`]: the file, and what is wrong with it |
//!
//! Nothing here knows HTTP, but for the answer to those that speak it without TLS.

mod accept;
mod certificate;
mod client;
mod error;
mod files;
mod pem;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actiond_actors::clock::{Clock as _, SystemClock};
use chrono::{DateTime, Utc};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use accept::Failures;
use certificate::Certificate;
pub use client::{ClientIdentity, ClientTls};
pub use error::{Problem, TlsError};
use files::{Bytes, Seen};
pub(crate) use stream::Stream;
pub use watch::LOOK_EVERY;

/// The files of a port that speaks TLS, and whether its clients must have a certificate. The files are PEM, or DER.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The server's certificate, followed by those between it and its authority (`SSLCertificate`).
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, also encrypted, PKCS#1 or SEC1 (`SSLPrivateKey`).
    pub private_key: PathBuf,
    /// The password of the private key (`SSLPrivateKeyPassword`).
    pub private_key_password: Option<String>,
    /// The certificates of the authorities that sign those of clients (`SSLCACertificate`). With it a client is asked for
    /// its certificate, and a bad one ends the handshake.
    pub ca_certificate: Option<PathBuf>,
    /// True if a client must have a certificate (`SSLCheckCertificate`).
    pub check_certificate: bool,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("certificate", &self.certificate)
            .field("private_key", &self.private_key)
            .field("private_key_password", &self.private_key_password.as_ref().map(|_| "..."))
            .field("ca_certificate", &self.ca_certificate)
            .field("check_certificate", &self.check_certificate)
            .finish()
    }
}

/// The certificate of a port, and what it asks of clients: TLS 1.2 and 1.3, HTTP/1.1. All clones are one.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    /// Taken for a moment only; a file is never read meanwhile.
    loaded: Mutex<Loaded>,
    /// Held while the files are read, so that the last to look has the last word.
    reading: Mutex<()>,
    failures: Failures,
}

/// The contents of the files, as they were read.
#[derive(Clone)]
struct Loaded {
    options: Arc<TlsOptions>,
    config: Arc<ServerConfig>,
    certificate: Arc<Certificate>,
    /// The problem of another certificate of the file than the first, which some clients may not need.
    problem_of_another: Option<Problem>,
    /// Those that certificates of clients are verified by, if there are any.
    authorities: Authorities,
    /// The files, as they were before they were read.
    seen: Seen,
    /// Of all that makes a difference to clients.
    digest: [u8; 32],
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("options", &self.options()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads and checks the files. Blocks while they are read.
    ///
    /// A private key that every user of the machine may read, other certificates in the file that have expired, and authorities
    /// that are not valid now, by which nobody is let in, are warnings in the log.
    ///
    /// # Errors
    ///
    /// The first file that can't be used, and why; or a client certificate is required that nothing could be checked by.
    pub fn load(options: TlsOptions) -> Result<Self, TlsError> {
        let loaded = Loaded::read(options, now())?;
        warn_of_others(&loaded);
        let (loaded, reading) = (Mutex::new(loaded), Mutex::new(()));
        Ok(Self(Arc::new(Shared { loaded, reading, failures: Failures::default() })))
    }

    /// Reads and checks the files as [`load`](Self::load) does, for the error alone: nothing is logged. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn check(options: &TlsOptions) -> Result<(), TlsError> {
        Loaded::read(options.clone(), now()).map(drop)
    }

    /// Reads the files again, and returns true if they have changed. The next handshake takes them; connections stay as
    /// they are. Blocks while the files are read.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). All stays as it was then.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.read_again(None)
    }

    /// Takes other options for the same port, and returns true if anything has changed for clients. It is as
    /// [`reload`](Self::reload) otherwise, and [`watch`](Self::watch) follows the files of these options from here on.
    /// [`reload_and_log`](Self::reload_and_log) does not block.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). All stays as it was then, the options too.
    pub fn reload_with(&self, options: TlsOptions) -> Result<bool, TlsError> {
        self.read_again(Some(options))
    }

    fn read_again(&self, options: Option<TlsOptions>) -> Result<bool, TlsError> {
        let _reading = lock(&self.0.reading);
        let options = options.unwrap_or_else(|| TlsOptions::clone(&self.options()));
        let fresh = Loaded::read(options, now())?;
        let mut loaded = lock(&self.0.loaded);
        if fresh.digest == loaded.digest {
            // The sessions that clients resume stay, too.
            (loaded.options, loaded.seen) = (fresh.options, fresh.seen);
            loaded.authorities = fresh.authorities;
            return Ok(false);
        }
        warn_of_others(&fresh);
        *loaded = fresh;
        Ok(true)
    }

    /// Returns the options by which it was loaded last.
    #[must_use]
    pub fn options(&self) -> Arc<TlsOptions> {
        Arc::clone(&lock(&self.0.loaded).options)
    }

    /// Returns the time at which the certificate in use expires.
    #[must_use]
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.certificate().not_after
    }

    fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&lock(&self.0.loaded).certificate)
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.0.loaded).config)
    }

    /// Returns true if other authorities are valid than those that are in use.
    fn has_outdated_authorities(&self, now: DateTime<Utc>) -> bool {
        lock(&self.0.loaded).authorities.outdated_at.is_some_and(|at| now > at)
    }

    /// Returns the time from which on no authority is valid.
    fn end_of_authorities(&self) -> Option<DateTime<Utc>> {
        lock(&self.0.loaded).authorities.end
    }

    fn seen(&self) -> Seen {
        lock(&self.0.loaded).seen.clone()
    }
}

impl Loaded {
    fn read(options: TlsOptions, now: DateTime<Utc>) -> Result<Self, TlsError> {
        if options.check_certificate && options.ca_certificate.is_none() {
            return Err(TlsError::NoAuthority);
        }
        let seen = Seen::look(&options);
        let bytes = Bytes::read(&options)?;
        let of_certificate = |problem| files::error(&options.certificate, problem);
        let of_key = |problem| files::error(&options.private_key, problem);

        let chain = pem::certificates(&bytes.certificate).map_err(of_certificate)?;
        let read = chain.iter().map(|der| certificate::read(der));
        let read = read.collect::<Result<Vec<_>, _>>().map_err(of_certificate)?;
        let mut read = read.into_iter();
        let first = read.next().ok_or_else(|| of_certificate(Problem::NoCertificate))?;
        first.check(now).map_err(of_certificate)?;
        let problem_of_another = read.find_map(|other| other.check(now).err());
        let key = pem::private_key(&bytes.private_key, options.private_key_password.as_deref());
        let key = key.map_err(of_key)?;

        let provider = Arc::new(default_provider());
        let damaged = |failed: rustls::Error| Problem::Damaged(failed.to_string());
        // The default versions are TLS 1.2 and 1.3, and there are no others.
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|failed| of_certificate(damaged(failed)))?;
        let mut authorities = Authorities::default();
        let of_authorities = options.ca_certificate.as_deref().zip(bytes.ca_certificate.as_deref());
        let builder = match of_authorities {
            None => builder.with_no_client_auth(),
            Some((path, bytes)) => {
                let roots;
                (roots, authorities) =
                    authorities_of(bytes, now).map_err(|problem| files::error(path, problem))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match options.check_certificate {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                let failed = |failed: rustls::server::VerifierBuilderError| {
                    files::error(path, Problem::Damaged(failed.to_string()))
                };
                builder.with_client_cert_verifier(verifier.build().map_err(failed)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|failed| match failed {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                of_key(Problem::OtherKey(options.certificate.clone()))
            }
            rustls::Error::InvalidCertificate(_) => of_certificate(damaged(failed)),
            _ => of_key(damaged(failed)),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificate: Arc::new(first),
            problem_of_another,
            seen,
            digest: digest(&bytes, &authorities, options.check_certificate),
            authorities,
            options: Arc::new(options),
        })
    }
}

/// The authorities, beside their certificates.
#[derive(Debug, Clone, Default)]
struct Authorities {
    /// Those that have expired or are not valid yet, and so verify nothing: the subject of each, and what is wrong with it.
    left_out: Vec<(String, Problem)>,
    /// The time from which on others are valid than now.
    outdated_at: Option<DateTime<Utc>>,
    /// The time from which on none is valid any more.
    end: Option<DateTime<Utc>>,
}

/// Returns the authorities that are valid now; rustls never asks for the dates of one.
fn authorities_of(
    bytes: &[u8],
    now: DateTime<Utc>,
) -> Result<(RootCertStore, Authorities), Problem> {
    let mut roots = RootCertStore::empty();
    let mut known = Authorities::default();
    for der in pem::certificates(bytes)? {
        let authority = certificate::read(&der)?;
        if !authority.is_authority {
            return Err(Problem::NotAnAuthority(authority.subject().to_owned()));
        }
        let next =
            [authority.not_before, authority.not_after].into_iter().find(|time| now <= *time);
        known.outdated_at = known.outdated_at.into_iter().chain(next).min();
        match authority.check(now) {
            Ok(()) => {
                roots.add(der).map_err(|failed| Problem::Damaged(failed.to_string()))?;
                known.end = known.end.max(Some(authority.not_after));
            }
            Err(problem) => known.left_out.push((authority.subject().to_owned(), problem)),
        }
    }
    match known.left_out.first() {
        Some((subject, problem)) if roots.is_empty() => {
            Err(Problem::NoValidAuthority(subject.clone(), Box::new(problem.clone())))
        }
        _ => Ok((roots, known)),
    }
}

/// Returns the digest of all that makes a difference to clients.
fn digest(bytes: &Bytes, authorities: &Authorities, check_certificate: bool) -> [u8; 32] {
    // With the dates: a renewed authority has the name of the one before it.
    let left_out = authorities.left_out.iter();
    let left_out: String = left_out.map(|(subject, why)| format!("{subject}: {why}\n")).collect();
    let authorities = bytes.ca_certificate.as_deref().unwrap_or_default();
    let all = [bytes.certificate.as_slice(), &bytes.private_key, authorities, left_out.as_bytes()];
    let sum = Sha256::new().chain_update([u8::from(check_certificate)]);
    let sum = all
        .iter()
        .fold(sum, |sum, file| sum.chain_update(file.len().to_le_bytes()).chain_update(file));
    sum.finalize().into()
}

/// Warns of what is no reason to stop.
fn warn_of_others(loaded: &Loaded) {
    let options = &loaded.options;
    let (certificate, key): (&Path, &Path) = (&options.certificate, &options.private_key);
    if files::is_readable_by_all(key) {
        log::warn!("{}: every user of this machine may read this private key", key.display());
    }
    if let Some(problem) = &loaded.problem_of_another {
        log::warn!("{}: another certificate than the first: {problem}", certificate.display());
    }
    let authorities = options.ca_certificate.as_deref().unwrap_or(Path::new(""));
    for (subject, problem) in &loaded.authorities.left_out {
        log::warn!("{}: the authority {subject} is left out: {problem}", authorities.display());
    }
    log::debug!(
        "{}: names in the certificate: {:?}",
        certificate.display(),
        loaded.certificate.names
    );
}

/// Returns the present time.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(SystemClock.now().millis()).unwrap_or_default()
}

/// Locks a mutex. What it guards is replaced as a whole, so a panic elsewhere has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
