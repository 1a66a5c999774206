#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The policy with two workers: whatever one of them does, the other does, too. A test goes on opening connections until each
worker has several, and says which worker has which, by the kernel's word. TAP on stdout.
"""
import os
import re
import sys
import threading

import relay
from nameserver import Name
from policy import hello_with_ech
from policy_world import DIALLED, PATIENT, HttpOrigin, read_answer, service_entry
from reload import Watched, echo_bytes
from relay import Origin, connect, equal, receive, receive_all, wait_for

ADDRESS, DATABASE, OTHER_DATABASE = "10.1.1.1", "10.5.0.1", "10.5.0.2"
HOST, TLS_HOST = "origin.example", "tls.example"
NAMES = {TLS_HOST: ADDRESS, "db.example": DATABASE}
ENTRIES = {"origin": service_entry(HOST), "tls": service_entry(TLS_HOST, 443, "TLS"),
           "db": service_entry("db.example", 5432, "TCP", "NONE", f"  addresses: [{DATABASE}]\n")}
# Connections that each worker has at least.
EACH = 3
# Many more than that takes: the kernel gives each worker a fair share, by a hash.
CONNECTIONS_MAX = 64


class Workers(Watched):
    def __init__(self, folder, mode="REGISTRY_ONLY", **more):
        names = {**NAMES, **more.pop("names", {})}
        super().__init__(folder, mode, names=names, arguments=("--concurrency", "2"), **{**ENTRIES, **more})

    def worker_of(self, sock):
        """The epoll descriptor that watches the proxy's end of a connection."""
        pid, port = self.proxy.process.pid, sock.getsockname()[1]
        with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
            found = re.search(rf"^ *\d+: \S+:{15001:04X} \S+:{port:04X} (?:\S+ +){{6}}(\d+) ", table.read(), re.M)
        if not found:
            return None
        watched = re.compile(rf"^tfd:.* ino:{int(found[1]):x} ", re.M)
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            try:
                with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
                    if watched.search(info.read()):
                        return fd
            except OSError:
                pass  # closed meanwhile
        return None

    def on_both(self, address, port, data=b""):
        """Connections that have said something, by their worker."""
        shares = {}
        for _ in range(CONNECTIONS_MAX):
            sock = connect(address, port)
            sock.sendall(data)
            worker = wait_for("the worker", lambda sock=sock: self.worker_of(sock))
            shares.setdefault(worker, []).append(sock)
            if len(shares) == 2 and min(map(len, shares.values())) >= EACH:
                return shares
        raise AssertionError(f"the workers have {[len(socks) for socks in shares.values()]}")


def get(host=HOST):
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def each(shares):
    return [sock for socks in shares.values() for sock in socks]


def statuses(shares):
    """Of the next answers, by worker."""
    return [{read_answer(sock.makefile("rb")).status for sock in socks} for socks in shares.values()]


def send(shares, data):
    for sock in each(shares):
        sock.sendall(data)


def close(*all_shares):
    for shares in all_shares:
        for sock in each(shares):
            sock.close()


def is_cut(sock):
    """Its end, or a reset, without a byte."""
    try:
        return receive_all(sock) == b""
    except ConnectionResetError:
        return True


def test_both_decide_alike(folder):
    """HTTP, TLS and TCP that are declared, and that are not; each connection has its line."""
    hello, unknown = hello_with_ech(TLS_HOST), hello_with_ech("unknown.example")
    with Workers(folder) as world, HttpOrigin(), Origin(443, echo_bytes), Origin(5432, echo_bytes):
        http = world.on_both(DIALLED, 80, get())
        equal("declared", statuses(http), [{200}, {200}])
        send(http, get("unknown.example"))
        equal("not declared", statuses(http), [{502}, {502}])
        tls = world.on_both(DIALLED, 443, hello)
        equal("TLS", {receive(sock, len(hello)) for sock in each(tls)}, {hello})
        tcp = world.on_both(DATABASE, 5432, b"select")
        equal("TCP", {receive(sock, 6) for sock in each(tcp)}, {b"select"})
        counts = [len(each(shares)) for shares in (http, tls, tcp)]
        close(http, tls, tcp)
        for data, address, port in ((unknown, DIALLED, 443), (b"select", OTHER_DATABASE, 5432)):
            for _ in range(8):
                world.expect_refused(data, address, port)
        lines = [line.split('"')[-1].split()[0] for line in world.lines(2 * counts[0] + counts[1] + counts[2] + 16)]
        equal("clusters", {cluster: lines.count(cluster) for cluster in lines},
              {f"outbound|80||{HOST}": counts[0], f"outbound|443||{TLS_HOST}": counts[1], "outbound|5432||db.example": counts[2],
               "-": counts[0], "BlackHoleCluster": 16})


