#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir-init as a template sees it: flags and variables in; exit status, messages and rules out.

Flags and variables are taken from --help, so that one that is forgotten here is missed. TAP on stdout.
"""
import re
import subprocess
import sys
import tempfile
from functools import partial

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("init")
RANGES = '"*" alone, or IPv4 and IPv6 addresses and CIDRs, separated by commas'

# Of each setting of the rules: a value that shows in the rules, and where; None where it has no effect on outbound capture.
EFFECTS = {
    "istio-inbound-interception-mode": ("NONE", None), "istio-service-cidr": ("192.0.2.0/25", "192.0.2.0/25"),
    "istio-service-exclude-cidr": ("192.0.2.128/25", "192.0.2.128/25"), "istio-outbound-ports": ("8443", "{ 8443 }"),
    "istio-local-outbound-ports-exclude": ("5432-5440", "{ 5432-5440 }"), "istio-exclude-interfaces": ("net1", '"net1"'),
    "proxy-uid": ("77,79", "{ 77, 79 }"), "proxy-gid": ("99", "{ 99 }"), "envoy-port": ("15101", ":15101"),
    "istio-inbound-ports": ("", None), "istio-local-exclude-ports": ("15020", None), "kube-virt-interfaces": ("", None),
    "redirect-dns": ("false", None), "capture-all-dns": ("true", None), "drop-invalid": ("F", None),
    "inbound-capture-port": ("15006", None), "inbound-tunnel-port": ("15008", None),
    "istio-inbound-tproxy-mark": ("1337", None), "istio-inbound-tproxy-route-table": ("133", None),
}
NOT_BUILT = {"istio-inbound-interception-mode": "TPROXY", "istio-inbound-ports": "*", "kube-virt-interfaces": "tap0",
             "redirect-dns": "true", "drop-invalid": "true"}


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
        base = [] if flag == "istio-service-cidr" else ["-i", "10.0.0.0/8"]
        ways = [([f"--{flag}={value}"], {})]
        if value not in ("true", "false", "F"):
            ways += [([f"--{flag}", value], {}), ([f"-{letter}", value], {}), ([f"-{letter}={value}"], {})]
            ways += [([f"-{letter}{value}"], {})] if value else []
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
            expect("groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS="java"), 1, '"java" is not built yet; valid: *') +
            expect("no groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS=""), 1, "is not built yet") +
            expect("groups", Run("-n", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="7"), 1, "is not built yet") +
            expect("alias", Run("-n", ISTIO_META_DNS_CAPTURE="true"), 1, "variable ISTIO_META_DNS_CAPTURE") +
            expect("alias", Run("-n", INVALID_DROP="true"), 1, "variable INVALID_DROP") +
            expect("first name", Run("-n", DROP_INVALID="false", INVALID_DROP="true"), 0) +
            expect("empty variable", Run("-n", ISTIO_SERVICE_CIDR="", PROXY_UID=""), 0, out="{ 1337 }") +
            expect("dual stack", Run("-n", ISTIO_DUAL_STACK="yes"), 1, 'ISTIO_DUAL_STACK is "yes"; valid: true, false'))


def test_not_built_is_refused(_):
    wrong = []
    for flag, value in NOT_BUILT.items():
        wrong += expect(flag, Run(f"--{flag}={value}"), 1, f'flag --{flag}: "{value}" is not built yet; valid: ')
    for arguments, text in ((["--run-validation"], "--run-validation"), (["--explain", "1.1.1.1:80"], "--explain"),
                            (["--uid", "1"], "--uid"), (["--gid=1"], "--gid"), (["--oif=x"], "--oif"), (["--json"], "--json"),
                            (["--diff"], "--diff"), (["--format=json"], '--format "json"'), (["--backend", "iptables"], '--backend "iptables"'),
                            (["--force-iptables-binary=legacy"], '--force-iptables-binary "legacy"')):
        wrong += expect(str(arguments), Run(*arguments), 1, f"{text} is not built yet")
    wrong += expect("what is", Run("-n", "--format=nft", "--backend", "nft", "--run-validation=false", "--force-iptables-binary="), 0)
    return wrong


def test_templates_of_istio(_):
    usual = ["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "", "-d", "15090,15021,15020"]
    extra = ["--dual-stack", "--native-nftables", "--cni-mode=true", "--reconcile", "--force-apply=false", "-f", "--network-namespace",
             "/x", "--probe-timeout=5s", "--iptables-probe-port", "15002", "--iptables-trace-logging", "-e", "15008", "-t", "1337", "-r", "133"]
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
            (["--check", "--dry-run"], 1, "cannot go together"), (["--check", "--cleanup-only"], 1, "cannot go together"),
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
    wrong += expect("check of others", Run("-i", "10.0.0.0/9", "--check"), 3, "set included_ipv4: 10.0.0.0/9 is missing")
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


def test_stdout_that_cannot_be_written(_):
    with open("/dev/full", "w") as full:
        result = subprocess.run([f"{BUILD}/weir-init", "-n", "-i", "*"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    return [] if result.returncode == 1 and "cannot write" in result.stderr else [f"{result}"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        return harness.main([NAMESPACE], [(title, partial(test, folder)) for title, test in harness.named_tests(globals())])


if __name__ == "__main__":
    sys.exit(main())
