#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The plugin as a runtime sees it: environment and stdin in, stdout and exit status out. Nothing of its code is known here.
TAP on stdout.
"""
import json
import os
import subprocess
import sys
import tempfile
from functools import partial

import harness
from harness import BUILD

NAMESPACE = harness.namespace_name("cni")
ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
TRAFFIC = "traffic.sidecar.istio.io/"
VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

# As containerd sends it, with what JSON can do to text.
PREV_RESULT = {"cniVersion": "1.0.0", "dns": {}, "interfaces": [{"mac": "1a:25:48:3b:7d:0f", "name": "br1"}],
               "ips": [{"address": "10.91.0.2/24", "gateway": "10.91.0.1", "interface": 2},
                       {"address": "fd91::2/64", "gateway": "fd91::1"}],
               "routes": [{"dst": "0.0.0.0/0"}], "x": ["\"q\" \\ / \n\t é \u2028 <&>", 1.5, 1e100, 9007199254740993,
                                                         -1, True, None, {"": []}]}


def netns(*command, **options):
    return harness.run(*harness.inside(NAMESPACE, *command), **options)


def config(annotations=None, version="1.0.0", prev=PREV_RESULT, **keys):
    document = {"cniVersion": version, "name": "pods", "type": "weir-cni", "logFile": "",
                "capabilities": {ANNOTATIONS: True}, **keys}
    if prev is not None:
        document["prevResult"] = prev
    if annotations is not None:
        document["runtimeConfig"] = {ANNOTATIONS: annotations}
    return document


class Answer:
    def __init__(self, process):
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr
        try:
            self.json = json.loads(self.out) if self.out else None
        except ValueError:
            self.json = None
        self.code = self.json.get("code", 0) if isinstance(self.json, dict) and self.status != 0 else 0
        self.msg = self.json.get("msg", "") if isinstance(self.json, dict) else ""


def call(verb, stdin, **environment):
    base = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "abc123", "CNI_NETNS": f"/run/netns/{NAMESPACE}",
            "CNI_IFNAME": "eth0", "CNI_PATH": BUILD,
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0;K8S_POD_UID=1"}
    base.update(environment)
    environment = {name: value for name, value in base.items() if value is not None}
    environment.update(harness.sanitizer_options())
    text = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
    return Answer(subprocess.run([f"{BUILD}/weir-cni"], input=text, env=environment, capture_output=True, check=False))


def table():
    tables = netns("nft", "list", "tables")
    return netns("nft", "list", "table", "inet", "weir") if "inet weir" in tables else ""


def clean():
    """What weir has added, and what tests have."""
    call("DEL", b"")
    netns("nft", "flush", "ruleset")


class Wrong(list):
    def expect(self, what, condition, seen=""):
        if not condition:
            self.append(f"{what}: {seen}")

    def code(self, what, answer, code, text=""):
        self.expect(f"{what}: expected code {code} {text!r}", answer.code == code and text in answer.msg and
                    answer.status == (1 if code else 0), f"status {answer.status}, {answer.out!r} {answer.err!r}")


ANNOTATED = {TRAFFIC + "includeOutboundIPRanges": "10.0.0.0/8", "kubernetes.io/config.source": "api"}


def test_life_of_a_pod_in_every_version(wrong):
    for version in VERSIONS:
        stdin = config(ANNOTATED, version)
        for _ in range(2):
            answer = call("ADD", stdin)
            wrong.expect(f"{version} ADD", answer.status == 0 and answer.json == PREV_RESULT, answer.out + answer.err)
        wrong.expect(f"{version} table", "10.0.0.0/8" in table() and '"weir: team-a/web-0"' in table(), table())
        answer = call("CHECK", stdin)
        if version < "0.4.0":
            wrong.code(f"{version} CHECK", answer, 1, "CHECK is not part of CNI " + version)
        else:
            wrong.expect(f"{version} CHECK", answer.status == 0 and answer.out == b"", answer.out)
        for verb in ("STATUS", "GC"):
            answer = call(verb, config(None, version, None), CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME=None)
            if version < "1.1.0":
                wrong.code(f"{version} {verb}", answer, 1)
            else:
                wrong.expect(f"{version} {verb}", answer.status == 0 and answer.out == b"", answer.out)
        for _ in range(2):
            answer = call("DEL", stdin)
            wrong.expect(f"{version} DEL", answer.status == 0 and answer.out == b"" and table() == "", answer.out)


def test_versions(wrong):
    for stdin, version in ((b"", "1.1.0"), (b'{"cniVersion":"0.4.0"}', "0.4.0"), (b"junk", "1.1.0")):
        answer = call("VERSION", stdin, CNI_CONTAINERID="dummy", CNI_NETNS="dummy", CNI_IFNAME="dummy")
        wrong.expect(f"VERSION {stdin}", answer.json == {"cniVersion": version, "supportedVersions": VERSIONS}, answer.out)
    for version in ("0.1.0", "0.2.0", "2.0.0", ""):
        wrong.code(f"ADD {version}", call("ADD", config(ANNOTATED, version)), 1)


def test_environment(wrong):
    answer = call("", config(), CNI_COMMAND=None)
    wrong.expect("no verb", answer.status == 0 and b"weir-cni" in answer.err and answer.out == b"", answer.out)
    wrong.code("unknown verb", call("FOO", config()), 4, 'CNI_COMMAND is "FOO"')
    wrong.code("all missing", call("ADD", config(), CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME=None), 4,
               "CNI_CONTAINERID CNI_NETNS CNI_IFNAME")
    wrong.code("one missing", call("CHECK", config(), CNI_NETNS=None), 4, "not set: CNI_NETNS")
    wrong.code("DEL needs its container", call("DEL", config(), CNI_CONTAINERID=None), 4, "CNI_CONTAINERID")
    for bad in ("-a", "a b", "a/b", "\u00e9"):
        wrong.code(f"container {bad}", call("ADD", config(), CNI_CONTAINERID=bad), 4, "CNI_CONTAINERID")
    for bad in ("a/b", "a:b", "a b", "..", "sixteen_bytes_xx"):
        wrong.code(f"interface {bad}", call("ADD", config(), CNI_IFNAME=bad), 4, "CNI_IFNAME")
    wrong.code("no pair", call("ADD", config(), CNI_ARGS="K8S_POD_NAME"), 4, '"K8S_POD_NAME"')
    wrong.code("two equals", call("ADD", config(), CNI_ARGS="A=b=c"), 4, '"A=b=c"')
    wrong.code("unknown", call("ADD", config(ANNOTATED), CNI_ARGS="K8S_POD_NAME=a;FOO=1"), 4, 'unknown key "FOO"')
    for args in ("FOO=1;IgnoreUnknown=1", "IgnoreUnknown=TRUE;FOO=1", "IP=10.0.0.1;MAC=x", "", "K8S_POD_NAME=a;"):
        wrong.code(f"args {args}", call("ADD", config(ANNOTATED), CNI_ARGS=args), 0)
    clean()


def test_stdin(wrong):
    for text, code, msg in (
            (b"", 6, "stdin"), (b"junk", 6, "not JSON"), (b"{", 6, "ends in the middle"), (b"[]", 6, "no JSON object"),
            (b"{} {}", 6, "not JSON"), (b'{"a":"\xff"}', 6, ""), ('{"é": '"'x'}".encode(), 6, "not JSON"),
            ('{"é": 1} # é'.encode(), 6, "not JSON"), ('{"é": 1} {}'.encode(), 6, "not JSON"), ('{"é": 1, }'.encode(), 6, "not JSON"), (b"[" * 10000, 6, ""),
            (json.dumps(config(ANNOTATED, name="-x")).encode(), 7, "key name"),
            (json.dumps(config(ANNOTATED, prev=None)).encode(), 7, "no prevResult"),
            (json.dumps(config(ANNOTATED, prev=[])).encode(), 7, "prevResult")):
        wrong.code(f"ADD {text[:30]}", call("ADD", text), code, msg)
    text = json.dumps(config({**ANNOTATED, "weird/é\u20ac\U0001f600": "é\u20ac"}), ensure_ascii=False).encode()
    answer = call("ADD", text)
    wrong.expect("letters as they are", answer.status == 0 and answer.json == PREV_RESULT, answer.out)
    call("DEL", text)
    wrong.code("CHECK without prevResult", call("CHECK", config(ANNOTATED, prev=None)), 7, "no prevResult")
    wrong.expect("nothing applied", table() == "", table())


def test_keys(wrong):
    for key, value, msg in (
            ("exludeNamespaces", [], 'unknown key "exludeNamespaces"; did you mean "excludeNamespaces"?'),
            ("xyzzy", 1, 'unknown key "xyzzy"'), ("capture", "some", '"annotated", "injected", "all"'),
            ("capture", 1, "key capture"), ("missingAnnotations", "fail", '"skip", "capture", "error"'),
            ("excludeNamespaces", "a", "an array of strings"), ("excludeNamespaces", [1], "an array of strings"),
            ("logFile", 1, "key logFile"), ("logLevel", "loud", '"debug", "info", "warn", "error"'),
            ("defaults", [], "an object of settings"), ("runtimeConfig", [], "runtimeConfig"),
            ("defaults", {"includeOutboundIPRange": "*"}, 'did you mean "includeOutboundIPRanges"?'),
            ("defaults", {"includeOutboundPorts": {}}, "key includeOutboundPorts"),
            ("includeOutboundIPRanges", "*", 'belongs into "defaults"'), ("proxyUid", 1, 'unknown key "proxyUid"; did you mean "proxyUID"?'),
            ("defaults", {"excludeOutboundPorts": "80,x"},
             'CNI configuration key excludeOutboundPorts, item 2, "x": not a decimal number'),
            ("proxyPort", 0, "the number is too small"), ("defaults", {"containment": "strict"}, "not built yet")):
        answer = call("ADD", {**config(ANNOTATED), key: value})
        wrong.code(f"{key}={value}", answer, 7, msg)
    wrong.code("twice", call("ADD", config(ANNOTATED, proxyUID=1, defaults={"proxyUID": 2})), 7, "given twice")
    wrong.expect("nothing applied", table() == "", table())
    passes = {"args": {}, "ipam": {}, "dns": {}, "ipMasq": True, "disableCheck": True, "disableGC": True,
              "cniVersions": ["1.0.0"], "loadOnlyInlinedPlugins": True, "cni.dev/valid-attachments": [], "a/b": 1}
    wrong.code("keys of others", call("ADD", config(ANNOTATED, **passes)), 0)
    clean()


def test_every_key_has_its_effect(wrong):
    netns("ip", "link", "set", "lo", "up")
    for keys, text in (
            ({"proxyUID": 77}, "elements = { 77 }"), ({"proxyUID": [77, "80-81"]}, "77, 80-81"),
            ({"proxyGID": "99"}, "elements = { 99 }"), ({"proxyPort": 15101}, ":15101"),
            ({"defaults": {"proxyPort": "15102"}}, ":15102"), ({"defaults": {"excludeOutboundPorts": [80, 443]}}, "80, 443"),
            ({"defaults": {"excludeOutboundIPRanges": "192.0.2.0/24"}}, "192.0.2.0/24"),
            ({"defaults": {"includeOutboundPorts": 8443}}, "8443"), ({"defaults": {"excludeInterfaces": "net1"}}, '"net1"'),
            ({"defaults": {"includeInboundPorts": "80-90"}}, "elements = { 80-90 }"), ({"defaults": {"dropInvalid": True}}, "ct state invalid"),
            ({"defaults": {"includeInboundPorts": "*", "excludeInboundPorts": 22}}, "elements = { 22 }"),
            ({"defaults": {"kubevirtInterfaces": "tap0"}}, '"tap0"'), ({"defaults": {"reroute-virtual-interfaces": ["a", "b"]}}, '"b"'),
            ({"defaults": {"dnsCapture": "true"}}, "DNS to any server"), ({"defaults": {"includeOwnerGroups": [7, 9]}}, "{ 7, 9 }"),
            ({"defaults": {"excludeOwnerGroups": "7-9"}}, "7-9"), ({"defaults": {"includeInboundPorts": "*"}, "inboundPort": 15106}, ":15106"),
            ({"defaults": {"includeInboundPorts": "*", "interceptionMode": "TPROXY"}, "tproxyMark": 77}, "mark set 0x0000004d"),
            ({"defaults": {"includeOutboundIPRanges": "127.0.0.0/8"}, "loopbackCIDR": "127.7.0.0/16"}, "127.7.0.0")):
        answer = call("ADD", config({"weir.dev/status": ""}, **keys))
        wrong.expect(f"{keys}", answer.status == 0 and text in table(), answer.out.decode() + table())
    with tempfile.NamedTemporaryFile("w", dir="/tmp") as ranges:
        ranges.write("198.51.100.0/24 # one\n203.0.113.0/24\n")
        ranges.flush()
        answer = call("ADD", config({"weir.dev/status": ""}, defaults={"includeOutboundIPRanges": "@" + ranges.name}))
        wrong.expect("a list file", answer.status == 0 and "198.51.100.0/24" in table(), answer.out)
        answer = call("ADD", config({TRAFFIC + "includeOutboundIPRanges": "@" + ranges.name}))
        wrong.code("a pod's list file", answer, 100, "a pod cannot make the host read a file")
    annotated = config({**ANNOTATED, TRAFFIC + "excludeOutboundPorts": "7"}, defaults={"excludeOutboundPorts": "80"})
    wrong.code("replaced, not merged", call("ADD", annotated), 0)
    wrong.expect("replaced, not merged", "elements = { 7 }" in table(), table())
    clean()


def test_which_pods(wrong):
    weir, istio = {"weir.dev/status": "x"}, {"sidecar.istio.io/status": ""}
    mode = {"sidecar.istio.io/interceptionMode": "NONE"}
    for title, document, captured in (
            ("annotated", config(ANNOTATED), True), ("not annotated", config({"a": "b"}), False),
            ("stamped by weir", config(weir), True), ("stamped by Istio", config(istio), True),
            ("injected only", config(ANNOTATED, capture="injected"), False),
            ("injected and stamped", config(weir, capture="injected"), True),
            ("all", config({}, capture="all"), True), ("all, none passed", config(None, capture="all"), True),
            ("all, but not there", config({}, capture="all", excludeNamespaces=["x", "team-a"]), False),
            ("excluded namespace", config(ANNOTATED, excludeNamespaces=["team-a"]), False),
            ("another namespace", config(ANNOTATED, excludeNamespaces=["team-b"]), True),
            ("inject false", config({**weir, "sidecar.istio.io/inject": "false"}), False),
            ("inject true", config({**weir, "sidecar.istio.io/inject": "true"}), True),
            ("all, inject false", config({"sidecar.istio.io/inject": "false"}, capture="all"), False),
            ("NONE", config({**weir, **mode}), False), ("all, NONE", config(mode, capture="all"), False),
            ("NONE by default", config(weir, defaults={"interceptionMode": "NONE"}), False),
            ("none passed", config(None), False),
            ("null passed", {**config(), "runtimeConfig": {ANNOTATIONS: None}}, False),
            ("none passed, capture", config(None, missingAnnotations="capture"), True),
            ("none passed, injected", config(None, missingAnnotations="capture", capture="injected"), True),
            ("none passed, excluded", config(None, missingAnnotations="error", excludeNamespaces=["team-a"]), False)):
        clean()
        answer = call("ADD", document)
        wrong.expect(title, answer.status == 0 and answer.json == PREV_RESULT and (table() != "") == captured,
                     answer.out.decode() + table())
    wrong.code("none passed, error", call("ADD", config(None, missingAnnotations="error")), 103)
    for missing in ("skip", "error"):
        wrong.code(f"CHECK, none passed, {missing}", call("CHECK", config(None, missingAnnotations=missing)), 103)
    wrong.code("CHECK of one that is not captured", call("CHECK", config({"a": "b"})), 0)
    clean()


def test_pods_of_istio(wrong):
    """Its stamp captures inbound; ports of its probes are excluded whatever the pod excludes, as by its own plugin."""
    istio = {"sidecar.istio.io/status": "{}"}
    for annotations, texts in (
            (istio, ["to the proxy: includeInboundPorts is *", "{ 15020-15021, 15090 }"]),
            ({**istio, TRAFFIC + "excludeInboundPorts": "3306"}, ["includeInboundPorts is *", "{ 3306, 15020-15021, 15090 }"]),
            ({**istio, TRAFFIC + "excludeInboundPorts": " "}, ["includeInboundPorts is *", "{ 15020-15021, 15090 }"]),
            ({**istio, TRAFFIC + "includeInboundPorts": "80"}, ['comment "to the proxy: includeInboundPorts"', "{ 80 }"]),
            ({**istio, TRAFFIC + "includeInboundPorts": ""}, ["includeOutboundIPRanges is *"]),
            ({"weir.dev/status": "", TRAFFIC + "includeInboundPorts": "*", TRAFFIC + "excludeInboundPorts": "3306"}, ["{ 3306 }"])):
        clean()
        answer = call("ADD", config(annotations))
        wrong.expect(f"{annotations}", answer.status == 0 and all(text in table() for text in texts), answer.out.decode() + table())
        wrong.expect(f"{annotations}", ("chain inbound" in table()) == (annotations.get(TRAFFIC + "includeInboundPorts") != ""), table())
        wrong.code(f"CHECK {annotations}", call("CHECK", config(annotations)), 0)
    bad = {**istio, TRAFFIC + "excludeInboundPorts": "80,x"}
    wrong.code("named by its place", call("ADD", config(bad)), 100, 'item 2, "x": not a decimal number')
    call("DEL", config(istio))


def routing():
    """What is in the namespace beside tables: rules and addresses that are not the kernel's, and their routes."""
    text = netns("ip", "rule") + netns("ip", "-6", "rule") + netns("ip", "-6", "address", "show", "dev", "lo")
    text += "".join(netns("ip", family, "route", "show", "table", "all") for family in ("-4", "-6"))
    return [line for line in text.splitlines() if "119" in line]


