#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The policy on real connections: what is let through, where it goes, what the client gets and what the log says, whole lines.
Requests are in policy_http.py, routes in policy_routes.py. TAP on stdout.
"""
import json
import socket
import sys

import relay
from nameserver import NXDOMAIN, SERVFAIL, Name
from policy_world import (DIALLED, HttpOrigin, TlsOrigin, World, blocked_line, http_line, make_folder, never, response,
                          service_entry, tcp_line)
from relay import Origin, connect, echo_upper, equal, receive_all, reset, wait_for

HTTPBIN, GOOGLE = "10.1.1.1", "10.2.2.2"
NAMES = {"httpbin.org": HTTPBIN, "www.google.com": GOOGLE}
ENTRIES = {"httpbin": service_entry("httpbin.org"), "google": service_entry("www.google.com", 443, "HTTPS")}
CLUSTER = "outbound|80||httpbin.org"
LOCAL_503 = "upstream connect error or disconnect/reset before headers. "
BLOCKED = ["HTTP/1.1 502 Bad Gateway", "date: DATE", "server: envoy", "content-length: 0"]


def get(path="/", host="httpbin.org", more="", method="GET", version="1.1"):
    return f"{method} {path} HTTP/{version}\r\nHost: {host}\r\n{more}\r\n".encode()


def registered(request, **columns):
    """The line of a request to the declared host."""
    return http_line(request, "httpbin.org", **{"upstream": f"{HTTPBIN}:80", "cluster": CLUSTER, "route": "default", **columns})


def passed(request, authority, **columns):
    """The line of one to a host that is not, under ALLOW_ANY."""
    return http_line(request, authority, **{"upstream": f"{DIALLED}:80", "cluster": "PassthroughCluster", "route": "allow_any",
                                            **columns})


# --- declared and not

def test_a_declared_host_goes_where_its_name_says(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, HttpOrigin() as origin:
        answer = world.ask(get("/headers?a=b", more="Accept: */*\r\nX-Mixed: Case\r\n"))
        equal("answer", answer.headers, ["HTTP/1.1 200 OK", "server: envoy", f"content-length: {len(answer.body)}",
                                         "x-envoy-upstream-service-time: MS", "date: DATE"])
        equal("at", origin.requests[0].address, HTTPBIN)
        equal("origin", origin.requests[0].lines, [
            "GET /headers?a=b HTTP/1.1", "host: httpbin.org", "accept: */*", "x-mixed: Case", "x-forwarded-proto: http",
            "x-request-id: ID", "x-envoy-decorator-operation: httpbin.org:80/*", "x-envoy-attempt-count: 1"])
        world.expect(registered("GET /headers?a=b HTTP/1.1", tx=len(answer.body)))


def test_how_hosts_are_matched(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, HttpOrigin() as origin:
        for host, known in (("HTTPBIN.org", True), ("httpbin.org:80", True), ("httpbin.org:8443", True), ("httpbin.org.", True),
                            ("a.httpbin.org", False), ("httpbin.org.evil.example", False), ("user@httpbin.org", False)):
            answer = world.ask(get("/", host))
            equal(host, answer.status, 200 if known else 502)
            line = registered("GET / HTTP/1.1", tx=len(answer.body)) if known else blocked_line("GET / HTTP/1.1", host)
            world.expect(line.replace('"httpbin.org" ', f'"{host}" ', 1))
            if known:
                equal("host", origin.requests.pop().value("host"), host)
        equal("requests", origin.requests, [])


def test_blocked_requests(folder):
    with World(folder, names=NAMES, **ENTRIES) as world:
        for port in (80, 443, 8081):
            equal("GET", world.ask(get("/x?y", "unknown.example"), port=port).headers, BLOCKED)
            world.expect(blocked_line("GET /x?y HTTP/1.1", "unknown.example", dst=f"{DIALLED}:{port}"))
        answer = world.ask(get("/", "unknown.example", method="HEAD"))
        equal("HEAD", answer.headers, [*BLOCKED[:3], "transfer-encoding: chunked"])
        answer = world.ask(get("/", "unknown.example", "Content-Length: 3\r\n", "POST") + b"abc")
        equal("POST", answer.headers, [*BLOCKED[:3], "connection: close", "content-length: 0"])
        world.expect(blocked_line("HEAD / HTTP/1.1", "unknown.example"), blocked_line("POST / HTTP/1.1", "unknown.example"))
        grpc = world.ask(get("/a.B/C", "unknown.example", "Content-Type: application/grpc\r\n", "POST"))
        equal("gRPC", grpc.headers, ["HTTP/1.1 200 OK", "content-type: application/grpc", "grpc-status: 14", *BLOCKED[1:]])


def test_unknown_hosts_under_allow_any(folder):
    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world, HttpOrigin() as origin:
        answer = world.ask(get("/p", "unknown.example"))
        equal("origin", (origin.requests[0].address, origin.requests[0].lines), (DIALLED, [
            "GET /p HTTP/1.1", "host: unknown.example", "x-forwarded-proto: http", "x-request-id: ID",
            "x-envoy-attempt-count: 1"]))
        world.expect(passed("GET /p HTTP/1.1", "unknown.example", tx=len(answer.body)))
        # And a declared one is still bound to its name.
        world.send(get())
        equal("at", origin.requests[1].address, HTTPBIN)


def test_http_where_no_entry_is(folder):
    """The connection is passed on untouched, and the line knows what it was for."""
    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world, HttpOrigin(8081) as origin:
        data = get("/p", "httpbin.org", "X-Mixed: Case\r\n")
        answer = world.send(data, port=8081)
        equal("origin", origin.requests[0].head, data)
        world.expect(tcp_line(request="GET /p HTTP/1.1", rx=len(data), tx=len(answer), authority="httpbin.org",
                              upstream=f"{DIALLED}:8081", cluster="PassthroughCluster", local="LOCAL", dst=f"{DIALLED}:8081"))


# --- TLS and other bytes

def test_tls_by_server_name(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, TlsOrigin(folder, "www.google.com") as tls:
        answer = world.curl("--cacert", tls.certificate, "https://www.google.com/", port=443)
        equal("answer", (answer.exit, answer.headers[0].strip(), answer.body), (0, "HTTP/2 200", b"www.google.com\n"))
        line = world.columns()
        equal("line", line.group("upstream", "cluster", "sni", "dst", "route", "flags"),
              (f"{GOOGLE}:443", "outbound|443||www.google.com", "www.google.com", f"{DIALLED}:443", "-", "-"))
        equal("bytes", int(line["rx"]) > 300 and int(line["tx"]) > 300, True)
        for port in (443, 8443, 80):
            answer = world.curl("-k", "https://unknown.example/", port=port)
            equal(f"port {port}", (answer.exit, answer.head), (35, ""))
            world.expect(tcp_line(flags="UH", dst=f"{DIALLED}:{port}", sni="unknown.example"))
        # No server name: an address is none.
        equal("no name", world.curl("-k", "https://10.9.9.9/", port=443).exit, 35)
        world.expect(tcp_line(flags="UH"))


def test_http2_under_load(folder):
    """Eight connections, each with ten streams at once: all of them answered, and a line for each connection."""
    with World(folder, names=NAMES, **ENTRIES) as world, TlsOrigin(folder, "www.google.com"):
        result = world.run("h2load", "-n", "800", "-c", "8", "-m", "10", f"--connect-to={DIALLED}:443", "https://www.google.com/",
                           capture_output=True, text=True)
        equal("h2load", (result.returncode, "800 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout,
                         "Application protocol: h2" in result.stdout), (0, True, True))
        lines = world.lines(8)
        equal("lines", {"outbound|443||www.google.com" in line and line.endswith("www.google.com -") for line in lines}, {True})


def test_tls_passes_under_allow_any(folder):
    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world:
        for port in (443, 8443):
            with TlsOrigin(folder, "unknown.example", port=port) as tls:
                answer = world.curl("--cacert", tls.certificate, "https://unknown.example/", port=port)
                equal("answer", (answer.exit, answer.headers[0].strip()), (0, "HTTP/2 200"))
                equal("line", world.columns().group("upstream", "cluster", "sni"),
                      (f"{DIALLED}:{port}", "PassthroughCluster", "unknown.example"))


def hello_with_ech(name):
    """The smallest hello that tells a name and carries Encrypted ClientHello."""
    def vector(size, data):
        return len(data).to_bytes(size, "big") + data
    host = vector(2, b"\0" + vector(2, name.encode()))
    extensions = b"\0\0" + vector(2, host) + b"\xfe\x0d" + vector(2, b"\0" * 16)
    body = b"\x03\x03" + b"r" * 32 + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0") + vector(2, extensions)
    return b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, body))


def test_encrypted_hello_is_told(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, Origin(443, echo_upper):
        for name, line in (("unknown.example", tcp_line(flags="UH", termination="ech", sni="unknown.example")),
                           ("www.google.com", None)):
            hello = hello_with_ech(name)
            try:
                equal(name, world.send(hello, port=443), hello.upper() if line is None else b"")
            except OSError:
                equal("reset", line is not None, True)
            world.expect(line or tcp_line(termination="ech", rx=len(hello), tx=len(hello), upstream=f"{GOOGLE}:443", local="LOCAL",
                                          cluster="outbound|443||www.google.com", sni="www.google.com"))


def test_a_hello_in_pieces(folder):
    """Many segments and many records hide no name."""
    hello = hello_with_ech("unknown.example")
    message = hello[5:]
    records = b"".join(b"\x16\x03\x01\0\x01" + message[i:i + 1] for i in range(len(message)))
    with World(folder, names=NAMES, **ENTRIES) as world:
        for data in (hello, records):
            with connect(DIALLED, 443) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    for i in range(0, len(data), 40):
                        sock.sendall(data[i:i + 40])
                    equal("answer", sock.recv(1), b"")
                except ConnectionError:
                    pass
            world.expect(tcp_line(flags="UH", termination="ech", sni="unknown.example"))


def test_other_bytes_are_blocked(folder):
    with World(folder, names=NAMES, **ENTRIES) as world:
        for port in (22, 80, 443):
            world.expect_refused(b"SSH-2.0-x\r\n", port=port)
            world.expect(tcp_line(flags="UH", dst=f"{DIALLED}:{port}"))


def test_ipv6(folder):
    names = {**NAMES, "six.example": "2001:db8::6"}
    with World(folder, names=names, six=service_entry("six.example"), **ENTRIES) as world, HttpOrigin() as origin:
        answer = world.ask(get(host="six.example"), "2001:db8::9")
        equal("at", origin.requests[0].address, "2001:db8::6")
        world.expect(http_line("GET / HTTP/1.1", "six.example", tx=len(answer.body), upstream="[2001:db8::6]:80",
                               cluster="outbound|80||six.example", dst="[2001:db8::9]:80", route="default"))
        equal("blocked", world.ask(get(host="no.example"), "2001:db8::9").headers, BLOCKED)
        world.expect(blocked_line("GET / HTTP/1.1", "no.example", dst="[2001:db8::9]:80"))


def test_a_server_that_speaks_first(folder):
    def greet(sock):
        sock.sendall(b"220 hello\r\n")
        sock.recv(10)

    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world:
        for port in (25, 80, 443):
            with Origin(port, greet), connect(DIALLED, port) as sock:
                equal("greeting", sock.recv(100), b"220 hello\r\n")
                sock.sendall(b"QUIT")
            world.expect(tcp_line(rx=4, tx=11, upstream=f"{DIALLED}:{port}", cluster="PassthroughCluster", local="LOCAL",
                                  dst=f"{DIALLED}:{port}"))
        world.set_mesh("REGISTRY_ONLY")
        world.until("blocked", lambda: world.ask(get(host="no.example")).status == 502)
        for port in (25, 80, 443):
            with connect(DIALLED, port) as sock:
                try:
                    equal("blocked", sock.recv(100), b"")
                except ConnectionResetError:
                    pass
            world.expect(tcp_line(flags="UH", dst=f"{DIALLED}:{port}"))


# --- TCP entries

def test_tcp_by_its_own_addresses(folder):
    entries = {name: service_entry(f"{name}.internal", 5432, "TCP", "NONE", f"  addresses: [{address}]\n")
               for name, address in (("one", "10.5.0.1"), ("many", "10.5.1.0/24"))}
    with World(folder, **entries) as world, Origin(5432, echo_upper):
        for address, name in (("10.5.0.1", "one"), ("10.5.1.7", "many")):
            equal(address, world.send(b"abc", address, 5432), b"ABC")
            world.expect(tcp_line(rx=3, tx=3, upstream=f"{address}:5432", cluster=f"outbound|5432||{name}.internal",
                                  local="LOCAL", dst=f"{address}:5432"))
        for address, port in (("10.5.0.2", 5432), ("10.5.2.1", 5432), ("10.5.0.1", 5433)):
            relay.expect_reset(address, port)
            world.expect(tcp_line(flags="UH", dst=f"{address}:{port}"))


def test_tcp_by_what_its_name_resolves_to(folder):
    """Several share a port, also with TLS, and none of them takes what is not its own."""
    names = {"db.example": "10.5.0.1 10.5.0.2", "queue.example": "10.5.0.3", **NAMES}
    entries = {"db": service_entry("db.example", 443, "TCP"), "queue": service_entry("queue.example", 443, "TCP"), **ENTRIES}
    with World(folder, names=names, **entries) as world:
        wait_for("answers", lambda: world.server.count("db.example") > 1 and world.server.count("queue.example") > 1)
        with Origin(443, echo_upper):
            for address, name in (("10.5.0.2", "db"), ("10.5.0.3", "queue"), ("10.5.0.1", "db")):
                equal(address, world.send(b"abc", address, 443), b"ABC")
                line = world.columns()
                equal("line", line.group("cluster", "dst", "sni"), (f"outbound|443||{name}.example", f"{address}:443", "-"))
            relay.expect_reset("10.5.0.4", 443)
            world.expect(tcp_line(flags="UH", dst="10.5.0.4:443"))
        with TlsOrigin(folder, "www.google.com") as tls:
            equal("TLS beside it", world.curl("--cacert", tls.certificate, "https://www.google.com/", port=443).exit, 0)
            equal("cluster", world.columns()["cluster"], "outbound|443||www.google.com")
        equal("TLS of nobody's", world.curl("-k", "https://unknown.example/", port=443).exit, 35)
        world.expect(tcp_line(flags="UH", sni="unknown.example"))


def test_a_port_without_a_protocol(folder):
    """Is HTTP where the bytes are, and else belongs to its addresses."""
    def entry(host, port, more):
        return service_entry(host, port, "TCP", more=more).replace(", protocol: TCP", "").replace("DNS", "NONE" if more else "DNS")
    entries = {"own": entry("own.example", 9000, "  addresses: [10.5.0.1]\n"), "dns": entry("dns.example", 9001, "")}
    with World(folder, names={"dns.example": "10.5.0.2"}, **entries) as world:
        wait_for("an answer", lambda: world.server.count("dns.example") > 1)
        for address, port, host in (("10.5.0.1", 9000, "own.example"), ("10.5.0.2", 9001, "dns.example")):
            columns = {"upstream": f"{address}:{port}", "cluster": f"outbound|{port}||{host}", "dst": f"{address}:{port}"}
            with HttpOrigin(port) as origin:
                answer = world.ask(get("/p", host), address, port)
                equal("decided as a request", origin.requests[0].value("x-envoy-decorator-operation"), f"{host}:{port}/*")
                world.expect(http_line("GET /p HTTP/1.1", host, tx=len(answer.body), route="default", **columns))
            with Origin(port, echo_upper):
                equal("bytes", world.send(b"\0abc", address, port), b"\0ABC")
                world.expect(tcp_line(rx=4, tx=4, local="LOCAL", **columns))
                hello = hello_with_ech("unknown.example")
                equal("TLS", world.send(hello, address, port), hello.upper())
                world.expect(tcp_line(rx=len(hello), tx=len(hello), termination="ech", sni="unknown.example", local="LOCAL",
                                      **columns))
            with Origin(port, lambda sock: sock.sendall(b"hello")), connect(address, port) as sock:
                equal("a server that speaks first", receive_all(sock), b"hello")
            world.expect(tcp_line(tx=5, local="LOCAL", **columns))
            relay.expect_reset("10.5.0.9", port)
            world.expect(tcp_line(flags="UH", dst=f"10.5.0.9:{port}"))


# --- resolutions, wildcards, ports

def test_wildcards(folder):
    entries = {"any": service_entry("*.wild.example", resolution="NONE"), "exact": service_entry("a.wild.example"),
               "tls": service_entry("*.wild.example", 443, "TLS", "NONE", name="tls")}
    with World(folder, names={"a.wild.example": HTTPBIN}, **entries) as world, HttpOrigin() as origin:
        for host, at, cluster in (("b.wild.example", DIALLED, "*.wild.example"), ("x.y.wild.example", DIALLED, "*.wild.example"),
                                  ("a.wild.example", HTTPBIN, "a.wild.example")):
            answer = world.ask(get("/", host))
            equal(host, (answer.status, origin.requests.pop().address), (200, at))
            equal("line", world.columns().group("cluster", "upstream", "authority"),
                  (f"outbound|80||{cluster}", f"{at}:80", host))
        for host in ("wild.example", "notwild.example"):
            equal(host, world.ask(get("/", host)).status, 502)
            world.expect(blocked_line("GET / HTTP/1.1", host))
        with TlsOrigin(folder, "c.wild.example") as tls:
            equal("TLS", world.curl("--cacert", tls.certificate, "https://c.wild.example/", port=443).exit, 0)
            equal("line", world.columns().group("cluster", "upstream", "sni"),
                  ("outbound|443||*.wild.example", f"{DIALLED}:443", "c.wild.example"))


def test_static_endpoints_and_target_ports(folder):
    entries = {"static": service_entry("static.example", resolution="STATIC",
                                       more="  endpoints: [{address: 10.6.0.1, ports: {http: 8080}}]\n"),
               "target": service_entry("target.example").replace("number: 80,", "number: 80, targetPort: 8080,"),
               "alias": service_entry("alias.example", more="  endpoints: [{address: httpbin.org}]\n")}
    with World(folder, names={**NAMES, "target.example": "10.6.0.2"}, **entries) as world, \
            HttpOrigin(8080) as other, HttpOrigin() as origin:
        for host, upstream, server in (("static.example", "10.6.0.1:8080", other), ("target.example", "10.6.0.2:8080", other),
                                       ("alias.example", f"{HTTPBIN}:80", origin)):
            answer = world.ask(get("/", host))
            equal(host, (answer.status, server.requests.pop().value("x-envoy-decorator-operation")), (200, f"{host}:80/*"))
            equal("line", world.columns().group("cluster", "upstream"), (f"outbound|80||{host}", upstream))


def test_addresses_of_tls_entries_without_resolution(folder):
    """The client chose the address: that it is the name's is told, enforced, or nobody's business."""
    entry = service_entry("none.example", 443, "TLS", "NONE")
    hello = hello_with_ech("none.example")
    for verify, mismatch in (("log", "ech,address_mismatch"), ("enforce", "address_mismatch,ech"), ("off", "ech")):
        with World(make_folder(folder, verify), names={"none.example": "10.6.0.1"}, mesh=f"weir: {{verifyDestination: {verify}}}",
                   none=entry) as world, Origin(443, echo_upper):
            wait_for("its own", lambda: world.send(hello, "10.6.0.1", 443) == hello.upper())
            world.settle()
            passed_on = {"rx": len(hello), "tx": len(hello), "upstream": f"{DIALLED}:443", "local": "LOCAL"}
            if verify == "enforce":
                world.expect_refused(hello, port=443)
                passed_on = {"flags": "UH"}
            else:
                equal("another", world.send(hello, port=443), hello.upper())
            world.expect(tcp_line(termination=mismatch, cluster="outbound|443||none.example", sni="none.example", **passed_on))


def test_addresses_of_http_entries_without_resolution(folder):
    for verify in ("log", "enforce", "off"):
        with World(make_folder(folder, verify), names={"none.example": "10.6.0.1"}, mesh=f"weir: {{verifyDestination: {verify}}}",
                   any=service_entry("*.example", resolution="NONE")) as world, HttpOrigin() as origin:
            answer = world.ask(get("/", "None.example.:80"), "10.6.0.1")
            equal("its own", answer.status, 200)
            world.settle()
            # Its name is known now, also where nobody has waited for that.
            wait_for("the answer", lambda: verify == "off" or world.server.count("none.example") > 1)
            columns = {"cluster": "outbound|80||*.example", "route": "default"}
            answer = world.ask(get("/", "none.example"))
            if verify == "enforce":
                equal("another", (answer.status, answer.body, len(origin.requests)), (503, b"no healthy upstream", 1))
                world.expect(http_line("GET / HTTP/1.1", "none.example", status=503, flags="UH", details="no_healthy_upstream",
                                       termination="address_mismatch", tx=19, service="-", local="-", **columns))
                equal("no address", world.ask(get("/", "gone.example")).status, 503)
            else:
                equal("another", answer.status, 200)
                world.expect(http_line("GET / HTTP/1.1", "none.example", tx=len(answer.body), upstream=f"{DIALLED}:80",
                                       termination="address_mismatch" if verify == "log" else "-", **columns))


def test_names_without_an_answer(folder):
    with World(folder, names={}, gone=service_entry("gone.example")) as world:
        world.server.names["gone.example"] = Name(rcode=NXDOMAIN)
        answer = world.ask(get("/", "gone.example"))
        equal("answer", (answer.headers, answer.body), ([
            "HTTP/1.1 503 Service Unavailable", "content-length: 19", "content-type: text/plain", "date: DATE", "server: envoy"],
            b"no healthy upstream"))
        world.expect(http_line("GET / HTTP/1.1", "gone.example", status=503, flags="UH", details="no_healthy_upstream", tx=19,
                               service="-", cluster="outbound|80||gone.example", local="-", route="default"))


def test_a_name_that_fails_keeps_its_last_addresses(folder):
    for rcode in (NXDOMAIN, SERVFAIL):
        names = {**NAMES, "httpbin.org": Name(HTTPBIN, ttl=1)}
        with World(make_folder(folder, str(rcode)), names=names, httpbin=ENTRIES["httpbin"]) as world, HttpOrigin():
            equal("before", world.ask(get()).status, 200)
            world.server.names["httpbin.org"] = Name(rcode=rcode)
            asked = world.server.count("httpbin.org")
            wait_for("another question", lambda: world.server.count("httpbin.org") > asked + 2)
            equal("after", world.ask(get()).status, 200)
            world.lines(2)


# --- from the log to the policy

def test_audit_lets_pass_and_says_what_it_would_not(folder):
    names = {**NAMES, "unknown.example": DIALLED}
    with World(folder, "AUDIT", names, **ENTRIES) as world, HttpOrigin() as origin:
        answer = world.ask(get("/p", "unknown.example"))
        equal("answer", answer.status, 200)
        line = world.columns()
        equal("line", line.group("status", "cluster", "route", "termination"), ("200", "PassthroughCluster", "allow_any",
                                                                                "would_block"))
        equal("suggestion", json.loads(line["entry"])["spec"]["hosts"], ["unknown.example"])
        # What REGISTRY_ONLY lets pass has nothing more to say.
        answer = world.ask(get())
        world.expect(registered("GET / HTTP/1.1", tx=len(answer.body)))
        with TlsOrigin(folder, "unknown.example") as tls:
            equal("TLS", world.curl("--cacert", tls.certificate, "https://unknown.example/", port=443).exit, 0)
        tls_line = world.columns()
        equal("line", tls_line.group("cluster", "sni", "termination"), ("PassthroughCluster", "unknown.example", "would_block"))
        with Origin(9000, echo_upper):
            equal("TCP", world.send(b"abc", port=9000), b"ABC")
        tcp = world.columns()
        equal("line", tcp.group("cluster", "termination"), ("PassthroughCluster", "would_block"))

        # Written into the directory as they are, they let through under REGISTRY_ONLY what they were told for.
        world.set_mesh("REGISTRY_ONLY")
        world.until("blocked", lambda: world.ask(get("/p", "unknown.example")).status == 502)
        for name, text in (("a", line["entry"]), ("b", tls_line["entry"]), ("c", tcp["entry"])):
            world.write(f"{name}.json", text)
        world.until("let through", lambda: world.ask(get("/p", "unknown.example")).status == 200)
        equal("decorator", origin.requests[-1].value("x-envoy-decorator-operation"), "unknown.example:80/*")
        with TlsOrigin(folder, "unknown.example") as tls:
            equal("TLS", world.curl("--cacert", tls.certificate, "https://unknown.example/", port=443).exit, 0)
        with Origin(9000, echo_upper):
            equal("TCP", world.send(b"abc", port=9000), b"ABC")


def test_json_lines_carry_the_entry_of_what_was_blocked(folder):
    names = {**NAMES, "unknown.example": DIALLED}
    with World(folder, names=names, mesh="accessLogEncoding: JSON", **ENTRIES) as world, HttpOrigin():
        equal("blocked", world.ask(get("/a\"b", "unknown.example")).status, 502)
        wait_for("a line", world.raw_lines)
        line = json.loads(world.raw_lines()[0])
        equal("line", {name: line[name] for name in ("response_code", "route_name", "authority", "upstream_cluster",
                                                     "response_flags", "bytes_sent", "upstream_service_time", "method")},
              {"response_code": 502, "route_name": "block_all", "authority": "unknown.example", "upstream_cluster": None,
               "response_flags": "-", "bytes_sent": 0, "upstream_service_time": None, "method": "GET"})
        entry = line["service_entry"]
        world.write("suggested.json", entry if isinstance(entry, str) else json.dumps(entry))
        wait_for("let through", lambda: world.ask(get("/", "unknown.example")).status == 200)


# --- trouble upstream

def expect_trouble(world, body, line, data=None, status="503 Service Unavailable"):
    answer = world.ask(data or get())
    equal("answer", (answer.headers, answer.body.decode()), ([
        f"HTTP/1.1 {status}", f"content-length: {len(body)}", "content-type: text/plain", "date: DATE", "server: envoy"], body))
    world.expect(line(tx=len(body), service="-"))


def test_nobody_listens(folder):
    refused = "delayed_connect_error:_Connection_refused"
    text = "remote connection failure, transport failure reason: delayed connect error: Connection refused"
    columns = {"status": 503, "details": f"upstream_reset_before_response_started{{remote_connection_failure|{refused}}}",
               "failure": refused, "local": "-"}
    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world:
        expect_trouble(world, f"{LOCAL_503}retried and the latest reset reason: {text}",
                       lambda **more: registered("GET / HTTP/1.1", flags="URX,UF", **columns, **more))
        expect_trouble(world, f"{LOCAL_503}reset reason: {text}",
                       lambda **more: passed("GET / HTTP/1.1", "no.example", flags="UF", **columns, **more), get(host="no.example"))
        relay.expect_reset(DIALLED, 9)
        world.expect(tcp_line(flags="UF,URX", failure=refused, upstream=f"{DIALLED}:9", cluster="PassthroughCluster",
                              dst=f"{DIALLED}:9"))


def test_an_origin_that_fails(folder):
    def line(status, flags, details):
        return lambda **more: registered("GET / HTTP/1.1", status=status, flags=flags, details=details, **more)
    with World(folder, names=NAMES, **ENTRIES) as world:
        with HttpOrigin(80, lambda request: None):
            expect_trouble(world, f"{LOCAL_503}reset reason: connection termination",
                           line(503, "UC", "upstream_reset_before_response_started{connection_termination}"))
        with HttpOrigin(80, lambda request: b"220 smtp.example ESMTP\r\n"):
            expect_trouble(world, f"{LOCAL_503}reset reason: protocol error",
                           line(502, "UPE", "upstream_reset_before_response_started{protocol_error}"), status="502 Bad Gateway")
        with HttpOrigin(80, lambda request: lambda sock: sock.sendall(response(b"x" * 100)[:-50])):
            answer = world.ask(get())
            equal("cut", (answer.status, answer.body), (200, b"x" * 50))
            world.expect(registered("GET / HTTP/1.1", flags="UPE", tx=50,
                                    details="upstream_reset_after_response_started{protocol_error}"))


def test_a_client_that_leaves(folder):
    with World(folder, names=NAMES, **ENTRIES) as world, HttpOrigin(80, lambda request: never) as origin:
        sock = connect(DIALLED, 80)
        sock.sendall(get())
        wait_for("the request", lambda: origin.requests)
        reset(sock)
        world.expect(registered("GET / HTTP/1.1", status=0, flags="DC", details="downstream_remote_disconnect", service="-"))


def test_policies_change_under_connections(folder):
    """A keep-alive client is decided anew at each request; passed-through flows that are no longer allowed end."""
    with World(folder, "ALLOW_ANY", NAMES, **ENTRIES) as world, HttpOrigin(), Origin(9000, echo_upper):
        with connect(DIALLED, 80) as sock, connect(DIALLED, 9000) as flow:
            flow.sendall(b"x")
            sock.sendall(get(host="unknown.example"))
            equal("before", b"200 OK" in sock.recv(4096), True)
            world.set_mesh("REGISTRY_ONLY")
            wait_for("blocked", lambda: (sock.sendall(get(host="unknown.example")), b" 502 " in sock.recv(4096))[1])
            try:
                equal("the flow", flow.recv(1), b"")
            except ConnectionResetError:
                pass


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
