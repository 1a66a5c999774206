#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The proxy's resolver against a DNS server that misbehaves on request, on port 53 of a namespace's loopback.
"""
import itertools
import os
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading

import harness
from harness import BUILD, run
from nameserver import A, AAAA, NXDOMAIN, REFUSED, SERVFAIL, Name, Server, wait_until

SPACE = harness.namespace_name("resolver")
FOLDER = tempfile.TemporaryDirectory(prefix="weir-resolver-")
SERVER = Server()
KEPT = "192.0.2.1"
numbers = itertools.count()
# ASan has allocations of its own, where a thread begins, and ends the program when these fail.
SANITIZER_REFUSAL = re.compile("AddressSanitizer: CHECK failed: .*pthread_getattr_np")


def fresh(label="name"):
    """A name that no other test uses."""
    return f"{label}{next(numbers)}.test"


def serve(told, label="name"):
    name = fresh(label)
    SERVER.names[name] = told
    return name


class Resolver:
    """A resolver of its own for a test."""

    def __init__(self, configuration="nameserver 127.0.0.1\nsearch example.test\noptions ndots:5\n", **options):
        path = f"{FOLDER.name}/resolv.conf-{next(numbers)}"
        with open(path, "w") as file:
            file.write(configuration)
        self.process = subprocess.Popen(harness.inside(SPACE, f"{BUILD}/tests/netns/resolve/resolve", path),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        self.replies, self.done = queue.Queue(), queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        status = self.process.wait(20)
        self.process.stdout.close()
        if exception == (None, None, None) and status != 0:
            raise AssertionError(f"the resolver ended with {status}")

    def read(self):
        for line in self.process.stdout:
            if line.startswith("done "):
                self.done.put(line.split()[1:])
            else:
                self.replies.put(line.rstrip("\n"))
        self.replies.put(None)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        reply = self.replies.get(timeout=20)
        if reply is None:
            raise BrokenPipeError("the resolver has ended")
        return reply

    def want(self, *names, rate=60000, guard="-"):
        return self.ask("want", str(rate), guard, *names)

    def find(self, name):
        return self.ask("find", name)

    def at(self, address):
        return self.ask("at", address).split()

    def until(self, name, text):
        """Waits for what is known of a name to begin with a text."""
        last = ""

        def is_there():
            nonlocal last
            last = self.find(name)
            return last.startswith(text)
        try:
            wait_until("", is_there)
        except AssertionError:
            raise AssertionError(f"{name} was to become {text!r}, and is {last!r}") from None
        return last


def expect(what, got, expected):
    return [] if got == expected else [f"{what}: {got!r}, not {expected!r}"]


# --- answers

def test_both_families_in_their_order():
    name = serve(Name("2001:db8::2", "192.0.2.9", "2001:db8::1", "192.0.2.3"))
    with Resolver() as resolver:
        resolver.want(name.upper() + ".", name)
        known = resolver.until(name, "good")
        return (expect("the answer", known, "good - 192.0.2.9 192.0.2.3 2001:db8::2 2001:db8::1 |")
                + expect("queries", [SERVER.count(name, A), SERVER.count(name, AAAA)], [1, 1]))


def test_one_family_only():
    four, six = serve(Name("192.0.2.1")), serve(Name("2001:db8::1"))
    half = serve(Name("192.0.2.1", rcode6=NXDOMAIN))
    with Resolver() as resolver:
        resolver.want(four, six, half)
        return (expect("IPv4", resolver.until(four, "good"), "good - 192.0.2.1 |")
                + expect("IPv6", resolver.until(six, "good"), "good - 2001:db8::1 |")
                + expect("NXDOMAIN for IPv6", resolver.until(half, "good"), "good - 192.0.2.1 |"))


def test_names_are_absolute_and_no_file_is_asked():
    absent = fresh("absent")
    SERVER.names["localhost"] = Name("192.0.2.7")
    SERVER.names["single"] = Name("192.0.2.8")
    with Resolver() as resolver:
        resolver.want(absent, "localhost", "single")
        resolver.until(absent, "failed NXDOMAIN")
        problems = expect("localhost", resolver.until("localhost", "good"), "good - 192.0.2.7 |")
        problems += expect("single", resolver.until("single", "good"), "good - 192.0.2.8 |")
    with SERVER.lock:
        searched = [one for one in SERVER.asked if one[0].endswith("example.test")]
    return problems + expect("through the search list", searched, [])


def test_cnames():
    end = serve(Name("192.0.2.4", "2001:db8::4"))
    middle = serve(Name(cname=end, cname_ttl=1))
    name = serve(Name(cname=middle))
    dangling = serve(Name(cname=fresh()))
    with Resolver() as resolver:
        resolver.want(name, dangling)
        problems = expect("the answer", resolver.until(name, "good"), "good - 192.0.2.4 2001:db8::4 |")
        # The least TTL of the chain rules.
        wait_until("the refresh", lambda: SERVER.count(name, A) > 1)
        return problems + expect("dangling", resolver.until(dangling, "failed"), "failed no address |")


def test_chains_of_cnames():
    """A long one leads somewhere, one in a circle nowhere, and neither holds up others."""
    name = serve(Name(KEPT))
    for _ in range(8):
        name = serve(Name(cname=name), "link")
    circle = [fresh("circle") for _ in range(3)]
    for one, other in zip(circle, circle[1:] + circle[:1]):
        SERVER.names[one] = Name(cname=other)
    with Resolver() as resolver:
        resolver.want(*circle, name)
        problems = expect("the long one", resolver.until(name, "good"), f"good - {KEPT} |")
        return problems + [problem for one in circle
                           for problem in expect("a circle", resolver.until(one, "failed"), "failed no address |")]


def test_addresses_beyond_the_bound_are_left_out():
    name = serve(Name(*(f"192.0.2.{i}" for i in range(1, 100)), *(f"2001:db8::{i:x}" for i in range(1, 100))))
    with Resolver() as resolver:
        resolver.want(name)
        words = resolver.until(name, "good").split()
        return (expect("IPv4", [word for word in words if "." in word], [f"192.0.2.{i}" for i in range(1, 33)])
                + expect("IPv6", [word for word in words if "::" in word], [f"2001:db8::{i:x}" for i in range(1, 33)]))


def test_names_of_an_address():
    shared, own = serve(Name("192.0.2.50", "192.0.2.51")), serve(Name("192.0.2.50", "2001:db8::50"))
    with Resolver() as resolver:
        resolver.want(shared, own)
        resolver.until(shared, "good")
        resolver.until(own, "good")
        problems = expect("both", resolver.at("192.0.2.50"), sorted([shared, own]))
        problems += expect("one", resolver.at("192.0.2.51"), [shared])
        problems += expect("IPv6", resolver.at("2001:db8::50"), [own])
        problems += expect("nobody", resolver.at("192.0.2.52"), [])
        resolver.want(own)
        wait_until("the other to go", lambda: resolver.find(shared) == "unknown")
        return problems + expect("who is left", resolver.at("192.0.2.50"), [own])


# --- times

def test_a_changed_address():
    name = serve(Name("192.0.2.60", ttl=1))
    with Resolver() as resolver:
        resolver.want(name)
        resolver.until(name, "good - 192.0.2.60 |")
        SERVER.names[name] = Name("192.0.2.61", ttl=1)
        problems = expect("afterwards", resolver.until(name, "good - 192.0.2.61"), "good - 192.0.2.61 | 192.0.2.60")
        problems += expect("the new one", resolver.at("192.0.2.61"), [name])
        return problems + expect("the old one, which may still be dialled", resolver.at("192.0.2.60"), [name])


def test_ttl_0_is_refreshed_at_the_refresh_rate():
    often, seldom, second = (serve(Name("192.0.2.1", ttl=ttl)) for ttl in (0, 0, 1))
    with Resolver() as slow, Resolver() as fast:
        slow.want(seldom, second)
        fast.want(often, rate=1000)
        wait_until("refreshes", lambda: SERVER.count(often, A) > 2 and SERVER.count(second, A) > 2)
        return expect("queries at 60 s", SERVER.count(seldom, A), 1)


def test_a_ttl_that_is_none_counts_as_0():
    """The highest bit of 32 is a mistake (RFC 2181 section 8)."""
    beyond = serve(Name("192.0.2.1", ttl=0x80000000))
    with Resolver() as resolver:
        resolver.want(beyond, rate=1000)
        wait_until("refreshes", lambda: SERVER.count(beyond, A) > 2)
        return expect("what is known", resolver.find(beyond), "good - 192.0.2.1 |")


# --- failures

# What older versions of c-ares make of a server that says that it failed.
SERVER_FAILURES = ("SERVFAIL", "REFUSED")
UNREACHABLE = "no server could answer"
FAILURES = {
    "NXDOMAIN": Name(rcode=NXDOMAIN),
    "SERVFAIL": Name(rcode=SERVFAIL),
    "REFUSED": Name(rcode=REFUSED),
    "no address": Name(),
    "private address": Name("0.0.0.0", "::", "ff02::1"),
}


def expect_failure(known, state, error, addresses=""):
    errors = (error, UNREACHABLE) if error in SERVER_FAILURES else (error,)
    return [] if known in [f"{state} {one}{addresses} |" for one in errors] else [f"{error}: {known!r}"]


def test_failures_of_names_that_were_never_good():
    names = {serve(told): error for error, told in FAILURES.items()}
    with Resolver() as resolver:
        resolver.want(*names)
        return [problem for name, error in names.items()
                for problem in expect_failure(resolver.until(name, "failed"), "failed", error)]


def test_the_last_good_answer_outlives_failures():
    problems = []
    names = {serve(Name(KEPT, "2001:db8::1", ttl=1)): told for told in FAILURES.items()}
    with Resolver() as resolver:
        resolver.want(*names)
        for name in names:
            resolver.until(name, "good")
        for name, (_, told) in names.items():
            SERVER.names[name] = told
        for name, (error, _) in names.items():
            problems += expect_failure(resolver.until(name, "stale"), "stale", error, f" {KEPT} 2001:db8::1")
            problems += expect("reverse", name in resolver.at(KEPT), True)
        for name in names:
            SERVER.names[name] = Name("192.0.2.2")
        for name in names:
            problems += expect("repaired", resolver.until(name, "good"), f"good - 192.0.2.2 | {KEPT} 2001:db8::1")
    return problems


def test_the_last_good_answer_outlives_silence():
    name = serve(Name(KEPT, ttl=1))
    with Resolver("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n") as resolver:
        resolver.want(name)
        resolver.until(name, "good")
        SERVER.names[name] = Name(KEPT, faults=["silent"])
        return expect("in silence", resolver.until(name, "stale"), f"stale timeout {KEPT} |")


def test_silence_and_lies():
    lies = {fault: serve(Name(KEPT, faults=[fault])) for fault in ("wrong-id", "wrong-question", "silent")}
    truth = serve(Name(KEPT, faults=["lies-first"]))
    with Resolver() as resolver:
        resolver.want(truth, *lies.values())
        problems = expect("behind lies", resolver.until(truth, "good"), f"good - {KEPT} |")
        for fault, name in lies.items():
            problems += expect(fault, resolver.until(name, "failed"), "failed timeout |")
    return problems


def test_junk():
    junk, good = serve(Name(KEPT, faults=["junk"])), serve(Name(KEPT))
    with Resolver() as resolver:
        resolver.want(junk)
        resolver.until(junk, "failed")
        resolver.want(junk, good)
        return expect("the next name", resolver.until(good, "good"), f"good - {KEPT} |")


def test_a_cut_answer_is_asked_for_over_tcp():
    addresses = [f"192.0.2.{i}" for i in range(1, 30)]
    name = serve(Name(*addresses, faults=["cut"]))
    with Resolver() as resolver:
        resolver.want(name)
        return (expect("the answer", resolver.until(name, "good"), f"good - {' '.join(addresses)} |")
                + expect("over TCP", SERVER.count(name, A, "tcp"), 1))


def test_a_family_without_an_answer_holds_up_nobody():
    name = serve(Name(KEPT, faults=["silent6"]))
    with Resolver() as resolver:
        resolver.ask("lookup", name)
        problems = expect("the wait", resolver.done.get(timeout=20), [name, "good", "-", KEPT, "|"])
        return problems + expect("queries for IPv6 by then", SERVER.count(name, AAAA), 1)


def test_the_server_dies_and_comes_back():
    good, new = serve(Name(KEPT, ttl=1)), serve(Name("192.0.2.2"))
    with Resolver() as resolver:
        resolver.want(good)
        resolver.until(good, "good")
        SERVER.stop()
        resolver.want(good, new)
        problems = expect("a new name", resolver.until(new, "failed"), f"failed {UNREACHABLE} |")
        problems += expect("a good name", resolver.until(good, "stale"), f"stale {UNREACHABLE} {KEPT} |")
        SERVER.start()
        return (problems + expect("afterwards", resolver.until(new, "good"), "good - 192.0.2.2 |")
                + expect("afterwards", resolver.until(good, "good"), f"good - {KEPT} |"))


def test_the_next_server_is_asked():
    name = fresh()
    problems = []
    second = Server("127.0.0.2").start()
    second.names[name] = Name("192.0.2.2")
    for fault in (Name(faults=["silent"]), Name(rcode=SERVFAIL), Name(rcode=REFUSED)):
        SERVER.names[name] = fault
        with Resolver("nameserver 127.0.0.1\nnameserver 127.0.0.2\n") as resolver:
            resolver.want(name)
            problems += expect("the answer", resolver.until(name, "good"), "good - 192.0.2.2 |")
    second.stop()
    return problems


def test_a_server_on_ipv6():
    name = fresh()
    server = Server("::1").start()
    server.names[name] = Name("192.0.2.1", "2001:db8::1", faults=["cut"])
    with Resolver("nameserver ::1\n") as resolver:
        resolver.want(name)
        problems = expect("the answer", resolver.until(name, "good"), "good - 192.0.2.1 2001:db8::1 |")
    server.stop()
    return problems + expect("over TCP", server.count(name, A, "tcp"), 1)


# --- servers, and how they are asked

def write_servers(text):
    path = f"{FOLDER.name}/servers-{next(numbers)}"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


class Servers:
    """Further servers, which have this to say of a name."""

    def __init__(self, name, at, says):
        self.servers = []
        for address in at:
            self.servers.append(wait_until(f"{address}", lambda address=address: self.start(*address)))
            self.servers[-1].names[name] = says

    @staticmethod
    def start(address, port):
        """The one before may not be quite gone."""
        server = Server(address, port)
        try:
            return server.start()
        except OSError:
            server.stop()
            return None

    def __enter__(self):
        return self.servers

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()


def test_other_servers():
    """What is known stays, whoever failed is asked for anew, and what is in flight comes to its end."""
    gate = threading.Event()
    good, slow, failed = serve(Name(KEPT)), serve(Name("192.0.2.3", wait=gate)), fresh()
    with Resolver() as resolver, Servers(failed, at=[("127.0.0.2", 53)], says=Name("192.0.2.2")) as (second,):
        second.names[good] = Name("192.0.2.9")
        resolver.want(good, slow, failed)
        resolver.until(good, "good")
        resolver.until(failed, "failed NXDOMAIN")
        wait_until("the slow question", lambda: SERVER.count(slow) == 2)
        problems = expect("servers", resolver.ask("servers", write_servers("nameserver 127.0.0.2\n")), "ok")
        problems += expect("who failed", resolver.until(failed, "good"), "good - 192.0.2.2 |")
        problems += expect("what is known", resolver.find(good), f"good - {KEPT} |")
        problems += expect("questions about it", second.count(good), 0)
        problems += expect("in flight", resolver.find(slow), "none - |")
        # One more change while the first is not over: the last one counts.
        for address in ("127.0.0.8", "127.0.0.9", "127.0.0.1"):
            resolver.ask("servers", write_servers(f"nameserver {address}\n"))
        gate.set()
        problems += expect("the slow one", resolver.until(slow, "good"), "good - 192.0.2.3 |")
        last = serve(Name("192.0.2.4"))
        resolver.want(good, slow, failed, last)
        return problems + expect("the last change", resolver.until(last, "good"), "good - 192.0.2.4 |")


def test_other_servers_again_and_again():
    names = [serve(Name(KEPT, ttl=0)) for _ in range(50)]
    paths = [write_servers(f"nameserver 127.0.0.1\noptions timeout:{n + 1}\n") for n in range(5)]
    with Resolver() as resolver:
        for number in range(200):
            resolver.want(*names[number % 50:], rate=1000)
            problems = expect("servers", resolver.ask("servers", paths[number % 5]), "ok")
            if problems:
                return problems
        resolver.want(*names)
        return [problem for name in names for problem in expect(name, resolver.until(name, "good"), f"good - {KEPT} |")]


def test_ports():
    name = fresh()
    for text in ("127.0.0.1:5353", "[127.0.0.1]:5353", "[::1]:5353"):
        address = "::1" if "::1" in text else "127.0.0.1"
        with Servers(name, at=[(address, 5353)], says=Name(KEPT, faults=["cut"])) as (server,), \
                Resolver(f"nameserver {text}\n") as resolver:
            resolver.want(name)
            problems = (expect(text, resolver.until(name, "good"), f"good - {KEPT} |")
                        + expect("over TCP", server.count(name, A, "tcp"), 1))
            if problems:
                return problems
    return []


def test_a_link_local_server():
    """By the interface's name, and by its number; over TCP, too. One whose interface is not there is refused."""
    name, problems = fresh(), []
    run("ip", "-n", SPACE, "link", "add", "dns0", "type", "veth", "peer", "name", "dns1")
    for link in ("dns0", "dns1"):
        run("ip", "-n", SPACE, "link", "set", link, "up")
    run("ip", "-n", SPACE, "address", "add", "fe80::53/64", "dev", "dns0", "nodad")
    index = socket.if_nametoindex("dns0")
    with Servers(name, at=[("fe80::53%dns0", 53)], says=Name(KEPT, faults=["cut"])):
        for scope in ("dns0", index):
            with Resolver(f"nameserver fe80::53%{scope}\nnameserver 127.0.0.9\n") as resolver:
                resolver.want(name)
                problems += expect(scope, resolver.until(name, "good"), f"good - {KEPT} |")
        with Resolver() as resolver:
            problems += expect("no such interface", resolver.ask("servers", write_servers("nameserver fe80::53%none0\n")),
                               "there is no interface none0 for a DNS server")
            known = serve(Name(KEPT))
            resolver.want(known)
            problems += expect("the servers before", resolver.until(known, "good"), f"good - {KEPT} |")
    return problems


