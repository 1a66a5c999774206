#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
VirtualService and HTTPRoute on real requests: which route is taken, what it changes on the way, what it answers itself,
how long it waits and how often it tries. TAP on stdout.
"""
import sys
import threading

import relay
from nameserver import Name
from policy_world import (DIALLED, HttpOrigin, TlsOrigin, World, http_line, never, read_answer, response, service_entry, tcp_line,
                          virtual_service)
from relay import Origin, connect, echo_upper, equal, wait_for

HTTPBIN, OTHER = "10.1.1.1", "10.4.4.4"
NAMES = {"httpbin.org": HTTPBIN, "other.example": OTHER}
ENTRIES = {"httpbin": service_entry("httpbin.org"), "other": service_entry("other.example")}
CLUSTER = "outbound|80||httpbin.org"
LOCAL_503 = "upstream connect error or disconnect/reset before headers. "
OWN = ["x-forwarded-proto: http", "x-request-id: ID"]
TO_HTTPBIN = "    route: [{destination: {host: httpbin.org}}]\n"


def get(path="/", host="httpbin.org", more="", method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def routed(request, **columns):
    return http_line(request, "httpbin.org", **{"upstream": f"{HTTPBIN}:80", "cluster": CLUSTER, "route": "-", **columns})


def by_itself(request, **columns):
    """What no upstream is asked about."""
    return routed(request, **{"upstream": "-", "local": "-", "service": "-", "cluster": "-", **columns})


def world_of(folder, http, **more):
    return World(folder, names=NAMES, routes=virtual_service("httpbin.org", http), **{**ENTRIES, **more})


def http_route(rules, name="httpbin-ext", parent="httpbin.org"):
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{kind: ServiceEntry, group: networking.istio.io, name: {parent}}}]
  hostnames: [httpbin.org]
  rules:
{rules}"""


def test_matches_and_names(folder):
    http = """
  - name: exact
    match:
    - {name: one, uri: {exact: /exact}}
    - {uri: {exact: /other-exact}}
    route: [{destination: {host: httpbin.org}}]
  - name: prefix
    match: [{uri: {prefix: /pre}, method: {exact: PUT}}]
    route: [{destination: {host: httpbin.org}}]
  - match: [{uri: {regex: "/r[0-9]+"}}]
    route: [{destination: {host: httpbin.org}}]
  - name: header
    match: [{headers: {x-a: {exact: "1"}, x-b: {prefix: p}}, withoutHeaders: {x-c: {}}}]
    route: [{destination: {host: other.example}}]
  - name: query
    match: [{queryParams: {v: {exact: "2"}}, ignoreUriCase: true, uri: {exact: /Q}}]
    route: [{destination: {host: httpbin.org}}]
"""
    with world_of(folder, http) as world, HttpOrigin() as origin:
        for data, route, operation in (
                (get("/exact"), "exact.one", "httpbin.org:80/exact"), (get("/other-exact"), "exact", "httpbin.org:80/other-exact"),
                (get("/prefix/x", method="PUT"), "prefix", "httpbin.org:80/pre*"), (get("/r12"), "-", "httpbin.org:80/r[0-9]+"),
                (get("/h", more="X-A: 1\r\nX-B: pq\r\n"), "header", "other.example:80/*"),
                (get("/q?u=1&v=2"), "query", "httpbin.org:80/Q")):
            equal(str(data), world.ask(data).status, 200)
            equal("operation", origin.requests[-1].value("x-envoy-decorator-operation"), operation)
            equal("route", world.columns()["route"], route)
        equal("elsewhere", origin.requests[-2].address, OTHER)
        for data in (get("/exactly"), get("/prefix"), get("/r"), get("/h", more="X-A: 1\r\nX-B: p\r\nX-C: \r\n"), get("/q?v=22")):
            answer = world.ask(data)
            equal(str(data), answer.headers, ["HTTP/1.1 404 Not Found", "date: DATE", "server: envoy", "content-length: 0"])
            path = data.split()[1].decode()
            world.expect(by_itself(f"GET {path} HTTP/1.1", status=404, flags="NR", details="route_not_found"))


