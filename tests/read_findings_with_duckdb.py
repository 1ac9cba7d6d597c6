"""Reads exported findings with DuckDB, which knows nothing of orgwatch.

Usage: read_findings_with_duckdb.py FILE. Prints a JSON list of the rows, by finding."""

import json
import sys
from pathlib import Path

import duckdb

path = sys.argv[1]
read = {".csv": duckdb.read_csv, ".parquet": duckdb.read_parquet, ".jsonl": duckdb.read_json}
kind = Path(path).suffix
findings = duckdb.read_csv(path, all_varchar=True) if kind == ".csv" else read[kind](path)
rows = duckdb.sql(
    "SELECT finding_id, username, observed, CAST(count AS VARCHAR), CAST(typeof(last_seen) AS VARCHAR) "
    "FROM findings ORDER BY finding_id"
).fetchall()
print(json.dumps(rows))
