# SPDX-License-Identifier: Apache-2.0
"""
What the tests of the real runtimes share: a node, its network configuration, and where a pod's packets go.

    pod namespace (made by the runtime)      node namespace (the runtime runs here)
    the proxy's listener: 15001              a listener for whatever is dialled
    eth0 ------------------------ veth ----- bridge; answers for 203.0.113.0/24, 198.51.100.0/24, 2001:db8::/32

Paths below WORK are this run's own; tests/e2e/run makes it and removes it.
"""
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys

import harness

WORK = os.environ.get("WEIR_E2E_WORK") or sys.exit("run me by tests/e2e/run, which gives me namespaces of my own")
GROUP = os.environ["WEIR_E2E_GROUP"]
TOOLS = os.path.abspath(os.environ["WEIR_E2E_TOOLS"])
BUILD = os.path.abspath(harness.BUILD)
NODE = "node"
LOG = f"{WORK}/weir-cni.log"
ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
TRAFFIC = "traffic.sidecar.istio.io/"
BAD_ANNOTATION = {TRAFFIC + "excludeOutboundIPRanges": "198.51.100.0/24, 10.0.0.0/33"}
BAD_ANNOTATION_TEXTS = (f"annotation {TRAFFIC}excludeOutboundIPRanges", "item 2", '"10.0.0.0/33"',
                        'plugin type="weir-cni"')
DEBIAN_PLUGINS = "/usr/lib/cni"
ORIGINAL_DST = 80
DEADLINE = 10.0
COMMAND_DEADLINE = 120

# Who is dialled: two that the tests never exclude, and two that "excluded" below excludes.
INCLUDED = ("203.0.113.10", "2001:db8::10")
EXCLUDED = ("198.51.100.10", "2001:db8:ffff::10")
EXCLUDED_RANGES = "198.51.100.0/24,2001:db8:ffff::/48"


# --- what a test says

def expect(what, seen, expected=True):
    if seen != expected:
        raise AssertionError(f"{what}: {seen!r}, not {expected!r}")


def expect_texts(what, text, *parts):
    for part in parts:
        expect(f"{what}: {text!r} has {part!r}", part in text)


# --- the node

def set_up():
    harness.run("ip", "-n", NODE, "link", "set", "lo", "up")
    for net in ("203.0.113.0/24", "198.51.100.0/24", "2001:db8::/32"):
        harness.run("ip", "-n", NODE, "route", "add", "local", net, "dev", "lo")
    # Addresses are there at once: nobody else could have them.
    for which in ("all", "default"):
        in_node("sysctl", "-qw", f"net.ipv6.conf.{which}.accept_dad=0")


def in_node(*command, **options):
    """The stdout of a command on the node, which must succeed."""
    return harness.run(*harness.inside(NODE, *command), timeout=COMMAND_DEADLINE, **options)


def try_in_node(*command, **options):
    """The same for one that may fail: (status, stdout, stderr)."""
    done = subprocess.run(harness.inside(NODE, *command), check=False, text=True, capture_output=True,
                          timeout=COMMAND_DEADLINE, **options)
    return done.returncode, done.stdout, done.stderr


def plugin_folder(name, plugins=DEBIAN_PLUGINS):
    """A folder with the plugins that the configurations name."""
    folder = f"{WORK}/{name}"
    os.makedirs(folder)
    for plugin in ("bridge", "host-local"):
        shutil.copy(f"{plugins}/{plugin}", folder)
    if os.path.exists(f"{plugins}/loopback"):
        shutil.copy(f"{plugins}/loopback", folder)
    shutil.copy(f"{BUILD}/weir-cni", folder)
    return folder


def write_conflist(folder, name, version, number, **weir):
    """A network of the bridge plugin and weir-cni; `number` makes its bridge and its addresses."""
    os.makedirs(folder, exist_ok=True)
    bridge = {"type": "bridge", "bridge": f"weir{number}", "isGateway": True, "ipam": {
        "type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        "ranges": [[{"subnet": f"10.{number}.0.0/24"}], [{"subnet": f"fd{number}::/64"}]]}}
    plugin = {"type": "weir-cni", "capabilities": {ANNOTATIONS: True}, "logFile": LOG, **weir}
    with open(f"{folder}/{name}.conflist", "w") as out:
        json.dump({"cniVersion": version, "name": name, "plugins": [bridge, plugin]}, out)


# --- a pod, by the path of its namespace

@contextlib.contextmanager
def inside(path):
    """What is opened in here belongs to the namespace for good."""
    with open("/proc/thread-self/ns/net") as home, open(path) as namespace:
        harness.set_namespace(namespace.fileno())
        try:
            yield
        finally:
            harness.set_namespace(home.fileno())


def in_pod(path, *command):
    return harness.run("nsenter", f"--net={path}", *command, timeout=COMMAND_DEADLINE)


def table(path):
    """weir's table as nft lists it, or nothing."""
    done = subprocess.run(["nsenter", f"--net={path}", "nft", "list", "table", "inet", "weir"], check=False, text=True,
                          capture_output=True)
    return done.stdout


def listen(path, port):
    """A listener for both families."""
    with inside(path):
        sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", port))
    sock.listen(8)
    return sock


def original_destination(sock):
    if sock.getpeername()[0].startswith("::ffff:"):
        return socket.inet_ntop(socket.AF_INET, sock.getsockopt(socket.SOL_IP, ORIGINAL_DST, 16)[4:8])
    return socket.inet_ntop(socket.AF_INET6, sock.getsockopt(socket.IPPROTO_IPV6, ORIGINAL_DST, 28)[8:24])


def who_answers(path, address, port=80):
    """'proxy' or 'origin': where a connection from the pod arrives. A captured one must arrive with its destination."""
    with listen(path, 15001) as proxy, listen(f"/run/netns/{NODE}", port) as origin:
        with inside(path):
            client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        with client:
            client.settimeout(DEADLINE)
            client.connect((address, port))
            ready, _, _ = select.select([proxy, origin], [], [], DEADLINE)
            if ready != [proxy]:
                return "origin" if ready == [origin] else "nobody"
            accepted, _ = proxy.accept()
            with accepted:
                expect("the original destination", original_destination(accepted), address)
            return "proxy"


def expect_ways(path, included, excluded):
    """Connections to each of the addresses above arrive where they should, in both families."""
    for addresses, who in ((INCLUDED, included), (EXCLUDED, excluded)):
        for address in addresses:
            expect(f"who answers for {address}", who_answers(path, address), who)


def drop_rule(path, comment):
    """Tampers: deletes the rule of that comment."""
    rules = json.loads(in_pod(path, "nft", "-j", "list", "table", "inet", "weir"))["nftables"]
    handle = next(entry["rule"]["handle"] for entry in rules if entry.get("rule", {}).get("comment") == comment)
    in_pod(path, "nft", "delete", "rule", "inet", "weir", "outbound", "handle", str(handle))


def main(tests, prepare):
    def prepare_all():
        set_up()
        prepare()
    return harness.main([NODE], tests, prepare_all)
