#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The old state or the new, nothing else: programs killed at random points of their work, and many of them at once.

WEIR_KILLS is the number of kills, WEIR_SEED repeats a run. TAP on stdout.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("atomic")
KILLS = int(os.environ.get("WEIR_KILLS", "1000"))
SEED = int(os.environ.get("WEIR_SEED", time.time()))
RANGES = 10000
NAMESPACES = 200
ENVIRONMENT = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "CNI_IFNAME": "eth0", **harness.sanitizer_options()}


def stdin_of(ranges):
    return json.dumps({
        "cniVersion": "1.0.0", "name": "pods", "type": "weir-cni", "logFile": "", "prevResult": {"cniVersion": "1.0.0"},
        "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"traffic.sidecar.istio.io/includeOutboundIPRanges": ranges}}})


class Plan:
    """Ten thousand ranges, for either program."""

    def __init__(self, folder, first):
        self.path = f"{folder}/ranges.{first}"
        self.stdin_path = f"{folder}/stdin.{first}"
        ranges = [f"{first}.{i // 256}.{i % 256}.0/25" for i in range(RANGES)]
        with open(self.path, "w") as ranges_file, open(self.stdin_path, "w") as stdin_file:
            ranges_file.write("\n".join(ranges))
            stdin_file.write(stdin_of(",".join(ranges)))

    def start(self, program):
        if program == "weir-init":
            return subprocess.Popen(harness.inside(NAMESPACE, f"{BUILD}/weir-init", "-i", f"@{self.path}"),
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with open(self.stdin_path) as stdin:
            return subprocess.Popen([f"{BUILD}/weir-cni"], stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    env={**ENVIRONMENT, "CNI_NETNS": f"/run/netns/{NAMESPACE}"})

    def is_there(self):
        """True or False, or None where there is no table at all."""
        result = subprocess.run(harness.inside(NAMESPACE, f"{BUILD}/weir-init", "--check", "-i", f"@{self.path}"),
                                capture_output=True, text=True, check=False)
        return None if "table inet weir is missing" in result.stderr else result.returncode == 0


def state(plans):
    """The plan that is in the kernel; "none", or "something else"."""
    for plan in plans:
        there = plan.is_there()
        if there is None:
            return "none"
        if there:
            return plan
    return "something else"


def clean():
    harness.run(*harness.inside(NAMESPACE, f"{BUILD}/weir-init", "--cleanup-only"))


def duration(plans, program):
    """Of a whole run that replaces the rules."""
    start = time.monotonic()
    for plan in plans:
        plan.start(program).communicate()
    return (time.monotonic() - start) / len(plans)


def kill_at_any_point(folder, program):
    draw = random.Random(SEED)
    plans = [Plan(folder, first) for first in (10, 11)]
    whole = duration(plans, program)
    before, wrong, seen = plans[-1], [], {"old": 0, "new": 0}
    for number in range(KILLS // 2):
        if draw.random() < 0.2:
            clean()
            before = "none"
        target = draw.choice(plans)
        process = target.start(program)
        time.sleep(draw.random() * whole)
        process.kill()
        process.communicate()
        after = state(plans[::-1] if target is plans[1] else plans)
        if after not in (before, target) or (process.returncode == 0 and after is not target):
            wrong.append(f"kill {number} (seed {SEED}): exit {process.returncode}, {before} -> {target}: {after}")
        if process.returncode != 0 and before is not target:
            seen["new" if after is target else "old"] += 1
        before = after
    print(f"# {program}: of those killed, the kernel held {seen}")
    # Kills that all come too early, or too late, would show nothing.
    return wrong + ([f"of those killed: {seen}"] if min(seen.values()) < KILLS // 100 else [])


def test_plugin_killed_at_any_point(folder):
    return kill_at_any_point(folder, "weir-cni")


def test_init_killed_at_any_point(folder):
    return kill_at_any_point(folder, "weir-init")


def start_in(name, verb, stdin_path):
    with open(stdin_path) as stdin:
        return subprocess.Popen([f"{BUILD}/weir-cni"], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**ENVIRONMENT, "CNI_COMMAND": verb, "CNI_NETNS": f"/run/netns/{name}"})


def test_many_namespaces_at_once(folder):
    names = [f"{NAMESPACE}-{i}" for i in range(NAMESPACES)]
    wrong = []
    try:
        for name in names:
            harness.run("ip", "netns", "add", name)
        path = f"{folder}/stdin"
        with open(path, "w") as stdin:
            stdin.write(stdin_of("10.0.0.0/8"))
        for verb in ("ADD", "CHECK", "DEL"):
            processes = [start_in(name, verb, path) for name in names]
            for name, process in zip(names, processes):
                out, err = process.communicate()
                if process.returncode != 0:
                    wrong.append(f"{verb} in {name}: {out} {err}")
    finally:
        for name in names:
            harness.remove_namespace(name)
    return wrong


def main():
    with tempfile.TemporaryDirectory() as folder:
        print(f"# seed {SEED}")
        return harness.main([NAMESPACE], [(title, partial(test, folder)) for title, test in harness.named_tests(globals())])


if __name__ == "__main__":
    sys.exit(main())