def test_both_take_up_a_reload(folder):
    """Clients that stay are decided about anew at each request, whichever worker they have."""
    with Workers(folder) as world, HttpOrigin():
        http = world.on_both(DIALLED, 80, get())
        equal("at first", statuses(http), [{200}, {200}])
        for status in (502, 200, 502):
            if status == 502:
                world.delete("origin")
            else:
                world.apply("origin", service_entry(HOST))
            world.become(status)
            # Whoever has served this has the version; the other was woken in the same moment.
            for sock in each(http):
                def answered(sock=sock, status=status):
                    sock.sendall(get())
                    return read_answer(sock.makefile("rb")).status == status
                wait_for(f"{status} on each connection", answered)
            send(http, get())
            equal("all", statuses(http), [{status}, {status}])
        close(http)


def test_both_wait_for_names(folder):
    """Requests and TLS on both workers wait for one answer; there is one question for all of them."""
    gate = threading.Event()
    hello = hello_with_ech("late.example")
    with Workers(folder, resolver=PATIENT, names={"late.example": Name(ADDRESS, wait=gate)}, late=service_entry("late.example"),
                 latetls=service_entry("late.example", 443, "TLS", name="latetls")) as world, \
            HttpOrigin(), Origin(443, echo_bytes):
        http = world.on_both(DIALLED, 80, get("late.example"))
        tls = world.on_both(DIALLED, 443, hello)
        # Some give up.
        for shares in (http, tls):
            for socks in shares.values():
                socks.pop().close()
        wait_for("the questions", lambda: world.server.count("late.example") == 2)
        gate.set()
        equal("answers", statuses(http), [{200}, {200}])
        equal("TLS", {receive(sock, len(hello)) for sock in each(tls)}, {hello})
        equal("questions", world.server.count("late.example"), 2)
        close(http, tls)


def test_both_end_what_is_no_longer_allowed(folder):
    with Workers(folder, "ALLOW_ANY") as world, Origin(9000, echo_bytes), Origin(5432, echo_bytes):
        revoked, allowed = world.on_both(DIALLED, 9000, b"one"), world.on_both(DATABASE, 5432, b"one")
        for sock in each(revoked) + each(allowed):
            equal("echo", receive(sock, 3), b"one")
        world.set_mesh("REGISTRY_ONLY")
        world.hear("configuration 2 is in force")
        equal("ended", {is_cut(sock) for sock in each(revoked)}, {True})
        send(allowed, b"two")
        equal("what is allowed", {receive(sock, 3) for sock in each(allowed)}, {b"two"})
        count = len(each(revoked))
        wait_for("the lines", lambda: len(world.raw_lines()) == count)
        equal("why", [" no_longer_allowed " in line for line in world.raw_lines()], [True] * count)
        close(allowed)


def test_both_drain(folder):
    """At the end each worker's idle clients end, and each of its lines is written."""
    with Workers(folder) as world, HttpOrigin():
        http = world.on_both(DIALLED, 80, get())
        equal("answers", statuses(http), [{200}, {200}])
        world.proxy.process.terminate()
        equal("ends", {is_cut(sock) for sock in each(http)}, {True})
        equal("exit", world.proxy.process.wait(relay.DEADLINE), 0)
        equal("lines", len(world.raw_lines()), len(each(http)))


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
