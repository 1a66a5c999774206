#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir-proxy where something runs out: memory at every single allocation, descriptors, room for the log. The relay goes on,
every accepted connection leaves its line, and what cannot be done is told once.

tests/fault/fault.c makes allocations fail; it passes the others on to ASan. TAP on stdout.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import harness
import relay
from harness import BUILD, run
from relay import DEADLINE, LINE, POD, V4, Origin, Proxy, connect, echo_upper, equal, receive, receive_all, wait_for

# More allocations than the scenario has; it is over when one more did not fail.
ALLOCATION_MAX = 500
HEAD = b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: site.example\r\n\r\n"


def expect_refusal(process):
    """
    It did not start, and said why. The C library has another word for a thread without memory; and ASan has allocations of
    its own, where a thread begins, for which it ends the program in its own way.
    """
    errors = process.communicate()[1]
    if re.search("AddressSanitizer: CHECK failed: .*pthread_getattr_np", errors):
        return
    if process.returncode != 1 or not re.search("memory|cannot start a thread", errors):
        raise AssertionError(f"exit {process.returncode}: {errors}")


def preload(report):
    """The environment that makes the nth allocation fail, for ASan's programs, too."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": os.path.abspath(f"{BUILD}/tests/fault/libfault.so"), "WEIR_FAULT_FD": str(report),
            "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0"}


def pour(sock):
    """An origin that sends without an end, and names nothing."""
    block = b"y" * (1 << 20)
    while True:
        sock.sendall(block)


def use_all_memory():
    """What a connection may need memory for: a name in pieces, a long line, bytes that a reader leaves. Two connections."""
    for port, text in ((9000, HEAD), (9001, b"")):
        try:
            with connect(V4, port) as sock:
                if text:
                    sock.sendall(text[:2000])
                    equal("echo of a piece", receive(sock, 1), b"G")
                    sock.sendall(text[2000:])
                    sock.shutdown(socket.SHUT_WR)
                    receive_all(sock)
                else:
                    equal("poured", receive(sock, 1 << 20), b"y" * (1 << 20))
                    wait_for("a full socket", lambda s=sock: len(s.recv(1 << 22, socket.MSG_PEEK)) > 100000)
        except ConnectionResetError:
            pass  # this connection had no memory, and says so in its line


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def test_no_memory(folder):
    """Each allocation fails once. Before the gate the proxy says so and ends; behind it, it lives on."""
    report = os.memfd_create("fault")
    problems = []
    ends = {"refused to start": 0, "served": 0, "without memory": 0}
    with Origin(9000, echo), Origin(9001, pour):
        for n in range(1, ALLOCATION_MAX):
            os.ftruncate(report, 0)
            try:
                proxy = Proxy(folder, "--drain-time", "1", environment={**preload(report), "WEIR_FAIL_ALLOCATION": str(n)},
                              pass_fds=[report], must_start=False)
                if proxy.process.poll() is None:
                    use_all_memory()
                    # Nobody waits for what never was accepted.
                    lines = proxy.stop(r"(weir-proxy: cannot accept connections for now: Cannot allocate memory\n)?")
                    equal("lines", len(lines), 2)
                    equal("of the format", [line for line in lines if isinstance(line, str)], [])
                    ends["without memory"] += any(line["flags"] == "OM" for line in lines)
                    ends["served"] += 1
                else:
                    expect_refusal(proxy.process)
                    ends["refused to start"] += 1
            except Exception as error:
                problems.append(f"allocation {n}: {error!r}")
            if os.fstat(report).st_size == 0:
                break
    os.close(report)
    if n < 10 or n == ALLOCATION_MAX - 1 or 0 in ends.values():
        problems.append(f"{n} allocations, {ends}")
    print(f"# {n - 1} allocations: {ends}")
    return problems


def test_descriptors_run_out(folder):
    """One warning, nobody is reset, the status port answers all the time, and everybody is served in the end."""
    proxy = Proxy(folder, descriptors=40)
    with Origin(9000, echo_upper):
        socks = [connect(V4, 9000) for _ in range(60)]
        wait_for("the pause", lambda: "\nweir_accept_pauses_total 0" not in scrape())
        equal("readiness", proxy.is_ready(), True)
        for i, sock in enumerate(socks):
            sock.sendall(b"x%d" % i)
            sock.shutdown(socket.SHUT_WR)
        for i, sock in enumerate(socks):
            equal("served", receive_all(sock), b"X%d" % i)
            sock.close()
    wait_for("the descriptors to come back", lambda: "weir_connections_active 0\n" in scrape())
    open_now = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    lines = proxy.stop(r"weir-proxy: cannot accept connections for now: Too many open files\n")
    equal("lines", (len(lines), {line["flags"] for line in lines}), (60, {"-"}))
    if open_now > 25:
        return [f"{open_now} descriptors are still open"]
    return []


def scrape():
    with connect("127.0.0.1", 15090) as sock:
        sock.sendall(b"GET /stats/prometheus HTTP/1.1\r\nHost: x\r\n\r\n")
        return receive_all(sock).decode()


def make_connections(count, host):
    with Origin(9000, echo_upper):
        for _ in range(count):
            with connect(V4, 9000) as sock:
                sock.sendall(f"GET /{'p' * 500} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                sock.shutdown(socket.SHUT_WR)
                receive_all(sock)


def test_a_full_disk(folder):
    """Connections go on, lines wait for room, and those that found none are counted and told."""
    disk = f"{folder}/disk"
    os.mkdir(disk)
    run("mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "none", disk)
    try:
        proxy = Proxy(disk)
        make_connections(700, "full.example")
        os.rename(proxy.path, f"{disk}/access.log.1")
        os.truncate(f"{disk}/access.log.1", 0)
        proxy.process.send_signal(signal.SIGHUP)
        wait_for("lines in the new file", lambda: os.path.exists(proxy.path) and proxy.lines())
        dropped = re.search(r"weir_access_log_dropped_lines_total (\d+)", scrape())[1]
        if int(dropped) == 0:
            return ["nothing was dropped"]
        proxy.process.send_signal(signal.SIGKILL)
        errors = proxy.process.communicate()[1]
    finally:
        run("umount", disk)
    return [] if re.search(r"the access log was full: \d+ lines dropped\n", errors) or "" == errors else [errors]


def test_lines_never_mix(folder):
    """Two workers, and a pipe that takes only pieces of their lines."""
    reader, writer = os.pipe()
    os.fchown(writer, 1337, 1337)
    process = subprocess.Popen(
        harness.inside(POD, "setpriv", "--reuid=1337", "--regid=1337", "--clear-groups", f"{BUILD}/weir-proxy",
                       "--access-log", "/dev/stdout", "--concurrency", "2"), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    Proxy.running.append(process)
    wait_for("readiness", lambda: Proxy.is_ready(None))
    text = bytearray()

    def read_slowly():
        while piece := os.read(reader, 777):
            text.extend(piece)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    make_connections(300, "slow.example")
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=DEADLINE)[1]
    thread.join(DEADLINE)
    os.close(reader)
    equal("end", (process.returncode, errors), (0, ""))
    lines = text.decode().splitlines()
    equal("lines", len(lines), 300)
    return [line for line in lines if not LINE.fullmatch(line)]


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