def test_attempts():
    for attempts in (1, 3):
        name = serve(Name(KEPT, faults=["silent"]))
        with Resolver(f"nameserver 127.0.0.1\noptions timeout:1 attempts:{attempts}\n") as resolver:
            resolver.want(name)
            resolver.until(name, "failed timeout")
            problems = expect(f"questions with attempts:{attempts}", SERVER.count(name, A), attempts)
        if problems:
            return problems
    return []


def test_rotation():
    """Servers take turns; without it, the first one is asked."""
    names = [fresh() for _ in range(60)]
    for option, both in (("rotate", True), ("ndots:3", False)):
        with Servers(names[0], at=[("127.0.0.2", 53), ("127.0.0.3", 53)], says=Name(KEPT)) as servers, \
                Resolver(f"nameserver 127.0.0.2\nnameserver 127.0.0.3\noptions {option}\n") as resolver:
            for server in servers:
                server.names.update((name, Name(KEPT)) for name in names)
            resolver.want(*names)
            for name in names:
                resolver.until(name, "good")
            problems = expect(option, [len(server.asked) > 0 for server in servers], [True, both])
        if problems:
            return problems
    return []


def test_tcp_alone():
    name = serve(Name(KEPT))
    with Resolver("nameserver 127.0.0.1\noptions use-vc\n") as resolver:
        resolver.want(name)
        problems = expect("the answer", resolver.until(name, "good"), f"good - {KEPT} |")
        return problems + expect("over UDP", SERVER.count(name, None, "udp"), 0)


