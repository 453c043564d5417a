"""Names and the like: what is accepted, what is refused, in whose words (rows 9 and 12 of the bad input)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import names

Rule = Callable[[str], list[str]]

EVIL = ("../x", "a/../b", "a'b", 'a"b', "a`b", "a\nb", "a\0b", "a b", "$(id)", "a;b", "a|b", "ä", "a\r", "a\n")
TEXT_RULES = (
    names.dns_label, names.dns_subdomain, names.dns_1035_label, names.qualified_name, names.label_value,
    names.port_name, names.config_key, names.http_header, names.image, names.ip, names.loose_name,
)  # fmt: skip


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("value", EVIL)
def test_nothing_evil_passes_any_rule(rule: Rule, value: str) -> None:
    assert rule(value)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (names.dns_label, "web-1"),
        (names.dns_label, "a" * 63),
        (names.dns_subdomain, "a.b-c.d"),
        (names.dns_subdomain, "1"),
        (names.dns_1035_label, "web-1"),
        (names.qualified_name, "app"),
        (names.qualified_name, "example.com/My_Name.1"),
        (names.label_value, ""),
        (names.label_value, "My_Value.1"),
        (names.port_name, "http-1"),
        (names.env_name, "MY_VAR.x-y"),
        (names.config_key, "key.name"),
        (names.http_header, "X-Header-Name"),
        (names.image, "registry.example.com:5000/team/app:1.0"),
        (names.image, "busybox@sha256:" + "0" * 64),
        (names.absolute_path, "/var/lib"),
        (names.relative_path, "a/b..c"),
        (names.ip, "10.0.0.1"),
        (names.ip, "2001:db8::1"),
        (names.path_segment, "a:b"),
        (names.loose_name, "system:node.17ab"),
    ],
)
def test_accepts(rule: Rule, value: str) -> None:
    assert rule(value) == []


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        (names.dns_label, "Web", "a lowercase RFC 1123 label must consist of"),
        (names.dns_label, "a" * 64, "must be no more than 63 bytes"),
        (names.dns_label, "a.b", "a lowercase RFC 1123 label must consist of"),
        (names.dns_subdomain, "a..b", "a lowercase RFC 1123 subdomain must consist of"),
        (names.dns_subdomain, "a" * 254, "must be no more than 253 bytes"),
        (names.dns_1035_label, "1web", "a DNS-1035 label must consist of"),
        (names.qualified_name, "", "name part must be non-empty"),
        (names.qualified_name, "/a", "prefix part must be non-empty"),
        (names.qualified_name, "A.b/c", "prefix part a lowercase RFC 1123 subdomain"),
        (names.qualified_name, "a..b/c", "prefix part a lowercase RFC 1123 subdomain"),
        (names.qualified_name, "a/b/c", "a qualified name must consist of"),
        (names.qualified_name, "x" * 64, "name part must be no more than 63 bytes"),
        (names.qualified_name, "-a", "name part must consist of"),
        (names.label_value, "-a", "a valid label must be an empty string or consist of"),
        (names.port_name, "a" * 16, "must be no more than 15 bytes"),
        (names.port_name, "80", "must contain at least one letter (a-z)"),
        (names.port_name, "a--b", "must not contain consecutive hyphens"),
        (names.port_name, "-a", "must not begin or end with a hyphen"),
        (names.env_name, "A=B", "a valid environment variable name must consist only of printable ASCII"),
        (names.env_name, "A\nB", "a valid environment variable name must consist only of printable ASCII"),
        (names.config_key, "..", "must not be '..'"),
        (names.config_key, "..a", "must not start with '..'"),
        (names.image, "--privileged", "must be an image reference"),
        (names.image, " busybox", "must not have leading or trailing whitespace"),
        (names.image, "a/../b", "must be an image reference"),
        (names.absolute_path, "a", "must be an absolute path"),
        (names.absolute_path, "/a/../b", "must not contain '..'"),
        (names.relative_path, "/a", "must be a relative path"),
        (names.relative_path, "a/..", "must not contain '..'"),
        (names.relative_path, "a\nb", "must not contain control characters"),
        (names.path_segment, "..", "may not be '..'"),
        (names.path_segment, "a/b", "may not contain '/'"),
        (names.path_segment, "a%b", "may not contain '%'"),
        (names.ip, "10.0.0.256", "must be a valid IP address"),
        (names.ip, "010.0.0.1", "must be a valid IP address"),
    ],
)
def test_refuses_in_upstreams_words(rule: Rule, value: str, words: str) -> None:
    problems = rule(value)
    assert any(problem.startswith(words) for problem in problems), problems


def test_the_whole_of_one_message() -> None:
    assert names.dns_label("A") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]


@pytest.mark.parametrize("number", [0, -1, 65536, 10**9])
def test_ports_have_a_range(number: int) -> None:
    assert names.port(number) == ["must be between 1 and 65535, inclusive"]
    assert names.port(1) == names.port(65535) == []


def test_a_prefix_may_end_in_a_dash() -> None:
    assert names.dns_subdomain(names.as_prefix("web-")) == []
    assert names.dns_subdomain(names.as_prefix("-"))


@given(st.text(max_size=80))
def test_what_passes_is_harmless(value: str) -> None:
    for rule in TEXT_RULES:
        if not rule(value):
            assert not set(value) & set("\0\n\r\t '\"`$;|&<>(){}[]*?!\\"), (rule, value)
