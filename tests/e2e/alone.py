#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The static programs in a root that has nothing but them: no library, no /proc, no /etc, no shell.
"""
import json
import os
import subprocess
import sys

import harness
import node
from node import BUILD, TRAFFIC, WORK, expect, expect_texts

PROGRAMS = ("weir-cni", "weir-init", "weir-proxy")
PLUGIN_SIZE_MAX = 1000000
ROOT = f"{WORK}/empty"
POD = "alone"
POD_PATH = f"/run/netns/{POD}"
PREV_RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.77.0.2/24"}]}


def prepare():
    """Beside the plugin only the namespace's own file, which a runtime has bound somewhere, too."""
    os.makedirs(ROOT)
    for program in PROGRAMS:
        harness.run("cp", f"{BUILD}/{program}", ROOT)
    open(f"{ROOT}/netns", "w").close()
    harness.run("ip", "netns", "add", POD)
    harness.run("mount", "--bind", POD_PATH, f"{ROOT}/netns")


def plugin(verb, annotations):
    """(status, answer)"""
    stdin = {"cniVersion": "1.0.0", "name": "pods", "type": "weir-cni", "prevResult": PREV_RESULT,
             "logFile": "/weir.log", "capabilities": {node.ANNOTATIONS: True},
             "runtimeConfig": {node.ANNOTATIONS: annotations}}
    environment = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "abc", "CNI_NETNS": "/netns", "CNI_IFNAME": "eth0",
                   "CNI_PATH": "/", "CNI_ARGS": "K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0"}
    done = subprocess.run(["/usr/sbin/chroot", ROOT, "/weir-cni"], input=json.dumps(stdin), check=False, text=True,
                          capture_output=True, env=environment)
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def program(*command):
    """A program in the pod's namespace: (status, stderr)."""
    done = subprocess.run(["nsenter", f"--net={POD_PATH}", "chroot", ROOT, *command], check=False, text=True,
                          capture_output=True)
    return done.returncode, done.stderr


def test_size():
    size = os.path.getsize(f"{BUILD}/weir-cni")
    expect(f"weir-cni has {size} bytes, fewer than {PLUGIN_SIZE_MAX}", size < PLUGIN_SIZE_MAX)


def test_plugin():
    annotations = {TRAFFIC + "excludeOutboundIPRanges": node.EXCLUDED_RANGES}
    expect("VERSION", plugin("VERSION", {})[0], 0)
    expect("ADD", plugin("ADD", annotations), (0, PREV_RESULT))
    expect_texts("table", node.table(POD_PATH), 'comment "weir: team-a/web-0"', "198.51.100.0/24", "2001:db8:ffff::/48")
    expect("CHECK", plugin("CHECK", annotations), (0, None))
    node.drop_rule(POD_PATH, "bypass: excludeOutboundIPRanges")
    status, answer = plugin("CHECK", annotations)
    expect("CHECK after tampering", (status, answer["code"]), (1, 104))
    expect("DEL", plugin("DEL", annotations), (0, None))
    expect("table", node.table(POD_PATH), "")
    expect("another DEL", plugin("DEL", annotations), (0, None))
    expect_texts("log", open(f"{ROOT}/weir.log").read(), "since it is annotated: rules created", "rules removed")


def test_bad_annotation():
    status, answer = plugin("ADD", node.BAD_ANNOTATION)
    expect("ADD", (status, answer["code"]), (1, 100))
    expect_texts("message", answer["msg"], *node.BAD_ANNOTATION_TEXTS[:3])
    expect("table", node.table(POD_PATH), "")


def test_init():
    for arguments, status, said in (
            ("-i *", 0, ""), ("-i *", 0, "unchanged"), ("-i * -o 80", 0, "replaced"),
            ("-i * -o 80 --check", 0, "as asked for"), ("-i * --check", 3, "set excluded_ports was added"),
            ("-i 10.0.0.0/33", 1, "10.0.0.0/33"), ("--cleanup-only", 0, "")):
        seen, err = program("/weir-init", *arguments.split())
        expect(f"weir-init {arguments}: {err}", seen, status)
        expect_texts("weir-init says", err, said)
    expect("table", node.table(POD_PATH), "")


def test_proxy():
    status, err = program("/weir-proxy", "--no-such-option")
    expect_texts(f"weir-proxy says, with status {status}", err, "no-such-option")


if __name__ == "__main__":
    sys.exit(node.main(harness.named_tests(globals()), prepare))
