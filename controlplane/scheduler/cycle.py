"""One scheduling decision, pure: which node a pod goes to, or why none takes it.

Same table, same pod, same answer: ties go to the node with fewer pods, then to the smaller name. Nothing is written
here; the scheduler assumes the choice in the table and binds it, or tells the refusal.
After pkg/scheduler/schedule_one.go and framework/types.go (FitError).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controlplane.scheduler import filters as all_filters
from controlplane.scheduler import scores as all_scores
from controlplane.scheduler.demand import PODS, Demand
from controlplane.scheduler.filters import Filter
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.scores import Score
from controlplane.scheduler.table import Mask, NodeTable

SHOWN_NODES = 10
"""So many nodes are told one by one; the summary counts them all."""
TIE = 1e-6
"""Scores this close count as equal."""
RECORDED_NODES = 3
"""So many of the best nodes are recorded with the parts of their score."""


@dataclass(frozen=True)
class Rating:
    """One node's score: its sum and its weighted parts, by the name of the score."""

    node: str
    total: int
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Placement:
    """The chosen node, and how the best nodes were rated (the chosen one first)."""

    node: str
    feasible: int
    nodes: int
    ratings: tuple[Rating, ...]

    def record(self) -> str:
        """One line for people and for `why`: the choice and its reasons."""
        rated = "; ".join(f"{r.node} {r.total} ({', '.join(f'{n} {v}' for n, v in r.parts)})" for r in self.ratings)
        return f"{self.feasible} of {self.nodes} nodes fit: {rated}"


@dataclass(frozen=True)
class Verdict:
    """Everything that one node has against the pod."""

    node: str
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Unfit:
    """No node takes the pod: the verdicts, and the names of the filters that refused somewhere."""

    nodes: int
    summary: str
    verdicts: tuple[Verdict, ...]
    filters: frozenset[str]

    def message(self) -> str:
        """Upstream's summary, then node by node what is missing."""
        if not self.verdicts:
            return self.summary
        told = [f"{v.node}: {', '.join(r.detail for r in v.refusals)}" for v in self.verdicts]
        more = f"; and {self.nodes - len(told)} more" if self.nodes > len(told) else ""
        return f"{self.summary} {'; '.join(told)}{more}"


def choose(
    demand: Demand,
    table: NodeTable,
    filters: Sequence[Filter] = all_filters.ALL,
    scores: Sequence[Score] = all_scores.ALL,
) -> Placement | Unfit:
    """Filters, then scores. The table is only read."""
    if len(table) == 0:
        return Unfit(0, "no nodes available to schedule pods", (), frozenset(f.name for f in filters))
    masks = [f.mask(demand, table) for f in filters]
    passing: Mask = np.logical_and.reduce(masks)
    rows = np.flatnonzero(passing)
    if len(rows) == 0:
        return _unfit(demand, table, filters, masks)
    parts = np.stack([s.weight * s.rate(demand, table)[rows] for s in scores])
    totals = parts.sum(axis=0)
    pods = table.used[rows, table.resources[PODS]]
    worth_recording = np.sort(totals)[-RECORDED_NODES:][0] - TIE
    near = np.flatnonzero(totals >= worth_recording)
    ranks = table.name_ranks[rows[near]]
    order = near[np.lexsort((ranks, pods[near], -np.round(totals[near], 6)))]
    ratings = tuple(
        Rating(
            table.facts[rows[i]].name,
            round(float(totals[i])),
            tuple((s.name, round(float(parts[n, i]))) for n, s in enumerate(scores)),
        )
        for i in order[:RECORDED_NODES]
    )
    return Placement(ratings[0].node, len(rows), len(table), ratings)


def _unfit(demand: Demand, table: NodeTable, filters: Sequence[Filter], masks: Sequence[Mask]) -> Unfit:
    """Counts each node's first reason as upstream does, and tells the first nodes in full."""
    counts: Counter[str] = Counter()
    verdicts: list[Verdict] = []
    for row in sorted(range(len(table)), key=lambda r: table.facts[r].name):
        refusing = [f for f, mask in zip(filters, masks, strict=True) if not mask[row]]
        first = refusing[0].explain(demand, table, row)
        counts.update({refusal.summary for refusal in first})
        if len(verdicts) < SHOWN_NODES:
            rest = [refusal for f in refusing[1:] for refusal in f.explain(demand, table, row)]
            verdicts.append(Verdict(table.facts[row].name, tuple(first + rest)))
    reasons = ", ".join(sorted(f"{number} {reason}" for reason, number in counts.items()))
    summary = f"0/{len(table)} nodes are available: {reasons}."
    refused = frozenset(f.name for f, mask in zip(filters, masks, strict=True) if not mask.all())
    return Unfit(len(table), summary, tuple(verdicts), refused)
