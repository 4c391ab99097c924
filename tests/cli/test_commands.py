"""Every command: its help, its JSON, its exit codes, and what it says of a told day."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import migrations
from bot.cli import app
from bot.desk.catalogue import VIEWS
from bot.store.lease import Lease
from tests.cli.conftest import COMMAND, ENV, ROOT

COMMANDS = (
    ("run",),
    ("status",),
    ("metrics",),
    ("do",),
    ("alerts",),
    ("alerts", "test"),
    ("alerts", "list"),
    ("alerts", "ack"),
    ("flags",),
    ("tail",),
    ("query",),
    ("machines",),
    ("audit",),
    ("audit", "verify"),
    ("replay",),
    ("config",),
    ("config", "check"),
    ("config", "explain"),
    ("config", "show"),
    ("doctor",),
    ("self-assess",),
    ("migrate",),
    ("backup",),
    ("restore",),
    ("upgrade",),
    ("upgrade", "check"),
    ("upgrade", "apply"),
    ("upgrade", "confirm"),
    ("upgrade", "rollback"),
    ("train",),
    ("models",),
    ("models", "list"),
    ("models", "show"),
    ("models", "verify"),
    ("models", "promote"),
    ("models", "rollback"),
    ("models", "quarantine"),
    ("models", "retire"),
    ("models", "requalify"),
    ("panic",),
    ("deadman",),
    ("install",),
)

GROUPS = (("alerts",), ("audit",), ("config",), ("models",), ("upgrade",))
JSON = (
    ("status",),
    ("metrics",),
    ("query", "history"),
    ("query", "--list"),
    ("machines",),
    ("machines", "guard", "--mermaid"),
    ("audit", "verify"),
    ("replay", "--check"),
    ("config", "check"),
    ("config", "explain", "guard.window"),
    ("config", "show"),
    ("migrate",),
    ("backup",),
    ("do", "hold", "--reason", "news"),
    ("tail", "-n", "1"),
    ("models", "list"),
    ("models", "show", "aaaa"),
    ("alerts", "list"),
    ("flags",),
)

ENDLESS = "with recursive c(x) as (select 1 union all select x+1 from c) select count(*) from c"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_its_exit_codes(capsys, command):
    assert app.bot.main([*command, "--help"], standalone_mode=False) == 0
    shown = capsys.readouterr().out
    text = " ".join(shown.split())
    assert "0 ok · 1 failed · 2 usage or config · 3 refused" in text
    assert "--json" in text or command in GROUPS
    described = shown.partition("Usage:")[2].splitlines()[1:]
    assert any(line.strip() for line in described)


def test_the_list_of_commands_is_the_one_tested_here(empty):
    listed = re.findall(
        r"^  ([\w-]+)  ", empty("--help").out.partition("Commands:")[2], re.MULTILINE
    )
    assert listed == list(dict.fromkeys(command[0] for command in COMMANDS))


def test_help_of_do_lists_every_command_of_the_bot(empty):
    from bot.core.runs import VERBS

    shown = empty("do", "--help").out
    for verb in VERBS.values():
        assert verb.name in shown


@pytest.mark.parametrize("command", JSON, ids=" ".join)
def test_json_is_one_document_and_nothing_else(bot, command):
    ran = bot(*command, "--json")
    assert ran.code == 0, ran.err
    assert ran.data is not None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("status",), 2),
        (("metrics",), 2),
        (("tail",), 2),
        (("query", "select 1"), 2),
        (("audit", "verify"), 2),
        (("replay", "--check"), 2),
        (("backup",), 2),
        (("restore", "none", "--reason", "x"), 2),
        (("do", "hold", "--reason", "x"), 2),
        (("do", "release", "--reason", "x"), 5),
        (("do", "nonsense", "--reason", "x"), 2),
        (("do", "hold"), 2),
        (("train", "--dry-run"), 2),
        (("models", "list"), 2),
        (("models", "promote", "a", "--reason", "x"), 2),
        (("do", "hold", "novalue", "--reason", "x"), 2),
        (("machines", "nonsense"), 2),
        (("nonsense",), 2),
        (("tail", "--nonsense"), 2),
        (("--for", "soon"), 2),
        (("query",), 2),
        (("config", "explain", "nonsense"), 2),
        (("config", "check", "--config", "none.toml"), 2),
        (("run", "--config", "none.toml"), 78),
        (("--config", "none.toml"), 78),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_without_a_database_each_command_says_so_with_its_code(empty, command, code):
    ran = empty(*command)
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert ran.err.strip()
    assert "Traceback" not in ran.err
    left = {path.name for path in empty.folder.iterdir()}
    assert left <= {"state.db.lease"}, "a question makes no database"


def test_an_error_is_json_too(empty):
    ran = empty("status", "--json")
    assert ran.data["exit"] == ran.code == 2
    assert "found none" in ran.data["error"]


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("query", "delete from journal"), 3, "may only read"),
        (("query", "select * from nope"), 2, "no such table"),
        (("query", "--timeout", "1s", ENDLESS), 1, "cut after 1 s"),
        (("do", "release", "--reason", "x"), 5, "needs the running bot"),
        (("do", "reduce", "--reason", "x"), 3, ""),
        (("do", "hold", "--symbol", "NOPE", "--reason", "x"), 3, ""),
        (("audit", "verify", "--expect", "123456"), 1, "made anew"),
        (("audit", "verify", "--after", "999999"), 1, "found none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_each_refusal_has_its_code_and_its_sentence(bot, command, code, said):
    ran = bot(*command)
    assert ran.code == code, ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_status_after_a_stop_says_why_nothing_is_traded(bot):
    found = bot("status").out
    assert "bot       crashed: ended in RUNNING without stopping" in found
    assert "entries   NONE: why" in found
    assert "- no bot is running: `python -m bot` starts one" in found
    assert "- guard account is REDUCED: win rate 33% under 40% over 6 trades" in found
    assert "HALT      clear" in found


def test_text_of_others_neither_moves_the_cursor_nor_is_markup(bot):
    for command in (
        ("query", "operator_actions"),
        ("tail", "-n", "200"),
        ("query", "kill_history"),
    ):
        found = bot(*command).out
        assert "drill \ufffd[31m[bold]" in found
        assert "\x1b" not in found


def test_a_hold_without_a_bot_is_written_and_shown(bot):
    ran = bot("do", "hold", "--reason", "night \x07", "--json")
    assert (ran.code, ran.data["state"]) == (0, "DONE")
    (row,) = bot("query", "operator_actions", "--json").data["rows"][-1:]
    assert (row["verb"], row["reason"], row["identity"]) == ("hold", "night \ufffd", "claimed")
    assert any("hold account is HELD" in why for why in bot("status", "--json").data["why"])
    assert bot("do", "hold", "--reason", "again").code == 3


def test_tail_shows_the_newest_last_and_one_machine(bot):
    lines = [json.loads(line) for line in bot("tail", "-n", "5", "--json").out.splitlines()]
    assert len(lines) == 5
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    guard = bot("tail", "--machine", "guard").out.splitlines()
    assert len(guard) == 2
    assert "guard account  NORMAL → REDUCED  win rate 33% under 40% over 6 trades" in guard[1]


def test_tail_follows_a_stopped_database_by_looking_again(bot):
    follower = bot.start("tail", "-n", "1", "-f", "--machine", "hold", stdout=subprocess.PIPE)
    assert "FREE" in follower.stdout.readline()
    assert bot("do", "hold", "--reason", "night").code == 0
    assert "FREE → HELD" in follower.stdout.readline()
    follower.kill()
    follower.communicate()


def test_query_gives_csv_and_says_what_it_cut(bot):
    ran = bot("query", "daily_pnl", "--csv")
    header, row = csv.reader(io.StringIO(ran.out))
    assert header == list(VIEWS["daily_pnl"].columns)
    assert row[:3] == ["2023-11-14", "6", "2"]
    many = (
        "with recursive c(x) as (select 1 union all select x+1 from c limit 10001) select x from c"
    )
    cut = bot("query", many, "--json")
    assert (len(cut.data["rows"]), cut.data["cut"]) == (10_000, "cut after 10,000 rows")


def test_query_list_shows_each_view_with_columns_and_question(bot):
    found = bot("query", "--list").out
    for view in VIEWS.values():
        assert view.question in found
        assert ", ".join(view.columns) in found


def test_machines_are_their_tables_and_where_they_stand(bot):
    (guard,) = bot("machines", "guard", "--json").data
    assert {"from": "NORMAL", "on": "Commanded", "when": "An operator asked for reduced size",
            "to": "REDUCED"} in guard["rows"]  # fmt: skip
    assert guard["standing"][0]["state"] == "REDUCED"
    assert "win rate 33% under 40%" in bot("machines", "guard").out
    assert bot("machines", "kill", "--mermaid").out.startswith("stateDiagram-v2\n    [*] --> ARMED")
    assert not bot("machines", "order", "--json").data[0]["standing"], "all orders are at their end"


def test_audit_and_replay_agree_on_the_head(bot):
    audit, replay = bot("audit", "verify", "--json").data, bot("replay", "--check", "--json").data
    assert audit["head"] == replay["head"]
    assert audit["checked"] == replay["transitions"]
    found = bot("audit", "verify", "--expect", audit["head"][:12])
    assert f"is the head of transition {audit['head_id']}" in found.out


def test_a_change_of_the_past_fails_audit_and_replay(bot):
    from bot.store.database import open_writer

    connection = open_writer(bot.state)
    connection.execute("DROP TRIGGER transition_kept_u")
    connection.execute("UPDATE transition SET reason = 'x' WHERE machine = 'guard' AND version = 2")
    connection.close()
    audit, replay = bot("audit", "verify"), bot("replay", "--check")
    assert (audit.code, replay.code) == (1, 1)
    assert "was changed" in audit.err
    assert "stored" in replay.err
    assert "recomputed" in replay.err


def test_migrate_makes_lists_and_does_nothing_twice(empty):
    first = empty("migrate", "--json")
    every = migrations.names()
    assert (first.code, first.data["ran"], first.data["backup"]) == (0, every, None)
    assert Path(f"{empty.state}-wal").exists(), "a writer leaves without closing"
    assert empty("migrate").out == "nothing to do\n"


def test_a_migration_makes_a_backup_first(bot, tmp_path):
    newer = tmp_path / "newer"
    for part in ("bot", "migrations"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, newer / part, ignore=ignored)
    (newer / "migrations" / "m9999_more.py").write_text(
        '"""More."""\n\n\ndef up(db):\n    db.execute("CREATE TABLE more(a) STRICT")\n'.replace(
            "(a)", "(a TEXT)"
        )
    )
    ran = bot("migrate", "--json", env={**ENV, "PYTHONPATH": str(newer)})
    assert ran.data["ran"] == ["m9999_more"], ran.err
    assert Path(bot.folder / ran.data["backup"]).exists()
    refused = bot("migrate")
    assert (refused.code, "newer than this code" in refused.err) == (1, True)


def test_older_backups_are_dropped_down_to_the_number_asked_for(bot):
    made = [bot("backup", "--json", "--keep", "2").data["path"] for _ in range(3)]
    assert [(bot.folder / path).exists() for path in made] == [False, True, True]
    assert bot("backup", "--keep", "0").code == 2


def test_what_writes_is_refused_while_another_holds_the_lease(bot):
    lease = Lease(bot.state, {"pid": os.getpid(), "command": "a test"})
    made = bot("backup", "--json")
    for command in (
        ("migrate",),
        ("restore", bot.folder / made.data["path"], "--reason", "x"),
        ("do", "hold", "--reason", "x"),
        ("run",),
    ):
        ran = bot(*command)
        assert ran.code == (5 if command[0] == "do" else 3), ran.err
        assert command[0] == "do" or f"pid {os.getpid()}" in ran.err
    lease.release()


def test_a_pipe_that_closes_is_no_traceback(bot):
    follower = bot.start(
        "tail", "-n", "200", stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1
    )
    follower.stdout.close()
    assert "Traceback" not in follower.stderr.read()
    follower.wait()
    follower.stderr.close()


def test_a_folder_that_may_not_be_written_is_read_after_a_clean_stop(told):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to become somebody else")
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copyfile(told, folder / "state.db")
        folder.chmod(0o755)
        (folder / "state.db").chmod(0o644)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        somebody_else = {"cwd": folder, "env": ENV, "capture_output": True, "text": True}
        if subprocess.run([*nobody, *COMMAND, "--help"], **somebody_else, check=False).returncode:
            pytest.skip("somebody else may not run the interpreter or read the sources here")
        ran = subprocess.run([*nobody, *COMMAND, "status", "--json"], **somebody_else, check=False)
        assert json.loads(ran.stdout)["bot"]["state"] == "crashed", ran.stderr
        assert {path.name for path in folder.iterdir()} == {"state.db"}
    finally:
        shutil.rmtree(folder)


def test_one_sqlite_and_none_of_the_heavy_libraries(bot):
    probe = (
        "import sys, runpy, os\n"
        "os._exit = lambda code: None\n"
        "sys.argv = ['bot', 'status']\n"
        "runpy.run_module('bot', run_name='__main__')\n"
        "maps = open('/proc/self/maps').read()\n"
        "heavy = {'pandas','numpy','talib','sklearn','xgboost','lightgbm','textual','aiohttp'}\n"
        "print({name for name in heavy if sys.modules.get(name)}, '_sqlite3' in maps and\n"
        "      [l for l in maps.split() if '/_sqlite3' in l and 'pysqlite3' not in l],\n"
        "      file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=bot.folder, env=ENV, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stderr.strip().splitlines()[-1] == "set() []", ran.stderr


def test_help_comes_quickly(empty):
    timed = "import subprocess, sys, time\nbegan = time.process_time()\n"
    timed += "import resource\nsubprocess.run([sys.executable, '-m', 'bot', '--help'], stdout=-3)\n"
    timed += "u = resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(u.ru_utime + u.ru_stime)\n"
    ran = subprocess.run(
        [sys.executable, "-c", timed],
        cwd=empty.folder, env=ENV, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(ran.stdout) < 0.4
