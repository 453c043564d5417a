"""The facts of the published types."""

from __future__ import annotations

import pytest

from controlplane.api import schema


def test_inlined_structs_are_flat_in_json_and_nested_in_protobuf() -> None:
    volume = schema.get("core.v1.Volume")
    assert {"name", "emptyDir", "configMap"} <= volume.fields.keys()
    assert volume.by_number[2].type == "core.v1.VolumeSource"
    assert not volume.by_number[2].name


def test_fields_know_their_merge_keys() -> None:
    containers = schema.get("core.v1.PodSpec").fields["containers"]
    assert (containers.patch_strategy, containers.patch_merge_key) == ("merge", "name")
    assert containers.list_map_keys == ("name",)
    assert containers.is_list
    assert containers.element == "core.v1.Container"
    labels = schema.get("meta.v1.ObjectMeta").fields["labels"]
    assert (labels.is_map, labels.element) == (True, "string")


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("v1", "Pod", "core.v1.Pod"),
        ("coordination.k8s.io/v1", "Lease", "coordination.v1.Lease"),
        ("apps/v1", "Deployment", "apps.v1.Deployment"),
        ("rbac.authorization.k8s.io/v1", "Role", "rbac.v1.Role"),
        ("v1", "DeleteOptions", "meta.v1.DeleteOptions"),
        ("policy/v1", "DeleteOptions", "meta.v1.DeleteOptions"),
    ],
)
def test_names_of_kinds(api_version: str, kind: str, name: str) -> None:
    assert schema.name_of(api_version, kind) == name
    assert schema.get(name).name == name


def test_what_stands_alone_has_a_kind() -> None:
    assert schema.get("core.v1.Pod").is_object
    assert schema.get("core.v1.PodList").is_object
    assert schema.get("autoscaling.v1.Scale").is_object
    assert not schema.get("core.v1.PodTemplateSpec").is_object
    assert not schema.get("core.v1.PodSpec").is_object


def test_unknown_types_are_named() -> None:
    with pytest.raises(schema.SchemaError, match=r"core\.v1\.Nothing"):
        schema.get("core.v1.Nothing")
