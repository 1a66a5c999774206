#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir-init as a template sees it: flags and variables in; exit status, messages and rules out.

Flags and variables are taken from --help, so that one that is forgotten here is missed. TAP on stdout.
"""
import json
import re
import subprocess
import sys
import tempfile
from functools import partial

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("init")
RANGES = '"*" alone, or IPv4 and IPv6 addresses and CIDRs, separated by commas'

# Of each setting of the rules: a value that shows in the rules, and where; None where it is all rules that go.
EFFECTS = {
    "istio-inbound-interception-mode": ("TPROXY", "tproxy to :15006"), "istio-service-cidr": ("192.0.2.0/25", "192.0.2.0/25"),
    "istio-service-exclude-cidr": ("192.0.2.128/25", "192.0.2.128/25"), "istio-outbound-ports": ("8443", "{ 8443 }"),
    "istio-local-outbound-ports-exclude": ("5432-5440", "{ 5432-5440 }"), "istio-exclude-interfaces": ("net1", '"net1"'),
    "proxy-uid": ("77,79", "{ 77, 79 }"), "proxy-gid": ("99", "{ 99 }"), "envoy-port": ("15101", ":15101"),
    "istio-inbound-ports": ("8088", "{ 8088 }"), "istio-local-exclude-ports": ("15020", "{ 15020 }"),
    "kube-virt-interfaces": ("tap0", '"tap0"'), "redirect-dns": ("true", "redirect to :15053"),
    "capture-all-dns": ("true", "DNS to any server"), "dns-servers": ("192.0.2.53", "192.0.2.53"),
    "drop-invalid": ("true", "ct state invalid"), "inbound-capture-port": ("15106", ":15106"),
    "inbound-tunnel-port": ("15108", "!= 15108"), "istio-inbound-tproxy-mark": ("77", "fwmark 77"),
    "istio-inbound-tproxy-route-table": ("78", "table 78"),
}
# What must be set beside a setting for it to show.
BESIDE = {"istio-service-cidr": [], "istio-inbound-interception-mode": ["-b", "*"], "istio-local-exclude-ports": ["-b", "*"],
          "capture-all-dns": ["--redirect-dns"], "dns-servers": ["--redirect-dns"],
          "redirect-dns": ["--dns-servers", "192.0.2.7"],
          "istio-inbound-tproxy-mark": ["-b", "*", "-m", "TPROXY"], "istio-inbound-tproxy-route-table": ["-b", "*", "-m", "TPROXY"]}


class Run:
    def __init__(self, *arguments, stdin=None, **environment):
        result = subprocess.run(harness.inside(NAMESPACE, f"{BUILD}/weir-init", *arguments), text=True, input=stdin,
                                capture_output=True, check=False, env={**harness.sanitizer_options(), **environment})
        self.status, self.out, self.err = result.returncode, result.stdout, result.stderr


def nft(*command, stdin=None):
    return harness.run(*harness.inside(NAMESPACE, "nft", *command), input=stdin)


def expect(what, result, status, err=None, out=None):
    wrong = []
    if result.status != status or (err is not None and err not in result.err) or (out is not None and out not in result.out):
        wrong.append(f"{what}: expected {status}, {err!r}, {out!r}; was {result.status}, {result.err!r}, {result.out[:300]!r}")
    return wrong


def flags():
    """(flag, letter, variable, whether it is a setting of the rules) of each line of --help."""
    found, settings = [], True
    for line in Run("--help").out.splitlines():
        settings = settings and not line.startswith("The program")
        if match := re.match(r"  (?:-(\w), |    )(?:--(\S+)|  ) +([A-Z][A-Z0-9_]+)?", line):
            if match[2] or match[3]:
                found.append((match[2], match[1], match[3], settings))
    return found


def test_every_flag_and_variable(_):
    wrong = []
    known = [(flag, letter, variable) for flag, letter, variable, setting in flags() if setting and flag]
    if {flag for flag, _, _ in known} != set(EFFECTS):
        wrong.append(f"flags of --help and of this test: {set(EFFECTS) ^ {flag for flag, _, _ in known}}")
    for flag, letter, variable in known:
        value, shown = EFFECTS[flag]
        base = ([] if flag == "istio-service-cidr" else ["-i", "10.0.0.0/8"]) + BESIDE.get(flag, [])
        ways = [([f"--{flag}={value}"], {})]
        ways += [([f"--{flag}"], {})] if value == "true" else [([f"--{flag}", value], {})]
        if letter:
            ways += [([f"-{letter}", value], {}), ([f"-{letter}={value}"], {}), ([f"-{letter}{value}"], {})]
        if variable:
            ways.append(([], {variable: value}))
            ways.append(([f"--{flag}={value}"], {variable: "nonsense"}))
        outputs = set()
        for arguments, environment in ways:
            result = Run("-n", *base, *arguments, **environment)
            wrong += expect(f"{arguments} {environment}", result, 0, out=shown or "")
            outputs.add(result.out)
        if len(outputs) != 1:
            wrong.append(f"--{flag}: the way makes a difference")
        if shown and shown in Run("-n", *base).out:
            wrong.append(f"--{flag}: {shown} shows without it")
    return wrong


def test_other_names(_):
    return (expect("loopback", Run("-n", "-i", "127.0.0.0/8", ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR="127.7.0.0/16"), 0,
                   out="127.7.0.0-127.7.255.255") +
            expect("groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS="*"), 0) +
            expect("groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS="daemon, 202"), 0, out="elements = { 1, 202 }") +
            expect("no group of that name", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS="java-"), 1,
                   'ISTIO_OUTBOUND_OWNER_GROUPS, item 1, "java-": not a decimal number; valid: "*" alone, or IDs of groups') +
            expect("no groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS=""), 0, out="includeOwnerGroups is empty") +
            expect("other groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="7,daemon"), 0, out="elements = { 1, 7 }") +
            expect("alias", Run("-n", "--capture-all-dns", ISTIO_META_DNS_CAPTURE="true"), 0, out="DNS to any server") +
            expect("first name", Run("-n", "--capture-all-dns", REDIRECT_DNS="true", ISTIO_META_DNS_CAPTURE="no"), 0,
                   out="DNS to any server") +
            expect("alias", Run("-n", INVALID_DROP="true"), 0, out="ct state invalid") +
            expect("first name", Run("-n", DROP_INVALID="false", INVALID_DROP="x"), 0) +
            expect("empty variable", Run("-n", ISTIO_SERVICE_CIDR="", PROXY_UID=""), 0, out="{ 1337 }") +
            expect("dual stack", Run("-n", ISTIO_DUAL_STACK="yes"), 1, 'ISTIO_DUAL_STACK is "yes"; valid: true, false'))


def test_formats(_):
    wrong = []
    for arguments, text in ((["--format=nft"], "delete table inet weir\n"), (["--format", "iptables"], "# iptables-restore --noflush\n*nat\n"),
                            (["-n", "--backend", "iptables"], "# ip6tables-restore --noflush\n*nat\n:WEIR_OUTBOUND"),
                            (["-n", "--backend=nft", "--run-validation=false", "--force-iptables-binary="], "table inet weir {\n"),
                            (["-n", "--backend=iptables", "--format=nft"], "table inet weir {\n")):
        wrong += expect(str(arguments), Run("-i", "*", *arguments), 0, "", text)
    wrong += expect("containment", Run("-i", "*", "--explain", "1.1.1.1:1"), 0)
    if nft("list", "tables"):
        wrong.append("something was applied")
    return wrong


def test_templates_of_istio(_):
    usual = ["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "", "-d", "15090,15021,15020"]
    extra = ["--dual-stack", "--native-nftables", "--cni-mode=true", "--reconcile", "--force-apply=false", "-f", "--network-namespace",
             "/x", "--probe-timeout=5s", "--iptables-probe-port", "15002", "--iptables-trace-logging", "-e", "15008", "-t", "1337", "-r", "133"]
    Run("--cleanup-only")
    return (expect("usual", Run("istio-iptables", *usual), 0, "weir-init: created") +
            expect("again", Run(*usual, *extra), 0, "weir-init: unchanged") +
            expect("trace", Run(*usual, "--iptables-trace-logging"), 0, "every rule has a counter") +
            expect("skipped", Run(*usual, "--skip-rule-apply", "-o", "1"), 0, "nothing applied") +
            expect("still", Run(*usual, "--check"), 0, "as asked for"))


def test_exit_statuses(_):
    wrong = []
    for arguments, status, text in (
            (["--nope"], 255, "Error: unknown flag: --nope\n"), (["-y"], 255, "unknown shorthand flag: 'y' in -y"),
            (["-ny"], 255, "'y' in -ny"), (["-i"], 255, "flag needs an argument: 'i' in -i"),
            (["--istio-service-cidr"], 255, "flag needs an argument: --istio-service-cidr"), (["x"], 1, 'unexpected argument "x"'),
            (["--dual-stack", "true"], 1, "--dual-stack=true"), (["--dry-run=maybe"], 1, 'flag --dry-run is "maybe"; valid: true, false'),
            (["--", "x"], 1, '"x"'), (["--probe-timeout=5"], 1, "a duration as 5s"), (["--iptables-probe-port=0"], 1, "1 to 65535"),
            (["--check", "--dry-run"], 1, "cannot go together"), (["--check", "--diff"], 1, "cannot go together"),
            (["--format=json", "--check"], 1, "--check and --format cannot go together"), (["--format=xml"], 1, '"xml"; valid: nft,json,iptables'),
            (["--backend=x"], 1, '"x"; valid: nft,iptables'), (["--force-iptables-binary=x"], 1, '"x"; valid: legacy,nft'),
            (["--run-validation", "--check"], 1, "cannot go together"), (["--uid", "1"], 1, "--uid belongs to --explain"),
            (["--gid=1"], 1, "--gid belongs"), (["--oif=x"], 1, "--oif belongs"), (["--json"], 1, "--json belongs"),
            (["--version"], 0, ""), (["-h"], 0, "")):
        wrong += expect(str(arguments), Run(*arguments), status, text)
    wrong += expect("variable", Run(DRY_RUN="maybe"), 1, 'environment variable DRY_RUN is "maybe"; valid: true, false')
    return wrong


def test_bad_items(folder):
    """The exact words, by flag, variable and file; and nothing applied."""
    wrong = []
    Run("--cleanup-only")
    path = f"{folder}/list"
    with open(path, "w") as file:
        file.write("10.0.0.0/8\n# none\n\n" + "x" * 262144 + "\n")
    for arguments, environment, text in (
            (["-i", "10.0.0.0/8,,"], {}, f"flag --istio-service-cidr, item 2 is empty; valid: {RANGES}"),
            (["-i", "10.0.0.0/33"], {}, f'flag --istio-service-cidr, item 1, "10.0.0.0/33": the prefix length is not a number from 0 to 32; valid: {RANGES}'),
            ([], {"ISTIO_SERVICE_CIDR": "1.1.1.1,foo"}, f'environment variable ISTIO_SERVICE_CIDR, item 2, "foo": not an IP address or CIDR; valid: {RANGES}'),
            (["-i", f"@{path}"], {}, f'flag --istio-service-cidr, file {path}, line 4, item 2, "xxxx'),
            (["-i", "@/nowhere"], {}, "flag --istio-service-cidr: cannot open file /nowhere: No such file or directory"),
            (["-x", "*"], {}, '"*": not an IP address or CIDR'), (["-o", "http"], {}, '"http": not a decimal number'),
            (["-o", "80\n81"], {}, '"80\\x0a81": not a decimal number'), (["-u", "nobody2"], {}, '"nobody2": not a decimal number'),
            (["-u", "4294967295"], {}, "the number is too large"), (["-m", "tproxy"], {}, '"tproxy": unknown mode; valid: REDIRECT, TPROXY, NONE'),
            (["-d", "abc"], {}, "not a decimal number"), (["-t", "0x539"], {}, "not a decimal number"), (["-p", "0"], {}, "too small")):
        result = Run(*arguments, **environment)
        wrong += expect(f"{arguments} {environment}", result, 1, f"weir-init: {text}" if text.startswith(("flag", "env")) else text, "")
        wrong += expect(f"dry {arguments}", Run("-n", *arguments, **environment), 1, text, "")
        if result.out or nft("list", "tables"):
            wrong.append(f"{arguments}: something was printed, or applied")
    return wrong


def test_lists_from_files(folder):
    path = f"{folder}/ranges"
    with open(path, "w") as file:
        file.write("# two\n192.0.2.0/25, 198.51.100.0/24\n203.0.113.7\n")
    wrong = expect("flag", Run("-n", "-i", f"@{path}"), 0, out="{ 192.0.2.0/25, 198.51.100.0/24, 203.0.113.7 }")
    return wrong + expect("variable", Run("-n", ISTIO_SERVICE_CIDR=f"@{path}"), 0, out="198.51.100.0/24")


def test_names_of_users(_):
    return (expect("user", Run("-n", "-i", "*", "-u", "root, nobody"), 0, out="{ 0, 65534 }") +
            expect("group", Run("-n", "-i", "*", "-g", "daemon"), 0, out="{ 1 }") +
            expect("default by variable", Run("-n", "-i", "*", ENVOY_USER="daemon"), 0, out="{ 1 }") +
            expect("default", Run("-n", "-i", "*", ENVOY_USER="nobody-here"), 0, out="{ 1337 }"))


def test_a_life(_):
    Run("--cleanup-only")
    nft("-f", "-", stdin="table ip other {\n\tchain c {\n\t\ttype nat hook output priority -100;\n\t\tcounter\n\t}\n}\n")
    foreign = nft("list", "ruleset")
    wrong = expect("check before", Run("-i", "*", "--check"), 3, "the table inet weir is missing")
    wrong += expect("created", Run("-i", "*"), 0, "weir-init: created\n", "")
    wrong += expect("unchanged", Run("-i", "*"), 0, "weir-init: unchanged\n", "")
    wrong += expect("forced", Run("-i", "*", "--force-apply"), 0, "weir-init: replaced\n", "")
    wrong += expect("replaced", Run("-i", "10.0.0.0/8"), 0, "weir-init: replaced\n", "")
    wrong += expect("check", Run("-i", "10.0.0.0/8", "--check"), 0, "as asked for", "")
    wrong += expect("check of others", Run("-i", "10.0.0.0/9", "--check"), 3, "set included_ipv4: 10.128.0.0/9 was added")
    before = nft("list", "ruleset")
    wrong += expect("dry", Run("-i", "1.1.1.1", "-n"), 0, out="delete table inet weir")
    if nft("list", "ruleset") != before:
        wrong.append("a dry run has changed the rules")
    wrong += expect("NONE", Run("-i", "*", "-m", "NONE"), 0, "weir-init: removed\n")
    wrong += expect("NONE again", Run("-i", "*", "-m", "NONE"), 0, "weir-init: unchanged\n")
    wrong += expect("NONE holds", Run("-m", "NONE", "--check"), 0, "as asked for")
    Run("-i", "*")
    wrong += expect("dry cleanup", Run("--cleanup-only", "-n"), 0, out="add table inet weir\ndelete table inet weir\n")
    wrong += expect("cleanup", Run("--cleanup-only", "-i", "nonsense"), 0, "weir-init: removed\n", "")
    wrong += expect("cleanup again", Run("--cleanup-only"), 0, "weir-init: unchanged\n", "")
    if nft("list", "ruleset") != foreign:
        wrong.append(f"foreign rules: {foreign}\nthen\n{nft('list', 'ruleset')}")
    nft("flush", "ruleset")
    return wrong


def test_explain(_):
    """The words; that they are true is for explain_test.c."""
    settings = ["-i", "10.0.0.0/8,2001:db8::/32", "-o", "5432", "-c", "net+"]
    wrong = expect("nothing there", Run(*settings, "--explain", "10.1.2.3:80", "--uid=1", "--gid=1", "--oif=eth0"), 0, "", """\
