"""The structs as a whole: what holds for each of them."""

import subprocess
import sys

import pytest

# Threads that decode at the same moment, first thing in a new process, and change places as often as can be.
RACE = """
import sys, threading
import msgspec
from controlplane.api.types import Pod
sys.setswitchinterval(1e-6)
body = b'{"spec":{"containers":[{"name":"a","image":"b"}]},"status":{"conditions":[{"type":"Ready"}]}}'
start = threading.Barrier(8)
def decode():
    start.wait()
    msgspec.json.decode(body, type=Pod)
threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("time", range(5))
def test_threads_may_decode_from_the_first_moment(time: int) -> None:
    """Without `learn`, msgspec crashes in two of three such processes."""
    assert subprocess.run([sys.executable, "-c", RACE], check=False).returncode == 0
