"""Drop the public addresses of this node, by rtnetlink. Standard library only.

The proxy adds them with a label that ends in `:lb`; a fenced node must not answer for them. The agent and the
watchdog both import this: it starts no process and imports nothing of ours.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

LABEL_SUFFIX = ":lb"

_RTM_DELADDR, _RTM_GETADDR = 21, 22
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 1, 4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL = 1, 2, 3
_HEADER = struct.Struct("=LHHLL")
_IFADDR = struct.Struct("=BBBBL")
_ATTR = struct.Struct("=HH")


@dataclass(frozen=True)
class Address:
    """An IPv4 address of an interface."""

    address: str
    prefix_length: int
    interface: int
    label: str


def public() -> list[Address]:
    """The addresses that the proxy announces from here.

    Raises: OSError.
    """
    return [a for a in _dump() if a.label.endswith(LABEL_SUFFIX)]


def drop_public() -> list[str]:
    """Remove every public address; those that were removed.

    Raises: OSError when one can't be removed.
    """
    found = public()
    for address in found:
        _delete(address)
    return [a.address for a in found]


def _dump() -> Iterator[Address]:
    request = _message(_RTM_GETADDR, _NLM_F_REQUEST | _NLM_F_DUMP, _IFADDR.pack(socket.AF_INET, 0, 0, 0, 0))
    with _socket() as sock:
        sock.send(request)
        while True:
            for kind, body in _messages(sock.recv(65536)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    _raise(body)
                yield _parse(body)


def _parse(body: bytes) -> Address:
    _, prefix_length, _, _, index = _IFADDR.unpack_from(body)
    address, label = "", ""
    rest = body[_IFADDR.size :]
    while len(rest) >= _ATTR.size:
        length, kind = _ATTR.unpack_from(rest)
        if length < _ATTR.size:
            break
        value = rest[_ATTR.size : length]
        if kind == _IFA_LOCAL or (kind == _IFA_ADDRESS and not address):
            address = socket.inet_ntoa(value)
        elif kind == _IFA_LABEL:
            label = value.rstrip(b"\0").decode(errors="replace")
        rest = rest[(length + 3) & ~3 :]
    return Address(address, prefix_length, index, label)


def _delete(address: Address) -> None:
    packed = socket.inet_aton(address.address)
    attributes = _ATTR.pack(_ATTR.size + 4, _IFA_LOCAL) + packed
    label = address.label.encode() + b"\0"
    attributes += _ATTR.pack(_ATTR.size + len(label), _IFA_LABEL) + label + b"\0" * (-len(label) % 4)
    body = _IFADDR.pack(socket.AF_INET, address.prefix_length, 0, 0, address.interface) + attributes
    with _socket() as sock:
        sock.send(_message(_RTM_DELADDR, _NLM_F_REQUEST | _NLM_F_ACK, body))
        for kind, answer in _messages(sock.recv(65536)):
            if kind == _NLMSG_ERROR:
                _raise(answer)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    sock.settimeout(1.0)
    sock.bind((0, 0))
    return sock


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _raise(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, f"rtnetlink: {os.strerror(-code)}")
