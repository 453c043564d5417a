"""Accept headers, as the real clients send them."""

from __future__ import annotations

import pytest

from controlplane.api.errors import ApiError
from controlplane.apiserver.negotiate import Accepted, accepted

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
CASES = {
    "none": ("", Accepted("object")),
    "anything": ("*/*", Accepted("object")),
    "curl": ("text/html, */*;q=0.8", Accepted("object")),
    "kubectl get": (KUBECTL_GET, Accepted("table", "v1")),
    "metadata": (
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        Accepted("partiallist", "v1"),
    ),
    "typed client": ("application/vnd.kubernetes.protobuf, application/json", Accepted("object")),
    "discovery": (DISCOVERY, Accepted("discovery", "v2")),
    "unknown conversion first": ("application/json;as=Foo;v=v1;g=meta.k8s.io, application/json", Accepted("object")),
}


@pytest.mark.parametrize("case", CASES)
def test_accepted(case: str) -> None:
    header, expected = CASES[case]
    assert accepted(header) == expected


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "application/vnd.kubernetes.protobuf"])
def test_nothing_that_we_can_give(header: str) -> None:
    with pytest.raises(ApiError) as caught:
        accepted(header)
    assert caught.value.code == 406
