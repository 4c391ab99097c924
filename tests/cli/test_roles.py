"""Who asks is what the kernel says: real people of several groups at the socket of a real bot."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from bot.desk import client
from bot.errors import Refused
from tests.cli.conftest import Bot
from tests.cli.test_live import started

GROUPS = [group for group in grp.getgrall() if group.gr_gid > 0][:3]
if os.geteuid() != 0 or len(GROUPS) < 3:
    pytest.skip("expected root and three groups, to become other people", allow_module_level=True)

VIEW, OPS, ADMIN = GROUPS
CONFIG = f"""
[roles]
viewers_group = "{VIEW.gr_name}"
operators_group = "{OPS.gr_name}"
admins_group = "{ADMIN.gr_name}"
"""
VERA, OTTO, ANNA, BO, ZOE = 4001, 4002, 4003, 4004, 4005
IN = {VERA: [VIEW], OTTO: [VIEW, OPS], ANNA: [VIEW, OPS, ADMIN], BO: [VIEW, ADMIN], ZOE: []}


def as_person(uid, act):
    """Become a person in a child process; return what ``act`` returned there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([group.gr_gid for group in IN[uid]])
            os.setgid(uid)
            os.setuid(uid)
            os.write(writer, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said)


@pytest.fixture(scope="module")
def live():
    """A running bot in a folder that everybody may enter, as /var/lib is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bot = Bot(Path(folder))
        (bot.folder / "bot.toml").write_text(CONFIG)
        bot.process = started(bot)
        yield bot
        if bot.process.poll() is None:
            bot.process.kill()
        bot.process.communicate()


def does(live, uid, verb, most=9, **args):
    """Return the states and reasons that a person's command comes to; at most so many."""

    def act():
        moves = []
        try:
            for moved in client.command(live.state, client.Ask(verb, args, "a test"), 30):
                moves.append((moved.state, moved.reason))
                if len(moves) == most:
                    break
        except Refused as error:
            moves.append(("not heard", str(error)))
        return moves

    return as_person(uid, act)


def test_a_viewer_watches_and_a_stranger_does_not_even_connect(live):
    def watches():
        return next(client.watch(live.state, 0)).machine

    assert as_person(VERA, watches) == "process"
    ((state, why),) = does(live, ZOE, "hold")
    assert state == "not heard"
    assert why.endswith("may be used only by the bot's owner and group")


def test_what_a_viewer_asks_for_is_refused_and_a_row_of_the_audit(live):
    (_, proposed), last = does(live, VERA, "hold")
    assert proposed == f"hold by uid {VERA} (kernel, viewer): a test"
    assert last == ["REFUSED", f"expected role operator for hold, found viewer (uid {VERA})"]
    row = live("query", "operator_actions", "--json").data["rows"][-1]
    assert (row["operator"], row["outcome"], row["why"]) == (f"uid {VERA}", *last)


def test_an_operator_tightens_and_does_not_re_arm(live):
    assert does(live, OTTO, "hold")[-1][0] == "DONE"
    assert does(live, OTTO, "kill")[-1][0] == "DONE"
    why = f"expected role admin for rearm, found operator (uid {OTTO})"
    assert does(live, OTTO, "rearm")[-1] == ["REFUSED", why]


def test_an_admin_proposes_the_bot_dies_and_another_admin_approves(live):
    proposed = does(live, ANNA, "rearm", most=2)
    assert [state for state, _ in proposed] == ["PROPOSED", "PROPOSED"]
    run = proposed[-1][1].partition("run=")[2].partition("`")[0]
    live.process.kill()
    live.process.communicate()
    (waits,) = live("status", "--json").data["waiting"]
    assert waits["reason"] == proposed[-1][1]
    live.process = started(live)
    assert does(live, ANNA, "approve", run=run)[-1][1].startswith(
        f"expected another person than uid {ANNA} (uid {ANNA})"
    )
    assert does(live, BO, "approve", run=run)[-1][0] == "DONE"
    found = live("status", "--json").data
    assert found["waiting"] == []
    (kill,) = [row for row in found["account"] if row["machine"] == "kill"]
    assert kill["state"] == "ARMED"
    assert kill["reason"].startswith(f"uid {ANNA}, approved by uid {BO}: a test")


def test_root_is_admin_and_no_second_person(live):
    assert live("do", "kill", "--reason", "drill").code == 0
    ran = live("do", "rearm", "--reason", "drill")
    assert ran.code == 3
    assert "expected a person's own, found root (roles.two_people)" in ran.out
    proposed = does(live, ANNA, "rearm", most=2)
    run = proposed[-1][1].partition("run=")[2].partition("`")[0]
    assert live("do", "approve", f"run={run}", "--reason", "drill").code == 3
    declined = live("do", "decline", f"run={run}", "--reason", "drill")
    assert declined.code == 0, declined.err
    assert does(live, BO, "approve", run=run)[-1][0] == "REFUSED"


def test_all_of_it_replays(live):
    assert live("audit", "verify").code == 0
    ran = live("replay", "--check")
    assert ran.code == 0, ran.err


def test_the_socket_and_halt_have_their_groups(live):
    socket, halt = (live.folder / name for name in ("state.db.sock", "HALT"))
    assert (socket.stat().st_gid, socket.stat().st_mode & 0o777) == (VIEW.gr_gid, 0o660)
    assert (halt.stat().st_gid, halt.stat().st_mode & 0o777) == (OPS.gr_gid, 0o664)


def test_a_group_that_is_not_there_is_said_before_the_start(tmp_path):
    (tmp_path / "bot.toml").write_text('[roles]\nadmins_group = "nosuch"\n')
    ran = Bot(tmp_path)("run", stdin=subprocess.DEVNULL)
    assert ran.code == 78
    assert "roles.admins_group: expected a group of this system, found 'nosuch'" in ran.err
    found = Bot(tmp_path)("doctor", "--json").data["verdicts"]
    assert [row["verdict"] for row in found if row["name"] == "roles"] == ["wrong"]
