//! TLS of the connections that this server makes: whom it trusts, and the certificate that it shows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::error::{Problem, TlsError};
use super::{certificate, files, now, pem};

/// The options of such connections. The certificate of the other side is always checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificates by which others are trusted (`SSLCACertificate`); without it those that the system trusts.
    pub ca_certificate: Option<PathBuf>,
    /// The certificate that is shown to whoever asks for one.
    pub identity: Option<ClientIdentity>,
}

/// A certificate that is shown, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, followed by those between it and its authority (`SSLCertificate`).
    pub certificate: PathBuf,
    /// Its private key (`SSLPrivateKey`).
    pub private_key: PathBuf,
    /// The password of the private key (`SSLPrivateKeyPassword`).
    pub private_key_password: Option<String>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("certificate", &self.certificate)
            .field("private_key", &self.private_key)
            .finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files and makes a configuration of them. Blocks while they are read.
    ///
    /// # Errors
    ///
    /// The first file that can't be used, and why; or the system trusts nobody.
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        let builder = match &self.ca_certificate {
            Some(path) => builder()?.with_root_certificates(roots(path)?),
            None => builder()?
                .with_platform_verifier()
                .map_err(|failed| TlsError::NobodyTrusted(failed.to_string()))?,
        };
        match &self.identity {
            Some(identity) => identity.show_by(builder),
            None => Ok(builder.with_no_client_auth()),
        }
    }

    /// Makes a configuration by which nobody is trusted.
    ///
    /// # Errors
    ///
    /// There is none to be expected.
    pub(crate) fn nobody() -> Result<ClientConfig, TlsError> {
        Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    // The default versions are TLS 1.2 and 1.3, and there are no others.
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|failed| TlsError::NobodyTrusted(failed.to_string()))
}

/// Reads those who are trusted. A certificate that signed itself may be among them.
fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let of_file = |problem| files::error(path, problem);
    let mut roots = RootCertStore::empty();
    for der in pem::certificates(&files::read(path)?).map_err(of_file)? {
        certificate::read(&der).map_err(of_file)?.check(now()).map_err(of_file)?;
        roots.add(der).map_err(|failed| of_file(Problem::Damaged(failed.to_string())))?;
    }
    Ok(roots)
}

impl ClientIdentity {
    fn show_by(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> Result<ClientConfig, TlsError> {
        let of_certificate = |problem| files::error(&self.certificate, problem);
        let of_key = |problem| files::error(&self.private_key, problem);
        let chain = pem::certificates(&files::read(&self.certificate)?).map_err(of_certificate)?;
        let first = chain.first().ok_or_else(|| of_certificate(Problem::NoCertificate))?;
        certificate::read(first).and_then(|first| first.check(now())).map_err(of_certificate)?;
        let key = files::read(&self.private_key)?;
        let key = pem::private_key(&key, self.private_key_password.as_deref()).map_err(of_key)?;
        builder.with_client_auth_cert(chain, key).map_err(|failed| match failed {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                of_key(Problem::OtherKey(self.certificate.clone()))
            }
            failed => of_key(Problem::Damaged(failed.to_string())),
        })
    }
}