# --- the set of names

def test_a_name_dropped_in_flight():
    gate = threading.Event()
    name, other = serve(Name(KEPT, wait=gate)), serve(Name("192.0.2.2"))
    with Resolver() as resolver:
        resolver.want(name)
        wait_until("the queries", lambda: SERVER.count(name) == 2)
        resolver.want(other)
        resolver.until(other, "good")
        gate.set()
        wait_until("the name to go", lambda: resolver.find(name) == "unknown")
        return expect("reverse", resolver.at(KEPT), [])


def test_a_name_dropped_in_flight_and_wanted_again():
    gate = threading.Event()
    name, other = serve(Name(KEPT, wait=gate)), serve(Name("192.0.2.2"))
    with Resolver() as resolver:
        resolver.want(name)
        wait_until("the queries", lambda: SERVER.count(name) == 2)
        resolver.want(other)
        resolver.until(other, "good")
        resolver.want(name)
        wait_until("the other to go", lambda: resolver.find(other) == "unknown")
        gate.set()
        return (expect("the answer", resolver.until(name, "good"), f"good - {KEPT} |")
                + expect("queries", SERVER.count(name), 2))


def test_the_end_while_everything_is_in_flight():
    names = [serve(Name(faults=["silent"])) for _ in range(100)]
    with Resolver() as resolver:
        resolver.want(*names[:90])
        for name in names[80:]:
            resolver.ask("lookup", name)
        wait_until("queries", lambda: SERVER.count(names[0]) > 0 and SERVER.count(names[99]) > 0)


