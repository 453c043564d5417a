"""Reads the small part of YAML that ansible/lab.yml keeps to, before PyYAML is there.

Known: comments, `key: value` at the left edge, `key:` followed by indented `key: value` lines or `- {key: value, …}`
lines; values are whole numbers, words, or double-quoted words. Everything else is refused with its line number, so
that a reader who goes beyond the subset is told, and a test compares the result with PyYAML's.
"""

from __future__ import annotations

import re

Value = str | int
Section = dict[str, Value] | list[dict[str, Value]]

_LINE = re.compile(r"^(?P<indent> *)(?P<body>\S.*?)\s*$")
_PAIR = re.compile(r"^(?P<key>[A-Za-z_][\w-]*):(?:\s+(?P<value>.+))?$")


class SubsetError(ValueError):
    """A line that the subset doesn't know."""


def parse(text: str) -> dict[str, Value | Section]:
    """Return the document as nested dicts and lists. Raises: SubsetError with the line's number."""
    result: dict[str, Value | Section] = {}
    section: str | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        match = _LINE.match(_uncommented(raw))
        if match is None:
            continue
        body = match["body"]
        if not match["indent"]:
            key, value = _pair(body, number)
            section = key if value is None else None
            result[key] = {} if value is None else value
        elif section is None:
            raise SubsetError(f"line {number}: indented, but below no key")
        else:
            result[section] = _add(result[section], body, number)
    return result


def _add(section: Value | Section, body: str, number: int) -> Section:
    if body.startswith("- {") and body.endswith("}"):
        items = section if isinstance(section, list) else []
        pairs = (_pair(part.strip(), number) for part in body[3:-1].split(","))
        items.append({key: _wanted(value, number) for key, value in pairs})
        return items
    if not isinstance(section, dict):
        raise SubsetError(f"line {number}: expected `- {{key: value}}`")
    key, value = _pair(body, number)
    section[key] = _wanted(value, number)
    return section


def _uncommented(line: str) -> str:
    return "" if line.lstrip().startswith("#") else line.split(" #", 1)[0]


def _wanted(value: Value | None, number: int) -> Value:
    if value is None:
        raise SubsetError(f"line {number}: value missing")
    return value


def _pair(body: str, number: int) -> tuple[str, Value | None]:
    match = _PAIR.match(body)
    if match is None:
        raise SubsetError(f"line {number}: expected `key: value`, found {body!r}")
    value = match["value"]
    if value is None:
        return match["key"], None
    if re.fullmatch(r"-?\d+", value):
        return match["key"], int(value)
    if value[0] == '"' and value[-1] == '"' and len(value) > 1:
        return match["key"], value[1:-1]
    if re.fullmatch(r"[\w./-]+", value):
        return match["key"], value
    raise SubsetError(f"line {number}: quote {value!r}")
