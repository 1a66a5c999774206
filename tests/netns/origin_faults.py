#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
HTTP through the policy where the other sides misbehave: origins, name servers, clients. The proxy lives on, the client
gets an answer that says what happened, and so does the line. TAP on stdout.
"""
import os
import socket
import ssl
import subprocess
import sys
import threading

import harness
import relay
from nameserver import NXDOMAIN, SERVFAIL, Name
from policy_world import (DIALLED, HttpOrigin, World, echo, make_certificate, make_folder, never, read_answer, read_head,
                          response, service_entry, virtual_service)
from harness import BUILD
from relay import DEADLINE, OUTSIDE, Origin, connect, equal, receive, reset, wait_for

ADDRESS = "10.1.1.1"
HOST = "origin.example"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
POST = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\nbody".encode()
MEGABYTE = 1 << 20
BLOCK = b"y" * MEGABYTE
# Bytes of the proxy's own memory, whatever goes through it. Sanitizers have a use for more.
MEMORY_MAX = (400 if "asan" in BUILD else 40) * MEGABYTE


def world_of(folder, more=(), names=None):
    return World(folder, "REGISTRY_ONLY", names or {HOST: ADDRESS}, origin=service_entry(HOST), **dict(more))


def get(path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def ends(world):
    """Status, flags, details and failure of the next line."""
    line = world.columns()
    return (int(line["status"]), line["flags"], line["details"], line["failure"]) if not isinstance(line, str) else line


def origin_of(handler):
    """One that reads a head, and then does something."""
    def handle(sock):
        stream = sock.makefile("rb")
        if read_head(stream):
            handler(sock)
    return Origin(80, handle)


# --- origins

def test_an_origin_refuses(folder):
    with world_of(folder) as world:
        answer = world.ask(GET)
        equal("answer", (answer.status, b"remote connection failure" in answer.body), (503, True))
        status, flags, details, failure = ends(world)
        equal("end", (status, flags, "remote_connection_failure" in details, "Connection_refused" in failure),
              (503, "URX,UF", True, True))


def test_an_origin_ends_before_a_head(folder):
    """Half a head is none."""
    for name, end, expected in (
            ("reset", reset, (503, "UC", "connection_termination")), ("end", lambda sock: None, (503, "UC", "connection_termination")),
            ("part", lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nX-Part"), (502, "UPE", "protocol_error"))):
        with world_of(make_folder(folder, name)) as world, origin_of(end):
            equal(name, world.ask(GET).status, expected[0])
            status, flags, details, _ = ends(world)
            equal("line", (status, flags, details), (*expected[:2], f"upstream_reset_before_response_started{{{expected[2]}}}"))


def test_an_origin_ends_within_the_body(folder):
    """What came is passed on; the client sees that something is missing."""
    for name, part in (("length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
                       ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")):
        with world_of(make_folder(folder, name)) as world, origin_of(lambda sock, part=part: sock.sendall(part)):
            result = world.curl(f"http://{HOST}/")
            equal(name, (result.exit in (18, 56), result.status, result.body[:5]), (True, 200, b"hello"))
            equal("line", ends(world)[:3], (200, "UPE", "upstream_reset_after_response_started{protocol_error}"))


def test_an_origin_speaks_junk(folder):
    for name, junk in (("text", b"hello, this is no HTTP\r\n\r\n"), ("zero", b"\0" * 5000), ("status", b"HTTP/1.1 999999 X\r\n\r\n"),
                       ("line", b"HTTP/1.1 200 " + b"x" * 300000), ("names", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50000 + b"\r\n"),
                       ("lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
                       ("both", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello!")):
        with world_of(make_folder(folder, name)) as world, origin_of(lambda sock, junk=junk: sock.sendall(junk)):
            answer = world.ask(GET)
            equal(name, answer.status in (502, 503), True)
            equal(f"flags of {name}", ends(world)[1] in ("UPE", "UC"), True)


def test_an_origin_s_bad_chunks(folder):
    with world_of(folder) as world, origin_of(
            lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")):
        equal("curl's exit", world.curl(f"http://{HOST}/").exit in (18, 52, 56), True)
        equal("flags", ends(world)[1], "UPE")


def test_an_origin_without_an_answer(folder):
    timeout = virtual_service(HOST, f"  - timeout: 300ms\n    route: [{{destination: {{host: {HOST}}}}}]\n")
    with world_of(folder, {"routes": timeout}) as world, HttpOrigin(80, lambda _: never):
        equal("answer", world.ask(GET).status, 504)
        equal("line", ends(world)[:3], (504, "UT", "response_timeout"))
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for _ in range(3):
                sock.sendall(GET)
                equal("answer", read_answer(stream).status, 504)


def test_an_answer_byte_by_byte(folder):
    """Each byte in a packet of its own."""
    data = response(b"slow", "200 OK", "X-A: b")

    def trickle(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            sock.sendall(bytes([byte]))
    with world_of(folder) as world, origin_of(trickle):
        answer = world.ask(GET)
        equal("answer", (answer.status, answer.body), (200, b"slow"))
        equal("line", ends(world)[:2], (200, "-"))


def test_a_body_until_the_end(folder):
    with world_of(folder) as world, origin_of(lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + BLOCK)):
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for _ in range(2):
                sock.sendall(GET)
                answer = read_answer(stream)
                equal("answer", (answer.status, answer.body == BLOCK), (200, True))
        equal("line", ends(world)[:2], (200, "-"))


def test_answers_before_the_answer(folder):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with world_of(folder) as world, HttpOrigin(80, lambda request: early + echo(request)):
        for _ in range(2):
            with connect(DIALLED, 80) as sock:
                stream = sock.makefile("rb")
                for _ in range(3):
                    sock.sendall(GET)
                    while (answer := read_answer(stream)).status < 200:
                        pass
                    equal("answer", (answer.status, answer.body.startswith(b"GET / ")), (200, True))
        equal("lines", [ends(world)[:2] for _ in range(6)], [(200, "-")] * 6)


def test_an_endless_row_of_informational_answers(folder):
    """The proxy does not keep them."""
    with world_of(folder) as world:
        with origin_of(lambda sock: [sock.sendall(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 1000) for _ in range(1000)]):
            with connect(DIALLED, 80) as sock:
                sock.sendall(GET)
                receive(sock, 1000)
        equal("alive", world.proxy.is_ready(), True)
        equal("memory", world.proxy.memory() < MEMORY_MAX, True)


def test_an_early_answer(folder):
    """The origin does not want the rest of the body."""
    def refuse(sock):
        sock.sendall(response(b"too large", "413 Content Too Large", "Connection: close"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass
    with world_of(folder) as world, origin_of(refuse):
        with connect(DIALLED, 80) as sock:
            sock.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n".encode() + b"x" * 1000)
            answer = read_answer(sock.makefile("rb"))
            equal("answer", (answer.status, answer.body), (413, b"too large"))
        equal("status", ends(world)[0], 413)


def test_an_origin_says_more_than_it_was_asked(folder):
    """A second answer to one request is nobody's: the next one does not get it."""
    with world_of(folder) as world, HttpOrigin(80, lambda request: echo(request) + response(b"poison")):
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for number in range(20):
                sock.sendall(get(f"/{number}"))
                answer = read_answer(stream)
                equal("body", answer.body.startswith(b"GET /%d " % number), True)
        equal("lines", {ends(world)[:2] for _ in range(20)}, {(200, "-")})