def test_many_names():
    names = [serve(Name(f"10.0.{i // 256}.{i % 256}")) for i in range(3000)]
    with Resolver() as resolver:
        resolver.want(*names)
        for name in names:
            resolver.until(name, "good")
        problems = expect("an address", resolver.at("10.0.10.10"), [names[2570]])
        resolver.want(*names[:10])
        wait_until("the others to go", lambda: resolver.find(names[-1]) == "unknown")
        return problems + expect("an address", resolver.at("10.0.10.10"), [])


def test_names_that_are_none():
    with Resolver() as resolver:
        good = serve(Name(KEPT, ttl=3600))
        problems = []
        for bad in ("192.0.2.1", "2001:db8::1", "a..b", ".", "x" * 64 + ".test", "a\\.test", "*.test", "caf\xe9.test"):
            problems += expect(bad, resolver.want(bad, good), "ok")
            problems += expect(bad, resolver.ask("lookup", bad), "invalid")
            problems += expect("what came with it", resolver.until(good, "good"), f"good - {KEPT} |")
            problems += expect(bad, resolver.find(bad), "unknown")
        return problems


# --- waits

def test_one_lookup_for_all_who_wait():
    gate = threading.Event()
    name = serve(Name(KEPT, wait=gate))
    with Resolver() as resolver:
        problems = [problem for _ in range(20) for problem in expect("at first", resolver.ask("lookup", name), "wait")]
        wait_until("the queries", lambda: SERVER.count(name) == 2)
        gate.set()
        for _ in range(20):
            problems += expect("the wait", resolver.done.get(timeout=20), [name, "good", "-", KEPT, "|"])
        problems += expect("afterwards", resolver.ask("lookup", name), f"now good - {KEPT} |")
        return problems + expect("queries", SERVER.count(name), 2)


