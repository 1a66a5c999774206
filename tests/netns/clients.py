#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Real clients and servers through the proxy: openssl, curl, nginx, Python, node and Go; protocols in which the server
speaks first. What they exchange arrives whole, and the log has the names that they told. TAP on stdout.
"""
import asyncio
import hashlib
import http.client
import os
import random
import smtplib
import socket
import ssl
import subprocess
import sys

import harness
import relay
from harness import run
from relay import DEADLINE, OUTSIDE, POD, Origin, Proxy, connect, equal, receive, receive_all, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESSES = ("10.2.0.1", "2001:db8:2::1")
NAME = "shop.example"
LARGE = 32 << 20
# What `go build` keeps between runs.
GO_CACHE = os.path.abspath("build/go")

NGINX = """
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; root {folder}/www; client_max_body_size 0; client_body_temp_path {folder}/body;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    server {{
        listen 80; listen [::]:80; listen 443 ssl http2; listen [::]:443 ssl http2; listen 81 http2; listen [::]:81 http2;
        location /put/ {{ dav_methods PUT; create_full_put_path on; }}
    }}
}}
"""


def in_pod(*command, **options):
    """The output of a client that must succeed."""
    options = {"text": True, "stderr": subprocess.STDOUT, "stdout": subprocess.PIPE, "check": False, **options}
    result = subprocess.run(harness.inside(POD, *command), timeout=3 * DEADLINE, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}: {result.stdout[-1000:]}")
    return result.stdout


def make_certificate(folder, names=1):
    """Self-signed; of many names it spans several TLS records."""
    more = [f"DNS:a-long-name-of-a-host-{i}.example" for i in range(1, names)]
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", f"/CN={NAME}", "-addext", "subjectAltName=" + ",".join([f"DNS:{NAME}", *more]),
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")
    return f"{folder}/cert.pem"


class Server:
    """A server program outside, ready once its port is open."""

    def __init__(self, port, *command):
        self.process = subprocess.Popen(harness.inside(OUTSIDE, *command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for(f"{command[0]} on port {port}", lambda: f":{port} " in run(*harness.inside(OUTSIDE, "ss", "-ltnH")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(DEADLINE)


def nginx(folder):
    """Serves /small and /large; keeps what is put under /put/. Returns the server and the digest of /large."""
    data = random.Random(1).randbytes(LARGE)
    os.mkdir(f"{folder}/www")
    for name, content in (("large", data), ("small", b"hello\n")):
        with open(f"{folder}/www/{name}", "wb") as file:
            file.write(content)
    with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=folder))
    make_certificate(folder)
    return Server(443, "nginx", "-c", f"{folder}/nginx.conf", "-p", folder), hashlib.sha256(data).hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def columns(proxy, *names):
    """These columns of all lines, sorted; then the proxy is gone."""
    lines = proxy.stop()
    for line in lines:
        if isinstance(line, str):
            raise AssertionError(f"not a line of the format: {line}")
        equal(f"flags in {line[0]}", line["flags"], "-")
    return sorted(tuple(line[name] for name in names) for line in lines)


def bracketed(address):
    return f"[{address}]" if ":" in address else address


# --- openssl


def s_client(address, port, *arguments):
    """Says hello to a server that answers in reverse and ends at CLOSE."""
    return in_pod("openssl", "s_client", "-connect", f"{bracketed(address)}:{port}", "-servername", NAME, "-ign_eof", *arguments,
                  input="hello\nCLOSE\n")


def test_openssl_versions_certificates_and_resumption(folder):
    port = 4433
    for names in (1, 1500):
        make_certificate(folder, names)
        with Server(port, "openssl", "s_server", "-accept", str(port), "-key", f"{folder}/key.pem", "-cert",
                    f"{folder}/cert.pem", "-rev", "-quiet"):
            for version in ("tls1_2", "tls1_3"):
                for address in ADDRESSES:
                    proxy = Proxy(folder)
                    session = ("-CAfile", f"{folder}/cert.pem", "-verify_return_error", f"-{version}")
                    first = s_client(address, port, *session, "-sess_out", f"{folder}/session")
                    second = s_client(address, port, *session, "-sess_in", f"{folder}/session")
                    for what, text, words in (("first", first, ("olleh", "New, ")), ("second", second, ("olleh", "Reused, "))):
                        if missing := [word for word in words if word not in text]:
                            raise AssertionError(f"{version}, {what} to {address} lacks {missing}: {text[-2000:]}")
                    equal("names", columns(proxy, "sni", "request"), [(NAME, "- - -")] * 2)


# --- curl and nginx


def curl(address, folder, *arguments):
    return in_pod("curl", "-sS", "--fail", "--max-time", "50", "--cacert", f"{folder}/cert.pem", "--connect-to",
                  f"{NAME}::{bracketed(address)}:", *arguments)


def test_curl_versions(folder):
    """Two requests on one connection of each kind (one for h2c, which curl 7.88 cannot use twice): one line."""
    server, _ = nginx(folder)
    with server:
        for address in ADDRESSES:
            for base, flag, count, version, expected in (
                    (f"http://{NAME}", "--http1.1", 2, "1.1", (NAME, "GET /small HTTP/1.1", "-")),
                    (f"http://{NAME}", "--http1.0", 2, "1.1", (NAME, "GET /small HTTP/1.0", "-")),
                    (f"https://{NAME}", "--http1.1", 2, "1.1", ("-", "- - -", NAME)),
                    (f"https://{NAME}", "--http2", 2, "2", ("-", "- - -", NAME)),
                    (f"http://{NAME}:81", "--http2-prior-knowledge", 1, "2", None)):
                proxy = Proxy(folder)
                shown = curl(address, folder, flag, "-H", "Connection: keep-alive", "-w", "%{http_version} ",
                             *[f"{base}/small"] * count)
                equal(f"answers to {base} {flag}", shown, f"hello\n{version} " * count)
                seen = columns(proxy, "host", "request", "sni")
                equal(f"lines of {base} {flag}", (len(seen), seen[0] if expected else None), (1, expected))


def test_curl_up_and_down(folder):
    """Large bodies, with Expect: 100-continue on HTTP/1.1, and chunked."""
    server, digest = nginx(folder)
    with server:
        for address in ADDRESSES:
            for number, (scheme, flag) in enumerate((("http", "--http1.1"), ("https", "--http1.1"), ("https", "--http2"))):
                proxy = Proxy(folder)
                base = f"{scheme}://{NAME}"
                curl(address, folder, flag, "-o", f"{folder}/down", f"{base}/large")
                equal(f"down by {scheme} {flag}", digest_of(f"{folder}/down"), digest)
                for kind, header in (("length", "Expect: 100-continue"), ("chunked", "Transfer-Encoding: chunked")):
                    stored = f"put/{kind}-{number}-{len(address)}"
                    text = curl(address, folder, flag, "-v", "-H", header if "2" not in flag else "X: y", "-T", f"{folder}/down",
                                f"{base}/{stored}")
                    equal(f"up {kind} by {scheme} {flag}", digest_of(f"{folder}/www/{stored}"), digest)
                    if kind == "length" and "2" not in flag and "100 Continue" not in text:
                        raise AssertionError(f"nobody continued: {text[-1000:]}")
                seen = columns(proxy, "rx", "tx")
                equal("lines", len(seen), 3)
                if sum(int(tx) for _, tx in seen) < LARGE or sum(int(rx) for rx, _ in seen) < 2 * LARGE:
                    raise AssertionError(f"bytes in the log: {seen}")


# --- Python


def test_http_client_keeps_alive(folder):
    """A hundred requests and bodies on one connection are one line."""
    server, _ = nginx(folder)
    with server:
        for address in ADDRESSES:
            proxy = Proxy(folder)
            connection = http.client.HTTPConnection(NAME)
            connection.sock = connect(address, 80)
            for _ in range(100):
                connection.request("GET", "/small", headers={"Host": NAME})
                equal("body", connection.getresponse().read(), b"hello\n")
            connection.close()
            equal("line", columns(proxy, "host", "request", "sni"), [(NAME, "GET /small HTTP/1.1", "-")])


def test_asyncio_over_tls(folder):
    """Sixty connections at once talk both ways at once."""
    context = ssl.create_default_context(cafile=make_certificate(folder))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")

    def echo(sock):
        with serving.wrap_socket(sock, server_side=True) as secure:
            while data := secure.recv(1 << 16):
                secure.sendall(data)

    async def talk(sock, data):
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=NAME)
        writer.write(data)
        equal("echo", await reader.readexactly(len(data)) == data, True)
        writer.close()
        await writer.wait_closed()

    async def talk_all():
        await asyncio.gather(*(talk(connect(ADDRESSES[i % 2], 8443), os.urandom(1 + i * 5000)) for i in range(60)))

    proxy = Proxy(folder, "--concurrency", "2")
    with Origin(8443, echo):
        asyncio.run(asyncio.wait_for(talk_all(), DEADLINE))
    equal("lines", columns(proxy, "sni"), [(NAME,)] * 60)


def test_an_upgrade(folder):
    """After 101 the bytes are another protocol's, in both directions."""
    head = f"GET /chat HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    frame = bytes(range(256)) * 40

    def handler(sock):
        receive(sock, len(head))
        sock.sendall(switched + frame)
        while data := sock.recv(1 << 16):
            sock.sendall(data[::-1])

    for address in ADDRESSES:
        proxy = Proxy(folder)
        with Origin(8080, handler), connect(address, 8080) as sock:
            sock.sendall(head)
            equal("answer", receive(sock, len(switched) + len(frame)), switched + frame)
            for text in (b"\x81\x05hello", b"\x00", b"GET / HTTP/1.1\r\n"):
                sock.sendall(text)
                equal("frame", receive(sock, len(text)), text[::-1])
        equal("line", columns(proxy, "host", "request"), [(NAME, "GET /chat HTTP/1.1")])


