"""Resource quantities: `500m`, `1.5Gi`, `2e3`, exactly as upstream reads and writes them.

Values are exact decimals; nothing is ever a float. What is finer than a nano is rounded up, what is beyond
64 bits is refused (upstream caps it silently), and no input makes us compute with more digits than it has.
After `k8s.io/apimachinery/pkg/api/resource/quantity.go`.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache
from typing import Final

_PATTERN: Final = re.compile(r"([+-]?)([0-9]*(?:\.[0-9]*)?)([eEinumkKMGTP]*)([-+]?[0-9]*)\Z")
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_LIMIT: Final = Decimal(2**63 - 1)
_NANO: Final = Decimal("1e-9")
_EXACT: Final = Context(prec=80)
_MAX_TEXT: Final = 64

FORMAT_PROBLEM: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_PROBLEM: Final = "unable to parse quantity's suffix"
RANGE_PROBLEM: Final = "quantity is out of range: it must fit into 64 bits"


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Decimal, str]:
    """The value and its format: `binary`, `decimal` or `exponent`."""
    match = _PATTERN.match(text) if len(text) <= _MAX_TEXT else None
    if match is None or match[2] in ("", "."):
        raise QuantityError(FORMAT_PROBLEM)
    sign, number, suffix, digits = match.groups()
    style, factor, exponent = "decimal", Decimal(1), 0
    if not digits and suffix in _BINARY:
        style, factor = "binary", Decimal(1024 ** _BINARY[suffix])
    elif not digits and suffix in _DECIMAL:
        exponent = _DECIMAL[suffix]
    elif suffix in ("e", "E") and digits.lstrip("+-"):
        style, exponent = "exponent", int(digits)
    else:
        raise QuantityError(SUFFIX_PROBLEM)
    if abs(exponent) > 100:
        raise QuantityError(RANGE_PROBLEM)
    value = _EXACT.multiply(Decimal(sign + number).scaleb(exponent, _EXACT), factor)
    if abs(value) > _LIMIT:
        raise QuantityError(RANGE_PROBLEM)
    return _EXACT.quantize(value, _NANO) if value % _NANO == 0 else _round_up(value), style


def _round_up(value: Decimal) -> Decimal:
    away = Context(prec=80, rounding=ROUND_CEILING)
    rounded = away.quantize(abs(value), _NANO)
    return rounded if value > 0 else -rounded


def parse(text: str | int) -> Decimal:
    """The exact value. Raises: QuantityError."""
    return _parse(str(text))[0]


def milli(text: str | int) -> int:
    """The value in thousandths, rounded up: `cpu` as cpu_milli. Raises: QuantityError."""
    return int((parse(text) * 1000).to_integral_value(ROUND_CEILING))


def to_bytes(text: str | int) -> int:
    """The value in whole units, rounded up: memory as bytes. Raises: QuantityError."""
    return int(parse(text).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=4096)
def canonical(text: str | int) -> str:
    """The one way to write this quantity: no fraction, the largest suffix. Raises: QuantityError."""
    value, style = _parse(str(text))
    if style == "binary" and (abs(value) < 1024 or value != value.to_integral_value()):
        style = "decimal"
    if style == "binary":
        whole, power = int(value), 0
        while whole % 1024 == 0 and power < 6:
            whole, power = whole // 1024, power + 1
        return f"{whole}{_BINARY_SUFFIX[power]}"
    nanos, exponent = int(value.scaleb(9)), -9
    if nanos == 0:
        return "0"
    while nanos % 1000 == 0 and exponent < 18:
        nanos, exponent = nanos // 1000, exponent + 3
    if style == "exponent" and exponent:
        return f"{nanos}e{exponent}"
    return f"{nanos}{_DECIMAL_SUFFIX[exponent]}"


def format_milli(value_milli: int) -> str:
    """Thousandths as a canonical quantity: 1500 → `1500m`, 2000 → `2`."""
    return canonical(f"{value_milli}m")


def format_bytes(value_bytes: int) -> str:
    """Bytes as a canonical binary quantity: 2147483648 → `2Gi`."""
    whole, power = value_bytes, 0
    while whole and whole % 1024 == 0 and power < 6:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY_SUFFIX[power]}"
