"""Label and field selectors: parsed once, then asked for each object.

A selector that can't be understood is a 400 with upstream's words. An empty selector matches everything.
After `k8s.io/apimachinery/pkg/{labels,fields}/selector.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlplane.api import names
from controlplane.api.errors import ApiError

_WORD: Final = re.compile(r"\s*(==|!=|=|!|,|\(|\)|<|>|[^\s=!,()<>]+)")
_SYMBOLS: Final = frozenset(("==", "!=", "=", "!", ",", "(", ")", "<", ">"))
_OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True)
class Requirement:
    """One term: `operator` is in, notin, exists, ! (does not exist), gt or lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels fulfils the term."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        return value is not None and self._compare(value)

    def _compare(self, value: str) -> bool:
        try:
            number = int(value)
        except ValueError:
            return False
        limit = int(self.values[0])
        return number > limit if self.operator == "gt" else number < limit

    def __str__(self) -> str:
        if self.operator in ("in", "notin"):
            if len(self.values) == 1:
                return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
            return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"


@dataclass(frozen=True)
class LabelSelector:
    """A conjunction of requirements."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """From a query string: `a=b,c in (d,e),!f`. Raises: ApiError 400."""
        return cls(tuple(_LabelParser(text).requirements()))

    @classmethod
    def from_struct(cls, value: Mapping[str, Any] | None) -> LabelSelector:
        """From matchLabels and matchExpressions; None matches nothing, an empty one everything.

        Raises: ApiError 400.
        """
        if value is None:
            return cls(nothing=True)
        terms = [Requirement(key, "in", (text,)) for key, text in sorted((value.get("matchLabels") or {}).items())]
        for item in value.get("matchExpressions") or ():
            operator = _OPERATORS.get(item.get("operator", ""))
            if operator is None:
                raise ApiError.bad_request(f'"{item.get("operator", "")}" is not a valid label selector operator')
            terms.append(Requirement(item.get("key", ""), operator, tuple(item.get("values") or ())))
        return cls(tuple(terms))

    @classmethod
    def from_map(cls, labels: Mapping[str, str] | None) -> LabelSelector:
        """From a plain map of labels, as services and replication controllers have."""
        return cls(tuple(Requirement(key, "in", (text,)) for key, text in sorted((labels or {}).items())))

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        found = labels or {}
        return all(term.matches(found) for term in self.requirements)

    @property
    def empty(self) -> bool:
        """True when everything is selected."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.requirements)


class _LabelParser:
    """Reads `key`, `!key`, `key OP value` and `key in (…)`, separated by commas."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _WORD.match(stripped, position)
            if match is None:
                raise self._error(f"unexpected character {stripped[position]!r}")
            self._words.append(match[1])
            position = match.end()
        self._at = 0

    def _error(self, why: str) -> ApiError:
        return ApiError.bad_request(f"unable to parse requirement: {why} in selector {self._text[:200]!r}")

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def requirements(self) -> Iterable[Requirement]:
        """All terms. Raises: ApiError 400."""
        if not self._words:
            return
        while True:
            yield self._requirement()
            word = self._next()
            if not word:
                return
            if word != ",":
                raise self._error(f"found '{word}', expected: ',' or 'end of string'")
            if not self._peek():
                raise self._error("found '', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._word("identifier")
        problems = names.qualified_name(key)
        if problems:
            raise self._error(f'key: Invalid value: "{key}": {problems[0]}')
        if absent:
            return Requirement(key, "!")
        word = self._peek()
        if word in ("", ","):
            return Requirement(key, "exists")
        self._next()
        if word in ("in", "notin"):
            return Requirement(key, word, self._values())
        if word in ("=", "==", "!="):
            value = "" if self._peek() in ("", ",") else self._word("value")
            return Requirement(key, "notin" if word == "!=" else "in", (self._label_value(value),))
        if word in ("<", ">"):
            value = self._word("integer")
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
                raise self._error(f"for 'Gt', 'Lt' operators, the value must be an integer, found '{value}'")
            return Requirement(key, "gt" if word == ">" else "lt", (value,))
        raise self._error(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")

    def _word(self, what: str) -> str:
        word = self._next()
        if not word or word in _SYMBOLS:
            raise self._error(f"found '{word}', expected: {what}")
        return word

    def _values(self) -> tuple[str, ...]:
        if self._next() != "(":
            raise self._error("expected: '('")
        values: list[str] = []
        while True:
            value = "" if self._peek() in (",", ")") else self._word("value")
            values.append(self._label_value(value))
            word = self._next()
            if word == ")":
                return tuple(values)
            if word != ",":
                raise self._error(f"found '{word}', expected: ',' or ')'")

    def _label_value(self, value: str) -> str:
        problems = names.label_value(value)
        if problems:
            raise self._error(f'values: Invalid value: "{value}": {problems[0]}')
        return value


@dataclass(frozen=True)
class FieldTerm:
    """`field=value`, or `field!=value` when `negated`."""

    field: str
    value: str
    negated: bool = False


@dataclass(frozen=True)
class FieldSelector:
    """A conjunction of comparisons of an object's fields."""

    terms: tuple[FieldTerm, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        r"""From a query string: `a.b=c,d!=e`, where `\,`, `\=` and `\\` are literal. Raises: ApiError 400."""
        return cls(tuple(_field_term(part, text) for part in _split_fields(text) if part))

    def matches(self, getter: Callable[[str], str]) -> bool:
        """Whether an object is selected; `getter` gives a field's value as text ("" when absent)."""
        return all((getter(term.field) == term.value) is not term.negated for term in self.terms)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are asked for: the caller refuses those that it doesn't know."""
        return tuple(term.field for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The one value that this field must have, if the selector demands one."""
        return next((term.value for term in self.terms if term.field == field and not term.negated), None)

    @property
    def empty(self) -> bool:
        """True when everything is selected."""
        return not self.terms


def _split_fields(text: str) -> list[str]:
    return re.findall(r"(?:\\.|[^,\\]|\\\Z)+", text)


def _field_term(part: str, whole: str) -> FieldTerm:
    match = re.match(r"((?:\\.|[^\\=!])*)(!=|==|=)((?:\\.|[^\\])*)\Z", part, re.DOTALL)
    if match is None or not match[1]:
        raise ApiError.bad_request(f"invalid selector: '{whole[:200]}'; can't understand '{part[:200]}'")
    return FieldTerm(match[1], _unescape(match[3], whole), match[2] == "!=")


def _unescape(value: str, whole: str) -> str:
    if re.search(r"\\[^\\,=]", value) or re.search(r"(?<!\\)=", value):
        raise ApiError.bad_request(
            f"invalid field selector: invalid escape sequence or unescaped '=' in {whole[:200]!r}"
        )
    return re.sub(r"\\(.)", r"\1", value)
