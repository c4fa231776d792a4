//! Why certificates can't be used. The texts name files of the server, so they are for its log and never for a client.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// The reason for which TLS can't begin, or for which changed files are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file, as it is named in the options.
        path: PathBuf,
        /// The reason.
        problem: Problem,
    },
    /// A client certificate is required, and nothing says which ones are good.
    #[error(
        "a client certificate can't be required (SSLCheckCertificate=true) without the certificates of the authorities that \
         sign them: set SSLCACertificate"
    )]
    NoAuthority,
    /// The system trusts no authority, so that nobody could be reached by `https`.
    #[error("no certificate of another server can be checked: {0}")]
    NobodyTrusted(String),
}

/// The reason for which a file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The system doesn't let it be read.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// It is a directory, or something else that is no file.
    #[error("is no regular file")]
    NoFile,
    /// It is far larger than certificates and keys are.
    #[error("is too large for a certificate or a key ({0} bytes)")]
    TooLarge(u64),
    /// It holds no certificate.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// It holds no private key.
    #[error("there is no private key in it")]
    NoKey,
    /// Its contents are damaged, or of a kind that isn't taken.
    #[error("can't be used: {0}")]
    Damaged(String),
    /// Its key is encrypted in the way of old versions of OpenSSL.
    #[error(
        "the private key is encrypted in the old way (Proc-Type: 4,ENCRYPTED), which is not supported: convert it by \
         \"openssl pkcs8 -topk8 -in OLD -out NEW\""
    )]
    OldEncryption,
    /// Its key is encrypted by a method that isn't supported.
    #[error(
        "the private key is encrypted by a method that is not supported ({0}): convert it by \
         \"openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW\""
    )]
    UnknownEncryption(String),
    /// Its key is encrypted, and there is no password.
    #[error("the private key is encrypted: set its password (SSLPrivateKeyPassword)")]
    PasswordMissing,
    /// The password doesn't fit.
    #[error("the password of the private key is wrong (SSLPrivateKeyPassword)")]
    WrongPassword,
    /// The private key is that of another certificate.
    #[error("the private key does not belong to the first certificate in {}", .0.display())]
    OtherKey(PathBuf),
    /// A certificate among those of authorities is none of an authority.
    #[error(
        "the certificate of {0} is none of an authority (its basic constraints don't say that it may sign others)"
    )]
    NotAnAuthority(String),
    /// All authorities have expired, or are not valid yet; the subject of the first, and what is wrong with it.
    #[error("none of the authorities in it is valid now: {0}: {1}")]
    NoValidAuthority(String, Box<Problem>),
    /// The certificate is no longer valid.
    #[error("the certificate expired on {}", date(.0))]
    Expired(DateTime<Utc>),
    /// The certificate is not valid yet.
    #[error("the certificate is not valid before {}", date(.0))]
    NotYetValid(DateTime<Utc>),
}

/// Writes a time as it is shown in errors and in the log.
pub(super) fn date(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
