"""aiokafka:  aio.py BOOTSTRAP PREFIX first|second"""

import asyncio
import logging
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import OffsetAndMetadata

from judge import COPIES, HEADERS, RECORDS, expect, expect_records, fail, key, ok, value

bootstrap, prefix, phase = sys.argv[1:4]
logging.basicConfig(level=logging.CRITICAL)


def topic(name):
    return f"{prefix}-{name}"


async def check(name, coroutine):
    try:
        await coroutine
        ok(name)
    except Exception as error:
        fail(name, error)


async def eventually(what, question, limit=20):
    end = time.monotonic() + limit
    while True:
        answer = question()
        if await answer if asyncio.iscoroutine(answer) else answer:
            return
        expect(time.monotonic() < end, f"{what} within {limit} s")
        await asyncio.sleep(0.02)


def producer(**more):
    return AIOKafkaProducer(bootstrap_servers=bootstrap, **{"acks": "all", "linger_ms": 20, **more})


def consumer(*topics, group=None):
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                            enable_auto_commit=False, heartbeat_interval_ms=200, session_timeout_ms=10000)


async def read(c, count):
    return [await asyncio.wait_for(c.getone(), 20) for _ in range(count)]


async def create(admin, *names, partitions=2):
    answer = await admin.create_topics([NewTopic(topic(name), partitions, COPIES) for name in names])
    for row in answer.topic_errors:
        expect(row[1] == 0, f"{row[0]} created, but {row}")


async def codec(admin, name):
    await create(admin, name, partitions=1)
    async with producer(compression_type=None if name == "none" else name) as p:
        sent = [await p.send(topic(name), key=key(i), value=value(i), partition=0) for i in range(RECORDS)]
        for i, future in enumerate(sent):
            expect((await asyncio.wait_for(future, 20)).offset == i, f"acknowledged at {i}")
    await verify(name)


async def verify(name, start=0):
    async with consumer() as c:
        c.assign([TopicPartition(topic(name), 0)])
        if start:
            c.seek(TopicPartition(topic(name), 0), start)
        expect_records([(r.offset, r.key, r.value) for r in await read(c, RECORDS - start)], start)


async def headers():
    async with producer() as p:
        await p.send_and_wait(topic("headers"), value=b"v", headers=HEADERS, partition=0)
    async with consumer() as c:
        c.assign([TopicPartition(topic("headers"), 0)])
        seen = list((await read(c, 1))[0].headers)
    expect(seen == HEADERS, f"headers as sent, not {seen}")


async def times():
    base = int(time.time() * 1000) - 100_000
    partition = TopicPartition(topic("times"), 1)
    async with producer() as p:
        for i in range(10):
            await p.send_and_wait(topic("times"), value=b"at-%d" % i, partition=1, timestamp_ms=base + i * 1000)
    async with consumer() as c:
        expect(await c.beginning_offsets([partition]) == {partition: 0}, "beginning at 0")
        expect(await c.end_offsets([partition]) == {partition: 10}, "end at 10")
        found = await c.offsets_for_times({partition: base + 2500})
        expect(found[partition].offset == 3, "offset 3 for its time")
        c.assign([partition])
        c.seek(partition, 4)
        record = (await read(c, 1))[0]
        expect((record.timestamp, record.timestamp_type) == (base + 4000, 0), "the timestamp as sent")


async def idempotent():
    async with producer(enable_idempotence=True, max_batch_size=1000) as p:
        sent = [await p.send(topic("once"), value=b"once-%d" % i, partition=0) for i in range(1000)]
        for i, future in enumerate(sent):
            expect((await asyncio.wait_for(future, 20)).offset == i, f"acknowledged at {i}")


class Member(ConsumerRebalanceListener):
    def __init__(self, seen):
        self.seen, self.owned = seen, set()

    async def join(self):
        self.consumer = consumer(group=prefix + "-group")
        self.consumer.subscribe([topic("group")], listener=self)
        await self.consumer.start()
        self.task = asyncio.create_task(self.poll())
        return self

    async def poll(self):
        while True:
            for records in (await self.consumer.getmany(timeout_ms=50)).values():
                self.seen.extend(r.value for r in records)
                await self.consumer.commit()

    async def leave(self):
        self.task.cancel()
        await self.consumer.stop()

    async def on_partitions_revoked(self, revoked):
        self.owned = set()

    async def on_partitions_assigned(self, assigned):
        self.owned = set(assigned)


