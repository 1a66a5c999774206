#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Settings that change while the proxy runs: whatever they say, nobody's request fails for it, and what cannot be used
leaves the last good ones in force and is told with its file and line. TAP on stdout.
"""
import json
import os
import re
import shutil
import signal
import sys
import threading

import relay
from nameserver import Name
from policy_world import (DIALLED, HttpOrigin, World, echo, read_answer, refused_line, response, service_entry,
                          virtual_service)
from relay import DEADLINE, Origin, Proxy, connect, equal, receive, receive_all, wait_for

ADDRESS = "10.1.1.1"
HOST, OTHER = "origin.example", "other.example"
NAMES = {HOST: ADDRESS, OTHER: ADDRESS}


class Watched(World):
    """A world that hears what the proxy says on stderr while it runs."""

    def __init__(self, folder, mode="REGISTRY_ONLY", **more):
        arguments = ("--log-level", "info", *more.pop("arguments", ()))
        super().__init__(folder, mode, {**NAMES, **more.pop("names", {})}, arguments=arguments, **more)
        self.told = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.proxy.process.stderr:
            self.told.append(line.rstrip("\n"))

    def hear(self, pattern):
        return wait_for(f"{pattern!r} in {self.told}", lambda: [line for line in self.told if re.search(pattern, line)])[0]

    def __exit__(self, failure, *_):
        self.server.stop()
        if failure is None:
            self.proxy.process.send_signal(signal.SIGTERM)
            status = self.proxy.process.wait(DEADLINE)
            equal(f"status at the end, told {self.told}", status, 0)

    def status(self, host=HOST, path="/"):
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status

    def become(self, status, host=HOST):
        wait_for(f"{status} from {host}, was told {self.told}", lambda: self.status(host) == status)


def entries(count):
    return "\n---".join(service_entry(f"n{number}.example") for number in range(count))


def test_reloads_under_load(folder):
    """Ten a second, of resources and of mesh settings; each request is answered by the origin."""
    with Watched(folder, arguments=("--concurrency", "2"), origin=service_entry(HOST)) as world, \
            HttpOrigin(80, lambda _: response(b"fine")):
        over = threading.Event()

        def change():
            for number in range(1 << 30):
                world.apply("more", entries(number % 7 * 10) or "{}")
                world.apply("routes", virtual_service(HOST, f"  - timeout: {20 + number % 3}s\n"
                                                            f"    route: [{{destination: {{host: {HOST}}}}}]\n"))
                world.set_mesh("REGISTRY_ONLY" if number % 2 else "ALLOW_ANY", f"connectTimeout: {5 + number % 4}s")
                if number % 5 == 0:
                    world.apply("routes", "kind: [broken")
                if over.wait(0.1):
                    return
        thread = threading.Thread(target=change)
        thread.start()
        try:
            wrk = world.run("wrk", "-t1", "-c20", "-d6s", "-H", f"Host: {HOST}", f"http://{DIALLED}/", capture_output=True,
                            text=True)
        finally:
            over.set()
            thread.join()
        requests = re.search(r"(\d+) requests in", wrk.stdout)
        equal("wrk", (wrk.returncode, requests is not None and int(requests[1]) > 100, "Non-2xx" in wrk.stdout,
                      "Socket errors" in wrk.stdout), (0, True, False, False))
        reloads = len([line for line in world.told if "is in force" in line])
        equal("reloads", reloads >= 4, True)
        # All but those that wrk left at its end, and the connection without a byte that it begins with.
        bad = [line for line in world.raw_lines() if '" 200 - ' not in line and " DC " not in line and '"- - -" 0 ' not in line]
        equal("lines that are not of success", bad[:3], [])


def test_a_request_keeps_the_version_that_it_began_with(folder):
    """The entry is withdrawn while the origin thinks."""
    go = threading.Event()

    def think(request):
        go.wait()
        return echo(request)
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin(80, think) as origin, connect(DIALLED, 80) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        wait_for("the request", lambda: origin.requests)
        world.delete("origin")
        for number in range(3):
            world.hear(f"configuration {number + 2} is in force")
            world.apply("more", entries(number + 1))
        go.set()
        stream = sock.makefile("rb")
        equal("answer", read_answer(stream).status, 200)
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        equal("next on the same connection", read_answer(stream).status, 502)


def test_nothing_is_known_of_what_cannot_be_read(folder):
    """Not even what the request before it was: that one's version is gone."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin(), connect(DIALLED, 80) as sock:
        stream = sock.makefile("rb")
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        equal("answer", read_answer(stream).status, 200)
        world.delete("origin")
        world.hear("configuration 2 is in force")
        sock.sendall(b"no HTTP\r\n\r\n")
        equal("answer to what is none", read_answer(stream).status, 400)
        equal("line", world.lines(2)[1], refused_line())


