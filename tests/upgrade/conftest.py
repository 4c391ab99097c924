"""A stopped database of an older release: written by a real reactor before the newest migration ran."""

from __future__ import annotations

import functools
import json
import shutil

import pytest

import migrations
from bot.cli.app import _guarded
from bot.edge.files import Halt
from bot.engine import boot
from bot.store import snapshots
from tests.store.kept import lived
from tests.upgrade.releases import NEWEST

OLD_BUILD = "0ldbu11d0ldb"


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The database of an older release, which wrote a snapshot and a tail behind it."""
    path = tmp_path_factory.mktemp("older") / "state.db"
    known = migrations.names()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "names", lambda: [name for name in known if name != NEWEST])
        reactor = lived(path)
    snapshots.save(reactor.writer, reactor.world, 1, OLD_BUILD)
    reactor.writer.meta("build", OLD_BUILD)
    connection = reactor.writer.connection
    boot._identity(connection)
    connection.close()
    return path


@pytest.fixture
def state(written, tmp_path, monkeypatch):
    shutil.copyfile(written, tmp_path / "state.db")
    Halt(tmp_path / "HALT").create()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state.db"


@pytest.fixture
def step(capfd):
    """Run a step in this process; return its exit code and what it said as JSON."""

    def run(state, *words):
        code = _guarded(["upgrade", *words, "--state", str(state), "--json"])
        out, _ = capfd.readouterr()
        return code, json.loads(out)

    return run


@pytest.fixture
def upgrade(state, step):
    """Run a step on the older database."""
    return functools.partial(step, state)


@pytest.fixture
def applied(upgrade):
    """Check and apply."""
    assert upgrade("check")[0] == 0
    code, done = upgrade("apply", "--reason", "spring")
    assert code == 0, done
    return done
