"""What the Python programs of a failover share: they work until standard input ends, and keep a book.

A producer's book holds `NUMBER PARTITION OFFSET` for each acknowledged record. A member's book holds
`PARTITION OFFSET VALUE` for each record it was given, and `committed PARTITION OFFSET` for each answered commit.
The last line on standard output is `silence MS`: the longest time between two lines of the book.
"""

import sys
import threading
import time


class Book:
    def __init__(self, path):
        self.file, self.last, self.silence, self.lock = open(path, "w"), None, 0.0, threading.Lock()

    def write(self, line):
        with self.lock:
            now = time.monotonic()
            if self.last is not None:
                self.silence = max(self.silence, now - self.last)
            self.last = now
            self.file.write(line + "\n")

    def note(self, line):
        """A line that ends no silence."""
        with self.lock:
            self.file.write(line + "\n")

    def flush(self):
        with self.lock:
            self.file.flush()

    def close(self):
        self.file.close()
        print(f"silence {int(self.silence * 1000)}", flush=True)


stopped = threading.Event()


def watch_input():
    def watch():
        while sys.stdin.buffer.read(1):
            pass
        stopped.set()

    threading.Thread(target=watch, daemon=True).start()