10.1.2.3:80 goes to the proxy, port 15001
  rule 13 of chain outbound: "to the proxy: includeOutboundIPRanges"
  matched: 10.0.0.0/8 in set included_ipv4
  asked for by: flag --istio-service-cidr
""")
    for arguments, words in (
            (["10.1.2.3:5432"], 'way\n  rule 3 of chain outbound: "bypass: excludeOutboundPorts"\n  matched: 5432 in set excluded_ports\n'
             "  asked for by: flag --istio-local-outbound-ports-exclude\n  assumed: a user and a group that is not the proxy's\n"
             "  assumed: out of an interface that no rule names\n"),
            (["10.1.2.3:80", "--uid=1337"], "the proxy's own connections\"\n  matched: 1337 in set proxy_uids\n  asked for by: default of proxy-uid"),
            (["10.1.2.3:80", "--oif", "net7"], 'rule 2 of chain outbound: "bypass: excludeInterfaces"\n  matched: "net*" in set'),
            (["10.77.0.2:80", "--oif=lo"], '"stays in the pod"\n  asked for by: no setting, it is always so'),
            (["127.0.0.1:80"], '"stays in the pod: loopbackCIDR"\n  asked for by: default of ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR'),
            (["10.77.0.2:80", "--oif=lo", "--uid=1337"], "to the proxy, port 15006\n"),
            (["10.77.0.2:80", "--oif=lo", "--uid=1337", "--source", "127.0.0.6"], '"stays in the pod: from inbound passthrough"'),
            (["10.77.0.2:80", "--oif=lo", "--uid=1337", "--mark=1337", "-m", "TPROXY", "-b", "*"],
             "from the proxy, with the client's address"),
            (["9.9.9.9:53", "--udp", "--redirect-dns", "--dns-servers=9.9.9.9"], "to the proxy, port 15053\n"),
            (["9.9.9.8:53", "--udp", "--redirect-dns", "--dns-servers=9.9.9.9"], '"of UDP, only DNS is redirected"'),
            (["10.77.0.2:80", "--iif", "eth0"], "own way\n  there are no rules for it\n  asked for by: default of istio-inbound-ports"),
            (["10.77.0.2:80", "--iif", "eth0", "-b", "*"], "port 15006\n  rule 4 of chain inbound: \"to the proxy: includeInboundPorts"),
            (["10.77.0.2:80", "--iif", "eth0", "-b", "*", "-m", "TPROXY"], "port 15006, with the client's address\n"),
            (["10.77.0.2:81", "--iif", "eth0", "-b", "80"], '"bypass: everything else"'),
            (["10.1.2.3:81", "--iif", "tap0", "-k", "tap0"], "port 15001\n  rule 3 of chain virtual"),
            (["[2001:db8::7]:443"], "[2001:db8::7]:443 goes to the proxy, port 15001"),
            (["9.9.9.9:80"], '"bypass: everything else"\n  asked for by: flag --istio-service-cidr'),
            (["9.9.9.9:80", "-m", "NONE"], "goes its own way\n  there are no rules\n  asked for by: flag --istio-inbound-interception-mode")):
        wrong += expect(str(arguments), Run(*settings, "--explain", *arguments), 0, "", words)
    answer = json.loads(Run(*settings, "--explain", "10.1.2.3:80", "--json", "--gid", "7").out)
    expected = {"destination": "10.1.2.3:80", "protocol": "tcp", "direction": "outbound", "uid": None, "gid": 7, "interface": None, "decision": "redirect", "port": 15001,
                "chain": "outbound", "rule": 13, "comment": "to the proxy: includeOutboundIPRanges", "set": "included_ipv4",
                "element": "10.0.0.0/8", "setting": "traffic.sidecar.istio.io/includeOutboundIPRanges",
                "origin": "flag --istio-service-cidr"}
    if answer != expected:
        wrong.append(f"JSON: {answer}")
    answer = json.loads(Run("--explain", "[::1]:80", "--json", "-m", "NONE").out)
    if (answer["decision"], answer["rule"], answer["origin"]) != ("bypass", None, "flag --istio-inbound-interception-mode"):
        wrong.append(f"JSON without rules: {answer}")
    for arguments, words in ((["::1:80"], "[IPV6-ADDRESS]:PORT"), (["10.0.0.1"], "ADDRESS:PORT"), (["10.0.0.1:"], "ADDRESS:PORT"),
                             (["10.0.0.1:65536"], "ADDRESS:PORT"), (["host:80"], '"host:80" is no destination'), (["[::1:80"], "ADDRESS:PORT"),
                             ([""], "ADDRESS:PORT"), ([":80"], "ADDRESS:PORT"), (["[]:80"], "ADDRESS:PORT"),
                             (["1.1.1.1:80", "--uid=root"], 'flag --uid is "root"; valid: one ID, 0 to 4294967294'),
                             (["1.1.1.1:80", "--gid=-1"], "flag --gid"), (["1.1.1.1:80", "--mark=x"], "one number, 0 to 4294967295"),
                             (["1.1.1.1:80", "--source=x"], "one address"), (["1.1.1.1:80", "--iif=+"], "one interface"),
                             (["1.1.1.1:80", "--iif=a", "--uid=1"], "cannot go together"), (["1.1.1.1:80", "--oif=eth+"], "the name of one interface")):
        wrong += expect(str(arguments), Run(*settings, "--explain", *arguments), 1, words)
    return wrong


def links():
    """An interface with both families, to itself: nothing that goes out is ever seen."""
    for command in ("link set lo up", "link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
                    "address add 10.77.0.2/24 dev eth0", "address add fd77::2/64 dev eth0 nodad",
                    "route add default via 10.77.0.1", "-6 route add default via fd77::1"):
        harness.run(*harness.inside(NAMESPACE, "ip", *command.split()))


def as_user(identity, *arguments):
    """As the unprivileged container that Istio's injector adds."""
    command = ["setpriv", f"--reuid={identity}", f"--regid={identity}", "--clear-groups", "--bounding-set=-all", f"{BUILD}/weir-init"]
    return subprocess.run(harness.inside(NAMESPACE, *command, *arguments), text=True, capture_output=True, check=False,
                          env=harness.sanitizer_options())