def test_an_origin_ends_between_requests(folder):
    """It may do so at any moment; a request that may be repeated is."""
    def once(request):
        return lambda sock: sock.sendall(echo(request))  # no word of it before
    with world_of(folder) as world, HttpOrigin(80, once) as origin:
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for number in range(200):
                sock.sendall(get(f"/{number}"))
                equal(f"answer {number}", read_answer(stream).status, 200)
        for number in range(50):
            equal("answer", world.ask(get(f"/own{number}")).status, 200)
        equal("paths", len({request.path for request in origin.requests}), 250)
        equal("lines", {ends(world)[0] for _ in range(250)}, {200})


def test_an_origin_resets_idle_connections(folder):
    with world_of(folder) as world, HttpOrigin(80, lambda request: lambda sock: (sock.sendall(echo(request)), reset(sock))):
        statuses = [world.ask(GET).status for _ in range(100)]
        equal("answers", set(statuses) <= {200, 503}, True)
        equal("alive", world.ask(GET).status in (200, 503), True)


def test_an_answer_and_the_next_request_s_end_together(folder):
    """The origin closes just when the second request arrives."""
    def first_only(sock):
        stream = sock.makefile("rb")
        read_head(stream)
        sock.sendall(response(b"1"))
        read_head(stream)
    with world_of(folder) as world, Origin(80, first_only):
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for number in range(50):
                sock.sendall(GET)
                equal(f"answer {number}", read_answer(stream).status, 200)
        equal("lines", {ends(world)[0] for _ in range(50)}, {200})


# --- names

