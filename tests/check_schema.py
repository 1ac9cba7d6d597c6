"""Holds JSON documents against a JSON schema (draft 7).

Usage: check_schema.py SCHEMA FILE, a document on each line of FILE. Prints a JSON list: for each
document what is wrong with it, or null."""

import json
import sys
from pathlib import Path

import fastjsonschema

validate = fastjsonschema.compile(json.loads(Path(sys.argv[1]).read_text()))


def fault(line):
    try:
        validate(json.loads(line))
    except fastjsonschema.JsonSchemaException as error:
        return f"{error.name}: {error.message}"


lines = Path(sys.argv[2]).read_text().split("\n")
print(json.dumps([fault(line) for line in lines if line]))
