"""kafka-python 2.0.2:  kafka_python.py BOOTSTRAP PREFIX first|second"""

import logging
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

from judge import COPIES, HEADERS, RECORDS, check, eventually, expect, expect_records, key, value

bootstrap, prefix, phase = sys.argv[1:4]
logging.basicConfig(level=logging.ERROR)
admin = KafkaAdminClient(bootstrap_servers=bootstrap)


def topic(name):
    return f"{prefix}-{name}"


def consumer(group=None, **more):
    settings = dict(auto_offset_reset="earliest", enable_auto_commit=False, heartbeat_interval_ms=200,
                    session_timeout_ms=10000, consumer_timeout_ms=20000)
    settings.update(more)
    return KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, **settings)


def read(c, count):
    records = []
    for record in c:
        records.append(record)
        if len(records) == count:
            break
    return records


def create():
    admin.create_topics([NewTopic(topic(name), 2, COPIES) for name in ("group", "commit", "headers", "times")])


def codec(name):
    admin.create_topics([NewTopic(topic(name), 1, COPIES)])
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=20,
                             compression_type=None if name == "none" else name)
    sent = [producer.send(topic(name), key=key(i), value=value(i), partition=0) for i in range(RECORDS)]
    for i, future in enumerate(sent):
        expect(future.get(20).offset == i, f"acknowledged at {i}")
    producer.close()
    verify(name)


def verify(name):
    c = consumer()
    c.assign([TopicPartition(topic(name), 0)])
    expect_records([(r.offset, r.key, r.value) for r in read(c, RECORDS)])
    c.close()


def headers():
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic("headers"), value=b"v", headers=HEADERS, partition=0).get(20)
    producer.close()
    c = consumer()
    c.assign([TopicPartition(topic("headers"), 0)])
    seen = read(c, 1)[0].headers
    c.close()
    expect(seen == HEADERS, f"headers as sent, not {seen}")


def times():
    base = int(time.time() * 1000) - 100_000
    partition = TopicPartition(topic("times"), 1)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for i in range(10):
        producer.send(topic("times"), value=b"at-%d" % i, partition=1, timestamp_ms=base + i * 1000).get(20)
    producer.close()
    c = consumer()
    expect(c.beginning_offsets([partition]) == {partition: 0}, "beginning at 0")
    expect(c.end_offsets([partition]) == {partition: 10}, "end at 10")
    expect(c.offsets_for_times({partition: base + 2500})[partition].offset == 3, "offset 3 for its time")
    expect(c.offsets_for_times({partition: base + 9001})[partition] is None, "no offset for a later time")
    c.assign([partition])
    c.seek(partition, 4)
    record = read(c, 1)[0]
    expect((record.timestamp, record.timestamp_type) == (base + 4000, 0), "the timestamp as sent")
    c.close()


class Member(threading.Thread, ConsumerRebalanceListener):
    def __init__(self, seen):
        super().__init__()
        self.seen, self.owned, self.leave, self.fault = seen, set(), False, None
        self.consumer = consumer(prefix + "-group")
        self.consumer.subscribe([topic("group")], listener=self)
        self.start()

    def run(self):
        try:
            while not self.leave:
                for records in self.consumer.poll(timeout_ms=50).values():
                    self.seen.extend(r.value for r in records)
                if self.owned:
                    self.consumer.commit()
        except Exception as error:
            self.fault = error
        self.consumer.close()

    def on_partitions_revoked(self, revoked):
        self.owned = set()

    def on_partitions_assigned(self, assigned):
        self.owned = set(assigned)


def group():
    seen = []
    producer = KafkaProducer(bootstrap_servers=bootstrap)

    def send(start, end):
        for i in range(start, end):
            producer.send(topic("group"), value=b"member-%d" % i, partition=i % 2)
        producer.flush()

    one = Member(seen)
    members = [one]
    try:
        eventually("the only member has both partitions", lambda: len(one.owned) == 2)
        send(0, 50)
        eventually("50 records read", lambda: len(seen) == 50)
        two = Member(seen)
        members.append(two)
        eventually("one partition for each of two", lambda: len(one.owned) == len(two.owned) == 1)
        expect(one.owned != two.owned, "different partitions")
        send(50, 100)
        eventually("100 records read", lambda: len(seen) == 100)
        two.leave = True
        two.join(20)
        eventually("both partitions for the one that stayed", lambda: len(one.owned) == 2)
        send(100, 150)
        eventually("150 records read", lambda: len(seen) == 150)
        expect(len(set(seen)) == 150, "every record once")
    finally:
        for member in members:
            member.leave = True
            member.join(20)
        producer.close()
    for member in members:
        expect(member.fault is None, f"no fault, but {member.fault!r}")


def commit():
    partition = TopicPartition(topic("commit"), 0)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for i in range(10):
        producer.send(topic("commit"), value=b"value-%d" % i, partition=0)
    producer.close()
    c = consumer(prefix + "-commit")
    c.assign([partition])
    read(c, 10)
    c.commit({partition: OffsetAndMetadata(7, "seven")})
    expect(c.committed(partition) == 7, "the offset that was committed")
    c.close()


def configs():
    resource = ConfigResource(ConfigResourceType.TOPIC, topic("times"), {"retention.ms": "86400000"})
    admin.alter_configs([resource])

    def value_now():
        answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic("times"))])[0]
        entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        return entries["retention.ms"]

    eventually("the new value", lambda: value_now() == "86400000")


def partitions():
    admin.create_partitions({topic("times"): NewPartitions(4)})
    eventually("four partitions",
               lambda: len(admin.describe_topics([topic("times")])[0]["partitions"]) == 4)


def groups():
    listed = dict(admin.list_consumer_groups())
    expect(listed.get(prefix + "-group") == "consumer", "the group in the list")
    description = admin.describe_consumer_groups([prefix + "-group"])[0]
    expect(description.state == "Empty", f"Empty, not {description.state}")
    offsets = admin.list_consumer_group_offsets(prefix + "-group")
    expect(sum(o.offset for o in offsets.values()) == 150, "all offsets committed")
    admin.delete_consumer_groups([prefix + "-group"])
    eventually("the group is gone", lambda: prefix + "-group" not in dict(admin.list_consumer_groups()))


def delete():
    admin.delete_topics([topic("group")])
    eventually("it is gone", lambda: topic("group") not in admin.list_topics())
    expect(topic("commit") in admin.list_topics(), "the others stay")


def restart():
    partition = TopicPartition(topic("commit"), 0)
    c = consumer(prefix + "-commit")
    c.assign([partition])
    committed = c.committed(partition, metadata=True)
    expect(tuple(committed) == (7, "seven"), f"7 and its metadata, not {committed}")
    record = read(c, 1)[0]
    expect((record.offset, record.value) == (7, b"value-7"), "the record at 7")
    c.close()


if phase == "first":
    check("create", create)
    for name in ("none", "gzip", "snappy", "lz4", "zstd"):
        check(name, codec, name)
    for name in ("headers", "times", "group", "commit", "configs", "partitions", "groups", "delete"):
        check(name, globals()[name])
else:
    check("restart", restart)
    check("survived", verify, "gzip")
admin.close()
