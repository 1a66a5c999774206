#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The proxy and the names that its policy needs: whom it asks, what it makes of the answers, and what it does where there is
none. TAP on stdout.
"""
import os
import socket
import sys
import threading

import relay
from nameserver import A, AAAA, Name, Server
from policy import hello_with_ech
from policy_world import (DIALLED, PATIENT, HttpOrigin, World, echo, http_line, make_folder, read_answer, service_entry, tcp_line)
from reload import Watched, echo_bytes
from relay import OUTSIDE, Origin, connect, enter, equal, receive, receive_all, wait_for

ADDRESS, MOVED = "10.1.1.1", "10.1.1.2"
HOST, OTHER = "origin.example", "other.example"
SECOND = "10.53.0.54"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def second_server(**names):
    """Another name server outside."""
    enter(OUTSIDE)
    server = Server(SECOND)
    try:
        server.start()
    except OSError:
        server.stop()
        return None
    server.names = names
    return server


# --- resolv.conf

def test_a_name_server_is_replaced(folder):
    """A rename, a write in place, and a link that is swapped; each is taken up, and what is known stays."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.become(200)
        world.server.stop()
        server = wait_for("the second server", second_server)
        asked = 0
        for number, change in enumerate(("rename", "write", "link")):
            name = f"{change}.example"
            server.names[name] = world.server.names[HOST]
            world.told.clear()
            # Another text each time.
            text = f"nameserver {SECOND}\n# {number}\n"
            if change == "rename":
                world.write("../resolv.conf", text)
            elif change == "write":
                with open(f"{folder}/resolv.conf", "w", encoding="ascii") as file:
                    file.write(text)
            else:
                os.mkdir(f"{folder}/elsewhere")
                with open(f"{folder}/elsewhere/resolv.conf", "w", encoding="ascii") as file:
                    file.write(text)
                os.symlink("elsewhere/resolv.conf", f"{folder}/link")
                os.rename(f"{folder}/link", f"{folder}/resolv.conf")
            world.hear(r"resolv\.conf has changed: its DNS servers are asked")
            world.apply(change, service_entry(name))
            world.become(200, name)
            equal("the second server was asked", server.count(name) > 0, True)
            equal("what is known", (world.status(), server.count(HOST)), (200, asked))
        server.stop()


def test_a_file_that_comes_and_goes(folder):
    """Without one, 127.0.0.1 is asked, and told once; when it goes, the servers stay."""
    with Watched(folder, arguments=("--resolv-conf", f"{folder}/later.conf"), origin=service_entry(HOST)) as world, HttpOrigin():
        world.hear(r"cannot read .*/later\.conf: No such file or directory; 127\.0\.0\.1 is asked for names")
        equal("nobody answers", world.status(), 503)
        world.write("../later.conf", f"nameserver {world.server.address[0]}\n")
        world.become(200)
        os.unlink(f"{folder}/later.conf")
        world.hear(r"cannot read .*/later\.conf: No such file or directory; the DNS servers stay as they were")
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)
        equal("told", len([line for line in world.told if "later.conf" in line]), 3)


def test_a_file_without_servers(folder):
    """It is told once, whom that means; a file that is just being written means nothing yet."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.become(200)
        for text, note in (("", "it names no server: 127.0.0.1 is asked"),
                           ("nameserver nowhere.example\n", "127.0.0.1 is asked, since no other server is named: line 1: "
                            '"nowhere.example" is no server\'s address, and is passed over')):
            world.told.clear()
            world.write("../resolv.conf", text)
            world.hear(note.replace(".", r"\."))
            world.hear("has changed: its DNS servers are asked")
            equal("what is known", world.status(), 200)
            world.write("../resolv.conf", f"nameserver {world.server.address[0]}\n")
            wait_for("the change back", lambda: len([line for line in world.told if "its DNS servers are asked" in line]) == 2)
            equal("told", len(world.told), 3)
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)


def test_servers_that_cannot_be_used(folder):
    """An interface that is not there: it is told once, and the servers stay; and are taken when it is there."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.write("../resolv.conf", "nameserver fe80::53%none0\n")
        world.hear(r"there is no interface none0 for a DNS server; the DNS servers stay as they were")
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)
        equal("told", len([line for line in world.told if "none0" in line]), 1)
        relay.run("ip", "-n", relay.POD, "link", "add", "none0", "type", "veth", "peer", "name", "none1")
        try:
            world.hear("has changed: its DNS servers are asked")
        finally:
            relay.run("ip", "-n", relay.POD, "link", "delete", "none0")


