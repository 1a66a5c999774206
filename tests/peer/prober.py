# SPDX-License-Identifier: Apache-2.0
"""
Sends hundreds of real packets at once, and says in the model's words where each of them went.

A packet is known by its source port, which is used once in a configuration. A connection counts when a listener accepts
it, for the handshake has then gone both ways; a datagram, or an echo, when its answer is back at the sender.
"""
import errno
import os
import select
import socket
import struct

from invalid import Invalid
from lab import OUTSIDE, POD, TRANSPARENT, VM, family_of
from model import DIRECT, DNS, DNS_LISTENER, INBOUND, OUTBOUND, decide

FIRST_SOURCE, LAST_SOURCE = 33000, 65000
QUIET = 3.0  # seconds without any event, and what is missing is lost
AT_ONCE = 500
SO_ORIGINAL_DST = 80
ICMP = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
RESET = struct.pack("ii", 1, 0)
OWN = ("10.77.0.2", "10.78.0.2", "10.79.0.1", "fd77::2", "fd78::2", "fd79::1", "::1", "::6")
MACHINE = ("10.79.0.2", "fd79::2")


def same(one, other):
    family = family_of(one)
    return family == family_of(other) and socket.inet_pton(family, one) == socket.inet_pton(family, other)


def home_of(address):
    """The place where a packet arrives that nobody captures."""
    if address in OWN or address.startswith("127."):
        return POD
    return VM if address in MACHINE else OUTSIDE


def owners(config):
    """The proxy by user and group, by user, by group."""
    return ((config.uids[0], config.gids[0]), (config.uids[0], 2000), (2000, config.gids[0]))


class Trial:
    """One packet on its way."""

    def __init__(self, packet, home):
        self.packet, self.home = packet, home
        self.sock = self.source = self.seen = self.served = None


