#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
How weir-proxy begins, is asked, drains and ends: the status ports, the admin socket, metrics, and what its threads may do.
TAP on stdout.
"""
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading

import harness
import relay
from harness import BUILD, enter, run
from relay import DEADLINE, OUTSIDE, POD, V4, V6, Origin, Proxy, connect, echo_upper, equal, expect_reset, one_line, \
    receive_all, wait_for


def ask(port, request="GET /stats/prometheus"):
    """The status and the body of an answer on one of the status ports, or on the admin socket of this path."""
    if isinstance(port, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        sock.connect(port)
    else:
        sock = connect("127.0.0.1", port)
    with sock:
        sock.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = receive_all(sock).partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def metrics():
    """{(name, {label: value} as sorted pairs): value}"""
    status, body = ask(15090)
    equal("status", status, 200)
    samples = {}
    for line in body.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\d+)", line).groups()
        pairs = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels or "")
        samples[name, tuple(sorted(pairs))] = int(value)
    return samples


def of(samples, name, destination=None, flags=None):
    """The sum of the samples of a metric, for a destination and with these flags."""
    return sum(value for (metric, labels), value in samples.items()
               if metric == name and (destination is None or dict(labels)["destination_service"] == destination) and
               (flags is None or dict(labels)["response_flags"] == flags))


def exchange(text, address=V4, port=9000):
    """Sends, ends, and returns what comes back."""
    with connect(address, port) as sock:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        return receive_all(sock)


def request(host, path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


# --- metrics

def test_metrics_by_name(folder):
    proxy = Proxy(folder)
    with Origin(9000, echo_upper):
        exchange(request("One.Example:80"))
        exchange(request("one.example"), V6)
        exchange(b"opaque")
        expect_reset(V4, 9)
        proxy.wait_lines(4)
        with connect(V4, 9000) as sock:
            sock.sendall(request("open.example"))
            wait_for("an open connection", lambda: of(metrics(), "istio_tcp_received_bytes_total", "open.example") > 0)
            samples = metrics()
            equal("active", samples["weir_connections_active", ()], 1)
            equal("opened", of(samples, "istio_tcp_connections_opened_total", "open.example"), 1)
            equal("closed", of(samples, "istio_tcp_connections_closed_total", "open.example"), 0)
        proxy.wait_lines(5)
    samples = metrics()
    for name, destination, flags, value in (
            ("istio_tcp_connections_opened_total", "one.example", "-", 2), ("istio_tcp_connections_closed_total", "one.example", "-", 2),
            ("istio_tcp_connections_opened_total", "unknown", "-", 2), ("istio_tcp_connections_closed_total", "unknown", "-", 1),
            ("istio_tcp_connections_closed_total", "unknown", "UF,URX", 1),
            ("istio_tcp_received_bytes_total", "one.example", "-", 2 * len(request("one.example")) + 3),
            ("istio_tcp_sent_bytes_total", "one.example", "-", 2 * len(request("one.example")) + 3),
            ("istio_tcp_sent_bytes_total", "unknown", "-", 6), ("istio_tcp_connections_closed_total", None, None, 5)):
        equal(f"{name} {destination} {flags}", of(samples, name, destination, flags), value)
    equal("active", samples["weir_connections_active", ()], 0)
    labels = dict(next(labels for name, labels in samples if name == "istio_tcp_sent_bytes_total"))
    equal("labels", (labels["reporter"], labels["destination_service_name"], labels["request_protocol"]),
          ("source", "PassthroughCluster", "tcp"))
    proxy.stop()


def test_metrics_have_a_limit(folder):
    """More names than are counted apart, and names that could break the format."""
    proxy = Proxy(folder, "--concurrency", "2")
    with Origin(9000, echo_upper):
        exchange(request('a"b\\c'))
        for i in range(510):
            exchange(request(f"host{i}.example"))
        exchange(request("x" * 300))
        proxy.wait_lines(512)
    samples = metrics()
    names = {dict(labels)["destination_service"] for name, labels in samples if name == "istio_tcp_connections_opened_total"}
    equal("names", len(names), 501)
    equal("other", of(samples, "istio_tcp_connections_opened_total", "other"), 12)
    equal("quoted", of(samples, "istio_tcp_connections_opened_total", r'a\"b\\c'), 1)
    proxy.stop()


# --- the admin socket

def test_quitquitquit(folder):
    path = f"{folder}/admin"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(path)
    proxy = Proxy(folder, "--admin-socket", path)
    with Origin(9000, echo_upper):
        exchange(b"x")
    equal("mode", stat.S_IMODE(os.stat(path).st_mode), 0o660)
    equal("owner", (os.stat(path).st_uid, os.stat(path).st_gid), (1337, 1337))
    equal("GET", ask(path, "GET /quitquitquit")[0], 405)
    equal("elsewhere", ask(15021, "POST /quitquitquit")[0], 404)
    equal("readiness", ask(path, "GET /healthz/ready")[0], 200)
    equal("metrics", ask(path)[1].startswith("# HELP istio_tcp_connections_opened_total"), True)
    stranger = subprocess.run(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "curl", "-s", "--unix-socket", path,
                               "-X", "POST", "http://x/quitquitquit"], check=False)
    equal("another user", stranger.returncode, 7)
    equal("still there", proxy.process.poll(), None)
    answer = subprocess.run(["setpriv", "--reuid=1000", "--regid=1337", "--clear-groups", "curl", "-s", "--unix-socket", path,
                             "-X", "POST", "http://x/quitquitquit"], check=False, capture_output=True, text=True)
    equal("its group", (answer.returncode, answer.stdout), (0, "OK\n"))
    proxy.wait()
    equal("lines", len(proxy.lines()), 1)


def test_an_admin_socket_costs_no_file(folder):
    path = f"{folder}/precious"
    with open(path, "w") as file:
        file.write("data")
    result = subprocess.run(harness.inside(POD, f"{BUILD}/weir-proxy", "--allow-root", "--access-log", "", "--admin-socket", path),
                            capture_output=True, text=True, check=False, timeout=DEADLINE)
    equal("exit", (result.returncode, "cannot listen on --admin-socket" in result.stderr), (1, True))
    equal("file", open(path).read(), "data")


# --- the end

def test_not_ready_while_draining(folder):
    proxy = Proxy(folder, "--drain-time", "60")
    with Origin(9000, lambda sock: sock.recv(1)), connect(V4, 9000) as sock:
        wait_for("the connection", lambda: metrics()["weir_connections_active", ()] == 1)
        proxy.process.send_signal(signal.SIGTERM)
        wait_for("the drain", lambda: ask(15021, "GET /healthz/ready") == (503, "draining\n"))
        equal("metrics", ask(15090)[0], 200)
        sock.sendall(b"x")
    proxy.wait()
    equal("lines", len(proxy.lines()), 1)


def test_killed_at_drain(folder):
    proxy = Proxy(folder, "--drain-time", "0")
    with Origin(9000, lambda sock: (sock.sendall(b"x"), sock.recv(1))), connect(V4, 9000) as sock:
        equal("from the server", sock.recv(1), b"x")
        one_line(proxy, flags="-", details="drain_time_over", tx="1")
        try:
            equal("then", sock.recv(1), "a reset")
        except ConnectionResetError:
            pass


def test_exit_on_zero_active_connections(folder):
    """The drain time is the least then, and a connection may last longer; both workers stay until the last one."""
    environment = {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true", "MINIMUM_DRAIN_DURATION": "100ms"}
    proxy = Proxy(folder, "--concurrency", "2", "--drain-time", "86400", environment=environment)
    with Origin(9000, echo_upper):
        with connect(V4, 9000) as sock:
            sock.sendall(b"slow")
            wait_for("the connection", lambda: metrics()["weir_connections_active", ()] == 1)
            proxy.process.send_signal(signal.SIGTERM)
            wait_for("the drain", lambda: ask(15021, "GET /healthz/ready")[0] == 503)
            for i in range(20):
                equal("a new one", exchange(f"new {i}".encode()), f"NEW {i}".encode())
            equal("still there", proxy.process.poll(), None)
            sock.shutdown(socket.SHUT_WR)
            equal("the old one", receive_all(sock), b"SLOW")
        proxy.wait()
        equal("lines", len(proxy.lines()), 21)


def test_variables(folder):
    for variable, value, text in (
            ("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "yes", 'EXIT_ON_ZERO_ACTIVE_CONNECTIONS is "yes"; valid: true or false'),
            ("MINIMUM_DRAIN_DURATION", "5", 'MINIMUM_DRAIN_DURATION is "5"; valid: a duration'),
            ("MINIMUM_DRAIN_DURATION", "1sx", "valid: a duration"), ("MINIMUM_DRAIN_DURATION", "25h", "from 0s to 24h"),
            ("MINIMUM_DRAIN_DURATION", "-1s", "valid: a duration")):
        result = subprocess.run([f"{BUILD}/weir-proxy"], env={**os.environ, variable: value}, capture_output=True, text=True,
                                check=False, timeout=DEADLINE)
        if result.returncode != 2 or text not in result.stderr:
            raise AssertionError(f"{variable}={value}: {result}")
    for value in ("1m30s", "2h", "1500ms", ""):
        result = subprocess.run([f"{BUILD}/weir-proxy", "--version"], env={**os.environ, "MINIMUM_DRAIN_DURATION": value},
                                capture_output=True, text=True, check=False, timeout=DEADLINE)
        equal(value, (result.returncode, result.stderr), (0, ""))


# --- waiting and being waited for

def test_connecting_has_a_limit(folder):
    """Ten seconds, then what the client would have seen at some time: an end, and no answer."""
    enter(OUTSIDE)
    run("ip", "route", "add", "blackhole", "10.9.0.0/16")
    try:
        proxy = Proxy(folder)
        expect_reset("10.9.1.1", 80)
        line = one_line(proxy, flags="UF,URX", failure="-", local="-", upstream="10.9.1.1:80", rx="0", tx="0")
        if not 9000 <= int(line["ms"]) <= 12500:
            raise AssertionError(f"not after 10 seconds: {line[0]}")
    finally:
        enter(OUTSIDE)
        run("ip", "route", "del", "blackhole", "10.9.0.0/16")


def test_a_client_that_leaves_while_connecting(folder):
    """What the proxy connected for nobody ends at once, and leaves its line."""
    proxy = Proxy(folder)
    with Origin(9000, lambda sock: sock.recv(1)):
        for how in (relay.reset, socket.socket.close):
            how(connect(V4, 9000))
        proxy.wait_lines(2)
    equal("lines", len(proxy.stop()), 2)


def test_half_closed_for_hours(folder):
    """
    Connection tracking forgets a half-closed connection after 60 seconds of silence, and with it where it was redirected.
    Before that, both of the proxy's sockets must have begun to probe.
    """
    go_on = threading.Event()

    def handler(sock):
        data = receive_all(sock)
        go_on.wait(2 * DEADLINE)
        sock.sendall(data.upper())

    proxy = Proxy(folder)
    with Origin(9000, handler), connect(V4, 9000) as sock:
        sock.sendall(b"late")
        sock.shutdown(socket.SHUT_WR)

        def both_probe():
            shown = run(*harness.inside(POD, "ss", "-tnoH", "state", "connected",
                                        f"( sport = :15001 and dport = :{sock.getsockname()[1]} ) or dport = :9000"))
            return len(re.findall(r"timer:\(keepalive,(?:[\d.]+ms|1?\dsec|20sec),", shown)) == 2

        wait_for("both sockets to probe", both_probe, 2 * DEADLINE)
        go_on.set()
        equal("answer", receive_all(sock), b"LATE")
    equal("lines", len(proxy.stop()), 1)


def test_every_thread_is_inside(folder):
    proxy = Proxy(folder, "--concurrency", "2")
    tasks = os.listdir(f"/proc/{proxy.process.pid}/task")
    for task in tasks:
        status = open(f"/proc/{proxy.process.pid}/task/{task}/status").read()
        for name, value in (("CapEff", "0" * 16), ("NoNewPrivs", "1"), ("Seccomp", "2")):
            equal(f"{name} of {task}", re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", status, re.M)[1], value)
    equal("threads", len(tasks) >= 4, True)
    proxy.stop()


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
