"""The audit log's files, and the metrics page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane.apiserver.audit import AuditLog
from controlplane.apiserver.metrics import Metrics


def test_lines_are_written_together_and_files_rotate(tmp_path: Path) -> None:
    path, asked = tmp_path / "audit.log", []
    audit = AuditLog(path, limit_bytes=100, keep=2)
    audit.schedule = lambda: asked.append(1)
    for number in range(5):
        audit.write({"n": number, "text": "x\ny"})
    assert asked == [1]
    assert not path.exists()
    audit.flush()
    first = [json.loads(line) for line in (tmp_path / "audit.log.1").read_text().splitlines()]
    assert [line["n"] for line in first] == [0, 1, 2, 3, 4]
    for number in range(9):
        audit.write({"n": number, "text": "x" * 100})
        audit.flush()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit.log.1", "audit.log.2"]
    assert (tmp_path / "audit.log.1").stat().st_mode & 0o077 == 0


def test_a_log_that_cant_be_written_hurts_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit = AuditLog(tmp_path / "nowhere" / "audit.log")
    for _ in range(3):
        audit.write({"n": 1})
        audit.flush()
    assert len(caplog.records) == 1


def test_the_metrics_page() -> None:
    metrics = Metrics()
    metrics.request("get", "pods", "", 200, 0.003)
    metrics.request("get", "pods", "", 200, 0.3)
    metrics.request("watch", "pods", "", 200, None)
    lines = metrics.text({"x": 1.5}).splitlines()
    assert 'apiserver_request_total{verb="GET",resource="pods",subresource="",code="200"} 2' in lines
    assert 'apiserver_request_duration_seconds_bucket{verb="GET",resource="pods",le="0.005"} 1' in lines
    assert 'apiserver_request_duration_seconds_bucket{verb="GET",resource="pods",le="0.5"} 2' in lines
    assert 'apiserver_request_duration_seconds_bucket{verb="GET",resource="pods",le="+Inf"} 2' in lines
    assert 'apiserver_request_duration_seconds_count{verb="GET",resource="pods"} 2' in lines
    assert "x 1.5" in lines
