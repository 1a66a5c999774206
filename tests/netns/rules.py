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
# What FULL cannot have: everything captured, connections inside the pod left alone as a whole.
STAR = ["-i", "*", "-q", "443", "-x", "10.1.0.0/16", "-u", "0-1337"]
# Every chain, and what is in them by TPROXY; and what they hold otherwise.
WHOLE = ["-i", "10.0.0.0/8", "-b", "*", "-d", "22,80-90", "-k", "tap0,vm+", "-c", "net1", "-m", "TPROXY", "--redirect-dns",
         "--capture-all-dns", "--drop-invalid"]
PARTS = ["-i", "*", "-b", "80,8000-8090", "-k", "tap0", "--redirect-dns", "--dns-servers", "10.0.0.53,2001:db8::53", "-u", "3,5", "-g", "7-9"]
CONFIGURATIONS = [
    ["-i", "*"], ["-i", ""], ["-i", "10.0.0.1/24"], ["-i", "0.0.0.0/0"], ["-i", "::/0"], ["-i", "255.255.255.255"],
    ["-i", "10.0.0.0/25,10.0.0.128/25,10.0.1.0/24"], ["-i", "10.0.0.1,10.0.0.2,10.0.0.4"],
    ["-i", "127.0.0.0/8"], ["-i", "::1"], ["-i", "*", "-x", "169.254.169.254,fe80::/10"],
    ["-i", "*", "-o", "0,65535,80,81,82"], ["-q", "443"], ["-i", "*", "-c", "a+,b+,c0,1abc*"],
    ["-i", "*", "-u", "0,1337,4294967294"], ["-i", "*", "-u", "0-100"], ["-i", "*", "-p", "65535"], ["-b", "80", "-m", "TPROXY", "-t", "4294967295", "-r", "4294967295"],
    ["-u", "7,9,11", "-b", "*"], ["-i", "*", "--redirect-dns", "--dns-servers", "::1"], ["-k", "tap0"], FULL, STAR, WHOLE, PARTS,
]


def run(*command, check=True, **options):
    return subprocess.run(harness.inside(NAMESPACE, *command), check=check, text=True, capture_output=True, **options)


def nft(*command, **options):
    return run("nft", *command, **options).stdout


def init(*arguments, **options):
    return run(f"{BUILD}/weir-init", *arguments, **options)


def listing():
    """Without what changes by itself; nft 1.1 writes the priority by another name."""
    text = nft("list", "table", "inet", "weir").replace("output priority dstnat - 5;", "output priority -105;")
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
        for command in re.findall("^# (ip .*)", text, re.M):
            run(*command.split())
        from_text = listing()
        if from_netlink != from_text:
            wrong.append(f"{arguments}: netlink made\n{from_netlink}\nand nft\n{from_text}")
        if said := differences(arguments):
            wrong.append(f"{arguments}: loaded by nft -f, --check says {said}")
        if (again := init(*arguments).stderr.splitlines()[-1]) != "weir-init: unchanged":
            wrong.append(f"{arguments}: loaded by nft -f, a run says {again}")
    return wrong


def test_golden():
    """The defaults' listing, word for word, below 30 lines, and as README.md shows it."""
    golden = open(os.path.join(os.path.dirname(__file__), "defaults.nft")).read()
    init("--cleanup-only")
    init("-i", "*", env={**os.environ, "POD_NAMESPACE": "team-a", "POD_NAME": "web-0"})
    seen = listing()
    wrong = [] if seen == golden else [f"expected\n{golden}\nwas\n{seen}"]
    shown = re.sub("^    ", "", open("README.md").read(), flags=re.M).replace("packets 0 bytes 0", "packets N")
    if golden not in shown:
        wrong.append("README.md shows another listing")
    return wrong + ([f"{len(seen.splitlines())} lines"] if len(seen.splitlines()) >= 30 else [])


