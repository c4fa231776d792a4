//! What the system lets be written: how large a file may become, and which file takes nothing.

use std::path::Path;

use rusqlite::ffi;

use crate::store::StoreError;

/// How large a file of this process may become, in bytes (`ulimit -f`); `None` where nothing limits it.
#[cfg(unix)]
pub(super) fn file_size_limit() -> Option<u64> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (now, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    // A number of other sizes elsewhere.
    #[allow(clippy::useless_conversion, reason = "it is not u64 on every system")]
    (now != RLIM_INFINITY).then(|| now.into())
}

#[cfg(not(unix))]
pub(super) const fn file_size_limit() -> Option<u64> {
    None
}

/// Says which of these files takes no change, whatever room there is, and why: one that was made immutable,
/// say, or whose disk was mounted anew for reading only.
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

/// Whether the database failed because something could not be written.
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
