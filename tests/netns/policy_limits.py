#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Limits of all connections to a destination (connectionPool of a DestinationRule): who waits for one, who is refused, whose
turn it is when one comes free, and that nothing stays counted. TAP on stdout.

The status codes, flags and columns are those that Envoy 1.40 was seen to give with the same limits.
"""
import socket
import sys
import threading

import relay
from limits_world import (ADDRESS, CLUSTER, HOST, OTHER_ADDRESS, OVERFLOW, OVERFLOWN, REASON, Client, FullPort, Limited, Slow,
                          get, one, rule)
from policy_world import HttpOrigin, TlsOrigin, http_line, make_folder, read_head, response, service_entry, virtual_service
from relay import Origin, equal, receive_all, reset, wait_for


# --- connections and those who wait for them

def test_one_connection_and_one_that_waits(folder):
    """Istio's task "Circuit breaking": one is served, one waits, the third is refused. Then the counters are at zero."""
    with Limited(folder, one(1)) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as second, Client() as third:
            origin.wait_requests("/1")
            second.ask(get("/2"))
            world.wait_count("rq_pending_active", 1)
            answer = third.ask(get("/3")).answer()
            equal("refused", (answer.headers, answer.body), (OVERFLOW, REASON))
            world.expect(http_line("GET /3 HTTP/1.1", HOST, route="default", **OVERFLOWN))
            equal("in use", world.count("cx_active", "rq_pending_active", "rq_active", "rq_pending_overflow"), (1, 1, 1, 1))
            # The refused client's connection goes on.
            equal("again", third.ask(get("/4")).answer().status, 503)
            equal("a while later", threading.Event().wait(0.2), False)
            origin.go.release()
            equal("first", first.answer().body, b"/1")
            origin.wait_requests("/1", "/2")
            origin.go.release()
            equal("second", second.answer().body, b"/2")
            equal("connections", origin.connections, 1)
            lines = [world.columns() for _ in range(3)]
            equal("flags", [line.group("status", "flags") for line in lines], [("503", "UO"), ("200", "-"), ("200", "-")])
            # As in Envoy, the service's time is all that passes from the whole request to the answer.
            equal("service", int(lines[2]["service"]) >= 200, True)
        world.expect_all_free(connections=1)


def test_limits_are_told(folder):
    with Limited(folder, "{tcp: {maxConnections: 7}, http: {http1MaxPendingRequests: 6, http2MaxRequests: 5}}") as world:
        equal("limits", world.count("max_connections", "max_pending_requests", "max_requests", "max_retries"), (7, 6, 5, 2**32 - 1))
        world.apply("rule", rule("{tcp: {connectTimeout: 1s}, http: {maxRequestsPerConnection: 1}}"))
        wait_for("no limits", lambda: world.counters() == {})


