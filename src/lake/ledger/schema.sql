-- The ledger, version 1. Times are milliseconds since 1970 in UTC, days are YYYY-MM-DD,
-- lists are comma separated. Paths are relative to the data folder.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    run_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    -- running | finished | interrupted
    state       TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted')),
    exit_code   INTEGER,
    summary     TEXT
) STRICT;

CREATE TABLE files (
    file_id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT NOT NULL,
    content_hash        BLOB NOT NULL,
    size_bytes          INTEGER NOT NULL,
    event_type          TEXT NOT NULL,
    interval            TEXT,
    -- ingested | torn | rejected | lost (a damaged part held rows of it: it may be read again)
    state               TEXT NOT NULL CHECK (state IN ('ingested', 'torn', 'rejected', 'lost')),
    reason              TEXT,
    unknown_columns     TEXT NOT NULL,
    missing_columns     TEXT NOT NULL,
    first_event_at      INTEGER,
    last_event_at       INTEGER,
    rows_read           INTEGER NOT NULL,
    rows_kept           INTEGER NOT NULL,
    rows_duplicate      INTEGER NOT NULL,
    rows_quarantined    INTEGER NOT NULL,
    repeated_headers    INTEGER NOT NULL,
    timestamp_fallbacks INTEGER NOT NULL,
    unreadable_values   INTEGER NOT NULL,
    run_id              INTEGER NOT NULL REFERENCES runs,
    ingested_at         INTEGER NOT NULL,
    CHECK (rows_read = rows_kept + rows_duplicate + rows_quarantined)
) STRICT;
CREATE INDEX files_by_hash ON files (content_hash);
CREATE INDEX files_by_size ON files (size_bytes);

-- One Parquet file. `removed` parts are invisible; the next writer deletes them.
CREATE TABLE parts (
    part_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    event_type     TEXT NOT NULL,
    day            TEXT NOT NULL,
    path           TEXT NOT NULL UNIQUE,
    rows           INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    blake3         BLOB NOT NULL,
    first_event_at INTEGER NOT NULL,
    last_event_at  INTEGER NOT NULL,
    run_id         INTEGER NOT NULL REFERENCES runs,
    added_at       INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('visible', 'removed')),
    removed_at     INTEGER
) STRICT;
CREATE INDEX parts_by_day ON parts (state, event_type, day, part_id);

-- Whose rows a raw part holds.
CREATE TABLE part_files (
    part_id INTEGER NOT NULL REFERENCES parts ON DELETE CASCADE,
    file_id INTEGER NOT NULL REFERENCES files,
    PRIMARY KEY (part_id, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_files_by_file ON part_files (file_id);

-- Raw rows that are no longer in the lake, so that the accounts still add up.
CREATE TABLE departed_rows (
    event_type  TEXT NOT NULL,
    day         TEXT NOT NULL,
    -- retention | damage
    reason      TEXT NOT NULL CHECK (reason IN ('retention', 'damage')),
    parts       INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    run_id      INTEGER NOT NULL REFERENCES runs,
    departed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE quarantine (
    quarantine_id INTEGER PRIMARY KEY,
    file_id       INTEGER NOT NULL REFERENCES files,
    event_type    TEXT NOT NULL,
    line_no       INTEGER NOT NULL,
    column_name   TEXT,
    reason        TEXT NOT NULL,
    user_id       TEXT,
    ip            TEXT
) STRICT;
CREATE INDEX quarantine_by_file ON quarantine (file_id);

-- The last commit (a counter) that brought rows of a day.
CREATE TABLE dirty_days (
    day    TEXT PRIMARY KEY,
    marker INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to which commit a stage has worked on a day.
CREATE TABLE cleared_days (
    stage  TEXT NOT NULL,
    day    TEXT NOT NULL,
    marker INTEGER NOT NULL,
    PRIMARY KEY (stage, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE usernames (
    user_id   TEXT PRIMARY KEY,
    username  TEXT NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_runs (
    run_id     INTEGER NOT NULL REFERENCES runs,
    rule_id    TEXT NOT NULL,
    version    INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('ok', 'failed', 'blind', 'never_had_input')),
    reason     TEXT,
    findings   INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, rule_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
    finding_id    TEXT PRIMARY KEY,
    dedupe_key    TEXT NOT NULL,
    rule_id       TEXT NOT NULL,
    rule_version  INTEGER NOT NULL,
    severity      TEXT NOT NULL
                  CHECK (severity IN ('info', 'low', 'medium', 'high', 'critical')),
    title         TEXT NOT NULL,
    user_key      TEXT,
    user_id       TEXT,
    username      TEXT,
    user_kind     TEXT,
    bucket_start  INTEGER,
    first_seen    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    expected      TEXT NOT NULL,
    observed      TEXT NOT NULL,
    evidence_json TEXT NOT NULL,
    attack        TEXT NOT NULL,
    suppressed_by TEXT,
    status        TEXT NOT NULL
                  CHECK (status IN ('new', 'ongoing', 'resolved', 'acknowledged', 'suppressed')),
    -- Who set the status by hand; a status set by hand outlives re-evaluation.
    held_by       TEXT,
    -- First and last run that produced it; `new_in_run` is the run that (last) made it new.
    first_run     INTEGER NOT NULL REFERENCES runs,
    last_run      INTEGER NOT NULL REFERENCES runs,
    new_in_run    INTEGER NOT NULL REFERENCES runs
) STRICT;
CREATE INDEX findings_by_rule ON findings (rule_id, bucket_start);
CREATE INDEX findings_by_status ON findings (status);
CREATE INDEX findings_by_dedupe ON findings (dedupe_key);

CREATE TABLE finding_events (
    event_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    finding_id  TEXT NOT NULL REFERENCES findings,
    run_id      INTEGER REFERENCES runs,
    at          INTEGER NOT NULL,
    from_status TEXT,
    to_status   TEXT NOT NULL,
    who         TEXT NOT NULL,
    why         TEXT NOT NULL
) STRICT;
CREATE INDEX finding_events_by_finding ON finding_events (finding_id);

CREATE TABLE outbox (
    outbox_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     INTEGER NOT NULL REFERENCES runs,
    created_at INTEGER NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    recipients TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       BLOB NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    sent_at    INTEGER,
    response   TEXT,
    reference  TEXT
) STRICT;
CREATE INDEX outbox_by_state ON outbox (state, outbox_id);
