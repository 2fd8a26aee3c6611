"""Reads whole topics with Confluent's Python client, as anybody's consumer would: schemas from the registry by their id,
data by fastavro.

Standard input: {"brokers": "host:port", "registry": <url>, "topics": [...], "isolation": "read_committed"}. Printed: a
list of {"topic", "partition", "key", "value", "headers"}, in the order of each partition; key and value are null, or
{"id", "datum"} as tagged.py has it.
"""

import json
import sys
import urllib.request
import uuid

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tagged import decoded, schema_id

wanted = json.load(sys.stdin)
schemas = {}


def schema_of(record):
    number = schema_id(record)
    if number not in schemas:
        with urllib.request.urlopen(f"{wanted['registry']}/schemas/ids/{number}", timeout=20) as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[number]


def part(record):
    return None if record is None else decoded(schema_of(record), record)


consumer = Consumer(
    {
        "bootstrap.servers": wanted["brokers"],
        "group.id": f"interop-{uuid.uuid4()}",
        "isolation.level": wanted["isolation"],
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
)
places = []
for topic in sorted(wanted["topics"]):
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    places.extend(TopicPartition(topic, number, OFFSET_BEGINNING) for number in sorted(partitions))
consumer.assign(places)
found = {(place.topic, place.partition): [] for place in places}
left = set(found)
while left:
    message = consumer.poll(60)
    if message is None:
        sys.exit("the topics do not come to their end")
    place = (message.topic(), message.partition())
    if message.error() is None:
        found[place].append(
            {
                "topic": place[0],
                "partition": place[1],
                "key": part(message.key()),
                "value": part(message.value()),
                "headers": {name: value.decode() for name, value in message.headers() or []},
            }
        )
    elif message.error().code() == KafkaError._PARTITION_EOF:
        left.discard(place)
    else:
        sys.exit(str(message.error()))
consumer.close()
json.dump([record for place in sorted(found) for record in found[place]], sys.stdout)
