#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
podman 4.3 starts containers with its CNI networks, and calls bridge and weir-cni. It passes no annotations to plugins,
so a configuration says what is captured: all, or what to do without annotations.

And the way without the plugin: a pod with weir-init as its init container and weir-proxy beside the application.
"""
import os
import subprocess
import sys

import harness
import image
import node
from node import BUILD, WORK, expect, expect_texts

IMAGE = "localhost/weir-test:1"
NETWORKS = f"{WORK}/podman-net.d"
SLEEP = ("/busybox", "sleep", "3600")
CONFIG = f"""
[containers]
cgroupns = "host"
# Limits that need no more than what this process has.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "{IMAGE}"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["{WORK}/podman-bin"]
network_config_dir = "{NETWORKS}"
default_network = "all"
"""


def podman(*arguments):
    """(status, stdout, stderr) of podman with storage of its own, on the node."""
    return node.try_in_node("podman", "--root", f"{WORK}/podman", "--runroot", f"{WORK}/podman-run", "--tmpdir",
                            f"{WORK}/podman-tmp", "--storage-driver", "vfs", *arguments)


def succeed(*arguments):
    status, out, err = podman(*arguments)
    expect(f"podman {' '.join(arguments)}: {err}", status, 0)
    return out.strip()


def run_container(network, *options):
    """What `podman run` says of a container that does nothing for an hour."""
    return podman("run", "-d", "--network", network, f"--cgroup-parent=/{node.GROUP}", *options, IMAGE, *SLEEP)


def prepare():
    node.plugin_folder("podman-bin")
    for number, (name, keys) in enumerate((
            ("all", {"capture": "all", "defaults": {"excludeOutboundIPRanges": node.EXCLUDED_RANGES}}),
            ("capture", {"missingAnnotations": "capture", "defaults": {"includeOutboundIPRanges": node.EXCLUDED_RANGES}}),
            ("skip", {}),
            ("error", {"missingAnnotations": "error"}),
            ("wrong", {"capture": "all", "defaults": {"excludeOutboundPorts": "80, https"}})), 91):
        node.write_conflist(NETWORKS, name, "1.0.0", number, **keys)
    with open(f"{WORK}/containers.conf", "w") as out:
        out.write(CONFIG)
    os.environ["CONTAINERS_CONF"] = f"{WORK}/containers.conf"
    programs = {"/busybox": "/bin/busybox", "/weir-init": f"{BUILD}/weir-init", "/weir-proxy": f"{BUILD}/weir-proxy"}
    image.write(f"{WORK}/image.tar", IMAGE, programs, [])
    succeed("load", "-i", f"{WORK}/image.tar")


def namespace_of(container):
    return succeed("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", container)


def expect_container(network, included, excluded):
    """Starts a container, looks where its connections go, and removes it."""
    status, container, err = run_container(network)
    expect(f"podman run: {err}", status, 0)
    path = namespace_of(container.strip())
    try:
        node.expect_ways(path, included, excluded)
    finally:
        succeed("rm", "-f", "-t", "0", container.strip())
    expect(f"{path} is left", os.path.exists(path), False)


def test_all_are_captured():
    expect_container("all", "proxy", "origin")


def test_captured_without_annotations():
    expect_container("capture", "origin", "proxy")


def test_skipped_without_annotations():
    expect_container("skip", "origin", "origin")
    expect_texts("log", open(node.LOG).read(), "not captured: the runtime passed no annotations")


def test_removal_calls_the_plugin():
    status, container, err = run_container("all", "--name", "removed")
    expect(f"podman run: {err}", status, 0)
    succeed("rm", "-f", "-t", "0", container.strip())
    log = [line for line in open(node.LOG) if f" {container[:12]} " in line]
    expect("added, and removed", [" ADD " in log[0], "rules removed" in log[-1]], [True, True])


def expect_refused(network, *texts):
    status, _, err = run_container(network, "--name", f"refused-{network}")
    succeed("rm", "-f", f"refused-{network}")
    expect("podman run fails", status != 0)
    expect_texts("what podman's user reads", err, 'plugin type="weir-cni" failed (add)', *texts)


def test_errors_arrive():
    expect_refused("error", "the runtime passed no annotations", node.ANNOTATIONS)
    expect_refused("wrong", "CNI configuration key excludeOutboundPorts, item 2", '"https"')


def test_pod_with_init_container():
    succeed("pod", "create", "--name", "web", "--network", "skip", f"--cgroup-parent=/{node.GROUP}",
            "--infra-command", " ".join(SLEEP))
    for name, user, options, command in (
            ("init", "0", ("--init-ctr", "once", "--cap-add", "NET_ADMIN"),
             ("/weir-init", "-i", "*", "-x", node.EXCLUDED_RANGES)),
            ("proxy", "1337:1337", (), ("/weir-proxy", "--access-log", "/dev/stdout")),
            ("app", "1000:1000", (), SLEEP)):
        succeed("create", "--pod", "web", "--name", f"web-{name}", "--user", user, "--cap-drop", "ALL", *options,
                IMAGE, *command)
    succeed("pod", "start", "web")
    origin = subprocess.Popen(harness.inside(node.NODE, "/bin/busybox", "httpd", "-f", "-p", "80", "-h", WORK))
    try:
        for address in (node.INCLUDED[0], node.EXCLUDED[0]):
            succeed("exec", "web-app", "/busybox", "wget", "-q", "-O", "/dev/null", f"http://{address}/containers.conf")
        # At its end the proxy writes what it has not written yet.
        succeed("stop", "-t", "20", "web-proxy")
        lines = [line for line in succeed("logs", "web-proxy").splitlines() if "GET /containers.conf" in line]
        expect("what the access log has", [f" {node.INCLUDED[0]}:80 " in line for line in lines], [True])
    finally:
        origin.kill()
        origin.wait()
        succeed("pod", "rm", "-f", "-t", "0", "web")


if __name__ == "__main__":
    sys.exit(node.main(harness.named_tests(globals()), prepare))
