# SPDX-License-Identifier: Apache-2.0
"""
Whether the suite would see a rule that is not there: each rule of the programmed state is taken out, and then some
packet must go elsewhere than the model says, in one at least of the configurations that have such a rule.

Rules that nothing depends on are listed here with the reason why they are there all the same. If one of them is missed
after all, the list is wrong, and that is a failure, too.
"""
import random
import re

import configurations
import probes
from model import captures_dns

QUIET = 0.4  # seconds: what is missing is not waited for as long as where nothing should be
PART = 200  # packets that are tried at once
# A pattern of a rule's text -> why its absence changes no packet's way.
SHORTCUT = "what it lets go matches no rule below: it only saves the way there"
COUNTS = "it is the last one, and only counts"
REDUNDANT = {
    r'return comment "(only TCP|of UDP, only DNS)': SHORTCUT,
    r'! -p tcp .*"(only TCP|of UDP, only DNS).* -j RETURN': SHORTCUT,
    r"-p udp -m udp ! --dport N .* -j RETURN": SHORTCUT,
    r'-p udp .*"bypass: excludeOutboundPorts"': "of UDP only port 53 is captured, if not excluded",
    r'no proxy listens: nothing gets past it" -j DROP': "the TPROXY target drops by itself what no socket takes",
    r"of connections that are older than the rules": "here all connections are younger; tests/netns has older ones",
    r'"(bypass: everything else|left to TPROXY|bypass: includeInboundPorts is empty)"$': COUNTS,
}
ROUTING = "echo ==\nip -4 rule\necho ==\nip -6 rule\necho ==\nip address show dev lo\n"
SCRIPTS = {"nft": "nft -s -a list ruleset\n" + ROUTING,
           "iptables-nft": "iptables-nft-save\necho ==\nip6tables-nft-save\n" + ROUTING}
TRIES = 2  # of a rule that nobody should miss
LISTED = (
    (re.compile(r"(?<!\w)[0-9a-f.:]*\d[0-9a-f.:/,-]*"), "N"),
    (re.compile(r" (-[io]) (?!lo )\S+"), r" \1 N"),
    (re.compile(r"(WEIR_[A-Z_]+)_\d+"), r"\1"),
)


def kind_of(text):
    """Rules that differ only in what they list are of one kind: iptables has a rule for each item, and more chains."""
    for pattern, instead in LISTED:
        text = pattern.sub(instead, text)
    return text


def reason_of(text):
    return next((reason for pattern, reason in REDUNDANT.items() if re.search(pattern, text)), None)


class Mutations:
    def __init__(self, suite):
        self.suite, self.lab, self.prober = suite, None, None

    def test(self, backend):
        self.lab, self.prober = self.suite.lab, self.suite.prober
        wrong, missed, tries = [], {}, {}
        for config in configurations.OURS + configurations.PEER:
            wrong += self.suite.apply(backend, config)
            tried = set()
            while todo := [(kind_of(text), text, removal) for text, removal in self.rules(backend)
                           if text not in tried and not missed.get(kind_of(text))
                           and not (reason_of(kind_of(text)) and tries.get(kind_of(text), 0) >= TRIES)]:
                kind, text, removal = todo[0]
                tried.add(text)
                tries[kind] = tries.get(kind, 0) + 1
                self.lab.program(*removal)
                missed[kind] = self.is_missed(config)
                wrong += self.suite.apply(backend, config)
            wrong += self.suite.clean_up(backend, config)
        for kind, is_missed in missed.items():
            if not is_missed and not reason_of(kind):
                wrong.append(f"nobody misses {kind}")
            if is_missed and reason_of(kind):
                wrong.append(f"is missed, though it is said that {reason_of(kind)}: {kind}")
        print(f"# {backend}: {len(missed)} kinds of rules taken out, {sum(missed.values())} of them missed", flush=True)
        return wrong

    def is_missed(self, config):
        packets = probes.all_packets(config)
        random.Random(1).shuffle(packets)
        while packets:
            if self.prober.finds_mismatch(packets[:PART], QUIET):
                return True
            packets = packets[PART:]
        if captures_dns(config) and self.prober.reuse_mismatches(list(probes.reuses(config)), quiet=QUIET):
            return True
        return bool(self.prober.escapes(probes.sample(random.Random(1), config, PART), QUIET))

    # --- what there is: (its text, the command that takes it out)

    def rules(self, backend):
        shown = self.lab.program("sh", "-c", SCRIPTS[backend]).stdout.split("==\n")
        if backend == "nft":
            yield from nft_rules(shown[0].splitlines())
        else:
            yield from iptables_rules("iptables-nft", shown[0].splitlines())
            yield from iptables_rules("ip6tables-nft", shown[1].splitlines())
        for family, lines in (("-4", shown[-3]), ("-6", shown[-2])):
            yield from routing(family, lines.splitlines())
        if "::6/128" in shown[-1]:
            yield "the address ::6", ("ip", "address", "delete", "::6/128", "dev", "lo")


def nft_rules(lines):
    table = chain = ""
    for line in lines:
        text, _, handle = line.strip().partition(" # handle ")
        words = text.split()
        if line.startswith("table "):
            table = words[1:3]
        elif line.startswith("\tchain "):
            chain = words[1]
        elif line.startswith("\t\t") and handle and "guard" not in table:
            yield f"{chain}: {text}", ("nft", "delete", "rule", *table, chain, "handle", handle)


def iptables_rules(tool, lines):
    table, count = "", {}
    for line in lines:
        if line.startswith("*"):
            table, count = line[1:], {}
        elif line.startswith("-A "):
            chain = line.split()[1]
            count[chain] = count.get(chain, 0) + 1
            yield f"{tool} -t {table} {line}", (tool, "-w", "-t", table, "-D", chain, str(count[chain]))


def routing(family, lines):
    for words in (line.split() for line in lines if "fwmark" in line):
        table = words[words.index("lookup") + 1]
        yield f"ip {family} rule fwmark", ("ip", family, "rule", "delete", "priority", words[0].strip(":"))
        yield f"ip {family} route in a table", ("ip", family, "route", "flush", "table", table)