def test_tproxy(wrong):
    stdin = config({"sidecar.istio.io/status": "", "sidecar.istio.io/interceptionMode": "TPROXY"}, tproxyMark=77, tproxyRouteTable=99)
    netns("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    netns("ip", "link", "set", "lo", "down")
    wrong.code("lo is down", call("ADD", stdin), 102, "refused to add ip -6 route local default dev lo table 99: Network is down")
    wrong.expect("nothing is half applied", not routing() and table() == "", routing())
    netns("ip", "link", "set", "lo", "up")
    for _ in range(2):
        wrong.code("ADD", call("ADD", stdin), 0)
        wrong.expect("a rule and a route in each family", len(routing()) == 4 and
                     sum("0x4d lookup 99" in line for line in routing()) == 2, routing())
        wrong.code("CHECK", call("CHECK", stdin), 0)
    netns("ip", "-6", "address", "add", "2001:db8::7/128", "dev", "eth0")
    wrong.code("the pod has IPv6 now", call("CHECK", stdin), 104, "ip -6 address ::6/128 dev lo is missing")
    wrong.code("ADD", call("ADD", stdin), 0)
    wrong.expect("the address that Istio's proxy binds to", sum("::6/128" in line for line in routing()) == 1, routing())
    netns("ip", "rule", "delete", "fwmark", "77")
    wrong.code("a rule is gone", call("CHECK", stdin), 104, "ip -4 rule fwmark 77 lookup 99 is missing")
    wrong.code("ADD repairs", call("ADD", stdin), 0)
    wrong.code("CHECK", call("CHECK", stdin), 0)
    netns("ip", "rule", "add", "fwmark", "5", "lookup", "5", "protocol", "119")
    wrong.code("a stranger", call("CHECK", stdin), 104, "ip -4 rule fwmark 5 lookup 5 was added")
    wrong.code("redirected instead", call("ADD", config(ANNOTATED)), 0)
    wrong.expect("nothing is left", not routing(), routing())
    call("ADD", stdin)
    for _ in range(2):
        wrong.code("DEL", call("DEL", stdin), 0)
        wrong.expect("nothing is left", not routing() and table() == "", routing())
    netns("ip", "link", "delete", "eth0")


def test_bad_annotations(wrong):
    for name, text, msg in (
            ("includeOutboundIPRanges", "10.0.0.0/8, 10.0.0.0/33", 'item 2, "10.0.0.0/33": the prefix length is not'),
            ("excludeOutboundIPRanges", "*", '"*": not an IP address or CIDR'),
            ("includeOutboundPorts", "80,,81", "item 2 is empty"), ("excludeOutboundPorts", "65536", "too large"),
            ("excludeInterfaces", "sixteen_bytes_xx", "longer than 15 bytes"), ("excludeOutboundPorts", "8\u00000", "\\x00"),
            ("includeInboundPorts", "*,80", '"*" stands alone'), ("kubevirtInterfaces", "a b", "no interface name"), ("includeOutboundIPRanges", "x" * 262144, '"xxxx')):
        wrong.code(f"{name}={text[:30]}", call("ADD", config({TRAFFIC + name: text})), 100, f"annotation {TRAFFIC}{name}")
        wrong.code(f"{name}={text[:30]}", call("ADD", config({TRAFFIC + name: text})), 100, msg)
    wrong.expect("nothing applied", table() == "", table())
    many = ",".join(f"10.{i >> 8}.{i & 255}.0/24" for i in range(17000))
    answer = call("ADD", config({TRAFFIC + "includeOutboundIPRanges": many}))
    wrong.expect("a quarter of a mebibyte of ranges", answer.status == 0 and answer.json == PREV_RESULT, answer.out)
    clean()


def test_namespaces(wrong):
    stdin = config(ANNOTATED)
    for path, msg in (("/proc/self/ns/net", "host's own"), ("/nowhere", "No such file"),
                      ("/proc/self/ns/pid", "not a network namespace"), ("/dev/null", "not a network namespace")):
        wrong.code(f"ADD {path}", call("ADD", stdin, CNI_NETNS=path), 8, msg)
        wrong.code(f"DEL {path}", call("DEL", stdin, CNI_NETNS=path), 0)
    # Process 1's may not even be opened where the tests run in a sandbox.
    wrong.code("ADD to process 1", call("ADD", stdin, CNI_NETNS="/proc/1/ns/net"), 8)
    wrong.code("DEL without a namespace", call("DEL", stdin, CNI_NETNS=None), 0)
    wrong.code("a pod that is not captured needs none", call("ADD", config({}), CNI_NETNS="/nowhere"), 0)
    call("ADD", stdin)
    for text in (b"", b"junk", b"[]", json.dumps(config({TRAFFIC + "excludeOutboundPorts": "x"}, xyzzy=1)).encode()):
        call("ADD", stdin)
        answer = call("DEL", text)
        wrong.expect(f"DEL with {text[:20]}", answer.status == 0 and answer.out == b"" and table() == "", answer.out)


def test_drift(wrong):
    stdin = config({**ANNOTATED, TRAFFIC + "excludeOutboundPorts": "80"})
    answer = call("CHECK", stdin)
    wrong.expect("one difference, told once", answer.code == 104 and answer.msg == "weir: the table inet weir is missing" and
                 "details" not in answer.json, answer.out)
    call("ADD", stdin, CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAME=alone")
    wrong.expect("a pod without a namespace", 'comment "weir: alone"' in table(), table())
    call("DEL", stdin)
    call("ADD", stdin)
    netns("nft", "delete", "element", "inet", "weir", "excluded_ports", "{ 80 }")
    netns("nft", "add", "rule", "inet", "weir", "outbound", "accept")
    answer = call("CHECK", stdin)
    wrong.code("two tamperings", answer, 104, "set excluded_ports: 80 is missing")
    wrong.expect("details", "was added" in answer.json.get("details", ""), answer.out)
    wrong.code("other annotations", call("CHECK", config(ANNOTATED)), 104)
    wrong.code("ADD repairs", call("ADD", stdin), 0)
    wrong.code("ADD has repaired", call("CHECK", stdin), 0)
    clean()


def test_foreign_rules_stay(wrong):
    netns("nft", "add table ip other; add chain ip other c { type nat hook output priority -100; }; "
                 "add rule ip other c counter")
    before = netns("nft", "list", "ruleset")
    call("ADD", config(ANNOTATED))
    call("ADD", config({TRAFFIC + "includeOutboundPorts": "80"}))
    call("DEL", config(ANNOTATED))
    wrong.expect("byte-equal", netns("nft", "list", "ruleset") == before, netns("nft", "list", "ruleset"))
    clean()


def test_log(wrong):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = f"{folder}/weir-cni.log"
        wrong.code("ADD", call("ADD", config({**ANNOTATED, TRAFFIC + "excludeOutboundPort": "1"}, logFile=path)), 0)
        text = open(path).read()
        wrong.expect("lines", "info ADD abc123 team-a/web-0 captured, since it is annotated: rules created" in text and
                     f"warn ADD abc123 team-a/web-0 annotation {TRAFFIC}excludeOutboundPort is none" in text, text)
        wrong.code("ADD", call("ADD", config(ANNOTATED, logFile=path, logLevel="error")), 0)
        wrong.expect("level", open(path).read() == text, open(path).read())
        call("ADD", config({TRAFFIC + "excludeOutboundPorts": "1"}, capture="injected", logFile=path))
        wrong.expect("why not", "not captured, although it is annotated" in open(path).read(), open(path).read())
        os.truncate(path, 10 << 20)
        call("ADD", config(ANNOTATED, logFile=path))
        wrong.expect("rotated", os.path.getsize(path + ".1") == 10 << 20 and 0 < os.path.getsize(path) < 4096, "")
        os.mkfifo(f"{folder}/fifo")
        for bad in (f"{folder}/fifo", "/nowhere/log", "/dev/full", folder):
            answer = call("ADD", config(ANNOTATED, logFile=bad))
            wrong.expect(f"log {bad}", answer.status == 0 and answer.json == PREV_RESULT, answer.out)
    clean()


def test_twenty_at_once(wrong):
    stdin = json.dumps(config(ANNOTATED)).encode()
    environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "CNI_NETNS": f"/run/netns/{NAMESPACE}", "CNI_IFNAME": "eth0"}
    processes = [subprocess.Popen([f"{BUILD}/weir-cni"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=environment) for _ in range(20)]
    for process in processes:
        out, err = process.communicate(stdin)
        wrong.expect("ADD", process.returncode == 0 and json.loads(out) == PREV_RESULT, out + err)
    wrong.code("CHECK", call("CHECK", config(ANNOTATED)), 0)
    clean()


def collect(test):
    wrong = Wrong()
    test(wrong)
    return wrong


if __name__ == "__main__":
    sys.exit(harness.main([NAMESPACE], [(title, partial(collect, test)) for title, test in harness.named_tests(globals())]))
