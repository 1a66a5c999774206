#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir-init --backend iptables, in both flavours of iptables: its text, its idempotency, what --check sees, foreign rules,
the other flavour and the other backend, and what is left when iptables fails. Where packets go is for tests/peer.

Everything runs in one network namespace of its own. TAP on stdout.
"""
import fcntl
import os
import re
import subprocess
import sys
import tempfile
from functools import partial

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("iptables")
TOOLS = ("iptables", "ip6tables")
FLAVOURS = ("nft", "legacy")
# Every kind of rule, in every table.
FULL = ["-i", "10.0.0.0/8,11.0.0.0/9,11.128.0.0/31,127.1.2.3,2001:db8::/33", "-x", "10.1.0.0/16,192.0.2.7,2001:db8:1::/48",
        "-q", "443,8000-8010", "-o", "5432,6000-6010", "-c", "net1,eth9+", "-u", "1337,2000-2010", "-g", "7", "-b", "*", "-d", "22",
        "-k", "tap0", "--redirect-dns", "--capture-all-dns", "--drop-invalid", "-m", "TPROXY"]
SETTINGS = [FULL, ["-i", "*"], ["-b", "80,90-99", "-m", "TPROXY", "-t", "77", "-r", "78"], ["-i", "*", "-c", "fifteen_bytes_x+,a'b#c"],
            ["-i", "0.0.0.0/0,::/0", "-b", "80", "--redirect-dns", "--dns-servers", "10.0.0.53,::53"]]


def run(*command, check=True, **options):
    return subprocess.run(harness.inside(NAMESPACE, *command), check=check, text=True, capture_output=True, **options)


def weir(*arguments, backend=("--backend", "iptables"), **options):
    return run(f"{BUILD}/weir-init", *arguments, *backend, **options)


def outcome(*arguments, **options):
    return weir(*arguments, **options).stderr.splitlines()[-1].removeprefix("weir-init: ")


def saved(flavour, ours=None):
    """The rules of both families, without what counts; only weir's, or only others'."""
    lines = [f"{tool} {line}" for tool in TOOLS for line in run(f"{tool}-{flavour}-save").stdout.splitlines()]
    lines = [re.sub(r"\[\d+:\d+\]", "", line) for line in lines if " # " not in line]
    return [line for line in lines if ours is None or ("WEIR_" in line and "SOMEBODY" not in line) == ours]


def clean():
    run("nft", "flush", "ruleset")
    for tool in TOOLS:
        for table in ("nat", "mangle", "raw", "filter"):
            run(f"{tool}-legacy", "-t", table, "-F")
            run(f"{tool}-legacy", "-t", table, "-X")


def routing():
    text = "".join(run("ip", family, what, *more).stdout for family in ("-4", "-6")
                   for what, more in (("rule", []), ("route", ["show", "table", "all"]), ("address", [])))
    return [line for line in text.splitlines() if "119" in line]


def test_reruns_change_nothing(flavour):
    wrong = []
    for arguments in SETTINGS:
        clean()
        forced = [*arguments, "--force-iptables-binary", flavour]
        said = [outcome(*forced), outcome(*arguments), outcome(*arguments, "--check"), outcome(*arguments, "--diff")]
        before = saved(flavour)
        said += [outcome(*arguments, "--force-apply")]
        if said != ["created", "unchanged", "the rules are as asked for", "a run would change nothing", "replaced"] or saved(flavour) != before:
            wrong.append(f"{arguments}: {said}")
        if flavour == "legacy" and any("WEIR" in line for line in saved("nft")):
            wrong.append(f"{arguments}: in both flavours")
        weir("--cleanup-only")
        if saved(flavour, True) or routing():
            wrong.append(f"{arguments}: left {saved(flavour, True)} {routing()}")
    return wrong


def test_text_is_what_is_loaded(flavour):
    """What --format iptables prints, loaded by hand, is what a run leaves."""
    wrong = []
    for arguments in SETTINGS:
        clean()
        text = run(f"{BUILD}/weir-init", *arguments, "--format", "iptables").stdout
        for tool, part in zip(TOOLS, re.split("^# ip6tables-restore --noflush\n", text, flags=re.M)):
            run(f"{tool}-{flavour}-restore", "--noflush", input=part)
        by_hand = saved(flavour)
        if (said := outcome(*arguments)) not in ("unchanged", "replaced" if "TPROXY" in arguments else "unchanged"):
            wrong.append(f"{arguments}: then a run says {said}")
        if saved(flavour) != by_hand:
            wrong.append(f"{arguments}: by hand {by_hand}, then {saved(flavour)}")
        weir("--cleanup-only")
    return wrong


def test_one_settings_after_another(flavour):
    """A change of anything leaves what a first run would have: no chain, no hook, no route of before."""
    wrong = []
    alone = {}
    for number, arguments in enumerate(SETTINGS):
        clean()
        weir(*arguments, "--force-iptables-binary", flavour)
        alone[number] = sorted(saved(flavour, True)), routing()
        weir("--cleanup-only")
    for number in (0, 1, 2, 0, 4, 3, 1, 0, 3, 2, 4, 0):
        said = outcome(*SETTINGS[number], "--force-iptables-binary", flavour)
        if (sorted(saved(flavour, True)), len(routing())) != (alone[number][0], len(alone[number][1])):
            wrong.append(f"{SETTINGS[number]}: {said}: {set(saved(flavour, True)) ^ set(alone[number][0])} {routing()}")
    weir("--cleanup-only")
    return wrong


def test_every_tampering_is_seen(flavour):
    """Each rule taken away, in turn; then one put in front, and one behind: --check and --diff say it, a run repairs it."""
    wrong, tried = [], 0
    clean()
    weir(*FULL, "--force-iptables-binary", flavour)
    before = saved(flavour)
    table = ""
    for line in saved(flavour):
        tool, text = line.split(" ", 1)
        table = text[1:] if text.startswith("*") else table
        if not text.startswith("-A ") or "WEIR_" not in text:
            continue
        tried += 1
        if tool == "ip6tables" and tried % 3:  # the same in the other family: a sample will do
            continue
        run(f"{tool}-{flavour}-restore", "--noflush", input=f"*{table}\n-D{text[2:]}\nCOMMIT\n")
        said = weir(*FULL, "--check", check=False)
        expected = f"{tool} -t {table}: {text} is missing"
        if said.returncode != 3 or expected not in said.stderr.replace("weir-init: ", ""):
            wrong.append(f"{expected}: --check says {said.returncode} {said.stderr}")
        if (repaired := outcome(*FULL)) != "replaced":
            wrong.append(f"{expected}: a run says {repaired}")
    if saved(flavour) != before or tried < 100:
        wrong.append(f"{tried} rules; repaired to {set(saved(flavour)) ^ set(before)}")
    for chain, place, text in (("WEIR_OUTBOUND", "-I", "-p tcp -j ACCEPT"), ("WEIR_VIRTUAL_2", "-A", "-d 10.0.0.7/32 -j RETURN"),
                               ("OUTPUT", "-A", "-j WEIR_OUTBOUND")):
        run(f"iptables-{flavour}-restore", "--noflush", input=f"*nat\n{place} {chain} {text}\nCOMMIT\n")
        said = weir(*FULL, "--diff", check=False).stdout
        if f"- iptables -t nat: -A {chain} {text}" not in said:
            wrong.append(f"{chain} {text}: --diff says {said}")
        weir(*FULL)
    weir("--cleanup-only")
    return wrong


FOREIGN = """*nat
:SOMEBODY - [0:0]
-A OUTPUT -d 198.51.100.0/24 -j SOMEBODY
-A SOMEBODY -p tcp -m comment --comment "jumps to -j WEIR_OUTBOUND, says a comment" -j REDIRECT --to-ports 7
COMMIT
*filter
-A OUTPUT -d 198.51.100.9/32 -j DROP
COMMIT
"""


def test_foreign_rules_stay(flavour):
    clean()
    run(f"iptables-{flavour}-restore", "--noflush", input=FOREIGN)
    before = saved(flavour, None)
    wrong = []
    for arguments in (*SETTINGS, ["--cleanup-only"], ["--cleanup-only"]):
        weir(*arguments)
        if not any("SOMEBODY" in line for line in saved(flavour)) or [line for line in saved(flavour) if "SOMEBODY" in line or "198.51" in line] != [
                line for line in before if "SOMEBODY" in line or "198.51" in line]:
            wrong.append(f"{arguments}: {saved(flavour)}")
    left = [line for line in saved(flavour) if "-A" in line]
    if left != [line for line in before if "-A" in line]:
        wrong.append(f"before {before}, after {saved(flavour)}")
    clean()
    return wrong


def test_the_flavour_that_holds_rules(flavour):
    """Somebody's rules decide the flavour, weir's own all the more; what the other flavour held of weir's goes."""
    other = FLAVOURS[1 - FLAVOURS.index(flavour)]
    clean()
    run(f"iptables-{flavour}-restore", "--noflush", input=FOREIGN)
    wrong = []
    if outcome("-i", "*") != "created" or not saved(flavour, True) or saved(other, True):
        wrong.append("not in the flavour of somebody's rules")
    weir("--cleanup-only")
    clean()
    run(f"iptables-{other}-restore", "--noflush", input=FOREIGN)
    weir("-i", "*", "--force-iptables-binary", flavour)
    if outcome("-i", "*") != "unchanged" or saved(other, True):
        wrong.append("not in the flavour of its own rules")
    # A second copy, as a program with another choice would have left it.
    text = run(f"{BUILD}/weir-init", "-i", "*", "--format", "iptables").stdout.split("# ip6tables")[0]
    run(f"iptables-{other}-restore", "--noflush", input=text)
    said = weir("-i", "*", "--check", "--force-iptables-binary", flavour, check=False)
    if said.returncode != 3 or "was added" not in said.stderr:
        wrong.append(f"a second copy: --check says {said.stderr}")
    if outcome("-i", "*", "--force-iptables-binary", flavour) != "replaced" or saved(other, True) or not saved(flavour, True):
        wrong.append("a second copy stays")
    run(f"iptables-{other}-restore", "--noflush", input=text)
    if outcome("--cleanup-only", backend=()) != "removed" or saved(other, True) or saved(flavour, True):
        wrong.append("a cleanup leaves one of them")
    clean()
    return wrong