# --- node and Go


def check_program(folder, digest, *command):
    """One that gets /large twice by HTTP/1.1 and twice by HTTP/2, on a connection each."""
    for address in ADDRESSES:
        proxy = Proxy(folder)
        shown = in_pod(*command, address, "443", NAME, f"{folder}/cert.pem", "/large").split("\n")
        for version in ("HTTP/1.1", "HTTP/2.0"):
            equal(f"answers by {version}", shown.count(f"{version} {digest}"), 2)
        equal("lines", columns(proxy, "sni", "request"), [(NAME, "- - -")] * 2)


def test_node(folder):
    server, digest = nginx(folder)
    with server:
        check_program(folder, digest, "node", f"{HERE}/programs/client.mjs")


def test_go(folder):
    environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOCACHE": GO_CACHE}
    run("go", "build", "-o", f"{folder}/client", f"{HERE}/programs/client.go", env=environment)
    server, digest = nginx(folder)
    with server:
        check_program(folder, digest, f"{folder}/client")


# --- the server speaks first


class Smtp:
    """So much of a mail server that smtplib is content, with STARTTLS."""

    def __init__(self, context):
        self.context = context
        self.mails = []

    def __call__(self, sock):
        sock.sendall(b"220 mail.example ESMTP\r\n")
        lines = sock.makefile("rb")
        while line := lines.readline():
            verb = line.split()[0].upper()
            answer = {b"EHLO": b"250-mail.example\r\n250 STARTTLS", b"STARTTLS": b"220 go on", b"DATA": b"354 go on",
                      b"QUIT": b"221 bye"}.get(verb, b"250 ok")
            sock.sendall(answer + b"\r\n")
            if verb == b"STARTTLS":
                sock = self.context.wrap_socket(sock, server_side=True)
                lines = sock.makefile("rb")
            elif verb == b"DATA":
                self.mails.append(b"".join(iter(lines.readline, b".\r\n")))
                sock.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                sock.close()
                return


