# SPDX-License-Identifier: Apache-2.0
"""
What should become of a packet: Istio 1.23's decisions by outcome, its known defects decided the right way.

This knows nothing of tables, chains or hooks, and is written from the description of the decisions, not from weir's
rules: a mistake has to be made twice to hide. A packet is judged where it enters or leaves the pod, once.

TPROXY changes how an inbound packet comes to the proxy, never which. There the peer's two sets of rules disagree with
each other, and this follows the one for REDIRECT: the proxy's calls to its own pod on excluded ports, or on port 53
where DNS is captured, are left alone in both modes, and dropInvalid holds for excluded interfaces, too. An interface
that is both excluded and virtual is excluded.
"""
import fnmatch
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

DIRECT, OUTBOUND, INBOUND, DNS, DROPPED = "direct", "outbound", "inbound", "dns", "dropped"
DNS_PORT, DNS_LISTENER = 53, 15053
PASSTHROUGH = ("127.0.0.6", "::6")  # what the proxy binds to when it calls its own pod's application
LOCALHOST6 = "::1"
EVERYTHING = "*"


@dataclass(frozen=True)
class Configuration:
    """What weir-init is asked for. A list of ranges, ports or groups is a tuple, or EVERYTHING."""
    name: str = ""
    mode: str = "REDIRECT"
    include_ranges: object = ()
    exclude_ranges: tuple = ()
    include_ports: tuple = ()
    exclude_ports: tuple = ()
    inbound: object = ()
    inbound_exclude: tuple = ()
    exclude_interfaces: tuple = ()
    virtual_interfaces: tuple = ()
    dns: object = ()  # the servers whose traffic is captured, or EVERYTHING
    dns_asked: bool = False  # capture is asked for; without servers there is none
    drop_invalid: bool = False
    include_groups: object = EVERYTHING
    exclude_groups: tuple = ()
    uids: tuple = (1337,)
    gids: tuple = (1337,)
    loopback: str = "127.0.0.1/32"
    proxy_port: int = 15001
    inbound_port: int = 15006
    tunnel_port: int = 15008
    mark: int = 1337
    table: int = 133


class Packet(NamedTuple):
    """The first packet of a connection. `link` is the interface of the pod that it enters or leaves by."""
    place: str  # of the sender: "pod", or what is outside of it
    protocol: str  # tcp, udp, icmp, or invalid: what conntrack calls so
    source: str
    destination: str
    port: int
    link: str
    uid: int = 0
    gid: int = 0
    mark: int = 0


@lru_cache(maxsize=None)
def network(text):
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=None)
def within(address, text):
    where = network(text)
    return ipaddress.ip_address(address).version == where.version and ipaddress.ip_address(address) in where


def in_ranges(address, ranges):
    return ranges == EVERYTHING or any(within(address, text) for text in ranges)


def in_list(number, items):
    """Of ports or IDs: numbers, or (first, last)."""
    return items == EVERYTHING or any(
        item[0] <= number <= item[1] if isinstance(item, tuple) else number == item for item in items)


def on_interface(link, names):
    return any(fnmatch.fnmatchcase(link, name.replace("+", "*")) for name in names)


def is_localhost(config, address):
    return address == LOCALHOST6 or within(address, config.loopback)


def loopback_included(config):
    """An included range that is written with a loopback address lifts the guard of what stays in the pod."""
    return config.include_ranges != EVERYTHING and any(
        ipaddress.ip_interface(text).ip.is_loopback for text in config.include_ranges)


def is_captured_dns(config, packet):
    return (packet.protocol in ("tcp", "udp") and packet.port == DNS_PORT and config.dns_asked
            and (config.dns == EVERYTHING or packet.destination in config.dns))


def captures_dns(config):
    return config.dns_asked and bool(config.dns)


def owner_is_captured(config, gid):
    if config.include_groups == EVERYTHING:
        return gid not in config.exclude_groups
    return gid in config.include_groups


def by_destination(config, packet):
    """Excluded ranges, then included ports, then included ranges."""
    if packet.protocol != "tcp" or in_ranges(packet.destination, config.exclude_ranges):
        return DIRECT
    if in_list(packet.port, config.include_ports) or in_ranges(packet.destination, config.include_ranges):
        return OUTBOUND
    return DIRECT


def leaving(config, packet):
    """What a process of the pod sends."""
    proxy = in_list(packet.uid, config.uids) or in_list(packet.gid, config.gids)
    loops = packet.link == "lo"
    tcp = packet.protocol == "tcp"
    dns = packet.port == DNS_PORT and captures_dns(config) and packet.protocol in ("tcp", "udp")

    if on_interface(packet.link, config.exclude_interfaces):
        return DIRECT
    if packet.protocol in ("tcp", "udp") and in_list(packet.port, config.exclude_ports):
        return DIRECT
    if loops and packet.source in PASSTHROUGH:
        return DIRECT
    if loops and config.mode == "TPROXY" and packet.mark == config.mark:
        return DIRECT  # the proxy's call to the application, in the client's name
    if loops and proxy and tcp and not is_localhost(config, packet.destination):
        if packet.port != config.tunnel_port and not dns:
            return INBOUND  # the application called a service that is itself
    if loops and not proxy and not dns and not loopback_included(config):
        return DIRECT
    if proxy or not owner_is_captured(config, packet.gid):
        return DIRECT
    if is_captured_dns(config, packet):
        return DNS
    if is_localhost(config, packet.destination):
        return DIRECT
    return by_destination(config, packet)


def entering(config, packet):
    """What comes in through an interface, for the pod or to be forwarded."""
    if packet.protocol == "invalid":
        return DROPPED if config.drop_invalid else DIRECT
    if on_interface(packet.link, config.exclude_interfaces):
        return DIRECT
    if on_interface(packet.link, config.virtual_interfaces):
        if packet.protocol in ("tcp", "udp") and in_list(packet.port, config.exclude_ports):
            return DIRECT
        return DNS if is_captured_dns(config, packet) else by_destination(config, packet)
    if packet.protocol != "tcp" or packet.port == config.tunnel_port:
        return DIRECT
    if config.inbound == EVERYTHING and in_list(packet.port, config.inbound_exclude):
        return DIRECT
    return INBOUND if in_list(packet.port, config.inbound) else DIRECT


def decide(config, packet):
    if config.mode == "NONE":
        return DIRECT
    return leaving(config, packet) if packet.place == "pod" else entering(config, packet)
