"""Role redis: two stores that only the master's own processes reach."""

import pytest
from testinfra.host import Host

from tests.testinfra.support import listeners, units

STORES = ("kubelab-redis", "kubelab-redis-leases")


def ask(host: Host, store: str, words: str) -> str:
    password = "$(cat /etc/kubelab/redis.password)"
    return str(host.check_output(f'redis-cli -s /run/{store}/redis.sock --no-auth-warning -a "{password}" {words}'))


def test_the_stores_run_and_debians_own_does_not(master: Host) -> None:
    found = units(master, *STORES, "redis-server")
    for store in STORES:
        assert found[store].runs
        assert found[store].enabled
        assert found[store].comes_back
        assert found[store].properties["Type"] == "notify"
        assert found[store].properties["User"] == "redis"
        assert found[store].memory_max.isdigit()
    assert found["redis-server"].masked


@pytest.mark.parametrize("store", STORES)
def test_the_socket_is_the_groups(master: Host, store: str) -> None:
    socket = master.file(f"/run/{store}/redis.sock")
    assert socket.is_socket
    assert (socket.user, socket.group, socket.mode) == ("redis", "kubelab", 0o660)


def test_there_is_no_tcp(master: Host) -> None:
    assert not [where for where, who in listeners(master).items() if "redis" in who or where.endswith(":6379")]


@pytest.mark.parametrize("store", STORES)
def test_a_client_without_the_password_is_refused(master: Host, store: str) -> None:
    assert "NOAUTH" in master.run(f"redis-cli -s /run/{store}/redis.sock ping").stdout


@pytest.mark.parametrize("store", STORES)
def test_another_account_does_not_reach_the_socket(master: Host, store: str) -> None:
    nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    answer = master.run(f"{nobody} redis-cli -s /run/{store}/redis.sock ping")
    assert "Permission denied" in answer.stdout + answer.stderr


def test_the_password_is_the_groups(master: Host) -> None:
    paths = "/etc/kubelab/redis.password /etc/kubelab/redis/*.conf"
    assert master.check_output(f"stat -c '%a %U %G' {paths}").splitlines() == ["640 root kubelab"] * 3


@pytest.mark.parametrize(("store", "fsync"), [("kubelab-redis", "always"), ("kubelab-redis-leases", "no")])
def test_what_is_kept_and_when_it_is_on_the_disk(master: Host, store: str, fsync: str) -> None:
    out = ask(master, store, "config get 'append*'").split()
    settings = dict(zip(out[::2], out[1::2], strict=True))
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", fsync)
    assert ask(master, store, "config get maxmemory-policy").split()[-1] == "noeviction"


def test_workers_have_no_store(worker: Host) -> None:
    assert not worker.process.filter(comm="redis-server")
    assert not worker.file("/etc/kubelab/redis.password").exists