class Rule:
    """A rule as nft lists it: its chain, its place counted from 1, handle, comment, and text without counted numbers."""

    def __init__(self, chain, place, line):
        self.chain, self.place = chain, place
        self.text, handle = line.strip().rsplit(" # handle ", 1)
        self.handle = int(handle)
        self.comment = re.search(r'comment "([^"]*)"$', self.text)[1]
        self.text = re.sub(r"packets \d+ bytes \d+ ", "", self.text)

    def says(self, what):
        return f'chain {self.chain}: rule {self.place} ("{self.comment}") {what}'


def rules(chain="outbound"):
    lines = nft("-a", "list", "chain", "inet", "weir", chain).splitlines()
    return [Rule(chain, place, line) for place, line in enumerate((line for line in lines if 'comment "' in line), 1)]


def chain_names():
    return re.findall(r"\tchain ([a-z_0-9]+) {", nft("list", "table", "inet", "weir"))


def tampered(command, *expected, arguments=FULL, then="replaced"):
    """Does something to sound rules: --check must say one of what is expected and nothing else; a run repairs it."""
    nft("-f", "-", input=command)
    said = differences(arguments)
    wrong = [] if said in [[text] for text in expected] else [f"{command}: expected {expected}, --check says {said}"]
    outcome = init(*arguments).stderr.splitlines()[-1]
    if outcome != f"weir-init: {then}":
        wrong.append(f"{command}: a run then says {outcome}")
    return wrong


def each_rule():
    """(arguments, its rule number n as it is just now), for every rule of configurations that have all kinds."""
    for arguments in (FULL, STAR, WHOLE, PARTS):
        init(*arguments)
        for chain in (name for name in chain_names() if name != "outbound" or arguments in (FULL, STAR, PARTS)):
            for n in range(len(rules(chain))):
                yield arguments, rules(chain)[n]


def test_rules_deleted():
    wrong = []
    for arguments, rule in each_rule():
        wrong += tampered(f"delete rule inet weir {rule.chain} handle {rule.handle}", rule.says("is missing"),
                          arguments=arguments)
    return wrong


def test_rules_moved():
    """Each rule to either end, and behind its neighbour: then either of the two may be the one that was moved."""
    wrong = []
    for arguments, rule in each_rule():
        count = len(rules(rule.chain))
        for place in {1, rule.place + 1, count} - {rule.place, count + 1}:
            now = rules(rule.chain)
            rule, there = now[rule.place - 1], now[place - 1]
            where = f"add rule inet weir {rule.chain} position {there.handle} {rule.text}"
            if place < rule.place:
                where = f"insert rule inet weir {rule.chain} {rule.text}"
            expected = [rule.says(f"is not in its place, but at place {place}")]
            if abs(place - rule.place) == 1:
                expected.append(there.says(f"is not in its place, but at place {rule.place}"))
            wrong += tampered(f"{where}\ndelete rule inet weir {rule.chain} handle {rule.handle}", *expected,
                              arguments=arguments)
    return wrong


# What may be done to a rule's text; the first pattern that a text holds is replaced.
CHANGES = (
    ("counter ", ""), ("^(?!.*counter)(.*?)return", r"\1counter return"), ("return", "accept"), ("return", "drop"),
    ("redirect to :[0-9]+", "accept"), ("redirect to :[0-9]+", "redirect to :7"), ("redirect to :[0-9]+ ", ""),
    ("@", "!= @"), ("!= tcp", "tcp"), ("!= tcp", "!= udp"), ('oifname "lo"', 'oifname != "lo"'), ('"lo"', '"lo1"'),
    ('oifname "lo" ', ""), ("oifname @[a-z_]+ ", ""), ("meta sk[ug]id @[a-z_]+ ", ""), ("tcp dport @[a-z_0-9]+ ", "meta l4proto tcp "),
    ("ip6? [sd]addr [^ ]+ ", ""), ("dport", "sport"), ("daddr", "saddr"), ("127.0.0.1 ", "127.0.0.0/8 "), ("127.0.0.6", "127.0.0.7"),
    ("::6", "::7"), ("::1", "::2"), ("excluded_ports", "included_ports"), ("included_ports", "excluded_ports"),
    ("excluded_ip", "included_ip"), ("included_ip", "excluded_ip"), ('comment ".*"', 'comment "mine"'), ("^", "tcp sport 7 "),
    ("meta skuid", "meta skgid"), ("iifname", "oifname"), ("th dport", "th sport"), ("!= 53", "53"), ("dport 53", "dport 54"),
    ("15008", "15009"), ("0x00000539", "0x0000053a"), ("ct mark", "ct mark 7 ct mark"), ("mark set 0x00000539", "mark set 0x0000053a"),
    ("direction reply", "direction original"), ("flags syn", "flags fin"), ("state invalid", "state new"), ("tproxy to :15006", "tproxy to :15007"),
    ("zone set 2", "zone set 3"), ("goto virtual", "jump virtual"), ("goto virtual", "return"), ("drop", "accept"), (" accept", " drop"),
)
# What nft itself refuses: types that do not match, a rule of nothing but a comment.
REFUSED = "meta skgid @proxy_uids|^comment|tcp sport 7 udp|!= !="


