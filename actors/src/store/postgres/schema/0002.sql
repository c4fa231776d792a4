-- What an action was submitted with beside its parameters. Most have nothing.
ALTER TABLE live ADD COLUMN action_id bytea, ADD COLUMN origin bytea; -- the latter as JSON
ALTER TABLE done ADD COLUMN action_id bytea, ADD COLUMN origin bytea;
-- By the SHA-256, for an id may be longer than an index allows.
CREATE INDEX live_action_id ON live (queue, sha256(action_id), id) WHERE action_id IS NOT NULL;
CREATE INDEX done_action_id ON done (queue, sha256(action_id), id) WHERE action_id IS NOT NULL;

CREATE SEQUENCE event_id;

CREATE TABLE handler ( -- who is told of events
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    folded bytea NOT NULL UNIQUE, -- the name in lower case
    name bytea NOT NULL,
    leader bigint -- the server that delivers its events
);

CREATE TABLE event ( -- what handlers are to be told, once for each of them
    id bigint NOT NULL DEFAULT nextval('event_id'),
    handler bigint NOT NULL,
    kind smallint NOT NULL,
    at bigint NOT NULL,
    queue integer NOT NULL,
    level bytea, -- the fill level of the queue, as JSON; without it the rest is an action as it was then
    action bigint,
    state smallint,
    priority integer,
    attempt integer,
    queued_at bigint,
    started_at bigint,
    finished_at bigint,
    processing_ms bigint,
    percent double precision,
    not_before bigint,
    taken_by integer,
    run_by integer,
    worker bytea,
    origin bytea,
    error bytea,
    report bytea,
    PRIMARY KEY (handler, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE failed_event ( -- those that could not be delivered, and wait for somebody to decide
    LIKE event,
    failed_at bigint NOT NULL,
    attempts integer NOT NULL,
    last_error bytea NOT NULL,
    PRIMARY KEY (handler, id)
);

-- The number of events of a handler that were dropped undelivered: the row with the highest number counts, those before are deleted.
CREATE TABLE dropped (
    handler bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (handler, number)
);

CREATE TABLE schedule (
    folded bytea PRIMARY KEY, -- the name in lower case
    name bytea NOT NULL,
    since bigint NOT NULL, -- when it was first known
    passed bigint NOT NULL, -- what was due up to here is done with
    last_due bigint, -- its last action, for that time
    last_queue integer,
    last_id bigint,
    cycles bigint NOT NULL,
    paused boolean NOT NULL,
    definition bytea -- of one that was added while a server ran
);

CREATE OR REPLACE FUNCTION add_ballast() RETURNS void LANGUAGE sql AS $$
    INSERT INTO live (id, queue, state, priority, queued_at, taken_by, parameters)
        SELECT -n, 0, 9, 0, 0, 0, '' FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO done (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent, taken_by,
            parameters)
        SELECT -n, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO history (id, attempt, started_at, ended_at)
        SELECT -n, 0, 0, 0 FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO submission_key (queue, digest, id)
        SELECT 0, sha256(n::text::bytea), 0 FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO event (id, handler, kind, at, queue)
        SELECT -n, 0, 0, 0, 0 FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
    INSERT INTO failed_event (id, handler, kind, at, queue, failed_at, attempts, last_error)
        SELECT -n, 0, 0, 0, 0, 0, 0, '' FROM generate_series(1, 500) AS n ON CONFLICT DO NOTHING;
$$;
SELECT add_ballast();
