"""What every cluster has: four namespaces, and the `kubernetes` Service with the API server's own address.

Made at the start and kept in place: somebody who deletes or changes them gets them back within seconds. The
default service accounts and `kube-root-ca.crt` are the controllers' work.

Follows pkg/controlplane/controller/{systemnamespaces,kubernetesservice}.
"""

from __future__ import annotations

import logging
import threading

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.deletes import LASTING_NAMESPACES
from controlplane.apiserver.identity import MASTERS, User
from controlplane.apiserver.registry import Obj
from controlplane.apiserver.services import Services
from controlplane.apiserver.writes import Target
from controlplane.daemon import event

log = logging.getLogger(__name__)

SERVICE = "kubernetes"
SERVER_USER = User("system:apiserver", frozenset({MASTERS}))
PERIOD_S = 2.0
LABELS = {"component": "apiserver", "provider": "kubernetes"}


class Basics:
    """Keeps the basics in place, in a thread of its own."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="basics", daemon=True)
        self._said = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=PERIOD_S)

    def _run(self) -> None:
        while not self._stop.wait(0 if not self._said else PERIOD_S):
            try:
                self.ensure()
                self._say("in place")
            except ApiError as error:
                self._say(f"not in place: {error.message}")
            except Exception:
                log.exception("basics")
                self._said = "failed"

    def _say(self, what: str) -> None:
        """Logs a change of state, not each round."""
        if what != self._said:
            event(log, "basics", result=what)
        self._said = what

    def ensure(self) -> None:
        """Makes what is missing, and puts right what differs.

        Raises: ApiError when the store refuses.
        """
        for name in LASTING_NAMESPACES:
            self._ensure("namespaces", "", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}, ())
        for resource, obj, fields in wanted(self._services.backend):
            self._ensure(resource, "default", obj, fields)

    def _ensure(self, resource_key: str, namespace: str, obj: Obj, fields: tuple[str, ...]) -> None:
        backend = self._services.backend
        resource = backend.by_key[resource_key]
        target = Target(resource, namespace, obj["metadata"]["name"])
        call = Call("PUT", "/", "", {})
        call.user = SERVER_USER
        found = backend.lookup(resource_key, namespace, target.name)
        try:
            if found is None:
                self._services.writes.create(call, resource, namespace, obj)
            elif any(found.obj.get(field) != obj[field] for field in fields):

                def change(old: Document) -> Obj:
                    return {**old.copy(), **{field: obj[field] for field in fields}}

                self._services.writes.change(call, target, change)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def wanted(backend: Backend) -> list[tuple[str, Obj, tuple[str, ...]]]:
    """The `kubernetes` Service, its Endpoints and its slice: (resource, object, fields to keep in place)."""
    config = backend.config
    address, port = config.advertise_address, config.port
    cluster_ip = str(config.services.network_address + 1)
    service: Obj = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": SERVICE, "namespace": "default", "labels": LABELS},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            "sessionAffinity": "None",
        },
    }
    endpoints: Obj = {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": SERVICE,
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    }
    endpoint_slice: Obj = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": SERVICE, "namespace": "default", "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    return [
        ("services", service, ()),
        ("endpoints", endpoints, ("subsets",)),
        ("discovery.k8s.io/endpointslices", endpoint_slice, ("endpoints", "ports")),
    ]
