"""Makers of validation causes, worded as upstream's field errors.

Each returns one `Cause` whose message is what `field.Error.ErrorBody` prints, so that kubectl shows the
text that people find when they search for it. After `k8s.io/apimachinery/pkg/util/validation/field`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from controlplane.api.errors import Cause


def shown(value: Any) -> str:
    """A value as upstream prints it in a message: strings quoted, numbers plain, the rest as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def required(field: str, detail: str = "") -> Cause:
    """The field must be there."""
    return Cause(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> Cause:
    """The field's value is out of form or range."""
    text = f"Invalid value: {shown(value)}"
    return Cause(field, "FieldValueInvalid", f"{text}: {detail}" if detail else text)


def not_supported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """The field's value is not one of the known ones."""
    known = ", ".join(shown(item) for item in sorted(supported))
    return Cause(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {known}")


def forbidden(field: str, detail: str) -> Cause:
    """The field may not be set, or not be changed so."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate(field: str, value: Any) -> Cause:
    """The value stands twice where it may stand once."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def not_found(field: str, value: Any) -> Cause:
    """The value names something that isn't there."""
    return Cause(field, "FieldValueNotFound", f"Not found: {shown(value)}")


def too_long(field: str, limit_bytes: int) -> Cause:
    """The value has more bytes than allowed."""
    return Cause(field, "FieldValueTooLong", f"Too long: may not be more than {limit_bytes} bytes")


def too_many(field: str, count: int, limit: int) -> Cause:
    """The list has more items than allowed."""
    return Cause(field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


def type_invalid(field: str, value: Any, detail: str) -> Cause:
    """The value is of the wrong type."""
    return Cause(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}")


def each(field: str, value: Any, problems: Iterable[str]) -> list[Cause]:
    """One `invalid` cause for each problem that a rule of `names` found."""
    return [invalid(field, value, problem) for problem in problems]
