#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
connectionPool of a DestinationRule on real connections: who waits, who is refused, what is let go of and when; whose turn
it is when something comes free; and that nothing stays counted. TAP on stdout.

The status codes, flags and columns are those that Envoy 1.40 was seen to give with the same limits.
"""
import itertools
import re
import socket
import sys
import threading

import relay
from policy_world import (DIALLED, HttpOrigin, Request, TlsOrigin, World, http_line, make_folder, read_answer, read_body,
                          read_head, response, service_entry, tcp_line, virtual_service)
from relay import DEADLINE, Origin, connect, equal, receive, receive_all, reset, wait_for

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
        self.closing = False
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
            if self.closing:
                return

    def wait_requests(self, *paths):
        wait_for(f"{paths}, there are {self.requests}", lambda: sorted(self.requests) == sorted(paths))


# --- connections and those who wait for them

def test_one_connection_and_one_that_waits(folder):
    """Istio's task "Circuit breaking": one is served, one waits, the third is refused. Then the counters are at zero."""
    with Limited(folder, one(1)) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as second, Client() as third:
            origin.wait_requests("/1")
            second.ask(get("/2"))
            world.wait_count("rq_pending_active", 1)
            answer = third.ask(get("/3")).answer()
            equal("refused", (answer.headers, answer.body), (OVERFLOW, REASON))
            world.expect(http_line("GET /3 HTTP/1.1", HOST, route="default", **OVERFLOWN))
            equal("in use", world.count("cx_active", "rq_pending_active", "rq_active", "rq_pending_overflow"), (1, 1, 1, 1))
            # The refused client's connection goes on.
            equal("again", third.ask(get("/4")).answer().status, 503)
            equal("a while later", threading.Event().wait(0.2), False)
            origin.go.release()
            equal("first", first.answer().body, b"/1")
            origin.wait_requests("/1", "/2")
            origin.go.release()
            equal("second", second.answer().body, b"/2")
            equal("connections", origin.connections, 1)
            lines = [world.columns() for _ in range(3)]
            equal("flags", [line.group("status", "flags") for line in lines], [("503", "UO"), ("200", "-"), ("200", "-")])
            # As in Envoy, the service's time is all that passes from the whole request to the answer.
            equal("service", int(lines[2]["service"]) >= 200, True)
        world.expect_all_free(connections=1)


def test_limits_are_told(folder):
    with Limited(folder, "{tcp: {maxConnections: 7}, http: {http1MaxPendingRequests: 6, http2MaxRequests: 5}}") as world:
        equal("limits", world.count("max_connections", "max_pending_requests", "max_requests", "max_retries"), (7, 6, 5, 2**32 - 1))
        world.apply("rule", rule("{tcp: {connectTimeout: 1s}, http: {maxRequestsPerConnection: 1}}"))
        wait_for("no limits", lambda: world.counters() == {})


