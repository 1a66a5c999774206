#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The rules in the kernel: that nft text and netlink make the same table, and that --check sees every tampering with it.

The tamperings are generated from the listing itself: each rule and each element in turn, each property of the chain.
Everything runs in one network namespace of its own. TAP on stdout.
"""
import json
import os
import re
import subprocess
import sys

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("rules")

# Every set, every kind of rule.
FULL = ["-i", "10.0.0.0/8,10.9.0.0/16,2001:db8::/32,127.1.2.3", "-x", "10.1.0.0/16,2001:db8:1::/48,192.0.2.7", "-q",
        "443,8000-8010", "-o", "5432,6000-6010", "-c", "net1,eth9+", "-u", "1337,2000-2010", "-g", "7"]
CONFIGURATIONS = [
    ["-i", "*"], ["-i", ""], ["-i", "10.0.0.1/24"], ["-i", "0.0.0.0/0"], ["-i", "::/0"], ["-i", "255.255.255.255"],
    ["-i", "10.0.0.0/25,10.0.0.128/25,10.0.1.0/24"], ["-i", "10.0.0.1,10.0.0.2,10.0.0.4"],
    ["-i", "127.0.0.0/8"], ["-i", "::1"], ["-i", "*", "-x", "169.254.169.254,fe80::/10"],
    ["-i", "*", "-o", "0,65535,80,81,82"], ["-q", "443"], ["-i", "*", "-c", "a+,b+,c0,1abc*"],
    ["-i", "*", "-u", "0,1337,4294967294"], ["-i", "*", "-u", "0-100"], ["-i", "*", "-p", "65535"], FULL,
]


def run(*command, check=True, **options):
    return subprocess.run(harness.inside(NAMESPACE, *command), check=check, text=True, capture_output=True, **options)


def nft(*command, **options):
    return run("nft", *command, **options).stdout


def init(*arguments, **options):
    return run(f"{BUILD}/weir-init", *arguments, **options)


def listing():
    """Without what changes by itself; nft 1.1 writes the priority by another name."""
    text = nft("list", "table", "inet", "weir").replace("priority dstnat - 5;", "priority -105;")
    return re.sub(r"packets \d+ bytes \d+", "packets N", text)


def differences(arguments):
    """What --check says, without the program's name; [] when all is well."""
    result = init("--check", *arguments, check=False)
    lines = [line.removeprefix("weir-init: ") for line in result.stderr.splitlines() if "warning:" not in line]
    if result.returncode == 0 and lines == ["the rules are as asked for"]:
        return []
    return lines if result.returncode == 3 else [f"exit {result.returncode}: {lines}"]


def test_text_equals_netlink():
    wrong = []
    for arguments in CONFIGURATIONS:
        text = init("--dry-run", *arguments).stdout
        nft("-c", "-f", "-", input=text)
        init(*arguments)
        from_netlink = listing()
        init("--cleanup-only")
        nft("-f", "-", input=text)
        from_text = listing()
        if from_netlink != from_text:
            wrong.append(f"{arguments}: netlink made\n{from_netlink}\nand nft\n{from_text}")
        if said := differences(arguments):
            wrong.append(f"{arguments}: loaded by nft -f, --check says {said}")
        if (again := init(*arguments).stderr.splitlines()[-1]) != "weir-init: unchanged":
            wrong.append(f"{arguments}: loaded by nft -f, a run says {again}")
    return wrong


def test_golden():
    """The defaults' listing, word for word, and below 30 lines."""
    golden = open(os.path.join(os.path.dirname(__file__), "defaults.nft")).read()
    init("--cleanup-only")
    init("-i", "*", env={**os.environ, "POD_NAMESPACE": "team-a", "POD_NAME": "web-0"})
    seen = listing()
    wrong = [] if seen == golden else [f"expected\n{golden}\nwas\n{seen}"]
    return wrong + ([f"{len(seen.splitlines())} lines"] if len(seen.splitlines()) >= 30 else [])


