/*
id = "logs-by-day"
title = "Which logs there are for which days, and what was quarantined"
days = 30
*/
SELECT
    event_type, "interval", CAST(first_event_at AS DATE) AS day, count(*) AS files, sum(rows_read) AS rows_read,
    sum(rows_kept) AS rows_kept, sum(rows_duplicate) AS rows_duplicate, sum(rows_quarantined) AS rows_quarantined,
    max(ingested_at) AS last_ingested_at
FROM files
WHERE first_event_at >= $window_start AND first_event_at < $window_end
GROUP BY event_type, "interval", CAST(first_event_at AS DATE)
ORDER BY day, event_type, "interval", files, rows_read, rows_kept, rows_duplicate, rows_quarantined, last_ingested_at