def test_turns_are_in_order(folder):
    """Of several that wait, on connections of their own and with a client that asks again and again."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        for number in range(1, 5):
            clients.append(Client(get(f"/{number}")))
            world.wait_count("rq_pending_active", number)
        # Who has had its turn goes to the end, also with a request that has been sent already.
        clients[0].ask(get("/again"))
        for number, client in enumerate(clients):
            origin.go.release()
            equal("answer", client.answer().body, f"/{number}".encode())
        origin.go.release()
        equal("the first again", clients[0].answer().body, b"/again")
        equal("order", origin.requests, ["/0", "/1", "/2", "/3", "/4", "/again"])
        equal("connections", origin.connections, 1)
        world.expect_all_free(connections=1)
        for client in clients:
            client.close()


def test_pending_is_also_who_dials(folder):
    """Nobody answers the dial: one waits for it, and no other may."""
    with Limited(folder, "{tcp: {connectTimeout: 300s}, http: {http1MaxPendingRequests: 1}}") as world, full_port():
        with Client(get("/1")) as first:
            world.wait_count("rq_pending_active", 1)
            equal("refused", world.ask(get("/2")).headers, OVERFLOW)
            world.expect(http_line("GET /2 HTTP/1.1", HOST, route="default", **OVERFLOWN))
            first.reset()
            world.expect_all_free()


class full_port:  # pylint: disable=invalid-name
    """A port outside that does not answer: its queue is full."""

    def __enter__(self):
        relay.enter(relay.OUTSIDE)
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


def test_several_connections(folder):
    """Two of them, each carrying what it can."""
    with Limited(folder, "{tcp: {maxConnections: 2}}") as world, Slow() as origin:
        clients = [Client(get("/0")), Client(get("/1"))]
        origin.wait_requests("/0", "/1")
        clients += [Client(get(f"/{number}")) for number in range(2, 6)]
        world.wait_count("rq_pending_active", 4)
        for _ in clients:
            origin.go.release()
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(6)])
        equal("connections", origin.connections, 2)
        world.expect_all_free(connections=2)
        for client in clients:
            client.close()


def test_workers_share_the_limit(folder):
    """Each has one connection if it needs one, as in Envoy; beyond that the limit is that of all."""
    with Limited(folder, one(100), workers=2) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(40)]
        wait_for("the others to wait", lambda: sum(world.count("rq_pending_active", "rq_active")) == 40 and
                 world.count("rq_pending_active")[0] == 40 - len(origin.requests))
        equal("connections", world.count("cx_active")[0] in (1, 2), True)
        equal("of the origin", origin.connections, world.count("cx_active")[0])
        for _ in clients:
            origin.go.release()
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(40)])
        equal("paths", sorted(origin.requests), sorted(f"/{number}" for number in range(40)))
        for client in clients:
            client.close()
        world.expect_all_free(connections=origin.connections)


def test_workers_share_what_is_pending(folder):
    with Limited(folder, one(3), workers=2) as world, Slow() as origin:
        clients = []
        for number in range(1, 31):
            clients.append(Client(get("/")))
            # Who dials is pending, too, but not for long.
            wait_for(f"{number} of them", lambda number=number:
                     sum(world.count("rq_pending_active", "rq_active", "rq_pending_overflow")) == number and
                     world.count("cx_active", "rq_active") == (len(origin.requests), len(origin.requests)))
        pending, active = world.count("rq_pending_active", "rq_active")
        equal("pending", pending, 3)
        equal("active", active in (1, 2), True)
        for _ in range(pending + active):
            origin.go.release()
        statuses = sorted(client.answer().status for client in clients)
        equal("statuses", statuses, [200] * (pending + active) + [503] * (30 - pending - active))
        for client in clients:
            client.close()


def test_clients_that_go_while_they_wait(folder):
    """Before their turn, and just when it comes: it is the next one's."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as last:
            origin.wait_requests("/1")
            gone = [Client(get(f"/gone{number}")) for number in range(3)]
            world.wait_count("rq_pending_active", 3)
            last.ask(get("/last"))
            world.wait_count("rq_pending_active", 4)
            gone[1].reset()
            world.wait_count("rq_pending_active", 3)
            equal("line", world.columns().group("status", "flags", "details", "upstream"),
                  ("0", "DC", "downstream_remote_disconnect", "-"))
            gone[0].reset()
            gone[2].reset()
            origin.go.release()
            equal("first", first.answer().body, b"/1")
            # One that went may just have got its turn.
            for _ in range(3):
                origin.go.release()
            equal("last", last.answer().body, b"/last")
        world.expect_all_free(connections=None)


def test_a_route_s_timeout_passes_while_it_waits(folder):
    routes = virtual_service(HOST, f"""
  - match: [{{uri: {{prefix: /short}}}}]
    timeout: 300ms
    route: [{{destination: {{host: {HOST}}}}}]
  - route: [{{destination: {{host: {HOST}}}}}]
""")
    with Limited(folder, one(10), routes=routes) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as short, Client() as last:
            origin.wait_requests("/1")
            short.ask(get("/short"))
            world.wait_count("rq_pending_active", 1)
            last.ask(get("/last"))
            answer = short.answer()
            equal("answer", (answer.status, answer.body), (504, b"upstream request timeout"))
            world.expect(http_line("GET /short HTTP/1.1", HOST, status=504, flags="UT", details="response_timeout", tx=24,
                                   service="-", local="-", cluster=CLUSTER))
            world.wait_count("rq_pending_active", 1)
            # Its own connection is still good for another request, which waits behind the last one.
            short.ask(get("/again"))
            origin.go.release(2)
            equal("first", first.answer().body, b"/1")
            equal("last", last.answer().body, b"/last")
            origin.go.release()
            equal("again", short.answer().body, b"/again")
        world.expect_all_free(connections=1)