def rules():
    """(handle, comment) of each rule."""
    return [(int(match[2]), match[1]) for match in
            re.finditer(r'comment "([^"]*)" # handle (\d+)$', nft("-a", "list", "chain", "inet", "weir", "outbound"), re.M)]


def elements():
    """(set, element as text) of each element."""
    found = []
    for item in json.loads(nft("-j", "list", "table", "inet", "weir"))["nftables"]:
        for element in item.get("set", {}).get("elem", []):
            if isinstance(element, dict) and "range" in element:
                text = "-".join(str(bound) for bound in element["range"])
            elif isinstance(element, dict) and "prefix" in element:
                text = f"{element['prefix']['addr']}/{element['prefix']['len']}"
            else:
                text = f'"{element}"' if item["set"]["type"] == "ifname" else str(element)
            found.append((item["set"]["name"], text))
    return found


def tampered(command, expected, then="replaced"):
    """Does something to fresh rules, and looks for what --check must say of it."""
    init("--force-apply", *FULL)
    nft("-f", "-", input=command)
    said = differences(FULL)
    wrong = [] if any(expected in line for line in said) else [f"{command}: expected {expected!r}, --check says {said}"]
    outcome = init(*FULL).stderr.splitlines()[-1]
    if outcome != f"weir-init: {then}":
        wrong.append(f"{command}: a run then says {outcome}")
    return wrong


def test_rules_deleted():
    init("--force-apply", *FULL)
    wrong = []
    for index, (_, comment) in enumerate(rules()):
        init("--force-apply", *FULL)
        handle = rules()[index][0]
        wrong += tampered_by_handle(f"delete rule inet weir outbound handle {handle}",
                                    f'rule {index + 1} ("{comment}") is missing')
    return wrong


def tampered_by_handle(command, expected):
    nft("-f", "-", input=command)
    said = differences(FULL)
    return [] if len(said) == 1 and expected in said[0] else [f"{command}: expected {expected!r}, --check says {said}"]


def test_rules_moved():
    wrong = []
    init("--force-apply", *FULL)
    for index in range(len(rules()) - 1):
        init("--force-apply", *FULL)
        handle, comment = rules()[index]
        if comment == rules()[index + 1][1]:
            continue
        text = [line.strip() for line in nft("-a", "list", "chain", "inet", "weir", "outbound").splitlines()
                if line.endswith(f"# handle {handle}")][0].rsplit(" # ", 1)[0]
        text = re.sub(r"counter packets \d+ bytes \d+", "counter", text)
        nft("-f", "-", input=f"delete rule inet weir outbound handle {handle}\nadd rule inet weir outbound {text}")
        if not differences(FULL):
            wrong.append(f"rule {index + 1} ({comment}) moved to the end: not seen")
    return wrong


def test_rules_changed():
    wrong = []
    for index in range(15):
        init("--force-apply", *FULL)
        known = rules()
        if index >= len(known):
            break
        handle, comment = known[index]
        command = f'replace rule inet weir outbound handle {handle} counter accept comment "{comment}"'
        wrong += tampered_by_handle(command, f'rule {index + 1} ("{comment}") is changed')
    return wrong


def test_rules_added():
    return (tampered("insert rule inet weir outbound accept", 'the rule at place 1 ("") was added') +
            tampered('add rule inet weir outbound counter comment "mine"', '("mine") was added'))


def test_elements():
    init("--force-apply", *FULL)
    wrong = []
    known = elements()
    if len(known) < 15:
        wrong.append(f"only {len(known)} elements listed")
    for name, text in known:
        if "*" in text:  # nft 1.0.6 lists patterns, but cannot delete them; flushing is below
            continue
        wrong += tampered(f"delete element inet weir {name} {{ {text} }}", f"set {name}: {text} is missing")
    for name, text in (("excluded_ports", "7"), ("included_ipv4", "192.168.7.0/24"), ("proxy_uids", "4000-4001"),
                       ("excluded_ipv6", "fd00::/8"), ("excluded_interfaces", '"mine"')):
        wrong += tampered(f"add element inet weir {name} {{ {text} }}", f"set {name}: {text} was added")
    for name in sorted({name for name, _ in known}):
        wrong += tampered(f"flush set inet weir {name}", f"set {name}: ")
    return wrong