def test_weights(folder):
    http = """
  - route:
    - {destination: {host: httpbin.org}, weight: 50}
    - {destination: {host: other.example}, weight: 50}
    - {destination: {host: nowhere.example}, weight: 0}
"""
    with world_of(folder, http) as world, HttpOrigin() as origin:
        for _ in range(64):
            equal("status", world.ask(get()).status, 200)
        equal("both, and no third", {request.address for request in origin.requests}, {HTTPBIN, OTHER})
        equal("operation", {request.value("x-envoy-decorator-operation") for request in origin.requests}, {"routes:80/*"})


def test_rewrites_and_headers(folder):
    http = """
  - match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new, authority: inner.example}
    headers:
      request: {set: {x-set: s, accept: json}, add: {x-add: a}, remove: [x-gone]}
      response: {set: {x-r: r, server: mine}, add: {x-added: b}, remove: [x-origin]}
    route:
    - destination: {host: httpbin.org}
      headers: {request: {add: {x-of-route: y}}}
"""
    answer = response(b"x", "200 OK", "X-Origin: 1", "X-Kept: 2")
    with world_of(folder, http) as world, HttpOrigin(80, lambda request: answer) as origin:
        got = world.ask(get("/old/a?b", more="Accept: text\r\nX-Gone: 1\r\nX-Add: mine\r\n"))
        equal("origin", origin.requests[0].lines[:2], ["GET /new/a?b HTTP/1.1", "host: inner.example"])
        equal("headers", sorted(origin.requests[0].lines[2:]), sorted([
            *OWN, "accept: json", "x-add: mine", "x-add: a", "x-set: s", "x-of-route: y",
            "x-envoy-decorator-operation: httpbin.org:80/old*", "x-envoy-original-host: httpbin.org",
            "x-envoy-original-path: /old/a?b", "x-envoy-attempt-count: 1"]))
        equal("answer", ("x-kept: 2" in got.headers, "x-r: r" in got.headers, "x-added: b" in got.headers,
                         "x-origin: 1" in got.headers, got.headers.count("server: envoy")), (True, True, True, False, 1))
        line = world.columns()
        equal("line", line.group("request", "authority", "cluster"), ("GET /old/a?b HTTP/1.1", "inner.example", CLUSTER))


def test_redirects_and_direct_responses(folder):
    http = """
  - match: [{uri: {prefix: /moved}}]
    redirect: {uri: /there, authority: new.example, redirectCode: 308}
  - match: [{uri: {prefix: /secure}}]
    redirect: {scheme: https}
  - match: [{uri: {prefix: /no}}]
    directResponse: {status: 403, body: {string: "not here"}}
  - match: [{uri: {prefix: /empty}}]
    directResponse: {status: 204}
"""
    with world_of(folder, http) as world:
        for path, status, location in (("/moved/x?q", "308 Permanent Redirect", "http://new.example/there?q"),
                                       ("/secure/x?q", "301 Moved Permanently", "https://httpbin.org/secure/x?q")):
            answer = world.ask(get(path))
            equal(path, answer.headers, [f"HTTP/1.1 {status}", f"location: {location}", "date: DATE", "server: envoy",
                                         "content-length: 0"])
            world.expect(by_itself(f"GET {path} HTTP/1.1", status=int(status[:3]), details="direct_response"))
        answer = world.ask(get("/no"))
        equal("direct", (answer.headers, answer.body), (["HTTP/1.1 403 Forbidden", "content-length: 8", "content-type: text/plain",
                                                         "date: DATE", "server: envoy"], b"not here"))
        world.expect(by_itself("GET /no HTTP/1.1", status=403, details="direct_response", tx=8))
        equal("204", world.ask(get("/empty")).headers, ["HTTP/1.1 204 No Content", "date: DATE", "server: envoy"])
        world.expect(by_itself("GET /empty HTTP/1.1", status=204, details="direct_response"))


