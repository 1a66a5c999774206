#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Limits of connections (connectionPool of a DestinationRule): of a single one's life, of those that are relayed, limits that
a reload changes while somebody waits, and all of them at once. TAP on stdout.
"""
import itertools
import re
import sys
import threading

import relay
from limits_world import HOST, TCP_ADDRESS, TCP_CLUSTER, Client, Limited, Slow, get, one, rule
from policy_world import COLUMNS, DIALLED, HttpOrigin, make_folder, read_head, response, service_entry, tcp_line
from relay import DEADLINE, Origin, connect, equal, receive, receive_all, reset, wait_for


# --- the life of a connection

def test_requests_of_a_connection(folder):
    """Whether one client asks or several."""
    with Limited(folder, "{http: {maxRequestsPerConnection: 2}}") as world, Slow() as origin:
        origin.go.release(100)
        with Client() as client:
            for number in range(5):
                equal("answer", client.ask(get(f"/{number}")).answer().status, 200)
        equal("connections", origin.connections, 3)
        wait_for("the odd one's second", lambda: world.ask(get("/x")).status == 200)
        for number in range(4):
            equal("answer", world.ask(get(f"/own{number}")).status, 200)
        equal("connections", origin.connections, 5)


def test_one_request_a_connection_while_others_wait(folder):
    """As Istio's task has it: maxRequestsPerConnection 1."""
    with Limited(folder, one(10, ", maxRequestsPerConnection: 1")) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(5)]
        origin.go.release(5)
        equal("answers", [client.answer().status for client in clients], [200] * 5)
        equal("connections", origin.connections, 5)
        world.expect_all_free()
        for client in clients:
            client.close()


def test_idle_upstream_connections_are_closed(folder):
    """In the pool, and where their client is still there."""
    for name, more in (("pooled", "http1MaxPendingRequests: 5, "), ("attached", "")):
        ended = threading.Event()

        def serve(sock, ended=ended):
            stream = sock.makefile("rb")
            while read_head(stream):
                sock.sendall(response(b"x"))
            ended.set()
        with Limited(make_folder(folder, name), f"{{http: {{{more}idleTimeout: 300ms}}}}"), Origin(80, serve), \
                Client(get()) as client:
            equal("answer", client.answer().status, 200)
            equal(f"end of what was {name}", ended.wait(DEADLINE), True)
            equal("another one", client.ask(get()).answer().status, 200)


def test_old_connections_carry_no_more_requests(folder):
    """One under way is not cut."""
    with Limited(folder, "{tcp: {maxConnectionDuration: 200ms}}") as world, Slow() as origin:
        with Client(get("/1")) as client:
            origin.wait_requests("/1")
            equal("a while later", threading.Event().wait(0.3), False)
            origin.go.release()
            equal("answer", client.answer().body, b"/1")
            origin.go.release()
            equal("next", client.ask(get("/2")).answer().body, b"/2")
            equal("connections", origin.connections, 2)
        equal("lines", [world.columns().group("status", "flags") for _ in range(2)], [("200", "-")] * 2)


# --- connections that are relayed

def tcp_world(folder, pool, http_pool="{tcp: {connectTimeout: 1s}}", **more):
    entry = service_entry("db.example", 5432, "TCP", "STATIC",
                          f"  addresses: [{TCP_ADDRESS}]\n  endpoints: [{{address: {TCP_ADDRESS}}}]\n")
    return Limited(folder, http_pool, db=entry, db_rule=rule(pool, "db.example", "db"),
                   **more)


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def dial_tcp():
    sock = connect(TCP_ADDRESS, 5432)
    sock.sendall(b"x")
    return sock


def relayed(**columns):
    return tcp_line(**{"cluster": TCP_CLUSTER, "dst": f"{TCP_ADDRESS}:5432", "upstream": f"{TCP_ADDRESS}:5432", "local": "LOCAL",
                       **columns})


def test_relayed_connections(folder):
    """One too many is reset. What has ended makes room."""
    for workers in (1, 2):
        with tcp_world(make_folder(folder, str(workers)), "{tcp: {maxConnections: 3}}", workers=workers) as world, \
                Origin(5432, echo):
            held = [dial_tcp() for _ in range(3)]
            equal("echo", [receive(sock, 1) for sock in held], [b"x"] * 3)
            for _ in range(4):
                world.expect_refused(b"x", TCP_ADDRESS, 5432)
                world.expect(relayed(flags="UO", upstream="-", local="-"))
            held.pop().close()
            world.expect(relayed(rx=1, tx=1))
            held.append(dial_tcp())
            equal("in its place", receive(held[-1], 1), b"x")
            for sock in held:
                reset(sock)
            wait_for("no connection", lambda: world.counters(TCP_CLUSTER)["cx_active"] == 0)
            equal("refused", world.counters(TCP_CLUSTER)["cx_overflow"], 4)


