#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir's table beside those of others in the same namespace: theirs stay as they are and keep working, and who decides
first does not depend on who came first.

The namespaces, listeners and probes are those of packet.py. The others redirect to 15101, so that it shows whose
redirection a connection took. TAP on stdout.
"""
import os
import re
import socket
import sys
from functools import partial

import harness
import packet
from harness import BUILD
from packet import APP, POD, PROXY, in_namespace, probe

# As Istio's init container leaves them, but for the port.
ISTIO = """*nat
:ISTIO_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A OUTPUT -j ISTIO_OUTPUT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15101
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT -o lo -p tcp -m owner ! --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
"""
# As Docker makes them for its resolver in the container's namespace.
DOCKER = """*nat
:DOCKER_OUTPUT - [0:0]
:DOCKER_POSTROUTING - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:35353
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:35353
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 35353 -j SNAT --to-source :53
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 35353 -j SNAT --to-source :53
COMMIT
"""
FILTER = """*filter
-A OUTPUT -d 10.66.0.0/16 -p tcp -j REJECT --reject-with tcp-reset
-A OUTPUT -m mark --mark 0x7
COMMIT
"""
# As kube-proxy makes them for a service: what goes to it goes to one of its pods.
KUBE = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-ONE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -j KUBE-SEP-ONE
-A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 10.1.2.3:8443
COMMIT
"""
NFT = """table inet somebody {
	map answers { type inet_service : inet_service; elements = { 7 : 8 }; }
	set some { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
	chain out {
		type nat hook output priority -100;
		ip daddr @some tcp dport 80 redirect to :15101
	}
	chain weird {
		type filter hook output priority -105;
		ct state new counter
	}
}
"""
# Each kind of foreign rules: how it is loaded, its text, and how it is read back.
FOREIGN = {
    "Istio's, by iptables-nft": (["iptables-nft-restore", "-n"], ISTIO, ["iptables-nft-save"]),
    "Istio's, by iptables-legacy": (["iptables-legacy-restore", "-n"], ISTIO, ["iptables-legacy-save"]),
    "somebody's, by nft": (["nft", "-f", "-"], NFT, ["nft", "-s", "list", "table", "inet", "somebody"]),
}
CAPTURING = ["-i", "10.0.0.0/8", "-x", "10.9.0.0/16"]


def weir(*arguments, backend="nft"):
    return in_namespace(POD, f"{BUILD}/weir-init", *arguments, "--backend", backend)


def not_ours(text):
    return "".join(line for line in text.splitlines(True) if "WEIR_" not in line)


def clean():
    weir("--cleanup-only")
    in_namespace(POD, "nft", "flush", "ruleset")
    for table in ("nat", "filter", "mangle", "raw"):
        in_namespace(POD, "iptables-legacy", "-t", table, "-F")
        in_namespace(POD, "iptables-legacy", "-t", table, "-X")


def saved(command):
    """Without what counts and what the hour changes."""
    return re.sub(r"\[\d+:\d+\]|^#.*\n", "", in_namespace(POD, *command), flags=re.M)


def where_packets_go(listeners, title, expected):
    return [f"{title}: {address} as {identity}: expected {who}, was {seen}"
            for (address, identity), who in expected.items()
            if (seen := probe(listeners, address, 80, identity)) != who]


def test_order(listeners, kind, backend):
    """weir's decision stands; what it lets go is for the others to decide, whoever was there first."""
    load, text, save = FOREIGN[kind]
    expected = {("10.1.2.3", APP): "proxy", ("10.9.2.3", APP): "proxy:15101", ("10.1.2.3", PROXY): "direct"}
    if kind.startswith("somebody"):
        expected["10.1.2.3", PROXY] = "proxy:15101"  # their rule knows no proxy
    wrong = []
    for weir_first in (False, True):
        clean()
        if weir_first:
            weir(*CAPTURING, backend=backend)
        in_namespace(POD, *load, input=text)
        if not weir_first:
            weir(*CAPTURING, backend=backend)
        before = not_ours(saved(save))
        wrong += where_packets_go(listeners, f"weir {'first' if weir_first else 'second'}", expected)
        weir(*CAPTURING, "-o", "7", backend=backend)
        wrong += where_packets_go(listeners, "replaced", expected)
        weir(*CAPTURING, "-o", "7", backend=backend)
        weir("--cleanup-only", backend=backend)
        if not_ours(saved(save)) != before or "WEIR_" in saved(save):
            wrong.append(f"before\n{before}\nafter\n{saved(save)}")
        if (seen := probe(listeners, "10.1.2.3", 80, APP)) != "proxy:15101":
            wrong.append(f"after the cleanup, theirs: {seen}")
    clean()
    return wrong


def resolver(listeners):
    """A name server where Docker's would be; its answers are the probes' business."""
    harness.enter(POD)
    opened = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(("127.0.0.11", 35353))
        if kind == socket.SOCK_STREAM:
            sock.listen(8)
        sock.setblocking(False)
        listeners[sock] = "local"
        opened.append(sock)
    return opened