def test_an_origin_that_closes_while_others_wait(folder):
    """With its answer, without one, and with a reset: the next one dials."""
    def misbehave(sock):
        stream = sock.makefile("rb")
        path = read_head(stream).split()[1].decode()
        go.acquire()
        if path == "/reset":
            reset(sock)
        elif path != "/end":
            sock.sendall(response(path.encode(), "200 OK", "Connection: close"))
    go = threading.Semaphore(0)
    with Limited(folder, one(10)) as world, Origin(80, misbehave):
        clients = []
        for number, path in enumerate(("/1", "/end", "/2", "/reset", "/3")):
            clients.append(Client(get(path)))
            wait_for(path, lambda number=number: world.count("rq_active", "rq_pending_active") == (1, number))
        go.release(5)
        equal("answers", [client.answer().status for client in clients], [200, 503, 200, 503, 200])
        equal("flags", [world.columns()["flags"] for _ in clients], ["-", "UC", "-", "UC", "-"])
        world.expect_all_free()
        for client in clients:
            client.close()


def test_an_origin_that_says_too_much_while_others_wait(folder):
    """What nobody asked for is not the next one's answer."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        origin.tail = response(b"poison")
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        origin.go.release(10)
        equal("answers", sorted(client.answer().body for client in clients), [f"/{number}".encode() for number in range(5)])
        for client in clients:
            client.close()


def test_a_dial_that_fails_fails_all_that_wait(folder):
    """As they would one after the other; without retries, which the default has."""
    routes = virtual_service(HOST, f"  - retries: {{attempts: 0}}\n    route: [{{destination: {{host: {HOST}}}}}]\n")
    pool = "{tcp: {maxConnections: 1, connectTimeout: 2s}}"
    with Limited(folder, pool, routes=routes) as world, full_port():
        # More of them than could time out one after the other before the test gives up waiting for their lines.
        clients = [Client(get("/")) for _ in range(12)]
        world.wait_count("rq_pending_active", 12)
        line = http_line("GET / HTTP/1.1", HOST, status=503, flags="UF", tx=91, service="-", local="-", cluster=CLUSTER,
                         details="upstream_reset_before_response_started{connection_timeout}", upstream=f"{ADDRESS}:80")
        world.expect(*[line] * 12)
        answers = [client.answer() for client in clients]
        equal("answers", {(answer.status, b"reset reason: connection timeout" in answer.body) for answer in answers}, {(503, True)})
        world.expect_all_free()
        for client in clients:
            client.close()


def test_refused_while_others_wait(folder):
    """Each is told why, and each may try again: then the origin is there."""
    with Limited(make_folder(folder, "refused"), one(10)) as world:
        clients = [Client(get(f"/{number}")) for number in range(5)]
        equal("answers", {client.answer().status for client in clients}, {503})
        equal("lines", {world.columns().group("flags", "failure") for _ in clients},
              {("URX,UF", "delayed_connect_error:_Connection_refused")})
        world.expect_all_free()
        for client in clients:
            client.close()


def test_addresses_have_connections_of_their_own(folder):
    """Of a name with two addresses, each may have one, since a request for the one cannot wait for the other."""
    names = {HOST: f"{ADDRESS} {OTHER_ADDRESS}"}
    with Limited(folder, one(10), names) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(2)]
        origin.wait_requests("/0", "/1")
        equal("connections", world.count("cx_active"), (2,))
        clients += [Client(get(f"/{number}")) for number in range(2, 6)]
        world.wait_count("rq_pending_active", 4)
        origin.go.release(6)
        equal("answers", [client.answer().status for client in clients], [200] * 6)
        equal("connections", origin.connections, 2)
        for client in clients:
            client.close()


def test_bodies_wait_too(folder):
    """What has come of a request's body is kept meanwhile, and what has not is left with the client."""
    body = bytes(range(256)) * 2000
    head = f"POST /body HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    seen = []

    def answer(request):
        seen.append((request.path, len(request.body), request.body == body))
        go.acquire()
        return response(b"ok")
    go = threading.Semaphore(0)
    with Limited(folder, one(10)) as world, HttpOrigin(80, answer), Client(get("/1")) as first, Client() as second:
        wait_for("the first", lambda: len(seen) == 1)
        sender = threading.Thread(target=second.ask, args=(head + body,))
        sender.start()
        world.wait_count("rq_pending_active", 1)
        go.release(2)
        equal("answers", (first.answer().status, second.answer().status), (200, 200))
        sender.join()
        equal("body", seen[1], ("/body", len(body), True))