class Prober:
    def __init__(self, lab):
        self.lab, self.invalid = lab, Invalid(lab)
        self.config = None
        self.next_source = FIRST_SOURCE

    def serve(self, config, owner=None):
        self.config = config
        self.lab.serve(config, owner)

    def mismatches(self, packets, **options):
        """[(packet, expected, seen)] of all that went elsewhere than the model says."""
        rows = zip(packets, self.expected(packets), self.probe(packets, **options))
        return [row for row in rows if self.is_wrong(*row)]

    def finds_mismatch(self, packets, quiet):
        """The same, but one is enough."""
        expected = self.expected(packets)

        def is_enough(seen):
            return any(who is not None and self.is_wrong(*row, who) for *row, who in zip(packets, expected, seen))

        return is_enough(self.probe_part(packets, self.sources(len(packets)), quiet, is_enough))

    def expected(self, packets):
        return [decide(self.config, packet) for packet in packets]

    def is_wrong(self, packet, expected, seen):
        return expected != seen and not self.is_indistinct(packet, expected, seen)

    def reuse_mismatches(self, pairs, **options):
        """The same of pairs of packets, of which the second has the source port that the first one had; whichever of
        the proxy's IDs its listeners have."""
        wrong = []
        for owner in owners(self.config):
            self.serve(self.config, owner)
            sources = self.sources(len(pairs))
            wrong += [row for part in zip(*pairs) for row in self.mismatches(list(part), sources=sources, **options)]
        self.serve(self.config)
        return wrong

    def escapes(self, packets, quiet):
        """[(packet, what the model says, seen)] of captured packets that reach somebody while no proxy listens."""
        captured = [packet for packet in packets if decide(self.config, packet) in (OUTBOUND, INBOUND, DNS)]
        self.lab.silence()
        seen = self.probe(captured, quiet)
        self.serve(self.config)
        return [(packet, "nobody", who) for packet, who in zip(captured, seen)
                if not who.startswith(("lost", "refused"))]

    def is_indistinct(self, packet, expected, seen):
        """A capture that changes neither address nor port is not to be told from none."""
        port = {OUTBOUND: self.config.proxy_port, INBOUND: self.config.inbound_port, DNS: DNS_LISTENER}.get(expected)
        return (seen == DIRECT and packet.port == port and home_of(packet.destination) == POD
                and (packet.place != POD or packet.destination in ("127.0.0.1", "::1")))

    def sources(self, count):
        if self.next_source + count > LAST_SOURCE:
            self.next_source = FIRST_SOURCE
            self.lab.forget()
        self.next_source += count
        return range(self.next_source - count, self.next_source)

    def probe(self, packets, quiet=QUIET, sources=None):
        """Where each of the packets went: what the model calls it, or in other words what is wrong."""
        seen = []
        for start in range(0, len(packets), AT_ONCE):
            part = packets[start:start + AT_ONCE]
            seen += self.probe_part(part, sources or self.sources(len(part)), quiet)
        return seen

    def probe_part(self, packets, sources, quiet, is_enough=lambda seen: False):
        trials = {source: self.send(packet, source) for packet, source in zip(packets, sources)}
        clients = {trial.sock.fileno(): trial for trial in trials.values() if trial.sock is not None}
        missing = sum(trial.seen is None for trial in trials.values())
        while missing > 0 and (events := self.lab.poll.poll(quiet)):
            for fd, _ in events:
                if fd not in self.lab.listeners:
                    missing -= self.hear_answer(clients[fd])
                elif self.lab.listeners[fd][0].type == socket.SOCK_STREAM:
                    missing -= self.accept_all(fd, trials)
                else:
                    missing -= self.answer_all(fd, trials)
            if is_enough([trial.seen for trial in trials.values()]):
                break
        for trial in trials.values():
            trial.seen = trial.seen or self.what_was_lost(trial)
            if trial.sock is not None:
                trial.sock.close()
        return [trial.seen for trial in trials.values()]

    # --- the sender's side

    def send(self, packet, source):
        trial = Trial(packet, home_of(packet.destination))
        if packet.protocol == "invalid":
            trial.seen = self.invalid.send(packet, source)
            return trial
        family = family_of(packet.destination)
        kind = socket.SOCK_STREAM if packet.protocol == "tcp" else socket.SOCK_DGRAM
        icmp = ICMP[family] if packet.protocol == "icmp" else 0
        trial.sock = sock = self.lab.open_socket(packet.place, family, kind, (packet.uid, packet.gid), icmp)
        try:
            if packet.mark:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, packet.mark)
            if packet.source:
                sock.setsockopt(*TRANSPARENT[family], 1)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.bind((packet.source, source))
            error = sock.connect_ex((packet.destination, 0 if icmp else packet.port))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
            trial.source = sock.getsockname()
            if kind == socket.SOCK_DGRAM:
                self.lab.poll.register(sock, select.EPOLLIN)
                sock.send(struct.pack("!BBHHH", ECHO_REQUEST[family], 0, 0, source, 1) if icmp else b"?")
        except OSError as error:
            trial.seen = f"could not be sent: {error.strerror}"
        return trial

    def hear_answer(self, trial):
        """Of a datagram or an echo. Like its sisters, this returns how many trials it has brought to an end."""
        try:
            trial.sock.recv(64)
        except BlockingIOError:
            return 0
        except OSError as error:
            trial.served = f"refused: {error.strerror}"
        if trial.seen is not None:
            return 0
        trial.seen = trial.served or (DIRECT if trial.packet.protocol == "icmp" else "answered by nobody")
        return 1

    def what_was_lost(self, trial):
        if trial.served is not None:
            return f"{trial.served}, and the answer was lost"
        error = trial.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return f"refused: {os.strerror(error)}" if error else "lost"

    # --- the listeners' side

    def accept_all(self, fd, trials):
        listener, place, port = self.lab.listeners[fd]
        done = 0
        while True:
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return done
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                trial = trials.get(peer[1])
                if trial is not None and trial.seen is None:
                    local = connection.getsockname()
                    trial.seen = self.tell(trial, place, port, local, peer, original_destination(connection) or local)
                    done += 1

    def answer_all(self, fd, trials):
        listener, place, port = self.lab.listeners[fd]
        done = 0
        while True:
            try:
                data, control, _, peer = listener.recvmsg(16, 64)
            except BlockingIOError:
                return done
            trial = trials.get(peer[1])
            if trial is None:
                continue
            address, answer = address_of(control)
            trial.served = self.tell(trial, place, port, (address, port), peer)
            try:
                listener.sendmsg([data], answer, 0, peer)
            except OSError as error:
                trial.served += f", who could not answer: {error.strerror}"

    def tell(self, trial, place, port, local, peer, original=None):
        """In the model's words: whose port it was, and whether he learns both ends as they are."""
        packet = trial.packet
        roles = dict(zip(self.lab.roles, (OUTBOUND, INBOUND, DNS))) if place == POD else {}
        if port == packet.port and place == trial.home and same(local[0], packet.destination):
            who = DIRECT
        else:
            who = roles.get(port, f"port {port} of {place}")
        if original is not None and (original[1] != packet.port or not same(original[0], packet.destination)):
            who += f", told {original[0]} port {original[1]}"
        if peer[1] != trial.source[1] or not same(peer[0], trial.source[0]):
            who += f", from {peer[0]} port {peer[1]}"
        return who


def original_destination(connection):
    """What conntrack says, where it follows connections."""
    try:
        if connection.family == socket.AF_INET:
            port, address = struct.unpack("!2xH4s8x", connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
        else:
            data = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
            port, address = struct.unpack("!2xH4x16s4x", data)
        return socket.inet_ntop(connection.family, address), port
    except OSError:
        return None


def address_of(control):
    """The address that a datagram was sent to, and the control message that makes its answer come from there."""
    (level, kind, data), *_ = control
    if level == socket.IPPROTO_IP:
        return socket.inet_ntop(socket.AF_INET, data[8:12]), [(level, kind, bytes(4) + data[8:12] + bytes(4))]
    return socket.inet_ntop(socket.AF_INET6, data[:16]), [(level, kind, data[:16] + bytes(4))]
