#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the proxy says of itself under a policy: metrics of requests and connections with Istio's names and labels, and the
admin socket's view of the configuration. TAP on stdout.
"""
import json
import re
import sys

import relay
from nameserver import SERVFAIL, Name
from policy import ENTRIES, GOOGLE, HTTPBIN, NAMES, get, hello_with_ech
from policy_world import DIALLED, HttpOrigin, World, make_folder, response, service_entry
from relay import Origin, connect, echo_upper, equal, receive_all, wait_for
from reload import Watched

SERIES = re.compile(r'(\w+)\{([^}]*)\} (\S+)')


def fetch(path, port=15090):
    with connect("127.0.0.1", port) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = receive_all(sock).partition(b"\r\n\r\n")
    equal("status", head.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
    return body.decode()


def metrics():
    """By name and labels, these as a dictionary's items."""
    found = {}
    for name, labels, value in SERIES.findall(fetch("/stats/prometheus")):
        found[name, tuple(re.findall(r'(\w+)="([^"]*)"', labels))] = float(value)
    return found


def series(name, service, cluster, protocol, flags="-", code=None, le=None):
    """Labels in Istio's order."""
    labels = [("reporter", "source"), ("destination_service", service), ("destination_service_name", cluster),
              ("request_protocol", protocol), *([("response_code", code)] if code else []), ("response_flags", flags),
              ("connection_security_policy", "unknown"), *([("le", le)] if le else [])]
    return name, tuple(labels)


def test_metrics_of_requests(folder):
    with World(folder, names=NAMES, **ENTRIES) as world:
        with HttpOrigin(80, lambda _: response(b"four", "200 OK", "Connection: close")):
            for _ in range(3):
                world.ask(get("/", more="Content-Length: 3\r\n", method="POST") + b"abc")
        world.ask(get())
        for host in ("no.example", "NO.example:80", "no.example."):
            world.ask(get("/", host))
        world.set_mesh("ALLOW_ANY")
        with HttpOrigin(80, lambda _: response(b"passed", "404 Not Found")):
            world.until("allowed", lambda: world.ask(get("/", "mark.example")).status == 404)
            world.ask(get("/", "any.example"))
        found = metrics()
        ok = ("httpbin.org", "httpbin.org", "http", "-", "200")
        failed = ("httpbin.org", "httpbin.org", "http", "URX,UF", "503")
        blocked = ("no.example", "BlackHoleCluster", "http", "-", "502")
        passed = ("any.example", "PassthroughCluster", "http", "-", "404")
        for labels, count, received, sent in ((ok, 3, 9, 12), (failed, 1, 0, None), (blocked, 3, 0, 0), (passed, 1, 0, 6)):
            equal(f"requests {labels}", found[series("istio_requests_total", *labels)], count)
            for name, total in (("istio_request_bytes", received), ("istio_response_bytes", sent)):
                equal(f"{name} {labels}", found[series(f"{name}_count", *labels)], count)
                if total is not None:
                    equal(f"{name} {labels}", found[series(f"{name}_sum", *labels)], total)
            name = "istio_request_duration_milliseconds"
            buckets = [value for (metric, names), value in found.items()
                       if metric == f"{name}_bucket" and names[:-1] == series(name, *labels)[1]]
            equal(f"buckets {labels}", (len(buckets) > 10, buckets == sorted(buckets), buckets[-1]), (True, True, count))


def test_metrics_of_connections(folder):
    tcp = service_entry("db.internal", 5432, "TCP", "NONE", "  addresses: [10.5.0.1]\n")
    with World(folder, names=NAMES, tcp=tcp, **ENTRIES) as world:
        hello = hello_with_ech("www.google.com")
        with Origin(443, echo_upper), Origin(5432, echo_upper):
            world.send(hello, port=443)
            world.send(b"\0abc", "10.5.0.1", 5432)
        world.expect_refused(hello_with_ech("no.example"), port=443)
        world.expect_refused(b"\0abc", port=9)
        world.lines(4)
        found = metrics()
        for service, cluster, flags, size in (
                ("www.google.com", "www.google.com", "-", len(hello)), ("db.internal", "db.internal", "-", 4),
                ("no.example", "BlackHoleCluster", "UH", 0), ("unknown", "BlackHoleCluster", "UH", 0)):
            labels = (service, cluster, "tcp")
            equal(f"opened {labels}", found[series("istio_tcp_connections_opened_total", *labels)], 1)
            equal(f"closed {labels}", found[series("istio_tcp_connections_closed_total", *labels, flags)], 1)
            for name in ("istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total"):
                equal(f"{name} {labels}", found[series(name, *labels)], size)