def test_tunnels_keep_their_connection(folder):
    """A websocket's is the one connection until its end."""
    def switch(sock):
        stream = sock.makefile("rb")
        while head := read_head(stream):
            if b"upgrade: websocket" not in head.lower():
                sock.sendall(response(b"plain"))
                continue
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            sock.sendall(stream.read(4).upper())
            receive_all(sock)
            return
    upgrade = get("/ws")[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with Limited(folder, one(10)) as world, Origin(80, switch), Client(upgrade) as tunnel, Client() as plain:
        equal("switch", tunnel.answer().status, 101)
        tunnel.sock.sendall(b"abcd")
        equal("through it", tunnel.stream.read(4), b"ABCD")
        plain.ask(get("/plain"))
        world.wait_count("rq_pending_active", 1)
        tunnel.sock.shutdown(socket.SHUT_WR)
        equal("then", plain.answer().body, b"plain")
        world.expect_all_free(connections=1)


def test_tls_that_the_proxy_begins(folder):
    """The same with connections that are there only after a handshake."""
    certificate_rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pool}
spec:
  host: a.example
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, caCertificates: %s}, connectionPool: {tcp: {maxConnections: 1}}}]
"""
    entry = service_entry("a.example").replace("number: 80", "number: 80, targetPort: 443")
    with TlsOrigin(folder, "a.example") as tls, \
            Limited(folder, "{tcp: {maxConnections: 1}}", {"a.example": ADDRESS}, tls=entry,
                    rule=certificate_rule % tls.certificate) as world:
        data = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        clients = [Client(data) for _ in range(10)]
        equal("answers", {client.answer().status for client in clients}, {200})
        counters = world.counters("outbound|80||a.example")
        equal("connections", (counters["cx_active"], counters["rq_pending_active"], counters["rq_active"]), (1, 0, 0))
        for client in clients:
            client.close()


# --- requests, retries

def test_requests_under_way(folder):
    """The host has been chosen by then, as the line shows."""
    with Limited(folder, "{http: {http2MaxRequests: 2}}") as world, Slow() as origin:
        clients = [Client(get("/0")), Client(get("/1"))]
        origin.wait_requests("/0", "/1")
        answer = world.ask(get("/2"))
        equal("refused", (answer.headers, answer.body), (OVERFLOW, REASON))
        world.expect(http_line("GET /2 HTTP/1.1", HOST, route="default", **{**OVERFLOWN, "upstream": f"{ADDRESS}:80"}))
        origin.go.release(2)
        equal("answers", [client.answer().status for client in clients], [200, 200])
        world.expect_all_free(connections=3)
        # The connection that found no room carries the next one.
        for number in range(5):
            origin.go.release()
            equal("later", world.ask(get(f"/later{number}")).status, 200)
        equal("connections", origin.connections, 3)
        for client in clients:
            client.close()


def test_retries_at_once(folder):
    """The second of two that want one goes without; its flag stands beside what its answer has."""
    routes = virtual_service(HOST, f"  - retries: {{attempts: 2, retryOn: 5xx}}\n    route: [{{destination: {{host: {HOST}}}}}]\n")
    go = threading.Semaphore(0)
    tries = []

    def answer(request):
        tries.append(request.path)
        if request.value("x-envoy-attempt-count") != "1":
            go.acquire()
            return begin
        return response(b"bad", "500 Internal Server Error") if request.path != "/closed" else None

    def begin(sock):
        sock.sendall(response(b"fine")[:-2])
        rest.acquire()
        sock.sendall(b"ne")
    rest = threading.Semaphore(0)
    with Limited(folder, "{http: {maxRetries: 1}}", routes=routes) as world, HttpOrigin(80, answer):
        with Client(get("/first")) as first:
            world.wait_count("rq_retry_active", 1)
            wait_for("the second try", lambda: tries.count("/first") == 2)
            equal("answer", (world.ask(get("/second")).body, tries.count("/second")), (b"bad", 1))
            world.expect(http_line("GET /second HTTP/1.1", HOST, status=500, flags="UO", tx=3, cluster=CLUSTER,
                                   upstream=f"{ADDRESS}:80"))
            # One that may not be repeated: it would get another connection otherwise, which is no retry.
            equal("closed", world.ask(get("/closed", "POST")).status, 503)
            equal("line", world.columns().group("status", "flags", "details"),
                  ("503", "UO,UC", "upstream_reset_before_response_started{connection_termination}"))
            equal("refused", world.count("rq_retry_overflow"), (2,))
            go.release()
            # It is none any more when its answer has begun.
            world.wait_count("rq_retry_active", 0)
            equal("under way", world.count("rq_active"), (1,))
            rest.release()
            equal("first", first.answer().body, b"fine")
        world.expect_all_free(connections=None)
        go.release()
        rest.release()
        equal("now there is room", world.ask(get("/third")).body, b"fine")


# --- the life of a connection

def test_requests_of_a_connection(folder):
    """Whether one client asks or several."""
    with Limited(folder, "{http: {maxRequestsPerConnection: 2}}") as world, Slow() as origin:
        origin.go.release(100)
        with Client() as client:
            for number in range(5):
                equal("answer", client.ask(get(f"/{number}")).answer().status, 200)
        equal("connections", origin.connections, 3)
        wait_for("the odd one's second", lambda: world.ask(get("/x")).status == 200)
        for number in range(4):
            equal("answer", world.ask(get(f"/own{number}")).status, 200)
        equal("connections", origin.connections, 5)


def test_one_request_a_connection_while_others_wait(folder):
    """As Istio's task has it: maxRequestsPerConnection 1."""
    with Limited(folder, one(10, ", maxRequestsPerConnection: 1")) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(5)]
        origin.go.release(5)
        equal("answers", [client.answer().status for client in clients], [200] * 5)
        equal("connections", origin.connections, 5)
        world.expect_all_free()
        for client in clients:
            client.close()


