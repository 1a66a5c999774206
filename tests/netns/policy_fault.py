#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The policy's proxy where something runs out, memory at every single allocation and descriptors; and its end while clients
hold their connections. TAP on stdout.
"""
import os
import re
import signal
import socket
import sys
import threading

import relay
from nameserver import Name
from policy_world import DIALLED, HttpOrigin, World, echo, read_answer, service_entry, start_name_server, virtual_service
from proxy_fault import expect_refusal, preload
from relay import Proxy, connect, equal, receive_all, wait_for

ADDRESS, HOST, OTHER = "10.1.1.1", "origin.example", "other.example"
# More allocations than the scenario has; it is over when one more did not fail.
ALLOCATION_MAX = 2000
# Every so many of those that a start has; behind it, each.
STRIDE = 5
# Enough for a start and some twenty clients.
DESCRIPTORS = 45
ROUTES = f"""  - match: [{{uri: {{prefix: /old}}}}]
    rewrite: {{uri: /new}}
    headers: {{request: {{set: {{x-a: b}}}}, response: {{add: {{x-c: d}}}}}}
    retries: {{attempts: 1, retryOn: 5xx}}
    route: [{{destination: {{host: {HOST}}}}}]
  - route: [{{destination: {{host: {HOST}}}}}]
"""
# A circuit, which has room for all of them.
LIMITS = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: pool}}
spec: {{host: {HOST}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 9}}, http: {{maxRetries: 9}}}}}}}}
"""


def request(path, host=HOST, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def use_all_memory():
    """A session with routes, an unknown name, a large head, a body, pipelining; a blocked server name; a plain flow."""
    for data in (request("/old/x") + request("/") + request("/", OTHER), request("/", more=f"X: {'y' * 20000}\r\n"),
                 b"POST / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                 b"junk\r\n\r\n"):
        try:
            with connect(DIALLED, 80) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                receive_all(sock)
        except OSError:
            pass  # this connection had no memory


def test_no_memory(folder):
    """An allocation fails: the proxy does not start and says so, or it goes on, and serves who comes afterwards."""
    report, problems = os.memfd_create("fault"), []
    ends = {"refused to start": 0, "served": 0}
    os.mkdir(f"{folder}/config")
    for name, text in (("config/a.yaml", service_entry(HOST)), ("config/b.yaml", virtual_service(HOST, ROUTES)), ("config/c.yaml", LIMITS),
                       ("mesh.yaml", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"), ("resolv.conf", "nameserver 10.53.0.53\n")):
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    os.chmod(f"{folder}/config", 0o755)
    server = wait_for("the name server's port", start_name_server)
    server.names = {HOST: Name(ADDRESS, ttl=3600)}
    n = 1
    with HttpOrigin():
        while n < ALLOCATION_MAX:
            os.ftruncate(report, 0)
            try:
                proxy = Proxy(folder, "--drain-time", "1", "--mesh-config", f"{folder}/mesh.yaml", "--config-dir",
                              f"{folder}/config", "--resolv-conf", f"{folder}/resolv.conf", pass_fds=[report], must_start=False,
                              environment={**preload(report), "WEIR_FAIL_ALLOCATION": str(n)})
                if proxy.process.poll() is None:
                    use_all_memory()
                    wait_for("service", lambda: serves(proxy))
                    proxy.end(r"(weir-proxy: .*\n)*")
                    ends["served"] += 1
                else:
                    expect_refusal(proxy.process)
                    ends["refused to start"] += 1
            except Exception as error:
                errors = proxy.process.communicate()[1] if proxy.process.poll() is not None and not proxy.process.stderr.closed \
                    else ""
                problems.append(f"allocation {n}: {error!r} {errors[:3000]}")
            finally:
                if proxy.process.poll() is None:
                    proxy.process.kill()
                    proxy.process.wait()
            if os.fstat(report).st_size == 0:
                break
            n += 1 if ends["served"] else STRIDE
    server.stop()
    os.close(report)
    if n >= ALLOCATION_MAX or 0 in ends.values():
        problems.append(f"{n} allocations, {ends}")
    print(f"# up to allocation {n}: {ends}")
    return problems


def serves(proxy):
    """Whatever failed, it failed once. What the memory was for, such as a resource, may be missing until it is reread."""
    if proxy.process.poll() is not None:
        raise AssertionError(f"it ended with {proxy.process.returncode}")
    try:
        with connect(DIALLED, 80) as sock:
            sock.sendall(request("/"))
            answer = read_answer(sock.makefile("rb"))
            return answer is not None and answer.status == 200
    except OSError:
        return False


def test_descriptors_run_out(folder):
    """One warning, nobody is reset, and everybody is served in the end; so are those whose upstream found none."""
    with World(folder, "REGISTRY_ONLY", {HOST: ADDRESS}, descriptors=DESCRIPTORS, origin=service_entry(HOST)) as world, \
            HttpOrigin() as origin:
        equal("before", world.ask(request("/")).status, 200)
        socks = [connect(DIALLED, 80) for _ in range(60)]
        for number, sock in enumerate(socks):
            sock.sendall(request(f"/{number}", more="Connection: close\r\n"))
        statuses = []
        for sock in socks:
            statuses.append(int(receive_all(sock).split()[1]))
            sock.close()
        equal("answers", set(statuses) <= {200, 503}, True)
        equal("readiness", world.proxy.is_ready(), True)
        wait_for("the descriptors to come back", lambda: world.ask(request("/")).status == 200)
        equal("some were served", len(origin.requests) > 2, True)
        world.proxy.end(r"(weir-proxy: cannot accept connections for now: Too many open files\n)?")
        raise_nothing(world)


def raise_nothing(world):
    """The world's proxy has ended as it should."""
    world.proxy.end = lambda *_: None


def test_a_drain_ends_kept_connections(folder):
    """A request under way gets its answer, which says that it is the last; idle connections end; new ones are refused."""
    go = threading.Event()

    def think(asked):
        if asked.path == "/slow":
            go.wait()
        return echo(asked)
    with World(folder, "REGISTRY_ONLY", {HOST: ADDRESS}, origin=service_entry(HOST)) as world, HttpOrigin(80, think) as origin:
        idle, busy = connect(DIALLED, 80), connect(DIALLED, 80)
        stream = busy.makefile("rb")
        for sock, reader in ((idle, idle.makefile("rb")), (busy, stream)):
            sock.sendall(request("/"))
            answer = read_answer(reader)
            equal("kept", (answer.status, "connection: close" in answer.headers), (200, False))
        busy.sendall(request("/slow"))
        wait_for("the slow request", lambda: len(origin.requests) == 3)
        world.proxy.process.send_signal(signal.SIGTERM)
        equal("the idle one ends", receive_all(idle), b"")
        go.set()
        answer = read_answer(stream)
        equal("the last answer", (answer.status, "connection: close" in answer.headers), (200, True))
        equal("and the end", stream.read(), b"")
        world.proxy.wait(r"(weir-proxy: (warning|notice): .*\n)*")
        equal("lines", len(world.raw_lines()), 3)
        raise_nothing(world)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
