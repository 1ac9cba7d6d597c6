"""Holds findings (JSON lines) against sample-data/expected.csv: the planted incidents and no
others at high or above. Usage: compare-findings.py FINDINGS.jsonl EXPECTED.csv"""

import csv
import json
import sys
from collections import Counter


def main(findings_path, expected_path):
    with open(findings_path, encoding="utf-8") as file:
        found = [json.loads(line) for line in file if line.strip()]
    with open(expected_path, encoding="utf-8", newline="") as file:
        wanted = [tuple(row.values()) for row in csv.DictReader(file)]
    undated = {rule for rule, _, day, _ in wanted if not day}
    seen = Counter(
        (
            f["rule_id"],
            f["username"] or "",
            "" if f["rule_id"] in undated else f["first_seen"][:10],
            f["severity"],
        )
        for f in found
        if f["severity"] in ("high", "critical") and f["status"] != "suppressed"
    )
    missing, surplus = Counter(wanted) - seen, seen - Counter(wanted)
    for word, rows in (("missing", missing), ("not planted", surplus)):
        for row in sorted(rows):
            print(f"{word}: {', '.join(row)}")
    print(f"{len(wanted)} findings planted at high or above, {seen.total()} found")
    return 1 if missing or surplus else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
