"""What names, label keys, ports and paths may look like, with upstream's words for what is wrong.

Every rule takes a string and returns a list of problems, empty when it is fine; callers turn them into
causes with a field path. No rule ever accepts a control character, a quote, a newline or a NUL. After
`k8s.io/apimachinery/pkg/util/validation` and `pkg/apis/core/validation`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_address

LABEL_FORMAT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN_FORMAT = LABEL_FORMAT + r"(\." + LABEL_FORMAT + ")*"
LABEL_1035_FORMAT = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_FORMAT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE_FORMAT = "(" + QUALIFIED_FORMAT + ")?"
CONFIG_KEY_FORMAT = "[-._a-zA-Z0-9]+"
HTTP_HEADER_FORMAT = "[-A-Za-z0-9]+"

LABEL_LIMIT = 63
SUBDOMAIN_LIMIT = 253
PORT_NAME_LIMIT = 15

_label = re.compile(LABEL_FORMAT + r"\Z").match
_subdomain = re.compile(SUBDOMAIN_FORMAT + r"\Z").match
_label_1035 = re.compile(LABEL_1035_FORMAT + r"\Z").match
_qualified = re.compile(QUALIFIED_FORMAT + r"\Z").match
_label_value = re.compile(LABEL_VALUE_FORMAT + r"\Z").match
_config_key = re.compile(CONFIG_KEY_FORMAT + r"\Z").match
_http_header = re.compile(HTTP_HEADER_FORMAT + r"\Z").match
_port_name_letters = re.compile(r"[-a-z0-9]+\Z").match
_printable = re.compile(r"[ -~]*\Z").match
_image = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:/@]*\Z").match
_loose = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:]*\Z").match
_control = re.compile("[\x00-\x1f\x7f]").search
_good_qualified = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z"
).match

BETWEEN_PORTS = "must be between 1 and 65535, inclusive"


def too_long(limit: int) -> str:
    """Upstream's words for too many bytes."""
    return f"must be no more than {limit} bytes"


def regex_problem(message: str, pattern: str, *examples: str) -> str:
    """Upstream's words for a value that doesn't match a pattern."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL_PROBLEM = regex_problem(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character",
    LABEL_FORMAT,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_PROBLEM = regex_problem(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character",
    SUBDOMAIN_FORMAT,
    "example.com",
)
_LABEL_1035_PROBLEM = regex_problem(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character",
    LABEL_1035_FORMAT,
    "my-name",
    "abc-123",
)
_QUALIFIED_PROBLEM = regex_problem(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    QUALIFIED_FORMAT,
    "MyName",
    "my.name",
    "123-abc",
)
_LABEL_VALUE_PROBLEM = regex_problem(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character",
    LABEL_VALUE_FORMAT,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_PROBLEM = regex_problem(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY_FORMAT,
    "key.name",
    "KEY_NAME",
    "key-name",
)


def _bounded(value: str, limit: int, good: bool, problem: str) -> list[str]:
    problems = [too_long(limit)] if len(value.encode()) > limit else []
    return problems if good else [*problems, problem]


def dns_label(value: str) -> list[str]:
    """RFC 1123 label: names of namespaces, containers, volumes."""
    return _bounded(value, LABEL_LIMIT, bool(_label(value)), _LABEL_PROBLEM)


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: names of most objects."""
    return _bounded(value, SUBDOMAIN_LIMIT, bool(_subdomain(value)), _SUBDOMAIN_PROBLEM)


def dns_1035_label(value: str) -> list[str]:
    """RFC 1035 label: names of services."""
    return _bounded(value, LABEL_LIMIT, bool(_label_1035(value)), _LABEL_1035_PROBLEM)


