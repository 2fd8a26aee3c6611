"""Decodes records of the event log with fastavro, which shares no code with what wrote them.

Reads one JSON document from standard input, a list of {"schema": <Avro schema>, "records": [<hex>, ...]}, and prints a
list of lists: the schema id of each record and its datum. A value that JSON would bend is tagged: an integer is
{"int": "42"}, a float {"float": <hex of 8 bytes>} or {"float": "nan"}, bytes {"bytes": <hex>}, a decimal
{"decimal": "1.50"}.
"""

import decimal
import io
import json
import struct
import sys

import fastavro


def tagged(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": "nan" if value != value else struct.pack(">d", value).hex()}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, list):
        return [tagged(item) for item in value]
    return {name: tagged(item) for name, item in value.items()}


def decoded(schema, record):
    magic, schema_id = struct.unpack(">bI", record[:5])
    assert magic == 0, "a record starts with the magic byte"
    body = io.BytesIO(record[5:])
    datum = fastavro.schemaless_reader(body, schema, None)
    assert body.read() == b"", "a record holds one datum and nothing else"
    return {"id": schema_id, "datum": tagged(datum)}


answers = []
for entry in json.load(sys.stdin):
    schema = fastavro.parse_schema(entry["schema"])
    answers.append([decoded(schema, bytes.fromhex(record)) for record in entry["records"]])
json.dump(answers, sys.stdout)
