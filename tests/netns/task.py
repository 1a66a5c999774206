#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The task "Accessing External Services" of Istio's documentation, step by step, as its reader does it: the commands, what
they give, and the line in the proxy's log. One proxy lives through all of it; names come from a name server, to the
application as to the proxy. TAP on stdout.
"""
import json
import os
import re
import subprocess
import sys
import time

import harness
import relay
from harness import BUILD
from policy_world import (HttpOrigin, TlsOrigin, World, blocked_line, http_line, split_answer, tcp_line)
from relay import DEADLINE, OUTSIDE, POD, equal, wait_for

NAMES = {"www.google.com": "10.2.0.1", "edition.cnn.com": "10.2.0.2", "httpbin.org": "10.1.0.1"}

# As the task has them.
ENTRY_HTTP = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: httpbin-ext
spec:
  hosts:
  - httpbin.org
  ports:
  - number: 80
    name: http
    protocol: HTTP
  resolution: DNS
  location: MESH_EXTERNAL
"""
ENTRY_HTTPS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: google
spec:
  hosts:
  - www.google.com
  ports:
  - number: 443
    name: https
    protocol: HTTPS
  resolution: DNS
  location: MESH_EXTERNAL
"""
VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: httpbin-ext
spec:
  hosts:
  - httpbin.org
  http:
  - timeout: 3s
    route:
    - destination:
        host: httpbin.org
      weight: 100
"""
HTTP_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: httpbin-ext
spec:
  parentRefs:
  - kind: ServiceEntry
    group: networking.istio.io
    name: httpbin-ext
  hostnames:
  - httpbin.org
  rules:
  - timeouts:
      request: 3s
    backendRefs:
    - kind: Hostname
      group: networking.istio.io
      name: httpbin.org
      port: 80
"""


def httpbin(request):
    """Two of its pages: /headers as JSON, with names as httpbin writes them, and /delay/N."""
    if request.path.startswith("/delay/"):
        time.sleep(int(request.path.removeprefix("/delay/")))
    body = json.dumps({"headers": {line.partition(": ")[0].title(): line.partition(": ")[2] for line in request.lines[1:]}})
    return (f"HTTP/1.1 200 OK\r\nServer: gunicorn/19.9.0\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


class Task(World):
    """The reader's own machine: curl resolves names as an application does, by the file that tells the name server."""

    def __init__(self, folder):
        # The default: nobody has set a mode.
        super().__init__(folder, mode=None, names=NAMES)
        self.tls = TlsOrigin(folder, "www.google.com", "edition.cnn.com")
        self.httpbin = HttpOrigin(80, httpbin)

    def __exit__(self, *failure):
        self.tls.__exit__()
        self.httpbin.__exit__()
        super().__exit__(*failure)

    def app(self, *arguments):
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        result = subprocess.run(
            harness.inside(POD, "unshare", "--mount", "sh", "-c", script, f"{self.folder}/resolv.conf", "curl", "-sS", "-i",
                           "-A", "curl", "--cacert", self.tls.certificate, *arguments),
            capture_output=True, check=False, timeout=3 * DEADLINE)
        answer = split_answer(result.stdout)
        answer.exit, answer.errors = result.returncode, result.stderr.decode()
        return answer

    def set_mode(self, mode, probe="http://edition.cnn.com/mode"):
        """Waits as the task says, for a request to come out as it must then."""
        self.set_mesh(mode)
        status = {"ALLOW_ANY": 200, "REGISTRY_ONLY": 502}[mode]
        self.until(mode, lambda: self.app(probe).status == status)


def tls_line(name, **columns):
    return tcp_line(sni=name, dst=f"{NAMES[name]}:443", rx="N", tx="N", **columns)


def expect_bytes(task, line):
    """Bytes went both ways; how many is between the two ends, and counted elsewhere."""
    seen = re.sub(r'^((?:[^"]*"[^"]*"){2}) [1-9]\d* [1-9]\d* ', r"\1 N N ", task.lines(1)[0])
    equal("line", seen, line)


def expect_http2(task, name, cluster):
    answer = task.app("-I", f"https://{name}")
    equal(name, (answer.exit, answer.headers[0].strip()), (0, "HTTP/2 200"))
    expect_bytes(task, tls_line(name, upstream=f"{NAMES[name]}:443", cluster=cluster, local="LOCAL"))


