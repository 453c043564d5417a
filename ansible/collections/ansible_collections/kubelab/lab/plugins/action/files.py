# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""The host's half of `kubelab.lab.files`: render and read everything, then ask the node once.

What always holds: a file whose name says TOML, JSON or YAML and that doesn't parse never leaves the
host; contents go to the node in an argument that Ansible doesn't log. The other half, which compares
and writes, is `plugins/modules/files.py`; its documentation describes the options.
"""

from __future__ import annotations

import base64
import json
import os
import tomllib
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

SOURCES = ("template", "copy", "content")
ATTRIBUTES = {"path", "owner", "group", "mode", "validate", "secret"}


def check_syntax(path: str, text: str) -> None:
    """Parse what claims a format by its name.

    Raises: ValueError with the parser's own words.
    """
    suffix = os.path.splitext(path)[1]
    try:
        if suffix == ".toml":
            tomllib.loads(text)
        elif suffix in (".json", ".conflist"):
            json.loads(text)
        elif suffix in (".yml", ".yaml"):
            yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} would not be valid {suffix[1:]}: {error}") from error


class ActionModule(ActionBase):
    """Turns each entry of `files` into bytes and hands the whole to the module of the same name."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        arguments = dict(self._task.args)
        files: list[dict[str, Any]] = []
        contents: list[str] = []
        for entry in arguments.get("files") or ():
            data = self._bytes_of(dict(entry), variables)
            files.append({key: value for key, value in entry.items() if key in ATTRIBUTES})
            contents.append(base64.b64encode(data).decode())
        arguments.update(files=files, contents=contents)
        result.update(
            self._execute_module(module_name="kubelab.lab.files", module_args=arguments, task_vars=variables)
        )
        return result

    def _bytes_of(self, entry: dict[str, Any], variables: dict[str, Any]) -> bytes:
        """The bytes that the file shall hold.

        Raises: AnsibleActionFail when the entry is wrong or what it yields doesn't parse.
        """
        path = str(entry.get("path", "?"))
        unknown = set(entry) - ATTRIBUTES - set(SOURCES) - {"vars"}
        named = [source for source in SOURCES if source in entry]
        if unknown or len(named) != 1 or "path" not in entry:
            raise AnsibleActionFail(
                f"files: {path}: a path and one of {', '.join(SOURCES)} are needed"
                + (f"; unknown: {', '.join(sorted(unknown))}" if unknown else "")
            )
        if "copy" in entry:
            with open(self._find_needle("files", str(entry["copy"])), "rb") as source:
                data = source.read()
        elif "template" in entry:
            data = self._render(str(entry["template"]), path, entry.get("vars") or {}, variables).encode()
        else:
            data = str(entry["content"]).encode()
        try:
            check_syntax(path, data.decode(errors="replace"))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        return data

    def _render(self, name: str, path: str, extra: dict[str, Any], variables: dict[str, Any]) -> str:
        """Render a role's template as `ansible.builtin.template` does."""
        source = self._find_needle("templates", name)
        managed = (
            f"Written by Ansible from {os.path.relpath(source, self._loader.get_basedir())}: changes here are lost."
        )
        templar = self._templar.copy_with_new_env(
            searchpath=[os.path.dirname(source)],
            available_variables={**variables, "ansible_managed": managed, **extra},
        )
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": True},
        )
        if not isinstance(text, str):
            raise AnsibleActionFail(f"files: {path}: the template {name} yields {type(text).__name__}, not text")
        return text
