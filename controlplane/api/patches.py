"""The three patches of the API: JSON patch, merge patch and strategic merge patch.

Each takes the object as it is and what the client sent, and returns the new object; the first may be changed
on the way, so callers pass a copy of their own. A patch that can't be understood is a 400, one that doesn't fit
the object a 422. After RFC 6902, RFC 7386 and `k8s.io/apimachinery/pkg/util/strategicpatch`; the strategic rules
(merge keys, retainKeys) come from the schema.
"""

from __future__ import annotations

from typing import Any, Final

import jsonpatch
import jsonpointer

from controlplane.api import schema
from controlplane.api.errors import ApiError

Obj = dict[str, Any]

COPY_LIMIT: Final = 3 * 1024 * 1024
"""So many nodes may a JSON patch's `copy` operations make in all: they can double an object each."""
DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
ELEMENT_ORDER: Final = "$setElementOrder/"
DELETE_PRIMITIVES: Final = "$deleteFromPrimitiveList/"


def _unfit(why: str) -> ApiError:
    """The answer to a patch that doesn't fit its object, as upstream's."""
    message = "the server rejected our request due to an error in our request"
    causes = [{"reason": "UnexpectedServerResponse", "message": why}]
    return ApiError(422, "Invalid", f"{message}: {why}", {"causes": causes})


# --- JSON patch -------------------------------------------------------------------------------------------------


def json_patch(obj: Any, operations: Any) -> Any:
    """Applies a list of operations in order. Raises: ApiError 400 for their form, 422 when they don't fit."""
    if type(operations) is not list:
        raise ApiError.bad_request("a JSON patch is a list of operations")
    copied = 0
    for operation in operations:
        patch = _checked(operation)
        try:
            if operation["op"] in ("copy", "move"):
                copied += _size(jsonpointer.resolve_pointer(obj, operation["from"]))
                if copied > COPY_LIMIT:
                    raise ApiError.too_large("the JSON patch copies too much")
            obj = patch.apply(obj, in_place=True)
        except (
            jsonpatch.JsonPatchConflict,
            jsonpatch.JsonPatchTestFailed,
            jsonpointer.JsonPointerException,
        ) as error:
            raise _unfit(str(error)[:200]) from None
        except jsonpatch.InvalidJsonPatch as error:
            raise ApiError.bad_request(f"bad JSON patch: {str(error)[:200]}") from None
    return obj


def _checked(operation: Any) -> jsonpatch.JsonPatch:
    """One operation, right in its form. Raises: ApiError 400."""
    if type(operation) is not dict:
        raise ApiError.bad_request("a JSON patch's operation is an object with `op` and `path`")
    try:
        moved = operation.get("op") in ("copy", "move")
        for key in ("path", "from") if moved else ("path",):
            jsonpointer.JsonPointer(operation[key])
        return jsonpatch.JsonPatch([operation])
    except KeyError as missing:
        raise ApiError.bad_request(f"bad JSON patch: an operation lacks {missing}") from None
    except (jsonpatch.InvalidJsonPatch, jsonpointer.JsonPointerException, TypeError) as error:
        raise ApiError.bad_request(f"bad JSON patch: {str(error)[:200]}") from None


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(item) for item in value)
    return len(value) if isinstance(value, str) else 1


