"""Reads a metrics file with Prometheus' own parser.

Usage: read_metrics.py FILE. Prints one JSON array of families: name, type, help, samples (name,
labels, value)."""

import json
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

text = Path(sys.argv[1]).read_text(encoding="utf-8")
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [[s.name, s.labels, s.value] for s in family.samples],
    }
    for family in text_string_to_metric_families(text)
]
print(json.dumps(families))
