"""What librdkafka sees of a topic; with `mock`, also a cluster of librdkafka's own.

    clients.py read <bootstrap> <topic> <settings of librdkafka as JSON>
    clients.py mock <brokers> <topic> {}

Says where the cluster is, then answers each line of its input, a number of messages, with a line of JSON: all messages of the
topic, once there are as many. Ends with its input.
"""

import base64
import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


def main():
    mode, where, topic, settings = sys.argv[1:]
    settings = json.loads(settings) | {"log_level": 0}
    source = {"test.mock.num.brokers": int(where)} if mode == "mock" else {"bootstrap.servers": where}
    # It holds the mock cluster, and makes the topic by asking for it.
    producer = Producer(settings | source)
    cluster = producer.list_topics(topic, timeout=10)
    if mode == "mock":
        where = ",".join(f"{broker.host}:{broker.port}" for broker in cluster.brokers.values())
    print(where, flush=True)
    for line in sys.stdin:
        print(json.dumps(read(settings | {"bootstrap.servers": where}, topic, int(line))), flush=True)


def read(settings, topic, count):
    consumer = Consumer(settings | {"group.id": "reader", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    found, deadline = [], time.monotonic() + 20
    # One more second, for what should not be there.
    while time.monotonic() < deadline:
        message = consumer.poll(1.0 if len(found) >= count else 0.2)
        if message is not None and message.error() is None:
            found.append(describe(message))
        elif message is None and len(found) >= count:
            break
    consumer.close()
    return found


def describe(message):
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "key": message.key().decode(),
        "value": base64.b64encode(message.value()).decode(),
        "headers": {name: value.decode() for name, value in message.headers()},
        "time": message.timestamp()[1],
    }


main()
