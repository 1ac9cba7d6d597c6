-- The ledger, version 4.

-- Findings in people's hands ---------------------------------------------------------------------

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
