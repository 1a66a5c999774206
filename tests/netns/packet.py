#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Where packets really go: every class of destination, port, family, user and group, by configuration.

    pod namespace                                outside namespace
    probes (forked, as user and group)           one listener behind a redirection of all ports:
    listeners: 15001, 15101, 15006, 15053        whatever is dialled is answered, and SO_ORIGINAL_DST
    (the proxy's), 8080 (the application's own)   tells what it was
    eth0 10.77.0.2 fd77::2  -------------- veth0 10.77.0.1 fd77::1
    net1 10.78.0.2          -------------- veth1 10.78.0.1, to 192.0.2.0/24

The rules are programmed by the real weir-init. A probe connects; the listener that accepts says who it is, and what
original destination it sees. TAP on stdout, one test a configuration.
"""
import os
import select
import signal
import socket
import struct
import sys

import harness
from harness import BUILD, enter, run

POD, OUTSIDE = harness.namespace_name("packet-pod"), harness.namespace_name("packet-out")
ORIGINAL_DST = 80
DEADLINE = 10.0

IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75

APP, PROXY, ROOT = (1000, 1000), (1337, 1337), (0, 0)
STRANGER = (0, 0, "outside")  # connects to the pod from outside
UDP = socket.SOCK_DGRAM


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
    if port == 15006:  # as TPROXY wants it; redirection does not mind
        sock.setsockopt(*((socket.SOL_IP, IP_TRANSPARENT) if family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_TRANSPARENT)), 1)
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
        listeners[listen(family, 15006)] = "inbound"
        os.seteuid(PROXY[0])  # its answers are known by who sends them
        listeners[listen(family, 15053)] = "dns"
        listeners[listen(family, 15053, socket.SOCK_DGRAM)] = "dns"
        os.seteuid(0)
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
        if identity == STRANGER:
            enter(OUTSIDE)
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


def probe(listeners, address, port, identity, kind=socket.SOCK_STREAM, deadline=DEADLINE):
    """Who accepts a connection, or 'nobody'."""
    child = start_probe(address, port, identity, kind)
    try:
        ended = os.pidfd_open(child)
        ready, _, _ = select.select([*listeners, ended], [], [], deadline)
        os.close(ended)
        if not ready or ready[0] not in listeners:  # silence, or a refusal
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
        os.kill(child, signal.SIGKILL)
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
        ("10.77.0.2", 8080, APP, "local"), ("fd77::2", 8080, APP, "local"), ("127.0.0.1", 8080, PROXY, "local"),
        ("::1", 8080, PROXY, "local")]),
    ("the proxy's calls to the pod come in by the inbound port, for every user and group", ALL + ["-u", "3,4,100-102", "-g", "7,9"], [
        ("10.77.0.2", 8080, (uid, gid), "inbound")
        for uid, gid in ((3, 0), (4, 0), (101, 0), (0, 7), (0, 9), (4, 9), (3, 7))] + [
        ("fd77::2", 8080, (4, 0), "inbound"), ("fd77::2", 8080, (0, 9), "inbound"), ("127.9.9.9", 8080, (0, 9), "inbound"),
        ("127.0.0.1", 8080, (0, 9), "local"), ("::1", 8080, (4, 0), "local"), ("10.77.0.2", 8080, (5, 8), "local")]),
    ("inbound, all ports but some", ["-b", "*", "-d", "8080,9000-9010"], [
        ("10.77.0.2", 80, STRANGER, "inbound"), ("fd77::2", 443, STRANGER, "inbound"), ("10.78.0.2", 8081, STRANGER, "inbound"),
        ("10.77.0.2", 8080, STRANGER, "local"), ("fd77::2", 8080, STRANGER, "local"), ("10.1.2.3", 80, APP, "direct")]),
    ("inbound, some ports only", ["-b", "80,8000-8090", "-d", "8080"], [
        ("10.77.0.2", 80, STRANGER, "inbound"), ("10.77.0.2", 8080, STRANGER, "inbound"), ("fd77::2", 8000, STRANGER, "inbound"),
        ("10.77.0.2", 15101, STRANGER, "proxy:15101")]),
    ("nothing inbound", ALL, [("10.77.0.2", 8080, STRANGER, "local")]),
    ("inbound, but not through an excluded interface", ["-b", "*", "-c", "net1"], [
        ("10.78.0.2", 8080, STRANGER, "local"), ("10.77.0.2", 8080, STRANGER, "inbound")]),
    ("inbound by TPROXY", ["-b", "*", "-d", "8080", "-m", "TPROXY"], [
        ("10.77.0.2", 80, STRANGER, "inbound"), ("fd77::2", 443, STRANGER, "inbound"), ("10.77.0.2", 8080, STRANGER, "local"),
        ("10.1.2.3", 80, APP, "direct"), ("10.1.2.3", 80, PROXY, "direct"), ("10.77.0.2", 8080, (0, 1337), "inbound")]),
    ("inbound by TPROXY, some ports only", ["-b", "80", "-m", "TPROXY", "-t", "77", "-r", "78"], [
        ("10.77.0.2", 80, STRANGER, "inbound"), ("fd77::2", 8080, STRANGER, "local")]),
    ("DNS to any server, over both transports", ALL + ["--redirect-dns", "--capture-all-dns", "-x", "10.9.0.0/16"], [
        (address, 53, identity, who, kind) for kind in (socket.SOCK_STREAM, UDP) for address, identity, who in (
            ("10.1.2.3", APP, "dns"), ("2001:db8::1", APP, "dns"), ("127.0.0.53", APP, "dns"), ("10.9.0.1", APP, "dns"),
            ("10.1.2.3", PROXY, "direct"), ("2001:db8::1", (0, 1337), "direct"))] + [("10.1.2.3", 443, APP, "direct", UDP)]),
    ("DNS to some servers", ALL + ["--redirect-dns", "--dns-servers", "10.1.2.3,2001:db8::1", "-x", "10.9.0.1"], [
        (address, 53, APP, who, kind) for kind, other in ((socket.SOCK_STREAM, "proxy"), (UDP, "direct")) for address, who in (
            ("10.1.2.3", "dns"), ("2001:db8::1", "dns"), ("10.1.2.4", other), ("10.9.0.1", "direct"))]),
    ("excluded port 53 is no DNS", ALL + ["--redirect-dns", "--capture-all-dns", "-o", "53"], [
        ("10.1.2.3", 53, APP, "direct"), ("10.1.2.3", 53, APP, "direct", UDP)]),
    ("what comes in from a virtual machine is outbound", ["-i", "10.0.0.0/8", "-x", "10.9.0.0/16", "-o", "7", "-b", "*", "-k", "net1"], [
        ("10.78.0.2", 80, STRANGER, "proxy"), ("10.78.0.2", 7, STRANGER, "nobody"), ("10.77.0.2", 80, STRANGER, "inbound")]),
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
        ("127.1.2.3", 8080, PROXY, "inbound"), ("10.77.0.2", 8080, APP, "proxy"), ("10.1.2.3", 80, APP, "direct")]),
    ("another port of the proxy's", ALL + ["-p", "15101"], [
        ("10.1.2.3", 80, APP, "proxy:15101"), ("2001:db8::1", 80, APP, "proxy:15101")]),
    ("interception NONE leaves everything alone", ALL + ["-m", "NONE"], [("10.1.2.3", 80, APP, "direct")]),
]


def apply(arguments, **environment):
    in_namespace(POD, f"{BUILD}/weir-init", *arguments, env={**os.environ, **environment})


def test_configuration(listeners, arguments, probes):
    apply(arguments)
    return [f"{address} port {port} as {identity} {kind}: expected {expected}, was {seen}"
            for address, port, identity, expected, *kind in probes
            if (seen := probe(listeners, address, port, identity, *kind)) != expected]


def test_groups(listeners):
    wrong = []
    for environment, rows in (
            ({"ISTIO_OUTBOUND_OWNER_GROUPS": ",".join(str(gid) for gid in range(2000, 2200, 2))},
             [(2000, "proxy"), (2198, "proxy"), (2001, "direct"), (1000, "direct")]),
            ({"ISTIO_OUTBOUND_OWNER_GROUPS": ""}, [(2000, "direct"), (0, "direct")]),
            ({"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "daemon,2000-2100"}, [(1, "direct"), (2050, "direct"), (2101, "proxy")])):
        apply(ALL, **environment)
        for gid, expected in rows:
            seen = probe(listeners, "10.1.2.3", 80, (1000, gid))
            if seen != expected:
                wrong.append(f"{environment}, group {gid}: expected {expected}, was {seen}")
    return wrong


class Connection:
    """Both ends of a connection that lasts."""

    def __init__(self, listeners, address, port, uid=0, place=POD):
        enter(place)
        os.seteuid(uid)
        self.near = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        os.seteuid(0)
        self.near.settimeout(DEADLINE)
        self.near.connect((address, port))
        ready, _, _ = select.select(list(listeners), [], [], DEADLINE)
        self.who = listeners[ready[0]]
        self.far, _ = ready[0].accept()
        self.far.settimeout(DEADLINE)

    def fate(self):
        """"alive" where bytes still go both ways, else how it ended."""
        try:
            for one, other in ((self.near, self.far), (self.far, self.near)):
                one.send(b"x")
                # The sender hears of a reset, and the receiver of nothing.
                ready, _, _ = select.select([one, other], [], [], DEADLINE)
                if not ready:
                    return "silent"
                if ready[0].recv(1) != b"x":
                    return "closed"
        except ConnectionResetError:
            return "reset"
        return "alive"

    def close(self):
        for sock in (self.near, self.far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


OLDER = (  # address, port, user, where from; what becomes of it by redirection, and by TPROXY
    ("10.1.2.3", 80, 0, POD, "reset", "reset"), ("2001:db8::1", 80, 0, POD, "reset", "reset"),
    ("10.9.2.3", 80, 0, POD, "alive", "alive"), ("10.1.2.3", 80, 1337, POD, "alive", "alive"),
    ("127.0.0.1", 8080, 0, POD, "alive", "alive"), ("10.77.0.2", 8080, 0, POD, "alive", "alive"),
    ("10.77.0.2", 8080, 0, OUTSIDE, "reset", "alive"), ("fd77::2", 8080, 0, OUTSIDE, "reset", "alive"),
)


def fates(connections, expected):
    wrong = []
    for connection, row, fate in zip(connections, OLDER, expected):
        seen = connection.fate()
        if seen != fate:
            wrong.append(f"{row[:4]}: expected {fate}, was {seen}")
        connection.close()
    return wrong


def test_older_connections(listeners, *backend):
    """Those that predate the rules: captured ones are reset, all others go on; TPROXY lets inbound ones go on."""
    wrong = []
    for column, mode in ((4, "REDIRECT"), (5, "TPROXY")):
        apply(["--cleanup-only"])
        connections = [Connection(listeners, *row[:4]) for row in OLDER]
        apply(ALL + ["-x", "10.9.0.0/16", "-b", "*", "-m", mode, *backend])
        wrong += fates(connections, [row[column] for row in OLDER])
    return wrong


def test_reruns_keep_connections(listeners, *backend):
    wrong = []
    for mode in ("REDIRECT", "TPROXY"):
        arguments = ALL + ["-x", "10.9.0.0/16", "-b", "*", "-m", mode, *backend]
        apply(["--cleanup-only"])
        apply(arguments)
        connections = [Connection(listeners, *row[:4]) for row in OLDER]
        if {connection.who for connection in connections} != {"proxy", "direct", "local", "inbound"}:
            wrong.append(f"{mode}: {[connection.who for connection in connections]}")
        apply(arguments)
        apply(arguments + ["-o", "7"])
        apply(arguments + ["-o", "7", "--force-apply"])
        wrong += fates(connections, ["alive"] * len(OLDER))
    return wrong


def test_client_address_is_kept(_, *backend):
    """By TPROXY the proxy sees the client's address, and may call the application with it: the answer comes to the proxy."""
    apply(["-b", "80", "-m", "TPROXY", *backend])
    wrong = []
    for family, pod, client in ((socket.AF_INET, "10.77.0.2", "10.77.0.1"), (socket.AF_INET6, "fd77::2", "fd77::1")):
        enter(POD)
        with listen(family, 8088) as application:
            call = socket.socket(family, socket.SOCK_STREAM)
            call.settimeout(DEADLINE)
            call.setsockopt(*((socket.SOL_IP, IP_TRANSPARENT) if family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_TRANSPARENT)), 1)
            call.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1337)
            call.bind((client, 0))
            call.connect((pod, 8088))
            accepted, peer = application.accept()
            if peer[0] != client:
                wrong.append(f"the application sees {peer}")
            accepted.send(b"answer")
            if call.recv(6) != b"answer":
                wrong.append("no answer")
            accepted.close()
            call.close()
    return wrong


