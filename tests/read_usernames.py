"""Prints the usernames of exported findings as a JSON list, read by Python's own readers.

read_usernames.py csv|json|jsonl|ocsf|sarif FILE
"""

import csv
import json
import sys

form, path = sys.argv[1:]
csv.field_size_limit(1 << 30)
with open(path, encoding="utf-8", newline="") as file:
    if form == "csv":
        names = [row["username"] for row in csv.DictReader(file, strict=True)]
    elif form == "json":
        names = [finding["username"] for finding in json.load(file)]
    elif form == "sarif":
        results = json.load(file)["runs"][0]["results"]
        names = [result["properties"]["username"] for result in results]
    else:
        findings = [json.loads(line) for line in file.read().split("\n") if line]
        if form == "ocsf":
            names = [f["evidences"][0]["actor"]["user"]["name"] for f in findings]
        else:
            names = [finding["username"] for finding in findings]
json.dump(names, sys.stdout)
