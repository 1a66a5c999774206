# SPDX-License-Identifier: Apache-2.0
"""
What weir-init is asked for: the 28 configurations of Istio's own rule tests, some that they lack, and random ones.
"""
import dataclasses

from model import EVERYTHING, Configuration

# Names that the tests' own /etc/group knows; the second one of each list is asked for by name.
GROUPS = {"java": 3001, "ftp": 3002}
NAMES = {gid: name for name, gid in GROUPS.items()}
JAVA, FTP = GROUPS["java"], GROUPS["ftp"]

LISTS = dict(uids=(3, 4), gids=(1, 2))
DNS4 = dict(dns_asked=True, dns=("127.0.0.53",))
NO_DNS = dict(dns_asked=True, dns=())
VIRTUAL = ("eth1", "eth2")  # one that is there, and one that is not
BOTH_RANGES = dict(include_ranges=("9.9.0.0/16",), exclude_ranges=("1.1.0.0/16",))
IPNETS = dict(inbound=(4000, 5000), inbound_exclude=(6000, 7000), virtual_interfaces=("eth0", "eth1"),
              include_ranges=("2001:db8::/32",), exclude_ranges=("2001:db8::/32",))


def case(name, **settings):
    return Configuration(name=name, **settings)


# eth0 is the pod's own, eth1 a virtual machine's, net1 the pod's second; there is no eth2.
PEER = [
    case("empty"),
    case("ipv6-empty-inbound-ports", inbound=()),
    case("ip-range", **BOTH_RANGES, **DNS4, **LISTS),
    case("tproxy", mode="TPROXY", inbound=EVERYTHING, **BOTH_RANGES, **DNS4, exclude_interfaces=("net1",)),
    case("ipv6-inbound-ports", inbound=(4000, 5000)),
    case("ipv6-virt-interfaces", inbound=(4000, 5000), virtual_interfaces=("eth0", "eth1")),
    case("ipv6-ipnets", **IPNETS),
    case("ipv6-uid-gid", **IPNETS, **LISTS),
    case("ipv6-outbound-ports", include_ports=(32000, 31000)),
    case("kube-virt-interfaces", include_ranges=EVERYTHING, virtual_interfaces=VIRTUAL),
    case("ipnets", include_ranges=("10.0.0.0/8",)),
    case("ipnets-with-kube-virt-interfaces", include_ranges=("10.0.0.0/8",), virtual_interfaces=VIRTUAL),
    case("inbound-ports-include", inbound=(32000, 31000)),
    case("inbound-ports-wildcard", inbound=EVERYTHING),
    case("inbound-ports-tproxy", mode="TPROXY", inbound=(32000, 31000)),
    case("inbound-ports-wildcard-tproxy", mode="TPROXY", inbound=EVERYTHING),
    case("inbound-ports-empty-tproxy", mode="TPROXY"),
    case("dns-uid-gid", dns_asked=True, dns=("127.0.0.53", "::127.0.0.53"), **LISTS),
    case("ipv6-dns-uid-gid", **NO_DNS, **LISTS),
    case("outbound-owner-groups", include_groups=(JAVA, 202)),
    case("outbound-owner-groups-exclude", exclude_groups=(888, FTP)),
    case("ipv6-dns-outbound-owner-groups", include_groups=(JAVA, 202), **NO_DNS),
    case("ipv6-dns-outbound-owner-groups-exclude", exclude_groups=(888, FTP), **NO_DNS),
    case("outbound-ports-include", include_ports=(32000, 31000)),
    case("loopback-outbound-iprange", include_ranges=("127.1.2.3/32",), **DNS4, **LISTS),
    case("basic-exclude-nic", exclude_interfaces=("net1",)),
    case("drop-invalid", drop_invalid=True),
    case("host-ipv4-loopback-cidr", loopback="127.0.0.1/8"),
]
assert len(PEER) == 28