def test_faults(folder):
    http = """
  - match: [{uri: {prefix: /abort}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: httpbin.org}}]
  - match: [{uri: {prefix: /both}}]
    fault: {delay: {fixedDelay: 100ms, percentage: {value: 100}}, abort: {httpStatus: 500, percentage: {value: 100}}}
    route: [{destination: {host: httpbin.org}}]
  - match: [{uri: {prefix: /delay}}]
    fault: {delay: {fixedDelay: 100ms, percentage: {value: 100}}}
    route: [{destination: {host: httpbin.org}}]
  - match: [{uri: {prefix: /grpc}}]
    fault: {abort: {grpcStatus: NOT_FOUND, percentage: {value: 100}}}
    route: [{destination: {host: httpbin.org}}]
  - fault: {abort: {httpStatus: 500, percentage: {value: 0}}}
    route: [{destination: {host: httpbin.org}}]
"""
    with world_of(folder, http) as world, HttpOrigin() as origin:
        for path, status, flags in (("/abort", "418 Unknown", "FI"), ("/both", "500 Internal Server Error", "DI,FI")):
            answer = world.ask(get(path))
            equal(path, (answer.headers, answer.body), ([f"HTTP/1.1 {status}", "content-length: 18", "content-type: text/plain",
                                                         "date: DATE", "server: envoy"], b"fault filter abort"))
            world.expect(by_itself(f"GET {path} HTTP/1.1", status=answer.status, flags=flags, details="fault_filter_abort", tx=18,
                                   cluster=CLUSTER))
        # A status of gRPC's own, also for who speaks something else.
        answer = world.ask(get("/grpc", more="Content-Type: application/grpc\r\n", method="POST"))
        equal("gRPC", answer.headers, ["HTTP/1.1 200 OK", "content-type: application/grpc", "grpc-status: 5",
                                       "grpc-message: fault filter abort", "date: DATE", "server: envoy", "content-length: 0"])
        equal("gRPC", world.columns().group("status", "flags", "details"), ("200", "FI", "fault_filter_abort"))
        answer = world.ask(get("/grpc"))
        equal("no gRPC", (answer.status, answer.body), (200, b"fault filter abort"))
        world.expect(by_itself("GET /grpc HTTP/1.1", flags="FI", details="fault_filter_abort", tx=18, cluster=CLUSTER))
        equal("requests", origin.requests, [])
        answer = world.ask(get("/delay"))
        equal("delayed", answer.status, 200)
        line = world.columns()
        equal("line", (line.group("request", "flags", "cluster"), int(line["ms"]) >= 99),
              (("GET /delay HTTP/1.1", "DI", CLUSTER), True))
        answer = world.ask(get())
        world.expect(routed("GET / HTTP/1.1", tx=len(answer.body)))


def test_timeouts(folder):
    http = "  - timeout: 200ms\n" + TO_HTTPBIN

    def late(request):
        if request.path == "/never":
            return never
        return lambda sock: (sock.sendall(response(b"x" * 100)[:-50]), never(sock))

    with world_of(folder, http) as world, HttpOrigin(80, late) as origin:
        answer = world.ask(get("/never"))
        equal("answer", (answer.headers, answer.body), (["HTTP/1.1 504 Gateway Timeout", "content-length: 24",
                                                         "content-type: text/plain", "date: DATE", "server: envoy"],
                                                        b"upstream request timeout"))
        equal("told", origin.requests[0].value("x-envoy-expected-rq-timeout-ms"), "200")
        world.expect(routed("GET /never HTTP/1.1", status=504, flags="UT", details="response_timeout", tx=24, service="-"))
        answer = world.ask(get("/half"))
        equal("cut", (answer.status, answer.body), (200, b"x" * 50))
        world.expect(routed("GET /half HTTP/1.1", flags="UT", details="response_timeout", tx=50))


CLOSES = "Connection: close"
SERVICE_UNAVAILABLE = response(b"no", "503 Service Unavailable", CLOSES)
ERROR = response(b"bad", "500 Internal Server Error", CLOSES)
FINE = response(b"yes", "200 OK", CLOSES)


