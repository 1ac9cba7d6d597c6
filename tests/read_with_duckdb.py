"""Reads a lake's Parquet files with DuckDB, which knows nothing of orgwatch.

Usage: read_with_duckdb.py DATA_DIR. Prints one JSON object: rows by event type, and Login rows
by user."""

import json
import sys
from pathlib import Path

import duckdb

lake = Path(sys.argv[1]) / "lake"
events, logins = {}, []
for folder in sorted(lake.glob("event=*")):
    files = duckdb.read_parquet(str(folder / "*" / "*.parquet"), hive_partitioning=True)
    name = folder.name.removeprefix("event=")
    ((events[name],),) = duckdb.sql("SELECT count(*) FROM files").fetchall()
    if name == "Login":
        logins = duckdb.sql(
            "SELECT coalesce(user_id, ''), count(*), min(occurred_at)::VARCHAR, "
            "count(DISTINCT day) FROM files GROUP BY 1 ORDER BY 1"
        ).fetchall()
print(json.dumps({"events": events, "logins": logins}))
