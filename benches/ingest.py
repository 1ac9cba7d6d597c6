#!/usr/bin/env python3
"""How fast `orgwatch ingest` turns a Login log into committed Parquet, side by side with DuckDB and
Polars in the same run.

    cargo build --release
    python3 benches/ingest.py --orgwatch target/release/orgwatch --rounds 3

Needs Linux or macOS and Python 3.11. The peers are installed into target/bench-venv, the logs are
generated into target/bench-data; both are kept for the next run. README.md beside this file says
what is measured and what is not.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import report
from process import Child, Failed, run, say

BENCHES = Path(__file__).resolve().parent
TARGET = BENCHES.parent / "target"
VENV = TARGET / "bench-venv"
DATA = TARGET / "bench-data"
CONTENDERS = ("orgwatch", "duckdb", "polars")
# How often the ledger is asked whether the commit is there.
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Sample:
    """One measured job. `seconds` ends with the work done, `process_seconds` with the process."""

    round: int
    job: str
    seconds: float
    process_seconds: float
    cpu_seconds: float
    peak_mib: float
    csv_bytes: int
    parquet_bytes: int


def venv_python() -> Path:
    """The interpreter of the virtual environment, which is made when it is missing or stale."""
    requirements = BENCHES / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    marker, python = VENV / "requirements.sha256", VENV / "bin" / "python"
    if not marker.is_file() or marker.read_text() != wanted:
        say(f"installing the peers into {VENV}")
        run([sys.executable, "-m", "venv", "--clear", VENV])
        pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes"]
        run([*pip, "--requirement", requirements])
        marker.write_text(wanted)
    return python


@dataclass(frozen=True)
class Log:
    """A generated log and what a reader must find in it."""

    path: Path
    bytes: int
    expected: dict[str, int]


def generated(args: argparse.Namespace) -> tuple[Log, Log]:
    """The log and the log issued again, from the cache if they are there as wanted."""
    generator = BENCHES / "make_login_csv.py"
    sources = generator.read_bytes() + (BENCHES / "login_columns.py").read_bytes()
    recipe = hashlib.sha256(sources).hexdigest()[:12]
    folder = DATA / f"{args.bytes}-{args.days}-{args.seed}-{recipe}"
    paths = folder / "Login.csv", folder / "Login_reissued.csv"
    if not all(path.with_name(path.name + ".json").is_file() for path in paths):
        say(f"generating {args.bytes:,} bytes into {folder}")
        options = ["--bytes", args.bytes, "--days", args.days, "--seed", args.seed]
        run([sys.executable, generator, "--out", paths[0], "--reissue", paths[1], *options])
    logs = []
    for path in paths:
        account = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
        expected = {key: account[key] for key in ("rows", "run_time_sum", "first_ms", "last_ms")}
        logs.append(Log(path, account["bytes"], expected | {"days": args.days}))
    return logs[0], logs[1]


def settle(path: Path) -> None:
    """Before each measurement: earlier writes are on disk, the input is in the page cache."""
    os.sync()
    with path.open("rb", buffering=0) as file:
        while file.read(4 << 20):
            pass


class CommitWatch(threading.Thread):
    """Notes when the ledger of a data folder holds `files` files: the moment of the commit."""

    def __init__(self, data: Path, files: int) -> None:
        super().__init__(daemon=True)
        self.ledger, self.files = data / "ledger.sqlite", files
        self.ended = threading.Event()
        self.seen: float | None = None

    def run(self) -> None:
        while not self.ended.wait(POLL_SECONDS):
            if self.is_committed():
                self.seen = time.perf_counter()
                return

    def is_committed(self) -> bool:
        # The ledger is opened anew each time: an open connection would keep its writer from
        # folding the log back into the database when it ends.
        try:
            with closing(sqlite3.connect(f"{self.ledger.as_uri()}?mode=ro", uri=True)) as ledger:
                (count,) = ledger.execute("SELECT count(*) FROM files").fetchone()
        except sqlite3.Error:
            return False
        return count >= self.files


class Bench:
    def __init__(self, args: argparse.Namespace) -> None:
        self.python = venv_python()
        self.log, self.reissued = generated(args)
        self.args = args
        self.out = DATA / "out"
        self.samples: list[Sample] = []
        self.versions: dict[str, str] = {}
        # Nothing of the caller's own configuration may change what is measured; for the same
        # reason orgwatch runs in a folder without an orgwatch.toml.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ORGWATCH_")}
        if "orgwatch" in args.contenders:
            said = run([args.orgwatch, "--version"]).stdout.split()
            self.versions["orgwatch"] = said[-1] if said else "unknown"

    def rounds(self) -> None:
        for number in range(1, self.args.rounds + 1):
            # Each contender comes first, second and last in turn.
            shift = (number - 1) % len(self.args.contenders)
            order = self.args.contenders[shift:] + self.args.contenders[:shift]
            cells = {name: self.contend(number, name) for name in order}
            if len(set(cells.values())) > 1:
                raise Failed(f"round {number}: the contenders wrote different cells: {cells}")

    def contend(self, number: int, name: str) -> str:
        """One contender's part of a round; returns the checksum of the cells that it wrote."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        if name == "orgwatch":
            return self.orgwatch(number)
        command = [self.python, BENCHES / "peers.py", name, self.log.path, self.out / name]
        settle(self.log.path)
        child = run([*command, "--threads", self.args.threads], self.environment)
        said = json.loads(child.stdout)
        self.versions[name] = said["version"]
        files = sorted((self.out / name).rglob("*.parquet"))
        self.note(number, name, said["seconds"], child, self.log, files)
        return self.checked(name, files, self.log)

    def orgwatch(self, number: int) -> str:
        data = self.out / "orgwatch"
        first = self.ingest(number, "orgwatch", data, self.log, files=1)
        cells = self.checked("orgwatch", first, self.log)
        again = self.ingest(number, "nothing new", data, self.log, files=None)
        if again != first:
            raise Failed("a second ingest of the same file changed the lake")
        extended = self.ingest(number, "re-issued", data, self.reissued, files=2)
        self.checked("re-issued", extended, self.reissued)
        return cells

    def ingest(self, number: int, job: str, data: Path, log: Log, files: int | None) -> list[Path]:
        """Ingests and returns the Parquet files that are visible then. `files`: how many files
        the ledger holds once this one is committed; none if nothing is to be committed."""
        command = [self.args.orgwatch, "ingest", log.path, "--data-dir", data]
        settle(log.path)
        watch = CommitWatch(data, files) if files else None
        began = time.perf_counter()
        if watch:
            watch.start()
        try:
            command += ["--threads", self.args.threads]
            child = run(command, self.environment, folder=self.out)
        finally:
            if watch:
                watch.ended.set()
                watch.join()
        # Without a sighting the commit came just before the end of the process.
        seconds = watch.seen - began if watch and watch.seen else child.seconds
        parts = visible_parts(data)
        self.note(number, job, min(seconds, child.seconds), child, log, parts)
        return parts

    def note(
        self, number: int, job: str, seconds: float, child: Child, log: Log, files: list[Path]
    ) -> None:
        sample = Sample(
            round=number,
            job=job,
            seconds=seconds,
            process_seconds=child.seconds,
            cpu_seconds=child.cpu_seconds,
            peak_mib=child.peak_mib,
            csv_bytes=log.bytes,
            parquet_bytes=sum(file.stat().st_size for file in files),
        )
        self.samples.append(sample)
        say(f"round {number}: {job:<12} {seconds:7.2f} s, peak {child.peak_mib:,.0f} MiB")

    def checked(self, job: str, files: list[Path], log: Log) -> str:
        """Holds what was written against the generator's account."""
        if not files:
            raise Failed(f"{job} wrote no Parquet file")
        held = json.loads(run([self.python, BENCHES / "peers.py", "check", *files]).stdout)
        found = {key: held[key] for key in log.expected}
        if found != log.expected:
            raise Failed(f"{job} wrote {found}, but the log holds {log.expected}")
        return held["cells"]


