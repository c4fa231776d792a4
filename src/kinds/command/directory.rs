//! The directory in which a program works: a fresh one for each action, or one for all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use actiond_actors::{ActionContext, StopReason};
use nix::unistd::{Gid, Uid, chown};
use rustix::io::Errno;

use super::result::{Form, Kept};
use crate::documents::beneath::{Root, Stamp};

/// The files of a working directory that win over the standard output.
const RESULTS: [(&str, Form); 2] = [("result.xml", Form::Xml), ("result.json", Form::Json)];

/// The directory below the data directory in which fresh ones are made.
const COMMANDS: &str = "commands";
/// The one for those that may be kept.
const KEPT: &str = "kept";

/// The ends of actions after which their fresh directories are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Never,
    Failed,
    Always,
}

/// The place in which the fresh directories of a queue are made.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory of the queue.
    queue: PathBuf,
    /// That for the actions of this server.
    path: PathBuf,
    keep: Keep,
    owner: Option<(Uid, Gid)>,
}

/// The name that tells the directories of this start of the server from those of others.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartId(u64);

impl StartId {
    pub(super) fn new() -> Self {
        // Without random bytes the time tells starts apart well enough.
        let random = getrandom::u64().ok();
        Self(random.unwrap_or_else(|| u64::from(std::process::id())))
    }
}

impl Place {
    pub(super) fn new(
        data: &Path,
        queue: &str,
        start: StartId,
        keep: Keep,
        owner: Option<(Uid, Gid)>,
    ) -> Self {
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let queue = data.join(COMMANDS).join(queue);
        let path = match keep {
            Keep::Never => queue.join(format!("{:016x}", start.0)),
            Keep::Failed | Keep::Always => queue.join(KEPT),
        };
        Self { queue, path, keep, owner }
    }

    /// Makes a directory for an attempt.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn make(&self, context: &ActionContext) -> io::Result<Fresh> {
        let name = match context.action() {
            Some(action) => format!("{}.{}", action.id, action.attempt),
            None => format!("at-once.{:016x}", StartId::new().0),
        };
        let mut path = self.path.join(&name);
        let make = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Their users go through these, and can't see what others have there.
                DirBuilder::new().recursive(true).mode(0o711).create(&self.path)?;
                make(&path)?;
            }
            // One of another data directory's database, which was put in this one's place.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = self.path.join(format!("{name}.{:016x}", StartId::new().0));
                make(&path)?;
            }
            made => made?,
        }
        let fresh = Fresh { path, keep: self.keep, context: context.clone(), is_left: true };
        if let Some((user, group)) = self.owner {
            chown(&fresh.path, Some(user), Some(group))?;
        }
        Ok(fresh)
    }

    /// Removes what an earlier server left. Directories that may be kept are not touched.
    pub(super) fn clear(&self) {
        let Ok(entries) = fs::read_dir(&self.queue) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path != self.path && entry.file_name() != KEPT {
                remove(&path);
            }
        }
    }
}

/// A fresh directory. When it is dropped it is removed, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Fresh {
    path: PathBuf,
    keep: Keep,
    context: ActionContext,
    /// Nobody has removed it, or said that it is kept.
    is_left: bool,
}

impl Fresh {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless it is kept after an action that failed or not. Blocks.
    pub(super) fn end(mut self, has_failed: bool) {
        self.is_left = false;
        let is_kept = match self.keep {
            Keep::Never => false,
            Keep::Failed => has_failed,
            Keep::Always => true,
        };
        end(&self.path, is_kept, &self.context);
    }
}

