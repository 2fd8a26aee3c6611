"""Decodes one framed record with fastavro, which shares no code with what wrote it, into JSON that bends nothing.

A value that JSON would bend is tagged: an integer is {"int": "42"}, a float {"float": <hex of 8 bytes>} or
{"float": "nan"}, bytes {"bytes": <hex>}, a decimal {"decimal": "1.50"}.
"""

import decimal
import io
import struct

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


def schema_id(record):
    magic, number = struct.unpack(">bI", record[:5])
    assert magic == 0, "a record starts with the magic byte"
    return number


def decoded(schema, record):
    body = io.BytesIO(record[5:])
    datum = fastavro.schemaless_reader(body, schema, None)
    assert body.read() == b"", "a record holds one datum and nothing else"
    return {"id": schema_id(record), "datum": tagged(datum)}
