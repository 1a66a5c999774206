#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every nft that a user may have lists weir's table: this system's, Debian 13's and sid's. One that meets a set which a
newer one described crashes; weir describes none.
"""
import json
import os
import re
import sys
from functools import partial

import node
from harness import run
from node import BUILD, expect, expect_texts
from rules import FULL, WHOLE

ROOT = os.path.realpath(os.environ["WEIR_ROOT"])
PROGRAMS = {"this system's nft": ("nft",), "Debian 13's nft": ("chroot", ROOT, "/usr/sbin/nft"),
            "sid's nft": ("chroot", f"{ROOT}/sid", "/usr/sbin/nft")}
SETS = ["excluded_interfaces", "excluded_ipv4", "excluded_ipv6", "excluded_ports", "included_ipv4", "included_ipv6",
        "included_ports", "proxy_gids", "proxy_uids"]
CHAINS = ["outbound", "inbound", "virtual", "tproxy_inbound", "tproxy_answers", "invalid", "dns_zone", "dns_zone_virtual"]


def prepare():
    node.in_node(f"{BUILD}/weir-init", *FULL)


def nft(program, *arguments, text=""):
    """What it prints. One that crashes has a negative status."""
    status, out, err = node.try_in_node(*PROGRAMS[program], *arguments, input=text)
    expect(f"nft {' '.join(arguments)}: {err}", status, 0)
    return out


def sets(program):
    """Name and elements, as that nft reads them."""
    entries = json.loads(nft(program, "-j", "list", "ruleset"))["nftables"]
    return {entry["set"]["name"]: entry["set"]["elem"] for entry in entries if "set" in entry}


def lists_every_set(program):
    text = nft(program, "list", "table", "inet", "weir")
    expect("the same in the whole ruleset", nft(program, "list", "ruleset"), text)
    expect("sets", sorted(re.findall(r"^\tset (\w+)", text, re.M)), SETS)
    expect("elements", sets(program), sets("this system's nft"))
    expect_texts("listing", text, "10.1.0.0/16", "192.0.2.7", "2001:db8:1::/48", "5432, 6000-6010", '"net1"', '"eth9*"')
    node.in_node(f"{BUILD}/weir-init", "--check", *FULL)


def reads_what_it_lists(program):
    listing = nft(program, "list", "table", "inet", "weir")
    nft(program, "-c", "-f", "-", text=listing)


def lists_every_chain(program):
    node.in_node("ip", "link", "set", "lo", "up")
    node.in_node(f"{BUILD}/weir-init", *WHOLE)
    text = nft(program, "list", "table", "inet", "weir")
    expect("chains", re.findall(r"^\tchain (\w+)", text, re.M), CHAINS)
    nft(program, "-c", "-f", "-", text=text)
    node.in_node(f"{BUILD}/weir-init", "--check", *WHOLE)
    node.in_node(f"{BUILD}/weir-init", *FULL)


def tests():
    for program in PROGRAMS:
        version = run(*PROGRAMS[program], "--version").split()[1]
        for test in (lists_every_set, reads_what_it_lists, lists_every_chain):
            yield f"{program}, {version}: {test.__name__}", partial(test, program)


if __name__ == "__main__":
    sys.exit(node.main(list(tests()), prepare))