def test_smtp_with_starttls(folder):
    make_certificate(folder)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    mail = "Subject: x\r\n\r\n" + "".join(f"line {i}\r\n" for i in range(20000))

    class Client(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            return connect(host, port)

    for port in (25, 80, 443):
        for address in ADDRESSES:
            server = Smtp(serving)
            proxy = Proxy(folder)
            with Origin(port, server), Client(address, port, local_hostname="client.example") as client:
                client.starttls(context=unverified)
                client.sendmail("a@client.example", ["b@mail.example"], mail)
            equal("mails", server.mails, [mail.encode()])
            equal("line", columns(proxy, "request", "sni"), [("- - -", "-")])


def test_banners(folder):
    """Both sides send a banner at once, as SSH does; and a client that waits for the server's, and says nothing."""
    def handler(sock):
        sock.sendall(b"SSH-2.0-server\r\n")
        sock.sendall(receive_all(sock))

    for address in ADDRESSES:
        for banner in (b"SSH-2.0-client\r\n", b""):
            proxy = Proxy(folder)
            with Origin(22, handler), connect(address, 22) as sock:
                equal("banner", receive(sock, 16), b"SSH-2.0-server\r\n")
                sock.sendall(banner)
                sock.shutdown(socket.SHUT_WR)
                equal("answer", receive_all(sock), banner)
            equal("line", columns(proxy, "request", "rx", "tx"), [("- - -", str(len(banner)), str(16 + len(banner)))])


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
