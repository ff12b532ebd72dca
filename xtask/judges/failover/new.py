"""confluent-kafka (librdkafka):  new.py BOOTSTRAP produce TOPIC TAG BOOK | consume TOPIC GROUP BOOK"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer

from bystander import Book, stopped, watch_input

bootstrap, mode, topic, name, path = sys.argv[1:6]
book = Book(path)
watch_input()


def produce():
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    partitions = len(producer.list_topics(topic, 20).topics[topic].partitions)
    failed = []

    def report(n):
        def done(error, message):
            if error is not None:
                failed.append(error)
            else:
                book.write(f"{n} {message.partition()} {message.offset()}")

        return done

    n = 0
    while not stopped.is_set():
        producer.produce(topic, f"{name}:{n}", partition=n % partitions, on_delivery=report(n))
        producer.poll(0)
        n += 1
        time.sleep(0.005)
    left = producer.flush(60)
    book.close()
    if failed or left:
        sys.exit(f"{len(failed)} of {n} failed, {left} left: {failed[:1]}")


def consume():
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest",
                  "enable.auto.commit": False})
    c.subscribe([topic])
    while not stopped.is_set():
        records = c.consume(500, 0.1)
        for record in records:
            if record.error() is not None:
                print(f"consume: {record.error()}", file=sys.stderr)
                continue
            book.write(f"{record.partition()} {record.offset()} {record.value().decode()}")
        book.flush()
        if not records:
            continue
        try:
            for done in c.commit(asynchronous=False) or []:
                if done.error is None:
                    book.note(f"committed {done.partition} {done.offset}")
        except KafkaException as error:
            print(f"commit: {error}", file=sys.stderr)
        book.flush()
    c.close()
    book.close()


produce() if mode == "produce" else consume()
