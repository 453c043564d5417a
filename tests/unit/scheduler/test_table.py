"""The node table against a model that adds up by hand, and the one rule: no node is ever over-committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.types import Taint
from controlplane.scheduler.cycle import Placement, choose
from controlplane.scheduler.demand import demand_of
from controlplane.scheduler.table import NodeTable, facts_of
from tests.unit.scheduler.build import demand, node, pod, table

NAMES = [f"n{i}" for i in range(12)]
step = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(NAMES), st.integers(0, 3000), st.integers(0, 4)),
    st.tuples(st.just("no node"), st.sampled_from(NAMES), st.just(0), st.just(0)),
    st.tuples(st.just("pod"), st.sampled_from([f"p{i}" for i in range(30)]), st.integers(0, 1200), st.integers(0, 2)),
    st.tuples(st.just("no pod"), st.sampled_from([f"p{i}" for i in range(30)]), st.just(0), st.just(0)),
)


@given(st.lists(step, max_size=80))
def test_no_node_is_ever_over_committed_by_a_placement(steps: list[tuple[str, str, int, int]]) -> None:
    nodes = NodeTable()
    capacity: dict[str, tuple[int, int]] = {}
    where: dict[str, tuple[str, int, int]] = {}
    for what, name, cpu, other in steps:
        if what == "node":
            capacity[name] = (cpu, other)
            nodes.set_node(facts_of(node(name, cpu=f"{cpu}m", pods=str(other))))
        elif what == "no node":
            capacity.pop(name, None)
            nodes.remove_node(name)
        elif what == "no pod":
            where.pop(name, None)
            nodes.remove(f"uid-{name}")
        elif name not in where:
            asked = demand_of(pod(name, cpu=f"{cpu}m", host_port=8000 if other == 2 else 0))
            decision = choose(asked, nodes)
            if isinstance(decision, Placement):
                nodes.place(asked, decision.node)
                nodes.place(asked, decision.node)
                where[name] = (decision.node, cpu, other)
                there = [w for w in where.values() if w[0] == decision.node]
                assert sum(w[1] for w in there) <= capacity[decision.node][0]
                assert len(there) <= capacity[decision.node][1]
                assert sum(w[2] == 2 for w in there) <= 1
        for row in range(len(nodes)):
            facts = nodes.facts[row]
            assert nodes.row(facts.name) == row
            used = sum(w[1] for w in where.values() if w[0] == facts.name)
            assert nodes.free(row, "cpu") == capacity[facts.name][0] - used
            assert nodes.labelled("kubernetes.io/hostname", facts.name).nonzero()[0].tolist() == [row]
    assert len(nodes) == len(capacity)


@given(st.lists(st.integers(100, 900), max_size=25))
def test_the_same_input_gives_the_same_decision(asked: list[int]) -> None:
    def run(names: list[str]) -> list[str]:
        nodes = table(*(node(n) for n in names))
        chosen = []
        for i, cpu in enumerate(asked):
            one = demand(f"p{i}", cpu=f"{cpu}m", owner="rc")
            decision = choose(one, nodes)
            chosen.append(decision.node if isinstance(decision, Placement) else "")
            if chosen[-1]:
                nodes.place(one, chosen[-1])
        return chosen

    assert run(["a", "b", "c"]) == run(["c", "a", "b"])


def test_a_pod_of_an_unknown_node_counts_when_the_node_appears() -> None:
    nodes = NodeTable()
    nodes.place(demand("early", cpu="500m"), "worker-1")
    nodes.set_node(facts_of(node("worker-1")))
    assert nodes.free(0, "cpu") == 1500


def test_a_heartbeat_is_no_change() -> None:
    nodes = table(node("worker-1"))
    assert not nodes.set_node(facts_of(node("worker-1")))
    assert nodes.set_node(facts_of(node("worker-1", taints=(Taint(key="a", effect="NoSchedule"),))))
    assert nodes.set_node(facts_of(node("worker-1", cpu="3")))


def test_huge_requests_stay_inside_64_bits() -> None:
    nodes = table(node("worker-1"))
    for i in range(300):
        nodes.place(demand(f"p{i}", memory="8Ei"[:1] + "000Ti"), "worker-1")
    assert nodes.free(0, "memory") < 0


def test_init_containers_count_as_the_largest_one() -> None:
    one = pod(cpu="300m")
    one.spec.init_containers = [
        pod(cpu="200m").spec.containers[0],
        pod(cpu="500m", memory="1Gi").spec.containers[0],
    ]
    assert dict(demand_of(one).requests) == {"cpu": 500, "memory": 1 << 30, "pods": 1}
