"""`pods/NAME/log`: passes a container's log on from the agent of the pod's node, followed or not.

The agent is found from the pod and its node only, never from anything that a client sent; the container must be one
of the pod's. Follows pkg/registry/core/pod/{strategy.go (LogLocation),rest/log.go}.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from controlplane.api import times
from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.registry import Obj
from controlplane.apiserver.stream import Stream

FLAGS = ("follow", "previous", "timestamps")
NUMBERS = ("tailLines", "limitBytes", "sinceSeconds")
CONTAINER_LISTS = (("containers", ""), ("initContainers", "init"), ("ephemeralContainers", "ephemeral"))


async def serve(backend: Backend, call: Call, stream: Stream) -> None:
    """Answers a log request until the log ends or the client goes.

    Raises: ApiError before the answer has begun.
    """
    info = call.info
    half = backend.durable
    await half.caught_up()
    pod = backend.lookup_cached("pods", info.namespace, info.name)
    if pod is None:
        raise ApiError.not_found("pods", info.name)
    container = container_of(pod, call.text("container"))
    query = options_of(call)
    node = str(pod.obj["spec"].get("nodeName", ""))
    if not node:
        raise ApiError.bad_request(f"pod {info.name} does not have a host assigned")
    address = address_of(backend, node)
    path = f"/containerLogs/{quote(pod.namespace, safe='')}/{quote(pod.name, safe='')}/{quote(container, safe='')}"
    async with backend.kubelet.get(node, address, f"{path}?{query}" if query else path) as answer:
        await stream.open("text/plain")
        stream.on_gone = answer.close
        async for piece in answer.body():
            if stream.gone or backend.stopping:
                return
            await stream.write(piece)


def container_of(pod: Document, asked: str) -> str:
    """The container whose log is meant.

    Raises: ApiError 400 when it isn't the pod's, or must be chosen.
    """
    spec: Obj = pod.obj["spec"]
    listed = {title: [str(c["name"]) for c in spec.get(field) or ()] for field, title in CONTAINER_LISTS}
    names = [name for found in listed.values() for name in found]
    if asked:
        if asked not in names:
            raise ApiError.bad_request(f"container {asked} is not valid for pod {pod.name}")
        return asked
    default = pod.annotations.get("kubectl.kubernetes.io/default-container")
    if len(names) == 1:
        return names[0]
    if default in names:
        return str(default)
    message = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(listed[''])}]"
    if listed["init"]:
        message += f" or one of the init containers: [{' '.join(listed['init'])}]"
    raise ApiError.bad_request(message)


def options_of(call: Call) -> str:
    """The log options as the agent's query; each is checked, nothing else is passed on.

    Raises: ApiError 400.
    """
    options = {name: "true" for name in FLAGS if call.flag(name)}
    for name in NUMBERS:
        number = call.number(name)
        if number is not None:
            options[name] = str(number)
    since = call.text("sinceTime")
    if since:
        if "sinceSeconds" in options:
            raise ApiError.bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
        try:
            options["sinceTime"] = times.micro_time(times.parse(since))
        except ValueError:
            raise ApiError.bad_request("sinceTime is not a time of RFC 3339") from None
    return urlencode(options)


def address_of(backend: Backend, node: str) -> str:
    """Where the node's agent listens.

    Raises: ApiError 404 or 503.
    """
    found = backend.lookup_cached("nodes", "", node)
    if found is None:
        raise ApiError.not_found("nodes", node)
    addresses = (found.obj.get("status") or {}).get("addresses") or ()
    for entry in addresses:
        if entry.get("type") == "InternalIP":
            return str(entry["address"])
    raise ApiError.unavailable(f"node {node} has no address yet")
