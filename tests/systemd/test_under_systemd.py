"""Under a real systemd: installed by its own command, ended when it hangs, drained when it is stopped."""

from __future__ import annotations

import json

from tests.faults.places import until
from tests.systemd.lab import PYTHON

BOT, TRAIN = "trading-bot.service", "trading-bot-train.service"
HUNGRY = f"""
[Service]
MemoryMax=64M
ExecStart=
ExecStart={PYTHON} /opt/trading-bot/hungry.py
"""
# Where the kernel's memory controller is not to be had, it dies by the same signal of its own.
MEAL = """
import os, pathlib
limited = "memory" in pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text()
hog = bytearray(256 << 20) if limited else None
os.kill(os.getpid(), 9)
"""


def moves(lab, machine="process"):
    """The transitions of a machine, oldest first: state and reason."""
    asked = f"SELECT dest, reason FROM transition WHERE machine = '{machine}' ORDER BY id"
    state = "--state /var/lib/trading-bot/state.db"
    done = lab.bot("query", "--json", state, f'"{asked}"')
    assert done.returncode == 0, done.stderr
    return [tuple(row.values()) for row in json.loads(done.stdout)["rows"]]


def until_running(lab, pid_before=""):
    """Wait until systemd holds another process than the one before for started."""

    def there():
        found = lab.shows(BOT, "ActiveState", "MainPID")
        return found["ActiveState"] == "active" and found["MainPID"] not in ("0", pid_before)

    until(there, lambda: f"the bot is started: {lab.read('/run/lab/bot.err')[-800:]}", 60)
    until(lambda: moves(lab)[-1][0] == "RUNNING", "it is RUNNING")
    return lab.shows(BOT, "MainPID")["MainPID"]


def test_install_puts_all_of_it_in_place_and_a_second_one_changes_nothing(lab):
    assert lab.installed.returncode == 0, lab.installed.stderr
    done = json.loads(lab.installed.stdout)
    assert {step["act"] for step in done["steps"]} <= {"create", "run", "update", "keep"}
    config = lab.read("/etc/trading-bot/bot.toml")
    again = json.loads(lab.bot("install", "--json").stdout)
    assert {step["act"] for step in again["steps"]} == {"keep"}
    assert lab.read("/etc/trading-bot/bot.toml") == config != "", "what a person wrote stays"


def test_the_closed_unit_runs_and_files_belong_to_their_roles(running):
    until_running(running)
    listed = running.run("stat", "-c", "%a %U:%G %n", "/var/lib/trading-bot").stdout
    files = running.run("sh", "-c", "cd /var/lib/trading-bot && stat -c '%a %U:%G %n' *").stdout
    found = {line.split()[2]: line.rsplit(" ", 1)[0] for line in (listed + files).splitlines()}
    assert found["/var/lib/trading-bot"] == "2750 trading-bot:bot-view"
    assert found["state.db"] == "640 trading-bot:bot-view", "viewers read"
    assert found["state.db.sock"] == "660 trading-bot:bot-view", "viewers connect"
    assert found["HALT"] == "664 trading-bot:bot-ops"


def test_viewers_look_operators_command_and_others_see_nothing(running):
    until_running(running)
    people = {"vera": "bot-view", "otto": "bot-view,bot-ops", "zoe": "nogroup"}
    people |= dict.fromkeys(("anna", "bo"), "bot-view,bot-ops,bot-admin")
    for name, groups in people.items():
        running.run("useradd", "-M", "-G", groups, name, check=True)

    def asks(name, *words):
        state = ("--state", "/var/lib/trading-bot/state.db")
        command = ("runuser", "-u", name, "--", PYTHON, "-m", "bot", *words, *state)
        return running.run("env", "-C", "/opt/trading-bot", *command)

    assert [asks(name, "status").returncode for name in ("vera", "otto", "zoe")] == [0, 0, 1]
    hold = ("do", "hold", "--reason", "a test")
    assert [asks(name, *hold).returncode for name in ("vera", "otto")] == [3, 0]
    assert moves(running, "hold")[-1] == ("HELD", "otto: a test")
    assert asks("otto", "do", "release", "--reason", "it is over").returncode == 0
    assert asks("otto", "do", "kill", "--reason", "a test").returncode == 0
    rearm = ("do", "rearm", "--reason", "it is over")
    assert "found operator" in asks("otto", *rearm).stdout
    proposed = asks("anna", *rearm)
    assert proposed.returncode == 4, proposed.stdout
    word = ("do", "approve", "run=" + proposed.stdout.partition("run=")[2][:8], "--reason", "yes")
    assert [asks(name, *word).returncode for name in ("anna", "bo")] == [3, 0]
    assert moves(running, "kill")[-1][1].startswith("anna, approved by bo: it is over")


