-- The ledger, version 3: what findings make of one another. NULL where an older release wrote the
-- finding and no run has looked at it since.

-- The findings of one subject and UTC day, and what the subject is called.
ALTER TABLE findings ADD COLUMN case_id TEXT;
ALTER TABLE findings ADD COLUMN case_subject TEXT;

-- The rule's own severity, where other findings raised it, and why they did.
ALTER TABLE findings ADD COLUMN raised_from TEXT
    CHECK (raised_from IN ('info', 'low', 'medium', 'high', 'critical'));
ALTER TABLE findings ADD COLUMN raised_because TEXT;

-- The finding under which an alert counts this one, instead of telling it by itself.
ALTER TABLE findings ADD COLUMN gathered_by TEXT;

CREATE INDEX findings_by_case ON findings (case_id);
