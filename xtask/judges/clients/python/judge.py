"""What the Python judges share: the records that they write, and one printed line for every check."""

import os
import time
import traceback

RECORDS = 200
# Replicas of each topic.
COPIES = int(os.environ.get("JUDGE_COPIES", "1"))


def key(i):
    return None if i % 10 == 3 else b"key-%d" % i


def value(i):
    if i % 10 == 7:
        return None
    return b"value-%d" % i + b" the same words again and again" * (i % 13)


HEADERS = [("b", b"1"), ("a", b"2"), ("b", b"3"), ("", b"")]


def ok(name):
    print(f"ok {name}", flush=True)


def fail(name, error):
    frame = traceback.extract_tb(error.__traceback__)
    ours = [f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in frame if "site-packages" not in f.filename]
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    print(f"fail {name}: {text} at {' '.join(ours)}", flush=True)


def check(name, function, *arguments):
    try:
        function(*arguments)
        ok(name)
    except Exception as error:
        fail(name, error)


def expect(truth, what):
    if not truth:
        raise AssertionError(f"expected {what}")


def eventually(what, question, limit=20):
    end = time.monotonic() + limit
    while not question():
        expect(time.monotonic() < end, f"{what} within {limit} s")
        time.sleep(0.02)


def expect_records(records, start=0):
    """`records`: (offset, key, value) from `start` to the end of a topic that `key` and `value` filled."""
    expect(len(records) == RECORDS - start, f"{RECORDS - start} records, not {len(records)}")
    for i, (offset, k, v) in enumerate(records, start):
        expect(offset == i, f"offset {i}, not {offset}")
        expect(k == key(i), f"the key of {i}, not {k!r}")
        expect(v == value(i), f"the value of {i}, not {v!r}")
