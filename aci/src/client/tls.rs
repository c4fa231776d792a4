//! HTTPS: rustls with the cryptography of ring.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// The certificates that are trusted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Those that the system trusts.
    System,
    /// Those that come from one of these certificates, as PEM.
    Only(Vec<u8>),
}

/// Makes the configuration. The error says what is wrong with the certificates. With no trusted certificate no connection is
/// made either.
pub(super) fn config(trust: Option<&Trust>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match trust {
        None => {}
        Some(Trust::System) => {
            let builder = builder.with_platform_verifier().map_err(|error| error.to_string())?;
            return Ok(builder.with_no_client_auth());
        }
        Some(Trust::Only(pem)) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate =
                    certificate.map_err(|error| format!("no certificate to trust: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("no certificate to trust: {error}"))?;
            }
            if roots.is_empty() {
                return Err("there is no certificate to trust".to_owned());
            }
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
