"""Quantities: upstream's syntax, exact values, one canonical form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import quantity


@pytest.mark.parametrize(
    ("text", "canonical", "milli", "whole"),
    [
        ("0", "0", 0, 0),
        ("100m", "100m", 100, 1),
        ("0.5", "500m", 500, 1),
        ("1000m", "1", 1000, 1),
        ("1.5", "1500m", 1500, 2),
        ("100000k", "100M", 100_000_000_000, 100_000_000),
        ("1024Mi", "1Gi", 1024**3 * 1000, 1024**3),
        ("1.5Gi", "1536Mi", 1536 * 1024**2 * 1000, 1536 * 1024**2),
        ("0.5Ki", "512", 512_000, 512),
        ("1.1Ki", "1126400m", 1_126_400, 1127),
        ("1e3", "1e3", 1_000_000, 1000),
        ("1E3", "1e3", 1_000_000, 1000),
        ("1E", "1E", 10**21, 10**18),
        ("-5", "-5", -5000, -5),
        ("+5", "5", 5000, 5),
        (".5", "500m", 500, 1),
        ("5.", "5", 5000, 5),
        ("1n", "1n", 1, 1),
        ("0.1n", "1n", 1, 1),
        ("-0.1n", "-1n", 0, 0),
        ("9223372036854775807", "9223372036854775807", (2**63 - 1) * 1000, 2**63 - 1),
    ],
)
def test_reads_and_writes_as_upstream(text: str, canonical: str, milli: int, whole: int) -> None:
    assert quantity.canonical(text) == canonical
    assert quantity.milli(text) == milli
    assert quantity.to_bytes(text) == whole


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 ", "1KiB", "--1", "1.2.3", "NaN", "Inf", "1e", "1ee3", "1mm", "0x10", "1_000", "١", "1" * 65, "."],
)
def test_refuses_what_is_out_of_form(text: str) -> None:
    with pytest.raises(quantity.QuantityError):
        quantity.canonical(text)


@pytest.mark.parametrize("text", ["1e400", "1e1000000000", "9223372036854775808", "8Ei", "-1e30", "1e-101"])
def test_refuses_what_is_out_of_range_at_once(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match="out of range"):
        quantity.canonical(text)


numbers = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=9)
suffixes = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3"])


@given(numbers, suffixes)
def test_canonical_keeps_the_value_and_is_stable(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    written = quantity.canonical(text)
    assert quantity.parse(written) == quantity.parse(text)
    assert quantity.canonical(written) == written


@given(st.text(max_size=70))
def test_no_text_does_worse_than_a_refusal(text: str) -> None:
    try:
        written = quantity.canonical(text)
    except quantity.QuantityError:
        return
    assert quantity.canonical(written) == written


@given(st.integers(min_value=0, max_value=2**60))
def test_formats_read_back(number: int) -> None:
    assert quantity.to_bytes(quantity.format_bytes(number)) == number
    assert quantity.milli(quantity.format_milli(number)) == number