def test_versions_change_under_waiting_requests(folder):
    """Their entry is gone before the name server has said a word."""
    answered = threading.Event()
    names = {"late.example": Name(ADDRESS, wait=answered)}
    with Watched(folder, names=names, late=service_entry("late.example")) as world, HttpOrigin():
        with connect(DIALLED, 80) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: late.example\r\n\r\n")
            wait_for("the question", lambda: world.server.count("late.example") > 0)
            world.delete("late")
            world.hear("configuration 2 is in force")
            answered.set()
            equal("answer", read_answer(sock.makefile("rb")).status, 200)


def test_a_config_map(folder):
    """As the kubelet does it: files are links into ..data, a link that is swapped."""
    with Watched(folder) as world, HttpOrigin():
        config = f"{folder}/config"

        def publish(name, **files):
            os.mkdir(f"{config}/..{name}")
            os.chmod(f"{config}/..{name}", 0o755)
            for file, text in files.items():
                with open(f"{config}/..{name}/{file}.yaml", "w", encoding="ascii") as out:
                    out.write(text)
                os.chmod(f"{config}/..{name}/{file}.yaml", 0o644)
                if not os.path.islink(f"{config}/{file}.yaml"):
                    os.symlink(f"..data/{file}.yaml", f"{config}/{file}.yaml")
            os.symlink(f"..{name}", f"{config}/..data_tmp")
            os.rename(f"{config}/..data_tmp", f"{config}/..data")
        publish("one", a=service_entry(HOST))
        world.become(200)
        equal("not yet", world.status(OTHER), 502)
        publish("two", a=service_entry(OTHER))
        world.become(200, OTHER)
        equal("withdrawn", world.status(), 502)
        publish("three", a=service_entry(OTHER), b=service_entry(HOST))
        world.become(200)
        publish("four", b=service_entry(HOST))
        world.become(502, OTHER)
        equal("stays", world.status(), 200)


def test_files_that_come_and_go(folder):
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        equal("at first", world.status(), 200)
        for _ in range(3):
            world.delete("origin")
            world.become(502)
            world.apply("origin", service_entry(HOST))
            world.become(200)
        os.rename(f"{folder}/config", f"{folder}/gone")
        world.hear(r"config: .*No such file or directory; the configuration stays as it was")
        equal("without the directory", world.status(), 200)
        os.rename(f"{folder}/gone", f"{folder}/config")
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)


def test_a_directory_that_is_a_link(folder):
    """As git-sync makes it: what it leads to changes, and what it led to is removed. And a folder that is made anew."""
    def publish(name, host):
        os.mkdir(f"{folder}/git/{name}")
        os.chmod(f"{folder}/git/{name}", 0o755)
        with open(f"{folder}/git/{name}/entry.yaml", "w", encoding="ascii") as file:
            file.write(service_entry(host))
        os.symlink(name, f"{folder}/git/new")
        os.rename(f"{folder}/git/new", f"{folder}/git/current")
    # Mesh settings are elsewhere: their folder says nothing of this one.
    os.mkdir(f"{folder}/git")
    os.mkdir(f"{folder}/world")
    for name in ("git", "world"):
        os.chmod(f"{folder}/{name}", 0o777)
    publish("one", HOST)
    with Watched(f"{folder}/world", arguments=("--config-dir", f"{folder}/git/current/")) as world, HttpOrigin():
        equal("at first", world.status(), 200)
        publish("two", OTHER)
        world.become(200, OTHER)
        equal("withdrawn", world.status(), 502)
        shutil.rmtree(f"{folder}/git/one")
        shutil.rmtree(f"{folder}/git/two")
        world.hear("the configuration stays as it was")
        equal("without it", world.status(OTHER), 200)
        publish("two", HOST)
        world.become(200)


