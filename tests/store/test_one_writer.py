"""One writer: a second process is refused and told who holds the lease; death frees it."""

import pytest

from bot.errors import LeaseHeld
from bot.store.lease import Lease, holder
from tests.store.kept import child

HOLD = """
import os, sys, time
from pathlib import Path
from bot.store.lease import Lease
lease = Lease(Path(sys.argv[1]), {"pid": os.getpid(), "host": "here"})
print(os.getpid(), flush=True)
time.sleep(60)
"""
TRY = """
import sys
from pathlib import Path
from bot.errors import LeaseHeld
from bot.store.lease import Lease
try:
    Lease(Path(sys.argv[1]), {"pid": 1})
except LeaseHeld as error:
    print(error)
"""


@pytest.fixture
def other(tmp_path):
    process = child(HOLD, tmp_path / "state.db")
    process.pid_said = int(process.stdout.readline())
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_holds_it(other, tmp_path):
    state = tmp_path / "state.db"
    with pytest.raises(LeaseHeld, match=f"its lease is held by pid {other.pid_said}, host here"):
        Lease(state, {"pid": 1})
    assert holder(state) == {"pid": other.pid_said, "host": "here"}


def test_kill_9_frees_it(other, tmp_path):
    other.kill()
    other.wait()
    state = tmp_path / "state.db"
    assert holder(state) is None
    lease = Lease(state, {"pid": 1})
    assert child(TRY, state).communicate()[0].strip().endswith("held by pid 1")
    lease.release()
    assert child(TRY, state).communicate()[0] == ""


def test_one_process_does_not_get_it_twice_and_children_do_not_inherit_it(tmp_path):
    state = tmp_path / "state.db"
    lease = Lease(state, {"pid": 1})
    with pytest.raises(LeaseHeld):
        Lease(state, {"pid": 2})
    sleeper = child("import time; time.sleep(60)")
    lease.release()
    Lease(state, {"pid": 3}).release()
    sleeper.kill()
    sleeper.communicate()


def test_a_lease_file_with_nonsense_is_still_a_lease(tmp_path):
    state = tmp_path / "state.db"
    (tmp_path / "state.db.lease").write_bytes(b"\xff not json")
    assert holder(state) is None
    Lease(state, {"pid": 1}).release()
