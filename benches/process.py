"""A process run to its end, and what it cost."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


class Failed(Exception):
    """The benchmark cannot go on; the message says why."""


@dataclass(frozen=True)
class Child:
    """A finished process and what it cost."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    stdout: str
    stderr: str


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(
    command: list[str | Path],
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    well: tuple[int, ...] = (0,),
) -> Child:
    """Runs a command in a folder to its end; one whose exit code is not among those that mean well
    ends the benchmark with its last words."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=folder,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        complaints = stderr.read().decode(errors="replace").strip()
        if process.returncode not in well:
            said = "\n".join(complaints.splitlines()[-20:])
            raise Failed(f"{' '.join(words)}\nended with exit code {process.returncode}:\n{said}")
        stdout.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        return Child(
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mib=usage.ru_maxrss * unit / (1 << 20),
            stdout=stdout.read().decode(),
            stderr=complaints,
        )
