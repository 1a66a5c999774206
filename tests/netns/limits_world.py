# SPDX-License-Identifier: Apache-2.0
"""
What the tests of a DestinationRule's connectionPool share: a world with limits, whose counters can be read; clients that
wait for their answers; origins that answer when they are told to, and a port that does not answer at all.
"""
import re
import socket
import threading

import relay
from harness import enter
from policy_world import DIALLED, Request, World, read_answer, read_body, read_head, response, service_entry
from relay import DEADLINE, OUTSIDE, connect, receive_all, reset, wait_for

ADDRESS, OTHER_ADDRESS = "10.1.1.1", "10.1.1.2"
HOST = "origin.example"
CLUSTER = f"outbound|80||{HOST}"
TCP_ADDRESS, TCP_CLUSTER = "10.5.0.1", "outbound|5432||db.example"
OVERFLOW = ["HTTP/1.1 503 Service Unavailable", "x-envoy-overloaded: true", "content-length: 81", "content-type: text/plain",
            "date: DATE", "server: envoy"]
REASON = b"upstream connect error or disconnect/reset before headers. reset reason: overflow"
OVERFLOWN = {"status": 503, "flags": "UO", "details": "upstream_reset_before_response_started{overflow}", "tx": 81, "service": "-",
             "local": "-", "cluster": CLUSTER}


def rule(pool, host=HOST, name="pool"):
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {host}, trafficPolicy: {{connectionPool: {pool}}}}}
"""


def one(pending=None, more=""):
    """One connection, and so many that wait for it."""
    http = f", http: {{http1MaxPendingRequests: {pending}{more}}}" if pending is not None else ""
    return f"{{tcp: {{maxConnections: 1}}{http}}}"


def get(path="/", method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class Limited(World):
    """A world with limits, whose counters can be read."""

    def __init__(self, folder, pool, names=None, workers=1, **more):
        self.admin = f"{folder}/admin"
        arguments = ("--admin-socket", self.admin, "--concurrency", str(workers), *more.pop("arguments", ()))
        super().__init__(folder, names={HOST: ADDRESS, **(names or {})}, arguments=arguments,
                         **{"origin": service_entry(HOST), "rule": rule(pool), **more})

    def counters(self, cluster=CLUSTER):
        """What /clusters says of a cluster's circuit; {}: it has none."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE)
            sock.connect(self.admin)
            sock.sendall(b"GET /clusters HTTP/1.1\r\nHost: x\r\n\r\n")
            text = receive_all(sock).decode()
        return {name: int(value) for name, value in re.findall(rf"^{re.escape(cluster)}::(?:default_priority::)?(\w+)::(\d+)$",
                                                               text, re.M)}

    def count(self, *names):
        counters = self.counters()
        return tuple(counters[name] for name in names)

    def wait_count(self, name, value):
        wait_for(f"{name} {value}", lambda: self.counters().get(name) == value)

    def expect_all_free(self, connections=0):
        """Nobody waits, nothing is under way, and so many connections are there; None: any number."""
        wait_for("nothing to be in use", lambda: self.count("rq_pending_active", "rq_active", "rq_retry_active") == (0, 0, 0))
        if connections is not None:
            self.wait_count("cx_active", connections)


class Client:
    """One that asks, and gets its answer by and by. It connects when it first has something to ask."""

    def __init__(self, data=None):
        self.sock = self.stream = None
        if data is not None:
            self.ask(data)

    def ask(self, data):
        if self.sock is None:
            self.sock = connect(DIALLED, 80)
            self.stream = self.sock.makefile("rb")
        self.sock.sendall(data)
        return self

    def answer(self):
        return read_answer(self.stream)

    def close(self):
        self.stream.close()
        self.sock.close()

    def reset(self):
        self.stream.close()
        reset(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.sock is not None:
            self.close()


class Slow(relay.Origin):
    """An HTTP origin that answers when it is told to: the oldest request first, with its own path. Counts its connections."""

    def __init__(self, address="::", port=80):
        self.requests, self.connections, self.go, self.lock = [], 0, threading.Semaphore(0), threading.Lock()
        self.tail = b""  # of every answer
        super().__init__(port, self.serve_slowly, address)

    def serve_slowly(self, sock):
        with self.lock:
            self.connections += 1
        stream = sock.makefile("rb")
        while head := read_head(stream):
            request = Request(head, read_body(stream, head), sock.getsockname()[0])
            with self.lock:
                self.requests.append(request.path)
            self.go.acquire()
            sock.sendall(response(request.path.encode()) + self.tail)

    def wait_requests(self, *paths):
        wait_for(f"{paths}, there are {self.requests}", lambda: sorted(self.requests) == sorted(paths))


class FullPort:
    """A port outside that does not answer: its queue is full."""

    def __enter__(self):
        enter(OUTSIDE)
        self.listener = socket.create_server(("0.0.0.0", 80), backlog=0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((ADDRESS, 80))
            self.fillers.append(filler)
        return self

    def __exit__(self, *_):
        for sock in (self.listener, *self.fillers):
            sock.close()
