-- The ledger, version 4.

-- ---------------------------------------------------------------------------------------------
-- Mail: for which group of people, and what became of it at each address.
-- ---------------------------------------------------------------------------------------------
ALTER TABLE outbox ADD COLUMN audience TEXT NOT NULL DEFAULT 'default';
ALTER TABLE outbox ADD COLUMN tried_at INTEGER;

-- A mail is `pending` while one of its recipients is, then `failed` if one of them refused it for
-- good, else `sent`.
CREATE TABLE outbox_recipients (
    outbox_id INTEGER NOT NULL REFERENCES outbox,
    recipient TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    -- When the last word on it was spoken, and the word: the server's, or the file's path.
    at        INTEGER,
    answer    TEXT,
    PRIMARY KEY (outbox_id, recipient)
) STRICT, WITHOUT ROWID;

WITH RECURSIVE addresses (outbox_id, recipient, rest, state, at, answer) AS (
    SELECT outbox_id, '', recipients || char(10), state, sent_at, coalesce(response, last_error)
    FROM outbox
    UNION ALL
    SELECT outbox_id, substr(rest, 1, instr(rest, char(10)) - 1),
        substr(rest, instr(rest, char(10)) + 1), state, at, answer
    FROM addresses
    WHERE rest <> ''
)
INSERT OR IGNORE INTO outbox_recipients (outbox_id, recipient, state, at, answer)
SELECT outbox_id, recipient, state, at, answer FROM addresses WHERE recipient <> '';

-- ---------------------------------------------------------------------------------------------
-- Findings in people's hands.
-- ---------------------------------------------------------------------------------------------
-- When a person set the status by hand, what there was to see, and when a suppression by hand
-- ends. NULL where nobody did, and where an older release did.
ALTER TABLE findings ADD COLUMN held_at INTEGER;
ALTER TABLE findings ADD COLUMN held_severity TEXT
    CHECK (held_severity IN ('info', 'low', 'medium', 'high', 'critical'));
ALTER TABLE findings ADD COLUMN held_count INTEGER;
ALTER TABLE findings ADD COLUMN held_until INTEGER;

-- Why it is open again after a person had closed it. Mails of runs up to `reopened_after` told of
-- the time before.
ALTER TABLE findings ADD COLUMN reopened_because TEXT;
ALTER TABLE findings ADD COLUMN reopened_after INTEGER;
