#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
HTTP through the policy, to the byte: what origins get, what clients get, and the line; and heads that are not quite HTTP,
which must never pass. TAP on stdout.
"""
import socket
import sys
import threading

import relay
from policy_world import (DIALLED, HttpOrigin, World, blocked_line, http_line, make_folder, read_answer, refused_line, response,
                          service_entry, split_answer)
from relay import Origin, connect, equal, receive, receive_all

HTTPBIN = "10.1.1.1"
NAMES = {"httpbin.org": HTTPBIN, "grpc.example": "10.3.3.3"}
ENTRIES = {"httpbin": service_entry("httpbin.org")}
CLUSTER = "outbound|80||httpbin.org"
OWN = ["x-forwarded-proto: http", "x-request-id: ID", "x-envoy-decorator-operation: httpbin.org:80/*",
       "x-envoy-attempt-count: 1"]


def get(path="/", host="httpbin.org", more="", method="GET", version="1.1"):
    return f"{method} {path} HTTP/{version}\r\nHost: {host}\r\n{more}\r\n".encode()


def registered(request, **columns):
    return http_line(request, "httpbin.org", **{"upstream": f"{HTTPBIN}:80", "cluster": CLUSTER, "route": "default", **columns})


def world_of(folder, mode="REGISTRY_ONLY"):
    return World(folder, mode, NAMES, **ENTRIES)


def test_an_early_answer_is_not_eaten_by_a_reset(folder):
    """The client is still writing when it is answered, and reads only afterwards."""
    body = b"x" * (4 << 20)
    with world_of(folder) as world, connect(DIALLED, 80) as sock:
        sock.sendall(get("/", "no.example", f"Content-Length: {len(body)}\r\n", "POST") + body)
        equal("answer", split_answer(receive_all(sock)).headers, [
            "HTTP/1.1 502 Bad Gateway", "date: DATE", "server: envoy", "connection: close", "content-length: 0"])
        equal("line", world.columns().group("status", "route"), ("502", "block_all"))


# --- requests as the origin sees them

def test_methods_and_bodies(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        for method, sent, body, framing in (
                ("GET", "", b"", []), ("DELETE", "", b"", []), ("POST", "", b"", ["content-length: 0"]),
                ("OPTIONS", "", b"", ["content-length: 0"]), ("PURGE", "", b"", ["content-length: 0"])):
            answer = world.ask(get("/m", more=sent, method=method) + body)
            equal(method, (answer.status, origin.requests[-1].lines), (200, [f"{method} /m HTTP/1.1", "host: httpbin.org", *OWN,
                                                                             *framing]))
            world.expect(registered(f"{method} /m HTTP/1.1", tx=len(answer.body)))
        answer = world.ask(get("/b", more="Content-Length: 5\r\n", method="PUT") + b"12345")
        equal("length", (origin.requests[-1].lines, origin.requests[-1].body),
              (["PUT /b HTTP/1.1", "host: httpbin.org", "content-length: 5", *OWN], b"12345"))
        world.expect(registered("PUT /b HTTP/1.1", rx=5, tx=len(answer.body)))
        answer = world.ask(get("/c", more="Transfer-Encoding: chunked\r\nTrailer: X\r\n", method="POST") +
                           b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX: y\r\n\r\n")
        equal("chunks", (origin.requests[-1].lines, origin.requests[-1].body),
              (["POST /c HTTP/1.1", "host: httpbin.org", "trailer: X", *OWN, "transfer-encoding: chunked"], b"abcdefg"))
        world.expect(registered("POST /c HTTP/1.1", rx=7, tx=len(answer.body)))


def test_large_bodies_both_ways(folder):
    body = bytes(range(256)) * 8192
    with world_of(folder) as world, HttpOrigin(80, lambda request: response(request.body)) as origin:
        for data in (f"Content-Length: {len(body)}\r\n\r\n".encode() + body,
                     b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"):
            with connect(DIALLED, 80) as sock:
                threading.Thread(target=sock.sendall, args=(get("/", method="POST")[:-2] + data,), daemon=True).start()
                answer = read_answer(sock.makefile("rb"))
            equal("body", (answer.status, answer.body == body, origin.requests.pop().body == body), (200, True, True))
            world.expect(registered("POST / HTTP/1.1", rx=len(body), tx=len(body)))


def test_headers_removed_and_kept(folder):
    more = ("Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: trailers, deflate\r\n"
            "X-Envoy-Internal: true\r\nX-Envoy-Retry-On: 5xx\r\nX-Envoy-Max-Retries: 9\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 1\r\n"
            "X-Envoy-Force-Trace: 1\r\nX-Forwarded-Client-Cert: x\r\nX-Envoy-Original-Path: /lie\r\n"
            "X-Envoy-Decorator-Operation: lie\r\nX-Envoy-Attempt-Count: 7\r\nX-Request-Id: mine\r\nX-Forwarded-For: 8.8.8.8\r\n"
            "Accept: a\r\nCookie: a=1\r\nCookie: b=2\r\nAccept: b\r\nX-Empty:\r\nVia: 1.1 x\r\nTraceparent: 00-x\r\n")
    with world_of(folder) as world, HttpOrigin() as origin:
        answer = world.ask(get("/true", more=more))
        equal("origin", origin.requests[0].lines, [
            "GET /true HTTP/1.1", "host: httpbin.org", "te: trailers", "x-envoy-decorator-operation: httpbin.org:80/*",
            "x-envoy-attempt-count: 1", "x-request-id: mine", "x-forwarded-for: 8.8.8.8", "accept: a,b", "cookie: a=1",
            "cookie: b=2", "x-empty: ", "via: 1.1 x", "traceparent: 00-x", "x-forwarded-proto: http"])
        # Neither the path nor the address is what the client claims.
        world.expect(registered("GET /true HTTP/1.1", tx=len(answer.body), request_id="mine", forwarded="8.8.8.8"))


def test_paths_are_made_plain(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        for sent, path in (("/a/../b", "/b"), ("/a/%2e%2e/b?q=../x", "/b?q=../x"), ("/a\\b", "/a/b"), ("/a//b", "/a//b"),
                           ("/a%2fb", "/a%2fb"), ("/%41%7e", "/A~"), ("/a#frag", "/a"), ("http://httpbin.org/abs?x", "/abs?x"),
                           ("http://httpbin.org", "/"), ("http://user@httpbin.org/u", "/u")):
            answer = world.ask(get(sent))
            equal(sent, (answer.status, origin.requests[-1].path), (200, path))
            world.expect(registered(f"GET {path} HTTP/1.1", tx=len(answer.body)))


def test_absolute_form_says_whom_it_is_for(folder):
    """Not the Host beside it, in either direction."""
    with world_of(folder) as world, HttpOrigin() as origin:
        answer = world.ask(get("http://httpbin.org/x", "evil.example"))
        equal("allowed", (answer.status, origin.requests[0].value("host")), (200, "httpbin.org"))
        world.expect(registered("GET /x HTTP/1.1", tx=len(answer.body)))
        equal("blocked", world.ask(get("http://evil.example/x")).status, 502)
        world.expect(blocked_line("GET /x HTTP/1.1", "evil.example"))
        equal("without Host", world.ask(b"GET http://httpbin.org/y HTTP/1.1\r\n\r\n").status, 200)


# --- many requests on a connection

def test_each_request_is_decided_for_itself(folder):
    hosts = ["httpbin.org", "no.example", "httpbin.org", "httpbin.org", "other.example"]
    for pipelined in (False, True):
        with connected(folder, pipelined) as (world, origin, sock):
            stream = sock.makefile("rb")
            requests = [get(f"/{number}", host) for number, host in enumerate(hosts)]
            if pipelined:
                sock.sendall(b"".join(requests))
            for number, host in enumerate(hosts):
                if not pipelined:
                    sock.sendall(requests[number])
                answer = read_answer(stream)
                known = host == "httpbin.org"
                equal(f"{number}", answer.status, 200 if known else 502)
                equal("body", f"GET /{number} ".encode() in answer.body, known)
            equal("paths", [request.path for request in origin.requests], ["/0", "/2", "/3"])
            lines = world.lines(len(hosts))
            equal("routes", [line.split()[-1] for line in lines], ["default", "block_all", "default", "default", "block_all"])


class connected:
    """A world in a folder of its own, and one connection."""

    def __init__(self, folder, name):
        self.world = world_of(make_folder(folder, name))
        self.origin = HttpOrigin()
        self.socket = connect(DIALLED, 80)

    def __enter__(self):
        return self.world, self.origin, self.socket

    def __exit__(self, *failure):
        self.socket.close()
        self.origin.__exit__()
        self.world.__exit__(*failure)


def test_many_blocked_requests_at_once(folder):
    with world_of(folder) as world:
        data = world.send(b"".join(get(f"/{number}", "no.example") for number in range(20)))
        equal("answers", data.count(b"HTTP/1.1 502 Bad Gateway\r\n"), 20)
        world.expect(*(blocked_line(f"GET /{number} HTTP/1.1", "no.example") for number in range(20)))


def test_connections_to_the_origin_are_shared(folder):
    sockets = set()

    def handler(sock):
        stream = sock.makefile("rb")
        while read_answer_head(stream):
            sockets.add(sock.getpeername())
            sock.sendall(response(b"x"))

    def read_answer_head(stream):
        line = stream.readline()
        while line not in (b"\r\n", b""):
            line = stream.readline()
        return line

    with world_of(folder) as world, Origin(80, handler):
        for _ in range(3):
            equal("answer", world.ask(get()).body, b"x")
            world.lines(1)
        equal("connections", len(sockets), 1)


# --- HTTP's corners

def test_head_and_statuses_without_a_body(folder):
    def answer_to(request):
        if request.path == "/204":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if request.path == "/304":
            return b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 12\r\n\r\n"
        return b"HTTP/1.1 200 Fine Thanks\r\nContent-Length: 5\r\n\r\n" + (b"" if request.head.startswith(b"HEAD") else b"12345")

    with world_of(folder) as world, HttpOrigin(80, answer_to), connect(DIALLED, 80) as sock:
        stream = sock.makefile("rb")
        for path, method, status, first in (("/", "HEAD", "200 OK", "content-length: 5"), ("/204", "GET", "204 No Content", None),
                                            ("/304", "GET", "304 Not Modified", "etag: x")):
            sock.sendall(get(path, method=method))
            answer = read_answer(stream, to_head=method == "HEAD")
            equal(path, (answer.headers[0], first is None or answer.headers[1] == first), (f"HTTP/1.1 {status}", True))
            world.expect(registered(f"{method} {path} HTTP/1.1", status=answer.status))
        sock.sendall(get("/last"))
        equal("still in step", read_answer(stream).body, b"12345")


def test_http_1_0(folder):
    """It is HTTP like another: decided, answered as 1.0, and closed unless told to stay."""
    with world_of(folder) as world, HttpOrigin() as origin:
        data = world_until_close(get("/x", version="1.0"))
        equal("answer", data.startswith(b"HTTP/1.0 200 OK\r\n"), True)
        equal("origin", origin.requests[0].lines, ["GET /x HTTP/1.1", "host: httpbin.org", *OWN])
        world.expect(registered("GET /x HTTP/1.0", tx=len(split_answer(data).body)))
        equal("blocked", world_until_close(get("/x", "no.example", version="1.0")).split(b"\r\n")[0], b"HTTP/1.0 502 Bad Gateway")
        world.expect(blocked_line("GET /x HTTP/1.0", "no.example"))
        equal("no Host", world_until_close(b"GET /y HTTP/1.0\r\n\r\n").split(b"\r\n")[0], b"HTTP/1.0 502 Bad Gateway")
        equal("lines", world.lines(1)[0].split()[-1], "block_all")


def world_until_close(data):
    """What comes until the proxy itself closes."""
    with connect(DIALLED, 80) as sock:
        sock.sendall(data)
        return receive_all(sock)


def test_chunked_answers_and_answers_until_close(folder):
    def answer_to(request):
        if request.path == "/chunked":
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"
        return lambda sock: sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nuntil close")

    with world_of(folder) as world, HttpOrigin(80, answer_to), connect(DIALLED, 80) as sock:
        stream = sock.makefile("rb")
        for path, body in (("/chunked", b"abc"), ("/close", b"until close"), ("/chunked", b"abc")):
            sock.sendall(get(path))
            answer = read_answer(stream)
            equal(path, (answer.headers[0], answer.headers[-1], answer.body),
                  ("HTTP/1.1 200 OK", "transfer-encoding: chunked", body))
            world.expect(registered(f"GET {path} HTTP/1.1", tx=len(body)))


def test_continue_is_the_origin_s_to_say(folder):
    def handler(sock):
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += sock.recv(4096)
        equal("expect", b"expect: 100-continue\r\n" in data, True)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(response(receive(sock, 5)))

    with world_of(folder) as world, Origin(80, handler), connect(DIALLED, 80) as sock:
        sock.sendall(get("/", more="Expect: 100-continue\r\nContent-Length: 5\r\n", method="POST"))
        stream = sock.makefile("rb")
        equal("continue", read_answer(stream).head, "HTTP/1.1 100 Continue")
        sock.sendall(b"12345")
        equal("answer", read_answer(stream).body, b"12345")
        world.expect(registered("POST / HTTP/1.1", rx=5, tx=5))


def test_a_half_close_gets_its_answer(folder):
    with world_of(folder) as world, HttpOrigin(80, lambda request: response(b"late")):
        equal("body", split_answer(world.send(get())).body, b"late")
        world.expect(registered("GET / HTTP/1.1", tx=4))


def test_websocket(folder):
    more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"

    def accept(request):
        if b"\r\nupgrade: websocket\r\n" not in request.head:
            return response(b"not asked for")
        return lambda sock: (sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
                             sock.sendall(receive(sock, 4).upper() + b"and twelve.."))

    with world_of(folder) as world, HttpOrigin(80, accept):
        with connect(DIALLED, 80) as sock:
            sock.sendall(get("/chat", more=more))
            head = receive_until(sock, b"\r\n\r\n")
            equal("switch", head.split(b"\r\n")[0], b"HTTP/1.1 101 Switching Protocols")
            sock.sendall(b"abcd")
            equal("tunnel", receive_all(sock), b"ABCDand twelve..")
        world.expect(registered("GET /chat HTTP/1.1", status=101, flags="UC", rx=4, tx=16, service="-",
                                details="upstream_reset_after_response_started{connection_termination}"))
        blocked = world.ask(get("/chat", "no.example", more))
        equal("blocked", (blocked.status, "connection: close" in blocked.headers), (502, True))
        world.expect(blocked_line("GET /chat HTTP/1.1", "no.example"))


def receive_until(sock, mark):
    data = b""
    while not data.endswith(mark):
        piece = sock.recv(1)
        if not piece:
            break
        data += piece
    return data


def test_other_upgrades(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        answer = world.ask(get("/", more="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"))
        equal("h2c", (answer.status, origin.requests[0].lines), (200, ["GET / HTTP/1.1", "host: httpbin.org", *OWN]))
        world.expect(registered("GET / HTTP/1.1", tx=len(answer.body)))
        answer = world.ask(get("/", more="Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"))
        equal("unknown", answer.headers, ["HTTP/1.1 403 Forbidden", "date: DATE", "server: envoy", "connection: close",
                                          "content-length: 0"])
        world.expect(registered("GET / HTTP/1.1", status=403, details="upgrade_failed", service="-", upstream="-", local="-"))
        answer = world.ask(b"CONNECT httpbin.org:443 HTTP/1.1\r\nHost: httpbin.org:443\r\n\r\n")
        equal("CONNECT", answer.headers, ["HTTP/1.1 404 Not Found", "date: DATE", "server: envoy", "connection: close",
                                          "content-length: 0"])
        world.expect(http_line("CONNECT - HTTP/1.1", "httpbin.org:443", status=404, flags="NR", details="route_not_found",
                               service="-", local="-"))
        equal("requests", len(origin.requests), 1)


def test_a_refused_upgrade_tells_where_it_would_have_gone(folder):
    with world_of(folder) as world:
        equal("blocked", world.ask(get("/", "no.example", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n")).status, 403)
        world.expect(blocked_line("GET / HTTP/1.1", "no.example", status=403, details="upgrade_failed"))


def test_http2_with_prior_knowledge_is_decided_by_destination(folder):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    entry = service_entry("grpc.example", 50051, "GRPC", "STATIC", "  endpoints: [{address: 10.3.3.3}]\n  addresses: [10.3.3.3]\n")
    with World(folder, names=NAMES, grpc=entry, **ENTRIES) as world, \
            Origin(50051, lambda sock: sock.sendall(receive_all(sock))):
        equal("allowed", world.send(preface, "10.3.3.3", 50051), preface)
        line = world.columns()
        equal("line", line.group("cluster", "upstream", "status", "rx", "tx"),
              ("outbound|50051||grpc.example", "10.3.3.3:50051", "0", str(len(preface)), str(len(preface))))
        for port in (50051, 80):
            world.expect_refused(preface, port=port)
            equal("blocked", world.columns().group("cluster", "flags"), ("BlackHoleCluster", "UH"))


# --- what must never pass

def expect_refusal(world, data, status, line, headers=None):
    answer = split_answer(world_until_close(data))
    text = {400: "400 Bad Request", 431: "431 Request Header Fields Too Large", 501: "501 Not Implemented"}[status]
    body = text.partition(" ")[2]
    equal(repr(data[:60]), (answer.headers, answer.body.decode()), (headers or [
        f"HTTP/1.1 {text}", f"content-length: {len(body)}", "content-type: text/plain", "date: DATE", "server: envoy",
        "connection: close"], "" if headers else body))
    world.expect(line)


CODEC = "http1.codec_error"
SMUGGLED = [
    ("two lengths", "POST", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n", 400,
     "http1.content_length_and_chunked_not_allowed"),
    ("the other way round", "POST", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"0\r\n\r\n", 400,
     "http1.content_length_and_chunked_not_allowed"),
    ("another coding", "POST", "Transfer-Encoding: gzip\r\n", b"", 501, "http1.invalid_transfer_encoding"),
    ("coding, and chunked", "POST", "Transfer-Encoding: gzip, chunked\r\n", b"", 501, "http1.invalid_transfer_encoding"),
    ("two different lengths", "POST", "Content-Length: 3\r\nContent-Length: 4\r\n", b"abc", 400, CODEC),
    ("a list of lengths", "POST", "Content-Length: 3, 4\r\n", b"abc", 400, CODEC),
    ("a signed length", "POST", "Content-Length: +3\r\n", b"abc", 400, CODEC),
    ("a length in hex", "POST", "Content-Length: 0x3\r\n", b"abc", 400, CODEC),
    ("a second Host", "GET", "Host: evil.example\r\n", b"", 400, "http.invalid_authority"),
    ("the same Host again", "GET", "Host: httpbin.org\r\n", b"", 400, "http.invalid_authority"),
    ("a bare CR", "GET", "X: a\rY: b\r\n", b"", 400, CODEC),
    ("a folded line", "GET", "X: a\r\n b\r\n", b"", 400, CODEC),
    ("a blank before the colon", "GET", "X : a\r\n", b"", 400, CODEC),
    ("a NUL", "GET", "X: a\0b\r\n", b"", 400, "http1.invalid_characters"),
    ("no colon", "GET", "nonsense\r\n", b"", 400, CODEC),
]


def test_smuggled_heads_are_refused(folder):
    for mode in ("REGISTRY_ONLY", "ALLOW_ANY"):
        with World(make_folder(folder, mode), mode, NAMES, **ENTRIES) as world, HttpOrigin() as origin:
            for what, method, more, body, status, details in SMUGGLED:
                tx = 11 if status == 400 else 15
                try:
                    expect_refusal(world, get("/", more=more, method=method) + body, status,
                                   refused_line(status, details=details, tx=tx))
                except AssertionError as error:
                    raise AssertionError(f"{what}: {error}") from error
            equal("requests", [request.head for request in origin.requests], [])


def test_first_lines_that_are_not_quite_http(folder):
    with world_of(folder, "ALLOW_ANY") as world, HttpOrigin() as origin:
        for data in (b"FOO / HTTP/1.1\r\nHost: httpbin.org\r\n\r\n", b"get / HTTP/1.1\r\nHost: httpbin.org\r\n\r\n",
                     b"GET  / HTTP/1.1\r\nHost: httpbin.org\r\n\r\n", b"GET x HTTP/1.1\r\nHost: httpbin.org\r\n\r\n",
                     b"GET / HTTP/1.2\r\nHost: httpbin.org\r\n\r\n", b"GET / HTTP/2.0\r\nHost: httpbin.org\r\n\r\n",
                     b"GET /a b HTTP/1.1\r\nHost: httpbin.org\r\n\r\n", b"GET /\xe9 HTTP/1.1\r\nHost: httpbin.org\r\n\r\n"):
            answer = split_answer(world_until_close(data))
            equal(repr(data[:30]), answer.headers[0], "HTTP/1.1 400 Bad Request")
            equal("flag", world.columns().group("status", "flags"), ("400", "DPE"))
        equal("requests", [request.head for request in origin.requests], [])


def test_bad_chunks_end_the_connection(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        for chunks in (b"x\r\nabc\r\n", b"-1\r\n", b"3\r\nabcX\r\n", b"3 \rabc", b"ffffffffffffffffff\r\n"):
            data = world_until_close(get("/", more="Transfer-Encoding: chunked\r\n", method="POST") + chunks + get("/smuggled"))
            equal(repr(chunks), data[:12], b"HTTP/1.1 400")
            equal("line", world.columns()["flags"], "DPE")
        equal("smuggled", [request.path for request in origin.requests if request.path != "/"], [])


def test_hosts_that_are_none(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        for host in ("a b", "httpbin.org, evil.example", 'a"b', "\xe9.example"):
            data = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
            expect_refusal(world, data, 400, refused_line(details="http.invalid_authority"))
        expect_refusal(world, b"GET /p HTTP/1.1\r\nUser-Agent: x\r\n\r\n", 400,
                       http_line("GET /p HTTP/1.1", "-", status=400, details="missing_host_header", agent="x", service="-",
                                 request_id="-", local="-"),
                       ["HTTP/1.1 400 Bad Request", "date: DATE", "server: envoy", "connection: close", "content-length: 0"])
        equal("requests", origin.requests, [])


def test_heads_that_are_too_large(folder):
    with world_of(folder) as world, HttpOrigin() as origin:
        equal("large enough", world.ask(get("/", more=f"X: {'x' * 60000}\r\n")).status, 200)
        equal("many enough", world.ask(get("/", more="".join(f"X{i}: 1\r\n" for i in range(99)))).status, 200)
        world.lines(2)
        expect_refusal(world, get("/", more=f"X: {'x' * 61500}\r\n"), 431,
                       refused_line(431, details="http1.headers_too_large", tx=31))
        expect_refusal(world, get("/", more="".join(f"X{i}: 1\r\n" for i in range(100))), 431,
                       refused_line(431, details="http1.too_many_headers", tx=31))
        equal("requests", len(origin.requests), 2)


def test_first_lines_that_do_not_end(folder):
    """Too long, or cut off: on a port of HTTP's they are HTTP, which nothing gets round."""
    for mode in ("REGISTRY_ONLY", "ALLOW_ANY"):
        with World(make_folder(folder, mode), mode, NAMES, **ENTRIES) as world, HttpOrigin() as origin:
            expect_refusal(world, b"GET /" + b"x" * 70000, 431, refused_line(431, details="http1.headers_too_large", tx=31))
            world.expect_refused(b"GET / HT")
            world.expect(refused_line(0, "DC", "downstream_remote_disconnect", tx=0))
            equal("requests", origin.requests, [])


def test_what_clients_write_cannot_break_the_log(folder):
    with world_of(folder) as world, HttpOrigin():
        answer = world.ask(get("/?q=\"\\", more='User-Agent: a" "b\\\tc\xe9\r\n').decode().encode("latin-1"))
        world.expect(registered(r'GET /?q=\"\\ HTTP/1.1', tx=len(answer.body), agent=r'a\" \"b\\\x09c\xe9'))


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
