//! The statements of the writing connection. No rule about states stands in them: what is written was decided before.
//!
//! Each is a walk along an index, from the rows that it is given. `MATERIALIZED` keeps the database from asking a list of rows
//! to be locked more than once, which would lock more than its LIMIT.

use super::events::event_columns;
use crate::store::EventKind;
use crate::store::postgres::message::statements;
use crate::store::postgres::schedules::{PUT, columns};

/// The counts of a queue over all servers.
macro_rules! sums {
    ($queue:literal) => {
        concat!(
            "(SELECT ARRAY[sum(t.queued), sum(t.processing), sum(t.paused), sum(t.stopping), sum(t.finished),
                 sum(t.error), sum(t.cancelled), sum(t.stopped), sum(t.deferred)]::bigint[]
              FROM (SELECT s.id FROM server s UNION ALL SELECT 0) AS s(id) CROSS JOIN LATERAL (
                SELECT * FROM tally t WHERE t.queue = ",
            $queue,
            " AND t.server = s.id ORDER BY t.batch DESC LIMIT 1) AS t)"
        )
    };
}
pub(in crate::store::postgres) use sums;

/// The columns by which is decided what becomes of an action.
macro_rules! locked {
    () => {
        "l.id, l.queue, l.state, l.priority, l.attempt, l.failures, l.restarts, l.queued_at, l.started_at, l.not_before,
            l.server, l.taken_by, NOT EXISTS (SELECT 1 FROM server s WHERE s.id = l.server AND NOT s.dead),
            l.submission_key IS NOT NULL"
    };
}

/// The actions that start next.
macro_rules! next {
    () => {
        "SELECT id FROM live WHERE queue = $1 AND state = 0 AND NOT EXISTS (
            SELECT 1 FROM live d WHERE d.queue = $1 AND d.state = 8 AND d.not_before <= $3)
         ORDER BY queue, priority DESC, id LIMIT $2 FOR UPDATE SKIP LOCKED"
    };
}

/// The same in parts, each behind the one before. The rows of a part are locked one by one as they are taken. By its last
/// column `live_ready` is the only index with this order.
macro_rules! next_in_parts {
    () => {
        "SELECT n.id FROM unnest($8::int4[], $9::int8[], $10::int8[], $11::int8[]) AS p(priority, after, above, below)
         CROSS JOIN LATERAL (
            SELECT * FROM (SELECT l.id FROM live l WHERE p.priority IS NOT NULL AND l.queue = $1 AND l.state = 0
                AND l.priority = p.priority AND l.id > p.after
                ORDER BY l.queue, l.priority DESC, l.id, l.taken_by LIMIT $2 FOR UPDATE SKIP LOCKED) AS behind
            UNION ALL
            SELECT * FROM (SELECT l.id FROM live l WHERE p.priority IS NULL AND l.queue = $1 AND l.state = 0
                AND l.priority > p.above AND l.priority < p.below
                ORDER BY l.queue, l.priority DESC, l.id LIMIT $2 FOR UPDATE SKIP LOCKED) AS between_two
         ) AS n
         WHERE NOT EXISTS (SELECT 1 FROM live d WHERE d.queue = $1 AND d.state = 8 AND d.not_before <= $3)
         LIMIT $2"
    };
}

/// Starts the actions that a query finds. It finds nothing while there are more that are due: the highest priority may be among
/// them. The other form also writes an event of each for each of the handlers in a parameter.
macro_rules! claim {
    ($next:ident) => {
        claim!(@ $next [""] [""])
    };
    ($next:ident, tells $handlers:literal) => {
        claim!(@ $next [", l.origin, l.error"] [
            ", told AS (INSERT INTO event (",
            event_columns!(),
            ") SELECT h.handler, 0, $3, $1, s.id, $6, s.priority, s.attempt, s.queued_at, s.started_at, NULL, 0, 0, NULL,
                s.taken_by, $7::int4, NULL, s.origin, s.error, NULL
             FROM started s CROSS JOIN unnest(",
            $handlers,
            "::int8[]) AS h(handler))"
        ])
    };
    (@ $next:ident [$($more:tt)*] [$($told:tt)*]) => {
        concat!(
            "WITH next AS MATERIALIZED (",
            $next!(),
            "), started AS (
                UPDATE live l SET state = $6, attempt = l.attempt + 1, started_at = greatest($3, l.queued_at),
                    worker = NULL, server = $4, batch = $5, run_by = $7::int4
                FROM next WHERE l.id = next.id
                RETURNING l.id, l.attempt, l.queued_at, l.started_at, l.priority, l.failures, l.parameters,
                    l.restarts, l.taken_by",
            $($more)*,
            "), counted AS (
                UPDATE tally SET queued = queued - (SELECT count(*) FROM started),
                    processing = processing + (SELECT count(*) FROM started)
                WHERE queue = $1 AND server = $4 AND batch = $5
            )",
            $($told)*,
            " SELECT id, attempt, queued_at, started_at, priority, failures, parameters, restarts, taken_by
             FROM started ORDER BY priority DESC, id"
        )
    };
}

