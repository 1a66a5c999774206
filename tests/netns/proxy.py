#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The proxy on real connections: redirected by weir-init's rules, in a namespace of its own, with an origin in another.

Each connection must leave exactly one line. TAP on stdout.
"""
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import harness
from harness import BUILD, run
from relay import (DEADLINE, OUTSIDE, POD, V4, V6, Origin, Proxy, connect, connect_namespaces, echo_upper, equal,
                   expect_reset, main, one_line, receive, receive_all, reset, wait_for)


def test_bytes_both_ways_and_half_close(folder):
    for address in (V4, V6):
        data = random.Random(1).randbytes(3 << 20)
        proxy = Proxy(folder)
        with Origin(9000, lambda sock: sock.sendall(receive_all(sock)[::-1])), connect(address, 9000) as sock:
            threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))).start()
            equal("bytes", receive_all(sock) == data[::-1], True)
        shown = f"[{address}]:9000" if ":" in address else f"{address}:9000"
        line = one_line(proxy, request="- - -", rx=str(len(data)), tx=str(len(data)), flags="-", upstream=shown, dst=shown,
                        cluster="PassthroughCluster", sni="-", failure="-")
        if "77::2]:" not in line["src"] and not line["src"].startswith("10.77.0.2:"):
            raise AssertionError(line[0])


def test_a_server_that_ends_first(folder):
    received = []
    done = threading.Event()

    def handler(sock):
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        received.append(receive_all(sock))
        done.set()

    proxy = Proxy(folder)
    with Origin(9000, handler), connect(V4, 9000) as sock:
        equal("from the server", receive_all(sock), b"bye")
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        done.wait(DEADLINE)
    equal("to the server", received, [b"still here"])
    one_line(proxy, rx="10", tx="3")


def test_a_server_that_speaks_first(folder):
    for port in (25, 80, 443):
        proxy = Proxy(folder)
        with Origin(port, lambda sock: (sock.sendall(b"220 hello\r\n"), sock.recv(10))), connect(V4, port) as sock:
            equal("greeting", sock.recv(100), b"220 hello\r\n")
            sock.sendall(b"QUIT")
        one_line(proxy, request="- - -", rx="4", tx="11")


def test_refused(folder):
    proxy = Proxy(folder)
    expect_reset(V4, 9)
    one_line(proxy, flags="UF,URX", failure="delayed_connect_error:_Connection_refused", rx="0", tx="0", local="-",
             upstream=f"{V4}:9", cluster="PassthroughCluster")


def test_resets_are_passed_on(folder):
    proxy = Proxy(folder)
    with Origin(9000, lambda sock: (sock.recv(1), reset(sock))), connect(V4, 9000) as sock:
        sock.sendall(b"x")
        try:
            equal("from the server", sock.recv(1), "a reset")
        except ConnectionResetError:
            pass
    one_line(proxy, flags="UR", rx="1")

    seen = []
    done = threading.Event()

    def handler(sock):
        try:
            sock.sendall(b"x")
            sock.recv(1)
            seen.append("an end")
        except ConnectionResetError:
            seen.append("a reset")
        done.set()

    proxy = Proxy(folder)
    with Origin(9000, handler):
        sock = connect(V4, 9000)
        sock.recv(1)
        reset(sock)
        done.wait(DEADLINE)
    equal("to the server", seen, ["a reset"])
    one_line(proxy, flags="-")


def test_tls_by_server_name(folder):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=x", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    def handler(sock):
        with server.wrap_socket(sock, server_side=True) as secure:
            secure.sendall(secure.recv(100).upper())

    for port, name, sni in ((443, "Shop.Example", "shop.example"), (80, "a.example", "a.example"), (9443, None, "-"),
                            (9443, "a_b.example", "invalid:a_b.example")):
        proxy = Proxy(folder)
        with Origin(port, handler), client.wrap_socket(connect(V4, port), server_hostname=name) as sock:
            sock.sendall(b"hello")
            equal("through TLS", sock.recv(100), b"HELLO")
        one_line(proxy, request="- - -", sni=sni)


def test_http_by_host(folder):
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    for text, request, host in (
            (b"GET /p?q=1 HTTP/1.1\r\nHost: site.example\r\n\r\n", "GET /p?q=1 HTTP/1.1", "site.example"),
            (b"POST / HTTP/1.0\r\nA: b\r\nhOsT:  a:80 \r\nB: c\r\n\r\n", "POST / HTTP/1.0", "a:80"),
            (b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0", "-"),
            (b'GET /"\\\x01\xff HTTP/1.1\r\nHost: a"b\r\n\r\n', r'GET /\"\\\x01\xff HTTP/1.1', r'a\"b')):
        for pieces in (1, len(text)):
            proxy = Proxy(folder)
            with Origin(8080, lambda sock, n=len(text): (receive(sock, n), sock.sendall(answer))), \
                    connect(V4, 8080) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for i in range(pieces):
                    sock.sendall(text[i * len(text) // pieces:(i + 1) * len(text) // pieces])
                equal("answer", sock.recv(100), answer)
            one_line(proxy, request=request, host=host, rx=str(len(text)), tx=str(len(answer)), sni="-")


def data_segments(sock):
    """How many segments with data have come: tcpi_data_segs_in of struct tcp_info."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 152)[0]


