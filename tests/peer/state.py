# SPDX-License-Identifier: Apache-2.0
"""
What there is in the pod's namespace that weir-init may have left: rules, chains, policy routing, addresses.
"""
import re

COMMANDS = ("nft -s list ruleset", "iptables-legacy-save", "ip6tables-legacy-save", "ip -4 rule", "ip -6 rule",
            "ip -4 route show table all", "ip -6 route show table all", "ip address show dev lo")
SCRIPT = "set -e\n" + "".join(f"echo '== {words}'\n{words}\n" for words in COMMANDS)
# What the iptables tools make and cannot take back: the kernel's own tables and chains, with nothing in them.
EMPTY_TABLE = re.compile(
    r"^table ip6? (nat|mangle|raw|filter) \{\n(\tchain [A-Z]+ \{\n\t\ttype .*\n\t\}\n\n?)*\}\n", re.M)
EMPTY_CHAIN = re.compile(r"^(#.*|\*\w+|COMMIT|:[A-Z]+ ACCEPT \[.*\])$")
COUNTERS = re.compile(r"\[\d+:\d+\]|counter packets \d+ bytes \d+|expires \S+")


def snapshot(lab):
    """The state as lines, each with the command that shows it."""
    found, command = [], ""
    for line in EMPTY_TABLE.sub("", lab.program("sh", "-c", SCRIPT).stdout).splitlines():
        if line.startswith("== "):
            command = line[3:]
        elif line and not EMPTY_CHAIN.match(line):
            found.append(f"{command}: {COUNTERS.sub('', line).strip()}")
    return found


def differences(before, after):
    """What is not as it was, in words."""
    found = [f"gone: {line}" for line in before if line not in after]
    found += [f"new: {line}" for line in after if line not in before]
    if not found and sorted(before) != sorted(after):
        found = ["the same lines, another number of times"]
    return found