def test_a_timeout_while_a_name_is_asked_for(folder):
    """The answer that comes afterwards is nobody's."""
    with world_of(folder, "  - timeout: 100ms\n" + TO_HTTPBIN) as world, HttpOrigin() as origin:
        gate = threading.Event()
        world.server.names["slow.example"] = Name("10.4.4.5", wait=gate)
        world.apply("slow", service_entry("slow.example"))
        world.apply("routes", virtual_service("httpbin.org", """
  - timeout: 100ms
    route: [{destination: {host: slow.example}}]
"""))
        world.until("the route", lambda: world.ask(get()).status == 504)
        with connect(DIALLED, 80) as sock:
            stream = sock.makefile("rb")
            sock.sendall(get("/first"))
            equal("timeout", read_answer(stream).status, 504)
            equal("asked for", world.server.count("slow.example") > 0, True)
            gate.set()
            # Another connection's request gets through: the name is known, and all who waited for it have been told.
            wait_for("an answer", lambda: world.ask(get("/other")).status == 200)
            sock.sendall(get("/second"))
            equal("second", read_answer(stream).status, 200)
            equal("origin", (origin.requests[-1].path, origin.requests[-1].address), ("/second", "10.4.4.5"))
            equal("the first", [request for request in origin.requests if request.path == "/first"], [])


def answers(*items):
    """
    Each request the next one of these; the last one goes on. Each closes its connection: a request that finds a used one
    closed gets another, which is no retry of the route's.
    """
    left = list(items)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_default_retries(folder):
    """Two more tries of what was refused or said 503; nothing else."""
    no = SERVICE_UNAVAILABLE
    with World(folder, names=NAMES, **ENTRIES) as world, HttpOrigin() as origin:
        for script, status, body, counts, columns in (
                ((no, no, FINE), 200, b"yes", ["1", "2", "3"], {}),
                ((no,), 503, b"no", ["1", "2", "3"], {"flags": "URX"}),
                ((ERROR,), 500, b"bad", ["1"], {}),
                ((None,), 503, f"{LOCAL_503}reset reason: connection termination".encode(), ["1"], {
                    "flags": "UC", "details": "upstream_reset_before_response_started{connection_termination}", "service": "-"})):
            origin.requests, origin.answer = [], answers(*script)
            answer = world.ask(get())
            equal("answer", (answer.status, answer.body), (status, body))
            equal("tries", [request.value("x-envoy-attempt-count") for request in origin.requests], counts)
            world.expect(routed("GET / HTTP/1.1", status=status, tx=len(body), route="default", **columns))


def test_retries_of_a_route(folder):
    http = "  - retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 200ms}\n" + TO_HTTPBIN
    gone = f"{LOCAL_503}retried and the latest reset reason: connection termination".encode()
    reset = "upstream_reset_before_response_started{connection_termination}"
    with world_of(folder, http) as world, HttpOrigin() as origin:
        for script, status, body, columns in (
                ((None, FINE), 200, b"yes", {}),
                ((None,), 503, gone, {"flags": "URX,UC", "details": reset, "service": "-"}),
                ((ERROR,), 500, b"bad", {"flags": "URX"}),
                ((never,), 504, b"upstream request timeout", {"flags": "URX,UT", "details": "upstream_per_try_timeout",
                                                              "service": "-"})):
            origin.requests, origin.answer = [], answers(*script)
            answer = world.ask(get())
            equal("answer", (answer.status, answer.body), (status, body))
            equal("tries", [request.value("x-envoy-expected-rq-timeout-ms") for request in origin.requests], ["200", "200"])
            world.expect(routed("GET / HTTP/1.1", status=status, tx=len(body), **columns))


def test_a_dead_address_is_left_for_the_next(folder):
    """Nobody listens at one of a name's two addresses; no client notices."""
    names = {"httpbin.org": f"{HTTPBIN} {OTHER}"}
    with World(folder, names=names, httpbin=ENTRIES["httpbin"]) as world, HttpOrigin(address=OTHER):
        for _ in range(8):
            equal("answer", world.ask(get()).status, 200)
            equal("line", world.columns().group("flags", "upstream"), ("-", f"{OTHER}:80"))


def test_a_destination_that_is_not_there(folder):
    with world_of(folder, "  - route: [{destination: {host: nowhere.example}}]\n") as world:
        answer = world.ask(get())
        equal("answer", answer.headers, ["HTTP/1.1 503 Service Unavailable", "date: DATE", "server: envoy", "content-length: 0"])
        world.expect(by_itself("GET / HTTP/1.1", status=503, flags="NC", details="cluster_not_found"))


