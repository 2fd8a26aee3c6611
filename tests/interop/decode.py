"""Reads one JSON document from standard input, a list of {"schema": <Avro schema>, "records": [<hex>, ...]}, and prints
a list of lists: the schema id of each record and its datum, as tagged.py has it."""

import json
import sys

import fastavro

from tagged import decoded

answers = []
for entry in json.load(sys.stdin):
    schema = fastavro.parse_schema(entry["schema"])
    answers.append([decoded(schema, bytes.fromhex(record)) for record in entry["records"]])
json.dump(answers, sys.stdout)