def test_relayed_connections_that_are_refused_count_no_more(folder):
    with tcp_world(folder, "{tcp: {maxConnections: 1}}") as world:
        for _ in range(3):
            world.expect_refused(b"x", TCP_ADDRESS, 5432)
            world.expect(relayed(flags="UF,URX", failure="delayed_connect_error:_Connection_refused", local="-"))
        equal("connections", world.counters(TCP_CLUSTER)["cx_active"], 0)


def test_a_relayed_connection_s_duration(folder):
    """Whatever it does meanwhile. Both sides see an end."""
    ended = threading.Event()

    def serve(sock):
        echo(sock)
        ended.set()
    with tcp_world(folder, "{tcp: {maxConnectionDuration: 700ms}}") as world, Origin(5432, serve), dial_tcp() as sock:
        equal("echo", receive(sock, 1), b"x")
        equal("end", receive_all(sock), b"")
        equal("the origin's", ended.wait(DEADLINE), True)
        world.expect(relayed(flags="DT", rx=1, tx=1))


def test_a_relayed_connection_s_idleness(folder):
    """What passes puts it off."""
    with tcp_world(folder, "{tcp: {idleTimeout: 500ms}}") as world, Origin(5432, echo), dial_tcp() as sock:
        for _ in range(4):
            equal("echo", receive(sock, 1), b"x")
            equal("a while later", threading.Event().wait(0.3), False)
            sock.sendall(b"x")
        equal("end", receive_all(sock), b"x")
        world.expect(relayed(rx=5, tx=5))


def test_idleness_without_a_limit(folder):
    """Zero is none, which at least does not end what is idle now."""
    with tcp_world(folder, "{tcp: {idleTimeout: 0s}}"), Origin(5432, echo), dial_tcp() as sock:
        equal("echo", receive(sock, 1), b"x")
        equal("a while later", threading.Event().wait(1.5), False)
        sock.sendall(b"y")
        equal("echo", receive(sock, 1), b"y")


def test_keepalive(folder):
    """As ss(8) shows the upstream's socket: of a relayed connection, and of a request's."""
    pool = "{tcp: {tcpKeepalive: {time: 77s, interval: 11s, probes: 4}}}"
    with tcp_world(folder, pool, http_pool=pool) as world, Origin(5432, echo), Slow() as origin, dial_tcp() as sock:
        def timers(port):
            text = world.run("ss", "-tnoH", "dport", "=", f":{port}", "src", "10.77.0.2", capture_output=True, text=True).stdout
            return re.findall(r"timer:\(keepalive,(\S+?),", text)
        equal("echo", receive(sock, 1), b"x")
        wait_for("the relayed one's timer", lambda: any(timer.startswith("1min") for timer in timers(5432)))
        origin.go.release()
        equal("answer", world.ask(get()).status, 200)
        wait_for("a request's", lambda: any(timer.startswith("1min") for timer in timers(80)))


# --- reloads

def test_a_reload_raises_the_limit_while_some_wait(folder):
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        world.apply("rule", rule("{tcp: {maxConnections: 3}}"))
        world.wait_count("rq_active", 3)
        equal("others wait", world.count("cx_active", "rq_pending_active"), (3, 2))
        world.apply("rule", rule(one(1)))
        world.wait_count("max_connections", 1)
        equal("refused under the new limit", world.ask(get("/5")).status, 503)
        origin.go.release(5)
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(5)])
        equal("connections", origin.connections, 3)
        for client in clients:
            client.close()


