//! Programs that something else in this process runs, beside those of actions.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::process::{Child, Command};

/// The leaders of their process groups.
static LEADERS: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

fn leaders() -> MutexGuard<'static, Option<HashSet<i32>>> {
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the numbers of their process groups. Waits for one that is being started.
pub(super) fn groups() -> HashSet<i32> {
    leaders().clone().unwrap_or_default()
}

/// A program that something in this process runs in a process group of its own, and not as the work of an action
/// ([`Work::process`](crate::Work::process)). As long as this is held, the clean-up after programs leaves it alone, with what it starts in
/// that group, also where this process adopts orphans ([`Builder::adopt_orphans`](crate::Builder::adopt_orphans)).
#[derive(Debug)]
pub struct Bystander(i32);

impl Bystander {
    /// Starts a program in a process group of its own. Hold what is returned beside the child until that was waited for.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        command.process_group(0);
        // Held meanwhile: whoever looks at processes must not see it before it is known.
        let mut leaders = leaders();
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        leaders.get_or_insert_default().insert(id);
        Ok((child, Self(id)))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        if let Some(leaders) = &mut *leaders() {
            leaders.remove(&self.0);
        }
    }
}
