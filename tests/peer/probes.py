# SPDX-License-Identifier: Apache-2.0
"""
Every class of packet that a configuration may decide about: by whom, from where, to what, in both families.
"""
import ipaddress

from lab import OUTSIDE, POD, PORTS, VM
from model import EVERYTHING, Packet
from prober import MACHINE, OWN, owners

LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.0.0.53", "::1")
POD_ADDRESSES = ("10.77.0.2", "10.78.0.2", "fd77::2", "fd78::2")
ELSEWHERE = ("10.77.0.1", "10.1.2.3", "10.96.0.10", "9.9.1.1", "1.1.1.1", "198.51.100.1", "192.0.2.1", "10.79.0.2",
             "fd77::1", "2001:db8::1", "2001:db8:1::1", "fd96::a", "2606::1", "2001:db8:ffff::1", "fd79::2")
NETWORKS = [ipaddress.ip_network(text) for text in (
    "10.77.0.0/24", "10.78.0.0/24", "10.79.0.0/24", "fd77::/64", "fd78::/64", "fd79::/64", "127.0.0.0/32",
    "127.255.255.255/32")]
# Who sends from outside, by which interface of the pod: sender's place, its address, the pod's address, in each family.
ENTRANCES = {
    "eth0": (OUTSIDE, ("10.77.0.1", "fd77::1"), ("10.77.0.2", "fd77::2")),
    "net1": (OUTSIDE, ("10.78.0.1", "fd78::1"), ("10.78.0.2", "fd78::2")),
    "eth1": (VM, MACHINE, ("10.79.0.1", "fd79::1")),
}
# Sources that say who calls. The address ::6 comes with inbound capture.
BOUND4 = (("127.0.0.6", "10.77.0.2"), ("127.0.0.6", "10.78.0.2"), ("127.0.0.6", "127.1.2.3"),
          ("10.78.0.2", "10.77.0.2"), ("127.0.0.7", "10.77.0.2"))
BOUND = BOUND4 + (("::6", "fd77::2"), ("::6", "fd78::2"))
# Ports of which one in a class stands for all, where not every port is tried.
FEW = (80, 53, 15008)


def link_of(address):
    """The pod's way to an address."""
    if address in OWN or address.startswith("127."):
        return "lo"
    if address in MACHINE:
        return "eth1"
    return "net1" if address.startswith(("192.0.2.", "2001:db8:ffff:", "10.78.", "fd78:")) else "eth0"


def last(items):
    return items[-1][-1] if isinstance(items[-1], tuple) else items[-1]


def identities(config):
    """Users and groups that something may be decided about; first the application's, then the proxy's."""
    groups = () if config.include_groups == EVERYTHING else config.include_groups
    return ((1000, 1000), (config.uids[0], config.gids[0]), (config.uids[0], 1000), (1000, config.gids[0]),
            (0, config.gids[0]), (last(config.uids), 2000), (2000, last(config.gids)), (0, 0), (1336, 1338),
            *((1000, gid) for gid in (*groups, *config.exclude_groups)))


def is_somebody(address):
    """Every address outside answers, but in the pod's own networks there are only those that are listed."""
    if address in POD_ADDRESSES + ELSEWHERE + OWN + MACHINE:
        return True
    ip = ipaddress.ip_address(address)
    return not ip.is_multicast and not any(ip in net for net in NETWORKS if ip.version == net.version)


def edges(ranges):
    """The first and the last address of each range."""
    for net in (ipaddress.ip_network(text, strict=False) for text in ranges if ranges != EVERYTHING):
        yield from (str(net[0]), str(net[-1])) if net.prefixlen > 0 else ()


def destinations(config):
    named = [*edges(config.include_ranges), *edges(config.exclude_ranges)]
    named += config.dns if config.dns != EVERYTHING else ()
    return list(dict.fromkeys([*LOOPBACK, *POD_ADDRESSES, *ELSEWHERE, *filter(is_somebody, named)]))


