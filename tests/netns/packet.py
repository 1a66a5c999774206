#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Where packets really go: every class of destination, port, family, user and group, by configuration.

    pod namespace                                outside namespace
    probes (forked, as user and group)           one listener behind a redirection of all ports:
    listeners: 15001, 15101 (the proxy's),       whatever is dialled is answered, and SO_ORIGINAL_DST
    8080 (the application's own)                  tells what it was
    eth0 10.77.0.2 fd77::2  -------------- veth0 10.77.0.1 fd77::1
    net1 10.78.0.2          -------------- veth1 10.78.0.1, to 192.0.2.0/24

The rules are programmed by the real weir-init. A probe connects; the listener that accepts says who it is, and what
original destination it sees. TAP on stdout, one test a configuration.
"""
import os
import select
import socket
import struct
import sys

import harness
from harness import BUILD, enter, run

POD, OUTSIDE = harness.namespace_name("packet-pod"), harness.namespace_name("packet-out")
ORIGINAL_DST = 80
DEADLINE = 10.0

APP, PROXY, ROOT = (1000, 1000), (1337, 1337), (0, 0)


def in_namespace(name, *command, **options):
    return run(*harness.inside(name, *command), **options)


def connect_namespaces():
    for name in (POD, OUTSIDE):
        run("ip", "-n", name, "link", "set", "lo", "up")
    for inner, outer, net in (("eth0", "veth0", 77), ("net1", "veth1", 78)):
        run("ip", "-n", POD, "link", "add", inner, "type", "veth", "peer", "name", outer, "netns", OUTSIDE)
        for name, link, host in ((POD, inner, 2), (OUTSIDE, outer, 1)):
            run("ip", "-n", name, "link", "set", link, "up")
            run("ip", "-n", name, "address", "add", f"10.{net}.0.{host}/24", "dev", link)
            run("ip", "-n", name, "address", "add", f"fd{net}::{host}/64", "dev", link, "nodad")
    run("ip", "-n", POD, "route", "add", "default", "via", "10.77.0.1")
    run("ip", "-n", POD, "route", "add", "192.0.2.0/24", "via", "10.78.0.1")
    run("ip", "-n", POD, "-6", "route", "add", "default", "via", "fd77::1")
    for net in ("10.0.0.0/8", "192.0.0.0/4", "172.16.0.0/12"):
        run("ip", "-n", OUTSIDE, "route", "add", "local", net, "dev", "lo")
    run("ip", "-n", OUTSIDE, "-6", "route", "add", "local", "2001:db8::/32", "dev", "lo")
    in_namespace(OUTSIDE, "nft", "-f", "-", input="""
        table inet everything {
            chain in {
                type nat hook prerouting priority -100;
                meta l4proto tcp redirect to :9999
                meta l4proto udp redirect to :9999
            }
        }""")


def listen(family, port, kind=socket.SOCK_STREAM):
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    sock.setblocking(False)
    return sock


def open_listeners():
    listeners = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        enter(OUTSIDE)
        listeners[listen(family, 9999)] = "direct"
        listeners[listen(family, 9999, socket.SOCK_DGRAM)] = "direct"
        enter(POD)
        listeners[listen(family, 15001)] = "proxy"
        listeners[listen(family, 15001, socket.SOCK_DGRAM)] = "proxy"
        listeners[listen(family, 15101)] = "proxy:15101"
        listeners[listen(family, 8080)] = "local"
    return listeners


def original_destination(sock):
    if sock.family == socket.AF_INET:
        port, address = struct.unpack("!2xH4s8x", sock.getsockopt(socket.SOL_IP, ORIGINAL_DST, 16))
        return socket.inet_ntop(socket.AF_INET, address), port
    port, address = struct.unpack("!2xH4x16s4x", sock.getsockopt(socket.IPPROTO_IPV6, ORIGINAL_DST, 28))
    return socket.inet_ntop(socket.AF_INET6, address), port


def start_probe(address, port, identity, kind):
    """A child of its own, for a change of user cannot be taken back. It waits to be ended."""
    child = os.fork()
    if child != 0:
        return child
    try:
        os.setgroups([])
        os.setresgid(identity[1], identity[1], identity[1])
        os.setresuid(identity[0], identity[0], identity[0])
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.settimeout(DEADLINE)
        sock.connect((address, port))
        sock.send(b"x")
        sock.recv(1)
        os._exit(0)
    except OSError as error:
        os._exit(error.errno or 255)


def probe(listeners, address, port, identity, kind=socket.SOCK_STREAM):
    """Who accepts a connection, or 'nobody'."""
    child = start_probe(address, port, identity, kind)
    try:
        ready, _, _ = select.select(list(listeners), [], [], DEADLINE)
        if not ready:
            return "nobody"
        who = listeners[ready[0]]
        if kind == socket.SOCK_DGRAM:
            _, peer = ready[0].recvfrom(1)
            ready[0].sendto(b"y", peer)
            return who
        sock, _ = ready[0].accept()
        with sock:
            seen = original_destination(sock) if who != "local" else (address, port)
            sock.send(b"y")
        if seen != (address, port):
            return f"{who}, but as {seen[0]}:{seen[1]}"
        return who
    finally:
        os.waitpid(child, 0)


# Each row: a title, weir-init's arguments, and probes (address, port, identity, who answers).
ALL = ["-i", "*"]
CONFIGURATIONS = [
    ("everything is captured, in both families", ALL, [
        ("10.1.2.3", 80, APP, "proxy"), ("10.1.2.3", 65535, APP, "proxy"), ("2001:db8::1", 443, APP, "proxy"),
        ("10.1.2.3", 80, ROOT, "proxy"), ("2001:db8::1", 80, ROOT, "proxy"), ("192.0.2.1", 80, APP, "proxy"),
        ("10.77.0.1", 22, APP, "proxy"), ("10.1.2.3", 15001, APP, "proxy"), ("10.1.2.3", 15008, APP, "proxy")]),
    ("nothing is captured where nothing is included", ["-i", ""], [
        ("10.1.2.3", 80, APP, "direct"), ("2001:db8::1", 80, APP, "direct")]),
    ("the proxy's own connections pass, by user, by group, by both", ALL, [
        ("10.1.2.3", 80, PROXY, "direct"), ("10.1.2.3", 80, (1337, 0), "direct"),
        ("10.1.2.3", 80, (0, 1337), "direct"), ("10.1.2.3", 80, (1000, 1337), "direct"),
        ("2001:db8::1", 80, PROXY, "direct"), ("10.1.2.3", 80, (1336, 1338), "proxy")]),
    ("lists and ranges of users and groups", ALL + ["-u", "3,4,100-102", "-g", "7,200:201"], [
        ("10.1.2.3", 80, (3, 0), "direct"), ("10.1.2.3", 80, (4, 0), "direct"), ("10.1.2.3", 80, (100, 0), "direct"),
        ("10.1.2.3", 80, (102, 0), "direct"), ("10.1.2.3", 80, (103, 0), "proxy"), ("10.1.2.3", 80, (99, 0), "proxy"),
        ("10.1.2.3", 80, (0, 7), "direct"), ("10.1.2.3", 80, (0, 201), "direct"), ("10.1.2.3", 80, (0, 202), "proxy"),
        ("2001:db8::1", 80, (4, 0), "direct"), ("10.1.2.3", 80, PROXY, "proxy")]),
    ("the groups are those of the users where none are given", ALL + ["-u", "5"], [
        ("10.1.2.3", 80, (0, 5), "direct"), ("10.1.2.3", 80, (0, 1337), "proxy")]),
    ("what stays in the pod stays", ALL, [
        ("127.0.0.1", 8080, APP, "local"), ("127.9.9.9", 8080, APP, "local"), ("::1", 8080, APP, "local"),
        ("10.77.0.2", 8080, APP, "local"), ("fd77::2", 8080, APP, "local"), ("10.77.0.2", 8080, PROXY, "local")]),
    ("only included ranges, to their edges", ["-i", "10.1.0.9/24,2001:db8:1::/48,10.2.0.1"], [
        ("10.1.0.0", 80, APP, "proxy"), ("10.1.0.255", 80, APP, "proxy"), ("10.1.1.0", 80, APP, "direct"),
        ("10.0.255.255", 80, APP, "direct"), ("10.2.0.1", 80, APP, "proxy"), ("10.2.0.2", 80, APP, "direct"),
        ("2001:db8:1::", 80, APP, "proxy"), ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", 80, APP, "proxy"),
        ("2001:db8:2::", 80, APP, "direct"), ("2001:db8:0:ffff::", 80, APP, "direct")]),
    ("0.0.0.0/0 is one family", ["-i", "0.0.0.0/0"], [
        ("10.1.2.3", 80, APP, "proxy"), ("2001:db8::1", 80, APP, "direct")]),
    ("::/0 is the other", ["-i", "::/0"], [
        ("10.1.2.3", 80, APP, "direct"), ("2001:db8::1", 80, APP, "proxy")]),
    ("overlaps and duplicates", ["-i", "10.1.0.0/16,10.1.5.0/24,10.1.0.0/16,10.2.0.0/16,10.0.0.0/15"], [
        ("10.0.0.1", 80, APP, "proxy"), ("10.1.5.1", 80, APP, "proxy"), ("10.2.255.255", 80, APP, "proxy"),
        ("10.3.0.0", 80, APP, "direct")]),
    ("excluded ranges win over included ones", ["-i", "10.1.0.0/16,2001:db8::/32", "-x", "10.1.2.0/24,2001:db8:1::/48"], [
        ("10.1.1.255", 80, APP, "proxy"), ("10.1.2.0", 80, APP, "direct"), ("10.1.2.255", 80, APP, "direct"),
        ("10.1.3.0", 80, APP, "proxy"), ("2001:db8:1::1", 80, APP, "direct"), ("2001:db8:2::1", 80, APP, "proxy")]),
    ("excluded ranges win over everything", ALL + ["-x", "10.1.2.0/24"], [
        ("10.1.2.3", 80, APP, "direct"), ("10.1.3.3", 80, APP, "proxy"), ("2001:db8::1", 80, APP, "proxy")]),
    ("excluded ports, alone and in ranges", ALL + ["-o", "5432,6000-6010"], [
        ("10.1.2.3", 5432, APP, "direct"), ("10.1.2.3", 6000, APP, "direct"), ("10.1.2.3", 6010, APP, "direct"),
        ("10.1.2.3", 6011, APP, "proxy"), ("10.1.2.3", 5999, APP, "proxy"), ("2001:db8::1", 5432, APP, "direct")]),
    ("included ports beat ranges, and lose to excluded ranges",
        ["-i", "10.1.0.0/16", "-q", "443,8000-8010", "-x", "10.3.0.0/16"], [
        ("10.2.0.1", 443, APP, "proxy"), ("10.2.0.1", 8005, APP, "proxy"), ("10.2.0.1", 80, APP, "direct"),
        ("10.1.0.1", 80, APP, "proxy"), ("10.3.0.1", 443, APP, "direct"), ("2001:db8::1", 443, APP, "proxy")]),
    ("excluded ports win over included ones", ["-q", "443", "-o", "443"], [("10.2.0.1", 443, APP, "direct")]),
    ("an excluded interface by name", ALL + ["-c", "net1"], [
        ("192.0.2.1", 80, APP, "direct"), ("10.1.2.3", 80, APP, "proxy")]),
    ("excluded interfaces by pattern", ALL + ["-c", "ne+,1abc"], [
        ("192.0.2.1", 80, APP, "direct"), ("10.1.2.3", 80, APP, "proxy")]),
    ("an included loopback range is captured, the loopback address is not", ["-i", "127.1.2.3/32,10.77.0.2"], [
        ("127.1.2.3", 8080, APP, "proxy"), ("127.0.0.1", 8080, APP, "local"), ("::1", 8080, APP, "local"),
        ("127.1.2.3", 8080, PROXY, "local"), ("10.77.0.2", 8080, APP, "proxy"), ("10.1.2.3", 80, APP, "direct")]),
    ("another port of the proxy's", ALL + ["-p", "15101"], [
        ("10.1.2.3", 80, APP, "proxy:15101"), ("2001:db8::1", 80, APP, "proxy:15101")]),
    ("interception NONE leaves everything alone", ALL + ["-m", "NONE"], [("10.1.2.3", 80, APP, "direct")]),
]


def apply(arguments, **environment):
    in_namespace(POD, f"{BUILD}/weir-init", *arguments, env={**os.environ, **environment})


def test_configuration(listeners, arguments, probes):
    apply(arguments)
    return [f"{address} port {port} as {identity}: expected {expected}, was {seen}"
            for address, port, identity, expected in probes
            if (seen := probe(listeners, address, port, identity)) != expected]


def test_loopback_cidr(listeners):
    wrong = []
    for cidr, expected in (("127.0.0.1/32", "proxy"), ("127.0.0.0/8", "local")):
        apply(["-i", "127.0.0.0/8"], ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR=cidr)
        seen = probe(listeners, "127.1.2.3", 8080, APP)
        if seen != expected:
            wrong.append(f"loopback CIDR {cidr}: expected {expected}, was {seen}")
    return wrong


def test_udp(listeners):
    apply(ALL)
    seen = probe(listeners, "10.1.2.3", 443, APP, socket.SOCK_DGRAM)
    return [] if seen == "direct" else [f"UDP went to {seen}"]


def counters():
    rules = in_namespace(POD, "nft", "-a", "list", "chain", "inet", "weir", "outbound").splitlines()
    return {line.split('comment "')[1].split('"')[0]: int(line.split("packets ")[1].split()[0])
            for line in rules if "counter packets" in line}


def test_counters(listeners):
    """The rule that decides counts, and no other does."""
    wrong = []
    apply(["-i", "10.1.0.0/16", "-x", "10.1.2.0/24", "-o", "5432", "-q", "443", "-c", "net1"])
    for address, port, identity, comment in (
            ("10.1.2.3", 80, APP, "bypass: excludeOutboundIPRanges"),
            ("10.1.3.3", 5432, APP, "bypass: excludeOutboundPorts"),
            ("192.0.2.1", 80, APP, "bypass: excludeInterfaces"),
            ("10.1.3.3", 80, (1337, 0), "the proxy's own connections"),
            ("10.1.3.3", 80, (0, 1337), "the proxy's own connections, by group"),
            ("127.0.0.1", 8080, APP, "stays in the pod"),
            ("10.9.9.9", 443, APP, "to the proxy: includeOutboundPorts"),
            ("10.1.3.3", 80, APP, "to the proxy: includeOutboundIPRanges"),
            ("10.9.9.9", 80, APP, "bypass: everything else")):
        before = counters()
        probe(listeners, address, port, identity)
        after = counters()
        moved = [name for name in after if after[name] != before[name]]
        if moved != [comment] or after[comment] != before[comment] + 1:
            wrong.append(f"{address} port {port}: expected one more at {comment!r}, moved: {moved}")
    return wrong


def test_rerun_keeps_connections(listeners):
    """Rules that are right already are left alone, with their counters."""
    apply(ALL)
    probe(listeners, "10.1.2.3", 80, APP)
    before = counters()
    apply(ALL)
    return [] if counters() == before and sum(before.values()) == 1 else [f"counters: {before}, then {counters()}"]


def main():
    listeners = {}
    tests = [(title, lambda a=arguments, p=probes: test_configuration(listeners, a, p))
             for title, arguments, probes in CONFIGURATIONS]
    tests += [(title, lambda t=test: t(listeners)) for title, test in (
        ("the loopback CIDR", test_loopback_cidr), ("UDP is not captured", test_udp),
        ("the deciding rule counts, no other", test_counters),
        ("a second run keeps rules and counters", test_rerun_keeps_connections))]

    def prepare():
        connect_namespaces()
        listeners.update(open_listeners())

    return harness.main([POD, OUTSIDE], tests, prepare)


if __name__ == "__main__":
    sys.exit(main())