def test_a_bot_that_hangs_is_ended_by_the_watchdog_and_recovers(running):
    pid, before = until_running(running), len(moves(running))
    running.run("systemctl", "kill", "--signal=STOP", "--kill-who=main", BOT, check=True)
    again = until_running(running, pid)
    assert again != pid
    boot, *path = moves(running)[before:]
    assert boot[0] == "BOOT"
    assert boot[1].startswith("crash recorded: the last process ended in RUNNING")
    assert [state for state, _ in path] == ["RECOVERING", "RECONCILING", "RUNNING"]
    assert "Fatal Python error: Aborted" in running.read("/run/lab/bot.err"), "with a stack"


def test_the_trainers_unit_makes_a_model_that_the_bot_lets_score(running):
    until_running(running)
    assert "trading-bot-train.timer" in running.run("systemctl", "list-unit-files").stdout
    said = running.bot(
        "train",
        "--dry-run",
        "--config",
        "/etc/trading-bot/bot.toml",
        "--state",
        "/var/lib/trading-bot/state.db",
    )
    assert said.returncode == 0, said.stdout
    done = running.run("systemctl", "start", TRAIN)
    assert done.returncode == 0, running.read("/run/lab/train.err")
    assert running.shows(TRAIN, "ExecMainStatus") == {"ExecMainStatus": "0"}
    assert moves(running, "training")[-1][0] == "SUCCEEDED"
    until(lambda: moves(running, "model")[-1][0] == "SHADOW", "the bot verified it")


def test_a_trainer_that_dies_for_its_memory_leaves_the_bot_alone(running):
    pid = until_running(running)
    running.write("/opt/trading-bot/hungry.py", MEAL)
    running.write(f"/etc/systemd/system/{TRAIN}.d/lab.conf", HUNGRY)
    running.run("systemctl", "daemon-reload", check=True)
    assert running.run("systemctl", "start", TRAIN).returncode != 0
    ended = running.shows(TRAIN, "Result", "ExecMainStatus")
    assert ended["Result"] in ("oom-kill", "signal")
    assert ended["ExecMainStatus"] == "9"
    seen = running.shows(BOT, "WatchdogTimestampMonotonic")
    until(lambda: running.shows(BOT, "WatchdogTimestampMonotonic") != seen, "the bot beats on")
    assert running.shows(BOT, "MainPID", "NRestarts")["MainPID"] == pid
    told = "/run/lab/alert.out"
    until(lambda: "nobody is told" in running.read(told), "the alert of the trainer's unit ran")
    assert f"<2>{TRAIN} has failed" in running.read(told)


def test_a_stop_drains(running):
    until_running(running)
    running.run("systemctl", "stop", BOT, check=True)
    state, reason = moves(running)[-1]
    assert state == "STOPPED"
    assert reason.startswith("drained")
    found = running.shows(BOT, "Result", "ActiveState", "ExecMainStatus")
    assert found == {"Result": "success", "ActiveState": "inactive", "ExecMainStatus": "0"}


def test_a_wrong_configuration_is_not_started_again_and_is_told(lab):
    kept = "/etc/credstore.encrypted/alert_urls"
    channel = f"printf json://127.0.0.1:1 | systemd-creds encrypt --with-key=host - {kept}"
    lab.run("sh", "-c", channel, check=True)
    good = lab.read("/etc/trading-bot/bot.toml")
    lab.run("systemctl", "stop", BOT)
    lab.write("/etc/trading-bot/bot.toml", good + "\n[exchange]\nspeeed = 1\n")
    try:
        assert lab.run("systemctl", "start", BOT).returncode != 0
        found = lab.shows(BOT, "ActiveState", "ExecMainStatus", "NRestarts")
        assert (found["ActiveState"], found["ExecMainStatus"]) == ("failed", "78")
        told = f"<2>{BOT} has failed"
        until(lambda: told in lab.read("/run/lab/alert.out"), "people are told")
        said = f"{BOT}: not every one of 1 channels took the alert"
        until(lambda: said in lab.read("/run/lab/alert.out"), "its credential was handed over")
        assert lab.shows(BOT, "MainPID", "ActiveState") == {"MainPID": "0", "ActiveState": "failed"}
    finally:
        lab.write("/etc/trading-bot/bot.toml", good)
