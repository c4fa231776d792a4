-- What may hold any text is bytea: text of PostgreSQL's holds no NUL, and may be in another encoding.
-- Times in milliseconds since 1970 are those of the servers; timestamptz is the database's own clock.

CREATE SEQUENCE action_id MAXVALUE 99999999999; -- ids fit into the eleven digits of a token
CREATE SEQUENCE server_id;

CREATE TABLE site ( -- a name of a server, and the host and port in its tokens
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name bytea NOT NULL,
    host bytea NOT NULL,
    port integer NOT NULL,
    UNIQUE (name, host, port)
);

CREATE TABLE server ( -- a server from one opening of the store to its end: an owner
    id bigint PRIMARY KEY,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, -- the end of its lease
    dead boolean NOT NULL DEFAULT false, -- others may have recovered what it ran
    closed boolean NOT NULL DEFAULT false, -- it gave its lease up by itself
    site integer NOT NULL,
    slots integer NOT NULL -- the number of actions that it may run at a time
) WITH (fillfactor = 50);

-- The last transactions of servers. A transaction adds a row and changes none: while somebody holds an old snapshot, the database
-- keeps every version of a row that changes, and would walk through all of them to find the one that holds.
CREATE TABLE batch (
    server bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (server, number)
);

CREATE TABLE queue (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    folded bytea NOT NULL UNIQUE, -- the name in lower case
    name bytea NOT NULL,
    paused boolean NOT NULL DEFAULT false
);

-- The actions of a queue by state: the sum over all servers, so that none waits for another. What a server adds to it is in the row
-- of its last transaction that has changed it; those before are deleted. 0 stands for servers that are no more.
CREATE TABLE tally (
    queue integer NOT NULL,
    server bigint NOT NULL,
    batch bigint NOT NULL DEFAULT 0,
    queued bigint NOT NULL DEFAULT 0,
    processing bigint NOT NULL DEFAULT 0,
    paused bigint NOT NULL DEFAULT 0,
    stopping bigint NOT NULL DEFAULT 0,
    finished bigint NOT NULL DEFAULT 0,
    error bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    stopped bigint NOT NULL DEFAULT 0,
    deferred bigint NOT NULL DEFAULT 0, -- those of the queued ones that may not start yet
    PRIMARY KEY (queue, server, batch)
);

CREATE TABLE live ( -- the actions that wait or run
    id bigint PRIMARY KEY,
    queue integer NOT NULL,
    state smallint NOT NULL, -- 0 to 3 as in State; 8: queued, and not to start before a time
    priority integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    restarts integer NOT NULL DEFAULT 0,
    queued_at bigint NOT NULL,
    started_at bigint,
    not_before bigint,
    server bigint, -- the owner that runs it
    batch bigint, -- the number of that owner's transaction that started it; below 0: that took it over
    worker bytea,
    error bytea,
    note bytea,
    submission_key bytea,
    taken_by integer NOT NULL, -- the site that took it, which its token names
    run_by integer, -- the site that ran it last
    parameters bytea NOT NULL -- as JSON
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX live_ready ON live (queue, priority DESC, id, taken_by) WHERE state = 0;
CREATE INDEX live_deferred ON live (queue, not_before, id) WHERE state = 8;
CREATE INDEX live_running ON live (queue, id) WHERE state BETWEEN 1 AND 3;
CREATE INDEX live_queued_at ON live (queue, queued_at, id);

CREATE TABLE done ( -- the actions that have ended
    id bigint NOT NULL,
    queue integer NOT NULL,
    state smallint NOT NULL,
    priority integer NOT NULL,
    attempt integer NOT NULL,
    queued_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint NOT NULL,
    processing_ms bigint NOT NULL,
    percent double precision NOT NULL,
    worker bytea,
    error bytea,
    submission_key bytea,
    taken_by integer NOT NULL,
    run_by integer,
    report bytea, -- as JSON
    parameters bytea NOT NULL,
    PRIMARY KEY (queue, id)
);
CREATE INDEX done_queued_at ON done (queue, queued_at, id);
CREATE INDEX done_started_at ON done (queue, started_at, id) WHERE started_at IS NOT NULL;
CREATE INDEX done_finished_at ON done (queue, finished_at, id);
CREATE INDEX done_unfinished ON done (queue, id) WHERE state <> 4;

CREATE UNLOGGED TABLE shown ( -- what a server shows others of an attempt that runs
    id bigint PRIMARY KEY,
    attempt integer NOT NULL,
    server bigint NOT NULL,
    shown_at timestamptz NOT NULL,
    figures bytea NOT NULL, -- as JSON
    partial bytea -- the partial result, as JSON
) WITH (fillfactor = 50);

CREATE TABLE history ( -- attempts that ended without ending their action
    id bigint NOT NULL,
    attempt integer NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    ended text, -- as JSON; NULL if the server went down
    worker bytea,
    error bytea,
    PRIMARY KEY (id, attempt)
);

CREATE TABLE submission_key (
    queue integer NOT NULL,
    digest bytea NOT NULL, -- SHA-256 of the key, which may be longer than an index allows
    id bigint NOT NULL,
    PRIMARY KEY (queue, digest)
);

-- Rows of no queue. Statistics that are taken while a table is empty would have the database plan to read all of it, and it would
-- still do so when a million actions wait.
CREATE FUNCTION add_ballast() RETURNS void LANGUAGE sql AS $$
    INSERT INTO live (id, queue, state, priority, queued_at, taken_by, parameters)
        SELECT -n, 0, 9, 0, 0, 0, '' FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO done (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent, taken_by,
            parameters)
        SELECT -n, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO history (id, attempt, started_at, ended_at)
        SELECT -n, 0, 0, 0 FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO submission_key (queue, digest, id)
        SELECT 0, sha256(n::text::bytea), 0 FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
$$;
SELECT add_ballast();

-- Begins a batch. It locks the queues that the batch takes from (shared) or pauses (alone), before any row. Then it locks the
-- server's own row, until the batch ends: nobody declares the server dead meanwhile. Then it counts the batch.
CREATE FUNCTION fence(
    own bigint, next bigint, known integer, area integer, queues integer[], alone boolean[],
    OUT gone boolean, OUT leased boolean
) LANGUAGE plpgsql AS $$
DECLARE
    found_version integer;
BEGIN
    FOR i IN 1 .. cardinality(queues) LOOP
        IF alone[i] THEN
            PERFORM pg_advisory_xact_lock(area, queues[i]);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(area, queues[i]);
        END IF;
    END LOOP;
    SELECT s.dead, s.expires_at > clock_timestamp() INTO gone, leased FROM server s WHERE s.id = own FOR NO KEY UPDATE;
    -- After the lock on the row: a migration waits for it.
    INSERT INTO batch (server, number) SELECT own, next FROM meta m
        WHERE m.version = known AND gone IS NOT NULL AND next - 1 = coalesce(
            (SELECT b.number FROM batch b WHERE b.server = own ORDER BY b.number DESC LIMIT 1), 0);
    IF NOT FOUND THEN
        SELECT version INTO found_version FROM meta;
        IF found_version IS DISTINCT FROM known THEN
            RAISE EXCEPTION 'the schema has another version'
                USING ERRCODE = 'ZA001', DETAIL = coalesce(found_version, 0)::text;
        END IF;
        RAISE EXCEPTION 'this is not the next batch of the server' USING ERRCODE = 'ZA002';
    END IF;
END
$$;
