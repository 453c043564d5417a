"""The smaller kinds: what each defaults, refuses and shows."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from controlplane.api import schema
from controlplane.apiserver.resources import (
    ALL,
    configmaps,
    endpoints,
    endpointslices,
    events,
    leases,
    namespaces,
    nodes,
    replicationcontrollers,
    secrets,
    serviceaccounts,
)
from tests.unit.resources.build import changed, context, create, row, update


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.plural)
def test_every_resource_is_whole(resource: Any) -> None:
    assert schema.get(resource.schema).is_object
    assert schema.get(f"{resource.schema}List")
    assert resource.columns
    assert resource.singular == resource.kind.lower()
    empty: dict[str, Any] = {"metadata": {}}
    assert all(isinstance(getter(empty), str) for getter in resource.selectable.values())
    assert all(value is not None for value in row(resource, empty, wide=True).values())
    assert ("status" in resource.subresources) == resource.strategy.has_status


def test_names_of_resources() -> None:
    assert {resource.qualified for resource in ALL} >= {"pods", "leases.coordination.k8s.io"}
    assert len({resource.key for resource in ALL}) == len(ALL) == 12
    slices = endpointslices.RESOURCE
    assert (slices.key, slices.api_version) == ("discovery.k8s.io/endpointslices", "discovery.k8s.io/v1")


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.plural)
@pytest.mark.parametrize("name", ["../x", "a/b", "a'b", 'a"b', "a\nb", "a\0b", "..", "a%2fb"])
def test_no_kind_takes_an_evil_name(resource: Any, name: str) -> None:
    obj = {"metadata": {"name": name, "namespace": "default"} if resource.namespaced else {"name": name}}
    resource.strategy.default(obj)
    found = [cause.field for cause in resource.validate(obj, None)]
    assert "metadata.name" in found


def rc(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {"metadata": {"name": "web"}, "spec": {"replicas": 3, "template": template, **spec}}


class TestReplicationControllers:
    resource = replicationcontrollers.RESOURCE

    def test_selector_and_labels_come_from_the_template(self) -> None:
        found = create(self.resource, rc()).obj
        assert found["spec"]["selector"] == found["metadata"]["labels"] == {"app": "web"}
        assert found["status"] == {"replicas": 0}
        spec = found["spec"]["template"]["spec"]
        assert spec["restartPolicy"] == "Always"
        assert "enableServiceLinks" not in spec

    def test_one_replica_by_default(self) -> None:
        assert create(self.resource, changed(rc(), "spec.replicas", None)).obj["spec"]["replicas"] == 1

    @pytest.mark.parametrize(
        ("path", "value", "field"),
        [
            ("spec.replicas", -1, "spec.replicas"),
            ("spec.replicas", 10**9, "spec.replicas"),
            ("spec.minReadySeconds", -1, "spec.minReadySeconds"),
            ("spec.template", None, "spec.selector"),
            ("spec.selector", {"app": "other"}, "spec.template.metadata.labels"),
            ("spec.template.metadata.labels", {"a b": "c"}, "spec.selector"),
            ("spec.template.spec.restartPolicy", "Never", "spec.template.spec.restartPolicy"),
            ("spec.template.spec.containers.0.image", "", "spec.template.spec.containers[0].image"),
        ],
    )
    def test_each_mistake_names_its_field(self, path: str, value: Any, field: str) -> None:
        assert field in create(self.resource, changed(rc(), path, value)).fields

    def test_the_template_warns_with_its_path(self) -> None:
        obj = changed(rc(), "spec.template.spec.volumes", [{"name": "v", "nfs": {"server": "s", "path": "/"}}])
        assert create(self.resource, obj).warnings[0].startswith("spec.template.spec.volumes[0].nfs:")

    def test_generation_follows_the_spec(self) -> None:
        stored = create(self.resource, rc()).obj
        assert self.resource.strategy.generation_changes(changed(stored, "spec.replicas", 5), stored)
        assert not self.resource.strategy.generation_changes(changed(stored, "metadata.labels", {}), stored)

    def test_status_adds_up(self) -> None:
        stored = create(self.resource, rc()).obj
        bad = {**stored, "status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": -1}}
        fields = [cause.field for cause in self.resource.strategy.validate_status(bad, stored)]
        assert fields == ["status.availableReplicas", "status.readyReplicas"]

    def test_columns_and_scale(self) -> None:
        stored = {**create(self.resource, rc()).obj, "status": {"replicas": 2, "readyReplicas": 1}}
        assert list(row(self.resource, stored, wide=True).values()) == [
            "web", 3, 2, 1, "<unknown>", "web", "web:1", "app=web",
        ]  # fmt: skip
        assert self.resource.scale
        assert self.resource.scale.selector(stored) == "app=web"


class TestNodes:
    resource = nodes.RESOURCE

    def test_an_agent_registers_spec_and_status_at_once(self) -> None:
        obj = {
            "metadata": {"name": "worker-1"},
            "spec": {"podCIDR": "10.244.1.0/24"},
            "status": {"capacity": {"cpu": "2"}},
        }
        found = create(self.resource, obj)
        assert (found.causes, found.obj["status"]) == ([], {"capacity": {"cpu": "2"}})

    @pytest.mark.parametrize(
        ("obj", "field"),
        [
            ({"spec": {"podCIDR": "x"}}, "spec.podCIDRs[0]"),
            ({"spec": {"taints": [{"key": "a b", "effect": "NoSchedule"}]}}, "spec.taints[0].key"),
            ({"spec": {"taints": [{"key": "a", "effect": "Maybe"}]}}, "spec.taints[0].effect"),
            ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}}, "spec.taints[1]"),
            ({"status": {"capacity": {"cpu": "-1"}}}, "status.capacity.cpu"),
            ({"status": {"addresses": [{"type": "InternalIP", "address": "1.2.3.4"}] * 2}}, "status.addresses[1]"),
        ],
    )
    def test_each_mistake_names_its_field(self, obj: dict[str, Any], field: str) -> None:
        assert create(self.resource, {"metadata": {"name": "worker-1"}, **obj}).fields == [field]

    def test_its_pod_range_stays(self) -> None:
        old = create(self.resource, {"metadata": {"name": "w"}, "spec": {"podCIDR": "10.244.1.0/24"}}).obj
        assert update(self.resource, changed(old, "spec.podCIDR", "10.244.2.0/24"), old).fields == ["spec.podCIDR"]
        assert update(self.resource, changed(old, "spec.unschedulable", True), old).causes == []

    @pytest.mark.parametrize(
        ("conditions", "unschedulable", "status"),
        [
            ([{"type": "Ready", "status": "True"}], False, "Ready"),
            ([{"type": "Ready", "status": "False"}], False, "NotReady"),
            ([{"type": "Ready", "status": "Unknown"}], False, "NotReady"),
            ([{"type": "Ready", "status": "True"}], True, "Ready,SchedulingDisabled"),
            ([], False, "Unknown"),
        ],
    )
    def test_columns(self, conditions: list[Any], unschedulable: bool, status: str) -> None:
        obj = {
            "metadata": {
                "name": "w",
                "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "extra", "a": "b"},
                "creationTimestamp": "2026-11-24T10:00:00Z",
            },
            "spec": {"unschedulable": unschedulable},
            "status": {
                "conditions": conditions,
                "addresses": [{"type": "InternalIP", "address": "10.77.0.11"}],
                "nodeInfo": {
                    "kubeletVersion": "v1.37.0",
                    "osImage": "Debian",
                    "containerRuntimeVersion": "containerd://1.6",
                },
            },
        }
        assert row(self.resource, obj, wide=True) == {
            "Name": "w",
            "Status": status,
            "Roles": "extra,worker",
            "Age": "60m",
            "Version": "v1.37.0",
            "Internal-IP": "10.77.0.11",
            "External-IP": "<none>",
            "OS-Image": "Debian",
            "Kernel-Version": "<unknown>",
            "Container-Runtime": "containerd://1.6",
        }


class TestNamespaces:
    resource = namespaces.RESOURCE

    def test_it_starts_active_with_its_finalizer_and_label(self) -> None:
        found = create(self.resource, {"metadata": {"name": "demo"}, "status": {"phase": "Terminating"}}).obj
        assert found["spec"] == {"finalizers": ["kubernetes"]}
        assert found["status"] == {"phase": "Active"}
        assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "demo"}

    def test_an_update_does_not_touch_the_finalizers(self) -> None:
        old = create(self.resource, {"metadata": {"name": "demo"}}).obj
        assert update(self.resource, changed(old, "spec.finalizers", []), old).obj == old

    def test_deletion_begins_and_waits(self) -> None:
        obj = create(self.resource, {"metadata": {"name": "demo"}}).obj
        assert self.resource.strategy.begin_delete(obj, context()) is True
        assert row(self.resource, obj)["Status"] == "Terminating"
        obj["spec"]["finalizers"] = []
        assert self.resource.strategy.begin_delete(obj, context()) is False

    def test_its_name_is_a_label(self) -> None:
        assert "metadata.name" in create(self.resource, {"metadata": {"name": "a.b"}}).fields


class TestConfigMapsAndSecrets:
    def test_string_data_becomes_data(self) -> None:
        obj = {"metadata": {"name": "s"}, "data": {"a": "eA=="}, "stringData": {"b": "y", "a": "z"}}
        found = create(secrets.RESOURCE, obj).obj
        assert "stringData" not in found
        assert {key: base64.b64decode(value) for key, value in found["data"].items()} == {"a": b"z", "b": b"y"}
        assert found["type"] == "Opaque"

    @pytest.mark.parametrize("resource", [configmaps.RESOURCE, secrets.RESOURCE], ids=["configmap", "secret"])
    @pytest.mark.parametrize("key", ["a/b", "..", "../x", "a\nb", "", "a b", "x" * 254])
    def test_keys_may_become_file_names(self, resource: Any, key: str) -> None:
        found = create(resource, {"metadata": {"name": "x"}, "data": {key: "YQ=="}}).fields
        assert set(found) == {f"data[{key}]"}

    @pytest.mark.parametrize("resource", [configmaps.RESOURCE, secrets.RESOURCE], ids=["configmap", "secret"])
    def test_immutable_means_it(self, resource: Any) -> None:
        old = create(resource, {"metadata": {"name": "x"}, "data": {"a": "YQ=="}, "immutable": True}).obj
        assert update(resource, changed(old, "data.a", "Yg=="), old).fields == ["data"]
        assert update(resource, changed(old, "immutable", False), old).fields == ["immutable"]
        assert update(resource, changed(old, "metadata.labels", {"a": "b"}), old).causes == []

    def test_they_are_not_endless(self) -> None:
        big = {"metadata": {"name": "x"}, "data": {"a": "x" * (1024 * 1024 + 1)}}
        assert create(configmaps.RESOURCE, big).causes[0].reason == "FieldValueTooLong"

    @pytest.mark.parametrize(
        ("kind", "data", "fields"),
        [
            ("kubernetes.io/tls", {"tls.crt": "YQ=="}, ["data[tls.key]"]),
            ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]"]),
            ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "YQ=="}, ["data[.dockerconfigjson]"]),
            ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="}, []),
            ("kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]),
            ("kubernetes.io/service-account-token", {}, ["metadata.annotations[kubernetes.io/service-account.name]"]),
            ("example.com/own", {}, []),
        ],
    )
    def test_types_of_secrets(self, kind: str, data: dict[str, str], fields: list[str]) -> None:
        assert create(secrets.RESOURCE, {"metadata": {"name": "s"}, "type": kind, "data": data}).fields == fields

    def test_a_type_stays(self) -> None:
        old = create(secrets.RESOURCE, {"metadata": {"name": "s"}}).obj
        assert update(secrets.RESOURCE, changed(old, "type", "example.com/x"), old).fields == ["type"]

    def test_no_secret_shows_in_a_message(self) -> None:
        obj = {"metadata": {"name": "s"}, "type": "kubernetes.io/dockercfg", "data": {".dockercfg": "c2VjcmV0"}}
        assert "c2VjcmV0" not in create(secrets.RESOURCE, obj).causes[0].message

    def test_columns(self) -> None:
        assert (
            row(configmaps.RESOURCE, {"metadata": {"name": "x"}, "data": {"a": ""}, "binaryData": {"b": ""}})["Data"]
            == 2
        )
        assert list(row(secrets.RESOURCE, {"metadata": {"name": "x"}, "type": "Opaque"}).values())[:3] == [
            "x",
            "Opaque",
            0,
        ]
        assert row(serviceaccounts.RESOURCE, {"metadata": {"name": "x"}})["Secrets"] == 0


class TestEvents:
    resource = events.RESOURCE
    event: dict[str, Any] = {  # noqa: RUF012 (never changed)
        "metadata": {"name": "web.17", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default", "fieldPath": "spec.containers{web}"},
        "reason": "Started",
        "message": "Started container web\n",
        "type": "Normal",
        "source": {"component": "kubelet", "host": "worker-1"},
        "firstTimestamp": "2026-11-24T10:58:00Z",
        "lastTimestamp": "2026-11-24T10:59:30Z",
        "count": 4,
    }

    def test_it_must_be_about_its_own_namespace(self) -> None:
        assert create(self.resource, self.event).causes == []
        other = changed(self.event, "involvedObject.namespace", "kube-system")
        assert create(self.resource, other).fields == ["involvedObject.namespace"]
        node = changed(self.event, "involvedObject", {"kind": "Node", "name": "worker-1"})
        assert create(self.resource, node).causes == []

    def test_columns(self) -> None:
        assert row(self.resource, self.event, wide=True) == {
            "Last Seen": "30s",
            "Type": "Normal",
            "Reason": "Started",
            "Object": "pod/web",
            "Subobject": "spec.containers{web}",
            "Source": "kubelet, worker-1",
            "Message": "Started container web",
            "First Seen": "2m",
            "Count": 4,
            "Name": "web.17",
        }

    def test_new_style_events(self) -> None:
        new = {
            "metadata": {"name": "e"},
            "eventTime": "2026-11-24T10:59:00.000000Z",
            "series": {"count": 9, "lastObservedTime": "2026-11-24T10:59:50.000000Z"},
            "reportingComponent": "x",
            "involvedObject": {"kind": "Node"},
        }
        cells = row(self.resource, new, wide=True)
        assert (cells["Last Seen"], cells["First Seen"], cells["Count"], cells["Object"]) == ("10s", "60s", 9, "node")
        assert create(self.resource, new).fields == ["reportingInstance", "action", "reason", "type"]

    def test_selectable(self) -> None:
        assert self.resource.selectable["involvedObject.name"](self.event) == "web"
        assert self.resource.selectable["source"](self.event) == "kubelet"


class TestEndpoints:
    def test_addresses_never_reach_into_a_node(self) -> None:
        for address in ("127.0.0.1", "169.254.169.254", "0.0.0.0", "x", "10.0.0.1\n"):
            obj = {
                "metadata": {"name": "web"},
                "subsets": [{"addresses": [{"ip": address}], "ports": [{"port": 80}]}],
            }
            assert create(endpoints.RESOURCE, obj).fields == ["subsets[0].addresses[0].ip"]
            piece = {"metadata": {"name": "web"}, "addressType": "IPv4", "endpoints": [{"addresses": [address]}]}
            assert create(endpointslices.RESOURCE, piece).fields == ["endpoints[0].addresses[0]"]

    @pytest.mark.parametrize(
        ("obj", "field"),
        [
            ({"endpoints": []}, "addressType"),
            ({"addressType": "IPv4", "endpoints": [{"addresses": []}]}, "endpoints[0].addresses"),
            ({"addressType": "IPv4", "endpoints": [], "ports": [{"port": 0}]}, "ports[0].port"),
            ({"addressType": "IPv4", "endpoints": [], "ports": [{"protocol": "X", "port": 1}]}, "ports[0].protocol"),
            ({"addressType": "IPv4", "endpoints": [], "ports": [{"port": 1}, {"port": 2}]}, "ports[1].name"),
            ({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}] * 1001}, "endpoints"),
        ],
    )
    def test_slices(self, obj: dict[str, Any], field: str) -> None:
        assert create(endpointslices.RESOURCE, {"metadata": {"name": "web-1"}, **obj}).fields == [field]

    def test_columns(self) -> None:
        subsets = [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)], "ports": [{"port": 80}]}]
        assert row(endpoints.RESOURCE, {"metadata": {"name": "x"}, "subsets": subsets})["Endpoints"] == (
            "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
        )
        assert row(endpoints.RESOURCE, {"metadata": {"name": "x"}})["Endpoints"] == "<none>"
        piece = {
            "metadata": {"name": "x"},
            "addressType": "IPv4",
            "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        }
        cells = row(endpointslices.RESOURCE, piece)
        assert (cells["AddressType"], cells["Ports"], cells["Endpoints"]) == ("IPv4", "80", "10.0.0.1")
        assert row(endpointslices.RESOURCE, {"metadata": {"name": "x"}})["Ports"] == "<unset>"


def test_leases() -> None:
    resource = leases.RESOURCE
    assert resource.store == "leases"
    bad = {"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}
    assert create(resource, bad).fields == ["spec.leaseDurationSeconds", "spec.leaseTransitions"]
    assert row(resource, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "worker-1"}})["Holder"] == "worker-1"
