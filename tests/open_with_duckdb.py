"""Runs the SQL that `orgwatch sql --duckdb` printed and counts the rows of each view.

Usage: open_with_duckdb.py FILE.sql. Prints one JSON object."""

import json
import sys
from pathlib import Path

import duckdb

con = duckdb.connect()
con.execute(Path(sys.argv[1]).read_text())
views = con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
counts = {}
for (view,) in views:
    (counts[view], days) = con.execute(f'SELECT count(*), count(CAST(day AS DATE)) FROM "{view}"').fetchone()
    assert counts[view] == days, view
print(json.dumps(counts))