def hosted(host):
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def timeout_of(host, duration):
    return virtual_service(host, f"  - timeout: {duration}\n    route: [{{destination: {{host: {host}}}}}]\n")


def test_names_without_an_answer(folder):
    """An answer that there is none is one at once; silence is cut by the route's timeout. A good answer ends either."""
    for name, told, status in (("silent", Name(faults={"silent"}), 504), ("lying", Name(ADDRESS, faults={"wrong-id"}), 504),
                               ("failing", Name(rcode=SERVFAIL), 503), ("none", Name(rcode=NXDOMAIN), 503), ("empty", Name(), 503)):
        with world_of(make_folder(folder, name), {"routes": timeout_of(HOST, "1s")}, {HOST: told}) as world, HttpOrigin():
            equal(name, world.ask(GET).status, status)
            equal("flags", ends(world)[1], "UT" if status == 504 else "UH")
            world.server.names[HOST] = Name(ADDRESS)
            if name != "silent":  # which nobody asks again for a while
                wait_for("the good answer", lambda: world.ask(GET).status == 200, 60)


def test_the_truth_behind_lies(folder):
    with world_of(folder) as world, HttpOrigin():
        world.server.names[HOST] = Name(ADDRESS, faults={"lies-first"})
        equal("answer", world.ask(GET).status, 200)


def test_answers_that_are_cut(folder):
    with world_of(folder, names={HOST: Name(ADDRESS, faults={"cut"})}) as world, HttpOrigin():
        equal("answer", world.ask(GET).status, 200)
        equal("over TCP", world.server.count(HOST, way="tcp") > 0, True)


def test_private_answers_are_refused_where_asked_for(folder):
    """And only there."""
    with World(folder, "REGISTRY_ONLY", {"public.example.com": ADDRESS}, mesh="weir: {refusePrivateAnswers: true}",
               public=service_entry("public.example.com")) as world, HttpOrigin():
        equal("refused", world.ask(hosted("public.example.com")).status, 503)
        world.set_mesh("REGISTRY_ONLY")
        wait_for("the answer", lambda: world.ask(hosted("public.example.com")).status == 200)


def test_an_answer_of_the_name_server_after_the_request_s_end(folder):
    """Whoever waited for the name is told once its request is over: nothing is left of it."""
    answered = threading.Event()
    with world_of(folder, {"routes": timeout_of(HOST, "200ms")}, {HOST: Name(ADDRESS, wait=answered)}) as world, HttpOrigin():
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            sock.sendall(GET)
            equal("answer", read_answer(stream).status, 504)
            answered.set()
            wait_for("the name", lambda: world.ask(GET).status == 200)
            sock.sendall(GET)
            equal("answer on the old connection", read_answer(stream).status, 200)


def test_a_client_leaves_before_the_name_is_known(folder):
    answered = threading.Event()
    with world_of(folder) as world, HttpOrigin():
        world.server.names[HOST] = Name(ADDRESS, wait=answered)
        socks = [connect(DIALLED, 80) for _ in range(20)]
        for sock in socks:
            sock.sendall(GET)
        wait_for("the question", lambda: world.server.count(HOST) > 0)
        for number, sock in enumerate(socks):
            if number % 2:
                reset(sock)
            else:
                sock.close()
        answered.set()
        wait_for("the name", lambda: world.ask(GET).status == 200)


def test_an_address_that_is_dead(folder):
    """The name has two: the client does not notice."""
    def only_one(sock):
        HttpOrigin.serve_http(origin, sock)
    relay.enter(OUTSIDE)
    listener = socket.create_server((ADDRESS, 80), backlog=100)
    origin = object.__new__(HttpOrigin)
    origin.requests, origin.answer, origin.socket, origin.handler = [], echo, listener, only_one
    threading.Thread(target=origin.serve, daemon=True).start()
    with origin, world_of(folder, names={HOST: f"10.1.1.2 {ADDRESS}"}) as world:
        for _ in range(10):
            equal("answer", world.ask(GET).status, 200)


