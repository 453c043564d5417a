"""What a write promises, on a real Redis; the durable store and the one for leases alike."""

from __future__ import annotations

import pytest

from controlplane.api.errors import ApiError
from controlplane.store import Claim, ClaimTaken, Key, Store, Term
from tests.integration.store.conftest import Bench
from tests.integration.store.support import pod, refused, run_threads

POD = Key("pods", "default", "web")
SERVICE = Key("services", "default", "web")
ADDRESS = Claim("clusterips", "10.96.0.7")
PORT = Claim("nodeports", "30080/TCP")


def test_create_fills_in_the_revision_and_keeps_the_bytes(bench: Bench) -> None:
    store = bench.open()
    before = store.revision()
    given = pod(app="web")
    created = store.create(POD, given)
    assert created.resource_version == str(before + 1) == str(store.revision()) == str(store.acknowledged)
    assert created.labels == {"app": "web"}
    stored = store.get(POD)
    assert stored is not None
    assert stored.raw == created.raw
    assert "resourceVersion" not in given["metadata"]
    cached = bench.cache(store).get(POD)
    assert cached is not None
    assert cached.raw == created.raw


def test_create_of_an_existing_name(bench: Bench) -> None:
    store = bench.open()
    created = store.create(POD, pod())
    with refused("AlreadyExists"):
        store.create(POD, pod(other="one"))
    stored = store.get(POD)
    assert stored is not None
    assert stored.raw == created.raw
    assert store.revision() == int(created.resource_version)


def test_the_same_name_in_other_places(bench: Bench) -> None:
    store = bench.open()
    keys = [POD, Key("pods", "other", "web"), Key("configmaps", "default", "web"), Key("nodes", "", "web")]
    created = [store.create(key, pod()).raw for key in keys]
    assert [stored.raw for key in keys if (stored := store.get(key))] == created
    assert len(set(created)) == 4


def test_update_needs_the_present_revision(bench: Bench) -> None:
    store = bench.open()
    first = int(store.create(POD, pod()).resource_version)
    second = store.update(POD, pod(step="two"), first)
    assert int(second.resource_version) == first + 1
    with refused("Conflict"):
        store.update(POD, pod(step="three"), first)
    stored = store.get(POD)
    assert stored is not None
    assert stored.raw == second.raw
    assert store.revision() == first + 1
    with refused("NotFound"):
        store.update(Key("pods", "default", "absent"), pod(), first)


def test_delete(bench: Bench) -> None:
    store = bench.open()
    first = int(store.create(POD, pod(app="web")).resource_version)
    with refused("Conflict"):
        store.delete(POD, first + 5)
    last = store.delete(POD, first)
    assert int(last.resource_version) == first + 1
    assert last.labels == {"app": "web"}
    assert store.get(POD) is None
    with refused("NotFound"):
        store.delete(POD, None)
    store.create(POD, pod())
    assert int(store.delete(POD, None).resource_version) == first + 3


@pytest.mark.parametrize(
    "text",
    ['"quoted" \\ back', "line\nline", "Grüße, 世界 🌍", "\u0000nul", '{"resourceVersion":"1"}', "%s %d ${x} '"],
    ids=["quotes", "newline", "unicode", "nul", "json", "formats"],
)
def test_any_text_is_kept(bench: Bench, text: str) -> None:
    store = bench.open()
    key = Key("configmaps", "default", "x|y z")
    created = store.create(key, {"metadata": {"name": "x"}, "data": {text: text}})
    assert created.obj["data"] == {text: text}
    stored = store.get(key)
    assert stored is not None
    assert stored.raw == created.raw
    cached = bench.cache(store).get(key)
    assert cached is not None
    assert cached.obj == created.obj


def test_a_revision_in_the_given_object_is_replaced(bench: Bench) -> None:
    store = bench.open()
    obj = pod()
    obj["metadata"]["resourceVersion"] = "999999"
    obj["involvedObject"] = {"resourceVersion": "999999"}
    created = store.create(POD, obj)
    assert created.resource_version == str(store.revision())
    assert created.obj["involvedObject"] == {"resourceVersion": "999999"}


def test_a_large_object(bench: Bench) -> None:
    store = bench.open()
    obj = {"metadata": {"name": "big"}, "data": {"x": "y" * 1_500_000}}
    created = store.create(POD, obj)
    assert len(store.delete(POD, int(created.resource_version)).raw) > 1_500_000