# --- names

def test_a_bad_name_stops_no_other(folder):
    """It is told with its file and line; those beside it are resolved, also ahead of who asks for them."""
    bad = ".".join(["a" * 63] * 4)
    tcp = service_entry("tcp.example", 9000, "TCP")
    with Watched(folder, origin=service_entry(HOST), names={"tcp.example": MOVED}) as world, HttpOrigin(), \
            relay.Origin(9000, relay.echo_upper):
        world.apply("bad", f"---\n{service_entry(bad, name='bad')}---\n{service_entry('late.example')}")
        world.apply("tcp", tcp)
        world.hear(rf"warning: .*bad\.yaml:\d+: ServiceEntry default/bad: spec\.hosts\[0\]: {bad} is a name that DNS cannot")
        wait_for("the names to be asked for", lambda: world.server.count("late.example") and world.server.count("tcp.example"))
        world.server.names["late.example"] = world.server.names[HOST]
        world.become(200)
        equal("the bad name", world.status(bad), 503)
        wait_for("by what a name resolves to", lambda: world.send(b"hello", MOVED, 9000) == b"HELLO")


def test_many_who_wait_ask_once(folder):
    gate = threading.Event()
    with Watched(folder, resolver=PATIENT, names={HOST: Name(ADDRESS, wait=gate)}, origin=service_entry(HOST)) as world, HttpOrigin():
        socks = [connect(DIALLED, 80) for _ in range(30)]
        for sock in socks:
            sock.sendall(GET)
        wait_for("the questions", lambda: world.server.count(HOST) == 2)
        gate.set()
        for sock in socks:
            with sock:
                equal("answer", read_answer(sock.makefile("rb")).status, 200)
        equal("questions", (world.server.count(HOST, A), world.server.count(HOST, AAAA)), (1, 1))


# --- addresses of names

def reached(world, origin, count):
    """At which addresses some requests arrive, each on a connection of its own."""
    before = len(origin.requests)
    for _ in range(count):
        equal("answer", world.ask(GET).status, 200)
    return {request.address for request in origin.requests[before:]}


def test_round_robin_dials_the_newest_answer_s_first_address(folder):
    """DNS_ROUND_ROBIN, of all that there are, where DNS takes turns."""
    for resolution, first, second in (("DNS_ROUND_ROBIN", {ADDRESS}, {MOVED}), ("DNS", {ADDRESS, MOVED}, {ADDRESS, MOVED})):
        with World(make_folder(folder, resolution), names={HOST: Name(ADDRESS, MOVED, ttl=1)},
                   origin=service_entry(HOST, resolution=resolution)) as world, HttpOrigin() as origin:
            equal(resolution, reached(world, origin, 8), first)
            world.server.names[HOST] = Name(MOVED, ADDRESS, ttl=1)
            asked = world.server.count(HOST, A)
            wait_for("the new answer", lambda world=world, asked=asked: world.server.count(HOST, A) > asked + 1)
            equal(f"{resolution}, the other way round", reached(world, origin, 8), second)