def test_broken_files(folder):
    """What they said before holds, and what is wrong is told with file and line; the others go on."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        for broken, message in (("\n\nkind: [", r"origin\.yaml:\d+"),
                                (service_entry(HOST).replace("number: 80", "number: 99999"), r"origin\.yaml:\d+: .*port"),
                                (service_entry(HOST).replace("resolution: DNS", "resolution: MAGIC"), r"origin\.yaml:\d+: .*MAGIC"),
                                ("\x00\x01", r"origin\.yaml:?\d*")):
            world.told.clear()
            world.apply("origin", broken)
            world.hear(message)
            equal("answer", world.status(), 200)
            world.apply("other", service_entry(OTHER))
            world.become(200, OTHER)
            world.delete("other")
            world.become(502, OTHER)
        world.apply("origin", service_entry(OTHER))
        world.become(502)
        equal("repaired", world.status(OTHER), 200)


def test_two_of_one_name(folder):
    with Watched(folder, a=service_entry(HOST, name="twin")) as world, HttpOrigin():
        world.apply("b", service_entry(OTHER, name="twin"))
        world.hear(r"b\.yaml:\d+: .*twin is already in .*a\.yaml, line \d+, which holds")
        equal("answers", (world.status(), world.status(OTHER)), (200, 502))
        world.delete("a")
        world.become(200, OTHER)
        equal("the other", world.status(), 502)


def test_warnings_are_told_once_while_they_hold(folder):
    """Through reloads of other things; and again when what they are about was gone and came back."""
    routes = "  - route: [{destination: {host: origin.example}}]\n"
    tls = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: tls}}
spec: {{host: {HOST}, trafficPolicy: {{tls: {{mode: SIMPLE, caCertificates: {folder}/none.pem}}}}}}
"""
    with Watched(folder, origin=service_entry(HOST), tls=tls, a=virtual_service(HOST, routes, "first"),
                 b=virtual_service(HOST, routes, "second")) as world:
        def told():
            return [len([line for line in world.told if text in line]) for text in ("this one has no effect", "TLS towards")]

        def reload(number):
            world.apply("other", service_entry(f"n{number}.example"))
            world.hear(f"configuration {number} is in force")
        wait_for("the warnings", lambda: told() == [1, 1])
        for number in (2, 3, 4):
            reload(number)
            equal("told", told(), [1, 1])
        world.apply("c", virtual_service(HOST, routes, "third"))
        wait_for("one more", lambda: told() == [2, 1])
        world.delete("b")
        world.delete("tls")
        world.hear("configuration 6 is in force")
        world.set_mesh("ALLOW_ANY")
        world.hear("configuration 7 is in force")
        world.apply("b", virtual_service(HOST, routes, "second"))
        world.apply("tls", tls)
        wait_for("both once more", lambda: told()[0] >= 3 and told()[1] == 2)


def test_mesh_modes(folder):
    with Watched(folder, "ALLOW_ANY") as world, HttpOrigin():
        for mode, status in (("REGISTRY_ONLY", 502), ("AUDIT", 200), ("REGISTRY_ONLY", 502), ("ALLOW_ANY", 200)):
            world.set_mesh(mode)
            world.become(status, "unknown.example")


def test_bad_mesh_settings(folder):
    """The old ones stay, and resources are still reloaded."""
    with Watched(folder) as world, HttpOrigin():
        for number, broken in enumerate(("outboundTrafficPolicy: {mode: SOMETIMES}\n", "outboundTrafficPolicy: [\n",
                                         "accessLogFormat: '%NO_SUCH_OPERATOR%'\n", "connectTimeout: soon\n")):
            world.told.clear()
            world.write("../mesh.yaml", broken)
            world.hear(r"mesh\.yaml.*; the mesh settings stay as they were")
            equal(f"blocked under {broken!r}", world.status(), 502)
            world.apply(f"e{number}", service_entry(HOST))
            world.become(200)
            world.delete(f"e{number}")
            world.become(502)
            equal("told once", len([line for line in world.told if "mesh.yaml" in line]), 1)
        world.set_mesh("ALLOW_ANY")
        world.become(200)
        os.unlink(f"{folder}/mesh.yaml")
        world.hear(r"mesh\.yaml.*No such file")
        equal("without a file", world.status(), 200)


