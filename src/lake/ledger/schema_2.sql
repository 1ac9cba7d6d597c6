-- The ledger, version 2: what a run knows about itself, and accounts that work like machines.
-- Each table holds the state of the last run that looked.

-- The [[suppress]] entries of the configuration, in its order.
CREATE TABLE suppressions (
    position       INTEGER PRIMARY KEY,
    suppression_id TEXT NOT NULL,
    rule           TEXT NOT NULL,
    user_ref       TEXT,
    conditions     TEXT NOT NULL,
    reason         TEXT NOT NULL,
    owner          TEXT NOT NULL,
    until          INTEGER NOT NULL,
    is_expired     INTEGER NOT NULL CHECK (is_expired IN (0, 1)),
    -- Findings of that run that it hides, or would hide if it had not expired.
    matched        INTEGER NOT NULL
) STRICT;

-- Each rule's own positive case, pushed through the program.
CREATE TABLE canaries (
    rule_id    TEXT PRIMARY KEY,
    case_name  TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('fired', 'silent', 'failed', 'silenced_by_settings')),
    reason     TEXT,
    checked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Accounts that work like a machine by the logs alone, whatever the registry says of them.
CREATE TABLE inferred_roles (
    user_key  TEXT NOT NULL,
    role      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    -- The role counts for events from `since` on and before `until` (NULL: it still counts).
    since     INTEGER NOT NULL,
    until     INTEGER,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (user_key, since)
) STRICT, WITHOUT ROWID;

-- Group of the rule: misuse | credential | identity | attack | behaviour | coverage. NULL where
-- version 1 wrote it and no run has produced it again.
ALTER TABLE findings ADD COLUMN family TEXT;

-- Headings that some release of the type has and the file lacks. NULL: version 1 did not look.
ALTER TABLE files ADD COLUMN absent_columns TEXT;