def leaving(config):
    """What the pod's processes send."""
    everybody = list(dict.fromkeys(identities(config)))
    for address in destinations(config):
        link = link_of(address)
        for number, (uid, gid) in enumerate(everybody):
            for port in PORTS if number == 0 else FEW:
                yield Packet(POD, "tcp", "", address, port, link, uid, gid)
            for port in (53, 443, 4000) if number < 4 else (53,):
                yield Packet(POD, "udp", "", address, port, link, uid, gid)
        for uid, gid in everybody[:2]:
            yield Packet(POD, "icmp", "", address, 0, link, uid, gid)


def bound(config):
    """What is sent from an address that says who sends it."""
    for uid, gid in identities(config)[:5]:
        for source, address in BOUND if config.inbound and config.mode != "NONE" else BOUND4:
            for port in FEW:
                yield Packet(POD, "tcp", source, address, port, "lo", uid, gid)


def marked(config):
    """What carries TPROXY's mark: the proxy calls the application in the client's name. Others may, too."""
    callers = [(0, config.gids[0]), (config.uids[0], config.gids[0]), (config.uids[0], 1000)]
    for uid, gid in callers + [(1000, 1000)]:
        for address in POD_ADDRESSES:
            for port in FEW:
                yield Packet(POD, "tcp", "", address, port, "lo", uid, gid, config.mark)
    if config.mode != "TPROXY" or not config.inbound:
        yield Packet(POD, "tcp", "", "10.1.2.3", 80, "eth0", 1000, 1000, config.mark)
    else:  # where the mark decides about the route, the client's address can be the source
        for uid, gid in callers:
            for client, address in (("10.77.0.1", "10.77.0.2"), ("fd77::1", "fd77::2"), ("198.51.100.1", "10.78.0.2"),
                                    ("2001:db8::1", "fd78::2"), ("10.79.0.2", "10.77.0.2")):
                for port in FEW:
                    yield Packet(POD, "tcp", client, address, port, "lo", uid, gid, config.mark)


def entering(config):
    """What comes in by each interface: for the pod, and, to be forwarded, to and from the virtual machine."""
    for link, (place, sources, addresses) in ENTRANCES.items():
        for address in addresses:
            for port in PORTS:
                yield Packet(place, "tcp", "", address, port, link)
            for port in (53, 443):
                yield Packet(place, "udp", "", address, port, link)
            yield Packet(place, "icmp", "", address, 0, link)
            if place == OUTSIDE:
                for port in (0, 80, 15006):
                    source = sources[addresses.index(address)]
                    yield Packet(place, "invalid", source, address, port, link)
    for address in MACHINE:
        for port in PORTS:
            yield Packet(OUTSIDE, "tcp", "", address, port, "eth0")
        yield Packet(OUTSIDE, "udp", "", address, 53, "eth0")
    for address in destinations(config):
        if link_of(address) in ("eth0", "net1"):
            for port in PORTS if address in ELSEWHERE[:5] else FEW:
                yield Packet(VM, "tcp", "", address, port, "eth1")
            for port in (53, 443):
                yield Packet(VM, "udp", "", address, port, "eth1")
            yield Packet(VM, "icmp", "", address, 0, "eth1")


KINDS = {leaving: 0.5, bound: 0.1, marked: 0.1, entering: 0.3}  # and how much of each is in a sample


def all_packets(config):
    return [packet for kind in KINDS for packet in kind(config)]


def sample(dice, config, count):
    """Some of the packets, of each kind."""
    chosen = []
    for kind, share in KINDS.items():
        packets = list(kind(config))
        chosen += dice.sample(packets, min(len(packets), round(count * share)))
    return chosen


REUSED = ("10.96.0.10", "fd96::a", "10.1.2.3", "2001:db8::1", "192.0.2.1", "2001:db8:ffff::1")


def reuses(config):
    """Pairs of UDP packets of which the second has the ends of the first: an application's question, and the proxy's
    own that follows from it; and the other way round."""
    servers = config.dns if config.dns != EVERYTHING else ()
    for address in (*REUSED, *servers):
        for proxy in owners(config):
            for who in (((1000, 1000), proxy), (proxy, (1000, 1000))):
                yield tuple(Packet(POD, "udp", "", address, 53, link_of(address), *ids) for ids in who)
