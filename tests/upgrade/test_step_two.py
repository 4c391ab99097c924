"""`bot upgrade apply`, `confirm`, and `rollback`: refused, applied, killed at each step, put back."""

from __future__ import annotations

import json
import shutil
import signal

import pytest
from msgspec.structs import replace

from bot.cli.app import _guarded
from bot.config.sections import Upgrade
from bot.edge import upgrades
from bot.edge.files import Halt
from bot.edge.upgrades import Stage
from bot.engine import boot, rehearsal
from bot.engine import upgrade as engine
from bot.engine.build import build_id
from bot.errors import ConfigError
from bot.store import backup, chain
from bot.store.database import open_reader, open_writer
from bot.store.lease import Lease
from tests.people import Webhook
from tests.store.kept import child
from tests.upgrade.releases import NEWEST

HOUR_MS = 3_600_000
QUICK = Upgrade(start_real_seconds=1, health_real_seconds=1)


def test_without_a_check_nothing_is_applied(upgrade, state):
    before = state.read_bytes()
    code, said = upgrade("apply", "--reason", "spring")
    assert code == 3
    assert said["error"].startswith("expected a check of this upgrade, found none")
    assert state.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code": "another"}, "found one by another"),
        ({"ok": False}, "the check found what is wrong"),
        ({"config": "another"}, "the configuration was changed"),
        ({"checked_at": 0}, "expected a check of the last 24 h"),
        ({"instance": "another"}, "expected the database that was checked (another"),
        ({"head": "00" * 32}, "expected the database that was checked"),
        ({"stage": Stage.CONFIRMED}, "found one that is CONFIRMED"),
    ],
)
def test_a_check_of_something_else_does_not_count(upgrade, state, changes, why):
    upgrade("check")
    upgrades.write(state, replace(upgrades.read(state), **changes))
    code, said = upgrade("apply", "--reason", "spring")
    assert code == 3
    assert why in said["error"]


def test_a_database_that_grew_on_since_the_check_is_the_same(upgrade, state):
    assert upgrade("check")[0] == 0
    connection = open_writer(state)
    connection.execute("INSERT OR REPLACE INTO meta VALUES('opened_at', '1')")
    connection.close()
    assert upgrade("apply", "--reason", "spring")[0] == 0


def test_a_bot_that_does_not_stop_keeps_its_database(upgrade, state):
    upgrade("check")
    (state.parent / "bot.toml").write_text("[upgrade]\nstop_real_seconds = 1\n")
    upgrade("check")
    lease = Lease(state, {"pid": 4711})
    code, said = upgrade("apply", "--reason", "spring")
    lease.release()
    assert code == 3
    assert "pid 4711" in said["error"]
    assert upgrades.read(state).stage == Stage.CHECKED


def test_what_was_applied_is_migrated_whole_and_said_so(applied, state):
    assert applied["stage"] == "APPLIED"
    rows = read(state, "SELECT what, before, build, detail FROM builds WHERE what = 'upgrade'")
    assert rows == [("upgrade", "0ldbu11d0ldb", build_id(), f'["{NEWEST}"]')]
    assert backup.verify(backup_of(state)).transitions > 0
    backup.verify(state)


def test_a_migration_that_fails_in_place_leaves_the_database_and_may_be_tried_again(
    upgrade, state, monkeypatch
):
    assert upgrade("check")[0] == 0
    before = head(state)

    def fails(db):
        db.execute("DELETE FROM equity")
        raise RuntimeError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(f"migrations.{NEWEST}.up", fails)
        assert upgrade("apply", "--reason", "spring")[0] == 1
    assert head(state) == before
    assert read(state, "SELECT count(*) FROM equity")[0][0] > 0
    assert upgrade("apply", "--reason", "once more")[0] == 0