def test_idle_upstream_connections_are_closed(folder):
    """In the pool, and where their client is still there."""
    for name, more in (("pooled", "http1MaxPendingRequests: 5, "), ("attached", "")):
        ended = threading.Event()

        def serve(sock, ended=ended):
            stream = sock.makefile("rb")
            while read_head(stream):
                sock.sendall(response(b"x"))
            ended.set()
        with Limited(make_folder(folder, name), f"{{http: {{{more}idleTimeout: 300ms}}}}"), Origin(80, serve), \
                Client(get()) as client:
            equal("answer", client.answer().status, 200)
            equal(f"end of what was {name}", ended.wait(DEADLINE), True)
            equal("another one", client.ask(get()).answer().status, 200)


def test_old_connections_carry_no_more_requests(folder):
    """One under way is not cut."""
    with Limited(folder, "{tcp: {maxConnectionDuration: 200ms}}") as world, Slow() as origin:
        with Client(get("/1")) as client:
            origin.wait_requests("/1")
            equal("a while later", threading.Event().wait(0.3), False)
            origin.go.release()
            equal("answer", client.answer().body, b"/1")
            origin.go.release()
            equal("next", client.ask(get("/2")).answer().body, b"/2")
            equal("connections", origin.connections, 2)
        equal("lines", [world.columns().group("status", "flags") for _ in range(2)], [("200", "-")] * 2)


# --- connections that are relayed

def tcp_world(folder, pool, **more):
    entry = service_entry("db.example", 5432, "TCP", "STATIC",
                          f"  addresses: [{TCP_ADDRESS}]\n  endpoints: [{{address: {TCP_ADDRESS}}}]\n")
    return Limited(folder, "{tcp: {connectTimeout: 1s}}", db=entry, db_rule=rule(pool, "db.example", "db"),
                   **more)


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def dial_tcp():
    sock = connect(TCP_ADDRESS, 5432)
    sock.sendall(b"x")
    return sock


