#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The access log's formats on real requests and connections: every operator of Istio's default format by its own, headers of
any name, durations, and JSON in a shape of one's own. TAP on stdout.
"""
import json
import os
import re
import subprocess
import sys
import time

import relay
from policy import ENTRIES, GOOGLE, HTTPBIN, NAMES, get, hello_with_ech
from policy_world import DIALLED, HttpOrigin, World, read_answer, response, virtual_service
from relay import Origin, connect, echo_upper, equal, receive_all, wait_for

DEFAULT = ("START_TIME", "REQ(:METHOD)", "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", "PROTOCOL", "RESPONSE_CODE", "RESPONSE_FLAGS",
           "RESPONSE_CODE_DETAILS", "CONNECTION_TERMINATION_DETAILS", "UPSTREAM_TRANSPORT_FAILURE_REASON", "BYTES_RECEIVED",
           "BYTES_SENT", "DURATION", "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)", "REQ(X-FORWARDED-FOR)", "REQ(USER-AGENT)",
           "REQ(X-REQUEST-ID)", "REQ(:AUTHORITY)", "UPSTREAM_HOST", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_LOCAL_ADDRESS",
           "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS", "REQUESTED_SERVER_NAME", "ROUTE_NAME")
BETWEEN = " ; "
CLUSTER = "outbound|80||httpbin.org"
SOME = object()  # a value that the clock or the kernel chooses


class Log(World):
    """Each line is these operators' values, one behind the other."""

    def __init__(self, folder, *operators, **more):
        self.operators = operators
        line = BETWEEN.join(f"%{operator}%" for operator in operators)
        super().__init__(folder, names=NAMES, mesh=f'accessLogFormat: "{line}\\n"', **{**ENTRIES, **more})

    def values(self):
        wait_for("a line", lambda: len(self.raw_lines()) > self.taken)
        line = self.raw_lines()[self.taken]
        self.taken += 1
        values = line.split(BETWEEN)
        equal(f"number of values in {line}", len(values), len(self.operators))
        return dict(zip(self.operators, values))

    def expect(self, **expected):
        """By operator; what is not named is `-`."""
        for name, value in self.values().items():
            wanted = expected.pop(name, "-")
            if wanted is SOME:
                equal(f"there is {name}", value not in ("", "-"), True)
            else:
                equal(name, value, wanted)
        equal("expected besides", expected, {})


ALWAYS = {"START_TIME": SOME, "DURATION": SOME, "DOWNSTREAM_REMOTE_ADDRESS": SOME, "RESPONSE_CODE": "0"}
STREAM = {**ALWAYS, "DOWNSTREAM_LOCAL_ADDRESS": f"{DIALLED}:443", "CONNECTION_TERMINATION_DETAILS": "ech",
          "BYTES_RECEIVED": "0", "BYTES_SENT": "0"}
REQUEST = {**ALWAYS, "DOWNSTREAM_LOCAL_ADDRESS": f"{DIALLED}:80", "REQ(:METHOD)": "POST", "PROTOCOL": "HTTP/1.1",
           "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "/a?b", "REQ(X-FORWARDED-FOR)": "192.0.2.1", "REQ(USER-AGENT)": "me",
           "REQ(X-REQUEST-ID)": "mine", "REQ(:AUTHORITY)": "httpbin.org", "BYTES_RECEIVED": "3", "BYTES_SENT": "0"}
ROUTED = {**REQUEST, "UPSTREAM_HOST": f"{HTTPBIN}:80", "UPSTREAM_CLUSTER_RAW": CLUSTER, "ROUTE_NAME": "default"}


def post(host="httpbin.org"):
    return get("/a?b", host, "Content-Length: 3\r\nUser-Agent: me\r\nX-Request-Id: mine\r\nX-Forwarded-For: 192.0.2.1\r\n",
               "POST") + b"abc"


