#!/usr/bin/env python3
"""Writes the sample org: logs, registry, config, story and the expected findings.

    python3 sample-data/generate.py                 rewrite the files in this folder
    python3 sample-data/generate.py --out DIR       write them elsewhere
    python3 sample-data/generate.py --check         exit 1 if the files here are not what it writes

Needs Python 3.11 and nothing else. The same seed gives the same bytes (compressed files: the same
content).
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from acme import delivery, incidents, lookalikes, routine, texts
from acme.records import Logs

HERE = Path(__file__).resolve().parent
WRITTEN = ("logs", "registry.toml", "orgwatch.toml", "STORY.md", "expected.csv")


def generate(seed: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "logs", ignore_errors=True)
    logs = Logs(seed)
    routine.write(logs)
    lookalikes.write(logs)
    incidents.write(logs)
    routine.write_daily(logs)
    delivery.write(logs, out)
    texts.write(out)


def files(root: Path) -> dict[str, Path]:
    found = (f for name in WRITTEN for f in [root / name, *(root / name).rglob("*")])
    return {f.relative_to(root).as_posix(): f for f in found if f.is_file()}


def differences(seed: int, root: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        generate(seed, Path(folder))
        wanted, there = files(Path(folder)), files(root)
        return sorted(
            [f"missing: {n}" for n in wanted.keys() - there.keys()]
            + [f"not generated: {n}" for n in there.keys() - wanted.keys()]
            + [f"differs: {n}" for n in wanted.keys() & there.keys()
               if delivery.unpacked(wanted[n]) != delivery.unpacked(there[n])]
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    parser.add_argument("--seed", type=int, default=20260131)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    if not args.check:
        generate(args.seed, args.out)
        return 0
    found = differences(args.seed, args.out)
    print("\n".join(found) if found else "sample data is what the generator writes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