def relayed(**columns):
    return tcp_line(**{"cluster": TCP_CLUSTER, "dst": f"{TCP_ADDRESS}:5432", "upstream": f"{TCP_ADDRESS}:5432", "local": "LOCAL",
                       **columns})


def test_relayed_connections(folder):
    """One too many is reset. What has ended makes room."""
    for workers in (1, 2):
        with tcp_world(make_folder(folder, str(workers)), "{tcp: {maxConnections: 3}}", workers=workers) as world, \
                Origin(5432, echo):
            held = [dial_tcp() for _ in range(3)]
            equal("echo", [receive(sock, 1) for sock in held], [b"x"] * 3)
            for _ in range(4):
                world.expect_refused(b"x", TCP_ADDRESS, 5432)
                world.expect(relayed(flags="UO", upstream="-", local="-"))
            held.pop().close()
            world.expect(relayed(rx=1, tx=1))
            held.append(dial_tcp())
            equal("in its place", receive(held[-1], 1), b"x")
            for sock in held:
                reset(sock)
            wait_for("no connection", lambda: world.counters(TCP_CLUSTER)["cx_active"] == 0)
            equal("refused", world.counters(TCP_CLUSTER)["cx_overflow"], 4)


def test_relayed_connections_that_are_refused_count_no_more(folder):
    with tcp_world(folder, "{tcp: {maxConnections: 1}}") as world:
        for _ in range(3):
            world.expect_refused(b"x", TCP_ADDRESS, 5432)
            world.expect(relayed(flags="UF,URX", failure="delayed_connect_error:_Connection_refused", local="-"))
        equal("connections", world.counters(TCP_CLUSTER)["cx_active"], 0)


def test_a_relayed_connection_s_duration(folder):
    """Whatever it does meanwhile. Both sides see an end."""
    ended = threading.Event()

    def serve(sock):
        echo(sock)
        ended.set()
    with tcp_world(folder, "{tcp: {maxConnectionDuration: 700ms}}") as world, Origin(5432, serve), dial_tcp() as sock:
        equal("echo", receive(sock, 1), b"x")
        equal("end", receive_all(sock), b"")
        equal("the origin's", ended.wait(DEADLINE), True)
        world.expect(relayed(flags="DT", rx=1, tx=1))


def test_a_relayed_connection_s_idleness(folder):
    """What passes puts it off."""
    with tcp_world(folder, "{tcp: {idleTimeout: 500ms}}") as world, Origin(5432, echo), dial_tcp() as sock:
        for _ in range(4):
            equal("echo", receive(sock, 1), b"x")
            equal("a while later", threading.Event().wait(0.3), False)
            sock.sendall(b"x")
        equal("end", receive_all(sock), b"x")
        world.expect(relayed(rx=5, tx=5))


def test_idleness_without_a_limit(folder):
    """Zero is none, which at least does not end what is idle now."""
    with tcp_world(folder, "{tcp: {idleTimeout: 0s}}"), Origin(5432, echo), dial_tcp() as sock:
        equal("echo", receive(sock, 1), b"x")
        equal("a while later", threading.Event().wait(1.5), False)
        sock.sendall(b"y")
        equal("echo", receive(sock, 1), b"y")


def test_keepalive(folder):
    """As ss(8) shows the upstream's socket: of a relayed connection, and of a request's."""
    pool = "{tcp: {tcpKeepalive: {time: 77s, interval: 11s, probes: 4}}}"
    with tcp_world(folder, pool) as world, Origin(5432, echo), dial_tcp() as sock:
        equal("echo", receive(sock, 1), b"x")
        world.apply("rule", rule(pool))
        with Slow() as origin:
            origin.go.release(1 << 20)

            def timers(port):
                text = world.run("ss", "-tnoH", "dport", "=", f":{port}", "src", "10.77.0.2", capture_output=True, text=True).stdout
                return re.findall(r"timer:\(keepalive,(\S+?),", text)
            equal("relayed", [timer.startswith("1min") for timer in timers(5432)].count(True), 1)
            wait_for("a request's", lambda: world.ask(get()).status == 200 and
                     any(timer.startswith("1min1") for timer in timers(80)))


