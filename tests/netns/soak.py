#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The proxy under a mixed load for SOAK_SECONDS (10; `make soak` takes 300): connections that live long and speak often,
short ones, large bodies both ways, resets from both sides, refusals, and ones that are silent all the time: idle, or
half-closed by either side, which must still work at the end. How many of each there are does not
change, so after a warm-up nothing else may: threads, descriptors, memory. Afterwards every connection has exactly one
line with what it did, and the descriptors are those of the beginning. TAP on stdout.

Memory (PSS) is judged when there are enough samples, by the medians of the first and the last third after the warm-up:
between them it may grow by GROWTH_FLOOR, and by twice the span between the first third's deciles, which is the load's own
unrest. The report says which leak for each connection that would have caught; more than LEAK_MAX bytes is a failure too,
because then it would not have been much of a test.
"""
import ipaddress
import os
import random
import socket
import statistics
import sys
import threading
import time

import relay
from harness import enter
from relay import DEADLINE, LINE, POD, Origin, Proxy, equal, receive, receive_all, reset, wait_for

SECONDS = float(os.environ.get("SOAK_SECONDS", 10))
SAMPLE_EVERY = 0.5
WARM_UP = 0.2  # of the time
SAMPLES_FOR_MEMORY = 100
GROWTH_FLOOR = 64 << 10
# The least that malloc takes is 32 bytes.
LEAK_MAX = 24
PORT, CLOSED_PORT = 9000, 9
IDLE = 200
HALF_CLOSED = 20  # by the client, and as many by the server
KEEP_REQUESTS = 200
SETTLING = 100
LARGE = 4 << 20
DATA = random.Random(1).randbytes(LARGE)


class Server:
    """
    Lines: get N (N bytes follow back), put N (N bytes follow; answered by one), reset; after the client's end, late is
    told when `release` says so; last: the server ends, and reads on.
    """

    def __init__(self):
        self.release = threading.Event()
        self.heard = []  # after its own end

    def __call__(self, sock):
        sock.settimeout(None)
        lines = sock.makefile("rb")
        while line := lines.readline():
            verb, _, size = line.strip().partition(b" ")
            if verb == b"get":
                sock.sendall(DATA[:int(size)])
            elif verb == b"put":
                sock.sendall(b"+" if lines.read(int(size)) == DATA[:int(size)] else b"-")
            elif verb == b"reset":
                lines.close()
                reset(sock)
                return
            elif verb == b"late":
                lines.read()
                self.release.wait()
                sock.sendall(b"late")
            elif verb == b"last":
                sock.shutdown(socket.SHUT_WR)
                self.heard.append(lines.read())


class Load:
    """Threads that make connections, each to an address of its own, by which its line is found."""

    def __init__(self):
        self.lock = threading.Lock()
        self.number = 0
        self.expected = {}  # destination: bytes from and to the client, flags
        self.problems = []
        self.stopping = threading.Event()
        self.threads = []
        self.silent = {}
        self.late = 0  # answers to connections that are half-closed by the client

    def fresh(self, port):
        """A destination that nobody has dialled, so that no connection has the ends of an earlier one; and its name."""
        with self.lock:
            self.number += 1
            number = self.number
        if number % 4 == 0:
            address = str(ipaddress.ip_address("2001:db8:3::") + number)
            return address, f"[{address}]:{port}"
        address = str(ipaddress.ip_address("10.3.0.0") + number)
        return address, f"{address}:{port}"

    def connect(self):
        enter(POD)
        address, name = self.fresh(PORT)
        return socket.create_connection((address, PORT), timeout=DEADLINE), name

    def get(self, sock, size):
        request = f"get {size}\n".encode()
        sock.sendall(request)
        equal("answer", receive(sock, size) == DATA[:size], True)
        return len(request)

    def keep(self):
        sock, name = self.connect()
        sent = sum(self.get(sock, 1024) for _ in range(KEEP_REQUESTS))
        sock.close()
        self.expected[name] = (sent, 1024 * KEEP_REQUESTS, "-")

    def short(self):
        sock, name = self.connect()
        sent = self.get(sock, 100)
        sock.close()
        self.expected[name] = (sent, 100, "-")

    def bulk(self):
        sock, name = self.connect()
        request = f"put {LARGE}\n".encode()
        sock.sendall(request)
        sock.sendall(DATA)
        equal("large body up", sock.recv(1), b"+")
        sent = len(request) + LARGE + self.get(sock, LARGE)
        sock.shutdown(socket.SHUT_WR)
        equal("after the end", receive_all(sock), b"")
        sock.close()
        self.expected[name] = (sent, LARGE + 1, "-")

    def client_reset(self):
        sock, name = self.connect()
        sent = self.get(sock, 10)
        reset(sock)
        self.expected[name] = (sent, 10, "-")

    def server_reset(self):
        sock, name = self.connect()
        sent = self.get(sock, 10)
        sock.sendall(b"reset\n")
        try:
            equal("after a reset", sock.recv(1), "an error")
        except ConnectionResetError:
            pass
        sock.close()
        self.expected[name] = (sent + 6, 10, "UR")

    def refused(self):
        """The reset may come as early as during connect()."""
        enter(POD)
        address, name = self.fresh(CLOSED_PORT)
        try:
            with socket.create_connection((address, CLOSED_PORT), timeout=DEADLINE) as sock:
                equal("from nobody", sock.recv(1), "an error")
        except ConnectionResetError:
            self.expected[name] = (0, 0, "UF,URX")

    def repeat(self, what):
        while not self.stopping.is_set() and not self.problems:
            try:
                what()
            except (OSError, AssertionError) as error:
                self.problems.append(f"{what.__name__}: {error!r}")

    def start(self):
        """The silent ones first; then threads, as many of each kind as it takes to keep two cores busy."""
        for kind, count in (("idle", IDLE), ("late", HALF_CLOSED), ("last", HALF_CLOSED)):
            self.silent[kind] = [self.connect() for _ in range(count)]
        for sock, name in self.silent["idle"]:
            self.expected[name] = (self.get(sock, 1), 1, "-")
        for sock, name in self.silent["late"]:
            sock.sendall(b"late\n")
            sock.shutdown(socket.SHUT_WR)
            self.expected[name] = (5, 4, "-")
        for sock, name in self.silent["last"]:
            sock.sendall(b"last\n")
            equal("the server's end", sock.recv(1), b"")
            self.expected[name] = (9, 0, "-")
        for what, count in ((self.keep, 4), (self.short, 4), (self.bulk, 1), (self.client_reset, 1), (self.server_reset, 1),
                            (self.refused, 1)):
            self.threads += [threading.Thread(target=self.repeat, args=(what,)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def check_late(self, sock):
        """What the server says long after this end has ended."""
        try:
            equal("late answer", receive_all(sock), b"late")
            self.late += 1
        except (OSError, AssertionError):
            pass  # it is missing from the count

    def stop(self, server):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        server.release.set()
        late = [threading.Thread(target=self.check_late, args=(sock,)) for sock, _ in self.silent["late"]]
        for thread in late:
            thread.start()
        for sock, _ in self.silent["last"]:
            sock.sendall(b"late")
        for thread in late:
            thread.join()
        for sock, _ in sum(self.silent.values(), []):
            sock.close()


def status_of(pid):
    """PSS in bytes, threads, descriptors."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        pss = next(int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss:"))
    return pss, len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


