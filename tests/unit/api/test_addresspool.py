"""The pool of public addresses."""

from __future__ import annotations

import pytest

from controlplane.api.addresspool import Pool


def test_ranges_and_single_addresses() -> None:
    pool = Pool.parse("10.0.0.1-10.0.0.2, 10.1.0.7")
    assert list(pool) == ["10.0.0.1", "10.0.0.2", "10.1.0.7"]
    assert "10.1.0.7" in pool
    assert not any(address in pool for address in ("10.0.0.0", "10.0.0.3", "", "nonsense"))


@pytest.mark.parametrize(
    "text", ["", ",", "a-b", "10.0.0.9-10.0.0.1", "10.0.0.256", "10.0.0.0-11.0.0.0", "10.77.0.0/24"]
)
def test_bad_ones_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="pool"):
        Pool.parse(text)