# --- reloads

def test_a_reload_raises_the_limit_while_some_wait(folder):
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        world.apply("rule", rule("{tcp: {maxConnections: 3}}"))
        world.wait_count("rq_active", 3)
        equal("others wait", world.count("cx_active", "rq_pending_active"), (3, 2))
        world.apply("rule", rule(one(1)))
        world.wait_count("max_connections", 1)
        equal("refused under the new limit", world.ask(get("/5")).status, 503)
        origin.go.release(5)
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(5)])
        equal("connections", origin.connections, 3)
        for client in clients:
            client.close()


def test_a_reload_takes_the_limit_away_while_some_wait(folder):
    """And sets it again: the connections that are there count."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        world.delete("rule")
        origin.wait_requests(*(f"/{number}" for number in range(5)))
        equal("connections", origin.connections, 5)
        world.apply("rule", rule(one(1)))
        wait_for("limits", lambda: world.counters().get("cx_active") == 5)
        equal("under way", world.count("rq_pending_active", "rq_active"), (0, 5))
        origin.go.release(5)
        equal("answers", [client.answer().status for client in clients], [200] * 5)
        world.expect_all_free(connections=5)
        for client in clients:
            client.close()


def test_a_reload_sets_limits(folder):
    """For connections that were there before, too, when they carry a request: of a client that is there still, or in the pool."""
    for name in ("attached", "pooled"):
        with Limited(make_folder(folder, name), "{tcp: {connectTimeout: 1s}}") as world, Slow() as origin, \
                Client(get("/0")) as before, Client() as after:
            origin.go.release()
            equal("before", before.answer().status, 200)
            if name == "pooled":
                before.close()
                world.settle()
            world.apply("rule", rule(one(1)))
            wait_for("limits", world.counters)
            first = before if name == "attached" else Client()
            first.ask(get("/1"))
            origin.wait_requests("/0", "/1")
            equal("counted", world.count("cx_active", "rq_active"), (1, 1))
            after.ask(get("/2"))
            world.wait_count("rq_pending_active", 1)
            origin.go.release(2)
            equal("answers", (first.answer().status, after.answer().status), (200, 200))
            equal("connections", origin.connections, 1)
            first.close()


def test_a_drain_serves_those_who_wait(folder):
    world = Limited(folder, one(10), arguments=("--drain-time", "20"))
    with world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 4)]
        world.wait_count("rq_pending_active", 3)
        world.proxy.process.terminate()
        wait_for("the drain", lambda: not world.proxy.is_ready())
        origin.go.release(4)
        equal("answers", [client.answer().status for client in clients], [200] * 4)
        for client in clients:
            client.close()


# --- all of it

def test_many_at_once(folder):
    """Clients that ask, wait, go away and are refused, over two workers, with an origin that closes now and then."""
    numbers = itertools.count()

    def serve(sock):
        stream = sock.makefile("rb")
        while read_head(stream):
            number = next(numbers)
            if number % 17 == 3:
                return
            if number % 11 == 5:
                reset(sock)
                return
            sock.sendall(response(b"x"))
    pool = "{tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 5, http2MaxRequests: 4, maxRetries: 1, maxRequestsPerConnection: 7}}"
    statuses, trouble = set(), []

    def client(seed, world):
        try:
            for number in range(40):
                with Client(get(f"/{seed}/{number}")) as asking:
                    if (seed + number) % 5 == 0:
                        asking.reset()
                        continue
                    statuses.add(asking.answer().status)
                    if number % 3 == 0:
                        statuses.add(asking.ask(get("/again")).answer().status)
        except Exception as error:  # whatever it was
            trouble.append(repr(error))
    with Limited(folder, pool, workers=2) as world, Origin(80, serve):
        threads = [threading.Thread(target=client, args=(seed, world)) for seed in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal("trouble", trouble, [])
        equal("statuses", statuses <= {200, 503}, True)
        wait_for("the end of all", lambda: world.count("rq_pending_active", "rq_active", "rq_retry_active") == (0, 0, 0))
        equal("connections", world.count("cx_active")[0] <= 4, True)
        equal("and it goes on", {world.ask(get()).status for _ in range(20)} <= {200, 503}, True)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