def test_mesh_settings_and_resources_change_together(folder):
    """Neither hides the other's change, whichever of them is wrong at first."""
    with Watched(folder) as world, HttpOrigin():
        os.rename(f"{folder}/config", f"{folder}/gone")
        world.hear("the configuration stays as it was")
        with open(f"{folder}/mesh.yaml", "w", encoding="ascii") as file:
            file.write("outboundTrafficPolicy: {mode: ALLOW_ANY}\n")
        world.status()
        wait_for("a look at it", lambda: world.status() in (200, 502))
        os.rename(f"{folder}/gone", f"{folder}/config")
        world.become(200)


def test_log_settings(folder):
    """Format, encoding and file."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        path = world.proxy.path

        def last():
            world.status()
            with open(path, encoding="ascii") as file:
                return (file.read().splitlines() or [""])[-1]
        world.set_mesh("REGISTRY_ONLY", "accessLogFormat: \"own %RESPONSE_CODE% %REQ(:AUTHORITY)%\\n\"")
        wait_for("the new format", lambda: last() == f"own 200 {HOST}")
        world.set_mesh("REGISTRY_ONLY", "accessLogEncoding: JSON")
        wait_for("JSON", lambda: last().startswith("{"))
        equal("a column", json.loads(last())["response_code"], 200)
        world.set_mesh("REGISTRY_ONLY")
        wait_for("the default", lambda: last().startswith("["))


def test_the_log_s_file(folder):
    """Where the option says so, the mesh settings do not."""
    logs = f"{folder}/logs"
    os.mkdir(logs)
    os.chmod(logs, 0o777)
    with Watched(folder, arguments=("--access-log", f"{logs}/first.log"), origin=service_entry(HOST)) as world, HttpOrigin():
        world.proxy.path = f"{logs}/first.log"
        world.set_mesh("REGISTRY_ONLY", f"accessLogFile: {logs}/second.log")
        world.hear("configuration 2 is in force")
        world.status()
        wait_for("a line where the option says", lambda: len(world.raw_lines()) > 0)
        equal("the option wins", os.path.exists(f"{logs}/second.log"), False)


def test_the_log_moves(folder):
    """To a file, to one in another folder, to nowhere, and back; each line is in the one place that was said."""
    for name in ("a", "b"):
        os.mkdir(f"{folder}/{name}")
        os.chmod(f"{folder}/{name}", 0o777)
    with Watched(folder, log_option=False, origin=service_entry(HOST)) as world, HttpOrigin():
        files = {"stdout": world.proxy.path, **{name: f"{folder}/{name}/access.log" for name in ("a", "b")}}

        def logged(mark):
            found = ["stderr"] * any(f" /{mark} " in line for line in world.told)
            for name, path in files.items():
                if os.path.exists(path):
                    with open(path, encoding="ascii") as file:
                        found += [name] * (f" /{mark} " in file.read())
            return found
        version = 1
        for number, (name, setting) in enumerate((("stdout", "/dev/stdout"), ("a", files["a"]), ("b", files["b"]), (None, "''"),
                                                  ("stderr", "/dev/stderr"), ("a", files["a"]), (None, "''"),
                                                  ("stdout", "/dev/stdout"))):
            # By the second message the log has moved: it does so behind the first.
            for timeout in (5, 6):
                world.set_mesh("REGISTRY_ONLY", f"accessLogFile: {setting}\nconnectTimeout: {timeout}s")
                version += 1
                world.hear(f"configuration {version} is in force")
            equal("status", world.status(path=f"/{number}"), 200)
            if name is not None:
                wait_for(f"a line in {name}", lambda number=number: logged(number))
            equal(setting, logged(number), [name] if name is not None else [])
        # What came while there was none stays unsaid.
        equal("afterwards", [logged(number) for number in (3, 6)], [[], []])
        world.set_mesh("REGISTRY_ONLY", f"accessLogFile: {folder}/none/access.log")
        world.hear("cannot open the access log .*/none/access.log, and go on with the old one: No such file")
        world.status(path="/last")
        wait_for("the old one", lambda: logged("last") == ["stdout"])


def test_timeouts(folder):
    """A server that speaks first is greeted when the detection's time is over, which may change."""
    with Watched(folder, "ALLOW_ANY", mesh="protocolDetectionTimeout: 60s") as world, \
            Origin(9000, lambda sock: sock.sendall(b"220 hello")):
        world.apply("tcp", service_entry("http.example", port=9000))
        world.hear("configuration 2 is in force")
        world.set_mesh("ALLOW_ANY", "protocolDetectionTimeout: 0.1s")
        world.hear("configuration 3 is in force")
        with connect(DIALLED, 9000) as sock:
            equal("greeting", receive(sock, 9), b"220 hello")