def test_turns_are_in_order(folder):
    """Of several that wait, on connections of their own and with a client that asks again and again."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        for number in range(1, 5):
            clients.append(Client(get(f"/{number}")))
            world.wait_count("rq_pending_active", number)
        # Who has had its turn goes to the end, also with a request that has been sent already.
        clients[0].ask(get("/again"))
        for number, client in enumerate(clients):
            origin.go.release()
            equal("answer", client.answer().body, f"/{number}".encode())
        origin.go.release()
        equal("the first again", clients[0].answer().body, b"/again")
        equal("order", origin.requests, ["/0", "/1", "/2", "/3", "/4", "/again"])
        equal("connections", origin.connections, 1)
        world.expect_all_free(connections=1)
        for client in clients:
            client.close()


def test_pending_is_also_who_dials(folder):
    """Nobody answers the dial: one waits for it, and no other may."""
    with Limited(folder, "{tcp: {connectTimeout: 300s}, http: {http1MaxPendingRequests: 1}}") as world, FullPort():
        with Client(get("/1")) as first:
            world.wait_count("rq_pending_active", 1)
            equal("refused", world.ask(get("/2")).headers, OVERFLOW)
            world.expect(http_line("GET /2 HTTP/1.1", HOST, route="default", **OVERFLOWN))
            first.reset()
            world.expect_all_free()


def test_several_connections(folder):
    """Two of them, each carrying what it can."""
    with Limited(folder, "{tcp: {maxConnections: 2}}") as world, Slow() as origin:
        clients = [Client(get("/0")), Client(get("/1"))]
        origin.wait_requests("/0", "/1")
        clients += [Client(get(f"/{number}")) for number in range(2, 6)]
        world.wait_count("rq_pending_active", 4)
        for _ in clients:
            origin.go.release()
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(6)])
        equal("connections", origin.connections, 2)
        world.expect_all_free(connections=2)
        for client in clients:
            client.close()


def test_workers_share_the_limit(folder):
    """Each has one connection if it needs one, as in Envoy; beyond that the limit is that of all."""
    with Limited(folder, one(100), workers=2) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(40)]
        wait_for("the others to wait", lambda: sum(world.count("rq_pending_active", "rq_active")) == 40 and
                 world.count("rq_pending_active")[0] == 40 - len(origin.requests))
        equal("connections", world.count("cx_active")[0] in (1, 2), True)
        equal("of the origin", origin.connections, world.count("cx_active")[0])
        for _ in clients:
            origin.go.release()
        equal("answers", [client.answer().body for client in clients], [f"/{number}".encode() for number in range(40)])
        equal("paths", sorted(origin.requests), sorted(f"/{number}" for number in range(40)))
        for client in clients:
            client.close()
        world.expect_all_free(connections=origin.connections)


def test_workers_share_what_is_pending(folder):
    with Limited(folder, one(3), workers=2) as world, Slow() as origin:
        clients = []
        for number in range(1, 31):
            clients.append(Client(get("/")))
            # Who dials is pending, too, but not for long.
            wait_for(f"{number} of them", lambda number=number:
                     sum(world.count("rq_pending_active", "rq_active", "rq_pending_overflow")) == number and
                     world.count("cx_active", "rq_active") == (len(origin.requests), len(origin.requests)))
        pending, active = world.count("rq_pending_active", "rq_active")
        equal("pending", pending, 3)
        equal("active", active in (1, 2), True)
        for _ in range(pending + active):
            origin.go.release()
        statuses = sorted(client.answer().status for client in clients)
        equal("statuses", statuses, [200] * (pending + active) + [503] * (30 - pending - active))
        for client in clients:
            client.close()


def test_clients_that_go_while_they_wait(folder):
    """Before their turn, and just when it comes: it is the next one's."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as last:
            origin.wait_requests("/1")
            gone = [Client(get(f"/gone{number}")) for number in range(3)]
            world.wait_count("rq_pending_active", 3)
            last.ask(get("/last"))
            world.wait_count("rq_pending_active", 4)
            gone[1].reset()
            world.wait_count("rq_pending_active", 3)
            equal("line", world.columns().group("status", "flags", "details", "upstream"),
                  ("0", "DC", "downstream_remote_disconnect", "-"))
            gone[0].reset()
            gone[2].reset()
            origin.go.release()
            equal("first", first.answer().body, b"/1")
            # One that went may just have got its turn.
            for _ in range(3):
                origin.go.release()
            equal("last", last.answer().body, b"/last")
        world.expect_all_free(connections=None)


def test_a_route_s_timeout_passes_while_it_waits(folder):
    routes = virtual_service(HOST, f"""
  - match: [{{uri: {{prefix: /short}}}}]
    timeout: 300ms
    route: [{{destination: {{host: {HOST}}}}}]
  - route: [{{destination: {{host: {HOST}}}}}]
""")
    with Limited(folder, one(10), routes=routes) as world, Slow() as origin:
        with Client(get("/1")) as first, Client() as short, Client() as last:
            origin.wait_requests("/1")
            short.ask(get("/short"))
            world.wait_count("rq_pending_active", 1)
            last.ask(get("/last"))
            answer = short.answer()
            equal("answer", (answer.status, answer.body), (504, b"upstream request timeout"))
            world.expect(http_line("GET /short HTTP/1.1", HOST, status=504, flags="UT", details="response_timeout", tx=24,
                                   service="-", local="-", cluster=CLUSTER))
            world.wait_count("rq_pending_active", 1)
            # Its own connection is still good for another request, which waits behind the last one.
            short.ask(get("/again"))
            origin.go.release(2)
            equal("first", first.answer().body, b"/1")
            equal("last", last.answer().body, b"/last")
            origin.go.release()
            equal("again", short.answer().body, b"/again")
        world.expect_all_free(connections=1)


def test_an_origin_that_closes_while_others_wait(folder):
    """With its answer, without one, and with a reset: the next one dials."""
    def misbehave(sock):
        stream = sock.makefile("rb")
        path = read_head(stream).split()[1].decode()
        go.acquire()
        if path == "/reset":
            reset(sock)
        elif path != "/end":
            sock.sendall(response(path.encode(), "200 OK", "Connection: close"))
    go = threading.Semaphore(0)
    with Limited(folder, one(10)) as world, Origin(80, misbehave):
        clients = []
        for number, path in enumerate(("/1", "/end", "/2", "/reset", "/3")):
            clients.append(Client(get(path)))
            wait_for(path, lambda number=number: world.count("rq_active", "rq_pending_active") == (1, number))
        go.release(5)
        equal("answers", [client.answer().status for client in clients], [200, 503, 200, 503, 200])
        equal("flags", [world.columns()["flags"] for _ in clients], ["-", "UC", "-", "UC", "-"])
        world.expect_all_free()
        for client in clients:
            client.close()


