"""The pool of public addresses: which there are. Pure.

The controller gives them out of it, and a node's proxy takes none from outside of it; both read the same text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

LARGEST = 65536


@dataclass(frozen=True)
class Pool:
    """IPv4 addresses that Services of type LoadBalancer may get, in order."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> Pool:
        """`10.77.0.200-10.77.0.250, 10.77.1.7`.

        Raises: ValueError that names the part which is no address or range.
        """
        ranges = []
        for part in (p.strip() for p in text.split(",")):
            if not part:
                continue
            first, _, last = part.partition("-")
            try:
                low, high = int(IPv4Address(first.strip())), int(IPv4Address((last or first).strip()))
            except AddressValueError as error:
                raise ValueError(f"pool of public addresses: {part!r}: {error}") from None
            if low > high or high - low >= LARGEST:
                raise ValueError(f"pool of public addresses: {part!r} is no range from a lower to a higher one")
            ranges.append((low, high))
        if not ranges:
            raise ValueError("pool of public addresses: it has none")
        return cls(tuple(ranges))

    def __contains__(self, address: str) -> bool:
        try:
            number = int(IPv4Address(address))
        except AddressValueError:
            return False
        return any(low <= number <= high for low, high in self.ranges)

    def __iter__(self) -> Iterator[str]:
        for low, high in self.ranges:
            yield from (str(IPv4Address(number)) for number in range(low, high + 1))

    def __str__(self) -> str:
        return ", ".join(f"{IPv4Address(low)}-{IPv4Address(high)}" for low, high in self.ranges)