def test_one_backend_after_the_other(flavour):
    clean()
    wrong = []
    for arguments in (FULL, ["-i", "*"]):
        weir(*arguments, "--force-iptables-binary", flavour)
        if outcome(*arguments, backend=()) != "replaced" or saved(flavour, True) or "inet weir" not in run("nft", "list", "tables").stdout:
            wrong.append(f"{arguments}: iptables, then nft")
        if outcome(*arguments, "--force-iptables-binary", flavour) != "replaced" or "inet weir" in run("nft", "list", "tables").stdout:
            wrong.append(f"{arguments}: nft, then iptables")
    if outcome("--cleanup-only") != "removed" or saved(flavour, True) or routing():
        wrong.append("left behind")
    clean()
    return wrong


def test_failures_leave_what_was(flavour):
    """A tool that fails, in either family, at the trial or at the change: what was in force stays in force, exit 1."""
    clean()
    weir("-i", "10.0.0.0/8", "-b", "*", "--force-iptables-binary", flavour)
    before = saved(flavour, True)
    wrong = []
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for tool in TOOLS:
            for what, script in (("fails", "echo 'line 3 failed' >&2; exit 2"), ("dies", "kill -9 $$")):
                path = f"{folder}/{tool}-{flavour}-restore"
                with open(path, "w") as file:
                    file.write(f"#!/bin/sh\n{script}\n")
                os.chmod(path, 0o755)
                said = weir(*FULL, check=False, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
                words = "failed with status 2: line 3 failed" if what == "fails" else "was ended by signal 9"
                if said.returncode != 1 or f"{tool}-{flavour}-restore {words}" not in said.stderr:
                    wrong.append(f"{tool} {what}: {said.returncode} {said.stderr}")
                if saved(flavour, True) != before or routing():
                    wrong.append(f"{tool} {what}: changed to {saved(flavour, True)} {routing()}")
                os.unlink(path)
        said = run("env", f"PATH={folder}", os.path.abspath(f"{BUILD}/weir-init"), "-i", "*", "--backend", "iptables", check=False)
        if said.returncode != 1 or "there is no program" not in said.stderr:
            wrong.append(f"no iptables: {said.returncode} {said.stderr}")
    weir("--cleanup-only")
    return wrong


def test_a_lock_that_is_never_let_go(flavour):
    """The legacy flavour has a lock: the wait for it has an end, and nothing is changed. The other does without."""
    clean()
    with tempfile.NamedTemporaryFile(dir="/tmp") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = weir("-i", "*", "--force-iptables-binary", flavour, check=False, env={**os.environ, "XTABLES_LOCKFILE": lock.name})
    wrong = []
    if flavour == "legacy" and (said.returncode != 1 or "xtables lock" not in said.stderr or saved(flavour, True)):
        wrong.append(f"{said.returncode} {said.stderr} {saved(flavour, True)}")
    if flavour == "nft" and said.returncode != 0:
        wrong.append(f"{said.returncode} {said.stderr}")
    weir("--cleanup-only")
    return wrong


def test_killed_at_any_time(flavour):
    """Whenever it is killed, the outbound rules of either the old or the new settings are in force, and a rerun repairs."""
    clean()
    minds = (["-i", "*", "-b", "*"], ["-i", "10.0.0.0/8,2001:db8::/32", "-x", "10.1.0.0/16"])
    weir(*minds[0], "--force-iptables-binary", flavour)
    wrong = []
    for number in range(12):
        process = subprocess.Popen(harness.inside(NAMESPACE, f"{BUILD}/weir-init", *minds[1 - number % 2], "--backend", "iptables"),
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(0.004 * (number + 1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        rules = saved(flavour, True)
        for tool in TOOLS:
            hooks = [line for line in rules if line.startswith(f"{tool} -A OUTPUT") and line.endswith("WEIR_OUTBOUND")]
            captures = [line for line in rules if line.startswith(f"{tool} -A WEIR_OUTBOUND ") and "--to-ports 15001" in line]
            if len(hooks) != 1 or not captures:
                wrong.append(f"after {number}: {tool}: {rules}")
        weir(*minds[1 - number % 2])
        if (said := outcome(*minds[1 - number % 2], "--check")) != "the rules are as asked for":
            wrong.append(f"after {number}: {said}")
    weir("--cleanup-only")
    return wrong


def test_long_lists(flavour):
    clean()
    with tempfile.NamedTemporaryFile("w", dir="/tmp") as ranges:
        ranges.writelines(f"10.{i // 256}.{i % 256}.0/25\n" for i in range(5000))
        ranges.flush()
        arguments = ["-i", "*", "-x", f"@{ranges.name}", "--force-iptables-binary", flavour]
        environment = {**os.environ, "ISTIO_OUTBOUND_OWNER_GROUPS": ",".join(str(gid) for gid in range(2000, 2200, 2))}
        said = [outcome(*arguments, env=environment), outcome(*arguments, env=environment)]
    count = len(saved(flavour, True))
    weir("--cleanup-only")
    return [] if said == ["created", "unchanged"] and count > 5200 else [f"{said}, {count} lines"]


if __name__ == "__main__":
    tests = [(f"{title}, {flavour}", partial(test, flavour)) for title, test in harness.named_tests(globals()) for flavour in FLAVOURS]
    sys.exit(harness.main([NAMESPACE], tests, lambda: run("ip", "link", "set", "lo", "up")))
