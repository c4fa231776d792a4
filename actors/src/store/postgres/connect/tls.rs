//! TLS to the database: what `sslmode` and `sslrootcert` mean, as rustls is told it.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::files;
use super::options::{Root, Ssl, SslMode};

/// The protocol that the server is told where TLS begins without a question before.
const PROTOCOL: &[u8] = b"postgresql";

/// Reads the certificates, and makes the settings of a handshake.
///
/// # Errors
///
/// The text names the file and what is wrong with it.
pub(super) fn configure(ssl: &Ssl) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &ssl.root {
        Some(Root::System) => {
            let failed = |error| format!("the authorities of the system can't be read: {error}");
            builder.with_platform_verifier().map_err(failed)?
        }
        root => {
            let trusted = match root {
                Some(Root::File(file)) => Some(Trusted::read(file)?),
                _ => None,
            };
            // A file of authorities is meant to be used, whatever the mode: so it is with libpq.
            let verifier = Verifier { trusted, named: ssl.mode == SslMode::VerifyFull, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match &ssl.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let failed = |error: String| format!("{}: {error}", key.display());
            let pem = read(key, check_key_file)?;
            let private =
                PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(error.to_string()))?;
            let certificate = certificate.display();
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| format!("{certificate} and {}: {error}", key.display()))?
        }
    };
    if ssl.direct {
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
    }
    Ok(config)
}

/// Reads a file that has to be there.
fn read(
    file: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let read = files::read(file, check).map_err(|why| format!("{}: {why}", file.display()))?;
    read.ok_or_else(|| format!("{}: there is no such file", file.display()))
}

/// Reads the certificates of a file, at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: rustls::pki_types::pem::Error| format!("{}: {error}", file.display());
    let pem = read(file, |_| Ok(()))?;
    let read = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(failed)?;
    if read.is_empty() {
        return Err(format!("{}: there is no certificate in it", file.display()));
    }
    Ok(read)
}

/// Refuses the file of a private key that others may read, as libpq does. The system's administrator may share one with a
/// group.
fn check_key_file(about: &Metadata) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (forbidden, allowed) = if about.uid() == 0 { (0o037, "0640") } else { (0o077, "0600") };
        if about.mode() & forbidden != 0 {
            return Err(format!(
                "others may use this private key; it must have the mode {allowed} or less"
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = about;
    Ok(())
}

/// The certificates of `sslrootcert`.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    given: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn read(file: &Path) -> Result<Self, String> {
        let given = certificates(file)?;
        let mut roots = RootCertStore::empty();
        for certificate in &given {
            let failed = |error| format!("{}: {error}", file.display());
            roots.add(certificate.clone()).map_err(failed)?;
        }
        Ok(Self { roots, given })
    }
}

/// Verifies the server's certificate as far as it is asked to. That the server has the key of the certificate is always
/// verified: SCRAM may be bound to that.
#[derive(Debug)]
struct Verifier {
    /// Without them any certificate is taken.
    trusted: Option<Trusted>,
    /// The certificate has to be for the name of the host.
    named: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &trusted.roots,
            intermediates,
            now,
            algorithms,
        );
        match signed {
            // A certificate that has signed itself is an authority, and would not do for a server. Listed, it is meant all the
            // same; what its dates say has been looked at before.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if trusted.given.iter().any(|given| given.as_ref() == end_entity.as_ref()) => {}
            signed => signed?,
        }
        if self.named {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