def test_an_origin_that_says_too_much_while_others_wait(folder):
    """What nobody asked for is not the next one's answer."""
    with Limited(folder, one(10)) as world, Slow() as origin:
        origin.tail = response(b"poison")
        clients = [Client(get("/0"))]
        origin.wait_requests("/0")
        clients += [Client(get(f"/{number}")) for number in range(1, 5)]
        world.wait_count("rq_pending_active", 4)
        origin.go.release(10)
        equal("answers", sorted(client.answer().body for client in clients), [f"/{number}".encode() for number in range(5)])
        for client in clients:
            client.close()


def test_a_dial_that_fails_fails_all_that_wait(folder):
    """As they would one after the other; without retries, which the default has."""
    routes = virtual_service(HOST, f"  - retries: {{attempts: 0}}\n    route: [{{destination: {{host: {HOST}}}}}]\n")
    pool = "{tcp: {maxConnections: 1, connectTimeout: 2s}}"
    with Limited(folder, pool, routes=routes) as world, FullPort():
        # More of them than could time out one after the other before the test gives up waiting for their lines.
        clients = [Client(get("/")) for _ in range(12)]
        world.wait_count("rq_pending_active", 12)
        line = http_line("GET / HTTP/1.1", HOST, status=503, flags="UF", tx=91, service="-", local="-", cluster=CLUSTER,
                         details="upstream_reset_before_response_started{connection_timeout}", upstream=f"{ADDRESS}:80")
        world.expect(*[line] * 12)
        answers = [client.answer() for client in clients]
        equal("answers", {(answer.status, b"reset reason: connection timeout" in answer.body) for answer in answers}, {(503, True)})
        world.expect_all_free()
        for client in clients:
            client.close()


def test_refused_while_others_wait(folder):
    """Each is told why, and each may try again: then the origin is there."""
    with Limited(make_folder(folder, "refused"), one(10)) as world:
        clients = [Client(get(f"/{number}")) for number in range(5)]
        equal("answers", {client.answer().status for client in clients}, {503})
        equal("lines", {world.columns().group("flags", "failure") for _ in clients},
              {("URX,UF", "delayed_connect_error:_Connection_refused")})
        world.expect_all_free()
        for client in clients:
            client.close()


def test_addresses_have_connections_of_their_own(folder):
    """Of a name with two addresses, each may have one, since a request for the one cannot wait for the other."""
    names = {HOST: f"{ADDRESS} {OTHER_ADDRESS}"}
    with Limited(folder, one(10), names) as world, Slow() as origin:
        clients = [Client(get(f"/{number}")) for number in range(2)]
        origin.wait_requests("/0", "/1")
        equal("connections", world.count("cx_active"), (2,))
        clients += [Client(get(f"/{number}")) for number in range(2, 6)]
        world.wait_count("rq_pending_active", 4)
        origin.go.release(6)
        equal("answers", [client.answer().status for client in clients], [200] * 6)
        equal("connections", origin.connections, 2)
        for client in clients:
            client.close()


def test_bodies_wait_too(folder):
    """What has come of a request's body is kept meanwhile, and what has not is left with the client."""
    body = bytes(range(256)) * 2000
    head = f"POST /body HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    seen = []

    def answer(request):
        seen.append((request.path, len(request.body), request.body == body))
        go.acquire()
        return response(b"ok")
    go = threading.Semaphore(0)
    with Limited(folder, one(10)) as world, HttpOrigin(80, answer), Client(get("/1")) as first, Client() as second:
        wait_for("the first", lambda: len(seen) == 1)
        sender = threading.Thread(target=second.ask, args=(head + body,))
        sender.start()
        world.wait_count("rq_pending_active", 1)
        go.release(2)
        equal("answers", (first.answer().status, second.answer().status), (200, 200))
        sender.join()
        equal("body", seen[1], ("/body", len(body), True))