def test_each_operator_of_the_default_for_requests(folder):
    with Log(folder, *DEFAULT) as world:
        with HttpOrigin(80, lambda _: response(b"fine", "200 OK", "Connection: close")):
            equal("status", world.ask(post()).status, 200)
        world.expect(**{**ROUTED, "RESPONSE_CODE": "200", "RESPONSE_CODE_DETAILS": "via_upstream", "BYTES_SENT": "4",
                        "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)": SOME, "UPSTREAM_LOCAL_ADDRESS": SOME})
        # Nobody listens.
        answer = world.ask(post())
        refused = "delayed_connect_error:_Connection_refused"
        world.expect(**{**ROUTED, "RESPONSE_CODE": "503", "RESPONSE_FLAGS": "URX,UF", "BYTES_SENT": str(len(answer.body)),
                        "RESPONSE_CODE_DETAILS": f"upstream_reset_before_response_started{{remote_connection_failure|{refused}}}",
                        "UPSTREAM_TRANSPORT_FAILURE_REASON": refused})
        world.ask(post("no.example"))
        world.expect(**{**REQUEST, "REQ(:AUTHORITY)": "no.example", "RESPONSE_CODE": "502", "ROUTE_NAME": "block_all",
                        "RESPONSE_CODE_DETAILS": "direct_response", "BYTES_RECEIVED": SOME})


def test_each_operator_of_the_default_for_connections(folder):
    with Log(folder, *DEFAULT) as world:
        hello = hello_with_ech("www.google.com")
        with Origin(443, echo_upper):
            equal("echo", world.send(hello, port=443), hello.upper())
        size = str(len(hello))
        world.expect(**{**STREAM, "BYTES_RECEIVED": size, "BYTES_SENT": size, "UPSTREAM_HOST": f"{GOOGLE}:443",
                        "UPSTREAM_CLUSTER_RAW": "outbound|443||www.google.com", "UPSTREAM_LOCAL_ADDRESS": SOME,
                        "REQUESTED_SERVER_NAME": "www.google.com"})
        world.expect_refused(hello_with_ech("no.example"), port=443)
        world.expect(**{**STREAM, "REQUESTED_SERVER_NAME": "no.example", "RESPONSE_FLAGS": "UH",
                        "UPSTREAM_CLUSTER_RAW": "BlackHoleCluster"})
        world.expect_refused(hello, port=443)
        world.expect(**{**STREAM, "REQUESTED_SERVER_NAME": "www.google.com", "RESPONSE_FLAGS": "UF,URX",
                        "UPSTREAM_TRANSPORT_FAILURE_REASON": "delayed_connect_error:_Connection_refused",
                        "UPSTREAM_HOST": f"{GOOGLE}:443", "UPSTREAM_CLUSTER_RAW": "outbound|443||www.google.com"})
        world.expect_refused(b"\0abc", port=25)
        world.expect(**{**STREAM, "CONNECTION_TERMINATION_DETAILS": "-", "DOWNSTREAM_LOCAL_ADDRESS": f"{DIALLED}:25",
                        "RESPONSE_FLAGS": "UH", "UPSTREAM_CLUSTER_RAW": "BlackHoleCluster"})