def test_a_head_goes_with_its_body(folder):
    os.mkdir(f"{folder}/resources")
    with open(f"{folder}/resources/site.yaml", "w") as file:
        file.write("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: site}\nspec:\n"
                   "  hosts: [site.example]\n  resolution: STATIC\n  endpoints: [{address: " + V4 + "}]\n"
                   "  ports: [{number: 8080, name: http, protocol: HTTP}]\n")
    proxy = Proxy(folder, "--config-dir", f"{folder}/resources")
    seen = []

    def handler(sock):
        for _ in range(2):
            request = b""
            while not request.endswith(b"0123456789"):
                request += sock.recv(4096)
            seen.append(data_segments(sock))
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n9876543210")

    with Origin(8080, handler), connect(V4, 8080) as sock:
        for turn in (1, 2):
            sock.sendall(b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 10\r\n\r\n0123456789")
            answer = b""
            while not answer.endswith(b"9876543210"):
                answer += sock.recv(4096)
            equal("segments to the client", data_segments(sock), turn)
    # The first goes to a connection that has to be made: what has come until then is sent when it is there.
    equal("segments to the server", seen, [1, 2])
    proxy.stop()


def test_dialled_directly(folder):
    proxy = Proxy(folder)
    for address, port in (("127.0.0.1", 15001), (V4, 15001), ("::1", 15001)):
        with connect(address, port) as sock:
            equal("direct", sock.recv(1), b"")
    lines = proxy.stop()
    equal("lines", [(line["flags"], line["details"], line["cluster"], line["upstream"]) for line in lines],
          [("NR", "direct_dial", "-", "-")] * 3)


def test_a_loop_is_cut(folder):
    """Rules that do not know the proxy's user send its own connections back to it."""
    run(*harness.inside(POD, f"{BUILD}/weir-init", "-i", "*", "-u", "4444"))
    try:
        proxy = Proxy(folder)
        expect_reset(V4, 9000)
        lines = proxy.stop()
        equal("lines", sorted(line["details"] for line in lines), ["-", "loop"])
    finally:
        run(*harness.inside(POD, f"{BUILD}/weir-init", "-i", "*"))


def test_five_hundred_at_once(folder):
    proxy = Proxy(folder, "--concurrency", "2")
    with Origin(9000, echo_upper):
        socks = [connect(V4 if i % 2 else V6, 9000) for i in range(500)]
        for i, sock in enumerate(socks):
            sock.sendall(f"hello {i}".encode())
            sock.shutdown(socket.SHUT_WR)
        for i, sock in enumerate(socks):
            equal("echo", receive_all(sock), f"HELLO {i}".encode())
            sock.close()
    lines = proxy.stop()
    equal("lines", (len(lines), {line["flags"] for line in lines}), (500, {"-"}))


def test_a_stalled_reader_costs_little(folder):
    """A source that never stops, and a reader that never starts: memory stays, and so does everybody else's turn."""
    proxy = Proxy(folder)
    before = proxy.memory()
    sent = [0]

    def pour(sock):
        block = b"x" * (1 << 20)
        sock.settimeout(1)
        try:
            while sent[0] < 1 << 30:
                sock.sendall(block)
                sent[0] += len(block)
        except TimeoutError:
            pass

    with Origin(9000, pour), connect(V4, 9000):
        wait_for("the source to stall", lambda: not any(t.name.startswith("Thread") and "handle" in t.name
                                                        for t in threading.enumerate()))
        grown = proxy.memory() - before
    if not os.environ.get("ASAN_OPTIONS", "").startswith("abort") or "asan" not in BUILD:
        if grown > 2 << 20:
            raise AssertionError(f"grew by {grown} bytes")
    equal("lines", len(proxy.stop()), 1)


def test_lines_at_the_end(folder):
    """What still lives when the drain ends leaves its line, too."""
    proxy = Proxy(folder, "--drain-time", "0")
    with Origin(9000, lambda sock: sock.recv(100)):
        socks = [connect(V4, 9000) for _ in range(10)]
        for sock in socks:
            sock.sendall(b"x")
        equal("lines", len(proxy.stop()), 10)
        for sock in socks:
            sock.close()


def test_a_drain_waits(folder):
    proxy = Proxy(folder, "--drain-time", "60")
    with Origin(9000, echo_upper), connect(V4, 9000) as sock:
        sock.sendall(b"half")
        proxy.process.send_signal(signal.SIGTERM)
        with connect(V4, 9000) as other:  # still accepted
            other.sendall(b"new")
            other.shutdown(socket.SHUT_WR)
            equal("a new one", receive_all(other), b"NEW")
        sock.sendall(b" and half")
        sock.shutdown(socket.SHUT_WR)
        equal("the old one", receive_all(sock), b"HALF AND HALF")
    proxy.process.wait(DEADLINE)
    equal("lines", len(proxy.lines()), 2)
    proxy.process.stderr.close()


def test_lines_reach_the_file_and_a_new_one(folder):
    proxy = Proxy(folder)
    with Origin(9000, echo_upper):
        connect(V4, 9000).close()
        proxy.wait_lines(1)
        os.rename(proxy.path, proxy.path + ".1")
        open(proxy.path, "w").close()
        os.chown(proxy.path, 1337, 1337)
        proxy.process.send_signal(signal.SIGHUP)

        def lands_in_the_new_file():
            connect(V4, 9000).close()
            time.sleep(0.2)
            return os.path.getsize(proxy.path) > 0

        wait_for("a line in the new file", lands_in_the_new_file)
    proxy.stop()


def test_a_full_log_holds_nobody_up(folder):
    """A pipe that nobody reads: connections go on, and the loss is told."""
    reader, writer = os.pipe()
    os.fchown(writer, 1337, 1337)
    process = subprocess.Popen(
        harness.inside(POD, "setpriv", "--reuid=1337", "--regid=1337", "--clear-groups", f"{BUILD}/weir-proxy",
                       "--access-log", "/dev/stdout", "--drain-time", "1"),
        stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    Proxy.running.append(process)
    wait_for("readiness", lambda: Proxy.is_ready(None))
    path = "/" + "x" * 30000
    with Origin(9000, lambda sock: (sock.recv(1 << 16), sock.sendall(b"y"))):
        for _ in range(30):
            with connect(V4, 9000) as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                equal("served", sock.recv(1), b"y")
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=DEADLINE)[1]
    os.close(reader)
    equal("exit", process.returncode, 0)
    if "lost" not in errors and "dropped" not in errors:
        raise AssertionError(f"the loss was not told: {errors!r}")


def test_out_of_descriptors(folder):
    """Accepting pauses, and goes on; nobody is lost."""
    proxy = Proxy(folder, descriptors=40)
    with Origin(9000, echo_upper):
        socks = [connect(V4, 9000) for _ in range(40)]
        served = 0
        for sock in socks:
            try:
                sock.sendall(b"x")
                sock.shutdown(socket.SHUT_WR)
                served += receive_all(sock) == b"X"
            except OSError:
                pass
            sock.close()
        with connect(V4, 9000) as sock:
            sock.sendall(b"after")
            sock.shutdown(socket.SHUT_WR)
            equal("after", receive_all(sock), b"AFTER")
    proxy.process.send_signal(signal.SIGTERM)
    proxy.process.communicate(timeout=DEADLINE)
    sources = [line["src"] for line in proxy.lines()]
    equal("lines, and their connections", (len(sources), len(set(sources))), (41, 41))
    if served == 0:
        raise AssertionError("nobody was served")


def test_ready(folder):
    proxy = Proxy(folder)
    for text, status in ((b"GET /healthz/ready HTTP/1.1\r\n\r\n", b"200"), (b"GET / HTTP/1.1\r\n\r\n", b"404"),
                         (b"GET / HTTP/1.1\r\nA: " + b"x" * 5000, b"404"), (b"x" * 5000, b"400"),
                         (b"POST /healthz/ready HTTP/1.1\r\n\r\n", b"405")):
        with connect("127.0.0.1", 15021) as sock:
            sock.sendall(text)
            equal(text[:20], sock.recv(100).split()[1], status)
    equal("lines", proxy.stop(), [])


def test_privileges(folder):
    inside = harness.inside(POD, f"{BUILD}/weir-proxy", "--access-log", "")
    refused = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=DEADLINE)
    if refused.returncode != 1 or "refusing to run as root" not in refused.stderr:
        raise AssertionError(f"as root: {refused}")
    process = subprocess.Popen([*inside, "--run-as", "1337:1338"])
    Proxy.running.append(process)
    try:
        wait_for("readiness", lambda: Proxy.is_ready(None))
        status = open(f"/proc/{process.pid}/status").read()
        for name, value in (("Uid", "1337\t1337\t1337\t1337"), ("Gid", "1338\t1338\t1338\t1338"), ("Groups", ""),
                            ("CapEff", "0" * 16), ("CapPrm", "0" * 16), ("CapBnd", "0" * 16), ("NoNewPrivs", "1")):
            equal(name, re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", status, re.M)[1], value)
    finally:
        process.terminate()
        process.wait(DEADLINE)


def test_arguments(folder):
    for arguments, status, text in (
            (["--nope"], 2, 'unknown argument "--nope"'), (["x"], 2, 'unknown argument "x"'), (["--port"], 2, "needs a value"),
            (["--port", "0"], 2, '--port is "0"; valid: a number from 1 to 65535'), (["--port=x"], 2, '"x"'),
            (["--concurrency", "65"], 2, "1 to 64"), (["--run-as", "0:0"], 2, "UID:GID"), (["--allow-root=1"], 2, "no value"),
            (["--allow-root", "--access-log", "", "--mesh-config", "/nowhere/x"], 1, "cannot read /nowhere/x"),
            (["--log-level", "loud"], 2, '--log-level is "loud"; valid: off, warning, info'), (["--help"], 0, ""), (["--version"], 0, "")):
        result = subprocess.run([f"{BUILD}/weir-proxy", *arguments], capture_output=True, text=True, check=False)
        if result.returncode != status or text not in result.stderr:
            raise AssertionError(f"{arguments}: {result}")


if __name__ == "__main__":
    sys.exit(main(globals()))
