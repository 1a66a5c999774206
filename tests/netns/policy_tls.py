#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
TLS that the proxy begins: whose certificate is checked, for which connection, and what a reload changes. Handshakes that
fail are in origin_faults.py. TAP on stdout.
"""
import os
import sys
import tempfile

import relay
from policy import hello_with_ech
from policy_world import DIALLED, TlsOrigin, World, make_folder, service_entry
from relay import Origin, equal, receive_all

ADDRESS = "10.1.1.1"
HOST = "secure.example"


def get(host=HOST):
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def entry(host=HOST, resolution="DNS"):
    return service_entry(host, resolution=resolution).replace("protocol: HTTP}", "protocol: HTTP, targetPort: 443}")


def originate(settings, host=HOST, name="tls"):
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: "{host}", trafficPolicy: {{tls: {{{settings}}}}}}}
"""


def status_of(world, host=HOST):
    answer = world.ask(get(host))
    equal("whose line", world.columns().group("status", "authority"), (str(answer.status), host))
    return answer.status


def reload(world, number, **files):
    """Waits until they are in force, without a request to a host that they are about."""
    mark = f"mark-{number}.example"
    for name, text in {**files, "mark": service_entry(mark, resolution="STATIC")}.items():
        world.apply(name, text)
    world.until("the mark", lambda: world.ask(get(mark)).status == 503)


def test_a_wildcard_s_connections_are_each_of_one_name(folder):
    """Two hosts at one address: what was proved for the one says nothing of the other."""
    with TlsOrigin(folder, "a.wild.example") as tls, \
            World(folder, wild=entry("*.wild.example", "NONE"),
                  tls=originate(f"mode: SIMPLE, caCertificates: {tls.certificate}", "*.wild.example")) as world:
        for host, status in (("a.wild.example", 200), ("b.wild.example", 503), ("A.wild.example.:80", 200),
                             ("b.wild.example", 503)):
            equal(host, world.ask(get(host)).status, status)
            line = world.columns()
            equal("upstream", line["upstream"], f"{DIALLED}:443")
            equal("failure", line["failure"] != "-", status == 503)


def test_a_stricter_check_is_for_kept_connections_too(folder):
    """A request after the reload does not go over a connection that was made by laxer settings, or in the clear."""
    with TlsOrigin(folder, "other.example") as tls, \
            World(folder, names={HOST: ADDRESS}, entry=entry(), tls=originate("mode: SIMPLE, insecureSkipVerify: true")) as world:
        trusted = f"mode: SIMPLE, caCertificates: {tls.certificate}"
        equal("unchecked", status_of(world), 200)
        for number, (settings, status) in enumerate((
                (trusted, 503), (f"{trusted}, subjectAltNames: [other.example]", 200),
                (f"{trusted}, subjectAltNames: [third.example]", 503), ("mode: DISABLE", 400), ("mode: MUTUAL", 503),
                (f"{trusted}, subjectAltNames: [other.example]", 200))):
            reload(world, number, tls=originate(settings))
            equal(settings, status_of(world), status)


def test_nothing_leaves_in_the_clear(folder):
    """What TLS is asked for, and is not begun for, is refused."""
    http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    own = "  addresses: [{address}]\n"
    entries = {}
    for number, protocol in enumerate(("TCP", "GRPC", "HTTP", "TLS"), 1):
        name = f"{protocol.lower()}.example"
        entries[f"entry{number}"] = service_entry(name, 9000 + number, protocol, "NONE", own.format(address=f"10.5.0.{number}"))
        entries[f"rule{number}"] = originate("mode: SIMPLE, insecureSkipVerify: true", name, f"tls-{number}")
    seen = []
    with World(folder, **entries) as world:
        for number, data in ((1, b"\0secret"), (2, http2), (3, http2)):
            cluster = ("tcp", "grpc", "http")[number - 1]
            with Origin(9000 + number, lambda sock: seen.append(sock.recv(100))):
                world.expect_refused(data, f"10.5.0.{number}", 9000 + number)
            equal("line", world.columns().group("flags", "termination", "cluster", "upstream"),
                  ("UF,URX", "cleartext_refused", f"outbound|{9000 + number}||{cluster}.example", "-"))
        equal("seen", seen, [])
        with Origin(9003, lambda sock: seen.append(sock.recv(100))):
            world.ask(get("http.example"), "10.5.0.3", 9003)
        equal("a request", {data[:2] for data in seen}, {b"\x16\x03"})
        world.columns()
        # TLS of the client's own passes, and is not encrypted once more.
        hello = hello_with_ech("tls.example")
        with Origin(9004, lambda sock: sock.sendall(receive_all(sock))):
            equal("TLS", world.send(hello, "10.5.0.4", 9004), hello)


def test_what_cannot_be_done_sends_nothing(folder):
    """Not in the clear either."""
    for number, settings in enumerate(("mode: MUTUAL, clientCertificate: /c, privateKey: /k", "mode: SIMPLE, credentialName: c",
                                       "mode: SIMPLE, caCrl: /crl, insecureSkipVerify: true")):
        seen = []
        with World(make_folder(folder, str(number)), names={HOST: ADDRESS}, entry=entry(), tls=originate(settings)) as world, \
                Origin(443, lambda sock, seen=seen: seen.append(sock.recv(100))):
            equal(settings, status_of(world), 503)
        equal("seen", [data for data in seen if data], [])


def test_authorities_are_read_again(folder):
    """From where they were, whatever else changes: a reload is no reason to lose them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as elsewhere:
        os.chmod(elsewhere, 0o755)
        with TlsOrigin(elsewhere, HOST) as tls, \
                World(folder, names={HOST: ADDRESS}, entry=entry(),
                      tls=originate(f"mode: SIMPLE, caCertificates: {tls.certificate}")) as world:
            equal("at first", status_of(world), 200)
            # Another name to check, so that no kept connection will do.
            reload(world, 0, tls=originate(f"mode: SIMPLE, caCertificates: {tls.certificate}, subjectAltNames: [{HOST}]"))
            equal("after a reload", status_of(world), 200)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
