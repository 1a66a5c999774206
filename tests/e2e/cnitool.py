#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
libcni drives weir-cni: cnitool 1.1.2 with specs 0.4.0 and 1.0.0, cnitool 1.3.0 with spec 1.1.0, STATUS and GC.

cnitool passes a pod's annotations by CAP_ARGS, as a runtime's own code does.
"""
import json
import os
import sys
from functools import partial

import harness
import node
from node import TOOLS, TRAFFIC, WORK, expect, expect_texts

POD = "pod"
POD_PATH = f"/run/netns/{POD}"
EXCLUDING = {TRAFFIC + "excludeOutboundIPRanges": node.EXCLUDED_RANGES, TRAFFIC + "excludeOutboundPorts": "5432"}

# Spec: (cnitool, the plugins that speak it).
SPECS = {
    "0.4.0": ("cnitool-1.1.2", node.DEBIAN_PLUGINS),
    "1.0.0": ("cnitool-1.1.2", node.DEBIAN_PLUGINS),
    "1.1.0": ("cnitool-1.3.0", f"{TOOLS}/plugins-1.6.2"),
}


def prepare():
    for number, (spec, (_, plugins)) in enumerate(SPECS.items(), 71):
        node.plugin_folder(f"bin-{spec}", plugins)
        node.write_conflist(f"{WORK}/net.d", f"net-{spec}", spec, number)


def call(spec, verb, annotations=EXCLUDING):
    """cnitool, as a user calls it on the node: (status, stdout, stderr)."""
    environment = {"PATH": os.environ["PATH"], "NETCONFPATH": f"{WORK}/net.d", "CNI_PATH": f"{WORK}/bin-{spec}",
                   "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0",
                   "CAP_ARGS": json.dumps({node.ANNOTATIONS: annotations})}
    return node.try_in_node(f"{TOOLS}/{SPECS[spec][0]}/cnitool", verb, f"net-{spec}", POD_PATH, env=environment)


def succeed(spec, verb, annotations=EXCLUDING):
    status, out, err = call(spec, verb, annotations)
    expect(f"{verb}: {out} {err}", status, 0)
    return out


def with_pod(spec, test):
    """Runs a test on a namespace that is as fresh as a pod's."""
    harness.run("ip", "netns", "add", POD)
    try:
        harness.run("ip", "-n", POD, "link", "set", "lo", "up")
        test(spec)
    finally:
        call(spec, "del")
        harness.remove_namespace(POD)


def add_check_del(spec):
    result = json.loads(succeed(spec, "add"))
    expect("the result's version", result["cniVersion"], spec)
    expect("the bridge's addresses pass through", len(result["ips"]), 2)
    expect_texts("table", node.table(POD_PATH), 'comment "weir: team-a/web-0"', "198.51.100.0/24", "2001:db8:ffff::/48")
    node.expect_ways(POD_PATH, "proxy", "origin")
    expect("an excluded port", node.who_answers(POD_PATH, node.INCLUDED[0], 5432), "origin")
    succeed(spec, "check")
    succeed(spec, "del")
    expect("the table after del", node.table(POD_PATH), "")
    succeed(spec, "del")


def check_after_tampering(spec):
    succeed(spec, "add")
    node.drop_rule(POD_PATH, "bypass: excludeOutboundIPRanges")
    status, _, err = call(spec, "check")
    expect("check's status", status, 1)
    expect_texts("check's words", err, 'chain outbound: rule 6 ("bypass: excludeOutboundIPRanges") is missing')
    succeed(spec, "del")


def bad_annotation(spec):
    status, _, err = call(spec, "add", node.BAD_ANNOTATION)
    expect("add's status", status, 1)
    expect_texts("add's words", err, *node.BAD_ANNOTATION_TEXTS)
    expect("the table", node.table(POD_PATH), "")
    succeed(spec, "del", node.BAD_ANNOTATION)


def not_annotated(spec):
    succeed(spec, "add", {"prometheus.io/scrape": "true"})
    expect("the table", node.table(POD_PATH), "")
    node.expect_ways(POD_PATH, "origin", "origin")
    succeed(spec, "del", {"prometheus.io/scrape": "true"})


def trace(spec):
    """Puts a script in weir-cni's place, which notes the verb and becomes weir-cni. Returns the path of the notes."""
    plugin, notes = f"{WORK}/bin-{spec}/weir-cni", f"{WORK}/verbs"
    os.rename(plugin, plugin + ".real")
    with open(plugin, "w") as out:
        out.write(f'#!/bin/sh\necho "$CNI_COMMAND" >>{notes}\nexec {plugin}.real\n')
    os.chmod(plugin, 0o755)
    return notes


def status_and_gc(spec):
    notes = trace(spec)
    succeed(spec, "status")
    succeed(spec, "add")
    # cnitool names no attachment that is to stay: each one that is remembered is ended by a DEL, before the GC itself.
    succeed(spec, "gc")
    expect("the table after gc", node.table(POD_PATH), "")
    succeed(spec, "gc")
    expect("what weir-cni was called for", open(notes).read().split(), ["STATUS", "ADD", "DEL", "GC", "GC"])


def status_of_a_wrong_configuration(spec):
    node.write_conflist(f"{WORK}/net.d", f"net-{spec}", spec, 79, exludeNamespaces=["kube-system"])
    status, _, err = call(spec, "status")
    expect("status", status, 1)
    expect_texts("status's words", err, 'unknown key "exludeNamespaces"; did you mean "excludeNamespaces"?')


def tests():
    for spec in SPECS:
        for test in (add_check_del, check_after_tampering, bad_annotation, not_annotated):
            yield f"{spec}: {test.__name__}", partial(with_pod, spec, test)
    for test in (status_and_gc, status_of_a_wrong_configuration):
        yield f"1.1.0: {test.__name__}", partial(with_pod, "1.1.0", test)


if __name__ == "__main__":
    sys.exit(node.main(list(tests()), prepare))