def test_validation(_):
    """What sound rules do is found sound, in both families, by whoever asks; and what is missing from the rules shows."""
    links()
    wrong = []
    for settings in (["-i", "*", "-b", "*"], ["-i", "10.0.0.0/8,2001:db8::/32", "-o", "15002"], ["-i", "127.0.0.0/8"],
                     ["-i", "*", "-m", "TPROXY", "-b", "*", "--redirect-dns", "--capture-all-dns"], ["-i", "*", "-c", "eth+"],
                     ["-i", "*", "--backend", "iptables"]):
        result = Run(*settings, "--run-validation", PATH="/usr/sbin:/usr/bin")
        tried = int(re.search(r"validation: (\d+) connections, 0 of them wrong", result.err + "validation: 0 connections, 0 of them wrong")[1])
        if result.status != 0 or tried < 6:
            wrong.append(f"{settings}: {result.status} {result.err}")
        for identity in (1337, 1000):
            result = as_user(identity, *settings, "--skip-rule-apply", "--run-validation")
            if result.returncode != 0:
                wrong.append(f"{settings} as {identity}: {result.returncode} {result.stderr}")
    Run("-i", "*")
    quick = ["--run-validation", "--skip-rule-apply", "--probe-timeout", "50ms"]
    for comment, words in (("the pod calls itself: to the inbound port", "[fd77::2]:15002, opened as the proxy, by user: arrived at port 15002, not at 15006"),
                           ("to the proxy: includeOutboundIPRanges is *", "192.0.2.1:15002, opened as an application: did not arrive at port 15001")):
        Run("-i", "*", "--force-apply")
        line = next(line for line in nft("-a", "list", "chain", "inet", "weir", "outbound").splitlines() if f'"{comment}"' in line)
        nft("delete", "rule", "inet", "weir", "outbound", "handle", line.rsplit(" ", 1)[1])
        wrong += expect(comment, Run("-i", "*", *quick), 126, words)
    Run("--cleanup-only")
    for identity in (1337, 1000):
        if as_user(identity, "-i", "*", *quick).returncode != 126:
            wrong.append(f"no rules, as {identity}: found sound")
    busy = subprocess.Popen(harness.inside(NAMESPACE, "python3", "-c",
                            "import socket; s = socket.create_server(('', 15001)); print(flush=True); __import__('sys').stdin.read()"),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    busy.stdout.readline()
    wrong += expect("a port in use", Run("-i", "*", "--run-validation"), 126, "cannot listen on port 15001: Address already in use")
    busy.communicate("")
    nft("flush", "ruleset")
    return wrong


def test_without_ipv6(_):
    """What is for IPv6 is left out of routing, and nobody misses it."""
    wrong = []
    switches = [f"net.ipv6.conf.{name}.disable_ipv6" for name in ("all", "lo")]
    arguments = ["-i", "*", "-b", "*", "-m", "TPROXY"]
    harness.run(*harness.inside(NAMESPACE, "sysctl", "-q", *(f"{name}=1" for name in switches)))
    wrong += expect("created", Run(*arguments), 0, "weir-init: created")
    wrong += expect("unchanged", Run(*arguments), 0, "weir-init: unchanged")
    wrong += expect("check", Run(*arguments, "--check"), 0, "as asked for")
    found = [harness.run(*harness.inside(NAMESPACE, "ip", family, "rule")).count("lookup 133") for family in ("-4", "-6")]
    if found != [1, 0]:
        wrong.append(f"rules in IPv4 and IPv6: {found}")
    harness.run(*harness.inside(NAMESPACE, "sysctl", "-q", *(f"{name}=0" for name in switches)))
    wrong += expect("IPv6 is there now", Run(*arguments, "--check"), 3, "ip -6 rule fwmark 1337 lookup 133 is missing")
    wrong += expect("replaced", Run(*arguments), 0, "weir-init: replaced")
    wrong += expect("removed", Run("--cleanup-only"), 0, "weir-init: removed")
    return wrong


def test_diff(_):
    Run("--cleanup-only")
    wrong = expect("no table", Run("-i", "*", "--diff"), 3, "", "+ the table inet weir\n")
    wrong += expect("none wanted", Run("-m", "NONE", "--diff"), 0, "a run would change nothing")
    Run("-i", "*", "-o", "80-90")
    wrong += expect("equal", Run("-i", "*", "-o", "80-90", "--diff"), 0, "weir-init: a run would change nothing\n")
    before = nft("list", "ruleset")
    result = Run("-i", "*", "-o", "82-92", "-p", "15101", "--diff")
    wanted = """\
+ set excluded_ports: 91-92
- set excluded_ports: 80-81
~ chain outbound: rule 12 ("to the proxy: includeOutboundIPRanges is *") is changed
"""
    if result.status != 3 or result.out != wanted:
        wrong.append(f"diff: {result.status} {result.out}")
    wrong += expect("cleanup", Run("--cleanup-only", "--diff"), 3, "", "- the table inet weir\n")
    many = Run("-i", "*", "-o", ",".join(str(port) for port in range(1, 200, 2)), "--diff").out
    if many.count("\n+") + many.count("\n-") < 90:
        wrong.append(f"of a hundred differences only {many}")
    if nft("list", "ruleset") != before:
        wrong.append("--diff has changed the rules")
    return wrong


def test_plan_as_json(_):
    result = Run("--format=json", "-i", "10.0.0.0/8,10.128.0.0/9,::1", "-c", "eth+", "-o", "80,82-84", "-n")
    plan = json.loads(result.out)
    expected = {"interception": "REDIRECT", "proxy_port": 15001, "inbound_port": 15006, "tunnel_port": 15008,
                "include_everything": False, "include_loopback": True, "include_all_inbound": False, "include_all_groups": True,
                "drop_invalid": False, "dns": "off", "tproxy_mark": 1337, "tproxy_table": 133, "loopback": "127.0.0.1", "lists": {
                    "proxy_uids": ["1337"], "proxy_gids": ["1337"], "excluded_interfaces": ["eth*"], "virtual_interfaces": [],
                    "excluded_ports": ["80", "82-84"], "included_ports": [], "excluded_ipv4": [], "excluded_ipv6": [],
                    "included_ipv4": ["10.0.0.0/8"], "included_ipv6": ["::1"], "excluded_groups": [], "included_groups": [],
                    "dns_servers_ipv4": [], "dns_servers_ipv6": [], "excluded_inbound_ports": [], "included_inbound_ports": []}}
    wrong = [] if plan == expected else [f"plan: {plan}"]
    if json.loads(Run("--format=json", "-m", "NONE").out)["interception"] != "NONE":
        wrong.append("no NONE")
    Run("--cleanup-only")
    for arguments in (["--format=json"], ["--format=nft"]):
        Run(*arguments, "-i", "*")
        if nft("list", "tables"):
            wrong.append(f"{arguments}: applied")
    return wrong


def test_stdout_that_cannot_be_written(_):
    with open("/dev/full", "w") as full:
        result = subprocess.run([f"{BUILD}/weir-init", "-n", "-i", "*"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    return [] if result.returncode == 1 and "cannot write" in result.stderr else [f"{result}"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        return harness.main([NAMESPACE], [(title, partial(test, folder)) for title, test in harness.named_tests(globals())])


if __name__ == "__main__":
    sys.exit(main())
