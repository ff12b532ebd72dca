"""kafka-python 2.0.2, as its users write it:  old.py BOOTSTRAP produce TOPIC TAG BOOK | consume TOPIC GROUP BOOK"""

import logging
import sys
import time

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import CommitFailedError, KafkaError

from bystander import Book, stopped, watch_input

bootstrap, mode, topic, name, path = sys.argv[1:6]
servers = bootstrap.split(",")
logging.basicConfig(level=logging.CRITICAL)
book = Book(path)
watch_input()


def produce():
    # It has no idempotence; what it does not know to be written it sends again.
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", retries=1000, linger_ms=5,
                             max_in_flight_requests_per_connection=1, request_timeout_ms=20000)
    partitions = sorted(producer.partitions_for(topic))
    failed = []

    def acknowledged(n):
        return lambda meta: book.write(f"{n} {meta.partition} {meta.offset}")

    n = 0
    while not stopped.is_set():
        sent = producer.send(topic, value=f"{name}:{n}".encode(), partition=partitions[n % len(partitions)])
        sent.add_callback(acknowledged(n)).add_errback(failed.append)
        n += 1
        time.sleep(0.005)
    producer.flush(60)
    producer.close(10)
    book.close()
    if failed:
        sys.exit(f"{len(failed)} of {n} failed: {failed[0]!r}")


def consume():
    c = KafkaConsumer(topic, bootstrap_servers=servers, group_id=name, auto_offset_reset="earliest",
                      enable_auto_commit=False)
    while not stopped.is_set():
        for records in c.poll(timeout_ms=100).values():
            for record in records:
                book.write(f"{record.partition} {record.offset} {record.value.decode()}")
            book.flush()
        positions = {p: c.position(p) for p in c.assignment()}
        try:
            c.commit()
            for partition, position in positions.items():
                book.note(f"committed {partition.partition} {position}")
        except CommitFailedError:
            pass  # The group rebalanced: the next owner has what was not committed.
        except KafkaError as error:
            print(f"commit: {error!r}", file=sys.stderr)
        book.flush()
    c.close()
    book.close()


produce() if mode == "produce" else consume()
