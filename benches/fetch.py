#!/usr/bin/env python3
"""What it costs to have the org's log files in the lake, and not only on the disk: `orgwatch fetch` beside
a plain download of the same files, from the fake org on this machine, turn and turn about.

    cargo build --release --bins --examples
    python3 benches/fetch.py --orgwatch target/release/orgwatch \\
        --fake target/release/examples/fake-salesforce --org big --rounds 3

Needs Linux or macOS, Python 3.11 or later and curl. README.md beside this file says what is measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from ingest import CommitWatch
from process import Child, Failed, run, say
from report import spread

DATA = Path(__file__).resolve().parent.parent / "target" / "bench-data" / "fetch"
NOW = "2026-01-31T03:00:00Z"
API = "/services/data/v66.0"
# As the fake org's app has them.
CLIENT_ID = "3MVG9.fake.consumer.key"
CLIENT_SECRET = "LEAK-CANARY-client-secret"
AT_ONCE = 2
# Of the orgs, how many files the lake has in the end: hours within a day that it has are left out.
FILES = {"big": 2510, "sample": 297}


class Fake:
    """The fake org, as long as this lasts."""

    def __init__(self, args: argparse.Namespace) -> None:
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)
        self.config = DATA / "orgwatch.toml"
        command = [args.fake, "--org", args.org, "--into", DATA, "--now", NOW]
        if args.rate:
            command += ["--rate", str(args.rate)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = ""
        for line in self.process.stdout:
            if line.startswith("My Domain:"):
                self.url = line.split()[-1]
            if line.startswith("stop it"):
                break
        if not self.url:
            raise Failed("the fake org did not start")
        text = self.config.read_text(encoding="utf-8")
        # Log files alone: nothing else is downloaded by the other side.
        switches = "login_history = false\nsetup_audit_trail = false\nroster = false\nintervals = \"both\"\n"
        self.config.write_text(text.replace("[salesforce]\n", f"[salesforce]\n{switches}", 1), encoding="utf-8")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        asked = urllib.request.Request(
            f"{self.url}/services/oauth2/token", data=urllib.parse.urlencode(form).encode()
        )
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["access_token"]

    def ids(self, token: str) -> list[str]:
        soql = "SELECT Id FROM EventLogFile WHERE Interval IN ('Hourly','Daily') ORDER BY CreatedDate"
        path = f"{API}/query?{urllib.parse.urlencode({'q': soql})}"
        ids = []
        while path:
            asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(asked) as answer:
                page = json.load(answer)
            ids += [record["Id"] for record in page["records"]]
            path = page.get("nextRecordsUrl")
        return ids


def download(fake: Fake, folder: Path) -> tuple[float, int]:
    """All files, two at a time, each synced; seconds and bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began = time.perf_counter()
    token = fake.token()
    ids = fake.ids(token)
    halves = [ids[n::AT_ONCE] for n in range(AT_ONCE)]

    def one(some: list[str]) -> None:
        # One process for many files, as a connection is used again.
        lines = [
            f'url = "{fake.url}{API}/sobjects/EventLogFile/{name}/LogFile"\noutput = "{folder / name}"\n'
            for name in some
        ]
        lines.insert(0, f'header = "Authorization: Bearer {token}"\ncompressed\nsilent\nfail\n')
        subprocess.run(["curl", "--config", "-"], input="".join(lines), text=True, check=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, halves))
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    seconds = time.perf_counter() - began
    total = sum(file.stat().st_size for file in folder.iterdir())
    shutil.rmtree(folder)
    return seconds, total


def fetch(args: argparse.Namespace, fake: Fake) -> tuple[Child, float, dict]:
    """What it cost, the seconds until the ledger held all files, and what became of them."""
    lake = DATA / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    common = ["--config", fake.config, "--data-dir", lake]
    files = FILES[args.org]
    watch = CommitWatch(lake, files)
    watch.start()
    began = time.perf_counter()
    child = run([args.orgwatch, "fetch", *common, "--now", NOW], well=(0, 3))
    watch.ended.set()
    watch.join()
    if watch.seen is None:
        raise Failed(f"not all of {files} files are in the ledger: {child.stderr}")
    asked = "SELECT state, count(*) AS files, sum(length) AS bytes FROM org_log_files GROUP BY 1 ORDER BY 1"
    states = run([args.orgwatch, "sql", *common, "--format", "json", asked]).stdout
    shutil.rmtree(lake)
    return child, watch.seen - began, {row["state"]: row for row in json.loads(states)}


def ratio(took: list[float], alone: list[float]) -> str:
    return spread([own / peer for own, peer in zip(took, alone)], 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orgwatch", type=Path, required=True)
    parser.add_argument("--fake", type=Path, required=True)
    parser.add_argument("--org", default="big", choices=FILES)
    parser.add_argument("--rate", type=int, help="MB per second and file, as over a line; else what the machine gives")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    args.orgwatch = args.orgwatch.resolve()
    load = os.getloadavg()[0]
    fake = Fake(args)
    alone, committed, whole, memory, cpu = [], [], [], [], []
    states: dict = {}
    total = 0
    try:
        for number in range(args.rounds):
            for job in ("alone", "fetch") if number % 2 == 0 else ("fetch", "alone"):
                say(f"round {number + 1}: {job}")
                if job == "alone":
                    seconds, total = download(fake, DATA / "files")
                    alone.append(seconds)
                else:
                    child, seconds, states = fetch(args, fake)
                    committed.append(seconds)
                    whole.append(child.seconds)
                    memory.append(child.peak_mib)
                    cpu.append(child.cpu_seconds)
    finally:
        fake.stop()
    files = {state: row["files"] for state, row in states.items()}
    print(f"{total / 1e9:.2f} GB of log files; in the lake afterwards: {files}; load before {load:.1f}")
    print(f"download alone   {spread(alone, 1)} s")
    print(f"in the lake      {spread(committed, 1)} s, {ratio(committed, alone)} times as long")
    print(f"whole command    {spread(whole, 1)} s, {ratio(whole, alone)} times; CPU {median(cpu):.1f} s, peak {max(memory):.0f} MiB")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(str(failed))
