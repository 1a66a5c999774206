# SPDX-License-Identifier: Apache-2.0
"""
What the tests of the policy share: weir-proxy with mesh settings, a folder of resources and a name server, all of which
can be changed while it runs; curl and raw clients in its pod; HTTP origins outside that echo what reached them; and the
access log, with what changes from run to run masked.
"""
import os
import re
import socket
import subprocess
from dataclasses import dataclass

import harness
import nameserver
import relay
from harness import enter
from nameserver import Name
from relay import DEADLINE, OUTSIDE, POD, Proxy, connect, equal, receive_all, wait_for

NAME_SERVER = "10.53.0.53"
# Of resolv.conf: a question is not repeated while a test holds its answer back.
PATIENT = "options timeout:30\n"
# Where clients dial, whatever the name; no test's name has it.
DIALLED = "10.9.9.9"

COLUMNS = re.compile(
    r'\[(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d+) (?P<flags>\S+) '
    r'(?P<details>\S+) (?P<termination>\S+) "(?P<failure>[^"]*)" (?P<rx>\d+) (?P<tx>\d+) (?P<ms>\d+) (?P<service>\d+|-) '
    r'"(?P<forwarded>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)" "(?P<id>(?:[^"\\]|\\.)*)" '
    r'"(?P<authority>(?:[^"\\]|\\.)*)" "(?P<upstream>[^"]*)" (?P<cluster>\S+) (?P<local>\S+) (?P<dst>\S+) (?P<src>\S+) '
    r'(?P<sni>\S+) (?P<route>\S+)(?: (?P<entry>\{.*\}))?')

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def masked(line):
    """A line of the access log, with names in the place of what no two runs have in common."""
    if not COLUMNS.fullmatch(line):
        raise AssertionError(f"not a line of the format: {line}")
    line = re.sub(r"^\[[^]]*\]", "[TIME]", line)
    line = re.sub(UUID, "ID", line)
    line = re.sub(r'^((?:[^"]*"(?:[^"\\]|\\.)*"){2} \d+ \d+) \d+ (?:\d+ |(- ))', lambda m: f"{m[1]} MS {m[2] or 'MS '}", line)
    return re.sub(r" (\S+) (\S+) (?:10\.77\.0\.2|\[fd77::2\]):\d+ (\S+ \S+(?: \{.*\})?)$",
                  lambda m: f" {re.sub(r'^(10.77.0.2|.fd77::2.):[0-9]+$', 'LOCAL', m[1])} {m[2]} SOURCE {m[3]}", line)


def http_line(request, authority, *, status=200, flags="-", details="via_upstream", termination="-", failure="-", rx=0, tx=0,
              service="MS", forwarded="-", agent="-", request_id="ID", upstream="-", cluster="-", local="LOCAL",
              dst=f"{DIALLED}:80", route="-"):
    """The masked line of a request, by its columns."""
    return (f'[TIME] "{request}" {status} {flags} {details} {termination} "{failure}" {rx} {tx} MS {service} "{forwarded}" '
            f'"{agent}" "{request_id}" "{authority}" "{upstream}" {cluster} {local} {dst} SOURCE - {route}')


def blocked_line(request, authority, **columns):
    return http_line(request, authority, **{"status": 502, "details": "direct_response", "service": "-", "local": "-",
                                            "route": "block_all", **columns})


def refused_line(status=400, flags="DPE", details="http1.codec_error", tx=11, **columns):
    """Of a head that is no HTTP."""
    return http_line("- - HTTP/1.1", "-", **{"status": status, "flags": flags, "details": details, "tx": tx, "service": "-",
                                             "request_id": "-", "local": "-", **columns})


def tcp_line(*, flags="-", termination="-", failure="-", rx=0, tx=0, authority="-", upstream="-", cluster="BlackHoleCluster",
             local="-", dst=f"{DIALLED}:443", sni="-", request="- - -"):
    return (f'[TIME] "{request}" 0 {flags} - {termination} "{failure}" {rx} {tx} MS - "-" "-" "-" "{authority}" "{upstream}" '
            f'{cluster} {local} {dst} SOURCE {sni} -')


@dataclass
class Answer:
    """What a client got. `exit` is curl's."""
    exit: int
    head: str = ""
    body: bytes = b""
    errors: str = ""

    @property
    def status(self):
        return int(self.head.split()[1]) if self.head else 0

    @property
    def headers(self):
        """As they came, but for the date and the service time."""
        lines = [re.sub(r"^x-envoy-upstream-service-time: \d+$", "x-envoy-upstream-service-time: MS", line)
                 for line in self.head.split("\r\n")]
        return [re.sub(r"^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", "date: DATE", line) for line in lines]


