//! The tables of earlier formats, to the letter that matters.

/// Returns what makes a file of this format.
pub(super) fn format(number: u8) -> &'static str {
    match number {
        1 => FORMAT_1,
        2 => FORMAT_2,
        3 => FORMAT_3,
        other => panic!("no format {other}"),
    }
}

/// The database that version 1 made of an empty file.
const FORMAT_1: &str = "
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    paused INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL
) STRICT;
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    processing_ms INTEGER NOT NULL DEFAULT 0,
    percent REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX by_state ON action (queue, state, priority DESC);
CREATE INDEX by_queued ON action (queue, queued_at);
CREATE INDEX by_started ON action (queue, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX by_finished ON action (queue, finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE parameters (
    id INTEGER PRIMARY KEY,
    submission_key TEXT,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    error TEXT,
    report TEXT
) STRICT;
CREATE TABLE submission_key (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
";

/// The database that version 2 made of an empty file.
const FORMAT_2: &str = "
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    paused INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL
) STRICT;
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    processing_ms INTEGER NOT NULL DEFAULT 0,
    percent REAL NOT NULL DEFAULT 0,
    error TEXT,
    report TEXT
) STRICT;
CREATE INDEX by_state ON action (queue, state, priority DESC) WHERE state <> 4;
CREATE INDEX by_priority ON action (queue, priority) WHERE priority <> 0;
CREATE INDEX by_queued ON action (queue, queued_at);
CREATE INDEX by_started ON action (queue, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX by_finished ON action (queue, finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE parameters (
    id INTEGER PRIMARY KEY,
    submission_key TEXT,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE submission_key (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;
";

/// The database that version 3 made of an empty file.
const FORMAT_3: &str = "
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    paused INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL
) STRICT;
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    processing_ms INTEGER NOT NULL DEFAULT 0,
    percent REAL NOT NULL DEFAULT 0,
    error TEXT,
    report TEXT,
    not_before INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    restarts INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    note TEXT
) STRICT;
CREATE INDEX by_state ON action (queue, state, priority DESC) WHERE state <> 4;
CREATE INDEX by_priority ON action (queue, priority) WHERE priority <> 0;
CREATE INDEX by_queued ON action (queue, queued_at);
CREATE INDEX by_started ON action (queue, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX by_finished ON action (queue, finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE parameters (
    id INTEGER PRIMARY KEY,
    submission_key TEXT,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE submission_key (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    ended TEXT,
    worker TEXT,
    error TEXT,
    PRIMARY KEY (id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_not_before ON action (queue, not_before) WHERE state = 8;
PRAGMA user_version = 3;
COMMIT;
";
