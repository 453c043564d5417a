"""What every namespace has: a service account `default`, and the cluster's CA in the config map `kube-root-ca.crt`.

Who deletes or changes them gets them back. After pkg/controller/serviceaccount/serviceaccounts_controller.go and
pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controlplane.api.errors import ApiError
from controlplane.api.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from controlplane.api.types import Namespace, Object
from controlplane.client.workqueue import Key
from controlplane.controllers.environment import Environment, QueueController

ACCOUNT = "default"
CA_MAP = "kube-root-ca.crt"
CA_KEY = "ca.crt"
DESCRIPTION = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints."


class NamespaceBasics(QueueController):
    """The controller of what stands in every namespace."""

    name = "namespacebasics"

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._ca = Path(env.client.config.ca_file).read_text()
        self._namespaces = env.informers.of(NAMESPACES)
        self._accounts = env.informers.of(SERVICE_ACCOUNTS)
        self._maps = env.informers.of(CONFIG_MAPS, field_selector=f"metadata.name={CA_MAP}")
        self._namespaces.add_handler(self._namespace_changed)
        self._accounts.add_handler(self._content_changed)
        self._maps.add_handler(self._content_changed)

    def _namespace_changed(self, _old: Namespace | None, new: Namespace | None) -> None:
        if new is not None and new.metadata.deletion_timestamp is None:
            self.queue.add(new.key)

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old
        if changed is not None and changed.metadata.name in (ACCOUNT, CA_MAP):
            self.queue.add(("", changed.metadata.namespace))

    def reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletion_timestamp is not None:
            return None
        name = namespace.metadata.name
        if self._accounts.get((name, ACCOUNT)) is None:
            self._create(SERVICE_ACCOUNTS, {"metadata": {"name": ACCOUNT}}, name)
        found = self._maps.get((name, CA_MAP))
        data = {CA_KEY: self._ca}
        if found is None:
            meta = {"name": CA_MAP, "annotations": {"kubernetes.io/description": DESCRIPTION}}
            self._create(CONFIG_MAPS, {"metadata": meta, "data": data}, name)
        elif found.data != data:
            self.env.client.patch(
                CONFIG_MAPS, found.key, [{"op": "add", "path": "/data", "value": data}], kind="json"
            )
        return None

    def _create(self, resource: Any, obj: dict[str, Any], namespace: str) -> None:
        try:
            self.env.client.create(resource, obj, namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists" and error.code not in (403, 404):  # the namespace may be ending
                raise
