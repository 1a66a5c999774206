#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Nobody can tell the relay from a direct connection: random scripts of segments, pauses, half-closes and resets, played by
both ends on a connection through the proxy and on one past it, in both families (tests/netns/play does that, and says
what TCP determines). Each connection through the proxy leaves exactly one line, which says what happened to it.

WEIR_SEED repeats a run, WEIR_PLAYS changes its length. TAP on stdout.
"""
import os
import random
import subprocess
import sys

import harness
import relay
from harness import BUILD, run
from relay import OUTSIDE, POD, Proxy, equal

SEED = int(os.environ.get("WEIR_SEED", random.randrange(1 << 31)))
PLAYS = int(os.environ.get("WEIR_PLAYS", 2000))
# So many scripts have every ending many times.
PLAYS_FOR_ALL = 200
PROBLEMS_SHOWN = 10


def play(folder, first, *arguments):
    """Plays the scripts from number `first` on; returns the program's words by their first one, and the proxy's lines."""
    run(*harness.inside(POD, f"{BUILD}/weir-init", "-i", "*", "-o", "9001"))
    proxy = Proxy(folder, *arguments)
    result = subprocess.run([f"{BUILD}/tests/netns/play/play", POD, OUTSIDE, str(SEED), str(first), str(PLAYS)], text=True,
                            capture_output=True, check=False)
    told = {"wrong": [], "line": [], "ending": []}
    for text in result.stdout.splitlines():
        told[text.split()[0]].append(text.partition(" ")[2])
    if result.returncode != 0:
        told["wrong"].append(f"play ended with {result.returncode}: {result.stderr}")
    return told, proxy.stop()


def line_problems(expected, lines):
    """One line for each connection, which says what it must."""
    problems = [f"no line of the format: {line}" for line in lines if isinstance(line, str)]
    seen = {}
    for line in lines:
        if not isinstance(line, str):
            seen.setdefault((line["src"], line["dst"]), []).append(line)
    for text in expected:
        source, destination, rx_low, rx_high, tx_low, tx_high, flags, host, server_name = text.split()
        of_it = seen.pop((source, destination), [])
        if len(of_it) != 1:
            problems.append(f"{source} to {destination} has {len(of_it)} lines")
            continue
        line = of_it[0]
        if not (int(rx_low) <= int(line["rx"]) <= int(rx_high) and int(tx_low) <= int(line["tx"]) <= int(tx_high)
                and line["flags"] in flags.split("|") and line["host"] in host.split("|")
                and line["sni"] in server_name.split("|")):
            problems.append(f"expected {text}: {line[0]}")
    return problems + [f"a line of nobody's: {line[0]}" for of_it in seen.values() for line in of_it]


def check(told, lines):
    problems = told["wrong"] + line_problems(told["line"], lines)
    if problems:
        return [f"{len(problems)} problems; repeat with WEIR_SEED={SEED} WEIR_PLAYS={PLAYS}", *problems[:PROBLEMS_SHOWN]]
    equal("connections through the proxy", len(told["line"]), PLAYS)
    missing = [ending for ending in told["ending"] if ending.endswith(" 0")]
    return [f"never played: {missing}"] if missing and PLAYS >= PLAYS_FOR_ALL else []


def test_one_worker(folder):
    return check(*play(folder, 0))


def test_two_workers(folder):
    return check(*play(folder, PLAYS, "--concurrency", "2"))


if __name__ == "__main__":
    print(f"# seed {SEED}, {PLAYS} scripts")
    sys.exit(relay.main(globals()))
