"""Counters of the API server in Prometheus' text format, under upstream's names where it has them.

Counting happens in the event loop only, so plain dicts are enough.
"""

from __future__ import annotations

from collections import defaultdict

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What has been asked, how it ended, how long it took, what is under way."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str, int], int] = defaultdict(int)
        self._durations: dict[tuple[str, str], list[float]] = {}
        self.watches = 0
        self.inflight = {"mutating": 0, "readOnly": 0}
        self.rejected = 0

    def request(self, verb: str, resource: str, subresource: str, code: int, duration_s: float | None) -> None:
        """Counts an answer; streams give no duration."""
        self._requests[verb, resource, subresource, code] += 1
        if duration_s is None:
            return
        row = self._durations.get((verb, resource))
        if row is None:
            row = self._durations[verb, resource] = [0.0] * (len(BUCKETS_S) + 2)
        for index, bound in enumerate(BUCKETS_S):
            if duration_s <= bound:
                row[index] += 1
                break
        row[-2] += 1
        row[-1] += duration_s

    def text(self, gauges: dict[str, float]) -> str:
        """The whole page; `gauges` are read at this moment by the caller."""
        lines = ["# TYPE apiserver_request_total counter"]
        for (verb, resource, subresource, code), count in sorted(self._requests.items()):
            labels = _labels(verb=verb.upper(), resource=resource, subresource=subresource, code=str(code))
            lines.append(f"apiserver_request_total{labels} {count}")
        lines.append("# TYPE apiserver_request_duration_seconds histogram")
        for (verb, resource), row in sorted(self._durations.items()):
            total = 0.0
            for bound, fell in zip(BUCKETS_S, row, strict=False):
                total += fell
                labels = _labels(verb=verb.upper(), resource=resource, le=f"{bound:g}")
                lines.append(f"apiserver_request_duration_seconds_bucket{labels} {total:g}")
            labels = _labels(verb=verb.upper(), resource=resource, le="+Inf")
            lines.append(f"apiserver_request_duration_seconds_bucket{labels} {row[-2]:g}")
            labels = _labels(verb=verb.upper(), resource=resource)
            lines.append(f"apiserver_request_duration_seconds_sum{labels} {row[-1]:.6f}")
            lines.append(f"apiserver_request_duration_seconds_count{labels} {row[-2]:g}")
        lines.append("# TYPE apiserver_current_inflight_requests gauge")
        lines += [
            f"apiserver_current_inflight_requests{_labels(request_kind=kind)} {count}"
            for kind, count in self.inflight.items()
        ]
        lines += ["# TYPE apiserver_longrunning_requests gauge", f"apiserver_longrunning_requests {self.watches}"]
        lines += ["# TYPE apiserver_rejected_requests_total counter"]
        lines += [f"apiserver_rejected_requests_total {self.rejected}"]
        for name, value in sorted(gauges.items()):
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
