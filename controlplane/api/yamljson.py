"""Request bodies, JSON or YAML, from anybody: the one place where untrusted text becomes objects.

What comes out holds only dicts with text keys, lists, text, booleans, None, finite floats and 64-bit integers.
Everything else is an `ApiError` 400: bytes that aren't UTF-8, half surrogates, `NaN` and `1e400`, more than
`DEPTH_LIMIT` levels, a key that stands twice in one object, YAML tags, and YAML aliases that blow up. YAML is
built from the parser's events, so that no constructor of the YAML library ever runs. The decoders of upstream:
`sigs.k8s.io/json` and `sigs.k8s.io/yaml`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

import yaml

from controlplane.api.errors import ApiError

DEPTH_LIMIT: Final = 300
YAML_NODE_LIMIT: Final = 200_000
_INTEGER_LIMIT: Final = 2**63

_surrogate = re.compile(r"\\u[dD][89a-fA-F]").search
_plain_string = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_yaml_int = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)\Z").match
_yaml_based_int = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+|[0-7_]+)\Z").match
_yaml_float = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z").match
_YAML_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_YAML_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z").match
_YAML_STRING_TAGS: Final = ("!", "tag:yaml.org,2002:str")


class _Duplicate(Exception):
    """A key stands twice in one object."""


def load_json(body: bytes) -> Any:
    """Decodes a JSON body. Raises: ApiError 400."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _bad("the body is not UTF-8") from error
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and _depth(text) > DEPTH_LIMIT:
        raise _bad(f"exceeded max depth: more than {DEPTH_LIMIT} levels")
    try:
        value = _decode(text)
    except _Duplicate:
        problems = ", ".join(f'duplicate field "{path}"' for path in _duplicates(text))
        raise ApiError.bad_request(f"strict decoding error: {problems}") from None
    except (ValueError, RecursionError) as error:
        raise _bad(str(error)) from error
    if _surrogate(text):
        _check_surrogates(value)
    return value


def _bad(why: str) -> ApiError:
    return ApiError.bad_request(f"the object provided is unrecognized: couldn't parse the body: {why}")


def _depth(text: str) -> int:
    deepest = level = 0
    for mark in re.findall(r"[\[\]{}]", _plain_string.sub("", text)):
        level += 1 if mark in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Duplicate
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"number {text[:40]} is out of range")
    return value


def _int(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"number {text[:40]} is out of range")
    value = int(text)
    if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise ValueError(f"number {text} is out of range")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"invalid character in literal {text}")


_decode = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_float, parse_int=_int, parse_constant=_constant
).decode


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _bad("a string holds half of a surrogate pair") from error


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, duplicates kept."""


def _duplicates(text: str) -> list[str]:
    """The paths of all keys that stand twice (the slow way, once we know that there are some)."""
    found: list[str] = []

    def walk(value: Any, at: str) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, item in value:
                path = f"{at}.{key}" if at else key
                if key in seen:
                    found.append(path)
                seen.add(key)
                walk(item, path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, f"{at}[{index}]")

    walk(json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), "")
    return found


def load_yaml(body: bytes) -> Any:
    """Decodes a YAML body of one document. Raises: ApiError 400."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _bad("the body is not UTF-8") from error
    try:
        return _YamlBuilder(text).document()
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        raise _bad(f"yaml: {problem}") from error


class _YamlBuilder:
    """Builds values from YAML events, counting what aliases unfold to."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self._level = 0

    def document(self) -> Any:
        """The only document's value."""
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _bad("more than one YAML document in the body")
                value = self._node(next(self._events))
        return value

    def _node(self, event: yaml.Event) -> Any:
        self._count += 1
        if self._count > YAML_NODE_LIMIT:
            raise _bad("the YAML unfolds to too many nodes")
        before = self._count
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._level += 1
            if self._level > DEPTH_LIMIT:
                raise _bad(f"exceeded max depth: more than {DEPTH_LIMIT} levels")
            value = self._collection(event)
            self._level -= 1
        else:
            return self._alias(getattr(event, "anchor", ""))
        if event.anchor:
            self._anchors[event.anchor] = (value, self._count - before + 1)
        return value

    def _alias(self, anchor: str) -> Any:
        if anchor not in self._anchors:
            raise _bad(f"yaml: unknown anchor '{anchor}' referenced")
        value, size = self._anchors[anchor]
        self._count += size
        if self._count > YAML_NODE_LIMIT:
            raise _bad("the YAML's aliases unfold to too many nodes")
        return json.loads(json.dumps(value))

    def _collection(self, event: yaml.CollectionStartEvent) -> Any:
        if isinstance(event, yaml.SequenceStartEvent):
            _check_tag(event.tag, "tag:yaml.org,2002:seq")
            items = []
            while not isinstance(following := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(following))
            return items
        _check_tag(event.tag, "tag:yaml.org,2002:map")
        return self._mapping()

    def _mapping(self) -> dict[str, Any]:
        value: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(following := next(self._events), yaml.MappingEndEvent):
            plain = isinstance(following, yaml.ScalarEvent) and following.implicit[0]
            key = self._node(following)
            item = self._node(next(self._events))
            if plain and key == "<<":
                for source in item if isinstance(item, list) else [item]:
                    if not isinstance(source, dict):
                        raise _bad("yaml: map merge requires map or sequence of maps as the value")
                    merged = {**source, **merged}
                continue
            name = _key(key)
            if name in value:
                raise ApiError.bad_request(f'strict decoding error: yaml: key "{name}" already set in map')
            value[name] = item
        return {**merged, **value}


def _check_tag(tag: str | None, *allowed: str) -> None:
    if tag is not None and tag not in allowed and tag != "!":
        raise _bad(f"yaml: tag {tag[:100]!r} is not allowed")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    raise _bad("yaml: a key must be a scalar")


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if event.tag is not None:
        _check_tag(event.tag, *_YAML_STRING_TAGS)
        return text
    if not event.implicit[0]:
        return text
    if text in _YAML_WORDS:
        return _YAML_WORDS[text]
    try:
        if _yaml_int(text):
            return _int(text.replace("_", ""))
        if _yaml_based_int(text):
            return _based_int(text.replace("_", ""))
        if _yaml_float(text):
            return _float(text)
    except ValueError as error:
        raise _bad(str(error)) from error
    if _YAML_NOT_FINITE(text):
        raise _bad(f"yaml: {text} is not a number of JSON")
    return text


def _based_int(text: str) -> int:
    if len(text) > 70:
        raise ValueError(f"number {text[:40]} is out of range")
    digits = text.lstrip("+-")
    value = int(digits, 0) if digits[1:2] in ("x", "o", "b") else int(digits, 8)
    return _int(str(-value if text.startswith("-") else value))