# Istio's own list leaves out what pods really run with, and where its defects show.
FULL = dict(include_ranges=EVERYTHING, inbound=EVERYTHING, inbound_exclude=(15090, 15021, 15020))
ALL_DNS = dict(dns_asked=True, dns=EVERYTHING)
OURS = [
    case("injected", **FULL),
    case("injected-tproxy", mode="TPROXY", **FULL),
    case("injected-dns", **FULL, **ALL_DNS),
    case("injected-dns-tproxy", mode="TPROXY", **FULL, **ALL_DNS, drop_invalid=True),
    case("dns-of-both-families", include_ranges=EVERYTHING, dns_asked=True, dns=("10.96.0.10", "fd96::a"),
         exclude_ranges=("10.96.0.0/12", "fd96::/16"), virtual_interfaces=VIRTUAL),
    case("dns-excluded", include_ranges=EVERYTHING, exclude_ports=(53, (6000, 6010)), **ALL_DNS),
    case("virtual-excludes", **FULL, virtual_interfaces=("eth1+",), exclude_ranges=("9.9.0.0/16", "2001:db8::/32"),
         exclude_ports=(22, (8000, 8100)), **ALL_DNS),
    case("virtual-ports-tproxy", mode="TPROXY", inbound=EVERYTHING, include_ports=(443, (8000, 8100)),
         exclude_ranges=("9.9.0.0/16",), virtual_interfaces=VIRTUAL),
    case("excluded-everywhere", mode="TPROXY", **FULL, **ALL_DNS, exclude_interfaces=("eth1", "net*"),
         drop_invalid=True),
    case("own-ports", **FULL, **ALL_DNS, proxy_port=15101, inbound_port=15106, tunnel_port=15108, uids=(5,), gids=(7,)),
    case("own-ports-tproxy", mode="TPROXY", **FULL, inbound_port=15106, tunnel_port=15108, mark=77, table=88),
    case("no-owner-group", **FULL, include_groups=(), **ALL_DNS),
    case("owner-groups", **FULL, include_groups=(JAVA, 202), **ALL_DNS),
    case("owner-groups-excluded", mode="TPROXY", **FULL, exclude_groups=(888, FTP), **ALL_DNS),
    case("included-ranges", include_ranges=("10.0.0.0/8", "2001:db8::/32"), virtual_interfaces=("eth1",),
         exclude_ranges=("10.1.2.0/24", "2001:db8:1::/48"), inbound=((79, 81), 8080)),
    case("loopback-cidr", include_ranges=("127.0.0.0/8", "10.0.0.0/8"), loopback="127.0.0.1/8"),
    case("loopback-all", include_ranges=("127.0.0.0/8", "::1/128", "10.0.0.0/8"), include_ports=(443,), **ALL_DNS),
    case("off", mode="NONE", **FULL, **ALL_DNS),
]


def joined(items, text=str):
    if items == EVERYTHING:
        return EVERYTHING
    return ",".join(f"{item[0]}-{item[1]}" if isinstance(item, tuple) else text(item) for item in items)


# What weir-init does without a flag. Groups that are not given are the users'.
PLAIN = {"-m": "REDIRECT", "-u": "1337", "-p": "15001", "-z": "15006", "-e": "15008", "-t": "1337", "-r": "133"}
PLAIN_ENVIRONMENT = {"ISTIO_OUTBOUND_OWNER_GROUPS": EVERYTHING, "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "",
                     "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "127.0.0.1/32"}


def group_text(gid):
    return NAMES.get(gid, str(gid))


def flags(config):
    """(arguments, environment) of weir-init."""
    arguments = {
        "-m": config.mode, "-i": joined(config.include_ranges), "-x": joined(config.exclude_ranges),
        "-q": joined(config.include_ports), "-o": joined(config.exclude_ports), "-b": joined(config.inbound),
        "-d": joined(config.inbound_exclude), "-c": joined(config.exclude_interfaces),
        "-k": joined(config.virtual_interfaces), "-u": joined(config.uids),
        "-g": "" if config.gids == config.uids else joined(config.gids),
        "-p": str(config.proxy_port), "-z": str(config.inbound_port), "-e": str(config.tunnel_port),
        "-t": str(config.mark), "-r": str(config.table)}
    words = [word for flag, value in arguments.items() if value != PLAIN.get(flag, "") for word in (flag, value)]
    words += [flag for flag, wanted in (("--redirect-dns", config.dns_asked), ("--drop-invalid", config.drop_invalid),
                                        ("--capture-all-dns", config.dns == EVERYTHING)) if wanted]
    environment = {"ISTIO_OUTBOUND_OWNER_GROUPS": joined(config.include_groups, group_text),
                   "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": joined(config.exclude_groups, group_text),
                   "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": config.loopback}
    return words, {name: value for name, value in environment.items() if value != PLAIN_ENVIRONMENT[name]}


def command(config):
    """What a person would type."""
    words, environment = flags(config)
    text = " ".join([f"{name}={value!r}" for name, value in environment.items()] + ["weir-init"] + [
        word if word and word not in "*" else f"'{word}'" for word in words])
    servers = "" if config.dns == EVERYTHING or not config.dns_asked else f" (resolv.conf: {', '.join(config.dns)})"
    return text + servers


RANGES = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "9.9.0.0/16", "1.1.0.0/16", "0.0.0.0/0", "::/0",
          "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1/128", "10.96.0.2/24", "10.77.0.0/16", "fd77::/64",
          "192.0.2.0/24", "10.79.0.0/24", "fd00::/8")