def qualified_name(value: str) -> list[str]:
    """A label key, annotation key, finalizer or resource name: `[PREFIX/]NAME`."""
    if _good_qualified(value) and ".." not in value.partition("/")[0]:
        prefix, slash, _ = value.partition("/")
        if not slash or _subdomain(prefix):
            return []
    parts = value.split("/")
    problems: list[str] = []
    if len(parts) > 2:
        return [
            f"a qualified name {_QUALIFIED_PROBLEM} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if len(parts) == 2:
        found = dns_subdomain(parts[0]) if parts[0] else ["must be non-empty"]
        problems += [f"prefix part {problem}" for problem in found]
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name.encode()) > LABEL_LIMIT:
        problems.append(f"name part {too_long(LABEL_LIMIT)}")
    if not _qualified(name):
        problems.append(f"name part {_QUALIFIED_PROBLEM}")
    return problems


def label_value(value: str) -> list[str]:
    """The value of a label."""
    return _bounded(value, LABEL_LIMIT, bool(_label_value(value)), _LABEL_VALUE_PROBLEM)


def path_segment(value: str) -> list[str]:
    """A name that is only a part of a URL's path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def loose_name(value: str) -> list[str]:
    """The name of an event: that of an object of any kind, and a suffix."""
    found = path_segment(value)
    if not found and not _loose(value):
        found = ["must consist of alphanumeric characters, '-', '_', '.' or ':', and start with an alphanumeric one"]
    return found


def port(number: int) -> list[str]:
    """A port number."""
    return [] if 1 <= number <= 65535 else [BETWEEN_PORTS]


def port_name(value: str) -> list[str]:
    """An IANA service name: the name of a container's or a service's port."""
    problems = [too_long(PORT_NAME_LIMIT)] if len(value.encode()) > PORT_NAME_LIMIT else []
    if not _port_name_letters(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def env_name(value: str) -> list[str]:
    """The name of an environment variable."""
    problems = [] if value else ["environment variable name must be non-empty"]
    if not _printable(value) or "=" in value:
        problems.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return problems


def config_key(value: str) -> list[str]:
    """A key of a config map or secret: it may become a file name."""
    problems = _bounded(value, SUBDOMAIN_LIMIT, bool(_config_key(value)), _CONFIG_KEY_PROBLEM)
    if value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def http_header(value: str) -> list[str]:
    """The name of an HTTP header."""
    if _http_header(value):
        return []
    return [
        regex_problem(
            "a valid HTTP header must consist of alphanumeric characters or '-'",
            HTTP_HEADER_FORMAT,
            "X-Header-Name",
        )
    ]


def absolute_path(value: str) -> list[str]:
    """A path inside a container: absolute, without `..` and without control characters."""
    problems = [] if value.startswith("/") else ["must be an absolute path"]
    if ".." in value.split("/"):
        problems.append("must not contain '..'")
    return problems + plain_text(value)


def relative_path(value: str) -> list[str]:
    """A path below a volume: it may not leave it."""
    problems = ["must be a relative path"] if value.startswith("/") else []
    if ".." in value.split("/"):
        problems.append("must not contain '..'")
    return problems + plain_text(value)


def plain_text(value: str) -> list[str]:
    """A string for paths and commands' options: no control characters."""
    return ["must not contain control characters"] if _control(value) else []


def image(value: str) -> list[str]:
    """An image reference: never an option, never with quotes, spaces or a shell's characters."""
    if value != value.strip():
        return ["must not have leading or trailing whitespace"]
    if not _image(value) or ".." in value.split("/") or len(value) > 4096:
        return [
            "must be an image reference such as 'registry.example.com/app:1.0': letters, digits and '._-:/@', "
            "starting with a letter or a digit"
        ]
    return []


def ip(value: str) -> list[str]:
    """An IP address in its canonical form."""
    try:
        parsed = ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if str(parsed) == value or parsed.version == 6 else ["must be in canonical form"]


def ipv4(value: str) -> list[str]:
    """An IPv4 address."""
    try:
        IPv4Address(value)
    except ValueError:
        return ["must be a valid IPv4 address"]
    return []


def as_prefix(rule_input: str) -> str:
    """A generateName as a name could be made of it: a trailing dash is fine in a prefix."""
    return rule_input[:-1] + "a" if len(rule_input) > 1 and rule_input.endswith("-") else rule_input