def test_rules_changed():
    wrong, tried = [], 0
    for arguments, rule in each_rule():
        for pattern, replacement in CHANGES:
            rule = rules(rule.chain)[rule.place - 1]
            text = re.sub(pattern, replacement, rule.text, count=1)
            sets = re.findall("@([a-z_0-9]+)", text)
            if text == rule.text or re.search(REFUSED, text) or not set(sets) <= set(set_names()):
                continue
            tried += 1
            wrong += tampered(f"replace rule inet weir {rule.chain} handle {rule.handle} {text}", rule.says("is changed"),
                              arguments=arguments)
    return wrong + ([f"only {tried} changes tried"] if tried < 100 else [])


def test_rules_added():
    wrong = []
    for arguments, rule in each_rule():
        for text in ('accept', rule.text):
            rule = rules(rule.chain)[rule.place - 1]
            comment = rule.comment if text == rule.text else ""
            places = [f'chain {rule.chain}: the rule at place {place} ("{comment}") was added'
                      for place in (rule.place, rule.place + 1)]
            command = f"add rule inet weir {rule.chain} position {rule.handle} {text}"
            wrong += tampered(command, *places[0 if text == rule.text else 1:], arguments=arguments)
    init(*STAR)
    wrong += tampered("insert rule inet weir outbound accept", 'chain outbound: the rule at place 1 ("") was added',
                      arguments=STAR)
    return wrong


def set_names():
    return re.findall(r"\tset ([a-z_0-9]+) {", nft("list", "table", "inet", "weir"))


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
    # Apart from the others, and right beside one.
    for name, text in (("excluded_ports", "7"), ("excluded_ports", "5433"), ("excluded_ports", "5999"), ("excluded_ports", "0"),
                       ("excluded_ports", "65535"), ("included_ports", "8011-8012"),
                       ("included_ipv4", "192.168.7.0/24"), ("included_ipv4", "11.0.0.0/8"), ("excluded_ipv4", "10.0.0.0/16"),
                       ("proxy_uids", "4000-4001"), ("proxy_uids", "1338"), ("proxy_gids", "6"), ("included_ipv6", "2001:db9::/32"),
                       ("excluded_ipv6", "fd00::/8"), ("excluded_interfaces", '"mine"'), ("excluded_interfaces", '"net10"')):
        wrong += tampered(f"add element inet weir {name} {{ {text} }}", f"set {name}: {text} was added")
    wrong += tampered("delete element inet weir excluded_ports { 6000-6010 }\n"
                      "add element inet weir excluded_ports { 6000-6004, 6006-6010 }", "set excluded_ports: 6005 is missing")
    for name in sorted({name for name, _ in known}):
        nft("flush", "set", "inet", "weir", name)
        said = differences(FULL)
        if said != [f"set {name}: {text} is missing" for other, text in known if other == name]:
            wrong.append(f"set {name} flushed: --check says {said}")
        init(*FULL)
    return wrong


