"""orgwatch at work in a folder of its own, and its lake as orgwatch sql, DuckDB and Polars see it."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import polars as pl
from polars.testing import assert_frame_equal

CHECKOUT = Path(__file__).resolve().parent.parent
"""Where to look for the program that `cargo build` made."""

pl.Config(
    tbl_hide_column_data_types=True,
    tbl_hide_dataframe_shape=True,
    tbl_rows=40,
    tbl_cols=-1,
    fmt_str_lengths=100,
    tbl_width_chars=140,
)


def binary() -> Path:
    """The program: ORGWATCH_BINARY, else what this checkout has built, else the one on the PATH."""
    named = os.environ.get("ORGWATCH_BINARY")
    if named:
        return Path(named).resolve(strict=True)
    for profile in ("release", "debug"):
        built = CHECKOUT / "target" / profile / "orgwatch"
        if built.exists():
            return built
    installed = shutil.which("orgwatch")
    if installed is None:
        raise FileNotFoundError("no orgwatch: run `cargo build`, or name it by ORGWATCH_BINARY")
    return Path(installed)


class Desk:
    """A temporary folder with a configuration, a registry and logs, where orgwatch runs.

    Paths in the configuration are relative to it, so nothing is written anywhere else. It is
    deleted with the kernel.
    """

    def __init__(self, org: str | Path | None = None):
        """`org`: a folder with `orgwatch.toml`, `registry.toml` and `logs`, which is copied."""
        self._folder = tempfile.TemporaryDirectory(prefix="orgwatch-notebook-")
        self.path = Path(self._folder.name).resolve()
        if org is not None:
            for name in ("orgwatch.toml", "registry.toml"):
                shutil.copy(Path(org) / name, self.path)
            shutil.copytree(Path(org) / "logs", self.path / "logs")

    @classmethod
    def simulated(cls, *arguments) -> "Desk":
        """A desk with the org that `orgwatch simulate ARGUMENTS` writes."""
        desk = cls()
        desk.run("simulate", "--out", "org", *arguments)
        desk.path /= "org"
        return desk

    def _environment(self) -> dict[str, str]:
        """None of the caller's own settings."""
        others = {k: v for k, v in os.environ.items() if not k.startswith(("ORGWATCH_", "XDG_"))}
        return others | {"HOME": str(self.path), "TZ": "UTC", "NO_COLOR": "1"}

    def _call(self, arguments, code: int) -> bytes:
        done = subprocess.run(
            [binary(), *map(str, arguments)],
            cwd=self.path,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        if done.returncode != code:
            said = (done.stdout + done.stderr).decode(errors="replace")
            shown = " ".join(map(str, arguments))
            raise RuntimeError(f"orgwatch {shown}: exit code {done.returncode}, not {code}\n{said}")
        # What is no data (what was ingested, why a call is refused) goes to stderr.
        return done.stdout or done.stderr

    def run(self, *arguments, code: int = 0) -> str:
        """What `orgwatch ARGUMENTS` prints, without the place of this folder.

        Another exit code than `code` is an error.
        """
        return self._call(arguments, code).decode().replace(str(self.path), "…")

    def measure(self, *arguments) -> tuple[str, float, float]:
        """What `run` gives, the seconds that it took, and the most memory that it held, in MiB."""
        begun = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            program = subprocess.Popen(
                [binary(), *map(str, arguments)], cwd=self.path, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
            _, status, used = os.wait4(program.pid, 0)
            took = time.perf_counter() - begun
            program.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            said = out.read().decode()
        if program.returncode:
            raise RuntimeError(f"orgwatch {' '.join(map(str, arguments))}: exit code {program.returncode}\n{said}")
        # Linux counts in KiB, macOS in bytes.
        return said, took, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    def sql(self, *query, **params) -> pl.DataFrame:
        """The answer of `orgwatch sql QUERY --param NAME=VALUE …`.

        `query` is SQL, or such arguments as `"--hunt", "who-used-address"`.
        """
        given = [part for name, value in params.items() for part in ("--param", f"{name}={value}")]
        answer = self._call(["sql", "--quiet", "--format", "arrow", *given, *query], 0)
        return pl.read_ipc(io.BytesIO(answer))

    def files(self) -> dict[str, list[str]]:
        """The Parquet files that are visible, by table: what the ledger names, no more."""
        parts = self.sql("SELECT event_type, path FROM parts WHERE event_type NOT LIKE 'rollup_%' ORDER BY part_id")
        data = next(self.path.glob("**/ledger.sqlite")).parent
        files: dict[str, list[str]] = {}
        for event_type, path in parts.iter_rows():
            files.setdefault(_table(event_type), []).append(str(data / path))
        return files

    def in_duckdb(self) -> duckdb.DuckDBPyConnection:
        """The lake's visible files in DuckDB, under the names that they have in `orgwatch sql`."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for table, files in self.files().items():
            connection.read_parquet(files, hive_partitioning=True, union_by_name=True).create_view(table)
        return connection

    def in_polars(self) -> dict[str, pl.LazyFrame]:
        """The lake's visible files in Polars: a lazy frame for each table."""
        return {
            table: pl.scan_parquet(files, hive_partitioning=True, missing_columns="insert")
            for table, files in self.files().items()
        }


ROSTER = re.compile(r"ConnectedApplication|LoginIpRange|OauthToken|PermissionSet.*|Profile|User|UserLogin")
OF_ITS_OWN = {"LoginHistory", "SetupAuditTrail"}


def _table(event_type: str) -> str:
    """The table of an event type: its name in lower case, after what kind of log it is."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", event_type).lower()
    if event_type in OF_ITS_OWN:
        return name
    return f"roster_{name}" if ROSTER.fullmatch(event_type) else f"elf_{name}"


def agree(ours: pl.DataFrame, **others) -> pl.DataFrame:
    """Raises unless the answers of other engines are the same rows as ours, in whatever order.

    Columns have the same names; numbers may be of other types, and floats differ by rounding.
    """
    assert ours.height, "an empty answer proves nothing"
    wanted = _plain(ours)
    for name, answer in others.items():
        assert_frame_equal(
            _plain(pl.DataFrame(answer)),
            wanted,
            check_row_order=False,
            check_column_order=False,
            rel_tol=1e-9,
        )
    engines = ["orgwatch sql", *others]
    rows = "1 row" if ours.height == 1 else f"{ours.height} rows"
    print(f"{', '.join(engines[:-1])} and {engines[-1]} agree on {rows}.")
    return ours


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """One type for all whole numbers, one for fractions, one for times."""
    plain = frame.with_columns(
        pl.selectors.integer().cast(pl.Int64),
        pl.selectors.decimal().cast(pl.Float64),
        pl.selectors.float().cast(pl.Float64),
        pl.selectors.datetime().cast(pl.Datetime("us", "UTC")),
    )
    # DuckDB adds whole numbers up in 128 bits.
    sums = [c for c, t in frame.schema.items() if t.is_decimal() and t.scale == 0]
    return plain.with_columns(pl.col(sums).cast(pl.Int64))
