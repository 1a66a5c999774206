#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Whose pod a policy is for: exportTo, namespaces, Sidecars and their selectors, the pod's labels, and subsets of a host. And
what is read of a folder, however it is written. TAP on stdout.
"""
import json
import os
import sys

import relay
from policy_world import DIALLED, HttpOrigin, World, make_folder, service_entry, virtual_service
from relay import equal, wait_for

ADDRESS = "10.1.1.1"


def resource(kind, name, spec, namespace="default"):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def entry(host, namespace="default", export=None, **more):
    spec = {"hosts": [host], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC",
            "endpoints": [{"address": ADDRESS}], **more}
    if export is not None:
        spec["exportTo"] = export
    return resource("ServiceEntry", host, json.dumps(spec), namespace)


def reached(world, *hosts):
    """Those that are declared for this pod."""
    found = []
    for host in hosts:
        status = world.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status
        equal(f"the cluster of {host}", world.columns()["cluster"].endswith(f"||{host}"), status == 200)
        found += [host] * (status == 200)
    return found


EXPORTS = {"all.example": None, "own.example": ["."], "named.example": ["default", "third"], "third.example": ["third"],
           "nobody.example": ["~"], "everybody.example": ["*"]}


def test_what_other_namespaces_export(folder):
    entries = "".join(entry(host, "other", export) for host, export in EXPORTS.items())
    for namespace, expected in (("default", ["all.example", "named.example", "everybody.example"]),
                                ("other", ["all.example", "own.example", "everybody.example"]),
                                ("third", ["all.example", "named.example", "third.example", "everybody.example"])):
        arguments = ("--namespace", namespace)
        with World(make_folder(folder, namespace), entries=entries, arguments=arguments) as world, HttpOrigin():
            equal(namespace, reached(world, *EXPORTS), expected)


def test_a_document_without_a_namespace_is_of_the_pod_s(folder):
    """As kubectl -n puts it there."""
    text = entry("own.example", export=["."]).replace(", namespace: default", "")
    with World(folder, entries=text, arguments=("--namespace", "team-a")) as world, HttpOrigin():
        equal("reached", reached(world, "own.example"), ["own.example"])


ENTRIES = entry("here.example") + entry("also.example") + entry("there.example", "other") + entry("far.example", "far")
HOSTS = ("here.example", "also.example", "there.example", "far.example")


def test_what_a_sidecar_imports(folder):
    with World(folder, entries=ENTRIES) as world, HttpOrigin():
        equal("without one", reached(world, *HOSTS), list(HOSTS))
        for number, (hosts, expected) in enumerate(((["./*"], HOSTS[:2]), (["other/*"], HOSTS[2:3]), (["*/*"], HOSTS),
                                                    (["./here.example", "far/*.example"], (HOSTS[0], HOSTS[3])), (["~/*"], ()),
                                                    (["*/there.example"], HOSTS[2:3]))):
            mark = f"mark-{number}.example"
            world.apply("sidecar", resource("Sidecar", "own", json.dumps({"egress": [{"hosts": [*hosts, f"*/{mark}"]}]})))
            world.apply("mark", entry(mark))
            world.until("the mark", lambda: world.ask(f"GET / HTTP/1.1\r\nHost: {mark}\r\n\r\n".encode()).status == 200)
            equal(str(hosts), reached(world, *HOSTS), list(expected))


def test_a_sidecar_s_ports(folder):
    """One egress for a port, and one for all others."""
    egress = [{"port": {"number": 80, "protocol": "HTTP", "name": "http"}, "hosts": ["./here.example"]},
              {"hosts": ["./also.example"]}]
    both = ENTRIES.replace('"ports": [', '"ports": [{"number": 8080, "name": "alt", "protocol": "HTTP"}, ')
    with World(folder, entries=both + resource("Sidecar", "own", json.dumps({"egress": egress}))) as world, \
            HttpOrigin(), HttpOrigin(8080):
        for port, expected in ((80, "here.example"), (8080, "also.example")):
            for host in HOSTS[:2]:
                answer = world.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), port=port)
                equal(f"{host}, port {port}", answer.status, 200 if host == expected else 502)


def mode_is(world, blocks):
    """Of hosts that nobody declares; the line says which."""
    equal("status", world.ask(b"GET / HTTP/1.1\r\nHost: no.example\r\n\r\n").status, 502 if blocks else 200)
    equal("route", world.columns()["route"], "block_all" if blocks else "allow_any")


def test_which_sidecar_is_the_pod_s(folder):
    """One that selects it by labels, else its namespace's, else the root's, else the mesh's settings."""
    def policy(mode):
        return "{}" if mode is None else f"{{mode: {mode}}}"

    def sidecar(name, mode, namespace="default", selector=""):
        return resource("Sidecar", name, f"{{{selector}outboundTrafficPolicy: {policy(mode)}}}", namespace)
    root = sidecar("root", "REGISTRY_ONLY", "istio-system")
    own = sidecar("own", "ALLOW_ANY")
    selected = sidecar("web", "REGISTRY_ONLY", selector="workloadSelector: {labels: {app: web}}, ")
    others = sidecar("db", "REGISTRY_ONLY", selector="workloadSelector: {labels: {app: db}}, ") + sidecar("else", None, "other")
    with open(f"{folder}/labels", "w", encoding="ascii") as file:
        file.write('app="web"\nversion="v1"\n')
    for number, (text, blocks) in enumerate(((others, False), (others + root, True), (others + root + own, False),
                                             (others + root + own + selected, True), (sidecar("own", None), True))):
        with World(make_folder(folder, str(number)), "ALLOW_ANY", here=entry("here.example") + text,
                   arguments=("--pod-labels", f"{folder}/labels")) as world, HttpOrigin():
            mode_is(world, blocks)


