#!/usr/bin/env python3
"""How fast an analyst has an answer: the questions of `queries/` asked by `orgwatch sql` of a lake of
logins, and by DuckDB of the same Parquet files, turn and turn about.

    cargo build --release
    python3 benches/sql.py --orgwatch target/release/orgwatch --rows 10_000_000 --rounds 5

Needs Linux or macOS, Python 3.11 or later and, the first time, the network. README.md beside this file
says what is measured.
"""

import argparse
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from statistics import median

from ingest import venv_python
from process import Failed, run, say
from report import spread

BENCHES = Path(__file__).resolve().parent
DATA = BENCHES.parent / "target" / "bench-data" / "sql"
# Of a generated row, to know how many bytes make so many rows.
BYTES_PER_ROW = 453

DUCKDB = """
import json, re, sys, time
import duckdb
views, threads, rounds, *files = sys.argv[1:]
con = duckdb.connect()
con.execute(f"SET threads = {int(threads)}")
# It goes to stdout.
con.execute("SET enable_progress_bar = false")
con.execute(open(views).read())
told = {"version": duckdb.__version__, "took": {}, "rows": {}}
for file in files:
    query = open(file).read()
    for _ in range(int(rounds)):
        began = time.perf_counter()
        rows = con.execute(query).fetchall()
        told["took"].setdefault(file, []).append(time.perf_counter() - began)
    told["rows"][file] = [[str(cell) for cell in row] for row in rows]
print(json.dumps(told))
"""


def clean() -> dict[str, str]:
    """Nothing of the caller's own configuration may change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORGWATCH_")}


def lake_of(args: argparse.Namespace) -> Path:
    """The lake, made once."""
    lake = DATA / f"{args.rows}-{args.days}-{args.seed}"
    done = lake / "made.json"
    if not done.is_file():
        shutil.rmtree(lake, ignore_errors=True)
        lake.mkdir(parents=True)
        log = lake / "Login.csv"
        generator = BENCHES / "make_login_csv.py"
        say(f"generating about {args.rows:,} logins")
        size = ["--bytes", args.rows * BYTES_PER_ROW, "--days", args.days, "--seed", args.seed]
        run([sys.executable, generator, "--out", log, *size])
        account = json.loads(log.with_name(log.name + ".json").read_text(encoding="utf-8"))
        say("reading them into the lake")
        run([args.orgwatch, "ingest", log, "--data-dir", lake / "data"], clean(), folder=lake)
        run([args.orgwatch, "lake", "compact", "--data-dir", lake / "data"], clean(), folder=lake)
        log.unlink()
        done.write_text(json.dumps({"rows": account["rows"]}))
    return lake


def orgwatch(args: argparse.Namespace, lake: Path, files: list[Path]) -> tuple[dict, dict]:
    """Seconds per question, and what was answered."""
    took: dict[str, list[float]] = {}
    rows: dict[str, list[list[str]]] = {}
    for file in files:
        # All repetitions in one process, as in a shell; `-v` says how long each answer took.
        query = re.sub(r"^--.*\n", "", file.read_text(encoding="utf-8"), flags=re.M)
        asked = lake / "asked.sql"
        asked.write_text(f"{query};\n" * args.repeat, encoding="utf-8")
        command = [args.orgwatch, "sql", "--data-dir", lake / "data", "--threads", args.threads]
        limits = ["--memory", args.memory, "--format", "jsonl", "-v", "--file", asked]
        child = run([*command, *limits], clean(), folder=lake)
        took[file.name] = [float(s) for s in re.findall(r"rows? in ([0-9.]+) s", child.stderr)]
        if len(took[file.name]) != args.repeat:
            raise Failed(f"{file.name}: {child.stderr}")
        answers = [json.loads(line) for line in child.stdout.splitlines()]
        rows[file.name] = [
            [str(cell) for cell in answer.values()] for answer in answers[: len(answers) // args.repeat]
        ]
    return took, rows


def duckdb(args: argparse.Namespace, lake: Path, files: list[Path], python: Path) -> dict:
    views = lake / "views.sql"
    printed = run([args.orgwatch, "sql", "--duckdb", "--data-dir", lake / "data"], clean(), folder=lake)
    views.write_text(printed.stdout, encoding="utf-8")
    child = run([python, "-c", DUCKDB, views, args.threads, args.repeat, *files], folder=lake)
    return json.loads(child.stdout)


def same(ours: list[list[str]], theirs: list[list[str]]) -> bool:
    """Times and fractions are written differently; numbers and words are not."""
    return [plain(row) for row in ours] == [plain(row) for row in theirs]


def plain(row: list[str]) -> list[str]:
    cells = []
    for cell in row:
        cell = re.sub(r"(\.\d*?)0*(Z|\+00:00)?$", r"\1", cell.replace("T", " ")) if ":" in cell else cell
        cell = re.sub(r"(\+00:00|Z|\.)+$", "", cell) if ":" in cell else cell
        try:
            cells.append(f"{float(cell):.6g}")
        except ValueError:
            cells.append("None" if cell == "" else cell)
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orgwatch", type=Path, required=True)
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="asked so often in a process; the best counts")
    args = parser.parse_args()
    args.orgwatch = args.orgwatch.resolve()
    python = venv_python()
    load = os.getloadavg()[0]
    lake = lake_of(args)
    files = sorted((BENCHES / "queries").glob("*.sql"))
    samples: dict[str, dict[str, list[float]]] = {file.name: {"own": [], "duckdb": []} for file in files}
    version = ""
    for number in range(args.rounds):
        contenders = ["own", "duckdb"] if number % 2 == 0 else ["duckdb", "own"]
        answers: dict[str, dict] = {}
        for name in contenders:
            if name == "own":
                took, rows = orgwatch(args, lake, files)
            else:
                told = duckdb(args, lake, files, python)
                version = told["version"]
                took = {Path(file).name: seconds for file, seconds in told["took"].items()}
                rows = {Path(file).name: found for file, found in told["rows"].items()}
            answers[name] = rows
            for file, seconds in took.items():
                samples[file][name].append(min(seconds))
        for file in samples:
            if not same(answers["own"][file], answers["duckdb"][file]):
                raise Failed(f"{file}: {answers['own'][file][:3]} and {answers['duckdb'][file][:3]}")
    rows = json.loads((lake / "made.json").read_text())["rows"]
    print(f"{rows:,} logins of {args.days} days; {platform.system()}, {os.cpu_count()} CPUs, load before {load:.1f}")
    print(f"{args.threads} threads each, {args.rounds} rounds, the best of {args.repeat} in each; DuckDB {version}")
    print()
    print("| question | orgwatch, s | DuckDB, s | ratio (least..greatest) |")
    print("|---|---|---|---|")
    slower = 0
    for file, took in samples.items():
        ratios = [own / peer for own, peer in zip(took["own"], took["duckdb"])]
        slower += median(ratios) > 1
        print(
            f"| {file.removesuffix('.sql')} | {median(took['own']):.3f} | {median(took['duckdb']):.3f} | "
            f"{spread(ratios, 2)} |"
        )
    print()
    print(f"as quick as DuckDB or quicker: {len(samples) - slower} of {len(samples)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(str(failed))