def watch(pid, load):
    """Samples of status_of, with the connections so far, every SAMPLE_EVERY seconds after the warm-up."""
    samples = []
    start = time.monotonic()
    while (passed := time.monotonic() - start) < SECONDS and not load.problems:
        time.sleep(SAMPLE_EVERY)
        if passed >= WARM_UP * SECONDS:
            samples.append((*status_of(pid), load.number))
    return samples


def check_memory(samples):
    third = len(samples) // 3
    first, last = ([sample[0] for sample in part] for part in (samples[:third], samples[-third:]))
    deciles = statistics.quantiles(first, n=10)
    grown = statistics.median(last) - statistics.median(first)
    allowed = GROWTH_FLOOR + 2 * (deciles[-1] - deciles[0])
    connections = samples[-third // 2][3] - samples[third // 2][3]
    print(f"# PSS {statistics.median(first) / 1024:.0f} KiB, grown by {grown / 1024:.1f} KiB of {allowed / 1024:.0f} allowed, "
          f"over {connections} connections: a leak of {allowed / connections:.2f} bytes each would have been seen")
    problems = [] if grown <= allowed else [f"PSS grew by {grown:.0f} bytes, {allowed:.0f} allowed"]
    return problems + ([] if allowed / connections <= LEAK_MAX else ["too few connections to see a leak"])


def line_problems(path, load):
    """Each connection's line, once; the file may be large, so it is read line by line."""
    waiting = dict(load.expected)
    problems = []
    with open(path, encoding="ascii") as log:
        for text in log:
            line = LINE.fullmatch(text.rstrip("\n"))
            seen = line and (int(line["rx"]), int(line["tx"]), line["flags"])
            wanted = waiting.pop(line["dst"], None) if line else None
            if seen is None or seen != wanted:
                problems.append(f"expected {wanted}: {text.rstrip()}")
    return problems[:5] + [f"{len(waiting)} connections without a line, as {list(waiting.items())[:3]}"] * bool(waiting)


def still_there(condition):
    """Whether a condition does not go away."""
    try:
        wait_for("an end", lambda: not condition())
        return False
    except AssertionError:
        return True


def test_a_mixed_load(folder):
    proxy = Proxy(folder, "--concurrency", "2")
    pid = proxy.process.pid
    load, server = Load(), Server()
    with Origin(PORT, server):
        for _ in range(SETTLING):  # what a worker opens for its first connection of a family, it may keep
            load.short()
        proxy.wait_lines(SETTLING)
        _, threads, descriptors = status_of(pid)
        load.start()
        samples = watch(pid, load)
        load.stop(server)
        if still_there(lambda: server.heard != [b"late"] * HALF_CLOSED) or load.late != HALF_CLOSED:
            load.problems.append(f"of {HALF_CLOSED} half-closed by each side still worked: by the client {load.late}, "
                                 f"by the server {server.heard.count(b'late')}")
    if still_there(lambda: status_of(pid)[2] > descriptors):
        load.problems.append(f"{status_of(pid)[2]} descriptors after the load, {descriptors} before it")
    # Two for each connection; one more connection for each thread may just be ending.
    most = descriptors + 2 * (IDLE + 2 * HALF_CLOSED + 2 * len(load.threads))
    problems = load.problems + [f"{sample[1]} threads, {sample[2]} descriptors of {most}" for sample in samples
                                if sample[1] != threads or sample[2] > most]
    proxy.end()
    problems += line_problems(proxy.path, load)
    if len(samples) >= SAMPLES_FOR_MEMORY:
        problems += check_memory(samples)
    print(f"# {load.number} connections in {SECONDS:.0f} s")
    return problems


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