// The kind of the event that it writes.
const _: () = assert!(EventKind::Start.number() == 0);

/// Deletes the actions in `old`, with all that is kept of them.
macro_rules! prune {
    () => {
        "gone AS (
            DELETE FROM done d USING old WHERE d.queue = $1 AND d.id = old.id
            RETURNING d.id, d.state, d.submission_key, d.finished_at
        ), keys AS (
            DELETE FROM submission_key k USING gone
            WHERE gone.submission_key IS NOT NULL AND k.queue = $1 AND k.digest = sha256(gone.submission_key)
        ), past AS (
            DELETE FROM history h USING gone WHERE h.id = gone.id
        ), sum AS (
            SELECT count(*) FILTER (WHERE state = 4) AS finished, count(*) FILTER (WHERE state = 5) AS error,
                count(*) FILTER (WHERE state = 6) AS cancelled, count(*) FILTER (WHERE state = 7) AS stopped,
                max(finished_at) AS last
            FROM gone
        ), counted AS (
            UPDATE tally t SET finished = t.finished - sum.finished, error = t.error - sum.error,
                cancelled = t.cancelled - sum.cancelled, stopped = t.stopped - sum.stopped
            FROM sum WHERE t.queue = $1 AND t.server = $4 AND t.batch = $5
        ) SELECT finished, error, cancelled, stopped, last FROM sum"
    };
}

