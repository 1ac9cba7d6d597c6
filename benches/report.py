"""The benchmark's samples as a table for people."""

from statistics import median

PEERS = ("duckdb", "polars")
JOBS = ("orgwatch", *PEERS, "nothing new", "re-issued")


def ratios(samples: list[dict]) -> dict[str, dict[str, list[float]]]:
    """How many times longer each peer took than orgwatch in the same round: until the commit, and
    until the whole command had ended."""
    times = {(s["job"], s["round"]): s for s in samples}
    found = {"commit": {}, "command": {}}
    for peer in PEERS:
        pairs = [
            (own, times[peer, number])
            for (job, number), own in times.items()
            if job == "orgwatch" and (peer, number) in times
        ]
        if pairs:
            found["commit"][peer] = [p["seconds"] / own["seconds"] for own, p in pairs]
            found["command"][peer] = [p["seconds"] / own["process_seconds"] for own, p in pairs]
    return found


def spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"


def table(facts: dict, samples: list[dict], ratios: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    titles = ("seconds", 22), ("MB/s", 18), ("CPU s", 20), ("peak MiB", 18), ("Parquet MB", 10)
    lines = [
        f"{facts['csv_bytes'] / 1e9:.2f} GB of Login CSV, {facts['rows']:,} rows, {facts['days']} days",
        f"{facts['system']}, {facts['cpus']} CPUs, load before {facts['load_before']}; {versions}",
        f"{facts['threads']} threads each, {facts['rounds']} rounds",
        "",
        f"{'median (min..max)':<18} " + " ".join(f"{title:>{width}}" for title, width in titles),
    ]
    for job in JOBS:
        of_job = [s for s in samples if s["job"] == job]
        if not of_job:
            continue
        rate = [s["csv_bytes"] / 1e6 / s["seconds"] for s in of_job]
        lines.append(
            f"{job:<18} {spread([s['seconds'] for s in of_job], 2):>22} {spread(rate, 0):>18} "
            f"{spread([s['cpu_seconds'] for s in of_job], 1):>20} "
            f"{spread([s['peak_mib'] for s in of_job], 0):>18} "
            f"{median(s['parquet_bytes'] for s in of_job) / 1e6:>10.1f}"
        )
        if job == "orgwatch":
            whole = spread([s["process_seconds"] for s in of_job], 2)
            lines.append(f"{'  whole command':<18} {whole:>22}")
    wording = {"commit": "until committed", "command": "for the whole command"}
    for basis, peers in ratios.items():
        for peer, values in peers.items():
            lines.append(f"{spread(values, 2)} times as fast as {peer}, {wording[basis]}")
    return "\n".join(lines)