def test_an_address_that_changes(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        world.server.names[HOST] = Name(ADDRESS, ttl=1)
        equal("answer", world.ask(GET).status, 200)
        world.server.names[HOST] = Name("10.1.1.9", ttl=1)

        def moved():
            equal("answer", world.ask(GET).status, 200)
            return origin.requests[-1].address == "10.1.1.9"
        wait_for("the new address", moved, 90)


# --- clients

def test_a_head_byte_by_byte(folder):
    with world_of(folder) as world, HttpOrigin() as origin, connect(DIALLED, 80) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in POST:
            sock.sendall(bytes([byte]))
        equal("answer", read_answer(sock.makefile("rb")).status, 200)
        equal("body", origin.requests[0].body, b"body")


def test_a_client_leaves_within_the_answer(folder):
    def pour(_):
        def send(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            for _ in range(100):
                sock.sendall(BLOCK)
        return send
    with world_of(folder) as world, HttpOrigin(80, pour):
        for number in range(10):
            sock = connect(DIALLED, 80)
            sock.sendall(GET)
            receive(sock, 1000 * (number + 1))
            if number % 2:
                reset(sock)
            else:
                sock.close()
        flags = {ends(world)[1] for _ in range(10)}
        equal("flags", flags, {"DC"})


def test_clients_leave_at_every_moment(folder):
    """After each number of bytes of a request with a body."""
    with world_of(folder) as world, HttpOrigin():
        for size in range(1, len(POST) + 1):
            sock = connect(DIALLED, 80)
            sock.sendall(POST[:size])
            if size % 2:
                reset(sock)
            else:
                sock.close()
        equal("the next one", world.ask(GET).status, 200)


def test_pipelined_requests(folder):
    """Many more than a buffer holds."""
    count = 3000
    with world_of(folder) as world, HttpOrigin() as origin, connect(DIALLED, 80) as sock:
        threading.Thread(target=sock.sendall, args=(b"".join(get(f"/{n}") for n in range(count)),), daemon=True).start()
        stream = sock.makefile("rb")
        for number in range(count):
            answer = read_answer(stream)
            equal("answer", (answer.status, answer.body.split()[1]), (200, b"/%d" % number))
        equal("requests", len(origin.requests), count)
        wait_for("lines", lambda: len(world.raw_lines()) == count)


def test_ten_thousand_requests_on_a_connection(folder):
    with world_of(folder) as world, HttpOrigin() as origin, connect(DIALLED, 80) as sock:
        stream = sock.makefile("rb")
        for number in range(10000):
            sock.sendall(GET)
            equal("answer", read_answer(stream).status, 200)
            if number == 100:
                before = world.proxy.memory()
        equal("memory", world.proxy.memory() - before < MEGABYTE * (64 if "asan" in BUILD else 1), True)
        equal("requests", len(origin.requests), 10000)


def test_a_slow_reader_of_much(folder):
    """64 MiB wait at the origin, not in the proxy."""
    def pour(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEGABYTE))
        for _ in range(64):
            sock.sendall(BLOCK)
    with world_of(folder) as world, HttpOrigin(80, lambda _: pour), connect(DIALLED, 80) as sock:
        sock.sendall(GET)
        stream = sock.makefile("rb")
        read_head(stream)
        most = 0
        for _ in range(64):
            equal("bytes", len(stream.read(MEGABYTE)), MEGABYTE)
            most = max(most, world.proxy.memory())
        equal("memory is bounded", most < MEMORY_MAX, True)
        equal("line", world.columns()["tx"], str(64 * MEGABYTE))


def test_an_upload_of_much(folder):
    """Nobody reads it for a while; then the origin does."""
    begin = threading.Event()

    def swallow(sock):
        stream = sock.makefile("rb")
        read_head(stream)
        begin.wait()
        left = 64 * MEGABYTE
        while left > 0:
            left -= len(stream.read(min(left, MEGABYTE)))
        sock.sendall(response(b"all"))
    with world_of(folder) as world, Origin(80, swallow), connect(DIALLED, 80) as sock:
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {64 * MEGABYTE}\r\n\r\n".encode()
        threading.Thread(target=lambda: [sock.sendall(head)] + [sock.sendall(BLOCK) for _ in range(64)], daemon=True).start()
        wait_for("a held-up upload", lambda: world.proxy.is_ready())
        equal("memory is bounded", world.proxy.memory() < MEMORY_MAX, True)
        begin.set()
        equal("answer", read_answer(sock.makefile("rb")).body, b"all")
        equal("line", world.columns()["rx"], str(64 * MEGABYTE))


# --- TLS towards the origin

class TlsServer:
    """openssl outside, that says a page of its own to each request."""

    def __init__(self, folder, name):
        self.certificate = make_certificate(folder, name)
        self.process = subprocess.Popen(
            harness.inside(OUTSIDE, "openssl", "s_server", "-quiet", "-accept", "443", "-key", f"{folder}/key.pem", "-cert",
                           self.certificate, "-www"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("openssl", lambda: ":443 " in harness.run(*harness.inside(OUTSIDE, "ss", "-ltnH")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)


def originate(authority):
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: tls}}
spec:
  host: {HOST}
  trafficPolicy:
    tls: {{mode: SIMPLE, caCertificates: {authority}}}
"""


def test_tls_towards_the_origin(folder):
    """The right certificate, that of another authority, and that of another name; and no TLS at all."""
    entry = service_entry(HOST).replace("protocol: HTTP}", "protocol: HTTP, targetPort: 443}")
    for name, subject, own in (("right", HOST, True), ("authority", HOST, False), ("name", "other.example", True)):
        place = make_folder(folder, name)
        with TlsServer(place, subject) as server:
            os.mkdir(f"{place}/config")
            os.rmdir(f"{place}/config")
            trusted = server.certificate if own else make_certificate(make_folder(place, "else"), "else.example")
            with World(place, "REGISTRY_ONLY", {HOST: ADDRESS}, origin=entry, tls=originate(trusted)) as world:
                for _ in range(3):
                    answer = world.ask(GET)
                    equal(name, answer.status, 200 if name == "right" else 503)
                    status, flags, _, failure = ends(world)
                    equal("line", (status, flags), (200, "-") if name == "right" else (503, "URX,UF"))
                    equal("failure", "TLS_error" in failure, name != "right")
    place = make_folder(folder, "plain")
    with HttpOrigin(443), World(place, "REGISTRY_ONLY", {HOST: ADDRESS}, origin=entry,
                                tls=originate(make_certificate(place, HOST)), mesh="connectTimeout: 1s") as world:
        equal("plain", world.ask(GET).status, 503)


TLS_ENTRY = service_entry(HOST).replace("protocol: HTTP}", "protocol: HTTP, targetPort: 443}")


def tls_world(folder):
    return World(folder, "REGISTRY_ONLY", {HOST: ADDRESS}, mesh="connectTimeout: 2s", origin=TLS_ENTRY,
                 tls=originate(make_certificate(folder, HOST)))


def tls_origin(folder, handler):
    """As an Origin, in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")

    def handle(sock):
        with context.wrap_socket(sock, server_side=True) as tls:
            handler(tls)
    return Origin(443, handle)


def test_tls_handshakes_that_fail(folder):
    """In each way that an origin has."""
    with tls_world(folder) as world:
        for name, handler in (("close", lambda sock: receive(sock, 10)), ("reset", lambda sock: (receive(sock, 10), reset(sock))),
                              ("junk", lambda sock: (sock.sendall(b"junk" * 5000), never(sock))),
                              ("alert", lambda sock: (receive(sock, 10), sock.sendall(b"\x15\x03\x03\0\x02\x02\x28"), never(sock))),
                              ("half", lambda sock: (receive(sock, 10), sock.sendall(b"\x16\x03\x03\x40\0" + b"x" * 100)))):
            with Origin(443, handler):
                equal(name, world.ask(GET).status, 503)
                equal("flags", ends(world)[1], "URX,UF")
        with Origin(443, never):
            for number in range(10):
                sock = connect(DIALLED, 80)
                sock.sendall(GET)
                if number % 2:
                    reset(sock)
                else:
                    sock.close()
        with tls_origin(folder, lambda tls: (read_head(tls.makefile("rb")), tls.sendall(response(b"fine")))):
            equal("afterwards", world.ask(GET).status, 200)


def test_much_in_tls(folder):
    """Both ways, with a slow reader on each side; and an origin that is gone in the middle."""
    size = 16 * MEGABYTE

    def both(tls):
        stream = tls.makefile("rb")
        while head := read_head(stream):
            if head.startswith(b"POST"):
                equal("upload", stream.read(size) == BLOCK * 16, True)
                tls.sendall(response(b"all"))
            else:
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(16 if b"/half" not in head else 8):
                    tls.sendall(BLOCK)
                if b"/half" in head:
                    return
    with tls_world(folder) as world, tls_origin(folder, both):
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            for _ in range(2):
                sock.sendall(GET)
                answer = read_answer(stream)
                equal("download", (answer.status, answer.body == BLOCK * 16), (200, True))
                equal("memory is bounded", world.proxy.memory() < MEMORY_MAX, True)
                sock.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n".encode() + BLOCK * 16)
                equal("upload", read_answer(stream).body, b"all")
            sock.sendall(get("/half"))
            equal("half", len(read_answer(stream).body), size // 2)
        equal("lines", [ends(world)[0] for _ in range(5)], [200] * 5)
        equal("afterwards", world.ask(GET).status, 200)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