def test_a_reload_takes_the_limit_away_while_some_wait(folder):
    """And sets it again: the connections that are there count."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        world.delete("rule")
        origin.wait_requests(*(f"/{number}" for number in range(5)))
        equal("connections", origin.connections, 5)
        world.apply("rule", rule(one(1)))
        wait_for("limits", lambda: world.counters().get("cx_active") == 5)
        equal("under way", world.count("rq_pending_active", "rq_active"), (0, 5))
        origin.go.release(5)
        equal("answers", [client.answer().status for client in clients], [200] * 5)
        world.expect_all_free(connections=5)
        for client in clients:
            client.close()


def test_a_reload_sets_limits(folder):
    """For connections that were there before, too, when they carry a request: of a client that is there still, or in the pool."""
    for name in ("attached", "pooled"):
        with Limited(make_folder(folder, name), "{tcp: {connectTimeout: 1s}}") as world, Slow() as origin, \
                Client(get("/0")) as before, Client() as after:
            origin.go.release()
            equal("before", before.answer().status, 200)
            if name == "pooled":
                before.close()
                world.settle()
            world.apply("rule", rule(one(1)))
            wait_for("limits", world.counters)
            first = before if name == "attached" else Client()
            first.ask(get("/1"))
            origin.wait_requests("/0", "/1")
            equal("counted", world.count("cx_active", "rq_active"), (1, 1))
            after.ask(get("/2"))
            world.wait_count("rq_pending_active", 1)
            origin.go.release(2)
            equal("answers", (first.answer().status, after.answer().status), (200, 200))
            equal("connections", origin.connections, 1)
            first.close()


def test_limits_that_change_under_load(folder):
    """Every request is answered, by the origin or with a refusal, and nothing stays counted."""
    pools = ["{tcp: {maxConnections: 1}}", "{tcp: {maxConnections: 7}, http: {http2MaxRequests: 3}}", "{tcp: {connectTimeout: 3s}}",
             "{http: {http1MaxPendingRequests: 2, maxRequestsPerConnection: 3, idleTimeout: 10ms}}",
             "{tcp: {maxConnections: 2, maxConnectionDuration: 100ms}, http: {maxRetries: 1}}"]
    over = threading.Event()
    with Limited(folder, one(5), workers=2) as world, HttpOrigin(80, lambda _: response(b"x")):
        def change():
            for pool in itertools.cycle(pools):
                world.apply("rule", rule(pool))
                if over.wait(0.3):
                    return
        thread = threading.Thread(target=change)
        thread.start()
        try:
            wrk = world.run("wrk", "-t1", "-c20", "-d5s", "-H", f"Host: {HOST}", f"http://{DIALLED}/", capture_output=True, text=True)
        finally:
            over.set()
            thread.join()
        requests = re.search(r"(\d+) requests in", wrk.stdout)
        equal("wrk", (wrk.returncode, requests is not None and int(requests[1]) > 100, "Socket errors" in wrk.stdout), (0, True, False))
        world.apply("rule", rule(one()))
        world.wait_count("max_connections", 1)
        world.expect_all_free(connections=None)
        statuses = {line["status"] for line in map(COLUMNS.fullmatch, world.raw_lines()) if line["flags"] not in ("DC", "UH")}
        equal(f"statuses {statuses}", statuses <= {"200", "503"}, True)
        equal("afterwards", world.ask(get()).status, 200)


def test_a_drain_serves_those_who_wait(folder):
    world = Limited(folder, one(10), arguments=("--drain-time", "20"))
    with world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 4)]
        world.wait_count("rq_pending_active", 3)
        world.proxy.process.terminate()
        wait_for("the drain", lambda: not world.proxy.is_ready())
        origin.go.release(4)
        equal("answers", [client.answer().status for client in clients], [200] * 4)
        for client in clients:
            client.close()


# --- all of it

def test_many_at_once(folder):
    """Clients that ask, wait, go away and are refused, over two workers, with an origin that closes now and then."""
    numbers = itertools.count()

    def serve(sock):
        stream = sock.makefile("rb")
        while read_head(stream):
            number = next(numbers)
            if number % 17 == 3:
                return
            if number % 11 == 5:
                reset(sock)
                return
            sock.sendall(response(b"x"))
    pool = "{tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 5, http2MaxRequests: 4, maxRetries: 1, maxRequestsPerConnection: 7}}"
    statuses, trouble = set(), []

    def client(seed, world):
        try:
            for number in range(40):
                with Client(get(f"/{seed}/{number}")) as asking:
                    if (seed + number) % 5 == 0:
                        asking.reset()
                        continue
                    statuses.add(asking.answer().status)
                    if number % 3 == 0:
                        statuses.add(asking.ask(get("/again")).answer().status)
        except Exception as error:  # whatever it was
            trouble.append(repr(error))
    with Limited(folder, pool, workers=2) as world, Origin(80, serve):
        threads = [threading.Thread(target=client, args=(seed, world)) for seed in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal("trouble", trouble, [])
        equal("statuses", statuses <= {200, 503}, True)
        wait_for("the end of all", lambda: world.count("rq_pending_active", "rq_active", "rq_retry_active") == (0, 0, 0))
        equal("connections", world.count("cx_active")[0] <= 4, True)
        equal("and it goes on", {world.ask(get()).status for _ in range(20)} <= {200, 503}, True)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
