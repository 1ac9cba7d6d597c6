"""Reads a YAML file, in which no key may stand twice.

Usage: read_yaml.py FILE. Prints one JSON array of its documents."""

import json
import sys
from pathlib import Path

import yaml


class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(
                "while reading a mapping", node.start_mark, "a key stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


text = Path(sys.argv[1]).read_text(encoding="utf-8")
print(json.dumps(list(yaml.load_all(text, Loader=Strict))))
