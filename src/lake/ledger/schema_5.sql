-- The ledger, version 5: what was fetched from the org.

-- Event Log Files that the org listed, and what became of each. A file that is issued again has
-- the same id and another time of creation: a row of its own.
CREATE TABLE org_log_files (
    log_file_id     TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    -- In bytes, as the org says.
    length          INTEGER NOT NULL,
    event_type      TEXT NOT NULL,
    -- The day, or the hour, that it is of.
    log_date        INTEGER NOT NULL,
    interval        TEXT NOT NULL CHECK (interval IN ('hourly', 'daily')),
    sequence        INTEGER NOT NULL,
    -- listed: still to be fetched. ingested, rejected: what became of its rows. superseded: all of
    -- it is in a file that was fetched, or in a later issue of itself. gone: the org has it no more.
    state           TEXT NOT NULL
        CHECK (state IN ('listed', 'ingested', 'rejected', 'superseded', 'gone')),
    first_listed_at INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    tried_at        INTEGER,
    reason          TEXT,
    run_id          INTEGER NOT NULL REFERENCES runs,
    PRIMARY KEY (log_file_id, created_at, length)
) STRICT, WITHOUT ROWID;

CREATE INDEX org_log_files_by_creation ON org_log_files (created_at);

-- The other data sets of the org: how far each was read, and what the last try came to.
CREATE TABLE org_data_sets (
    name       TEXT PRIMARY KEY,
    state      TEXT NOT NULL CHECK (state IN ('read', 'incomplete', 'unreadable', 'failed')),
    -- When it was last read whole.
    read_at    INTEGER,
    -- Of a data set with a history: the end of what was read of it.
    read_until INTEGER,
    -- Of the last time that it was read.
    rows       INTEGER,
    tried_at   INTEGER NOT NULL,
    -- Why it was not read, and the permission that would help.
    reason     TEXT,
    permission TEXT,
    run_id     INTEGER NOT NULL REFERENCES runs
) STRICT, WITHOUT ROWID;
