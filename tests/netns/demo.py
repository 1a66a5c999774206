#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
tests/demo itself: as expected when it runs to its end, and nothing left behind, also when it is interrupted.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

import harness

LINE_LIMIT = 60  # of what it prints
MARK = "WEIR_DEMO_TEST"  # in the environment of everything that a demo starts; its value tells one demo from another
INTERRUPTED = ((signal.SIGINT, 130), (signal.SIGTERM, 143))
# What has just been started when the signal comes: the namespaces, the origins, the proxy.
STAGES = ("weir-demo-out", "openssl s_server", "weir-proxy")


class Demo:
    count = 0

    def __init__(self):
        Demo.count += 1
        self.mark = f"{MARK}={os.getpid()}.{Demo.count}"
        name, value = self.mark.split("=")
        # A file, not a pipe, which whatever is left behind would hold open.
        self.output = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            ["tests/demo"], env={**os.environ, name: value}, stdout=self.output, stderr=subprocess.STDOUT,
            # A background job of a shell ignores SIGINT, and a shell that starts so cannot trap it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def namespaces(self):
        return [line for line in harness.run("ip", "netns", "list").splitlines()
                if line.startswith("weir-demo-") and line.split()[0].endswith(f"-{self.process.pid}")]

    def processes(self):
        """(pid, command line) of each process that this demo started and that still runs."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environment, open(f"/proc/{pid}/cmdline", "rb") as command:
                    if self.mark.encode() in environment.read().split(b"\0"):
                        found.append((int(pid), command.read().replace(b"\0", b" ").decode()))
            except OSError:  # it ended meanwhile
                continue
        return found

    def has_reached(self, stage):
        return any(stage in what for what in self.namespaces() + [command for _, command in self.processes()])

    def finish(self, status):
        """Waits for its end. Returns what it printed, and what is wrong: another status, anything left behind."""
        self.process.wait(timeout=60)
        self.output.seek(0)
        output = self.output.read()
        left = self.processes()
        for pid, _ in left:
            os.kill(pid, signal.SIGKILL)
        problems = [f"left behind: {what}" for what in self.namespaces() + [command for _, command in left]]
        if self.process.returncode != status:
            problems += [f"exit {self.process.returncode}, expected {status}", output]
        return output, problems


def test_as_expected_and_short():
    output, problems = Demo().finish(0)
    lines = output.count("\n")
    return problems + ([f"{lines} lines"] if lines > LINE_LIMIT else [])


def test_interrupted():
    problems = []
    for stage in STAGES:
        for number, status in INTERRUPTED:
            demo = Demo()
            while demo.process.poll() is None and not demo.has_reached(stage):
                time.sleep(0.01)
            demo.process.send_signal(number)
            problems += [f"{signal.Signals(number).name} at {stage}: {problem}" for problem in demo.finish(status)[1]]
    return problems


if __name__ == "__main__":
    sys.exit(harness.main([], harness.named_tests(globals())))