statements! {
    /// Statements of the writer.
    Statements {
        begin: "BEGIN",
        commit: "COMMIT",
        rollback: "ROLLBACK",

        fence: "SELECT gone, leased FROM fence($1, $2, $3, $4, $5, $6)",

        // What another server deletes at the same time would be counted twice: one deletes at a time.
        prunes: "SELECT q FROM unnest($2::int4[]) q WHERE pg_try_advisory_xact_lock($1, -q)",

        declare_dead: "UPDATE server SET dead = true WHERE id IN (
                SELECT id FROM server WHERE NOT dead AND expires_at <= clock_timestamp() AND id <> $1
                ORDER BY id FOR UPDATE SKIP LOCKED
            ) RETURNING id",

        queues: concat!(
            "SELECT q.id, q.paused, ",
            sums!("q.id"),
            ", (SELECT d.not_before FROM live d WHERE d.queue = q.id AND d.state = 8
                ORDER BY d.queue, d.not_before, d.id LIMIT 1)
             FROM unnest($1::int4[]) AS u(id) JOIN queue q ON q.id = u.id"
        ),

        // Those that are named, locked in the order of their ids.
        named: concat!("SELECT ", locked!(), " FROM unnest($1::int8[]) AS e(id) JOIN live l ON l.id = e.id
            ORDER BY l.id FOR UPDATE OF l"),

        // Those that are named, and those that run in some queues.
        live: concat!("SELECT ", locked!(), " FROM live l WHERE l.id IN (
                SELECT unnest($1::int8[]) UNION
                SELECT r.id FROM unnest($2::int4[]) AS q(id) CROSS JOIN LATERAL (
                    SELECT r.id FROM live r WHERE r.queue = q.id AND r.state BETWEEN 1 AND 3 OFFSET 0) AS r
            ) ORDER BY l.id FOR UPDATE OF l"),

        done: "SELECT d.id, d.queue, d.state, d.priority, d.attempt, d.queued_at, d.started_at, d.finished_at,
                d.worker, substring(d.error FROM 1 FOR $3), d.taken_by, d.submission_key IS NOT NULL,
                octet_length(d.parameters) > 0
            FROM unnest($1::int4[], $2::int8[]) AS e(queue, id) JOIN done d ON d.queue = e.queue AND d.id = e.id
            ORDER BY d.id FOR UPDATE OF d",

        // Of the keys those that are new are taken, also from under another server that writes the same one now. They name no
        // action yet: 0.
        take_keys: "INSERT INTO submission_key (queue, digest, id)
            SELECT e.queue, sha256(e.key), 0 FROM unnest($1::int4[], $2::bytea[]) AS e(queue, key)
            ORDER BY 1, 2 ON CONFLICT DO NOTHING",

        keys: "SELECT e.at, k.id, coalesce(l.queued_at, d.queued_at), coalesce(l.parameters, d.parameters),
                coalesce(l.taken_by, d.taken_by)
            FROM unnest($1::int4[], $2::bytea[]) WITH ORDINALITY AS e(queue, key, at)
            JOIN submission_key k ON k.queue = e.queue AND k.digest = sha256(e.key)
            LEFT JOIN live l ON l.id = k.id
            LEFT JOIN done d ON d.queue = k.queue AND d.id = k.id",

        name_keys: "UPDATE submission_key k SET id = e.id FROM unnest($1::bytea[], $2::int8[]) AS e(key, id)
            WHERE k.queue = $3 AND k.digest = sha256(e.key)",

        give_keys_back: "DELETE FROM submission_key k USING unnest($1::bytea[]) AS e(key)
            WHERE k.queue = $2 AND k.digest = sha256(e.key)",

        ids: "SELECT nextval('action_id') FROM generate_series(1, $1::int4)",

        resumed: "SELECT l.id, l.parameters, l.note, s.partial, s.figures,
                (extract(epoch FROM clock_timestamp() - s.shown_at) * 1000)::int8
            FROM unnest($1::int8[]) AS e(id) JOIN live l ON l.id = e.id
            LEFT JOIN shown s ON s.id = l.id AND s.attempt = l.attempt",

        // What has ended is moved back, with its last error, and is then updated as others are.
        restore: "WITH gone AS (
                DELETE FROM done WHERE queue = $1 AND id = ANY($2)
                RETURNING id, queue, priority, attempt, queued_at, worker, error, submission_key, taken_by, run_by,
                    action_id, origin, parameters
            ) INSERT INTO live (id, queue, state, priority, attempt, queued_at, worker, error, submission_key, taken_by,
                run_by, action_id, origin, parameters)
            SELECT id, queue, 0, priority, attempt, queued_at, worker, error, submission_key, taken_by, run_by, action_id,
                origin, parameters
            FROM gone",

        update: "UPDATE live l SET state = e.state, priority = e.priority, started_at = e.started_at,
                not_before = e.not_before, failures = e.failures, restarts = e.restarts, server = e.server,
                batch = CASE WHEN e.taken THEN -$1::int8 ELSE l.batch END,
                run_by = CASE WHEN e.taken THEN $17::int4 ELSE l.run_by END,
                worker = CASE WHEN e.has_worker THEN e.worker ELSE l.worker END,
                error = CASE WHEN e.has_error THEN e.error ELSE l.error END,
                note = CASE WHEN e.has_note THEN e.note ELSE l.note END
            FROM unnest($2::int8[], $3::int2[], $4::int4[], $5::int8[], $6::int8[], $7::int4[], $8::int4[],
                $9::int8[], $10::bool[], $11::bool[], $12::bytea[], $13::bool[], $14::bytea[], $15::bool[],
                $16::bytea[])
                AS e(id, state, priority, started_at, not_before, failures, restarts, server, taken, has_worker,
                    worker, has_error, error, has_note, note)
            WHERE l.id = e.id",

        finish: "WITH gone AS (
                DELETE FROM live l USING unnest($1::int8[], $2::int2[], $3::int4[], $4::int8[], $5::int8[],
                    $6::int8[], $7::float8[], $8::bool[], $9::bytea[], $10::bytea[], $11::bytea[])
                    AS e(id, state, priority, started_at, finished_at, processing_ms, percent, has_worker, worker,
                        error, report)
                WHERE l.id = e.id
                RETURNING l.id, l.queue, e.state, e.priority, l.attempt, l.queued_at, e.started_at, e.finished_at,
                    e.processing_ms, e.percent, CASE WHEN e.has_worker THEN e.worker ELSE l.worker END, e.error,
                    l.submission_key, l.taken_by, l.run_by, e.report,
                    CASE WHEN $12 OR l.submission_key IS NOT NULL THEN l.parameters ELSE ''::bytea END, l.action_id,
                    l.origin
            ) INSERT INTO done (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms,
                percent, worker, error, submission_key, taken_by, run_by, report, parameters, action_id, origin)
            SELECT * FROM gone",

        remember: "INSERT INTO history (id, attempt, started_at, ended_at, ended, worker, error)
            SELECT * FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::int8[], $5::text[], $6::bytea[], $7::bytea[])
            ON CONFLICT DO NOTHING",

        // Some may have ended in this transaction. A key that names another by now stays.
        delete: "WITH live_gone AS (
                DELETE FROM live WHERE queue = $1 AND id = ANY($2) RETURNING id, submission_key
            ), done_gone AS (
                DELETE FROM done WHERE queue = $1 AND id = ANY($2) RETURNING id, submission_key
            ), keys AS (
                DELETE FROM submission_key k USING (SELECT * FROM live_gone UNION ALL SELECT * FROM done_gone) AS gone
                WHERE gone.submission_key IS NOT NULL AND k.queue = $1 AND k.digest = sha256(gone.submission_key)
                    AND k.id = gone.id
            ) DELETE FROM history WHERE id = ANY($2)",

        forget: "DELETE FROM history h USING unnest($1::int8[], $2::int4[]) AS e(id, attempt)
            WHERE h.id = e.id AND h.attempt <= e.attempt",

        pause: "UPDATE queue SET paused = $2 WHERE id = $1 AND paused <> $2",

        count: "WITH last AS MATERIALIZED (
                SELECT * FROM tally WHERE queue = $1 AND server = $2 ORDER BY batch DESC LIMIT 1
            ), gone AS (
                DELETE FROM tally WHERE queue = $1 AND server = $2 AND batch = (SELECT batch FROM last)
            ) INSERT INTO tally SELECT $1, $2, $3, coalesce(l.queued, 0) + $4, coalesce(l.processing, 0) + $5,
                coalesce(l.paused, 0) + $6, coalesce(l.stopping, 0) + $7, coalesce(l.finished, 0) + $8,
                coalesce(l.error, 0) + $9, coalesce(l.cancelled, 0) + $10, coalesce(l.stopped, 0) + $11,
                coalesce(l.deferred, 0) + $12
            FROM (SELECT) AS one LEFT JOIN last l ON true",

        let_due_start: "WITH due AS MATERIALIZED (
                SELECT id FROM live WHERE queue = $1 AND state = 8 AND not_before <= $2
                ORDER BY queue, not_before, id LIMIT $3 FOR UPDATE SKIP LOCKED
            ), moved AS (
                UPDATE live l SET state = 0, not_before = NULL FROM due WHERE l.id = due.id RETURNING l.id, l.priority
            ), counted AS (
                UPDATE tally SET deferred = deferred - (SELECT count(*) FROM moved)
                WHERE queue = $1 AND server = $4 AND batch = $5
            ) SELECT count(*), priority, min(id) FROM moved GROUP BY priority",

        // The last two lists are empty if none brings anything but its parameters.
        submit: "INSERT INTO live (id, queue, state, priority, attempt, queued_at, started_at, not_before, server, batch,
                run_by, submission_key, taken_by, parameters, action_id, origin)
            SELECT e.id, $1, e.state, e.priority, e.attempt, e.queued_at, e.started_at, e.not_before,
                CASE WHEN e.started_at IS NOT NULL THEN $2::int8 END,
                CASE WHEN e.started_at IS NOT NULL THEN $3::int8 END,
                CASE WHEN e.started_at IS NOT NULL THEN $13::int4 END, e.key, $13, e.parameters, e.action_id, e.origin
            FROM unnest($4::int8[], $5::int2[], $6::int4[], $7::int4[], $8::int8[], $9::int8[], $10::int8[],
                $11::bytea[], $12::bytea[], $14::bytea[], $15::bytea[])
                AS e(id, state, priority, attempt, queued_at, started_at, not_before, key, parameters, action_id, origin)",

        origins: "SELECT l.id, l.origin FROM unnest($1::int8[]) AS e(id) JOIN live l ON l.id = e.id
            WHERE l.origin IS NOT NULL
            UNION ALL SELECT d.id, d.origin FROM unnest($2::int4[], $1::int8[]) AS e(queue, id)
            JOIN done d ON d.queue = e.queue AND d.id = e.id WHERE d.origin IS NOT NULL",

        copy: "INSERT INTO live (id, queue, state, priority, queued_at, not_before, taken_by, parameters, action_id, origin)
            SELECT e.id, $1, e.state, e.priority, e.queued_at, e.not_before, $8::int4, source.parameters, e.action_id, e.origin
            FROM unnest($2::int8[], $3::int8[], $4::int2[], $5::int4[], $6::int8[], $7::int8[], $9::bytea[], $10::bytea[])
                AS e(id, source, state, priority, queued_at, not_before, action_id, origin)
            CROSS JOIN LATERAL (
                SELECT l.parameters FROM live l WHERE l.id = e.source
                UNION ALL SELECT d.parameters FROM done d WHERE d.queue = $1 AND d.id = e.source
            ) AS source",

        claim: claim!(next),
        claim_parts: claim!(next_in_parts),
        claim_and_tell: claim!(next, tells "$8"),
        claim_parts_and_tell: claim!(next_in_parts, tells "$12"),

        claimed: "SELECT id, attempt, queued_at, started_at, priority, failures, parameters, restarts, taken_by
            FROM live WHERE queue = $1 AND state BETWEEN 1 AND 3 AND server = $2 AND batch = $3
            ORDER BY priority DESC, id",

        // Those that ended first, from a time on.
        prune_old: concat!("WITH old AS MATERIALIZED (
                SELECT id FROM done WHERE queue = $1 AND finished_at <= $2 AND finished_at >= $6
                ORDER BY queue, finished_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
            ), ", prune!()),

        prune_first_ended: concat!("WITH old AS MATERIALIZED (
                SELECT id FROM done WHERE queue = $1 AND finished_at >= $6 AND NOT EXISTS (
                    SELECT 1 FROM done later WHERE later.queue = $1 AND later.finished_at > $2)
                ORDER BY queue, finished_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
            ), ", prune!()),

        // The clock was set back: what ends now would seem to have ended first, and its client could not read it any more.
        prune_first_submitted: concat!("WITH old AS MATERIALIZED (
                SELECT id FROM done WHERE queue = $1 AND EXISTS (
                    SELECT 1 FROM done later WHERE later.queue = $1 AND later.finished_at > $2)
                ORDER BY queue, id LIMIT $3 FOR UPDATE SKIP LOCKED
            ), ", prune!()),

        // Of one transaction of a server: what it took over, and what it started.
        let_go: "UPDATE live SET server = NULL WHERE server = $1 AND batch = $2 AND state BETWEEN 1 AND 3",
        started: "SELECT queue, id, attempt FROM live WHERE server = $1 AND batch = $2 AND state BETWEEN 1 AND 3
            ORDER BY queue, id",

        first_due: "SELECT not_before FROM live WHERE queue = $1 AND state = 8
            ORDER BY queue, not_before, id LIMIT 1",

        // It waits for the transaction that holds the row.
        wait: "SELECT 1 FROM server WHERE id = $1 FOR UPDATE",
        last: "SELECT number FROM batch WHERE server = $1 ORDER BY number DESC LIMIT 1",

        // 0 is no queue's number, nor one with a minus in front.
        lock_schedules: "SELECT pg_advisory_xact_lock($1, 0)",
        schedules: concat!("SELECT ", columns!(), " FROM schedule s WHERE s.folded = ANY($1::bytea[])"),
        put_schedules: PUT,
        drop_schedules: "DELETE FROM schedule WHERE folded = ANY($1::bytea[])",

        open_queue: "INSERT INTO queue (folded, name) SELECT $1::bytea, $2::bytea
            WHERE NOT EXISTS (SELECT 1 FROM queue WHERE folded = $1) ON CONFLICT DO NOTHING",
        opened_queue: concat!("SELECT q.id, q.paused, ", sums!("q.id"), " FROM queue q WHERE q.folded = $1"),
    }
}