def ask_admin(world, method, path):
    result = world.run("curl", "-sS", "-i", "-X", method, "--unix-socket", f"{world.folder}/sock/admin", f"http://admin{path}",
                       capture_output=True)
    head, _, body = result.stdout.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


def watched(folder, **more):
    make_folder(folder, "sock")
    return Watched(folder, arguments=("--admin-socket", f"{folder}/sock/admin"), **more)


def test_the_configuration_as_it_is(folder):
    names = {"good.example": HTTPBIN, "two.example": f"{GOOGLE} 2001:db8::7", "bad.example": Name(rcode=SERVFAIL)}
    entries = {name: service_entry(f"{name}.example") for name in ("good", "two", "bad")}
    entries["fixed"] = service_entry("fixed.example", 443, "TLS", "STATIC", "  endpoints: [{address: 10.4.4.4}]\n")
    entries["none"] = service_entry("*.none.example", 443, "TLS", "NONE")
    with watched(folder, names=names, **entries) as world:
        wait_for("answers", lambda: all(world.server.count(name) > 1 for name in names))
        wait_for("what is known of them", lambda: "not answered yet" not in ask_admin(world, "GET", "/clusters")[1])
        lines = ask_admin(world, "GET", "/clusters")[1].splitlines()
        equal("clusters", [line for line in sorted(lines) if "bad" not in line], sorted([
            f"outbound|80||good.example::{HTTPBIN}:80::good.example", f"outbound|80||two.example::{GOOGLE}:80::two.example",
            "outbound|80||two.example::[2001:db8::7]:80::two.example", "outbound|443||fixed.example::10.4.4.4:443",
            "outbound|443||*.none.example::as dialled"]))
        failing = [line for line in lines if line.startswith("outbound|80||bad.example::-::bad.example: ")]
        equal("and one that fails", len(failing), 1)
        status, body = ask_admin(world, "GET", "/config_dump")
        dump = json.loads(body)
        equal("dump", (status, dump["version"], dump["mesh"]["outboundTrafficPolicy"], len(dump["clusters"])),
              (200, 1, {"mode": "REGISTRY_ONLY"}, 5))
        refused = dump["refused"]
        world.set_mesh("AUDIT", "connectTimeout: 1.5s")
        world.apply("broken", service_entry("x.example").replace("DNS", "MAGIC"))
        world.hear(r"broken\.yaml.*MAGIC")
        wait_for("the new one", lambda: json.loads(ask_admin(world, "GET", "/config_dump")[1])["refused"] == refused + 1)
        dump = json.loads(ask_admin(world, "GET", "/config_dump")[1])
        equal("reloaded", (dump["version"] > 1, dump["mesh"]["outboundTrafficPolicy"]["mode"], dump["mesh"]["connectTimeout"]),
              (True, "AUDIT", "1.500000000s"))


def test_how_much_is_said_can_be_changed(folder):
    with watched(folder) as world:
        def change(number):
            world.apply("more", service_entry(f"m{number}.example"))
            wait_for("it is in force", lambda: json.loads(ask_admin(world, "GET", "/config_dump")[1])["version"] == number)
        change(2)
        world.hear("configuration 2 is in force")
        equal("off", ask_admin(world, "POST", "/logging?level=off"), (200, "OK\n"))
        change(3)
        equal("on", ask_admin(world, "POST", "/logging?level=info"), (200, "OK\n"))
        change(4)
        world.hear("configuration 4 is in force")
        equal("nothing of 3", [line for line in world.told if "configuration 3" in line], [])
        equal("another level", ask_admin(world, "POST", "/logging?level=loud")[0], 400)
        for method, path, status in (("GET", "/logging", 405), ("POST", "/clusters", 405), ("GET", "/quitquitquit", 405),
                                     ("GET", "/none", 404)):
            equal(f"{method} {path}", ask_admin(world, method, path)[0], status)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
