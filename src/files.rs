//! Files and directories that the server makes for its own user alone, and paths that lead to one place.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Returns options for opening a file, by which one that is made can be read by nobody else.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a directory that nobody else can enter, and those above it, where they are not there.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns true if both paths lead to the same place that is there.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Returns the type of the file system of a directory, such as `ext4`; `None` if the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn file_system_type(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = procfs::process::Process::myself().and_then(|process| process.mountinfo()).ok()?;
    // What was mounted last at a place hides what was there before.
    let at = mounts.into_iter().filter(|mount| directory.starts_with(&mount.mount_point));
    let at = at.max_by_key(|mount| mount.mount_point.components().count());
    at.map(|mount| mount.fs_type)
}

/// Returns the type of the file system of a directory, such as `ext4`; `None` if the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn file_system_type(_: &Path) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_file_system_is_that_of_the_nearest_mount() {
        assert_eq!(file_system_type(Path::new("/proc/self")).as_deref(), Some("proc"));
        assert_ne!(file_system_type(Path::new("/")), None);
        assert_eq!(file_system_type(Path::new("/no/such/directory")), None);
    }
}
