//! All metrics: name, type, labels and meaning. `docs/metrics.md` has the same table, and a test compares the two.

use prometheus_client::metrics::MetricType;

/// A metric: all series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// The name; that of a counter without `_total`, which is added where it is written.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: MetricType::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: MetricType::Counter, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: MetricType::Histogram, help }
}

// The server.

pub(super) const BUILD_INFO: Family =
    gauge("actiond_build_info", "Version of the server, as a label; always 1");
pub(super) const UPTIME: Family = gauge("actiond_uptime_seconds", "Time since the server started");
pub(super) const READY: Family =
    gauge("actiond_ready", "1 while actions are taken and run, as /health/ready tells; else 0");
pub(super) const DRAINING: Family =
    gauge("actiond_draining", "1 once a shutdown has begun; else 0");

// Queues.

pub(super) const ACTIONS: Family = gauge(
    "actiond_actions",
    "Actions of the queue in each state; on a shared database those of all servers, as this one saw them last",
);
pub(super) const SUBMITTED: Family = counter(
    "actiond_actions_submitted",
    "Actions that this server has queued; one that was sent again under its key counts once",
);
pub(super) const ENDED: Family = counter(
    "actiond_actions_ended",
    "Actions that came to a final state, by that state; on a shared database by the server that wrote it",
);
pub(super) const ATTEMPTS: Family =
    counter("actiond_attempts", "Attempts at actions that this server has started");
pub(super) const REQUEUED: Family = counter(
    "actiond_actions_requeued",
    "Actions that were put back into the queue: interrupted by a restart, failed and to be tried again, released by a worker, or asked for by a client",
);
pub(super) const WAIT: Family = histogram(
    "actiond_action_wait_seconds",
    "Time from the submission of an action to its first start",
);
pub(super) const RUN: Family = histogram(
    "actiond_action_run_seconds",
    "Time for which the attempt worked that ended an action, without its pauses",
);
pub(super) const INBOX: Family = gauge(
    "actiond_inbox_depth",
    "Commands, ends and submissions that have come to the queue and are in no commit yet",
);
pub(super) const OLDEST: Family = gauge(
    "actiond_queue_oldest_waiting_seconds",
    "Time since the submission of the oldest action that waits and may start, a few seconds ago; 0 if none does; SQLite only",
);
pub(super) const SLOTS: Family =
    gauge("actiond_slots", "Actions of the queue that may run at a time on this server");
pub(super) const SLOTS_USED: Family =
    gauge("actiond_slots_used", "Slots of the queue that are in use on this server");
pub(super) const QUEUE_LIMIT: Family = gauge(
    "actiond_queue_limit",
    "Actions that may wait in the queue (MaxQueueSize); +Inf without a limit",
);
pub(super) const PAUSED: Family =
    gauge("actiond_queue_paused", "1 while the queue is paused and starts nothing; else 0");
pub(super) const UP: Family = gauge(
    "actiond_queue_up",
    "0 once the queue was given up because it failed too often, until a restart; else 1",
);
pub(super) const STALE_REPORTS: Family = counter(
    "actiond_stale_reports",
    "Ends that were reported by attempts that were no longer the latest, and dropped",
);

// The store.

pub(super) const COMMIT_TIME: Family = histogram(
    "actiond_commit_duration_seconds",
    "Time from the sealing of a batch of changes until it is durable",
);
pub(super) const COMMIT_CHANGES: Family = histogram(
    "actiond_commit_changes",
    "Changes in a batch: commands, ends, submissions and starts",
);
pub(super) const DATABASE: Family = gauge(
    "actiond_database_bytes",
    "Size of the database, free pages included; on PostgreSQL of all that is in it",
);
pub(super) const DATABASE_FREE: Family = gauge(
    "actiond_database_free_bytes",
    "Part of the database in free pages, which are used before it grows; SQLite only",
);
pub(super) const DATABASE_LOG: Family =
    gauge("actiond_database_log_bytes", "Size of the write-ahead log; SQLite only");
pub(super) const DISK: Family =
    gauge("actiond_database_disk_bytes", "Size of the disk with the database; SQLite only");
pub(super) const DISK_FREE: Family = gauge(
    "actiond_database_disk_free_bytes",
    "Part of the disk with the database that the server may still use; SQLite only",
);
pub(super) const STORE_UP: Family = gauge(
    "actiond_store_available",
    "1 while the database answers, as far as the server knows; else 0",
);
pub(super) const LEASE: Family = gauge(
    "actiond_lease_held",
    "1 while this server holds its lease on the shared database, and so may start actions; else 0; PostgreSQL only",
);
pub(super) const LEASES_LOST: Family = counter(
    "actiond_leases_lost",
    "Leases that this server has lost: other servers recovered what it ran; PostgreSQL only",
);

// Backups.

pub(super) const BACKUPS: Family =
    counter("actiond_backups", "Backups that this server was asked for, by outcome");
pub(super) const LAST_BACKUP: Family = gauge(
    "actiond_last_backup_timestamp_seconds",
    "Time of the last backup that this server has made since it started, in seconds since 1970; 0 before the first",
);

// HTTP.

pub(super) const REQUESTS: Family = counter(
    "actiond_http_requests",
    "Requests for actions that were answered, or whose clients had gone, by port and action; what is no action is unknown",
);
pub(super) const REQUEST_TIME: Family = histogram(
    "actiond_http_request_duration_seconds",
    "Time from the whole request to its reply, with the time that the client asked to wait",
);
pub(super) const REFUSED: Family =
    counter("actiond_http_refused", "Requests and connections that were refused, by reason");
pub(super) const CONNECTIONS: Family =
    gauge("actiond_http_connections", "Connections that are open, of both ports");
pub(super) const LISTENERS: Family =
    gauge("actiond_event_listeners", "Clients that listen to live events (/events)");

// The process.

pub(super) const CPU: Family = counter(
    "process_cpu_seconds",
    "Time that the process has spent on processors, of users and system",
);
pub(super) const RESIDENT: Family =
    gauge("process_resident_memory_bytes", "Memory of the process that is in RAM");
pub(super) const VIRTUAL: Family =
    gauge("process_virtual_memory_bytes", "Address space of the process");
pub(super) const THREADS: Family = gauge("process_threads", "Threads of the process");
pub(super) const OPEN_FDS: Family = gauge("process_open_fds", "Open file descriptors");
pub(super) const MAX_FDS: Family =
    gauge("process_max_fds", "File descriptors that may be open (ulimit -n)");
pub(super) const STARTED: Family =
    gauge("process_start_time_seconds", "Time at which the process started, in seconds since 1970");