def test_a_lookup_that_fails():
    name = fresh("absent")
    with Resolver() as resolver:
        problems = expect("at first", resolver.ask("lookup", name), "wait")
        problems += expect("the wait", resolver.done.get(timeout=20), [name, "failed", "NXDOMAIN", "|"])
        return problems + expect("afterwards", resolver.ask("lookup", name), "now failed NXDOMAIN |")


def test_a_wait_has_a_bound():
    name = serve(Name(faults=["silent"]))
    second = Server("127.0.0.2").start()
    second.names[name] = SERVER.names[name]
    with Resolver("nameserver 127.0.0.1\nnameserver 127.0.0.2\n") as resolver:
        resolver.ask("lookup", name)
        # Before the lookup's own end, which comes when two servers have been asked twice: that it has failed.
        problems = expect("the wait", resolver.done.get(timeout=20), [name, "nothing"])
    second.stop()
    return problems


def test_a_wait_that_is_cancelled():
    gate = threading.Event()
    name = serve(Name(KEPT, wait=gate))
    with Resolver() as resolver:
        resolver.ask("lookup", name)
        resolver.ask("cancel", name)
        resolver.ask("lookup", name)
        resolver.ask("lookup", name)
        wait_until("the queries", lambda: SERVER.count(name) == 2)
        resolver.ask("cancel", name)
        gate.set()
        problems = expect("the last wait", resolver.done.get(timeout=20), [name, "good", "-", KEPT, "|"])
        resolver.until(name, "good")
        return problems + expect("other waits", resolver.done.qsize(), 0)