def test_http_route_rules(folder):
    rules = """
  - matches: [{path: {type: Exact, value: /exact}, method: GET}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: s}], add: [{name: x-add, value: a}], remove: [x-gone]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {add: [{name: x-r, value: r}]}
    backendRefs: [{kind: Hostname, group: networking.istio.io, name: httpbin.org, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /pre}}]
    filters:
    - type: URLRewrite
      urlRewrite: {hostname: inner.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
    backendRefs: [{kind: Hostname, group: networking.istio.io, name: other.example, port: 80}]
  - matches: [{headers: [{name: x-v, value: "2"}]}]
    filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, statusCode: 302}
  - matches: [{path: {type: PathPrefix, value: /slow}}]
    timeouts: {request: 200ms}
    backendRefs: [{kind: Hostname, group: networking.istio.io, name: httpbin.org, port: 80}]
"""
    def answer_to(request):
        return never if request.path == "/slow" else response(b"x")

    with World(folder, names=NAMES, routes=http_route(rules), **ENTRIES) as world, HttpOrigin(80, answer_to) as origin:
        answer = world.ask(get("/exact", more="X-Gone: 1\r\n"))
        equal("headers", (origin.requests[0].value("x-set"), origin.requests[0].value("x-add"), origin.requests[0].value("x-gone"),
                          "x-r: r" in answer.headers), ("s", "a", None, True))
        world.expect(routed("GET /exact HTTP/1.1", tx=1, route="default.httpbin-ext.0"))
        world.ask(get("/pre/x?q"))
        equal("rewritten", (origin.requests[1].address, origin.requests[1].lines[:2]),
              (OTHER, ["GET /new/x?q HTTP/1.1", "host: inner.example"]))
        equal("line", world.columns().group("route", "cluster"), ("default.httpbin-ext.1", "outbound|80||other.example"))
        equal("redirect", world.ask(get("/x", more="X-V: 2\r\n")).headers[:2],
              ["HTTP/1.1 302 Found", "location: https://httpbin.org/x"])
        equal("line", world.columns().group("route", "details"), ("default.httpbin-ext.2", "direct_response"))
        equal("timeout", world.ask(get("/slow")).status, 504)
        world.expect(routed("GET /slow HTTP/1.1", status=504, flags="UT", details="response_timeout", tx=24, service="-",
                            route="default.httpbin-ext.3"))
        equal("none", world.ask(get("/else")).status, 404)


def test_routes_of_tls_and_tcp(folder):
    routes = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tls}
spec:
  hosts: [a.example]
  tls:
  - match: [{port: 443, sniHosts: [a.example]}]
    route: [{destination: {host: b.example, port: {number: 443}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp}
spec:
  hosts: [db.example]
  tcp:
  - match: [{port: 5432}]
    route: [{destination: {host: other-db.example, port: {number: 5432}}}]
"""
    entries = {"a": service_entry("a.example", 443, "TLS"), "b": service_entry("b.example", 443, "TLS"),
               "db": service_entry("db.example", 5432, "TCP", "STATIC",
                                   "  addresses: [10.5.0.1]\n  endpoints: [{address: 10.5.0.1}]\n"),
               "other": service_entry("other-db.example", 5432, "TCP", "STATIC",
                                      "  addresses: [10.5.0.2]\n  endpoints: [{address: 10.5.0.2}]\n"), "routes": routes}
    with World(folder, names={"a.example": "10.5.1.1", "b.example": "10.5.1.2"}, **entries) as world:
        with TlsOrigin(folder, "a.example") as tls:
            equal("TLS", world.curl("--cacert", tls.certificate, "https://a.example/", port=443).exit, 0)
            equal("line", world.columns().group("cluster", "upstream", "sni"),
                  ("outbound|443||b.example", "10.5.1.2:443", "a.example"))
        with Origin(5432, echo_upper):
            equal("TCP", world.send(b"abc", "10.5.0.1", 5432), b"ABC")
            world.expect(tcp_line(rx=3, tx=3, upstream="10.5.0.2:5432", cluster="outbound|5432||other-db.example", local="LOCAL",
                                  dst="10.5.0.1:5432"))


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
