"""Holds JSON values against a JSON schema.

Usage: validate_json.py SCHEMA, the values as one array on standard input. Prints one JSON array: of each
value the list of what is wrong with it."""

import json
import sys
from pathlib import Path

from jsonschema import FormatChecker
from jsonschema.validators import validator_for

schema = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
kind = validator_for(schema)
kind.check_schema(schema)
validator = kind(schema, format_checker=FormatChecker())
values = json.load(sys.stdin)
print(json.dumps([[f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(v)] for v in values]))
