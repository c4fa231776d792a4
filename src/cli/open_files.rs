//! The open files of the program: those that it inherits, how many it may have, and whether its queues may need more.

use close_fds::set_fds_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// The first descriptor behind the standard three.
const FIRST: i32 = 3;

/// The limit that is aimed at: more than one server can use. Programs inherit it, and some go through all numbers below it.
const ENOUGH: u64 = 1 << 20;

/// Number of open files of the server beside those of its HTTP workers and of what its queues run: the database with its
/// readers, the log, ports, and some connections.
const OWN: u64 = 200;
/// Number of open files of an event that is being delivered: a connection, or a program with its pipes.
const OF_DELIVERY: u64 = 4;
/// Number of open files of an HTTP worker.
const OF_WORKER: u64 = 4;

/// Keeps what was inherited from whoever started this process away from the programs that it starts. To be called before
/// there are other threads.
pub(super) fn keep_inherited() {
    set_fds_cloexec(FIRST, &[]);
}

/// Raises the limit of open files as far as the system lets everybody. What can't be raised stays as it is.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Some(raised) = raised(limit) {
        // Then there are as many as there were.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

fn raised(Rlimit { current, maximum }: Rlimit) -> Option<Rlimit> {
    let most = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    let is_higher = current.is_some_and(|current| current < most);
    is_higher.then_some(Rlimit { current: Some(most), maximum })
}

/// Returns a warning if what the queues may run at once can need more open files than there may be.
pub(super) fn warning(settings: &Settings, workers: usize) -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current?;
    let mut names = Vec::new();
    let (mut slots, mut needed) = (0_u64, 0_u64);
    for queue in &settings.queues {
        let each = u64::from(queue.settings.open_files());
        if each > 0 {
            let of_queue = u64::try_from(queue.limits.maximum_threads).unwrap_or(u64::MAX);
            slots = slots.saturating_add(of_queue);
            needed = needed.saturating_add(each.saturating_mul(of_queue));
            names.push(format!("[{}]", queue.name));
        }
    }
    let handlers = settings.events.handlers.iter().map(|handler| handler.delivery.max_in_flight);
    let callbacks =
        settings.events.callbacks.iter().map(|callbacks| callbacks.delivery.max_in_flight);
    let in_flight = handlers.chain(callbacks).fold(0, usize::saturating_add);
    let in_flight = u64::try_from(in_flight).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(OF_DELIVERY.saturating_mul(in_flight));
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(OF_WORKER.saturating_mul(workers)).saturating_add(OWN);
    (slots > 0 && needed > limit).then(|| {
        format!(
            "MaximumThreads of {} allow {slots} actions to run at once, for which the server may need some {needed} open files, \
             and it may have {limit}: raise the limit (ulimit -n, LimitNOFILE of systemd) or lower MaximumThreads; else actions \
             wait until others have ended",
            names.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_helps() {
        let table = [
            (Some(1_024), Some(4_096), Some(4_096)),
            (Some(1_024), None, Some(ENOUGH)),
            (Some(1_024), Some(1 << 30), Some(ENOUGH)),
            (Some(4_096), Some(4_096), None),
            (Some(ENOUGH + 1), None, None),
            (None, None, None),
        ];
        for (current, maximum, want) in table {
            let raised = raised(Rlimit { current, maximum });
            assert_eq!(
                raised.as_ref().and_then(|limit| limit.current),
                want,
                "{current:?} {maximum:?}"
            );
            assert!(raised.is_none_or(|limit| limit.maximum == maximum));
        }
    }
}
