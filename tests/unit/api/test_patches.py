"""The three patches, with upstream's own cases where they say most."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import patches
from controlplane.api.errors import ApiError

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def reference_merge(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    target = dict(target)
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = reference_merge(target.get(name), value)
    return target


@given(values, values)
def test_merge_patch_is_the_rfc(target: Any, patch: Any) -> None:
    expected = reference_merge(copy.deepcopy(target), copy.deepcopy(patch))
    assert patches.merge_patch(copy.deepcopy(target), patch) == expected


@given(values, values)
def test_json_patch_replaces_and_tests(old: Any, new: Any) -> None:
    found = patches.json_patch({"x": old}, [{"op": "replace", "path": "/x", "value": new}])
    assert found == {"x": new}
    patches.json_patch(found, [{"op": "test", "path": "/x", "value": new}])


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/b", "value": 1}], {"a": [1, 2], "m": {"x/y": 1, "~": 2}, "b": 1}),
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "remove", "path": "/a/1"}], {"a": [1], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "remove", "path": "/m/x~1y"}], {"a": [1, 2], "m": {"~": 2}}),
        ([{"op": "remove", "path": "/m/~0"}], {"a": [1, 2], "m": {"x/y": 1}}),
        ([{"op": "move", "from": "/a", "path": "/z"}], {"z": [1, 2], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "copy", "from": "/a/0", "path": "/a/-"}], {"a": [1, 2, 1], "m": {"x/y": 1, "~": 2}}),
        ([{"op": "test", "path": "/a/0", "value": 1}, {"op": "remove", "path": "/m"}], {"a": [1, 2]}),
        ([{"op": "replace", "path": "", "value": {"q": 1}}], {"q": 1}),
        ([], {"a": [1, 2], "m": {"x/y": 1, "~": 2}}),
    ],
)
def test_json_patch_operations(operations: list[Any], expected: Any) -> None:
    assert patches.json_patch({"a": [1, 2], "m": {"x/y": 1, "~": 2}}, operations) == expected


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "remove", "path": "/nope"}, 422),
        ({"op": "replace", "path": "/nope", "value": 1}, 422),
        ({"op": "add", "path": "/nope/deep", "value": 1}, 422),
        ({"op": "add", "path": "/a/7", "value": 1}, 422),
        ({"op": "add", "path": "/a/01", "value": 1}, 422),
        ({"op": "remove", "path": "/a/-"}, 422),
        ({"op": "test", "path": "/a/0", "value": True}, 422),
        ({"op": "test", "path": "/a", "value": [1]}, 422),
        ({"op": "move", "from": "/m", "path": "/m/in"}, 422),
        ({"op": "fly", "path": "/a"}, 400),
        ({"op": "add", "path": "/a"}, 400),
        ({"op": "add", "value": 1}, 400),
        ({"op": "copy", "path": "/b"}, 400),
        ({"op": "add", "path": "a", "value": 1}, 400),
        ("nonsense", 400),
    ],
)
def test_json_patches_that_do_not_work(operation: Any, code: int) -> None:
    with pytest.raises(ApiError) as error:
        patches.json_patch({"a": [1, 2], "m": {}}, [operation])
    assert error.value.code == code


def test_copies_cannot_grow_without_end() -> None:
    operations = [{"op": "copy", "from": "/a", "path": "/a/x" + str(index)} for index in range(60)]
    with pytest.raises(ApiError) as error:
        patches.json_patch({"a": {"v": "x" * 1000}}, operations)
    assert error.value.code == 413


def strategic(original: Any, patch: Any, kind: str = "core.v1.Pod") -> Any:
    return patches.strategic_merge_patch(copy.deepcopy(original), patch, kind)


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": list(items)}}


A, B, C = ({"name": name, "image": f"{name}:1"} for name in "abc")


@pytest.mark.parametrize(
    ("original", "patch", "expected"),
    [
        pytest.param(
            containers(A, B),
            containers({"name": "b", "image": "b:2"}),
            containers(A, {"name": "b", "image": "b:2"}),
            id="items merge by their key",
        ),
        pytest.param(containers(A), containers(B), containers(A, B), id="new items are appended"),
        pytest.param(
            containers(A, B),
            containers({"name": "a", "$patch": "delete"}),
            containers(B),
            id="$patch delete of an item",
        ),
        pytest.param(
            containers(A, B), containers(C, {"$patch": "replace"}), containers(C), id="$patch replace of a list"
        ),
        pytest.param(
            {"status": {"phase": "Running"}},
            {"status": {"podIPs": [{"$patch": "replace"}, {"ip": "10.244.1.2"}]}},
            {"status": {"phase": "Running", "podIPs": [{"ip": "10.244.1.2"}]}},
            id="$patch replace of a list that is absent",
        ),
        pytest.param(
            {"spec": {}},
            {"spec": {"containers": [A, {"name": "b", "$patch": "delete"}]}},
            containers(A),
            id="$patch delete of an item of a list that is absent",
        ),
        pytest.param(
            {"spec": {}},
            {
                "spec": {
                    "nodeSelector": {"$patch": "delete"},
                    "affinity": {"podAffinity": {"$patch": "delete"}},
                }
            },
            {"spec": {"affinity": {}}},
            id="$patch delete of a map that is absent",
        ),
        pytest.param(
            {"spec": {"nodeSelector": {"a": "1", "b": "2"}}},
            {"spec": {"nodeSelector": {"$patch": "replace", "c": "3"}}},
            {"spec": {"nodeSelector": {"c": "3"}}},
            id="$patch replace of a map",
        ),
        pytest.param(
            {"spec": {"nodeSelector": {"a": "1"}}},
            {"spec": {"nodeSelector": {"$patch": "delete"}}},
            {"spec": {"nodeSelector": {}}},
            id="$patch delete of a map",
        ),
        pytest.param(
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
            {"metadata": {"labels": {"a": None, "c": "3", "d": None}}},
            {"metadata": {"labels": {"b": "2", "c": "3"}}},
            id="nulls delete, unknown nulls are nothing",
        ),
        pytest.param(
            {"metadata": {}},
            {"metadata": {"labels": {"a": None, "b": "2"}}},
            {"metadata": {"labels": {"b": "2"}}},
            id="nulls of new maps are dropped",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"key": "a"}]}},
            {"spec": {"tolerations": [{"key": "b"}]}},
            {"spec": {"tolerations": [{"key": "b"}]}},
            id="atomic lists are replaced",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a/1", "b/2"]}},
            {"metadata": {"finalizers": ["b/2", "c/3"]}},
            {"metadata": {"finalizers": ["a/1", "b/2", "c/3"]}},
            id="lists of primitives are united",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a/1", "b/2"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/1"]}},
            {"metadata": {"finalizers": ["b/2"]}},
            id="$deleteFromPrimitiveList",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
            {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}},
            {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}},
            id="$retainKeys",
        ),
        pytest.param(
            containers(A, B),
            {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
            containers(B, A),
            id="$setElementOrder alone",
        ),
        pytest.param(
            containers(A, B),
            {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [C]}},
            containers(C, A, B),
            id="$setElementOrder with an item that only the server has",
        ),
        pytest.param(
            containers(A, B, C),
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
                    "containers": [{"name": "a", "$patch": "delete"}],
                }
            },
            containers(C, B),
            id="$setElementOrder with a deletion",
        ),
        pytest.param(
            {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}},
            {
                "status": {
                    "$setElementOrder/conditions": [{"type": "Ready"}],
                    "conditions": [{"type": "Ready", "status": "True"}],
                }
            },
            {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}},
            id="conditions, as the node agent patches them",
        ),
        pytest.param(
            containers({**A, "env": [{"name": "X", "value": "1"}]}),
            containers({"name": "a", "env": [{"name": "Y", "value": "2"}]}),
            containers({**A, "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
            id="lists inside of items merge too",
        ),
    ],
)
def test_strategic_merge(original: Any, patch: Any, expected: Any) -> None:
    found = strategic(original, copy.deepcopy(patch))
    assert found == expected
    if "finalizers" not in str(patch):
        assert strategic(found, copy.deepcopy(patch)) == expected, "a second time changes nothing"


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        (containers({"image": "x"}), 422),
        ({"spec": {"containers": ["x"]}}, 422),
        ({"spec": {"$patch": "explode"}}, 400),
        ({"spec": {"$retainKeys": "x"}}, 400),
        ({"spec": {"$retainKeys": ["a"], "b": 1}}, 400),
        ({"spec": {"$setElementOrder/containers": "x"}}, 400),
        ({"spec": {"$setElementOrder/tolerations": []}}, 400),
        ({"spec": {"$deleteFromPrimitiveList/x": 1}}, 400),
        ([], 400),
    ],
)
def test_strategic_merges_that_do_not_work(patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as error:
        strategic(containers(A), patch)
    assert error.value.code == code


@given(values, values)
def test_without_lists_and_directives_it_is_a_merge_patch(target: Any, patch: Any) -> None:
    def unlisted(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unlisted(item) for key, item in value.items()}
        return str(value) if isinstance(value, list) else value

    original, change = {"x": unlisted(target)}, {"x": unlisted(patch)}
    merged = strategic(original, copy.deepcopy(change))
    expected = reference_merge(copy.deepcopy(original), copy.deepcopy(change))
    assert merged == expected