def test_tunnels_keep_their_connection(folder):
    """A websocket's is the one connection until its end."""
    def switch(sock):
        stream = sock.makefile("rb")
        while head := read_head(stream):
            if b"upgrade: websocket" not in head.lower():
                sock.sendall(response(b"plain"))
                continue
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            sock.sendall(stream.read(4).upper())
            receive_all(sock)
            return
    upgrade = get("/ws")[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with Limited(folder, one(10)) as world, Origin(80, switch), Client(upgrade) as tunnel, Client() as plain:
        equal("switch", tunnel.answer().status, 101)
        tunnel.sock.sendall(b"abcd")
        equal("through it", tunnel.stream.read(4), b"ABCD")
        plain.ask(get("/plain"))
        world.wait_count("rq_pending_active", 1)
        tunnel.sock.shutdown(socket.SHUT_WR)
        equal("then", plain.answer().body, b"plain")
        world.expect_all_free(connections=1)


def test_tls_that_the_proxy_begins(folder):
    """The same with connections that are there only after a handshake."""
    certificate_rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pool}
spec:
  host: a.example
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, caCertificates: %s}, connectionPool: {tcp: {maxConnections: 1}}}]
"""
    entry = service_entry("a.example").replace("number: 80", "number: 80, targetPort: 443")
    with TlsOrigin(folder, "a.example") as tls, \
            Limited(folder, "{tcp: {maxConnections: 1}}", {"a.example": ADDRESS}, tls=entry,
                    rule=certificate_rule % tls.certificate) as world:
        data = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        clients = [Client(data) for _ in range(10)]
        equal("answers", {client.answer().status for client in clients}, {200})
        counters = world.counters("outbound|80||a.example")
        equal("connections", (counters["cx_active"], counters["rq_pending_active"], counters["rq_active"]), (1, 0, 0))
        for client in clients:
            client.close()


# --- requests, retries

def test_requests_under_way(folder):
    """The host has been chosen by then, as the line shows."""
    with Limited(folder, "{http: {http2MaxRequests: 2}}") as world, Slow() as origin:
        clients = [Client(get("/0")), Client(get("/1"))]
        origin.wait_requests("/0", "/1")
        answer = world.ask(get("/2"))
        equal("refused", (answer.headers, answer.body), (OVERFLOW, REASON))
        world.expect(http_line("GET /2 HTTP/1.1", HOST, route="default", **{**OVERFLOWN, "upstream": f"{ADDRESS}:80"}))
        origin.go.release(2)
        equal("answers", [client.answer().status for client in clients], [200, 200])
        world.expect_all_free(connections=3)
        # The connection that found no room carries the next one.
        for number in range(5):
            origin.go.release()
            equal("later", world.ask(get(f"/later{number}")).status, 200)
        equal("connections", origin.connections, 3)
        for client in clients:
            client.close()


def test_retries_at_once(folder):
    """The second of two that want one goes without; its flag stands beside what its answer has."""
    routes = virtual_service(HOST, f"  - retries: {{attempts: 2, retryOn: 5xx}}\n    route: [{{destination: {{host: {HOST}}}}}]\n")
    go = threading.Semaphore(0)
    tries = []

    def answer(request):
        tries.append(request.path)
        if request.value("x-envoy-attempt-count") != "1":
            go.acquire()
            return begin
        return response(b"bad", "500 Internal Server Error") if request.path != "/closed" else None

    def begin(sock):
        sock.sendall(response(b"fine")[:-2])
        rest.acquire()
        sock.sendall(b"ne")
    rest = threading.Semaphore(0)
    with Limited(folder, "{http: {maxRetries: 1}}", routes=routes) as world, HttpOrigin(80, answer):
        with Client(get("/first")) as first:
            world.wait_count("rq_retry_active", 1)
            wait_for("the second try", lambda: tries.count("/first") == 2)
            equal("answer", (world.ask(get("/second")).body, tries.count("/second")), (b"bad", 1))
            world.expect(http_line("GET /second HTTP/1.1", HOST, status=500, flags="UO", tx=3, cluster=CLUSTER,
                                   upstream=f"{ADDRESS}:80"))
            # One that may not be repeated: it would get another connection otherwise, which is no retry.
            equal("closed", world.ask(get("/closed", "POST")).status, 503)
            equal("line", world.columns().group("status", "flags", "details"),
                  ("503", "UO,UC", "upstream_reset_before_response_started{connection_termination}"))
            equal("refused", world.count("rq_retry_overflow"), (2,))
            go.release()
            # It is none any more when its answer has begun.
            world.wait_count("rq_retry_active", 0)
            equal("under way", world.count("rq_active"), (1,))
            rest.release()
            equal("first", first.answer().body, b"fine")
        world.expect_all_free(connections=None)
        go.release()
        rest.release()
        equal("now there is room", world.ask(get("/third")).body, b"fine")


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