def test_the_rest():
    wrong = tampered("add chain inet weir mine", "chain mine was added")
    wrong += tampered("add set inet weir mine { type ipv4_addr; }", "set mine was added")
    wrong += tampered("add counter inet weir mine", "1 other objects were added")
    wrong += tampered("delete table inet weir", "the table inet weir is missing", then="created")
    wrong += tampered("add table inet weir { flags dormant; }", "dormant")
    return wrong


def test_chain_properties():
    wrong = []
    text = init("--dry-run", *FULL).stdout
    for change, expected in (
            (("priority -105", "priority -99"), "chain outbound has priority -99, not -105"),
            (("policy accept", "policy drop"), "chain outbound has policy drop, not accept"),
            (("hook output", "hook postrouting"), None),
            (("included_ports", "other_ports"), "set included_ports is missing"),
            (('comment "traffic.sidecar.istio.io/excludeOutboundPorts"', 'comment "x"'), "has another comment")):
        changed = text.replace(*change)
        result = run("nft", "-f", "-", check=False, input=changed)
        if result.returncode != 0 and expected is None:
            continue
        said = differences(FULL)
        if not any(expected is None or expected in line for line in said):
            wrong.append(f"{change}: --check says {said or result.stderr}")
    return wrong


def test_counters_never_matter():
    init("--force-apply", *FULL)
    nft("-f", "-", input=init("--dry-run", *FULL).stdout.replace("counter ", "counter packets 7 bytes 9 "))
    return differences(FULL)


def test_foreign_tables():
    nft("-f", "-", input="""
        table ip nat {
            set s { type ipv4_addr; elements = { 192.0.2.1 }; }
            chain OUTPUT {
                type nat hook output priority -100;
                tcp dport 7 counter redirect to :8
            }
        }
        table ip weir {
            chain outbound {
            }
        }
        table inet other {
            chain c {
                type filter hook output priority 0;
                counter
            }
        }""")
    init("--cleanup-only")
    before = nft("list", "ruleset")
    wrong = []
    for arguments in (FULL, ["-i", "*"], ["-i", "*"], ["--cleanup-only"], ["--cleanup-only"]):
        init(*arguments)
    if (after := nft("list", "ruleset")) != before:
        wrong.append(f"before\n{before}\nafter\n{after}")
    nft("flush", "ruleset")
    return wrong


def test_many_at_once():
    """Twenty at once, of two minds: all succeed, and one of the two has its way, whole."""
    minds = (FULL, ["-i", "*"])
    processes = [subprocess.Popen(harness.inside(NAMESPACE, f"{BUILD}/weir-init", *minds[i % 2]),
                                  stderr=subprocess.PIPE, text=True) for i in range(20)]
    wrong = [errors for process in processes for _, errors in (process.communicate(),) if process.returncode != 0]
    if all(differences(mind) for mind in minds):
        wrong.append("the rules are neither the one's nor the other's")
    return wrong


def test_ten_thousand_ranges():
    path = f"/tmp/{NAMESPACE}.ranges"
    with open(path, "w") as ranges:
        ranges.writelines(f"10.{i // 256}.{i % 256}.0/25\n" for i in range(10000))
    try:
        arguments = ["-i", f"@{path}"]
        init("--force-apply", *arguments)
        wrong = differences(arguments)
        nft("delete", "element", "inet", "weir", "included_ipv4", "{ 10.39.0.0/25 }")
        said = differences(arguments)
        if said != ["set included_ipv4: 10.39.0.0/25 is missing"]:
            wrong.append(f"one range deleted: {said}")
        return wrong
    finally:
        os.unlink(path)


if __name__ == "__main__":
    sys.exit(harness.main([NAMESPACE], harness.named_tests(globals())))