def test_whole_objects():
    init("--force-apply", *FULL)
    wrong = []
    for command, expected, then in (
            ("add chain inet weir mine", "chain mine was added", "replaced"),
            ("add chain inet weir mine { type filter hook output priority 0; policy drop; }", "chain mine was added", "replaced"),
            ("add set inet weir mine { type ipv4_addr; }", "set mine was added", "replaced"),
            ("add map inet weir mine { type ipv4_addr : verdict; }", "set mine was added", "replaced"),
            ("add counter inet weir mine", "the table holds 1 objects that weir does not make (counters, flow tables "
             "and the like)", "replaced"),
            ("delete table inet weir", "the table inet weir is missing", "created"),
            ("add table inet weir { flags dormant; }", "the table has flags (0x1): dormant, or owned by a process", "replaced")):
        wrong += tampered(command, expected, then=then)
    return wrong


def test_sets_gone():
    """A set can go only after the rules that look into it: both are told."""
    init("--force-apply", *FULL)
    wrong = []
    for name in set_names():
        users = [rule for rule in rules() if f"@{name} " in rule.text]
        nft("-f", "-", input="".join(f"delete rule inet weir outbound handle {rule.handle}\n" for rule in users) +
            f"delete set inet weir {name}")
        said = differences(FULL)
        if not users or said != [f"set {name} is missing"] + [rule.says("is missing") for rule in users]:
            wrong.append(f"set {name} gone: --check says {said}")
        init(*FULL)
    return wrong


def test_second_table():
    """A table of weir's name in another family is none of weir's, but nobody should take it for sound."""
    wrong = []
    init("--force-apply", *FULL)
    for family in ("ip", "ip6", "arp", "bridge", "netdev"):
        before = listing()
        nft("add", "table", family, "weir")
        said = differences(FULL)
        if said != [f"the table {family} weir, which is none of weir's, was added"]:
            wrong.append(f"table {family} weir: --check says {said}")
        if (outcome := init(*FULL).stderr.splitlines()[-1]) != "weir-init: unchanged":
            wrong.append(f"table {family} weir: a run says {outcome}")
        init("--cleanup-only")
        if nft("list", "ruleset") != f"table {family} weir {{\n}}\n":
            wrong.append(f"table {family} weir: not left alone")
        nft("delete", "table", family, "weir")
        init(*FULL)
        if listing() != before:
            wrong.append(f"table {family} weir: the rules changed")
    return wrong


def test_chain_properties():
    """The whole table anew, with one property changed in the text that made it."""
    wrong = []
    text = init("--dry-run", *FULL).stdout
    for change, *expected in (
            (("priority -105", "priority -99"), "chain outbound has priority -99, not -105"),
            (("priority -105", "priority -106"), "chain outbound has priority -106, not -105"),
            (("policy accept", "policy drop"), "chain outbound has policy drop, not accept"),
            (("hook output", "hook prerouting"), "chain outbound is not of type nat at hook output"),
            (("included_ports", "other_ports"), "set included_ports is missing",
             'chain outbound: rule 14 ("to the proxy: includeOutboundPorts") is changed', "set other_ports was added"),
            (('comment "traffic.sidecar.istio.io/excludeOutboundPorts"', 'comment "x"'), "set excluded_ports has another comment"),
            (("type inet_service\n\t\tflags interval", "type inet_service\n\t\tflags interval,timeout"),
             "set excluded_ports has another type or other flags"),
            (("type inet_service\n\t\tflags interval", "type inet_service\n\t\tflags interval\n\t\tcounter"),
             "set excluded_ports has an element that is no plain interval"),
            (("type nat hook output priority -105; policy accept;", ""), "chain outbound is not of type nat at hook output")):
        if change[0] not in text:
            wrong.append(f"{change[0]!r} is not in the text")
        changed = text.replace(change[0], change[1], text.count(change[0]) if "_ports" in change[0] else 1)
        if "hook output" in change[0] and not change[1]:  # a chain without a hook cannot redirect
            changed = re.sub("redirect to :[0-9]+", "accept", changed)
        result = run("nft", "-f", "-", check=False, input=changed)
        said = differences(FULL)
        if not said[:1] == expected[:1] or not set(expected) <= set(said):
            wrong.append(f"{change}: expected {expected}, --check says {said} {result.stderr}")
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
    sys.exit(harness.main([NAMESPACE], harness.named_tests(globals()), lambda: run("ip", "link", "set", "lo", "up")))
