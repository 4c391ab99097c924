"""Who asks is what the kernel says: real people of several groups at the socket of a real bot."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli import app
from bot.desk import client
from bot.edge.commands import VIEWERS_ASKS_MAX
from bot.errors import Refused
from tests.cli.conftest import Bot

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
        bot.process = running(bot)
        yield bot
        if bot.process.poll() is None:
            bot.process.kill()
        bot.process.communicate()


def running(bot):
    """Start a bot; return once the process itself is RUNNING, not when its crash is told of."""
    process = bot.start(
        "run",
        "--log",
        "json",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        told = json.loads(line)
        if (told.get("machine"), told.get("dest")) == ("process", "RUNNING"):
            return process
    raise AssertionError(f"it ended: {process.wait()}")


def switch(live):
    """Return where the account's kill switch stands."""
    found = live("status", "--json").data["account"]
    return next(row for row in found if row["machine"] == "kill")


def latched(live):
    """Have the account killed, unless it is."""
    if switch(live)["state"] == "ARMED":
        assert live("do", "kill", "--reason", "drill").code == 0


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
    latched(live)
    proposed = does(live, ANNA, "rearm", most=2)
    assert [state for state, _ in proposed] == ["PROPOSED", "PROPOSED"]
    run = proposed[-1][1].partition("run=")[2].partition("`")[0]
    live.process.kill()
    live.process.communicate()
    (waits,) = live("status", "--json").data["waiting"]
    assert waits["reason"] == proposed[-1][1]
    live.process = running(live)
    assert does(live, ANNA, "approve", run=run)[-1][1].startswith(
        f"expected another person than uid {ANNA} (uid {ANNA})"
    )
    assert does(live, BO, "approve", run=run)[-1][0] == "DONE"
    assert live("status", "--json").data["waiting"] == []
    kill = switch(live)
    assert kill["state"] == "ARMED"
    assert kill["reason"].startswith(f"uid {ANNA}, approved by uid {BO}: a test")


def test_root_is_admin_and_no_second_person(live):
    latched(live)
    ran = live("do", "rearm", "--reason", "drill")
    assert ran.code == 3
    assert "expected a person's own, found root (roles.two_people)" in ran.out
    proposed = does(live, ANNA, "rearm", most=2)
    run = proposed[-1][1].partition("run=")[2].partition("`")[0]
    assert live("do", "approve", f"run={run}", "--reason", "drill").code == 3
    declined = live("do", "decline", f"run={run}", "--reason", "drill")
    assert declined.code == 0, declined.err
    assert does(live, BO, "approve", run=run)[-1][0] == "REFUSED"


def typed(live, uid, *words):
    """Return the exit code and the output of a command line that a person types."""

    def act():
        ran = CliRunner().invoke(app.bot, [*words, "--state", str(live.state)],
                                 standalone_mode=False)  # fmt: skip
        return (ran.return_value, ran.output) if ran.exception is None else str(ran.exception)

    return as_person(uid, act)


def test_on_the_command_line_what_waits_says_so_and_an_approval_ends_as_what_it_approved(live):
    latched(live)
    code, said = typed(live, ANNA, "do", "rearm", "--reason", "over")
    assert (code, said.splitlines()[-1]) == (
        4,
        "nothing is done yet; see `status`. --timeout would wait for the second person",
    )
    run = said.partition("run=")[2].partition("`")[0]
    assert f"bot do approve run={run}" in live("status").out
    code, said = typed(live, BO, "do", "approve", f"run={run}", "--reason", "yes")
    assert code == 0
    assert said.splitlines()[-1].startswith("DONE: kill is ARMED")


def test_a_flag_is_switched_for_a_time_and_listed(live):
    ran = live("do", "set-parameter", "name=models.scoring", "value=false", "--expires", "2h",
               "--reason", "slow scores")  # fmt: skip
    assert ran.code == 0, ran.out
    found = {flag["name"]: flag for flag in live("flags", "--json").data["flags"]}
    flag = found["models.scoring"]
    assert (flag["on"], flag["configured"], flag["by"]) == (False, True, "root")
    assert (flag["reason"], flag["until"] - flag["since"]) == ("slow scores", 7_200_000)
    assert "root until" in live("flags").out


def test_viewers_cannot_fill_the_disk_with_refusals(live):
    ends = [does(live, VERA, "hold")[-1] for _ in range(VIEWERS_ASKS_MAX + 1)]
    said = f"expected at most {VIEWERS_ASKS_MAX} commands of viewers a minute, found more"
    assert ends[-1] == ["not heard", said]
    assert ends[0][0] == "REFUSED"
    assert does(live, OTTO, "reduce")[-1][0] == "DONE"


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
