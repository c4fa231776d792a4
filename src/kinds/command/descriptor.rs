//! The descriptor on which a program tells its progress, and the start of programs that have it.
//!
//! A pipe can be put there by a hook that runs in the child before its program begins. But a child with a hook is made by
//! `fork`, which copies the page tables of the server. So the program `actiond` keeps the same descriptor of its own free
//! for this ([`reserve`]): the pipe lies there just while a program is started, and the program inherits it. Then the standard
//! library starts it by `posix_spawn`, which copies nothing.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::io::{Errno, FdFlags, dup2, fcntl_setfd};
use tokio::process::{Child, Command};

/// The descriptor on which a program tells its progress.
pub(super) const PROGRESS_FD: i32 = 3;

/// The place for the pipe of a program that is being started, if it could be reserved.
static PLACE: OnceLock<Place> = OnceLock::new();

/// Keeps [`PROGRESS_FD`] of this process free for the pipes of programs. To be called before anything is opened: where the
/// descriptor is somebody's already, it stays theirs, and programs start the slower way.
pub(crate) fn reserve() {
    let Ok(file) = File::open("/dev/null") else { return };
    if file.as_raw_fd() == PROGRESS_FD
        && let Ok(place) = Place::at(file)
    {
        // There is one already if this is called twice; then the number is taken, too.
        let _ = PLACE.set(place);
    }
}

/// Starts a program with the end of a pipe as its descriptor 3. `forks` tells that it is started by `fork` in any case.
///
/// # Errors
///
/// The system's.
pub(super) fn spawn(command: &mut Command, writer: PipeWriter, forks: bool) -> io::Result<Child> {
    if !forks && let Some(place) = PLACE.get() {
        match place.spawn(command, &writer) {
            // A script that names no interpreter: only what comes after a `fork` passes it to the shell.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOEXEC) => {}
            started => return started,
        }
    }
    let mapping = FdMapping { parent_fd: writer.into(), child_fd: PROGRESS_FD };
    command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
    command.spawn()
}

/// A descriptor that programs inherit, with nothing behind it except while one is started.
#[derive(Debug)]
struct Place {
    /// Nobody else knows its number, so this is the only one to change what is behind it.
    descriptor: Mutex<OwnedFd>,
    /// The file that is behind it otherwise.
    nothing: File,
}

impl Place {
    /// Takes a descriptor of `/dev/null`.
    fn at(nothing: File) -> io::Result<Self> {
        Ok(Self { nothing: nothing.try_clone()?, descriptor: Mutex::new(nothing.into()) })
    }

    /// Starts a program with this file at the place.
    fn spawn(&self, command: &mut Command, file: &impl AsFd) -> io::Result<Child> {
        // What a panic leaves behind it is replaced by the next.
        let mut descriptor = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        dup2(file, &mut descriptor)?;
        let child = command.spawn();
        // Even if that fails: a file that programs inherit would be one more in each of them.
        let hidden = fcntl_setfd(&*descriptor, FdFlags::CLOEXEC);
        let emptied = dup2(&self.nothing, &mut descriptor);
        let hidden = hidden.and(emptied).and(fcntl_setfd(&*descriptor, FdFlags::CLOEXEC));
        if let Err(error) = hidden {
            log::error!("descriptor {PROGRESS_FD} can't be emptied: {error}");
        }
        child
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::Stdio;

    use super::*;

    /// Starts `sh`, which says what its descriptors are and then writes into that of the place.
    fn says(place: &Place, name: &str) -> (Child, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let number = place.descriptor.lock().unwrap().as_raw_fd();
        let mut command = Command::new("/bin/sh");
        let script = format!("ls /proc/self/fd; echo {name} >/proc/self/fd/{number}");
        command.arg("-c").arg(script).stdin(Stdio::null()).stdout(Stdio::piped());
        (place.spawn(&mut command, &writer).unwrap(), reader)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_program_has_its_own_pipe_and_no_other() {
        let place = std::sync::Arc::new(Place::at(File::open("/dev/null").unwrap()).unwrap());
        let mut all = tokio::task::JoinSet::new();
        for program in 0..40 {
            let place = std::sync::Arc::clone(&place);
            all.spawn(async move {
                let (child, mut reader) = says(&place, &program.to_string());
                // The end of the pipe comes only once nobody else has it.
                let told = tokio::task::spawn_blocking(move || {
                    let mut told = String::new();
                    reader.read_to_string(&mut told).unwrap();
                    told
                });
                assert_eq!(told.await.unwrap(), format!("{program}\n"));
                assert!(child.wait_with_output().await.unwrap().status.success());
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        let number = place.descriptor.lock().unwrap().as_raw_fd().to_string();
        let behind = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        assert_eq!(behind.to_str(), Some("/dev/null"));
        // It is nothing that a program inherits otherwise.
        let mut command = Command::new("/bin/ls");
        command.arg("/proc/self/fd").stdin(Stdio::null());
        let inherits = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        assert!(inherits.lines().all(|line| line != number), "{number}: {inherits}");
    }
}
