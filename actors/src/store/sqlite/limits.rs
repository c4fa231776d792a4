//! Limits of the system on writes: the maximum size of a file, and files that can't be written.

use std::path::Path;

use rusqlite::ffi;

use crate::store::StoreError;

/// Returns the maximum size of a file of this process, in bytes (`ulimit -f`); `None` if there is no limit.
#[cfg(unix)]
pub(super) fn file_size_limit() -> Option<u64> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (now, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    // On some systems the type has another size.
    #[allow(clippy::useless_conversion, reason = "it is not u64 on every system")]
    (now != RLIM_INFINITY).then(|| now.into())
}

#[cfg(not(unix))]
pub(super) const fn file_size_limit() -> Option<u64> {
    None
}

/// Returns an error that names the first of these files that can't be written for another reason than a full disk: it was
/// made immutable, say, or its disk was remounted read-only.
#[cfg(unix)]
pub(super) fn unwritable(files: &[&Path]) -> Option<StoreError> {
    use nix::unistd::{AccessFlags, access};
    let refused = |path: &Path| access(path, AccessFlags::W_OK).err();
    let (path, error) = files.iter().find_map(|path| Some((path, refused(path)?)))?;
    let error = std::io::Error::from(error);
    Some(StoreError::Io(format!("{} takes no changes: {error}", path.display())))
}

#[cfg(not(unix))]
pub(super) const fn unwritable(_: &[&Path]) -> Option<StoreError> {
    None
}

/// Returns true if the database failed because a write failed.
pub(super) fn is_failed_write(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_extended_error_code(),
        Some(
            ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_DIR_FSYNC
                | ffi::SQLITE_IOERR_TRUNCATE
        )
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_takes_no_changes_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (file, gone) = (directory.path().join("file"), directory.path().join("gone"));
        std::fs::write(&file, "").unwrap();
        assert_eq!(unwritable(&[&file]), None);
        let error = unwritable(&[&file, &gone]).unwrap().to_string();
        assert!(error.contains(gone.to_str().unwrap()), "{error}");
    }
}