class TestClaims:
    def test_one_holder(self, bench: Bench) -> None:
        store = bench.open()
        store.create(SERVICE, pod(), [ADDRESS, PORT])
        revision = store.revision()
        with pytest.raises(ClaimTaken) as caught:
            store.create(Key("services", "default", "other"), pod(), [Claim("nodeports", "30081/TCP"), PORT])
        assert (caught.value.claim, caught.value.holder) == (PORT, SERVICE)
        assert store.revision() == revision
        assert store.get(Key("services", "default", "other")) is None
        assert store.holder(Claim("nodeports", "30081/TCP")) is None

    def test_an_update_replaces_or_keeps(self, bench: Bench) -> None:
        store = bench.open()
        first = store.create(SERVICE, pod(), [ADDRESS])
        second = store.update(SERVICE, pod(), int(first.resource_version))
        assert store.holder(ADDRESS) == SERVICE
        third = store.update(SERVICE, pod(), int(second.resource_version), [ADDRESS, PORT])
        assert store.holder(PORT) == SERVICE
        store.update(SERVICE, pod(), int(third.resource_version), [PORT])
        assert store.holder(ADDRESS) is None
        assert store.holder(PORT) == SERVICE

    def test_a_refused_update_changes_nothing(self, bench: Bench) -> None:
        store = bench.open()
        first = store.create(SERVICE, pod(), [ADDRESS])
        store.create(Key("services", "default", "other"), pod(), [PORT])
        with pytest.raises(ClaimTaken):
            store.update(SERVICE, pod(), int(first.resource_version), [PORT])
        assert store.holder(ADDRESS) == SERVICE
        stored = store.get(SERVICE)
        assert stored is not None
        assert stored.raw == first.raw

    def test_a_delete_releases(self, bench: Bench) -> None:
        store = bench.open()
        store.create(SERVICE, pod(), [ADDRESS, PORT])
        store.delete(SERVICE, None)
        assert store.holder(ADDRESS) is None
        other = Key("services", "default", "other")
        store.create(other, pod(), [ADDRESS, PORT])
        assert store.holder(PORT) == other

    def test_of_many_at_once_one_gets_it(self, bench: Bench) -> None:
        store = bench.open()
        taken: list[ClaimTaken] = []

        def claim(number: int) -> None:
            try:
                store.create(Key("services", "default", f"s{number}"), pod(), [ADDRESS])
            except ClaimTaken as error:
                taken.append(error)

        run_threads(claim, 12)
        assert len(taken) == 11
        assert {error.holder for error in taken} == {store.holder(ADDRESS)}


class TestTerms:
    def test_a_stale_leader_is_refused(self, durable: Bench) -> None:
        store = durable.open()
        old = Term("manager", store.next_term("manager"))
        first = store.create(POD, pod(), term=old)
        new = Term("manager", store.next_term("manager"))
        assert new.value == old.value + 1
        revision = int(first.resource_version)
        with refused("StaleTerm"):
            store.update(POD, pod(), revision, term=old)
        with refused("StaleTerm"):
            store.delete(POD, None, term=old)
        with refused("StaleTerm"):
            store.create(Key("pods", "default", "b"), pod(), term=old)
        assert store.revision() == revision
        store.update(POD, pod(), revision, term=new)

    def test_terms_are_apart(self, durable: Bench) -> None:
        store = durable.open()
        manager = Term("manager", store.next_term("manager"))
        store.next_term("other")
        store.create(POD, pod(), term=manager)

    def test_a_term_that_nobody_was_given_is_refused(self, durable: Bench) -> None:
        store = durable.open()
        with refused("StaleTerm"):
            store.create(POD, pod(), term=Term("manager", 7))

    def test_leases_do_not_know_terms(self, leases: Bench) -> None:
        leases.open().create(POD, pod(), term=Term("manager", 7))


def test_concurrent_updates_lose_nothing(bench: Bench) -> None:
    store = bench.open()
    store.create(POD, {"metadata": {"name": "web"}, "count": 0})

    def count_up(_: int) -> None:
        for _ in range(20):
            while True:
                found = store.get(POD)
                assert found is not None
                try:
                    store.update(POD, {**found.obj, "count": found.obj["count"] + 1}, int(found.resource_version))
                    break
                except ApiError as error:
                    if error.reason != "Conflict":
                        raise

    run_threads(count_up, 6)
    found = store.get(POD)
    assert found is not None
    assert found.obj["count"] == 120


def test_concurrent_writers_get_dense_revisions(bench: Bench) -> None:
    store = bench.open()
    start = store.revision()
    revisions: list[int] = []

    def write(number: int) -> None:
        for i in range(25):
            revisions.append(int(store.create(Key("pods", "default", f"{number}-{i}"), pod()).resource_version))

    run_threads(write, 16)
    assert sorted(revisions) == list(range(start + 1, start + 401))
    assert store.acknowledged == start + 400


def test_a_restarted_api_server_goes_on(bench: Bench) -> None:
    store = bench.open()
    first = int(store.create(POD, pod()).resource_version)
    store.close()
    again = bench.open()
    assert int(again.update(POD, pod(step="two"), first).resource_version) == first + 1


def test_scripts_that_redis_forgot_are_sent_again(bench: Bench) -> None:
    store = bench.open()
    store.create(POD, pod())
    with bench.server.client() as client:
        client.script_flush()
    store.create(Key("pods", "default", "b"), pod())
    with bench.server.client() as client:
        client.script_flush()
    run_threads(lambda n: store.create(Key("pods", "default", f"c{n}"), pod()), 8)
    assert store.get(Key("pods", "default", "c7")) is not None


def test_a_wrong_password_is_said(bench: Bench) -> None:
    store: Store = bench.open(password="wrong")
    with refused("ServiceUnavailable"):
        store.create(POD, pod())
    assert not store.health().writable
    assert "wrong" not in store.health().reason
