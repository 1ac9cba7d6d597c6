"""Which columns of the Login event type orgwatch keeps, read from its own catalogue, so that the
peers always do the same projection."""

import csv
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATALOGUE = Path(__file__).resolve().parent.parent / "src" / "catalog" / "data"

# TIMESTAMP and USER_ID have a _DERIVED twin; the lake keeps one value of each pair.
NOT_COPIED = {"occurred-at", "user-id", "drop", "query-shape"}


@dataclass(frozen=True)
class Column:
    heading: str
    name: str
    kind: str
    """time, integer or text: what the peers write for it"""


@cache
def header() -> tuple[str, ...]:
    """The headings of a Login file, in order."""
    with (CATALOGUE / "event_types.toml").open("rb") as file:
        events = tomllib.load(file)["event"]
    return next(tuple(event["header"]) for event in events if event["name"] == "Login")


def kept() -> list[Column]:
    """The columns that are kept of a Login file, in the order of the lake."""
    with (CATALOGUE / "columns.csv").open(newline="", encoding="utf-8") as file:
        described = {
            row["column"]: row
            for row in csv.DictReader(file)
            if not row["types"] or "Login" in row["types"].split()
        }
    columns = [Column("TIMESTAMP_DERIVED", "occurred_at", "time")]
    columns.append(Column("USER_ID_DERIVED", "user_id", "text"))
    for heading in header():
        row = described[heading]
        if row["treatment"] in NOT_COPIED:
            continue
        if row["kind"] not in ("text", "integer"):
            raise ValueError(f"{heading}: the benchmark has no peer type for {row['kind']}")
        columns.append(Column(heading, heading.lower(), row["kind"]))
    return columns
