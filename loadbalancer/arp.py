"""ARP on the lab's interface: asks whether an address is in use, and tells everybody who has it now.

A *probe* asks for an address without claiming it (its sender address is empty). A *gratuitous* ARP says, unasked,
that an address is at our hardware address; neighbours replace what they remember. Both as RFC 5227 has them. Frames
are built here, since no tool of the base system sends them.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterable

_BROADCAST = b"\xff" * 6
_UNKNOWN = b"\x00" * 6
_ARP = 0x0806
_REQUEST, _REPLY = 1, 2
_FRAME = struct.Struct("!6s6sH HHBBH 6s4s6s4s")

PROBES = 3
PROBE_INTERVAL_S = 0.07


def frame(
    operation: int, sender: tuple[bytes, str], target: tuple[bytes, str], destination: bytes = _BROADCAST
) -> bytes:
    """An Ethernet frame with an ARP packet; sender and target are (hardware address, IPv4 address)."""
    ethernet = (destination, sender[0], _ARP)
    ipv4_over_ethernet = (1, 0x0800, 6, 4)
    addresses = (sender[0], socket.inet_aton(sender[1]), target[0], socket.inet_aton(target[1]))
    return _FRAME.pack(*ethernet, *ipv4_over_ethernet, operation, *addresses)


def sender_of(received: bytes) -> tuple[bytes, str] | None:
    """(hardware address, IPv4 address) of the sender of an ARP frame; None if it isn't one of IPv4."""
    if len(received) < _FRAME.size:
        return None
    fields = _FRAME.unpack_from(received)
    if fields[2] != _ARP or fields[4] != 0x0800:
        return None
    return fields[8], socket.inet_ntoa(fields[9])


class Arp:
    """ARP on one interface. Needs CAP_NET_RAW; every method raises OSError when the interface is gone or down."""

    def __init__(self, interface: str) -> None:
        self._interface = interface

    def _open(self) -> tuple[socket.socket, bytes]:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP))
        try:
            sock.bind((self._interface, _ARP))
            hardware: bytes = sock.getsockname()[4]
        except OSError:
            sock.close()
            raise
        return sock, hardware

    def announce(self, address: str) -> None:
        """Tells everybody that `address` is here, in both forms that neighbours listen to."""
        sock, hardware = self._open()
        with sock:
            for operation, target in ((_REQUEST, _UNKNOWN), (_REPLY, _BROADCAST)):
                sock.send(frame(operation, (hardware, address), (target, address)))

    def in_use(self, addresses: Iterable[str]) -> dict[str, str]:
        """Those of `addresses` that another machine answers for, each with that machine's hardware address."""
        wanted = set(addresses)
        users: dict[str, str] = {}
        sock, hardware = self._open()
        with sock:
            for _ in range(PROBES):
                for address in wanted:
                    sock.send(frame(_REQUEST, (hardware, "0.0.0.0"), (_UNKNOWN, address)))  # noqa: S104 - "nobody"
                deadline = time.monotonic() + PROBE_INTERVAL_S
                while (left := deadline - time.monotonic()) > 0 and select.select([sock], [], [], left)[0]:
                    sender = sender_of(sock.recv(2048))
                    if sender and sender[1] in wanted and sender[0] != hardware:
                        users[sender[1]] = sender[0].hex(":")
        return users
