# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""Make and renew the lab's certificates on the host, in one step.

What always holds: everything is written beside its place and moved there, keys with mode 600, a key before its
certificate; a run that was interrupted leaves pairs that the next run repairs. Nothing leaves the host here: the
role `pki` copies to each node what is that node's. Options are described in `plugins/modules/certificates.py`;
what a certificate must be in `plugins/plugin_utils/authority.py`.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubelab.lab.plugins.plugin_utils import authority as pki


def read_pair(folder: Path, name: str) -> tuple[bytes, bytes] | None:
    """(certificate, key) in PEM, None when one is missing."""
    try:
        return (folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes()
    except FileNotFoundError:
        return None


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace `path` at once; at no moment is a secret readable by others."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    os.replace(beside, path)


class Folder:
    """The certificates of one lab, as files in one folder."""

    def __init__(self, path: Path, arguments: dict[str, Any], now: datetime) -> None:
        self.path = path
        self.now = now
        self.days = int(arguments.get("valid_days", 365))
        self.margin_days = int(arguments.get("renew_before_days", 30))
        self.made: list[str] = []

    def authority(self, common_name: str, days: int, dry: bool) -> pki.Authority:
        """The authority at hand, or a new one when there is none, it is unusable or about to expire."""
        pair = read_pair(self.path, "ca")
        if pair is not None:
            present = pki.load_authority(*pair)  # unreadable: stop, a new one would lock everybody out
            if not pki.expires_within(present.certificate, self.now, self.margin_days):
                return present
        fresh = pki.new_authority(common_name, self.now, days)
        self.made.append("ca (missing)" if pair is None else "ca (about to expire)")
        if not dry:
            write(self.path / "ca.key", pki.key_pem(fresh.key), 0o600)
            write(self.path / "ca.crt", pki.certificate_pem(fresh.certificate), 0o644)
        return fresh

    def certificate(self, name: str, request: pki.Request, authority: pki.Authority, dry: bool) -> None:
        reason = pki.reason_to_renew(request, read_pair(self.path, name), authority, self.now, self.margin_days)
        if reason is None:
            return
        self.made.append(f"{name} ({reason})")
        if not dry:
            certificate, key = pki.issue(request, authority, self.now, self.days)
            write(self.path / f"{name}.key", pki.key_pem(key), 0o600)
            write(self.path / f"{name}.crt", pki.certificate_pem(certificate), 0o644)

    def key_pair(self, name: str, dry: bool) -> None:
        """A bare key with its public half: what signs service accounts' tokens. Never renewed by itself."""
        private, public = self.path / f"{name}.key", self.path / f"{name}.pub"
        key = pki.load_key(private.read_bytes()) if private.exists() else None
        if key is not None and public.exists() and public.read_bytes() == pki.public_pem(key):
            return
        self.made.append(f"{name} (missing)")
        if not dry:
            if key is None:
                key = pki.new_key()
                write(private, pki.key_pem(key), 0o600)
            write(public, pki.public_pem(key), 0o644)


def request_of(name: str, entry: dict[str, Any]) -> pki.Request:
    """Raises: AnsibleActionFail naming the certificate whose description is wrong."""
    known = {"common_name", "organizations", "dns_names", "addresses", "usage"}
    if unknown := set(entry) - known:
        raise AnsibleActionFail(f"certificates: {name}: unknown: {', '.join(sorted(unknown))}")
    if entry.get("usage", "client") not in pki.USAGES:
        raise AnsibleActionFail(f"certificates: {name}: usage is client or server")
    return pki.Request(
        common_name=str(entry["common_name"]),
        organizations=tuple(str(group) for group in entry.get("organizations") or ()),
        dns_names=tuple(str(dns) for dns in entry.get("dns_names") or ()),
        addresses=tuple(str(address) for address in entry.get("addresses") or ()),
        usage=str(entry.get("usage", "client")),
    )


class ActionModule(ActionBase):
    """Works wholly on the host."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        dry = bool(self._task.check_mode)
        path = Path(str(arguments["directory"]))
        if not dry:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        folder = Folder(path, arguments, datetime.now(UTC).replace(microsecond=0))
        try:
            authority = folder.authority(
                str(arguments["authority"]), int(arguments.get("authority_valid_days", 3650)), dry
            )
            for name, entry in (arguments.get("certificates") or {}).items():
                folder.certificate(str(name), request_of(str(name), dict(entry)), authority, dry)
            for name in arguments.get("key_pairs") or ():
                folder.key_pair(str(name), dry)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(f"{path}: {error}") from error
        result.update(changed=bool(folder.made), made=folder.made)
        return result
