# SPDX-License-Identifier: Apache-2.0
"""
A DNS server that does as it is told, name by name, over UDP and TCP. It serves from threads in the network namespace of
the thread that starts it.
"""
import ipaddress
import socket
import struct
import threading
import time

A, CNAME, SOA, AAAA, OPT = 1, 5, 6, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
TYPES = {A: "A", AAAA: "AAAA"}
# Links of a chain, which may lead back to its beginning.
CHAIN_MAX = 12


class Name:
    """
    What the server says of a name. `faults` is a set of:

        silent         no answer             silent4, silent6   none for that family
        cut            over UDP, an empty answer that says it was cut
        wrong-id, wrong-question, junk       nothing else
        lies-first     both lies, and then the truth
    """

    def __init__(self, *addresses, ttl=60, rcode=NOERROR, rcode4=None, rcode6=None, cname=None, cname_ttl=60, faults=(),
                 wait=None):
        self.addresses = [ipaddress.ip_address(address) for address in addresses]
        self.ttl, self.cname, self.cname_ttl = ttl, cname, cname_ttl
        self.rcodes = {A: rcode if rcode4 is None else rcode4, AAAA: rcode if rcode6 is None else rcode6}
        self.faults = set(faults)
        self.wait = wait  # an event that an answer waits for


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def decode_name(message, at):
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), at + 1


def record(name, rtype, ttl, data):
    return encode_name(name) + struct.pack("!HHIH", rtype, 1, ttl, len(data)) + data


def message(query_id, question, rcode, answers=(), cut=False):
    flags = 0x8180 | rcode | (0x0200 if cut else 0)
    return struct.pack("!6H", query_id, flags, 1, len(answers), 0, 0) + question + b"".join(answers)


class Server:
    def __init__(self, address="127.0.0.1", port=53):
        self.address = (address, port)
        self.names = {}
        self.asked = []  # (name, type, "udp" or "tcp"), in order
        self.lock = threading.Lock()
        self.sockets = []

    def start(self):
        family, *_, address = socket.getaddrinfo(*self.address)[0]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets = [udp, tcp]
        for sock in self.sockets:
            sock.bind(address)
        tcp.listen()
        for loop, sock in ((self.serve_udp, udp), (self.serve_tcp, tcp)):
            threading.Thread(target=loop, args=(sock,), daemon=True).start()
        return self

    def stop(self):
        """From now on the port is closed."""
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not connected, but whoever waits in it wakes up
            sock.close()

    def count(self, name, rtype=None, way=None):
        with self.lock:
            return sum(one[0] == name and rtype in (None, one[1]) and way in (None, one[2]) for one in self.asked)

    def serve_udp(self, sock):
        while True:
            try:
                query, client = sock.recvfrom(4096)
            except OSError:
                return
            if not query:
                return  # shut down

            def send(answer, client=client):
                try:
                    sock.sendto(answer, client)
                except OSError:
                    pass  # stopped meanwhile
            threading.Thread(target=self.answer, args=(query, send, "udp"), daemon=True).start()

    def serve_tcp(self, sock):
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            while size := stream.read(2):
                query = stream.read(struct.unpack("!H", size)[0])
                self.answer(query, lambda answer: connection.sendall(struct.pack("!H", len(answer)) + answer), "tcp")

    def answer(self, query, send, way):
        query_id = struct.unpack_from("!H", query)[0]
        name, end = decode_name(query, 12)
        rtype = struct.unpack_from("!H", query, end)[0]
        question = query[12:end + 4]
        with self.lock:
            self.asked.append((name, rtype, way))
            told = self.names.get(name.lower(), Name(rcode=NXDOMAIN))
        if told.wait is not None:
            told.wait.wait()
        if self.is_silent(told, rtype):
            return
        if told.faults & {"wrong-id", "lies-first"}:
            send(message(query_id ^ 1, question, NOERROR, [record(name, rtype, 60, b"\x06" * (4 if rtype == A else 16))]))
        if told.faults & {"wrong-question", "lies-first"}:
            other = encode_name("other.test") + question[-4:]
            send(message(query_id, other, NOERROR, [record(name, rtype, 60, b"\x07" * (4 if rtype == A else 16))]))
        if "junk" in told.faults:
            send(b"\x01\x02\x03")
        if told.faults & {"wrong-id", "wrong-question", "junk"}:
            return
        cut = "cut" in told.faults and way == "udp"
        send(message(query_id, question, told.rcodes[rtype], [] if cut else self.answers(told, name, rtype), cut))

    @staticmethod
    def is_silent(told, rtype):
        return bool(told.faults & {"silent", "silent4" if rtype == A else "silent6"})

    def answers(self, told, name, rtype):
        if told.rcodes[rtype] != NOERROR:
            return []
        chain = []
        while told.cname is not None and len(chain) < CHAIN_MAX:
            chain.append(record(name, CNAME, told.cname_ttl, encode_name(told.cname)))
            name, told = told.cname, self.names.get(told.cname, Name())
        return chain + [record(name, rtype, told.ttl, address.packed) for address in told.addresses
                        if (address.version == 4) == (rtype == A)]


def wait_until(what, condition, seconds=20):
    """The first true value of a condition that comes true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError(f"gave up waiting for {what}")