def test_headers_of_any_name(folder):
    """Of the request as it was sent on, and of the response as the client got it; also the proxy's own answers."""
    routes = virtual_service("httpbin.org", """
  - match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new}
    headers: {request: {set: {x-set: s}}, response: {set: {x-back: b}, remove: [x-origin]}}
    route: [{destination: {host: httpbin.org}}]
  - directResponse: {status: 403, body: {string: "no"}}
    headers: {response: {set: {x-back: d}}}
""")
    answer = response(b"x", "200 OK", "X-Many: one", "X-Many: two", "X-Origin: o", "Content-Type: text/x", "X-Empty:")
    with Log(folder, "REQ(X-Foo)", "REQ(x-foo):2", "REQ(X-None?X-FOO)", "REQ(X-SET)", "REQ(:PATH)", "REQ(X-Envoy-Original-Path)",
             "REQ(CONNECTION)", "RESP(X-MANY)", "RESP(X-Origin)", "RESP(X-Back)", "RESP(CONTENT-TYPE)", "RESP(Server):3",
             "RESP(X-EMPTY)", "RESP(CONTENT-LENGTH)", routes=routes) as world, HttpOrigin(80, lambda _: answer):
        request = {"REQ(X-Foo)": "b a r", "REQ(x-foo):2": "b ", "REQ(X-None?X-FOO)": "b a r"}
        back = {"RESP(Server):3": "env"}
        equal("status", world.ask(get("/old/x?q", more="X-Foo:  b a r \r\nX-Foo: 2\r\nConnection: keep-alive\r\n")).status, 200)
        world.expect(**{**request, **back, "REQ(X-SET)": "s", "REQ(:PATH)": "/new/x?q", "REQ(X-Envoy-Original-Path)": "/old/x?q",
                        "RESP(X-MANY)": "one", "RESP(X-Back)": "b", "RESP(CONTENT-TYPE)": "text/x", "RESP(X-EMPTY)": "",
                        "RESP(CONTENT-LENGTH)": "1"})
        world.ask(get("/else", more="X-Foo: b a r\r\n"))
        world.expect(**{**request, **back, "REQ(:PATH)": "/else", "RESP(X-Back)": "d", "RESP(CONTENT-TYPE)": "text/plain",
                        "RESP(CONTENT-LENGTH)": "2"})
        world.ask(get("/blocked", "no.example"))
        world.expect(**{**back, "REQ(:PATH)": "/blocked", "RESP(CONTENT-LENGTH)": "0"})
        # Nothing is known of a request that could not be read, but what was said to it.
        world.ask(b"GET / HTTP/1.1\r\nHost: httpbin.org\r\nX-Foo: b\rar\r\n\r\n")
        world.expect(**{**back, "RESP(CONTENT-TYPE)": "text/plain", "RESP(CONTENT-LENGTH)": "11"})
        world.expect_refused(b"\0abc", port=25)
        world.expect()