def test_docker_dns(listeners):
    clean()
    wrong = []
    opened = resolver(listeners)
    in_namespace(POD, "iptables-nft-restore", "-n", input=DOCKER)
    before = saved(["iptables-nft-save"])
    for arguments in (["-i", "*"], ["-i", "*", "-o", "7"], ["-i", "127.0.0.0/8,10.0.0.0/8"], ["--cleanup-only"]):
        weir(*arguments)
        # An included loopback range is what somebody asked for, and takes Docker's resolver along, over TCP.
        over_tcp = "proxy" if "127.0.0.0/8,10.0.0.0/8" in arguments else "local"
        for kind, expected in ((socket.SOCK_STREAM, over_tcp), (socket.SOCK_DGRAM, "local")):
            seen = probe(listeners, "127.0.0.11", 53, APP, kind)
            if seen != expected:
                wrong.append(f"{arguments}: {kind.name} to 127.0.0.11: expected {expected}, was {seen}")
    if saved(["iptables-nft-save"]) != before:
        wrong.append(f"before\n{before}\nafter\n{saved(['iptables-nft-save'])}")
    for sock in opened:
        del listeners[sock]
        sock.close()
    clean()
    return wrong


def answered(address, port, identity, kind, listeners, where):
    """Whether a query that one listener takes is answered to whoever sent it."""
    child = packet.start_probe(address, port, identity, kind)
    ready, _, _ = packet.select.select(list(listeners), [], [], packet.DEADLINE)
    if ready and kind == socket.SOCK_DGRAM:
        _, peer = ready[0].recvfrom(1)
        ready[0].sendto(b"y", peer)
    elif ready:
        accepted, _ = ready[0].accept()
        accepted.send(b"y")
        accepted.close()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return bool(ready) and listeners[ready[0]] == where and status == 0


def test_dns_capture_beside_docker(listeners, backend):
    """Applications' queries go to the proxy, the proxy's to Docker's resolver; both are answered, from reused ports, too."""
    clean()
    wrong = []
    opened = resolver(listeners)
    in_namespace(POD, "iptables-nft-restore", "-n", input=DOCKER)
    weir("-i", "*", "--redirect-dns", "--capture-all-dns", backend=backend)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for identity, where in ((APP, "dns"), (PROXY, "local"), (APP, "dns")):
            if not answered("127.0.0.11", 53, identity, kind, listeners, where):
                wrong.append(f"{kind.name} as {identity}: not answered by {where}")
    for sock in opened:
        del listeners[sock]
        sock.close()
    clean()
    return wrong


def test_kube_proxy(listeners, flavour, backend):
    """A service that is captured is the proxy's, by its own address; one that is let go is still a service."""
    wrong = []
    for arguments, app in ((["-i", "10.0.0.0/8"], "proxy"), (["-i", "10.0.0.0/8", "-x", "10.96.0.0/12"], "direct, but as 10.1.2.3:8443"),
                           (["-b", "*"], "direct, but as 10.1.2.3:8443")):
        clean()
        in_namespace(POD, f"iptables-{flavour}-restore", "-n", input=KUBE)
        before = saved([f"iptables-{flavour}-save"])
        weir(*arguments, backend=backend)
        wrong += where_packets_go(listeners, f"{arguments}", {
            ("10.96.0.1", APP): app, ("10.96.0.1", PROXY): "direct, but as 10.1.2.3:8443"})
        weir("--cleanup-only", backend=backend)
        if [line for line in saved([f"iptables-{flavour}-save"]).splitlines() if "-A" in line] != [
                line for line in before.splitlines() if "-A" in line]:
            wrong.append(f"{arguments}: before {before}, after {saved([f'iptables-{flavour}-save'])}")
    clean()
    return wrong


def test_filters(listeners):
    """A filter of somebody's still rejects, and weir keeps what it rejects from nobody."""
    wrong = []
    for flavour in ("nft", "legacy"):
        clean()
        in_namespace(POD, f"iptables-{flavour}-restore", "-n", input=FILTER)
        before = saved([f"iptables-{flavour}-save"])
        for arguments in (["-i", "10.0.0.0/8", "-x", "10.66.0.0/16"], ["-i", "10.0.0.0/8", "-o", "7", "-x", "10.66.0.0/16"]):
            weir(*arguments)
            child = packet.start_probe("10.66.1.1", 80, APP, socket.SOCK_STREAM)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status != 111:
                wrong.append(f"{flavour}: the reset did not come: {status}")
            wrong += where_packets_go(listeners, flavour, {("10.1.2.3", APP): "proxy"})
        weir("--cleanup-only")
        if saved([f"iptables-{flavour}-save"]) != before:
            wrong.append(f"{flavour}: before\n{before}\nafter\n{saved([f'iptables-{flavour}-save'])}")
    clean()
    return wrong


def main():
    listeners = {}
    tests = [(f"order_beside {kind}, by {backend}", partial(test_order, listeners, kind, backend))
             for kind in FOREIGN for backend in ("nft", "iptables") if "by nft" not in kind or backend == "nft"]
    tests += [(f"dns_capture_beside_docker, by {backend}", partial(test_dns_capture_beside_docker, listeners, backend))
              for backend in ("nft", "iptables")]
    tests += [(f"kube_proxy by iptables-{flavour}, weir by {backend}", partial(test_kube_proxy, listeners, flavour, backend))
              for flavour in ("nft", "legacy") for backend in ("nft", "iptables")]
    tests += [("docker_dns", partial(test_docker_dns, listeners)), ("filters", partial(test_filters, listeners))]

    def prepare():
        packet.connect_namespaces()
        listeners.update(packet.open_listeners())

    return harness.main([POD, packet.OUTSIDE], tests, prepare)


if __name__ == "__main__":
    sys.exit(main())