def echo_bytes(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def test_a_tighter_policy_ends_what_it_no_longer_allows(folder):
    """After some seconds, and not what it allows still; nor when it changes its mind in time."""
    kept = service_entry("tcp.example", port=9001, protocol="TCP", resolution="NONE", more="  addresses: [10.9.9.9/32]\n")
    with Watched(folder, "ALLOW_ANY") as world, Origin(9000, echo_bytes), Origin(9001, echo_bytes):
        with connect(DIALLED, 9000) as revoked, connect(DIALLED, 9001) as allowed:
            for sock in (revoked, allowed):
                sock.sendall(b"one")
                equal("echo", receive(sock, 3), b"one")
            world.apply("kept", kept)
            world.hear("configuration 2 is in force")
            world.set_mesh("REGISTRY_ONLY")
            world.hear("configuration 3 is in force")
            revoked.sendall(b"two")
            equal("within the grace", receive(revoked, 3), b"two")
            world.set_mesh("ALLOW_ANY")
            world.hear("configuration 4 is in force")
            world.set_mesh("REGISTRY_ONLY")
            world.hear("configuration 5 is in force")
            try:
                equal("end", receive_all(revoked), b"")
            except ConnectionResetError:
                pass
            allowed.sendall(b"three")
            equal("what is allowed", receive(allowed, 5), b"three")
            line = world.columns()
            equal("line", (line["termination"], line["rx"], line["tx"], line["cluster"]),
                  ("no_longer_allowed", "6", "6", "PassthroughCluster"))


def test_a_relay_goes_over_to_what_says_the_same(folder):
    """Of a connection that outlives many versions, the line is that of the last one."""
    entry = service_entry("tcp.example", port=9001, protocol="TCP", resolution="NONE", more="  addresses: [10.9.9.9/32]\n")
    with Watched(folder, tcp=entry) as world, Origin(9001, echo_bytes), connect(DIALLED, 9001) as sock:
        for number in range(2, 5):
            sock.sendall(b"one")
            equal("echo", receive(sock, 3), b"one")
            world.apply("more", entries(number))
            world.apply("tcp", f"# {number}\n{entry}")
            world.hear(f"configuration {number} is in force")
        sock.sendall(b"end")
        equal("echo", receive(sock, 3), b"end")
        sock.close()
        line = world.columns()
        equal("line", (line["rx"], line["tx"], line["cluster"]), ("12", "12", "outbound|9001||tcp.example"))


def test_a_start_with_bad_settings(folder):
    """Is refused, with what is wrong and where; bad resources alone are not a reason."""
    os.mkdir(f"{folder}/config")
    for text, message in (("outboundTrafficPolicy: {mode: SOMETIMES}\n", r"mesh\.yaml:1: .*SOMETIMES"), ("a: [\n", r"mesh\.yaml:\d+"),
                          ("accessLogFormat: '%WHAT%'\n", r"mesh\.yaml.*accessLogFormat.*WHAT")):
        with open(f"{folder}/mesh.yaml", "w", encoding="ascii") as file:
            file.write(text)
        proxy = Proxy(folder, "--mesh-config", f"{folder}/mesh.yaml", "--config-dir", f"{folder}/config", must_start=False)
        errors = proxy.process.communicate(timeout=DEADLINE)[1]
        equal(f"status and message: {errors}", (proxy.process.returncode, bool(re.search(message, errors))), (1, True))
    os.rmdir(f"{folder}/config")
    with Watched(folder, origin=service_entry(HOST), broken="kind: [") as world, HttpOrigin():
        equal("beside a bad resource", world.status(), 200)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
