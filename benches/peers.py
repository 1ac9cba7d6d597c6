"""What the peers do in the benchmark: the same columns of a Login file, with the same types, to
Zstd Parquet by day. Run by `ingest.py` in its virtual environment, one process per job.

    peers.py duckdb|polars CSV FOLDER --threads N     convert; prints {"seconds", "version"}
    peers.py check FILE…                              read Parquet back; prints what it holds
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import login_columns

ZSTD_LEVEL = 1


def text(literal: object) -> str:
    return "'" + str(literal).replace("'", "''") + "'"


def convert_with_duckdb(source: Path, folder: Path, threads: int) -> dict[str, object]:
    import duckdb

    types = {"time": "TIMESTAMP", "integer": "BIGINT", "text": "VARCHAR"}
    kept = login_columns.kept()
    kinds = {column.heading: column.kind for column in kept}
    declared = ", ".join(
        f"{text(heading)}: {text(types[kinds.get(heading, 'text')])}"
        for heading in login_columns.header()
    )
    projection = ", ".join(f'"{column.heading}" AS "{column.name}"' for column in kept)
    # The quickest form: nothing sniffed, types read while parsing, order of rows given up.
    statement = f"""
        COPY (
            SELECT {projection}, CAST("TIMESTAMP_DERIVED" AS DATE) AS day
            FROM read_csv({text(source)}, header = true, delim = ',', quote = '"', escape = '"',
                          auto_detect = false, columns = {{{declared}}})
        ) TO {text(folder)}
        (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}, PARTITION_BY (day))"""
    began = time.perf_counter()
    session = duckdb.connect()
    session.execute(f"SET threads = {threads}; SET preserve_insertion_order = false")
    session.execute("SET TimeZone = 'UTC'")
    session.execute(statement)
    session.close()
    return {"seconds": time.perf_counter() - began, "version": duckdb.__version__}


def convert_with_polars(source: Path, folder: Path, threads: int) -> dict[str, object]:
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    kept = login_columns.kept()
    integers = {column.heading for column in kept if column.kind == "integer"}
    schema = {
        heading: pl.Int64 if heading in integers else pl.String
        for heading in login_columns.header()
    }

    def projected(column: login_columns.Column) -> pl.Expr:
        cell = pl.col(column.heading)
        if column.kind == "time":
            # Said in full: to guess the format costs more.
            cell = cell.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC")
        return cell.alias(column.name)

    began = time.perf_counter()
    logins = (
        pl.scan_csv(source, schema=schema)
        .select([projected(column) for column in kept])
        .with_columns(day=pl.col("occurred_at").dt.date())
    )
    # A sink streams: the file is never in memory as a whole.
    logins.sink_parquet(
        pl.PartitionBy(folder, key="day", include_key=False),
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        maintain_order=False,
        mkdir=True,
    )
    return {"seconds": time.perf_counter() - began, "version": pl.__version__}


def check(files: list[Path]) -> dict[str, object]:
    """What the Parquet files hold, in figures that do not depend on the order of rows."""
    import duckdb

    listed = ", ".join(text(file) for file in files)
    figures = {
        "rows": "count(*)",
        "run_time_sum": "sum(run_time)::BIGINT",
        "first_ms": "epoch_ms(min(occurred_at))",
        "last_ms": "epoch_ms(max(occurred_at))",
        "days": "count(DISTINCT occurred_at::DATE)",
        "failures": "count(*) FILTER (login_status <> 'LOGIN_NO_ERROR')",
        # Columns that nobody rewrites, cell by cell; an empty cell may be stored as NULL.
        "cells": """bit_xor(hash(epoch_ms(occurred_at), user_id, request_id, cpu_time, db_total_time,
            login_type, coalesce(login_sub_type, ''), coalesce(browser_type, ''), user_name,
            source_ip, client_ip))::VARCHAR""",
    }
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    chosen = ", ".join(figures.values())
    row = session.execute(f"SELECT {chosen} FROM read_parquet([{listed}])").fetchone()
    return dict(zip(figures, row, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    for name in ("duckdb", "polars"):
        job = jobs.add_parser(name)
        job.add_argument("csv", type=Path)
        job.add_argument("folder", type=Path)
        job.add_argument("--threads", type=int, required=True)
    jobs.add_parser("check").add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    if args.job == "check":
        found = check(args.files)
    elif args.job == "duckdb":
        found = convert_with_duckdb(args.csv, args.folder, args.threads)
    else:
        found = convert_with_polars(args.csv, args.folder, args.threads)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
