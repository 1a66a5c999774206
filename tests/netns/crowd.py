#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Five thousand connections at once, of both families, for one worker and for two: all begin in one moment, all are served
while all are open, they end in every way, and leave exactly five thousand lines. TAP on stdout.
"""
import collections
import os
import random
import re
import resource
import select
import socket
import sys
import threading

import relay
from harness import enter
from relay import DEADLINE, OUTSIDE, POD, V4, V6, Proxy, equal, receive, receive_all, reset, source_ports, wait_for

COUNT = 5000
PORT = 9000
DESCRIPTORS = 4 * COUNT
BACKLOG = 4096
# The kernel spreads connections over workers by a hash: of 5,000 a half each, give or take 35 (one standard deviation).
# Each has two descriptors.
LEAST_SHARE = 2 * COUNT * 4 // 10


class Echo:
    """Answers what it reads in upper case, on any number of connections, in one thread; closes where the client ended."""

    def __init__(self):
        enter(OUTSIDE)
        self.listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.stopped, self.stopper = os.pipe()
        self.epoll.register(self.stopped, select.EPOLLIN)
        self.open = {}
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            for fd, _ in self.epoll.poll():
                if fd == self.stopped:
                    return
                if fd == self.listener.fileno():
                    sock, _ = self.listener.accept()
                    self.open[sock.fileno()] = sock
                    self.epoll.register(sock, select.EPOLLIN)
                else:
                    self.answer(fd)

    def answer(self, fd):
        try:
            data = self.open[fd].recv(1 << 16)
            self.open[fd].sendall(data.upper())
        except OSError:
            data = b""
        if not data:
            self.epoll.unregister(fd)
            self.open.pop(fd).close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.stopper, b"x")
        self.thread.join()
        for sock in (self.listener, *self.open.values()):
            sock.close()
        self.epoll.close()
        os.close(self.stopped)
        os.close(self.stopper)


def begin(address):
    """A connection that is on its way."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind(("::" if ":" in address else "0.0.0.0", next(source_ports)))
    sock.setblocking(False)
    sock.connect_ex((address, PORT))
    sock.settimeout(DEADLINE)
    return sock


def say(socks, word):
    """All speak before anybody listens."""
    for i, sock in enumerate(socks):
        sock.sendall(f"{word} {i:04}".encode())
    for i, sock in enumerate(socks):
        equal("echo", receive(sock, len(word) + 5), f"{word} {i:04}".upper().encode())


def end(i, sock):
    """A third half-closes and waits for the answer's end, a third closes, a third resets."""
    if i % 3 == 0:
        sock.shutdown(socket.SHUT_WR)
        equal("after the end", receive_all(sock), b"")
    if i % 3 == 1:
        reset(sock)
    else:
        sock.close()


def watched_by_workers(pid):
    """How many descriptors each of the process's epoll descriptors watches."""
    counts = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
            if watched := len(re.findall(r"^tfd:", info.read(), re.M)):
                counts.append(watched)
    return counts


def crowd(folder, workers):
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    proxy = Proxy(folder, "--concurrency", str(workers))
    with Echo() as echo:
        enter(POD)
        socks = [begin(V4 if i % 2 else V6) for i in range(COUNT)]
        names = [sock.getsockname() for sock in socks]
        say(socks, "hello")
        equal("open at once", len(echo.open), COUNT)
        shares = watched_by_workers(proxy.process.pid)
        if len(shares) != workers or min(shares) < LEAST_SHARE:
            raise AssertionError(f"the workers watch {shares} descriptors")
        say(socks, "again")
        order = list(enumerate(socks))
        random.shuffle(order)
        for i, sock in order:
            end(i, sock)
        wait_for("the origin to see all ends", lambda: not echo.open)
    lines = proxy.stop()
    equal("lines, of the format", (len(lines), sum(not isinstance(line, str) for line in lines)), (COUNT, COUNT))
    shown = {f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}" for name in names}
    equal("every connection has its line", {line["src"] for line in lines} == shown, True)
    equal("columns", collections.Counter((line["rx"], line["tx"], line["flags"]) for line in lines), {("20", "20", "-"): COUNT})


def test_one_worker(folder):
    crowd(folder, 1)


def test_two_workers(folder):
    crowd(folder, 2)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
