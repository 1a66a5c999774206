# SPDX-License-Identifier: Apache-2.0
"""
Packets that belong to no connection and begin none, which conntrack calls INVALID: an echo reply that nobody asked
for (port 0), and the second packet of a TCP handshake without the first. They come from outside, one by one; an echo
request on the same way behind each says when it has come, or will not.
"""
import select
import socket
import struct

from lab import OUTSIDE, POD, family_of
from model import DIRECT, DROPPED

PATIENCE = 3.0
ECHO = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129)}
SYN_ACK = 0x12


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def echo(family, kind, identifier):
    data = struct.pack("!BBHHH", kind, 0, 0, identifier, 1)
    # The kernel does this for IPv6 itself.
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:] if family == socket.AF_INET else data


def syn_ack(family, source, destination, source_port, port):
    segment = struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 5 << 4, SYN_ACK, 1024, 0, 0)
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    total = checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", total) + segment[18:]


class Invalid:
    def __init__(self, lab):
        self.senders = {}
        for family, (icmp, _, _) in ECHO.items():
            for protocol in (icmp, socket.IPPROTO_TCP):
                self.senders[family, protocol] = lab.open_socket(OUTSIDE, family, socket.SOCK_RAW, (0, 0), protocol)
        self.lab = lab

    def send(self, packet, source):
        """What becomes of it: DIRECT or DROPPED."""
        family = family_of(packet.destination)
        icmp, request, reply = ECHO[family]
        with self.lab.open_socket(POD, family, socket.SOCK_RAW, (0, 0), icmp) as echoes, \
                self.lab.open_socket(POD, family, socket.SOCK_RAW, (0, 0), socket.IPPROTO_TCP) as segments:
            if packet.port == 0:
                self.senders[family, icmp].sendto(echo(family, reply, source), (packet.destination, 0))
            else:
                data = syn_ack(family, packet.source, packet.destination, source, packet.port)
                self.senders[family, socket.IPPROTO_TCP].sendto(data, (packet.destination, 0))
            self.senders[family, icmp].sendto(echo(family, request, source), (packet.destination, 0))
            heard = self.hear_echoes(echoes, family, source)
            if request not in heard:
                return "lost, like a ping behind it"
            arrived = reply in heard if packet.port == 0 else self.hear_segment(segments, family, source, packet.port)
            return DIRECT if arrived else DROPPED

    @staticmethod
    def payloads(sock, family):
        while True:
            try:
                data = sock.recv(2048)
            except BlockingIOError:
                return
            yield data[(data[0] & 15) * 4:] if family == socket.AF_INET else data

    def hear_echoes(self, sock, family, identifier):
        """The kinds of ICMP messages with the identifier, up to the request that ends them."""
        request = ECHO[family][1]
        kinds = []
        while request not in kinds and select.select([sock], [], [], PATIENCE)[0]:
            kinds += [data[0] for data in self.payloads(sock, family)
                      if struct.unpack("!4xH", data[:6])[0] == identifier]
        return kinds

    def hear_segment(self, sock, family, source_port, port):
        return any(struct.unpack("!HH", data[:4]) == (source_port, port) for data in self.payloads(sock, family))