# --- merge patch ------------------------------------------------------------------------------------------------


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386: maps merge, null deletes, everything else replaces."""
    if type(patch) is not dict:
        return patch
    result: Obj = obj if type(obj) is dict else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


# --- strategic merge patch --------------------------------------------------------------------------------------


def strategic_merge_patch(original: Obj, patch: Any, schema_type: str) -> Obj:
    """Merges by the schema's strategies: lists of a merge key merge by it, others are replaced.

    Raises: ApiError 400 for a bad directive, 422 when list items lack their merge key.
    """
    if type(patch) is not dict:
        raise ApiError.bad_request("a strategic merge patch is an object")
    return _merge_map(original, patch, schema.get(schema_type))


def _type_of(field: schema.Field | None) -> schema.Type | None:
    """The struct of a field (of its items, if it is a list), where it is one."""
    if field is None or field.is_map or field.element in schema.SCALARS or field.element in schema.ANYTHING:
        return None
    return schema.get(field.element)


def _merge_map(original: Obj, patch: Obj, kind: schema.Type | None) -> Obj:
    directive = patch.get(DIRECTIVE)
    if directive is not None:
        if directive == "replace":
            return {key: _cleaned(value) for key, value in patch.items() if key != DIRECTIVE and value is not None}
        if directive == "delete":
            return {}
        raise ApiError.bad_request(f"bad patch type: {str(directive)[:40]}: not one of replace, delete")
    patch = dict(patch)
    _retain_keys(original, patch)
    _delete_primitives(original, patch)
    for key in [key for key in patch if key.startswith(ELEMENT_ORDER)]:
        name = key[len(ELEMENT_ORDER) :]
        _merge_ordered(original, patch, name, patch.pop(key), kind)
    for key, value in patch.items():
        field = kind.fields.get(key) if kind else None
        if value is None:
            original.pop(key, None)
        elif type(value) is dict and type(original.get(key)) is dict:
            if field is not None and "replace" in field.patch_strategy.split(","):
                original[key] = _cleaned(value)
            else:
                original[key] = _merge_map(original[key], value, _type_of(field))
        elif type(value) is list and type(original.get(key)) is list and _merges(field):
            original[key] = _merge_list(original[key], value, field)
        elif _directs(value):
            original.pop(key, None)
        else:
            original[key] = _cleaned(value)
    return original


def _merges(field: schema.Field | None) -> bool:
    return field is not None and field.is_list and "merge" in field.patch_strategy.split(",")


def _retain_keys(original: Obj, patch: Obj) -> None:
    """`$retainKeys`: what is not in the list goes; the patch may set nothing else."""
    retained = patch.pop(RETAIN_KEYS, None)
    if retained is None:
        return
    if type(retained) is not list:
        raise ApiError.bad_request("$retainKeys needs a list")
    if any(not key.startswith("$") and value is not None and key not in retained for key, value in patch.items()):
        raise ApiError.bad_request("the patch sets a field that its $retainKeys does not hold")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _delete_primitives(original: Obj, patch: Obj) -> None:
    for key in [key for key in patch if key.startswith(DELETE_PRIMITIVES)]:
        gone, name = patch.pop(key), key[len(DELETE_PRIMITIVES) :]
        if type(gone) is not list:
            raise ApiError.bad_request(f"{key[:100]} needs a list")
        if type(original.get(name)) is list:
            original[name] = [item for item in original[name] if item not in gone]


def _merge_ordered(original: Obj, patch: Obj, name: str, order: Any, kind: schema.Type | None) -> None:
    """`$setElementOrder`: merges the list, then brings it into the order that the client saw."""
    field = kind.fields.get(name) if kind else None
    if type(order) is not list:
        raise ApiError.bad_request(f"{ELEMENT_ORDER}{name[:100]} needs a list")
    if field is None or not _merges(field):
        raise ApiError.bad_request(f"{ELEMENT_ORDER}{name[:100]}: the list does not merge")
    before = original.get(name) or []
    before_keys = [_key(item, field) for item in before]
    changes = patch.pop(name, None)
    merged = _merge_list(list(before), changes, field) if changes else before
    wanted = [_key(item, field) for item in order]
    position = {repr(key): index for index, key in enumerate(wanted)}
    listed = sorted(
        (item for item in merged if repr(_key(item, field)) in position),
        key=lambda item: position[repr(_key(item, field))],
    )
    others = [item for item in merged if repr(_key(item, field)) not in position]
    result = _interleave(others, listed, before_keys, field)
    if result or name in original:
        original[name] = result


def _interleave(others: list[Any], listed: list[Any], before: list[Any], field: schema.Field) -> list[Any]:
    """Items that the client doesn't know stay where they were, relative to those that it knows."""
    place = {repr(key): index for index, key in enumerate(before)}
    result: list[Any] = []
    left, right = list(others), list(listed)
    while left and right:
        first, second = place.get(repr(_key(left[0], field))), place.get(repr(_key(right[0], field)))
        result.append(left.pop(0) if first is not None and second is not None and first < second else right.pop(0))
    return result + left + right


def _key(item: Any, field: schema.Field) -> Any:
    """What tells an item from the others: its merge key's value, or itself when it is a primitive."""
    if type(item) is not dict:
        return item
    if field.patch_merge_key not in item:
        raise _unfit(f"map: {str(item)[:200]} does not contain declared merge key: {field.patch_merge_key}")
    return item[field.patch_merge_key]


def _merge_list(original: list[Any], patch: list[Any], field: schema.Field | None) -> list[Any]:
    if field is None or not field.patch_merge_key:
        return [*original, *(item for item in _unique(patch) if item not in original)]
    if any(type(item) is not dict for item in patch):
        raise _unfit(f"every item of {field.name} must be an object")
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_cleaned(item) for item in patch if DIRECTIVE not in item]
    result = list(original)
    kind = _type_of(field)
    for item in patch:
        key = _key(item, field)
        directive = item.get(DIRECTIVE)
        if directive == "delete":
            result = [other for other in result if _key(other, field) != key]
            continue
        if directive not in (None, "merge"):
            raise ApiError.bad_request(f"bad patch type: {str(directive)[:40]}: not one of replace, delete, merge")
        change = {name: value for name, value in item.items() if name != DIRECTIVE}
        for index, other in enumerate(result):
            if _key(other, field) == key:
                result[index] = _merge_map(other, change, kind)
                break
        else:
            result.append(_cleaned(change))
    return result


def _unique(items: list[Any]) -> list[Any]:
    result: list[Any] = []
    for item in items:
        if item not in result:
            result.append(item)
    return result


def _directs(value: Any) -> bool:
    """Whether a value of the patch is a directive about what is there, so that it adds nothing where nothing is."""
    return type(value) is dict and DIRECTIVE in value


def _cleaned(value: Any) -> Any:
    """A value of the patch as it enters the object: without nulls and directives (upstream's `removeDirectives`)."""
    if type(value) is dict:
        return {
            key: _cleaned(item)
            for key, item in value.items()
            if item is not None
            and not _directs(item)
            and key not in (DIRECTIVE, RETAIN_KEYS)
            and not key.startswith((ELEMENT_ORDER, DELETE_PRIMITIVES))
        }
    if type(value) is list:
        return [_cleaned(item) for item in value if not _directs(item)]
    return value
