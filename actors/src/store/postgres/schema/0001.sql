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
    batch bigint NOT NULL DEFAULT 0, -- the number of its last transaction
    site integer NOT NULL,
    slots integer NOT NULL -- the number of actions that it may run at a time
) WITH (fillfactor = 50);

CREATE TABLE queue (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    folded bytea NOT NULL UNIQUE, -- the name in lower case
    name bytea NOT NULL,
    paused boolean NOT NULL DEFAULT false
);

CREATE TABLE tally ( -- the actions of a queue by state: the sum over all servers, so that none waits for another
    queue integer NOT NULL,
    server bigint NOT NULL,
    queued bigint NOT NULL DEFAULT 0,
    processing bigint NOT NULL DEFAULT 0,
    paused bigint NOT NULL DEFAULT 0,
    stopping bigint NOT NULL DEFAULT 0,
    finished bigint NOT NULL DEFAULT 0,
    error bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    stopped bigint NOT NULL DEFAULT 0,
    deferred bigint NOT NULL DEFAULT 0, -- those of the queued ones that may not start yet
    PRIMARY KEY (queue, server)
) WITH (fillfactor = 50);

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
CREATE INDEX live_ready ON live (queue, priority DESC, id) WHERE state = 0;
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

-- Begins a batch. It locks the queues that the batch takes from (shared) or pauses (alone), before any row. Then it counts the
-- batch in the server's own row, which stays locked: nobody declares the server dead until the batch ends.
CREATE FUNCTION fence(
    own bigint, number bigint, known integer, area integer, queues integer[], alone boolean[],
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
    UPDATE server SET batch = number WHERE id = own AND batch = number - 1
        RETURNING dead, expires_at > clock_timestamp() INTO gone, leased;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this is not the next batch of the server' USING ERRCODE = 'ZA002';
    END IF;
    -- After the lock on the row: a migration waits for it.
    SELECT version INTO found_version FROM meta;
    IF found_version IS DISTINCT FROM known THEN
        RAISE EXCEPTION 'the schema has another version'
            USING ERRCODE = 'ZA001', DETAIL = coalesce(found_version, 0)::text;
    END IF;
END
$$;
