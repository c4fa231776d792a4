//! The end of a program's first process, looked at without waiting for it: until it is waited for it keeps its number.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Returns once this child has ended.
pub(super) async fn has_ended(child: Pid) {
    #[cfg(target_os = "linux")]
    if let Ok(()) = by_handle(child).await {
        return;
    }
    by_thread(child).await;
}

/// Waits for the end by a handle of the process, at which the runtime looks.
#[cfg(target_os = "linux")]
async fn by_handle(child: Pid) -> std::io::Result<()> {
    use rustix::process::{PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let handle = pidfd_open(child, PidfdFlags::empty())?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types that may name another file later; this one owns its file"
    )]
    let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    loop {
        let mut ready = handle.readable().await?;
        if waitid(WaitId::Pid(child), look)?.is_some() {
            return Ok(());
        }
        ready.clear_ready();
    }
}

/// Waits for the end on a thread.
async fn by_thread(child: Pid) {
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(child), options), Err(Errno::INTR)) {}
    };
    let _ = tokio::task::spawn_blocking(wait).await;
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    async fn sees_the_end(has_ended: impl AsyncFn(Pid)) {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = Pid::from_raw(child.id().cast_signed()).unwrap();
        let mut ended = Box::pin(has_ended(id));
        let early = tokio::time::timeout(Duration::from_millis(20), &mut ended).await;
        assert!(early.is_err(), "it still runs");
        drop(child.stdin.take());
        within(ended).await;
        // It is still there, and the next one sees that, too.
        within(has_ended(id)).await;
        assert!(child.wait().unwrap().success(), "nobody else has waited for it");
    }

    async fn within(future: impl Future<Output = ()>) {
        tokio::time::timeout(Duration::from_secs(10), future).await.expect("its end is seen");
    }

    #[tokio::test]
    async fn an_end_is_seen_and_not_waited_for() {
        sees_the_end(has_ended).await;
        sees_the_end(by_thread).await;
        #[cfg(target_os = "linux")]
        sees_the_end(async |id| by_handle(id).await.expect("this kernel has handles")).await;
    }
}
