//! The files of certificates and keys: their bytes, and the marks by which a change is noticed.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::Path;

use super::TlsOptions;
use super::error::{Problem, TlsError};

/// The largest file that is read; those with the certificates of all public authorities have about 300 KB.
const MAX_SIZE: u64 = 4 << 20;

/// The bytes of all files.
pub(super) struct Bytes {
    pub(super) certificate: Vec<u8>,
    pub(super) private_key: Vec<u8>,
    pub(super) ca_certificate: Option<Vec<u8>>,
}

impl Bytes {
    pub(super) fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&options.certificate)?,
            private_key: read(&options.private_key)?,
            ca_certificate: options.ca_certificate.as_deref().map(read).transpose()?,
        })
    }
}

/// Returns an error about this file.
pub(super) fn error(path: &Path, problem: Problem) -> TlsError {
    TlsError::File { path: path.to_owned(), problem }
}

/// Reads a file of the size that certificates and keys have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |failed: std::io::Error| error(path, Problem::Unreadable(failed.to_string()));
    // Before it is opened: that would wait for ever for the other end of a pipe.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(error(path, Problem::NoFile));
    }
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > MAX_SIZE {
        return Err(error(path, Problem::TooLarge(size)));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Returns true if every user of the machine may read this file.
pub(super) fn is_readable_by_all(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// The marks of the three files, which are taken without reading them: a change of their bytes changes these. Links are
/// followed, so that one that points elsewhere is a change, also if it is the link of a directory above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen([Option<Mark>; 3]);

impl Seen {
    pub(super) fn look(options: &TlsOptions) -> Self {
        let mark = |path: &Path| fs::metadata(path).ok().map(|file| Mark::of(&file));
        Self([
            mark(&options.certificate),
            mark(&options.private_key),
            options.ca_certificate.as_deref().and_then(mark),
        ])
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    size: u64,
    modified: Option<std::time::SystemTime>,
    /// Device, inode and time of the last change of either: that of the bytes can be set back by whoever copies a file.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl Mark {
    fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            size: file.len(),
            modified: file.modified().ok(),
            #[cfg(unix)]
            identity: (file.dev(), file.ino(), file.ctime(), file.ctime_nsec()),
        }
    }
}