def test_names_on_demand_have_a_bound():
    names = [serve(Name(faults=["silent"])) for _ in range(4097)]
    wanted = serve(Name(KEPT))
    with Resolver() as resolver:
        for name in names:
            resolver.ask("lookup", name)
        problems = expect("the first that is over", resolver.done.get(timeout=20), [names[-1], "nothing"])
        resolver.want(wanted)
        return problems + expect("a name of the policy", resolver.until(wanted, "good"), f"good - {KEPT} |")


# --- memory

def fail_allocation(n, report):
    """Options for a resolver whose nth allocation fails; ASan's, too."""
    sanitizer = os.environ.get("ASAN_OPTIONS", "")
    return {"pass_fds": [report], "stderr": subprocess.PIPE, "env": {
        **os.environ, "LD_PRELOAD": os.path.abspath(f"{BUILD}/tests/fault/libfault.so"), "WEIR_FAULT_FD": str(report),
        "WEIR_FAIL_ALLOCATION": str(n), "ASAN_OPTIONS": f"{sanitizer}:verify_asan_link_order=0"}}


def live_without_memory(n, report, names, ends):
    """The nth allocation fails once: the resolver does not start, or it resolves all the same, a second later."""
    resolver = Resolver(**fail_allocation(n, report))
    try:
        wait_until("a policy", lambda: resolver.want(*names) == "ok")
        for name in names:
            resolver.until(name, "good")
        with resolver:
            ends["resolved"] += 1
    except (BrokenPipeError, AssertionError) as error:
        errors = resolver.process.communicate()[1]
        refused = resolver.process.returncode == 1 and re.search("memory|cannot start a thread", errors)
        if not refused and not SANITIZER_REFUSAL.search(errors):
            raise AssertionError(f"allocation {n}: exit {resolver.process.returncode}: {error!r} {errors}") from None
        ends["refused to start"] += 1
    return os.fstat(report).st_size > 0