def visible_parts(data: Path) -> list[Path]:
    """The Login files of a lake that its ledger vouches for."""
    ledger = (data / "ledger.sqlite").as_uri() + "?mode=ro"
    query = "SELECT path FROM parts WHERE event_type = 'Login' AND state = 'visible' ORDER BY path"
    try:
        with closing(sqlite3.connect(ledger, uri=True)) as connection:
            rows = connection.execute(query).fetchall()
    except sqlite3.Error as error:
        raise Failed(f"orgwatch ended well but its ledger cannot be read: {error}") from error
    return [data / path for (path,) in rows]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    parser.add_argument(
        "--orgwatch", type=Path, default=TARGET / "release" / "orgwatch", help="the binary"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="size of the log, about")
    parser.add_argument("--days", type=int, default=4, help="UTC days that the log covers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    parser.add_argument(
        "--contenders",
        type=lambda value: value.split(","),
        default=list(CONTENDERS),
        metavar="NAMES",
        help=f"some of {','.join(CONTENDERS)}",
    )
    args = parser.parse_args()
    if unknown := set(args.contenders) - set(CONTENDERS):
        parser.error(f"unknown contender {', '.join(sorted(unknown))}")
    if min(args.rounds, args.threads, args.bytes, args.days) < 1:
        parser.error("--rounds, --threads, --bytes and --days must be at least 1")
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f"there is no folder {args.json.parent}")
    args.orgwatch = args.orgwatch.absolute()
    if "orgwatch" in args.contenders and not os.access(args.orgwatch, os.X_OK):
        parser.error(
            f"{args.orgwatch} is no program: build it with `cargo build --release`, or say where "
            "it is with --orgwatch"
        )
    return args


def main() -> int:
    args = arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"note: the machine is busy (load {load:.1f}); figures will be noisy")
    try:
        bench = Bench(args)
        bench.rounds()
    except Failed as failed:
        say(f"benches/ingest.py: {failed}")
        return 1
    finally:
        shutil.rmtree(DATA / "out", ignore_errors=True)
    facts = {
        "csv_bytes": bench.log.bytes,
        "rows": bench.log.expected["rows"],
        "days": args.days,
        "threads": args.threads,
        "rounds": args.rounds,
        "cpus": os.cpu_count(),
        "load_before": round(load, 2),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": bench.versions,
    }
    samples = [asdict(sample) for sample in bench.samples]
    ratios = report.ratios(samples)
    print(report.table(facts, samples, ratios))
    if args.json:
        document = {"facts": facts, "ratios": ratios, "samples": samples}
        args.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