LOOPBACK_RANGES = ("127.0.0.0/8", "127.1.2.3/32", "::1/128")
PORTS = (22, 53, 80, 443, 4000, 5000, 6000, 8080, 15006, 15008, 15020, 31000, 32000, (79, 81), (4000, 6000),
         (1, 1023), (8000, 65535))
SERVERS = ("127.0.0.53", "10.96.0.10", "fd96::a", "10.1.2.3", "2001:db8:1::1", "::1", "127.0.0.1")


def some(dice, items, most=3, chance=0.5):
    return tuple(dice.sample(items, dice.randint(1, most))) if dice.random() < chance else ()


def random_configuration(dice, number):
    """Any combination; what pods really use is more likely."""
    asked = dice.random() < 0.5
    return Configuration(
        name=f"random-{number}",
        mode=dice.choice(("REDIRECT", "TPROXY")),
        include_ranges=EVERYTHING if dice.random() < 0.4 else
        some(dice, RANGES, 4, 0.8) + some(dice, LOOPBACK_RANGES, 2, 0.15),
        exclude_ranges=some(dice, RANGES),
        include_ports=some(dice, PORTS, chance=0.3),
        exclude_ports=some(dice, PORTS, chance=0.4),
        inbound=EVERYTHING if dice.random() < 0.5 else some(dice, PORTS, 4, 0.7),
        inbound_exclude=some(dice, PORTS),
        exclude_interfaces=some(dice, ("eth0", "net1", "eth1", "net+"), 2, 0.25),
        virtual_interfaces=some(dice, ("eth0", "net1", "eth1", "eth1+"), 2, 0.4),
        dns_asked=asked, dns=() if not asked else dice.choice((EVERYTHING, some(dice, SERVERS, 3, 0.9))),
        drop_invalid=dice.random() < 0.3,
        include_groups=EVERYTHING if dice.random() < 0.7 else some(dice, (JAVA, 202, 1000, 0), 3, 0.8),
        exclude_groups=some(dice, (FTP, 888, 1000, 0), 2, 0.3),
        uids=dice.choice(((1337,), (3, 4), (1337, (5, 9)), (0,))),
        gids=dice.choice(((1337,), (1, 2), (1337, (7, 7)), (4,))),
        loopback=dice.choice(("127.0.0.1/32",) * 4 + ("127.0.0.1/8", "127.1.0.0/16")),
        proxy_port=dice.choice((15001, 15001, 15101)), inbound_port=dice.choice((15006, 15006, 15106)),
        tunnel_port=dice.choice((15008, 15008, 15108)), mark=dice.choice((1337, 1337, 77)),
        table=dice.choice((133, 133, 88)))


def variation(dice, config):
    """The same with one setting of another configuration."""
    other = random_configuration(dice, 0)
    field = dice.choice([field.name for field in dataclasses.fields(config) if field.name not in ("name", "dns")])
    changes = {field: getattr(other, field)}
    if field == "dns_asked":
        changes["dns"] = other.dns
    return dataclasses.replace(config, **changes)


def switched(config):
    return dataclasses.replace(config, mode="REDIRECT" if config.mode == "TPROXY" else "TPROXY")