def test_each_allocation_may_fail():
    names = [serve(Name(KEPT, "2001:db8::1")) for _ in range(3)]
    ends = {"resolved": 0, "refused to start": 0}
    n, report = 1, os.memfd_create("fault")
    while live_without_memory(n, report, names, ends):
        os.ftruncate(report, 0)
        n += 1
    os.close(report)
    print(f"# {n - 1} allocations: {ends}")
    return [] if all(ends.values()) else [str(ends)]


# --- the guard

def test_the_guard_against_private_answers():
    public = serve(Name("10.0.0.1", "203.0.113.5", "127.0.0.1", "fd00::1", "169.254.169.254"))
    only = serve(Name("10.0.0.1", "::1"))
    SERVER.names["rebind.example.com"] = SERVER.names[public]
    SERVER.names["only.example.com"] = SERVER.names[only]
    SERVER.names["db.internal"] = SERVER.names[only]
    names = ("rebind.example.com", "only.example.com", "db.internal")
    with Resolver() as resolver:
        resolver.want(*names)
        problems = expect("without", resolver.until("only.example.com", "good"), "good - 10.0.0.1 ::1 |")
        resolver.want(*names, guard="guard")
        problems += expect("what is left", resolver.until("rebind.example.com", "good - 203"),
                           "good - 203.0.113.5 | 10.0.0.1 127.0.0.1 169.254.169.254 fd00::1")
        problems += expect("nothing is left", resolver.until("only.example.com", "failed"), "failed private address |")
        return problems + expect("not public", resolver.until("db.internal", "good"), "good - 10.0.0.1 ::1 |")


def prepare():
    run("ip", "-n", SPACE, "link", "set", "lo", "up")
    harness.enter(SPACE)
    SERVER.start()


if __name__ == "__main__":
    with FOLDER:
        sys.exit(harness.main([SPACE], harness.named_tests(globals()), prepare))