def test_subsets(folder):
    """Endpoints by their labels; the cluster's name tells."""
    endpoints = [{"address": f"10.4.4.{number}", "labels": {"version": f"v{number}"}} for number in (1, 2)]
    subsets = [{"name": f"v{number}", "labels": {"version": f"v{number}"}} for number in (1, 2, 3)]
    rule = {"host": "many.example", "subsets": subsets}
    routes = virtual_service("many.example", "".join(
        f"  - match: [{{uri: {{prefix: /{number}}}}}]\n    route: [{{destination: {{host: many.example, subset: v{number}}}}}]\n"
        for number in (1, 2, 3, 4)))
    with World(folder, many=entry("many.example", endpoints=endpoints), routes=routes,
               rule=resource("DestinationRule", "many", json.dumps(rule))) as world, HttpOrigin():
        for number, status, upstream in ((1, 200, "10.4.4.1:80"), (2, 200, "10.4.4.2:80"), (1, 200, "10.4.4.1:80"),
                                         (3, 503, "-")):
            answer = world.ask(f"GET /{number} HTTP/1.1\r\nHost: many.example\r\n\r\n".encode())
            equal(f"v{number}", answer.status, status)
            equal("line", world.columns().group("cluster", "upstream"), (f"outbound|80|v{number}|many.example", upstream))
        # A subset that nobody declares.
        equal("v4", world.ask(b"GET /4 HTTP/1.1\r\nHost: many.example\r\n\r\n").status, 503)
        equal("line", world.columns().group("cluster", "flags", "details"), ("-", "NC", "cluster_not_found"))


# --- files

def listed(kind, *hosts):
    items = [json.loads(entry(host).split("spec: ")[1]) for host in hosts]
    return json.dumps({"apiVersion": "v1", "kind": kind, "items": [
        {"apiVersion": "networking.istio.io/v1beta1", "kind": "ServiceEntry", "metadata": {"name": item["hosts"][0]}, "spec": item}
        for item in items]})


def test_how_files_may_be_written(folder):
    plain = service_entry("{}", resolution="STATIC", more="  endpoints: [{address: 10.1.1.1}]\n").lstrip()

    def text(host):
        return plain.replace("{}", host)
    read = {
        "crlf.yaml": text("crlf.example").replace("\n", "\r\n"), "mark.yaml": "\ufeff" + text("mark.example"),
        "end.yml": text("end.example"), "list.json": listed("List", "list-1.example", "list-2.example"),
        "own-list.yaml": listed("ServiceEntryList", "own-list.example"),
        "tabs.json": json.dumps(json.loads(listed("List", "tabs.example")), indent="\t"),
        "many.yaml": "---\n# first\n---\n" + text("many-1.example") + "...\n---\n" + text("many-2.example") + "---\n",
        "anchor.yaml": text("anchor.example").replace("ports: ", "ports: &p ") + "---\n" + text("second.example"),
        "alpha.yaml": text("alpha.example").replace("istio.io/v1", "istio.io/v1alpha3"),
        "beside.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {}\n---\n" + text("beside.example"),
    }
    ignored = {".hidden.yaml": "hidden.example", "copy.yaml~": "copy.example", "#auto.yaml#": "auto.example",
               "swap.yaml.swp": "swap.example", "old.yaml.bak": "old.example", "none": "none.example"}
    hosts = ["crlf", "mark", "end", "list-1", "list-2", "own-list", "tabs", "many-1", "many-2", "anchor", "second", "alpha",
             "beside"]
    with World(folder) as world, HttpOrigin():
        for name, content in {**read, **{name: text(host) for name, host in ignored.items()}}.items():
            world.write(name, content)
        os.mkdir(f"{folder}/config/folder.d")
        world.write("zz-last.yaml", text("last.example"))
        world.until("the last", lambda: world.ask(b"GET / HTTP/1.1\r\nHost: last.example\r\n\r\n").status == 200)
        hosts = [f"{host}.example" for host in hosts]
        equal("read", reached(world, *hosts), hosts)
        equal("and not", reached(world, *ignored.values()), [])


def test_ten_thousand_documents_in_a_file(folder):
    entries = "\n---".join(service_entry(f"n{number}.example", resolution="STATIC") for number in range(10000))
    with World(folder, many=entries) as world:
        for number in (0, 5000, 9999):
            equal(f"{number}", world.ask(f"GET / HTTP/1.1\r\nHost: n{number}.example\r\n\r\n".encode()).status, 503)
            line = world.columns()
            equal("line", line.group("cluster", "flags", "dst"), (f"outbound|80||n{number}.example", "UH", f"{DIALLED}:80"))
        world.apply("more", service_entry("more.example", resolution="STATIC"))
        wait_for("one more", lambda: world.ask(b"GET / HTTP/1.1\r\nHost: more.example\r\n\r\n").status == 503)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
