#!/usr/bin/env python3
"""How good the detections are: precision, recall, nights and false alarms on synthetic orgs of which
the answer is known, side by side with what others have published.

    cargo build --release
    python3 benches/score.py --orgwatch target/release/orgwatch --seeds 1001-1003

Writes each org, runs a night over it, evaluates it, keeps the result and deletes the org; at the end
all results are pooled and printed as Markdown. Results that are there already are not made again, so
that an interrupted run goes on where it was. Needs Python 3.11 and nothing else.
"""

import argparse
import json
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from process import Child, Failed, run, say

TARGET = Path(__file__).resolve().parent.parent / "target"
TIERS = ("free", "shield")
# Look-alikes without an attack, and attacks that evade nothing.
QUIET, PLAIN = "quiet", "plain"
# A night ends well without findings, with findings, and where a rule had too little to see.
GOOD_ENDS = (0, 1, 3)


@dataclass(frozen=True)
class Wish:
    """One synthetic org."""

    seed: int
    tier: str
    variant: str

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.tier}-{self.variant}"

    def arguments(self) -> list[str]:
        chosen = ["--seed", str(self.seed), "--tier", self.tier, "--story", "all"]
        if self.variant != QUIET:
            chosen += ["--attack", "all"]
        if self.variant not in (QUIET, PLAIN):
            chosen += ["--mutate", self.variant]
        return chosen


class Program:
    """The program under test, away from the caller's own settings."""

    def __init__(self, path: Path, folder: Path):
        self.path, self.folder = path, folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ORGWATCH_")}

    def call(self, *words: str, well: tuple[int, ...] = (0,)) -> Child:
        return run([self.path, *words], self.environment, self.folder, well)

    def mutations(self) -> list[str]:
        offers = json.loads(self.call("simulate", "--list", "--format", "json").stdout)
        return [offer["name"] for offer in offers if offer["kind"] == "mutation"]


def make(program: Program, wish: Wish, options: argparse.Namespace) -> str:
    """Writes, judges and evaluates one org; returns the name of its result."""
    result = f"results/{wish.name}.json"
    if (program.folder / result).is_file():
        return result
    org = program.folder / wish.name
    shutil.rmtree(org, ignore_errors=True)
    began = time.monotonic()
    try:
        size = ["--size", options.size, "--days", str(options.days)]
        wrote = program.call("simulate", "--out", wish.name, *size, *wish.arguments())
        now = re.search(r"--now (\S+)", wrote.stderr)
        if not now:
            raise Failed("`orgwatch simulate` did not say at which time all its files are there")
        config = ["--config", f"{wish.name}/orgwatch.toml"]
        night = ["run", *config, "--now", now[1], "--no-canaries", "--no-progress", "--quiet"]
        program.call(*night, well=GOOD_ENDS)
        labels = f"{wish.name}/labels.csv"
        form = ["--format", "json", "--output", result, "--no-progress"]
        if options.no_comparators:
            form.append("--no-comparators")
        warned = program.call("evaluate", labels, *form).stderr
        if warned:
            say(warned)
    finally:
        shutil.rmtree(org, ignore_errors=True)
    say(f"{wish.name}: {time.monotonic() - began:.0f} s")
    return result


def numbers(text: str) -> list[int]:
    """`1001-1003,1010` as its numbers."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            raise argparse.ArgumentTypeError("numbers and ranges, as in 1001-1003,1010") from None
    if not found or len(found) > 1000:
        raise argparse.ArgumentTypeError("give 1 to 1000 seeds")
    return found


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--orgwatch", type=Path, default=TARGET / "release" / "orgwatch", metavar="BIN")
    add("--work", type=Path, default=TARGET / "score", metavar="DIR", help="where orgs come and go")
    add("--seeds", type=numbers, default=numbers("1001-1003"), help="as in 1001-1003")
    add("--tiers", type=words, default=list(TIERS), help="free,shield")
    add("--mutations", type=words, help=f"{QUIET} (no attack), {PLAIN}, and names; default: all")
    add("--size", default="small", choices=["tiny", "small", "medium", "large"])
    add("--days", type=int, default=120)
    add("--no-comparators", action="store_true")
    return parser.parse_args(arguments)


def wishes(program: Program, options: argparse.Namespace) -> list[Wish]:
    known = [QUIET, PLAIN, *program.mutations()]
    variants = options.mutations or known
    for word, among in [*((v, known) for v in variants), *((t, TIERS) for t in options.tiers)]:
        if word not in among:
            raise Failed(f"unknown: {word!r}; one of {', '.join(among)}")
    return [
        Wish(seed, tier, variant)
        for seed in options.seeds
        for tier in options.tiers
        for variant in variants
    ]


def settings(program: Program, options: argparse.Namespace) -> str:
    """What a result depends on, so that results of other runs are not pooled with these."""
    binary = options.orgwatch.resolve().stat()
    version = program.call("--version").stdout.strip()
    return f"{version}, {binary.st_size} bytes, size {options.size}, {options.days} days\n"


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    program = Program(options.orgwatch.resolve(), options.work.resolve())
    try:
        if not options.orgwatch.is_file():
            raise Failed(f"there is no program {options.orgwatch}; build it, or name it by --orgwatch")
        wanted = wishes(program, options)
        results = program.folder / "results"
        results.mkdir(exist_ok=True)
        marker, now = results / "settings.txt", settings(program, options)
        if marker.is_file() and marker.read_text() != now:
            raise Failed(f"{results} holds results of other settings; remove it, or choose --work")
        marker.write_text(now)
        made = [make(program, wish, options) for wish in wanted]
        print(program.call("evaluate", *made, "--format", "markdown", "--quiet").stdout, end="")
    except Failed as failed:
        say(f"error: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
