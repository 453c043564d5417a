#!/usr/bin/python
# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""The node's half of `kubelab.lab.files`: compare what is there with what is asked for, write the difference."""

from __future__ import annotations

import base64
import contextlib
import grp
import os
import pwd
import stat
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: files
short_description: Directories, files and links of a role in one step
description:
  - Brings directories, files, links and absent paths to the stated form, in that order.
  - A file is written whole, beside its place, checked, and moved there, so that a reader never sees half of it.
  - A file whose name ends in C(.toml), C(.json), C(.conflist), C(.yml) or C(.yaml) is parsed on the host first.
version_added: 0.1.0
author: The kubelab authors (@kubelab)
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows text that changes unless the file is C(secret).}
options:
  directories:
    description: C(path) with C(owner), C(group), C(mode). Missing parents are made as C(root:root 0755).
    type: list
    elements: dict
    default: []
  files:
    description:
      - C(path) with exactly one of C(template) (a name in the role's templates, with optional C(vars)), C(copy)
        (a path on the host) or C(content), and C(owner), C(group), C(mode).
      - C(validate) is a command as a list, with C(%s) in the place of the file to check; it must exit with 0
        before the file takes its place.
      - C(secret) keeps the file out of diffs.
    type: list
    elements: dict
    default: []
  contents:
    description: Filled in by the action plugin - for each of the files, its bytes in base64.
    type: list
    elements: str
    default: []
  links:
    description: C(path) with C(to), the target of a symbolic link.
    type: list
    elements: dict
    default: []
  absent:
    description: Paths of files or links that must not be there.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Install the store's files
  kubelab.lab.files:
    directories:
      - {path: /etc/kubelab/redis}
    files:
      - {path: /etc/kubelab/redis/durable.conf, template: redis.conf.j2, group: kubelab, mode: "0640"}
    links:
      - {path: /etc/systemd/system/redis-server.service, to: /dev/null}
"""

RETURN = r"""
changed_paths:
  description: What was, or in check mode would be, changed.
  returned: always
  type: list
  elements: str
"""


DIFF_LIMIT_BYTES = 65_536


class Problem(Exception):
    """Something that the person who wrote the task must know."""


def ownership(attributes: dict[str, Any]) -> tuple[int, int]:
    """(uid, gid) of the named owner and group, root where unnamed."""
    try:
        uid = pwd.getpwnam(attributes.get("owner") or "root").pw_uid
        gid = grp.getgrnam(attributes.get("group") or "root").gr_gid
    except KeyError as error:
        raise Problem(str(error)) from error
    return uid, gid


def mode_of(attributes: dict[str, Any], default: int) -> int:
    """The mode as a number; it must be given as text, since YAML's 0644 is ambiguous."""
    mode = attributes.get("mode")
    if mode is None:
        return default
    if not isinstance(mode, str):
        raise Problem(f"mode {mode!r} must be quoted")
    return int(mode, 8)


def fix_attributes(path: str, uid: int, gid: int, mode: int, dry: bool) -> bool:
    """Give `path` its owner and mode; True when they differed."""
    found = os.lstat(path)
    wrong_owner = (found.st_uid, found.st_gid) != (uid, gid)
    wrong_mode = stat.S_IMODE(found.st_mode) != mode
    if not dry and wrong_owner:
        os.chown(path, uid, gid)
    if not dry and (wrong_mode or wrong_owner):
        os.chmod(path, mode)
    return wrong_owner or wrong_mode


class Files:
    """One run of the module over the node's file system."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.dry = bool(module.check_mode)
        self.changed: list[str] = []
        self.diffs: list[dict[str, str]] = []

    def directory(self, path: str, attributes: dict[str, Any]) -> None:
        uid, gid = ownership(attributes)
        mode = mode_of(attributes, 0o755)
        if not os.path.isdir(path):
            self.changed.append(path)
            if self.dry:
                return
            os.makedirs(path, mode=0o755)
            fix_attributes(path, uid, gid, mode, dry=False)
        elif fix_attributes(path, uid, gid, mode, self.dry):
            self.changed.append(path)

    def file(self, path: str, attributes: dict[str, Any], data: bytes) -> None:
        uid, gid = ownership(attributes)
        mode = mode_of(attributes, 0o644)
        before: bytes | None = None
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as present:
                before = present.read()
        if before == data:
            if fix_attributes(path, uid, gid, mode, self.dry):
                self.changed.append(path)
            return
        if os.path.isdir(path) and not os.path.islink(path):
            raise Problem(f"{path} is a directory")
        self.changed.append(path)
        self._show(path, before or b"", data, bool(attributes.get("secret")))
        if not self.dry:
            self._replace(path, data, (uid, gid, mode), attributes.get("validate"))

    def _replace(self, path: str, data: bytes, owner_mode: tuple[int, int, int], check: list[str] | None) -> None:
        """Write beside, check, move into place."""
        uid, gid, mode = owner_mode
        handle, beside = tempfile.mkstemp(
            dir=os.path.dirname(path), prefix=".kubelab-", suffix=os.path.basename(path)
        )
        try:
            with os.fdopen(handle, "wb") as new:
                new.write(data)
                os.fchown(new.fileno(), uid, gid)
                os.fchmod(new.fileno(), mode)
            if check:
                code, out, err = self.module.run_command([part.replace("%s", beside) for part in check])
                if code != 0:
                    raise Problem(f"{path} was not written, {check[0]} refuses it: {(err or out).strip()}")
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise

    def _show(self, path: str, before: bytes, after: bytes, secret: bool) -> None:
        if secret or max(len(before), len(after)) > DIFF_LIMIT_BYTES:
            return
        self.diffs.append(
            {
                "before_header": path,
                "after_header": path,
                "before": before.decode(errors="replace"),
                "after": after.decode(errors="replace"),
            }
        )

    def link(self, path: str, target: str) -> None:
        if os.path.islink(path) and os.readlink(path) == target:
            return
        self.changed.append(path)
        if self.dry:
            return
        if os.path.isdir(path) and not os.path.islink(path):
            raise Problem(f"{path} is a directory")
        beside = f"{path}.kubelab-{os.getpid()}"
        os.symlink(target, beside)
        os.replace(beside, path)

    def absent(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        self.changed.append(path)
        if not self.dry:
            os.unlink(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "dict", "default": []},
            "contents": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "links": {"type": "list", "elements": "dict", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    run = Files(module)
    try:
        for entry in module.params["directories"]:
            run.directory(entry["path"], entry)
        for entry, content in zip(module.params["files"], module.params["contents"], strict=True):
            run.file(entry["path"], entry, base64.b64decode(content))
        for entry in module.params["links"]:
            run.link(entry["path"], entry["to"])
        for path in module.params["absent"]:
            run.absent(path)
    except (Problem, OSError) as problem:
        module.fail_json(msg=str(problem), changed=bool(run.changed), changed_paths=run.changed)
    module.exit_json(changed=bool(run.changed), changed_paths=run.changed, diff=run.diffs)


if __name__ == "__main__":
    main()
