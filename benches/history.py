#!/usr/bin/env python3
"""What a night costs on a long history: `orgwatch detect` of one night, on a lake that holds many days
and on one that holds that day alone, turn and turn about.

    cargo build --release
    python3 benches/history.py --orgwatch target/release/orgwatch --days 90 --rounds 5

Needs Linux or macOS, Python 3.11 and nothing else. README.md beside this file says what is measured.
"""

import argparse
import json
import os
import re
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from process import Child, Failed, run, say
from report import spread

DATA = Path(__file__).resolve().parent.parent / "target" / "bench-data" / "history"
# Findings; rules that could not see, which is true of a lake of one day.
WELL = (0, 1, 3)


class Org:
    """A synthetic org whose logs are written, read and thrown away some days at a time."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.config = DATA / "org" / "orgwatch.toml"
        self.rows = 0

    def lakes(self) -> dict[str, Path]:
        """The lake of all days and the lake of the last one. Both have the last week's roster: a
        rule that cannot see does not cost anything."""
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)
        long, short = DATA / "long", DATA / "short"
        done = 0
        while done < self.args.days:
            days = min(self.args.segment, self.args.days - done)
            # The last days come last, so that their folder is the one that stays.
            end = self.args.end - timedelta(days=self.args.days - done - days)
            shutil.rmtree(self.config.parent, ignore_errors=True)
            self.orgwatch(
                "simulate", "--out", self.config.parent, "--seed", str(self.args.seed), "--days", str(days),
                "--end", end.isoformat(), "--size", self.args.size,
            )  # fmt: skip
            self.ingest(long, [self.config.parent / "logs"])
            done += days
            say(f"{done} of {self.args.days} days are in the lake")
        logs = self.config.parent / "logs"
        rosters = sorted(path for path in logs.glob("*/roster") if path.is_dir())[-1:]
        night = logs / (self.args.end + timedelta(days=1)).isoformat()
        self.ingest(short, [*rosters, *(path for path in night.iterdir() if path not in rosters)])
        return {f"{self.args.days} days": long, "1 day": short}

    def ingest(self, lake: Path, inputs: list[Path]) -> None:
        self.orgwatch("ingest", "--data-dir", lake, *inputs)

    def detect(self, lake: Path) -> Child:
        night = self.args.end.isoformat()
        now = f"{self.args.end + timedelta(days=1)}T03:00:00Z"
        child = self.orgwatch(
            "detect", "--data-dir", lake, "--since", night, "--until", night, "--now", now, well=WELL,
        )  # fmt: skip
        failed = [line for line in child.stderr.splitlines() if re.search(r"rule \S+ failed:", line)]
        if failed:
            raise Failed("\n".join(failed))
        return child

    def count(self, lake: Path) -> int:
        asked = "SELECT sum(rows_kept) AS rows FROM files"
        child = self.orgwatch("sql", "--data-dir", lake, "--format", "json", asked)
        return json.loads(child.stdout)[0]["rows"]

    def orgwatch(self, *words: str | Path, well: tuple[int, ...] = (0,)) -> Child:
        command = [self.args.orgwatch, *words]
        if words[0] != "simulate":
            command[2:2] = ["--config", self.config, "--memory", self.args.memory]
        return run(command, well=well)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--orgwatch", type=Path, default=Path("target/release/orgwatch"))
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--end", type=date.fromisoformat, default=date(2026, 6, 30))
    parser.add_argument("--size", default="small", help="as of orgwatch simulate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--segment", type=int, default=15, help="days of CSV on disk at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default="512MiB", help="what orgwatch may use")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    args.orgwatch = args.orgwatch.resolve()
    load = os.getloadavg()[0]
    try:
        org = Org(args)
        lakes = org.lakes()
        rows = {name: org.count(lake) for name, lake in lakes.items()}
        nights: dict[str, list[Child]] = {name: [] for name in lakes}
        for turn in range(args.rounds):
            # They change places, so that neither always finds the other's pages in the cache.
            for name in list(lakes)[:: 1 if turn % 2 else -1]:
                nights[name].append(org.detect(lakes[name]))
    except Failed as failed:
        say(f"benches/history.py: {failed}")
        return 1
    finally:
        shutil.rmtree(DATA, ignore_errors=True)
    print(f"one night of a {args.size} org, seed {args.seed}; {os.cpu_count()} CPUs, load before {load:.1f}")
    print(f"{'history':<10} {'rows':>13} {'seconds':>22} {'CPU s':>22} {'peak MiB':>20}")
    for name, children in nights.items():
        print(
            f"{name:<10} {rows[name]:>13,} {spread([c.seconds for c in children], 2):>22} "
            f"{spread([c.cpu_seconds for c in children], 2):>22} "
            f"{spread([c.peak_mib for c in children], 0):>20}"
        )
    for name, children in nights.items():
        print(f"{name}: {children[-1].stderr.splitlines()[-1]}")
    long, short = nights.values()
    ratios = [a.seconds / b.seconds for a, b in zip(long, short, strict=True)]
    print(f"{spread(ratios, 2)} times as long with the history (goal: below 1.3), median {median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
