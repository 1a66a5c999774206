# SPDX-License-Identifier: Apache-2.0
"""
What the tests of the relay share: a pod with the rules and weir-proxy, and an outside with origins.

    pod namespace: applications (here, as root), weir-proxy (user 1337)
    outside namespace: an origin for each test, on any address of 10.0.0.0/8 and 2001:db8::/32
"""
import itertools
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from functools import partial

import harness
from harness import BUILD, enter, run

POD, OUTSIDE = harness.namespace_name("proxy-pod"), harness.namespace_name("proxy-out")
DEADLINE = 20.0
V4, V6 = "10.1.2.3", "2001:db8::3"
LINE = re.compile(
    r'\[(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "(?P<request>(?:[^"\\]|\\.)*)" 0 (?P<flags>\S+) - (?P<details>\S+) '
    r'"(?P<failure>[^"]*)" (?P<rx>\d+) (?P<tx>\d+) (?P<ms>\d+) - "-" "-" "-" "(?P<host>(?:[^"\\]|\\.)*)" "(?P<upstream>[^"]*)" '
    r'(?P<cluster>\S+) (?P<local>\S+) (?P<dst>\S+) (?P<src>\S+) (?P<sni>\S+) -')


def connect_namespaces():
    for name in (POD, OUTSIDE):
        run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", POD, "link", "add", "eth0", "type", "veth", "peer", "name", "veth0", "netns", OUTSIDE)
    for name, link, host in ((POD, "eth0", 2), (OUTSIDE, "veth0", 1)):
        run("ip", "-n", name, "link", "set", link, "up")
        run("ip", "-n", name, "address", "add", f"10.77.0.{host}/24", "dev", link)
        run("ip", "-n", name, "address", "add", f"fd77::{host}/64", "dev", link, "nodad")
    run("ip", "-n", POD, "route", "add", "default", "via", "10.77.0.1")
    run("ip", "-n", POD, "-6", "route", "add", "default", "via", "fd77::1")
    run("ip", "-n", OUTSIDE, "route", "add", "local", "10.0.0.0/8", "dev", "lo")
    run("ip", "-n", OUTSIDE, "-6", "route", "add", "local", "2001:db8::/32", "dev", "lo")
    run(*harness.inside(POD, f"{BUILD}/weir-init", "-i", "*"))


def wait_for(what, condition, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"gave up waiting for {what}")


class Proxy:
    """weir-proxy as user 1337, with its log in a file, which is its stdout where no option says so."""

    running = []

    def __init__(self, folder, *arguments, descriptors=None, environment=None, pass_fds=(), must_start=True,
                 log_option=True):
        self.path = f"{folder}/access.log"
        open(self.path, "w").close()
        os.chown(self.path, 1337, 1337)
        self.process = subprocess.Popen(
            harness.inside(POD, "setpriv", "--reuid=1337", "--regid=1337", "--clear-groups",
                           "env", *(f"{name}={value}" for name, value in (environment or {}).items()), f"{BUILD}/weir-proxy",
                           *(("--access-log", self.path) if log_option else ()), *arguments),
            stdout=None if log_option else open(self.path, "a"), stderr=subprocess.PIPE, text=True, pass_fds=pass_fds,
            preexec_fn=descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))))
        Proxy.running.append(self.process)
        wait_for("readiness", lambda: self.is_ready() or (not must_start and self.process.poll() is not None))

    def is_ready(self):
        try:
            with connect("127.0.0.1", 15021) as sock:
                sock.sendall(b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                return sock.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def lines(self):
        text = open(self.path).read()
        return [LINE.fullmatch(line) or line for line in text.splitlines()]

    def wait_lines(self, count):
        wait_for(f"{count} lines, there are {len(self.lines())}", lambda: len(self.lines()) >= count)
        return self.lines()

    def wait(self, warnings=""):
        """Waits until it has ended, as it must end: with status 0, having said on stderr just what matches `warnings`."""
        errors = self.process.communicate(timeout=DEADLINE)[1]
        if self.process.returncode != 0 or not re.fullmatch(warnings, errors):
            raise AssertionError(f"the proxy ended with {self.process.returncode}: {errors}")

    def end(self, warnings=""):
        self.process.send_signal(signal.SIGTERM)
        self.wait(warnings)

    def stop(self, warnings=""):
        """Ends it. Returns all of its lines."""
        self.end(warnings)
        return self.lines()

    def memory(self):
        """Bytes of its own memory."""
        text = open(f"/proc/{self.process.pid}/smaps_rollup").read()
        return 1024 * sum(int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("Private_Dirty", "Private_Clean"))


# Below those that the kernel chooses for the proxy. To connection tracking a connection with the ends of an earlier one
# may be that one, and one of the proxy's own goes past the proxy.
source_ports = itertools.cycle(range(16000, 32768))


def connect(address, port):
    """From the pod, as root: captured."""
    enter(POD)
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.settimeout(DEADLINE)
    try:
        sock.bind(("::" if ":" in address else "0.0.0.0", next(source_ports)))
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock


class Origin:
    """Listens outside on a port of all addresses, or of one, and gives each connection to a handler in a thread."""

    def __init__(self, port, handler, address="::"):
        enter(OUTSIDE)
        ipv6 = ":" in address
        self.socket = socket.create_server((address, port), family=socket.AF_INET6 if ipv6 else socket.AF_INET,
                                           dualstack_ipv6=ipv6, backlog=1024)
        self.handler = handler
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE)
            threading.Thread(target=self.handle, args=(sock,), daemon=True).start()

    def handle(self, sock):
        with sock:
            try:
                self.handler(sock)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def receive_all(sock):
    data = bytearray()
    while piece := sock.recv(1 << 18):
        data += piece
    return bytes(data)


def receive(sock, size):
    data = bytearray()
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return bytes(data)


def echo_upper(sock):
    sock.sendall(receive_all(sock).upper())


def equal(what, seen, expected):
    if seen != expected:
        raise AssertionError(f"{what}: expected {expected!r}, was {seen!r}")


def one_line(proxy, **expected):
    """The only line, with these columns; then the proxy is gone."""
    lines = proxy.stop()
    equal("number of lines", len(lines), 1)
    if isinstance(lines[0], str):
        raise AssertionError(f"not a line of the format: {lines[0]}")
    for name, value in expected.items():
        equal(f"{name} in {lines[0][0]}", lines[0][name], value)
    return lines[0]


def expect_reset(address, port):
    """The reset may come as early as during connect()."""
    try:
        with connect(address, port) as sock:
            equal("connection", sock.recv(1), "a reset")
    except ConnectionResetError:
        pass


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def in_folder(test):
    """Gives a test a folder of its own, and ends the proxies that it leaves."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        try:
            return test(folder)
        finally:
            while Proxy.running:
                process = Proxy.running.pop()
                process.kill()
                process.wait()


def main(names):
    """Runs the test_ functions of a module's globals(), each with a folder. Returns the exit status."""
    tests = [(title, partial(in_folder, test)) for title, test in harness.named_tests(names)]
    return harness.main([POD, OUTSIDE], tests, connect_namespaces)