def step_pass_through(task):
    for name in ("www.google.com", "edition.cnn.com"):
        expect_http2(task, name, "PassthroughCluster")
    answer = task.app("http://httpbin.org/headers")
    equal("httpbin.org", (answer.exit, answer.status), (0, 200))
    equal("headers", json.loads(answer.body)["headers"], {"Host": "httpbin.org", "User-Agent": "curl", "Accept": "*/*"})
    # No HTTP is declared on the port, so the connection is passed on as it is; the log knows what it was for.
    expect_bytes(task, tcp_line(request="GET /headers HTTP/1.1", rx="N", tx="N", authority="httpbin.org",
                                upstream="10.1.0.1:80", cluster="PassthroughCluster", local="LOCAL", dst="10.1.0.1:80"))


def expect_blocked(task, *names):
    for name in names:
        answer = task.app("-I", f"https://{name}")
        equal(name, (answer.exit, answer.head), (35, ""))
        task.expect(tcp_line(flags="UH", dst=f"{NAMES[name]}:443", sni=name))


def step_block(task):
    task.set_mode("REGISTRY_ONLY")
    expect_blocked(task, "www.google.com", "edition.cnn.com")
    expect_blocked_http(task)


def expect_blocked_http(task):
    answer = task.app("http://httpbin.org/headers")
    equal("httpbin.org", (answer.exit, answer.headers, answer.body),
          (0, ["HTTP/1.1 502 Bad Gateway", "date: DATE", "server: envoy", "content-length: 0"], b""))
    task.expect(blocked_line("GET /headers HTTP/1.1", "httpbin.org", agent="curl", dst="10.1.0.1:80"))


def httpbin_line(path, answer, **columns):
    return http_line(f"GET {path} HTTP/1.1", "httpbin.org", **{
        "tx": len(answer.body), "agent": "curl", "upstream": "10.1.0.1:80", "cluster": "outbound|80||httpbin.org",
        "dst": "10.1.0.1:80", "route": "default", **columns})


def step_allow_http(task):
    task.apply("httpbin-ext", ENTRY_HTTP)
    task.until("the entry", lambda: task.app("http://httpbin.org/headers").status == 200)
    answer = task.app("http://httpbin.org/headers")
    headers = json.loads(answer.body)["headers"]
    equal("answer", (answer.exit, answer.headers), (0, [
        "HTTP/1.1 200 OK", "server: envoy", "content-type: application/json", f"content-length: {len(answer.body)}",
        "x-envoy-upstream-service-time: MS", "date: DATE"]))
    equal("headers", {**headers, "X-Request-Id": "ID"}, {
        "Host": "httpbin.org", "User-Agent": "curl", "Accept": "*/*", "X-Forwarded-Proto": "http", "X-Request-Id": "ID",
        "X-Envoy-Decorator-Operation": "httpbin.org:80/*", "X-Envoy-Attempt-Count": "1"})
    task.expect(httpbin_line("/headers", answer))


def step_allow_https(task):
    expect_blocked(task, "www.google.com")
    task.apply("google", ENTRY_HTTPS)
    task.until("the entry", lambda: task.app("-I", "https://www.google.com").exit == 0)
    expect_http2(task, "www.google.com", "outbound|443||www.google.com")
    expect_blocked(task, "edition.cnn.com")


def delayed(task):
    """/delay/5, with the milliseconds that the log says it took."""
    answer = task.app("http://httpbin.org/delay/5")
    wait_for("a line", lambda: len(task.raw_lines()) > task.taken)
    return answer, int(re.match(r'(?:[^"]*"[^"]*"){2} \d+ \d+ (\d+)', task.raw_lines()[task.taken])[1])


def step_slow(task):
    answer, duration = delayed(task)
    equal("answer", (answer.exit, answer.status, 4990 <= duration), (0, 200, True))
    task.expect(httpbin_line("/delay/5", answer))


def expect_timeout(task, route):
    """The origin would have answered after five seconds."""
    answer, duration = delayed(task)
    equal("answer", (answer.exit, answer.headers, answer.body), (0, [
        "HTTP/1.1 504 Gateway Timeout", "content-length: 24", "content-type: text/plain", "date: DATE", "server: envoy"],
        b"upstream request timeout"))
    equal(f"{duration} ms", 2990 <= duration < 5000, True)
    task.expect(httpbin_line("/delay/5", answer, status=504, flags="UT", details="response_timeout", service="-", route=route))


