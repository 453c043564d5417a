"""One request as every part of the server sees it, whether Flask or a coroutine answers it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs

from controlplane.api.errors import ApiError
from controlplane.apiserver import requestinfo
from controlplane.apiserver.identity import User
from controlplane.store import Term

ENVIRON_KEY = "kubelab.call"
TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE", ""})


class Call:
    """Method, path, query, headers and body of a request; who makes it; what is to be told along with the answer."""

    __slots__ = (
        "_query",
        "body",
        "headers",
        "id",
        "info",
        "method",
        "path",
        "query_string",
        "started",
        "user",
        "warnings",
    )

    def __init__(self, method: str, path: str, query_string: str, headers: Mapping[str, str]) -> None:
        """`headers` have lower-case names; `path` is unquoted."""
        self.method = method
        self.path = path.rstrip("/") or "/"
        self.query_string = query_string
        self.headers = headers
        self.body = b""
        self.user: User | None = None
        self.warnings: list[str] = []
        self.started = time.monotonic()
        self.id = str(uuid.uuid4())
        self._query: dict[str, list[str]] | None = None
        self.info = requestinfo.parse(method, self.path, self._watching())

    def _watching(self) -> bool:
        if "watch=" not in self.query_string:
            return False
        try:
            return self.text("watch") in TRUE
        except ApiError:
            return False  # whoever answers reads the query again, and refuses it

    @property
    def query(self) -> dict[str, list[str]]:
        if self._query is None:
            try:
                self._query = parse_qs(self.query_string, keep_blank_values=True, max_num_fields=200)
            except ValueError:
                raise ApiError.bad_request("too many query parameters") from None
        return self._query

    def text(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name) if self.query_string else None
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """A boolean query parameter.

        Raises: ApiError 400 when it is neither true nor false.
        """
        value = self.text(name)
        if value in TRUE:
            return True
        if value in FALSE:
            return False
        raise ApiError.bad_request(f'invalid value for query parameter "{name}": {value!r} is not a boolean')

    def number(self, name: str) -> int | None:
        """A whole number of a query parameter that is zero or more; None when it isn't given.

        Raises: ApiError 400.
        """
        value = self.text(name)
        if not value:
            return None
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise ApiError.bad_request(f'invalid value for query parameter "{name}": {value!r} is not a number')
        return int(value)

    @property
    def requester(self) -> User:
        """The user; the gate has let nobody through without."""
        if self.user is None:
            raise ApiError.unauthorized()
        return self.user

    @property
    def dry_run(self) -> bool:
        """Whether dryRun=All was asked for in the query.

        Raises: ApiError 400 on any other value.
        """
        values = self.query.get("dryRun", [])
        return check_dry_run(values)

    @property
    def term(self) -> Term | None:
        """The leader's term that the write was made in (header `Kubelab-Term: NAME=NUMBER`).

        Raises: ApiError 400 when it is out of form.
        """
        text = self.headers.get("kubelab-term")
        if text is None:
            return None
        name, _, value = text.partition("=")
        if not name or not value.isascii() or not value.isdigit() or len(value) > 18:
            raise ApiError.bad_request("the header Kubelab-Term is not of the form NAME=NUMBER")
        return Term(name, int(value))


def check_dry_run(values: list[str]) -> bool:
    for value in values:
        if value != "All":
            raise ApiError.bad_request(f'Invalid value: "{value}": dryRun: supported values: "All"')
    return bool(values)