async def group():
    seen, members = [], []

    async def send(p, start, end):
        for i in range(start, end):
            await p.send(topic("group"), value=b"member-%d" % i, partition=i % 2)
        await p.flush()

    async with producer() as p:
        try:
            one = await Member(seen).join()
            members.append(one)
            await eventually("the only member has both partitions", lambda: len(one.owned) == 2)
            await send(p, 0, 50)
            await eventually("50 records read", lambda: len(seen) == 50)
            two = await Member(seen).join()
            members.append(two)
            await eventually("one partition for each of two", lambda: len(one.owned) == len(two.owned) == 1)
            expect(one.owned != two.owned, "different partitions")
            await send(p, 50, 100)
            await eventually("100 records read", lambda: len(seen) == 100)
            members.remove(two)
            await two.leave()
            await eventually("both partitions for the one that stayed", lambda: len(one.owned) == 2)
            await send(p, 100, 150)
            await eventually("150 records read", lambda: len(seen) == 150)
            expect(len(set(seen)) == 150, "every record once")
        finally:
            for member in members:
                await member.leave()


async def commit():
    partition = TopicPartition(topic("commit"), 0)
    async with producer() as p:
        for i in range(10):
            await p.send_and_wait(topic("commit"), value=b"value-%d" % i, partition=0)
    async with consumer(group=prefix + "-commit") as c:
        c.assign([partition])
        await c.commit({partition: OffsetAndMetadata(7, "seven")})
        expect(await c.committed(partition) == 7, "the offset that was committed")


async def configs(admin):
    async def now():
        answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic("times"))])
        return {entry[0]: entry[1] for entry in answer[0].resources[0][4]}["retention.ms"]

    expect(await now() == "604800000", "the default")
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic("times"), {"retention.ms": "86400000"})])

    async def changed():
        return await now() == "86400000"

    await eventually("the new value", changed)


async def partitions(admin):
    await admin.create_partitions({topic("times"): NewPartitions(4)})

    async def four():
        return len((await admin.describe_topics([topic("times")]))[0]["partitions"]) == 4

    await eventually("four partitions", four)


async def groups(admin):
    name = prefix + "-group"
    listed = dict((row[0], row[1]) for row in await admin.list_consumer_groups())
    expect(listed.get(name) == "consumer", "the group in the list")
    offsets = await admin.list_consumer_group_offsets(name)
    expect(sum(o.offset for o in offsets.values()) == 150, "all offsets committed")
    answer = (await admin.describe_consumer_groups([name]))[0]
    expect(answer.groups[0][2] == "Empty", f"Empty, not {answer.groups[0][2]}")


async def delete_records(admin):
    await admin.delete_records({TopicPartition(topic("lz4"), 0): RecordsToDelete(before_offset=60)})
    await verify("lz4", 60)


async def delete(admin):
    await admin.delete_topics([topic("group")])

    async def gone():
        return topic("group") not in await admin.list_topics()

    await eventually("it is gone", gone)
    expect(topic("commit") in await admin.list_topics(), "the others stay")


async def restart():
    partition = TopicPartition(topic("commit"), 0)
    async with consumer(group=prefix + "-commit") as c:
        c.assign([partition])

        async def committed():
            # Until the coordinator has loaded the group, the client knows of no offset.
            return await c.committed(partition) == 7

        await eventually("the committed offset", committed)
        record = (await read(c, 1))[0]
        expect((record.offset, record.value) == (7, b"value-7"), "the record at 7")


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    if phase == "first":
        await check("create", create(admin, "group", "commit", "headers", "times", "once"))
        for name in ("none", "gzip", "snappy", "lz4", "zstd"):
            await check(name, codec(admin, name))
        for name, function in (("headers", headers), ("times", times), ("idempotent", idempotent), ("group", group),
                               ("commit", commit)):
            await check(name, function())
        for name, function in (("configs", configs), ("partitions", partitions), ("groups", groups),
                               ("delete-records", delete_records), ("delete", delete)):
            await check(name, function(admin))
    else:
        await check("restart", restart())
        await check("survived", verify("gzip"))
    await admin.close()


asyncio.run(main())
