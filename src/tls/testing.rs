//! Real certificates for tests, in a directory of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

use super::{Tls, TlsOptions};

/// An authority that signs certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Pair {
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// Makes one as described.
    pub(crate) fn with(name: &str, describe: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        describe(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for `localhost` and 127.0.0.1.
    pub(crate) fn for_server(&self) -> Pair {
        self.sign(|params| params.distinguished_name.push(DnType::CommonName, "localhost"))
    }

    /// Signs a certificate for Ada, who is of Ours.
    pub(crate) fn for_ada(&self) -> Pair {
        self.sign(ada)
    }

    /// Signs a certificate as described.
    pub(crate) fn sign(&self, describe: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        describe(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

/// Describes Ada.
pub(crate) fn ada(params: &mut CertificateParams) {
    params.distinguished_name.push(DnType::OrganizationName, "Ours");
    params.distinguished_name.push(DnType::CommonName, "Ada");
    params.subject_alt_names = vec![
        SanType::Rfc822Name("ada@ours.example".try_into().unwrap()),
        SanType::URI("urn:ours:ada".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 7].into()),
    ];
}

/// Makes it one that has expired.
pub(crate) fn expired(params: &mut CertificateParams) {
    ada(params);
    params.not_after = date_time_ymd(2020, 1, 2);
}

/// Makes it one that is not valid yet.
pub(crate) fn early(params: &mut CertificateParams) {
    ada(params);
    params.not_before = date_time_ymd(3000, 1, 2);
}

/// Makes the configuration of a server with these files.
pub(crate) fn server_config(options: &TlsOptions) -> std::sync::Arc<rustls::ServerConfig> {
    Tls::load(options.clone()).unwrap().config()
}

/// A directory with the files of a server.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) authority: Authority,
}

impl Place {
    /// Makes the files of a server, `server.pem` and `server.key`, and its authority, `ca.pem`.
    pub(crate) fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new("Authority"),
        };
        place.write("ca.pem", &place.authority.pem);
        place.renew(&place.authority.for_server());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file at once, as those do that renew certificates.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let (path, fresh) = (self.path(name), self.path("fresh"));
        fs::write(&fresh, bytes).unwrap();
        fs::rename(&fresh, &path).unwrap();
        path
    }

    /// Replaces both files of the server, the certificate first.
    pub(crate) fn renew(&self, pair: &Pair) {
        self.write("server.pem", pair.pem());
        self.write("server.key", pair.key.serialize_pem());
    }

    /// Writes the files of a client, whose paths it returns.
    pub(crate) fn client(&self, pair: &Pair) -> (PathBuf, PathBuf) {
        let key = pair.key.serialize_pem();
        (self.write("client.pem", pair.pem()), self.write("client.key", key))
    }

    pub(crate) fn options(&self) -> TlsOptions {
        TlsOptions {
            certificate: self.path("server.pem"),
            private_key: self.path("server.key"),
            private_key_password: None,
            ca_certificate: None,
            check_certificate: false,
        }
    }

    /// The same, and clients are asked for a certificate, or must have one.
    pub(crate) fn asking(&self, check_certificate: bool) -> TlsOptions {
        let ca_certificate = Some(self.path("ca.pem"));
        TlsOptions { ca_certificate, check_certificate, ..self.options() }
    }

    /// Runs `openssl` in this directory.
    pub(crate) fn openssl(&self, arguments: &str) -> String {
        openssl(self.directory.path(), arguments)
    }
}

fn openssl(directory: &Path, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    let ran = command.args(arguments.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(ran.status.success(), "{arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}