def test_the_refresh_rate_of_answers_that_must_not_be_kept(folder):
    """dnsRefreshRate: with a TTL of 0, a minute unless it is said; a TTL goes before it."""
    names = {HOST: Name(ADDRESS, ttl=0), OTHER: Name(ADDRESS, ttl=1)}
    for rate, often in (("", False), ("dnsRefreshRate: 1s", True)):
        with World(make_folder(folder, f"rate{often}"), names=names, mesh=rate, origin=service_entry(HOST),
                   other=service_entry(OTHER)) as world:
            wait_for("questions", lambda world=world: world.server.count(OTHER, A) > 3)
            if often:
                wait_for("questions", lambda world=world: world.server.count(HOST, A) > 3)
            else:
                equal("questions", world.server.count(HOST, A), 1)


def test_the_next_address_for_tls_and_the_other_family(folder):
    """The first address is dead; a client of IPv4 reaches an origin that has IPv6."""
    hello = hello_with_ech("tls.example")
    relay.run("ip", "-n", OUTSIDE, "-6", "address", "add", "2001:db8::1/128", "dev", "lo", "nodad")
    names = {HOST: "10.1.1.9 2001:db8::1", "tls.example": f"10.1.1.9 {ADDRESS}"}
    with World(folder, names=names, origin=service_entry(HOST), tls=service_entry("tls.example", 443, "TLS")) as world, \
            HttpOrigin(address="2001:db8::1") as origin, Origin(443, relay.echo_upper, ADDRESS):
        equal("at", reached(world, origin, 6), {"2001:db8::1"})
        for _ in range(6):
            equal("answer", world.send(hello, port=443), hello.upper())
        lines = world.lines(12)
        equal("upstreams", {line.split('"')[-2] for line in lines[6:]}, {f"{ADDRESS}:443"})


# --- addresses that are held against names

def test_a_name_s_first_connection_is_judged_when_its_addresses_come(folder):
    """It does not wait for them; what nobody has answered by its end is not held against it."""
    hello = hello_with_ech("none.example")
    entries = {"tls": service_entry("none.example", 443, "TLS", "NONE"), "http": service_entry("plain.example", resolution="NONE")}
    for case, dialled, mismatch in (("another", DIALLED, True), ("own", "10.6.0.1", False), ("late", DIALLED, False),
                                    ("moved", DIALLED, True)):
        gate = threading.Event()
        names = {name: Name("10.6.0.1", ttl=1, wait=gate) for name in ("none.example", "plain.example")}
        with World(make_folder(folder, case), names=names, **entries) as world, Origin(443, echo_bytes), HttpOrigin() as origin:
            release = threading.Event()

            def think(request, release=release):
                release.wait()
                return echo(request)
            origin.answer = think
            with connect(dialled, 443) as tls, connect(dialled, 80) as http:
                tls.sendall(hello)
                equal("it passes", receive(tls, len(hello)), hello)
                http.sendall(b"GET / HTTP/1.1\r\nHost: plain.example\r\n\r\n")
                wait_for("the request", lambda origin=origin: origin.requests)
                if case != "late":
                    gate.set()
                    # Who asks again has taken the first answer.
                    wait_for("the answers", lambda world=world: min(world.server.count(name, A) for name in names) > 1)
                if case == "moved":
                    # What it was when it was dialled counts.
                    world.server.names.update((name, Name(DIALLED, ttl=1)) for name in names)
                    asked = {name: world.server.count(name, A) for name in names}
                    wait_for("the move", lambda world=world, asked=asked: min(
                        world.server.count(name, A) - asked[name] for name in names) > 2)
                tls.shutdown(socket.SHUT_WR)
                receive_all(tls)
                world.expect(tcp_line(termination="ech,address_mismatch" if mismatch else "ech", sni="none.example",
                                      rx=len(hello), tx=len(hello), dst=f"{dialled}:443", upstream=f"{dialled}:443",
                                      cluster="outbound|443||none.example", local="LOCAL"))
                release.set()
                answer = read_answer(http.makefile("rb"))
            world.expect(http_line("GET / HTTP/1.1", "plain.example", tx=len(answer.body), upstream=f"{dialled}:80",
                                   dst=f"{dialled}:80", cluster="outbound|80||plain.example", route="default",
                                   termination="address_mismatch" if mismatch else "-"))
            gate.set()


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
