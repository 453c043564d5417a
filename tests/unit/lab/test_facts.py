"""One lab's share of the node table: names, addresses, ranges, ports; and what the table refuses."""

import ipaddress

import pytest

from lab import facts, paths

FACTS = facts.load(paths.FACTS.read_text())


def test_the_default_lab_has_the_documented_addresses() -> None:
    lab = facts.lab(FACTS, "kubelab", 0, 3)
    assert [(n.name, n.address, n.pod_cidr) for n in lab.nodes] == [
        ("master", "10.77.0.10", "10.244.0.0/24"),
        ("worker-1", "10.77.0.11", "10.244.1.0/24"),
        ("worker-2", "10.77.0.12", "10.244.2.0/24"),
        ("worker-3", "10.77.0.13", "10.244.3.0/24"),
    ]
    assert (lab.gateway, lab.client_address, lab.pool) == ("10.77.0.1", "10.77.0.9", "10.77.0.200-10.77.0.250")
    assert (lab.kubernetes_address, lab.dns_address) == ("10.96.0.1", "10.96.0.10")
    assert (lab.api_port, lab.forward_port) == (6443, 6443)
    assert lab.master.is_master
    assert not any(n.is_master for n in lab.workers)


def test_no_two_labs_share_a_range_or_a_port() -> None:
    labs = [facts.lab(FACTS, "x", slot, 8) for slot in range(facts.MAX_SLOT + 1)]
    ranges = [ipaddress.IPv4Network(r) for lab in labs for r in (lab.node_range, lab.pod_range, lab.service_range)]
    assert not any(a.overlaps(b) for i, a in enumerate(ranges) for b in ranges[:i])
    assert len({lab.forward_port for lab in labs}) == len(labs)


@pytest.mark.parametrize("name", ["", "Lab", "my-lab", "1lab", "../x", "a b", "averylongname", "x;y"])
def test_lab_names_out_of_form_are_refused(name: str) -> None:
    with pytest.raises(facts.FactsError, match="LAB="):
        facts.lab(FACTS, name, 0, 3)


@pytest.mark.parametrize("workers", [0, -1, 9])
def test_numbers_of_workers_beyond_the_table_are_refused(workers: int) -> None:
    with pytest.raises(facts.FactsError, match="1 to 8"):
        facts.lab(FACTS, "kubelab", 0, workers)


def test_an_unknown_node_is_answered_with_those_there_are() -> None:
    with pytest.raises(facts.FactsError, match="there are master, worker-1"):
        facts.lab(FACTS, "kubelab", 0, 1).node("worker-2")


@pytest.mark.parametrize(
    ("name", "taken", "slot"),
    [
        ("kubelab", {}, 0),
        ("kltest", {"mine": 2}, 1),
        ("mine", {}, 2),
        ("mine", {"mine": 5}, 5),
        ("other", {"mine": 2, "kubelab": 0}, 3),
        ("other", {"mine": 3}, 2),
    ],
)
def test_each_lab_keeps_a_number_of_its_own(name: str, taken: dict[str, int], slot: int) -> None:
    assert facts.slot_for(name, taken) == slot


def test_too_many_labs_are_refused() -> None:
    with pytest.raises(facts.FactsError, match="make down"):
        facts.slot_for("one-more", {f"l{n}": n for n in range(2, facts.MAX_SLOT + 1)})
