"""Protobuf bodies: what kubectl really sends, and what nobody should send."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import protobuf
from controlplane.api.errors import ApiError
from tests.unit.api.kubectl_bodies import BODIES


def body(name: str) -> bytes:
    return base64.b64decode(BODIES[name])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("configmap", {"metadata": {"name": "cm"}, "data": {"a": "b", "c": ""}}),
        ("secret", {"metadata": {"name": "s"}, "data": {"user": "bWU="}}),
        ("serviceaccount", {"metadata": {"name": "sa"}}),
        ("namespace", {"metadata": {"name": "demo"}, "spec": {}, "status": {}}),
        (
            "nodeport",
            {
                "metadata": {"name": "web", "labels": {"app": "web"}},
                "spec": {
                    "type": "NodePort",
                    "selector": {"app": "web"},
                    "ports": [
                        {"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080}
                    ],
                },
                "status": {"loadBalancer": {}},
            },
        ),
    ],
)
def test_kubectl_bodies_decode_to_the_same_objects_as_json(name: str, expected: dict[str, Any]) -> None:
    found = protobuf.decode(body(name))
    assert found.pop("apiVersion") == "v1"
    assert found.pop("kind")
    assert found == expected


def test_a_zero_behind_a_pointer_is_kept() -> None:
    assert protobuf.decode(body("deployment"))["spec"]["replicas"] == 0


def field(number: int, data: bytes) -> bytes:
    size = len(data)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + data


def envelope(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    return protobuf.MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def test_delete_options() -> None:
    raw = b"\x08\x00" + field(4, b"Foreground")
    assert protobuf.decode(envelope(b"v1", b"DeleteOptions", raw)) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    }


def test_times_quantities_and_inlined_structs() -> None:
    spec = field(2, field(1, b"c") + field(8, field(2, field(1, b"cpu") + field(2, field(1, b"100m")))))
    volume = field(1, field(1, b"v") + field(2, field(2, b"")))
    meta = field(1, b"p") + field(8, b"\x08" + _varint(1_700_000_000))
    found = protobuf.decode(envelope(b"v1", b"Pod", field(1, meta) + field(2, volume + spec)))
    assert found["metadata"] == {"name": "p", "creationTimestamp": "2023-11-14T22:13:20Z"}
    assert found["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert found["spec"]["containers"] == [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"k8s", id="no magic"),
        pytest.param(body("configmap")[:-3], id="cut off"),
        pytest.param(envelope(b"v1", b"Nonsense", b""), id="unknown kind"),
        pytest.param(envelope(b"v1", b"ConfigMap", field(1, field(1, b"\xff"))), id="not UTF-8"),
        pytest.param(envelope(b"v1", b"ConfigMap", b"\x0b"), id="group wire type"),
        pytest.param(envelope(b"v1", b"ConfigMap", b"\x08\x01"), id="number for a message"),
        pytest.param(envelope(b"v1", b"Pod", b"\x80" * 12), id="endless number"),
        pytest.param(protobuf.MAGIC + b"\x08\x01\x10\x01", id="numbers for the envelope"),
    ],
)
def test_what_is_broken_is_a_400(bad: bytes) -> None:
    with pytest.raises(ApiError) as error:
        protobuf.decode(bad)
    assert error.value.code == 400


def test_messages_without_end_are_a_400() -> None:
    raw = b""
    for _ in range(300):
        raw = b"".join((b"\x0a", _varint(len(raw)), raw))
    with pytest.raises(ApiError) as error:
        protobuf.decode(envelope_long(b"apiextensions.k8s.io/v1", b"ConversionReview", raw))
    assert error.value.code == 400


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def envelope_long(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    return protobuf.MAGIC + field(1, field(1, api_version) + field(2, kind)) + b"\x12" + _varint(len(raw)) + raw


@given(st.binary(max_size=200), st.sampled_from([b"Pod", b"Service", b"DeleteOptions", b"Node", b"Event"]))
def test_no_bytes_ever_do_worse_than_400(raw: bytes, kind: bytes) -> None:
    try:
        answer: Any = protobuf.decode(envelope_long(b"v1", kind, raw))["kind"]
    except ApiError as error:
        answer = error.code
    assert answer in (kind.decode(), 400)