def split_answer(data):
    """The first final answer in some bytes, with all that follows its head as body."""
    head, _, body = data.partition(b"\r\n\r\n")
    return Answer(0, head.decode("latin-1"), body)


def read_chunks(stream):
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline() not in (b"\r\n", b""):
        pass
    return body


def read_answer(stream, to_head=False):
    """One answer; None at the end."""
    head = read_head(stream)
    if not head:
        return None
    answer = Answer(0, head.decode("latin-1").removesuffix("\r\n\r\n"))
    if to_head or answer.status in (204, 304) or answer.status < 200:
        return answer
    return Answer(0, answer.head, read_body(stream, head, b"content-length:" not in head.lower()))


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head


def read_body(stream, head, until_close=False):
    lowered = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lowered:
        return read_chunks(stream)
    length = re.search(rb"\r\ncontent-length: *(\d+)", lowered)
    if length:
        return stream.read(int(length[1]))
    return stream.read() if until_close else b""


def start_name_server():
    """The one before may not be quite gone."""
    enter(OUTSIDE)
    server = nameserver.Server(NAME_SERVER)
    try:
        return server.start()
    except OSError:
        server.stop()
        return None


class World:
    """A proxy with its settings. `names` is what the name server says."""

    def __init__(self, folder, mode="REGISTRY_ONLY", names=None, mesh="", arguments=(), descriptors=None, resolver="",
                 log_option=True, **files):
        self.folder, self.taken, self.marks = folder, 0, 0
        os.mkdir(f"{folder}/config")
        os.chmod(f"{folder}/config", 0o755)
        self.write("../resolv.conf", f"nameserver {NAME_SERVER}\n{resolver}")
        self.set_mesh(mode, mesh)
        for name, text in files.items():
            self.apply(name, text)
        self.server = wait_for("the name server's port", start_name_server)
        self.server.names = {name: told if isinstance(told, Name) else Name(*told.split())
                             for name, told in (names or {}).items()}
        self.proxy = Proxy(folder, "--mesh-config", f"{folder}/mesh.yaml", "--config-dir", f"{folder}/config",
                           "--resolv-conf", f"{folder}/resolv.conf", *arguments, descriptors=descriptors, log_option=log_option)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.server.stop()
        if failure is None:
            # Warnings about what is configured are the policy's own tests' business.
            self.proxy.end(r"(weir-proxy: (warning|notice): .*\n)*")

    # --- settings

    def write(self, name, text):
        """A file appears whole."""
        path = f"{self.folder}/config/{name}"
        with open(f"{self.folder}/new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(f"{self.folder}/new", 0o644)
        os.rename(f"{self.folder}/new", path)

    def set_mesh(self, mode, more=""):
        policy = f"outboundTrafficPolicy: {{mode: {mode}}}\n" if mode else ""
        self.write("../mesh.yaml", f"{policy}{more}\n" if policy or more else "{}\n")

    def apply(self, name, text):
        self.write(f"{name}.yaml", text)

    def delete(self, name):
        os.unlink(f"{self.folder}/config/{name}.yaml")

    # --- clients

    def run(self, *command, **options):
        return subprocess.run(harness.inside(POD, *command), timeout=3 * DEADLINE, check=False, **options)

    def curl(self, *arguments, port=80, address=DIALLED):
        """Every name is at `address`, whatever the name server says."""
        result = self.run("curl", "-sS", "-i", "-A", "curl", "--connect-to", f"::{address}:{port}", *arguments,
                          capture_output=True)
        answer = split_answer(result.stdout)
        answer.exit, answer.errors = result.returncode, result.stderr.decode()
        return answer

    def send(self, data, address=DIALLED, port=80):
        """All that comes back for these bytes, which are followed by the end."""
        with connect(address, port) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return receive_all(sock)

    def ask(self, data, address=DIALLED, port=80):
        """The answer to one request, on a connection that stays open for the next one."""
        with connect(address, port) as sock:
            sock.sendall(data)
            return read_answer(sock.makefile("rb"), data.startswith(b"HEAD "))

    def expect_refused(self, data, address=DIALLED, port=80):
        """Not a byte comes back, mostly but a reset."""
        try:
            equal("answer", self.send(data, address, port), b"")
        except OSError:
            pass

    def until(self, what, condition):
        """Waits for a reload's effect; the lines of the attempts are nobody's business."""
        wait_for(what, condition)
        self.settle()

    # --- the log

    def raw_lines(self):
        with open(self.proxy.path, encoding="ascii") as file:
            return file.read().splitlines()

    def settle(self):
        """Forgets the lines up to that of a connection made now: some may still be on their way."""
        self.marks += 1
        try:
            self.send(b"GET / HTTP/1.0\r\n\r\n", "10.9.9.1", self.marks)
        except ConnectionResetError:
            pass
        wait_for("the mark in the log", lambda: any(f" 10.9.9.1:{self.marks} " in line for line in self.raw_lines()))
        self.taken = len(self.raw_lines())

    def lines(self, count):
        """The next lines, masked; there are no more."""
        wait_for(f"{count} lines", lambda: len(self.raw_lines()) >= self.taken + count)
        lines = self.raw_lines()[self.taken:]
        self.taken += len(lines)
        equal("number of lines", (len(lines), lines), (count, lines))
        return [masked(line) for line in lines]

    def columns(self):
        """The next line by its columns."""
        wait_for("a line", lambda: len(self.raw_lines()) > self.taken)
        line = self.raw_lines()[self.taken]
        self.taken += 1
        return COLUMNS.fullmatch(line) or line

    def expect(self, *lines):
        for seen, expected in zip(self.lines(len(lines)), lines):
            equal("line", seen, expected)


# --- origins

@dataclass
class Request:
    """As an origin sees it."""
    head: bytes
    body: bytes
    address: str

    @property
    def path(self):
        return self.head.split()[1].decode("latin-1")

    @property
    def lines(self):
        """The head's lines, with the identity masked."""
        return re.sub(UUID, "ID", self.head.decode("latin-1")).split("\r\n")[:-2]

    @property
    def names(self):
        return [line.partition(":")[0] for line in self.lines[1:]]

    def value(self, name):
        values = [line.partition(": ")[2] for line in self.lines[1:] if line.startswith(f"{name}: ")]
        return values[0] if values else None


def response(body, status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", "Server: origin", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def echo(request):
    return response(request.head + request.body)


class HttpOrigin(relay.Origin):
    """Keeps every request. `answer` gives the bytes for one; None leaves it without, and closes; a function gets the socket."""

    def __init__(self, port=80, answer=echo, address="::"):
        self.requests, self.answer = [], answer
        super().__init__(port, self.serve_http, address)

    def serve_http(self, sock):
        address = sock.getsockname()[0].removeprefix("::ffff:")
        stream = sock.makefile("rb")
        while True:
            head = read_head(stream)
            if not head:
                return
            request = Request(head, read_body(stream, head), address)
            self.requests.append(request)
            data = self.answer(request)
            if callable(data):
                data(sock)
                return
            if data is None:
                return
            sock.sendall(data)


def never(sock):
    """No answer, until the other side gives up."""
    receive_all(sock)


# --- resources

def service_entry(host, port=80, protocol="HTTP", resolution="DNS", more="", name=None):
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name or host.replace('*', 'any')}}}
spec:
  hosts: ["{host}"]
  ports: [{{number: {port}, name: {protocol.lower()}, protocol: {protocol}}}]
  resolution: {resolution}
  location: MESH_EXTERNAL
{more}"""


def virtual_service(host, http, name="routes"):
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: ["{host}"]
  http:
{http}"""


def make_certificate(folder, *names):
    """A self-signed one; returns its path, which is the clients' authority too."""
    harness.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                "1", "-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
                "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")
    return f"{folder}/cert.pem"


NGINX = """
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    server {{ listen {port} ssl http2; listen [::]:{port} ssl http2; location / {{ return 200 "$ssl_server_name\\n"; }} }}
}}
"""


class TlsOrigin:
    """nginx outside, with HTTP/2; answers with the server name that it was asked for."""

    def __init__(self, folder, *names, port=443):
        self.certificate = make_certificate(folder, *names)
        with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=folder, port=port))
        self.process = subprocess.Popen(harness.inside(OUTSIDE, "nginx", "-c", f"{folder}/nginx.conf", "-p", folder),
                                        stderr=subprocess.DEVNULL)
        wait_for("nginx", lambda: f":{port} " in harness.run(*harness.inside(OUTSIDE, "ss", "-ltnH")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)


def make_folder(folder, name):
    """For one of a test's several worlds."""
    path = f"{folder}/{name}"
    os.mkdir(path)
    os.chmod(path, 0o777)
    return path
