"""The watchdog's one deadline."""

from __future__ import annotations

import json

import pytest

from nodeagent.watchdog import Watch


def say(armed: bool, deadline: float) -> bytes:
    return json.dumps({"armed": armed, "deadline": deadline}).encode()


def watching(*datagrams: bytes) -> Watch:
    watch = Watch()
    for datagram in datagrams:
        watch.hear(datagram)
    return watch


@pytest.mark.parametrize(
    ("datagrams", "now", "expired"),
    [
        pytest.param((), 1e9, False, id="never armed"),
        pytest.param((say(True, 10),), 9.9, False, id="before the deadline"),
        pytest.param((say(True, 10),), 10.0, True, id="at the deadline"),
        pytest.param((say(True, 10), say(True, 11)), 10.5, False, id="pushed on"),
        pytest.param((say(True, 11), say(True, 10)), 10.5, False, id="an older datagram pulls nothing back"),
        pytest.param((say(True, 10), say(False, 0)), 11.0, False, id="disarmed"),
        pytest.param((say(False, 0), say(True, 10)), 10.0, True, id="armed again"),
        pytest.param((say(True, 10), b"{"), 10.0, True, id="a broken datagram changes nothing"),
        pytest.param((say(True, 10), b'{"armed": true}'), 10.0, True, id="an incomplete one neither"),
    ],
)
def test_deadline(datagrams: tuple[bytes, ...], now: float, expired: bool) -> None:
    assert watching(*datagrams).expired(now) is expired


def test_it_fires_once_and_is_armed_by_the_next_datagram() -> None:
    watch = watching(say(True, 10))
    watch.fired()
    assert not watch.expired(20)
    watch.hear(say(True, 21))
    assert watch.expired(21)


def test_it_sleeps_until_the_deadline_or_for_ever() -> None:
    assert Watch().wait_s(5) is None
    assert watching(say(True, 10)).wait_s(4) == 6
    assert watching(say(True, 10)).wait_s(12) == 0