fn end(path: &Path, is_kept: bool, context: &ActionContext) {
    if is_kept {
        let (queue, path) = (context.queue_name(), path.display());
        let id = context.id().map(|id| format!(" {id}")).unwrap_or_default();
        log::info!("queue {queue}: the working directory of action{id} is kept: {path}");
    } else {
        remove(path);
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.is_left {
            return;
        }
        // The work was cut off, or did not begin.
        let is_kept = match self.keep {
            Keep::Never => false,
            Keep::Failed => self.context.stop_reason() != Some(StopReason::Client),
            Keep::Always => true,
        };
        let (path, context) = (std::mem::take(&mut self.path), self.context.clone());
        let end = move || end(&path, is_kept, &context);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}

/// Removes a directory and all in it. No link is followed, and nothing below which something is mounted is touched: that
/// would delete what belongs to others.
fn remove(path: &Path) {
    // Most are empty.
    if fs::remove_dir(path).is_ok() {
        return;
    }
    if let Some(mount) = mounted_below(path) {
        log::warn!(
            "the working directory {} is left, since something is mounted at {}: unmount that, and remove it",
            path.display(),
            mount.display()
        );
        return;
    }
    let mut removed = fs::remove_dir_all(path);
    if removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        open_up(path);
        removed = fs::remove_dir_all(path);
    }
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        log::warn!("the working directory {} can't be removed: {error}", path.display());
    }
}

/// Returns a mount point at this directory or below it. Whoever may not mount has none there: what it mounts in a name space of
/// its own is not seen from here.
fn mounted_below(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().filter_map(mount_point).find(|mount| mount.starts_with(&path))
}

/// Returns the mount point in a line of `mountinfo`.
fn mount_point(line: &str) -> Option<PathBuf> {
    let mut unescaped = Vec::new();
    let mut rest = line.split(' ').nth(4)?.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        // Blanks and backslashes are three octal digits behind a backslash.
        let octal = (*first == b'\\').then(|| behind.get(..3)).flatten();
        let byte =
            octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        unescaped.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    Some(PathBuf::from(OsString::from_vec(unescaped)))
}

/// Gives itself the right to empty the directories that a program has closed.
fn open_up(path: &Path) {
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        left.extend(entries.filter(is_directory).map(|entry| entry.path()));
    }
}

/// Tells whether nothing more can be opened now.
fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// The result files of a working directory as they are before a program begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Before(Vec<Option<Stamp>>);

impl Before {
    /// Looks at a directory that was there before. Blocks.
    ///
    /// # Errors
    ///
    /// There are no descriptors to look with. Any other error means that there is no result to be read.
    pub(super) fn look(directory: &Path) -> io::Result<Self> {
        let root = match Root::resolve(directory) {
            Err(error) if lacks_descriptors(&error) => return Err(error),
            Err(_) => return Ok(Self::default()),
            Ok(root) => root,
        };
        let stamp = |(name, _): (&str, _)| match root.open(Path::new(name), &[]) {
            Err(error) if lacks_descriptors(&error) => Err(error),
            found => Ok(found.ok().map(|(_, stamp)| stamp)),
        };
        Ok(Self(RESULTS.into_iter().map(stamp).collect::<io::Result<_>>()?))
    }

    /// Reads the result file that a program has left, if it is not one of before. Blocks.
    pub(super) fn read(&self, directory: &Path, most: usize) -> Option<(Kept, Form)> {
        // Most programs leave none, and to open a directory safely costs more.
        let is_there = |(name, _): &(&str, _)| directory.join(name).symlink_metadata().is_ok();
        if !RESULTS.iter().any(is_there) {
            return None;
        }
        let root = Root::resolve(directory).ok()?;
        for (index, (name, form)) in RESULTS.into_iter().enumerate() {
            // What is no regular file, or a link, is no result.
            let Ok((file, stamp)) = root.open(Path::new(name), &[]) else { continue };
            if self.0.get(index) == Some(&Some(stamp)) {
                continue;
            }
            let mut kept = Kept::default();
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            if let Err(error) = file.take(limit).read_to_end(&mut kept.bytes) {
                log::warn!("{name} in {} can't be read: {error}", directory.display());
                continue;
            }
            kept.is_cut = kept.bytes.len() > most;
            kept.bytes.truncate(most);
            return Some((kept, form));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        for (line, want) in [
            ("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", Some("/mnt2")),
            ("36 35 98:0 / /a\\040b\\134c rw - ext3 x rw", Some("/a b\\c")),
            ("36 35 98:0 / /a\\04", Some("/a\\04")),
            ("36 35 98:0", None),
        ] {
            assert_eq!(mount_point(line), want.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_mounted_is_seen() {
        assert!(mounted_below(Path::new("/proc")).is_some());
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        assert_eq!(mounted_below(directory.path()), None);
    }
}