def has_timeout(task):
    return b"X-Envoy-Expected-Rq-Timeout-Ms\": \"3000\"" in task.app("http://httpbin.org/headers").body


def step_virtual_service(task):
    task.apply("timeout", VIRTUAL_SERVICE)
    task.until("the timeout", lambda: has_timeout(task))
    expect_timeout(task, "-")


def step_no_timeout(task):
    task.delete("timeout")
    task.until("no timeout", lambda: not has_timeout(task))
    answer = task.app("http://httpbin.org/headers")
    task.expect(httpbin_line("/headers", answer))


def step_http_route(task):
    task.apply("timeout", HTTP_ROUTE)
    task.until("the timeout", lambda: has_timeout(task))
    expect_timeout(task, "default.httpbin-ext.0")


def step_clean_up(task):
    for name in ("timeout", "httpbin-ext", "google"):
        task.delete(name)
    task.until("blocked again", lambda: task.app("http://httpbin.org/headers").status == 502 and
               task.app("-I", "https://www.google.com").exit == 35)
    expect_blocked_http(task)
    expect_blocked(task, "www.google.com", "edition.cnn.com")


def step_back_to_allow_any(task):
    task.set_mode("ALLOW_ANY")
    step_pass_through(task)


STEPS = [step_pass_through, step_block, step_allow_http, step_allow_https, step_slow, step_virtual_service, step_no_timeout,
         step_http_route, step_clean_up, step_back_to_allow_any]


def test_every_step_but_the_bypass(folder):
    with Task(folder) as task:
        for step in STEPS:
            try:
                step(task)
            except AssertionError as error:
                raise AssertionError(f"{step.__name__}: {error}") from error


# --- bypass

def expect_bypassed(task):
    """No header of the proxy's in the echo, and no line."""
    answer = task.app("http://httpbin.org/headers")
    equal("httpbin.org", (answer.exit, answer.status), (0, 200))
    equal("headers", json.loads(answer.body)["headers"], {"Host": "httpbin.org", "User-Agent": "curl", "Accept": "*/*"})
    answer = task.app("-I", "https://www.google.com")
    equal("www.google.com", (answer.exit, answer.headers[0].strip()), (0, "HTTP/2 200"))
    # What is in the ranges still is captured, and its line the next one.
    equal("in the ranges", task.curl("http://inside.example/", address="10.0.0.7").status, 502)
    task.expect(blocked_line("GET / HTTP/1.1", "inside.example", agent="curl", dst="10.0.0.7:80"))


def capture(*arguments):
    harness.run(*harness.inside(POD, f"{BUILD}/weir-init", *arguments))


def test_bypass_by_the_installation_s_ranges(folder):
    with Task(folder) as task:
        task.set_mode("REGISTRY_ONLY")
        try:
            # Host bits and all; several, as `\,` joins them for helm.
            for ranges in ("10.0.0.1/24", "172.21.0.0/16,10.0.0.1/24"):
                capture("-i", ranges)
                expect_bypassed(task)
        finally:
            capture("-i", "*")
        expect_blocked_http(task)


def test_bypass_by_the_pod_s_annotation(folder):
    annotations = {"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.1/24"}
    config = {"cniVersion": "1.0.0", "name": "pods", "type": "weir-cni", "logFile": "",
              "capabilities": {"io.kubernetes.cri.pod-annotations": True},
              "runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations}, "prevResult": {"cniVersion": "1.0.0"}}
    environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "CNI_NETNS": f"/run/netns/{POD}", "CNI_IFNAME": "eth0",
                   "CNI_PATH": os.path.abspath(BUILD), "CNI_ARGS": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=curl",
                   **harness.sanitizer_options()}
    with Task(folder) as task:
        task.set_mode("REGISTRY_ONLY")
        try:
            done = subprocess.run(harness.inside(OUTSIDE, f"{BUILD}/weir-cni"), input=json.dumps(config), env=environment,
                                  text=True, capture_output=True, check=False)
            equal("ADD", (done.returncode, done.stdout if done.returncode else ""), (0, ""))
            expect_bypassed(task)
        finally:
            capture("-i", "*")
        expect_blocked_http(task)


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