def test_headers_come_with_a_reload(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, HttpOrigin(), connect(DIALLED, 80) as sock:
        stream = sock.makefile("rb")
        sock.sendall(get())
        equal("first", read_answer(stream).status, 200)
        world.set_mesh("REGISTRY_ONLY", 'accessLogFormat: "to %REQ(X-FOO)% from %RESP(SERVER)%\\n"')
        wait_for("the format", lambda: world.ask(get(more="X-Foo: bar\r\n")) and "to bar from envoy" in world.raw_lines())
        world.set_mesh("REGISTRY_ONLY")
        world.until("the default", lambda: world.ask(get()) and " default" in world.raw_lines()[-1])
        sock.sendall(get())
        equal("on an older connection", read_answer(stream).status, 200)
        equal("line", world.columns().group("status", "cluster"), ("200", CLUSTER))


def test_durations(folder):
    """The second half of a body and the answer come when they are told to."""
    def late(request):
        return lambda sock: (wait_for("the word", lambda: go), sock.sendall(response(b"done")))
    go = []
    with Log(folder, "REQUEST_DURATION", "RESPONSE_DURATION", "RESPONSE_TX_DURATION", "DURATION") as world, HttpOrigin(80, late):
        with connect(DIALLED, 80) as sock:
            sock.sendall(get("/", more="Content-Length: 2\r\nConnection: close\r\n", method="POST") + b"a")
            time.sleep(0.05)  # what is to be seen, not what is waited for
            sock.sendall(b"b")
            time.sleep(0.05)
            go.append(True)
            equal("answer", receive_all(sock)[-4:], b"done")
        request, answered, sending, whole = (int(value) for value in world.values().values())
        equal("in their order", (request >= 45, answered >= request + 45, whole >= answered, sending == whole - answered),
              (True,) * 4)
        world.ask(get("/", "no.example"))
        equal("without an upstream", list(world.values().values())[1:3], ["-", "-"])


def test_json_in_a_shape_of_one_s_own(folder):
    """The keys' order, nested objects and lists, and values' types; texts that are more than one operator are texts."""
    shape = {"code": "%RESPONSE_CODE%",
             "z": {"text": "%RESPONSE_CODE% %REQ(X-FOO)%", "list": ["%BYTES_SENT%", "fixed", 7, True, None]},
             "a": "%REQ(X-NONE)%", "flags": "%RESPONSE_FLAGS%", "type": "%RESP(CONTENT-TYPE)%", "percent": "100%%"}
    mesh = f"accessLogEncoding: JSON\naccessLogFormat: '{json.dumps(shape)}'"
    with World(folder, names=NAMES, mesh=mesh, **ENTRIES) as world, HttpOrigin(80, lambda _: response(b"four")):
        equal("status", world.ask(get(more='X-Foo: "q\\\r\n')).status, 200)
        wait_for("a line", world.raw_lines)
        seen = json.loads(world.raw_lines()[0])
        equal("keys", list(seen), list(shape))
        equal("values", seen, {"code": 200, "z": {"text": '200 "q\\', "list": [4, "fixed", 7, True, None]}, "a": None,
                               "flags": "-", "type": None, "percent": "100%"})
        world.expect_refused(hello_with_ech("no.example"), port=443)
        wait_for("another line", lambda: len(world.raw_lines()) > 1)
        seen = json.loads(world.raw_lines()[1])
        equal("of a connection", (seen["code"], seen["flags"], seen["a"], seen["z"]["text"]), (0, "UH", None, "0 -"))


# --- from log to policy

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")


def test_a_day_s_log_becomes_a_policy(folder):
    """By README's own command: what AUDIT let pass is what REGISTRY_ONLY lets pass then, and nothing else."""
    with open(README, encoding="utf-8") as file:
        command = re.search(r"^    (grep -o .* access\.log .*> policy\.yaml)$", file.read(), re.M)[1]
    http, tls, tcp = "new.example", hello_with_ech("tls.example"), b"\0abc"
    http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    visits = [(get("/", http), DIALLED, 80), (get("/", f"{http}:80"), DIALLED, 80), (get("/", "Other.Example."), DIALLED, 80),
              (get("/", DIALLED), DIALLED, 80), (get("/", http, "Connection: close\r\n"), DIALLED, 8081), (tls, DIALLED, 443),
              (tls, DIALLED, 8443), (hello_with_ech(""), "10.9.9.8", 443), (tcp, DIALLED, 9000), (tcp, "2001:db8::7", 9000),
              (http2, "10.9.9.7", 9000)]

    def visit(world):
        answers = []
        for data, address, port in visits:
            try:
                answers.append(world.send(data, address, port))
            except OSError:
                answers.append(b"")
        return [answer and not answer.startswith(b"HTTP/1.1 502") for answer in answers]
    names = {**NAMES, http: DIALLED, "other.example": DIALLED, "tls.example": DIALLED}
    with World(folder, "AUDIT", names, **ENTRIES) as world, HttpOrigin(80), HttpOrigin(8081), Origin(443, echo_upper), \
            Origin(8443, echo_upper), Origin(9000, echo_upper):
        equal("AUDIT", visit(world), [True] * len(visits))
        world.settle()
        world.set_mesh("REGISTRY_ONLY")
        world.until("blocked", lambda: not any(visit(world)))
        subprocess.run(command, shell=True, cwd=folder, check=True)
        with open(f"{folder}/policy.yaml", encoding="utf-8") as file:
            world.apply("policy", file.read())
        wait_for("all of it", lambda: all(visit(world)))
        for data, address, port in ((get("/", "third.example"), DIALLED, 80), (hello_with_ech("third.example"), DIALLED, 443),
                                    (tcp, "10.9.9.6", 9000), (tcp, DIALLED, 9001)):
            try:
                answer = world.send(data, address, port)
            except OSError:
                answer = b""
            equal(f"{address}:{port}", answer[:12] in (b"", b"HTTP/1.1 502"), True)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
