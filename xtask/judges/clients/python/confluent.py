"""confluent-kafka (librdkafka):  confluent.py BOOTSTRAP PREFIX first|second"""

import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from judge import COPIES, HEADERS, RECORDS, check, eventually, expect, expect_records, key, value

bootstrap, prefix, phase = sys.argv[1:4]
servers = {"bootstrap.servers": bootstrap}
admin = AdminClient(servers)


def topic(name):
    return f"{prefix}-{name}"


def wait(futures):
    return {name: future.result(20) for name, future in futures.items()}


def make(*topics):
    wait(admin.create_topics(list(topics)))


def consumer(group=None, **more):
    settings = {"group.id": group or prefix + "-none", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                "heartbeat.interval.ms": 200, "session.timeout.ms": 10000, "fetch.wait.max.ms": 100, **servers, **more}
    return Consumer(settings)


def read(c, count):
    records, end = [], time.monotonic() + 20
    while len(records) < count:
        expect(time.monotonic() < end, f"{count} records within 20 s, not {len(records)}")
        for record in c.consume(count - len(records), 0.2):
            expect(record.error() is None, f"no error, but {record.error()}")
            records.append(record)
    return records


def produce(name, rows, settings=None):
    """`rows`: keyword arguments of `produce`. Returns the offsets in order of acknowledgement."""
    offsets = []

    def report(error, message):
        offsets.append(error or message.offset())

    producer = Producer({"linger.ms": 20, **servers, **(settings or {})})
    for row in rows:
        producer.produce(topic(name), on_delivery=report, **row)
    expect(producer.flush(20) == 0, "everything acknowledged within 20 s")
    return offsets


def create():
    make(*[NewTopic(topic(name), 2, COPIES) for name in ("group", "coop", "commit", "headers", "times", "once")])


def codec(name):
    make(NewTopic(topic(name), 1, COPIES))
    rows = [dict(key=key(i), value=value(i), partition=0) for i in range(RECORDS)]
    offsets = produce(name, rows, {"compression.codec": name})
    expect(offsets == list(range(RECORDS)), f"acknowledged in order, not {offsets[:5]}")
    verify(name)


def verify(name, start=0):
    c = consumer()
    c.assign([TopicPartition(topic(name), 0, start or OFFSET_BEGINNING)])
    expect_records([(r.offset(), r.key(), r.value()) for r in read(c, RECORDS - start)], start)
    c.close()


def headers():
    produce("headers", [dict(value=b"v", headers=HEADERS + [("n", None)], partition=0)])
    c = consumer()
    c.assign([TopicPartition(topic("headers"), 0, OFFSET_BEGINNING)])
    seen = read(c, 1)[0].headers()
    c.close()
    expect(seen == HEADERS + [("n", None)], f"headers as sent, not {seen}")


def times():
    base = int(time.time() * 1000) - 100_000
    produce("times", [dict(value=value(i), partition=1, timestamp=base + i * 1000) for i in range(10)])
    c = consumer()
    expect(c.get_watermark_offsets(TopicPartition(topic("times"), 1), 20) == (0, 10), "0 to 10")
    found = c.offsets_for_times([TopicPartition(topic("times"), 1, base + 2500)], 20)[0].offset
    expect(found == 3, f"offset 3 for its time, not {found}")
    c.assign([TopicPartition(topic("times"), 1, 4)])
    expect(read(c, 1)[0].timestamp() == (1, base + 4000), "the timestamp as sent")
    c.close()


def idempotent():
    rows = [dict(value=b"once-%d" % i, partition=0) for i in range(1000)]
    offsets = produce("once", rows, {"enable.idempotence": True, "batch.num.messages": 20, "linger.ms": 0})
    expect(offsets == list(range(1000)), f"acknowledged once and in order, not {offsets[:5]}")


class Member(threading.Thread):
    def __init__(self, name, seen, **more):
        super().__init__()
        self.seen, self.owned, self.leave, self.fault = seen, set(), False, None
        self.consumer = consumer(f"{prefix}-{name}", **more)
        self.consumer.subscribe([topic(name)], on_assign=self.assigned, on_revoke=self.revoked)
        self.start()

    def run(self):
        try:
            while not self.leave:
                record = self.consumer.poll(0.05)
                if record is not None and record.error() is None:
                    self.seen.append(record.value())
                    self.consumer.commit(record, asynchronous=False)
        except Exception as error:
            self.fault = error
        self.consumer.close()

    def assigned(self, _, partitions):
        self.owned |= {p.partition for p in partitions}

    def revoked(self, _, partitions):
        self.owned -= {p.partition for p in partitions}