POINTS = {
    "before the backup": ("bot.engine.upgrade.back_up", "before"),
    "after the backup": ("bot.engine.upgrade.back_up", "after"),
    "after it is written down": ("bot.edge.upgrades.write", "after"),
    "in the middle of the migration": ("bot.store.schema._refuse_broken_keys", "before"),
    "after the migration": ("bot.engine.boot.migrate", "after"),
    "before the event is committed": ("bot.store.writer.Writer.commit", "before"),
    "after the event": ("bot.engine.upgrade.decide_held", "after"),
    "while it is put back": ("bot.store.backup.put_back", "before"),
}
DIE = """
import json, os, pkgutil, signal, sys
from pathlib import Path
from bot.config.sections import Upgrade
from bot.engine import upgrade
import migrations, sqlite_utils

def die(state, place, when):
    owner, _, name = place.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    whole = getattr(owner, name)

    def dies(*args, **more):
        if when == "after":
            whole(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dies)
    act = upgrade.roll_back if name == "put_back" else upgrade.apply
    act(Path(state), Upgrade(), "ana", "it smells", "20260101T000000000Z")

for state, place, when in json.loads(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        die(state, place, when)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(written, tmp_path_factory):
    """For each point, a checked (to be put back: applied) database whose process died there."""
    folder, wanted = tmp_path_factory.mktemp("killed"), []
    for point, (place, when) in POINTS.items():
        state = folder / point.replace(" ", "-") / "state.db"
        state.parent.mkdir()
        shutil.copyfile(written, state)
        Halt(state.parent / "HALT").create()
        engine.keep(state, rehearsal.rehearse(None, state, {}, "20250101T000000000Z"))
        if place.endswith("put_back"):
            engine.apply(state, Upgrade(), "ana", "spring", "20250102T000000000Z")
        wanted.append((str(state), place, when))
    process = child(DIE, json.dumps(wanted))
    out, err = process.communicate()
    assert out.split() == [str(-signal.SIGKILL)] * len(POINTS), err
    return folder


@pytest.fixture
def dead(killed, tmp_path, monkeypatch, request):
    """The database of one of them, as its process left it."""
    shutil.copytree(killed / request.param.replace(" ", "-"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state.db"


@pytest.mark.parametrize(
    "dead", [p for p in POINTS if "back" not in p or "backup" in p], indirect=True
)
def test_a_kill_at_each_step_leaves_the_old_one_or_the_new_one(dead, written, step):
    before = head(written)
    backup.verify(dead)
    assert read(dead, "SELECT hash FROM transition WHERE id = ?", before[0]) == [(before[1],)]
    code, done = step(dead, "apply", "--reason", "once more")
    assert (code, done["stage"]) == (0, "APPLIED"), done
    backup.verify(dead)
    assert boot.open_state(dead).doubt == ""


@pytest.mark.parametrize("dead", ["while it is put back"], indirect=True)
def test_a_kill_while_it_is_put_back_is_gone_on_with(dead, step):
    assert upgrades.read(dead).stage == Stage.ROLLING_BACK
    backup.verify(dead)
    with pytest.raises(ConfigError, match="it smells"):
        boot.open_state(dead)
    code, done = step(dead, "confirm")
    assert (code, done["stage"], done["why"]) == (1, "ROLLED_BACK", "it smells")


@pytest.fixture
def heard(monkeypatch):
    """A channel: a real server."""
    webhook = Webhook()
    monkeypatch.setenv("BOT_NOTIFY_URLS", webhook.url)
    yield webhook.messages
    webhook.close()


@pytest.mark.filterwarnings("ignore:.*imghdr:DeprecationWarning")  # of a library
def test_a_build_that_never_starts_is_rolled_back(applied, upgrade, state, heard):
    (state.parent / "bot.toml").write_text("[upgrade]\nstart_real_seconds = 1\n")
    old_head = head(backup_of(state))
    code, done = upgrade("confirm")
    assert (code, done["stage"]) == (1, "ROLLED_BACK")
    assert "it was not RUNNING within 1 s" in done["why"]
    assert done["said"].endswith("start build 0ldbu11d0ldb")
    assert read(state, "SELECT count(*) FROM migration_sum WHERE name = ?", NEWEST) == [(0,)]
    assert read(state, "SELECT hash FROM transition WHERE id = ?", old_head[0]) == [(old_head[1],)]
    reason = read(state, "SELECT json_extract(body, '$.reason') FROM journal WHERE kind='Restored'")
    assert reason[0][0].startswith(f"upgrade from 0ldbu11d0ldb to {build_id()} rolled back: it was")
    for path in done["kept"]:
        assert (state.parent / path).exists()
    message = heard.get(timeout=10)["message"]
    assert f"upgrade to {build_id()} rolled back: it was not RUNNING" in message
    assert "start build 0ldbu11d0ldb" in message


def test_a_build_that_was_rolled_back_is_refused_until_it_is_checked_anew(
    applied, upgrade, state, capfd
):
    assert upgrade("rollback", "--reason", "it smells")[0] == 1
    with pytest.raises(
        ConfigError, match="was rolled back here \\(it smells\\): start build 0ldbu"
    ):
        boot.open_state(state)
    assert _guarded(["migrate", "--state", str(state)]) == 2, "nor is it migrated by hand"
    assert "it smells" in capfd.readouterr().err
    assert upgrade("confirm")[0] == 3
    assert upgrade("check")[0] == 0
    boot.open_state(state)


def test_a_failed_check_does_not_lift_the_refusal(applied, upgrade, state):
    upgrade("rollback", "--reason", "it smells")
    (state.parent / "bot.toml").write_text("[guard]\nwindw = 3\n")
    assert upgrade("check")[0] == 1
    with pytest.raises(ConfigError, match="it smells"):
        boot.open_state(state)


def test_what_the_new_build_held_down_becomes_a_halt(applied, upgrade, state):
    from bot.engine.offline import do_offline

    do_offline(state, "hold", {}, "storm", "bo")
    done = upgrade("rollback", "--reason", "it smells")[1]
    assert "HALT is set, re-arm after looking: hold account was HELD: bo: storm" in done["said"]


def test_nothing_that_was_not_applied_is_put_back(upgrade, state):
    assert upgrade("rollback", "--reason", "x")[0] == 3
    upgrade("check")
    code, said = upgrade("confirm")
    assert (code, said["error"]) == (
        3,
        "expected an upgrade that is APPLIED, found one that is CHECKED",
    )


@pytest.mark.parametrize("grave", [True, False])
def test_only_a_grave_check_that_is_escalated_counts_against_it(applied, state, grave):
    name = "ledger" if grave else "latency"
    connection = open_writer(state)
    check = "ledger" if grave else "venue breaker"
    connection.execute("INSERT INTO finding VALUES(?, 1, 1, 0, NULL, NULL, 'it differs')", (check,))
    connection.execute(
        "INSERT INTO instance VALUES('check', ?, 'ESCALATED', 1, 1, 'it differs')", (check,)
    )
    connection.close()
    why = engine.proved(state, upgrades.read(state), QUICK, lambda said: None)
    expected = "check ledger is ESCALATED: it differs" if grave else "it was not RUNNING within 1 s"
    assert why.startswith(expected), name


def test_another_build_that_runs_is_not_judged(applied, upgrade, state):
    connection = open_writer(state)
    connection.execute("INSERT OR REPLACE INTO meta VALUES('build', 'third')")
    connection.close()
    code, said = upgrade("confirm")
    assert (code, said["error"]) == (3, f"expected build {build_id()} to run, found build third")


def backup_of(state):
    return state.parent / upgrades.read(state).backup


def head(path):
    reader = open_reader(path, alive=False)
    try:
        return chain.head(reader)
    finally:
        reader.close()


def read(state, sql, *values):
    reader = open_reader(state, alive=False)
    try:
        return reader.execute(sql, values).fetchall()
    finally:
        reader.close()
