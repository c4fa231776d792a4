//! Certificates and private keys out of the bytes of a file: PEM, or DER. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

use super::certificate;
use super::error::Problem;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// A part of a PEM file.
struct Section<'a> {
    label: &'a str,
    /// True if it has the header lines of an old encryption.
    is_encrypted: bool,
    der: Vec<u8>,
}

/// Returns the parts of a PEM file; `None` for one that is none.
fn sections(bytes: &[u8]) -> Option<Result<Vec<Section<'_>>, Problem>> {
    let text = str::from_utf8(bytes).ok()?;
    text.contains(BEGIN).then(|| {
        let mut lines = text.lines().map(str::trim);
        let mut sections = Vec::new();
        while let Some(line) = lines.next() {
            let label = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES));
            if let Some(label) = label {
                sections.push(section(label, &mut lines)?);
            }
        }
        Ok(sections)
    })
}

/// Reads the rest of a section whose first line was read.
fn section<'a>(
    label: &'a str,
    lines: &mut impl Iterator<Item = &'a str>,
) -> Result<Section<'a>, Problem> {
    let end = format!("-----END {label}-----");
    let (mut is_encrypted, mut text) = (false, String::new());
    loop {
        let line = lines
            .next()
            .ok_or_else(|| Problem::Damaged(format!("the section {label} has no end")))?;
        if line == end {
            break;
        }
        // A header, which base64 can't hold.
        if line.contains(':') {
            is_encrypted |= line.starts_with("Proc-Type:") && line.contains("ENCRYPTED");
        } else {
            text.push_str(line);
        }
    }
    if is_encrypted {
        return Ok(Section { label, is_encrypted, der: Vec::new() });
    }
    let damaged = |_| Problem::Damaged(format!("the section {label} is no base64"));
    Ok(Section { label, is_encrypted, der: STANDARD.decode(text).map_err(damaged)? })
}

/// Returns the certificates of a file, at least one.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let Some(sections) = sections(bytes) else {
        let is_certificate = certificate::read(bytes).is_ok();
        return is_certificate
            .then(|| vec![CertificateDer::from(bytes.to_vec())])
            .ok_or(Problem::NoCertificate);
    };
    let is_certificate = |label| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE");
    let found: Vec<_> = sections?
        .into_iter()
        .filter(|section| is_certificate(section.label))
        .map(|section| CertificateDer::from(section.der))
        .collect();
    if found.is_empty() { Err(Problem::NoCertificate) } else { Ok(found) }
}

/// Returns the first private key of a file.
pub(super) fn private_key(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<PrivateKeyDer<'static>, Problem> {
    let Some(sections) = sections(bytes) else {
        return key_of_der(bytes, password);
    };
    for section in sections? {
        let key = match section.label {
            "ENCRYPTED PRIVATE KEY" => return decrypted(&section.der, password),
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(section.der).into(),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if section.is_encrypted => {
                return Err(Problem::OldEncryption);
            }
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(section.der).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(section.der).into(),
            other if other.ends_with("PRIVATE KEY") => {
                return Err(Problem::Damaged(format!(
                    "a key of the kind {other} is not supported"
                )));
            }
            // Certificates, and the parameters of curves.
            _ => continue,
        };
        return Ok(key);
    }
    Err(Problem::NoKey)
}

fn key_of_der(der: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, Problem> {
    if EncryptedPrivateKeyInfoRef::try_from(der).is_ok() {
        return decrypted(der, password);
    }
    // It only looks at the first bytes.
    PrivateKeyDer::try_from(der.to_vec()).map_err(|_| Problem::NoKey)
}

fn decrypted(der: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, Problem> {
    use pkcs8::pkcs5::Error::{
        AlgorithmParametersInvalid, NoPbes1CryptSupport, UnsupportedAlgorithm,
    };
    // A method that the parser does not know looks to it like damage.
    let unknown = |failed: pkcs8::Error| Problem::UnknownEncryption(failed.to_string());
    let key = EncryptedPrivateKeyInfoRef::try_from(der).map_err(unknown)?;
    let key =
        key.decrypt(password.ok_or(Problem::PasswordMissing)?).map_err(|failed| match failed {
            pkcs8::Error::EncryptedPrivateKey(
                AlgorithmParametersInvalid { .. }
                | NoPbes1CryptSupport
                | UnsupportedAlgorithm { .. },
            ) => unknown(failed),
            _ => Problem::WrongPassword,
        })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