def group(name, **more):
    seen = []

    def send(start, end):
        produce(name, [dict(value=b"member-%d" % i, partition=i % 2) for i in range(start, end)])

    one = Member(name, seen, **more)
    members = [one]
    try:
        eventually("the only member has both partitions", lambda: len(one.owned) == 2)
        send(0, 50)
        eventually("50 records read", lambda: len(seen) == 50)
        two = Member(name, seen, **more)
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
    for member in members:
        expect(member.fault is None, f"no fault, but {member.fault!r}")


def commit():
    produce("commit", [dict(value=b"value-%d" % i, partition=0) for i in range(10)])
    c = consumer(prefix + "-commit")
    partition = TopicPartition(topic("commit"), 0, 7, metadata="seven")
    c.commit(offsets=[partition], asynchronous=False)
    expect(c.committed([partition], 20)[0].offset == 7, "the offset that was committed")
    c.close()


def configs():
    def now():
        return wait(admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic("times"))])).popitem()[1]

    expect(now()["retention.ms"].value == "604800000", "the default")
    entry = ConfigEntry("retention.ms", "86400000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic("times"), incremental_configs=[entry])
    wait(admin.incremental_alter_configs([resource]))
    eventually("the new value", lambda: now()["retention.ms"].value == "86400000")


def partitions():
    wait(admin.create_partitions([NewPartitions(topic("times"), 4)]))
    eventually("four partitions",
               lambda: len(admin.list_topics(topic("times"), 20).topics[topic("times")].partitions) == 4)
    expect(1 <= admin.describe_cluster().result(20).controller.id <= COPIES, "a controller")


def groups():
    name = prefix + "-group"
    listed = [g.group_id for g in admin.list_consumer_groups().result(20).valid]
    expect(name in listed, "the group in the list")
    description = wait(admin.describe_consumer_groups([name]))[name]
    expect(description.state.name == "EMPTY", f"EMPTY, not {description.state}")
    offsets = wait(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)]))[name]
    expect(sum(p.offset for p in offsets.topic_partitions) == 150, "all offsets committed")
    wait(admin.delete_consumer_groups([name]))
    eventually("the group is gone",
               lambda: name not in [g.group_id for g in admin.list_consumer_groups().result(20).valid])


def delete_records():
    partition = TopicPartition(topic("lz4"), 0, 60)
    low = wait(admin.delete_records([partition])).popitem()[1].low_watermark
    expect(low == 60, f"a low watermark of 60, not {low}")
    verify("lz4", 60)


def list_offsets():
    partition = TopicPartition(topic("times"), 1)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10), (OffsetSpec.max_timestamp(), 9)):
        found = wait(admin.list_offsets({partition: spec})).popitem()[1].offset
        expect(found == offset, f"{offset}, not {found}")


def delete():
    wait(admin.delete_topics([topic("group")]))
    eventually("it is gone", lambda: topic("group") not in admin.list_topics(timeout=20).topics)
    expect(topic("commit") in admin.list_topics(timeout=20).topics, "the others stay")


def restart():
    c = consumer(prefix + "-commit")
    committed = None
    end = time.monotonic() + 20
    while committed is None:
        try:
            committed = c.committed([TopicPartition(topic("commit"), 0)], 20)[0]
        except KafkaException as error:
            # Asked by hand, the client leaves it to its user to ask again while the coordinator loads.
            expect(error.args[0].retriable() or error.args[0].name() == "NOT_COORDINATOR", f"an answer, not {error}")
            expect(time.monotonic() < end, "an answer within 20 s")
            time.sleep(0.05)
    expect((committed.offset, committed.metadata) == (7, "seven"), f"7 and its metadata, not {committed}")
    c.assign([TopicPartition(topic("commit"), 0)])
    record = read(c, 1)[0]
    expect((record.offset(), record.value()) == (7, b"value-7"), "the record at 7")
    c.close()


if phase == "first":
    check("create", create)
    for name in ("none", "gzip", "snappy", "lz4", "zstd"):
        check(name, codec, name)
    check("headers", headers)
    check("times", times)
    check("idempotent", idempotent)
    check("group", group, "group")
    check("cooperative", lambda: group("coop", **{"partition.assignment.strategy": "cooperative-sticky"}))
    check("commit", commit)
    check("configs", configs)
    check("partitions", partitions)
    check("groups", groups)
    check("delete-records", delete_records)
    check("list-offsets", list_offsets)
    check("delete", delete)
else:
    check("restart", restart)
    check("survived", verify, "gzip")
