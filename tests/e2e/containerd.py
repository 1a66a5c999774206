#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
containerd 1.6 starts pods by the Container Runtime Interface, as a kubelet asks it to, and calls bridge and weir-cni.
The pods' annotations reach weir-cni by the capability that the configuration declares.
"""
import os
import subprocess
import sys
import time

import cri
import harness
import image
import node
from node import TRAFFIC, WORK, expect, expect_texts

SOCKET = f"{WORK}/containerd.sock"
ROOT = f"{WORK}/containerd"
PAUSE = "localhost/pause:1"
START_SECONDS = 30
CONFIG = f"""
version = 2
root = "{ROOT}/root"
state = "{ROOT}/state"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Where these capabilities are missing, as in a container, both would fail.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{WORK}/containerd-bin"
    conf_dir = "{WORK}/containerd-net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"""


def is_ready():
    try:
        cri.version(SOCKET)
        return True
    except (subprocess.CalledProcessError, cri.Refused):
        return False


def start_containerd():
    """Returns its process, once it answers."""
    with open(f"{WORK}/containerd.toml", "w") as out:
        out.write(CONFIG)
    with open(f"{WORK}/containerd.log", "wb") as log:
        daemon = subprocess.Popen(harness.inside(node.NODE, "containerd", "-c", f"{WORK}/containerd.toml"),
                                  stdout=log, stderr=log)
    end = time.monotonic() + START_SECONDS
    while not is_ready():
        if daemon.poll() is not None or time.monotonic() > end:
            raise SystemExit("containerd does not answer: " + open(f"{WORK}/containerd.log").read()[-2000:])
        time.sleep(0.1)
    return daemon


def prepare():
    node.plugin_folder("containerd-bin")
    node.write_conflist(f"{WORK}/containerd-net.d", "pods", "1.0.0", 81, excludeNamespaces=["kube-system"])
    start_containerd()
    image.write(f"{WORK}/pause.tar", PAUSE, {"/busybox": "/bin/busybox"}, ["/busybox", "sleep", "3600"])
    subprocess.run(["ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import", "--no-unpack", f"{WORK}/pause.tar"],
                   check=True, capture_output=True)


def namespaces():
    """The pods' namespaces that containerd has made and not removed."""
    return {f"/run/netns/{name}" for name in os.listdir("/run/netns") if name.startswith("cni-")}


class Pod:
    """A sandbox, with the path of its namespace; removed as a kubelet removes it."""

    def __init__(self, name, annotations, namespace="team-a"):
        self.config = cri.sandbox_config(namespace, name, annotations, f"/{node.GROUP}")

    def __enter__(self):
        before = namespaces()
        self.id = cri.run_sandbox(SOCKET, self.config)
        (self.path,) = namespaces() - before
        return self

    def __exit__(self, *_):
        cri.stop_sandbox(SOCKET, self.id)
        cri.remove_sandbox(SOCKET, self.id)


def test_captured():
    with Pod("captured", {TRAFFIC + "includeOutboundIPRanges": "*"}) as pod:
        expect_texts("table", node.table(pod.path), 'comment "weir: team-a/captured"')
        node.expect_ways(pod.path, "proxy", "proxy")


def test_excluded_ranges():
    annotations = {TRAFFIC + "excludeOutboundIPRanges": node.EXCLUDED_RANGES, "kubernetes.io/config.source": "api",
                   "odd/\"quote\\\n": "line1\nline2\t\"q\" \u00e9 <&>"}
    with Pod("excluded", annotations) as pod:
        node.expect_ways(pod.path, "proxy", "origin")


def test_included_ranges():
    with Pod("included", {TRAFFIC + "includeOutboundIPRanges": node.EXCLUDED_RANGES}) as pod:
        node.expect_ways(pod.path, "origin", "proxy")


def test_not_annotated():
    for name, annotations in (("none", {}), ("others", {"prometheus.io/scrape": "true"})):
        with Pod(name, annotations) as pod:
            expect("table", node.table(pod.path), "")
            node.expect_ways(pod.path, "origin", "origin")


def test_excluded_namespace():
    with Pod("dns", {TRAFFIC + "includeOutboundIPRanges": "*"}, "kube-system") as pod:
        expect("table", node.table(pod.path), "")


def test_bad_annotation():
    before = namespaces()
    try:
        with Pod("bad", node.BAD_ANNOTATION):
            raise AssertionError("the pod has started")
    except cri.Refused as refused:
        expect_texts("the kubelet's event", str(refused), "failed to setup network", *node.BAD_ANNOTATION_TEXTS)
    expect("namespaces that are left", namespaces(), before)


def test_many_ranges():
    """As many as the annotations of a pod may have."""
    ranges = ",".join(f"10.{i >> 8}.{i & 255}.0/24" for i in range(15000))
    with Pod("many", {TRAFFIC + "includeOutboundIPRanges": "203.0.113.0/24,2001:db8::/48," + ranges}) as pod:
        node.expect_ways(pod.path, "proxy", "origin")


def test_stop():
    before = namespaces()
    with Pod("stopped", {TRAFFIC + "includeOutboundIPRanges": "*"}) as pod:
        for _ in range(2):
            cri.stop_sandbox(SOCKET, pod.id)
            expect("namespaces that are left", namespaces(), before)
    log = [line for line in open(node.LOG) if "team-a/stopped" in line]
    expect("added, and removed", [" ADD " in log[0], " DEL " in log[1] and "rules removed" in log[1]], [True, True])


if __name__ == "__main__":
    sys.exit(node.main(harness.named_tests(globals()), prepare))
