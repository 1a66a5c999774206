# SPDX-License-Identifier: Apache-2.0
"""
A pod, what is outside of it, and a virtual machine behind it, with somebody listening on every port everywhere.

    outside                         pod                                vm
    veth0 10.77.0.1 fd77::1 ------- eth0 10.77.0.2 fd77::2
    veth1 10.78.0.1 fd78::1 ------- net1 10.78.0.2 fd78::2
    is every other address          eth1 10.79.0.1 fd79::1 ----------- eth0 10.79.0.2 fd79::2

One process and one thread do it all: a socket stays in the namespace that it was made in, and what rules call its owner
are the file system IDs of its maker, which a thread changes and takes back.
"""
import ctypes
import os
import resource
import select
import socket
import struct
import subprocess
import tempfile

import harness
from configurations import GROUPS, flags
from harness import BUILD, LIBC, run
from model import DNS_LISTENER, EVERYTHING

POD, OUTSIDE, VM = "pod", "outside", "vm"
NAMESPACES = {place: harness.namespace_name(f"peer-{place}") for place in (POD, OUTSIDE, VM)}
LINKS = (("eth0", "veth0", OUTSIDE, 77), ("net1", "veth1", OUTSIDE, 78), ("eth1", "eth0", VM, 79))
PORTS = (22, 53, 80, 81, 443, 4000, 5000, 6000, 6005, 7000, 8000, 8080, 15001, 15006, 15008, 15020, 15021, 15053, 15090,
         15101, 15106, 15108, 31000, 32000)
FAMILIES = (socket.AF_INET, socket.AF_INET6)
BACKLOG = 4096
TRANSPARENT = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}
PACKET_INFO = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)}
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
DELETE_CONNECTIONS = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0)  # all of them, and acknowledge
NETLINK_NETFILTER = 12
APP = (1000, 1000)
# Somebody's firewall in the pod: an answer that belongs to no question is not let in, nor through.
GUARD = """table inet guard {
	chain input {
		type filter hook input priority 0
		udp sport 53 ct state new drop
	}
	chain forward {
		type filter hook forward priority 0
		udp sport 53 ct state new drop
	}
}
"""
SERVERS = ("10.96.0.10",)  # of resolv.conf where it does not matter


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect_namespaces():
    def ip(place, *words):
        run("ip", "-n", NAMESPACES[place], *words)

    for place in NAMESPACES:
        ip(place, "link", "set", "lo", "up")
    for inner, outer, there, net in LINKS:
        ip(POD, "link", "add", inner, "type", "veth", "peer", "name", outer, "netns", NAMESPACES[there])
        pod, other = (1, 2) if there == VM else (2, 1)
        for place, link, host in ((POD, inner, pod), (there, outer, other)):
            ip(place, "link", "set", link, "addrgenmode", "none")  # no address that comes a second later
            ip(place, "address", "add", f"10.{net}.0.{host}/24", "dev", link)
            ip(place, "address", "add", f"fd{net}::{host}/64", "dev", link, "nodad")
            ip(place, "link", "set", link, "up")
    ip(POD, "route", "add", "default", "via", "10.77.0.1")
    ip(POD, "route", "add", "default", "via", "fd77::1")
    ip(POD, "route", "add", "192.0.2.0/24", "via", "10.78.0.1")
    ip(POD, "route", "add", "2001:db8:ffff::/48", "via", "fd78::1")
    ip(VM, "route", "add", "default", "via", "10.79.0.1")
    ip(VM, "route", "add", "default", "via", "fd79::1")
    ip(OUTSIDE, "route", "add", "10.79.0.0/24", "via", "10.77.0.2")
    ip(OUTSIDE, "route", "add", "fd79::/64", "via", "fd77::2")
    ip(OUTSIDE, "-4", "route", "add", "local", "default", "dev", "lo", "table", "main")
    ip(OUTSIDE, "-6", "route", "add", "local", "default", "dev", "lo", "table", "main")
    for place, name in NAMESPACES.items():
        harness.enter(name)
        for path, value in (("ipv4/ping_group_range", "0 2147483647"), ("ipv4/ip_forward", str(int(place == POD))),
                            ("ipv6/conf/all/forwarding", str(int(place == POD)))):
            with open(f"/proc/sys/net/{path}", "w") as sysctl:
                sysctl.write(value)