def test_tproxy_without_a_proxy(listeners, *backend):
    """Where nobody listens, or nobody who may have other's connections, nothing gets past the proxy that is not there."""
    apply(["-b", "*", "-m", "TPROXY", "-z", "15101", *backend])
    return [f"{address}: {seen}" for address in ("10.77.0.2", "fd77::2")
            if (seen := probe(listeners, address, 8080, STRANGER, deadline=1.0)) != "nobody"]


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
            ("127.0.0.1", 8080, APP, "stays in the pod: loopbackCIDR"), ("::1", 8080, APP, "stays in the pod: to ::1"),
            ("10.77.0.2", 8080, APP, "stays in the pod"), ("10.77.0.2", 8080, PROXY, "the pod calls itself: to the inbound port"),
            ("fd77::2", 8080, (0, 1337), "the pod calls itself: to the inbound port, by group"),
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
        ("owner groups, many and none", test_groups), ("the deciding rule counts, no other", test_counters),
        ("a second run keeps rules and counters", test_rerun_keeps_connections))]
    tests += [(title + (", by iptables" if backend else ""), lambda t=test, b=backend: t(listeners, *b)) for title, test in (
        ("connections that are older than the rules", test_older_connections), ("reruns keep connections", test_reruns_keep_connections),
        ("the client's address is kept", test_client_address_is_kept), ("TPROXY without a proxy", test_tproxy_without_a_proxy))
              for backend in ((), ("--backend", "iptables"))]

    def prepare():
        connect_namespaces()
        listeners.update(open_listeners())

    return harness.main([POD, OUTSIDE], tests, prepare)


if __name__ == "__main__":
    sys.exit(main())