class Lab:
    def __init__(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        connect_namespaces()
        self.places = {place: os.open(f"/run/netns/{name}", os.O_RDONLY) for place, name in NAMESPACES.items()}
        self.files = tempfile.TemporaryDirectory()
        self.write("group", "root:x:0:\n" + "".join(f"{name}:x:{gid}:\n" for name, gid in GROUPS.items()))
        self.resolve_by(SERVERS)
        self.program("nft", "-f", "-", text=GUARD)
        self.poll = select.epoll()
        self.listeners = {}  # file descriptor -> (socket, place, port)
        self.ports = {}  # (place, family, kind, port) -> file descriptor
        self.roles, self.owner = (), None
        for place in NAMESPACES:
            for port in PORTS:
                self.listen(place, port, APP)

    def write(self, name, text):
        with open(os.path.join(self.files.name, name), "w") as file:
            file.write(text)

    def resolve_by(self, servers):
        self.write("resolv.conf", "search example\n" + "".join(f"nameserver {server}\n" for server in servers))

    def within(self, place):
        harness.set_namespace(self.places[place])

    # --- programs

    def program(self, *words, environment=(), check=True, text=None):
        """Runs a program in the pod, with /etc/resolv.conf and /etc/group of the tests' own."""
        def enter():
            harness.set_namespace(self.places[POD])
            mounts = [("none", "/", MS_REC | MS_PRIVATE)]
            mounts += [(f"{self.files.name}/{name}", f"/etc/{name}", MS_BIND) for name in ("resolv.conf", "group")]
            if LIBC.unshare(CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            for source, target, how in mounts:
                if LIBC.mount(source.encode(), target.encode(), None, ctypes.c_ulong(how), None) != 0:
                    raise OSError(ctypes.get_errno(), target)

        return subprocess.run(words, preexec_fn=enter, text=True, capture_output=True, check=check, input=text,
                              env={"PATH": os.environ["PATH"], **harness.sanitizer_options(), **dict(environment)})

    def weir(self, config, *more, check=True):
        """Runs weir-init with a configuration's flags."""
        self.resolve_by(config.dns if config.dns_asked and config.dns != EVERYTHING else SERVERS)
        words, environment = flags(config)
        return self.program(f"{BUILD}/weir-init", *words, *more, environment=environment, check=check)

    # --- listeners

    def open_socket(self, place, family, kind, owner, protocol=0):
        """A socket in a place, owned by a user and a group."""
        self.within(place)
        LIBC.setfsgid(owner[1])
        LIBC.setfsuid(owner[0])
        try:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        finally:
            LIBC.setfsuid(0)
            LIBC.setfsgid(0)

    def listen(self, place, port, owner, transparent=False):
        """Both transports in both families; who listened there before does no more."""
        for family in FAMILIES:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                self.close((place, family, kind, port))
                sock = self.open_socket(place, family, kind, owner)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(*PACKET_INFO[family], 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if transparent or place == OUTSIDE:  # which answers as whoever was called
                    sock.setsockopt(*TRANSPARENT[family], 1)
                sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
                if kind == socket.SOCK_STREAM:
                    sock.listen(BACKLOG)
                self.listeners[sock.fileno()] = (sock, place, port)
                self.ports[place, family, kind, port] = sock.fileno()
                self.poll.register(sock, select.EPOLLIN)

    def close(self, key):
        """Nobody listens there any more, if anybody did."""
        old = self.ports.pop(key, None)
        if old is not None:
            self.poll.unregister(old)
            self.listeners.pop(old)[0].close()

    def silence(self):
        """The proxy's ports are closed, until serve()."""
        for key in [key for key in self.ports if key[0] == POD and key[3] in self.roles]:
            self.close(key)
        self.owner = None

    def serve(self, config, owner=None):
        """The proxy of a configuration listens; conntrack has forgotten what was before."""
        roles = (config.proxy_port, config.inbound_port, DNS_LISTENER)
        owner = owner or (config.uids[0], config.gids[0])
        if (roles, owner) != (self.roles, self.owner):
            for port in self.roles:
                self.listen(POD, port, APP)
            for port in roles:
                self.listen(POD, port, owner, transparent=port == config.inbound_port)
            self.roles, self.owner = roles, owner
        self.forget()

    def forget(self):
        """What conntrack remembers of an earlier connection must not decide about a later one with the same ends."""
        self.within(POD)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
            netlink.send(DELETE_CONNECTIONS)
            if struct.unpack_from("=i", netlink.recv(4096), 16)[0] != 0:
                raise OSError("conntrack does not forget")
