"""``bot install``: it says what it would do, does that, and does it once."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from bot.cli.app import _guarded
from bot.cli.output import Exit
from bot.edge import installation
from bot.edge.installation import Installation, why_unreachable

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-sysusers"), reason="this machine has no systemd-sysusers"
)


@pytest.fixture
def prefix(tmp_path):
    made = tmp_path / "root"
    (made / "etc").mkdir(parents=True)
    return made


def install(capfd, *words) -> tuple[int, dict, str]:
    code = _guarded(["install", "--json", *map(str, words)])
    out, err = capfd.readouterr()
    return code, json.loads(out), err


def acts(told):
    return {step["path"]: step["act"] for step in told["steps"]}


def listed(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its mode and content."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_dry_run_does_nothing_and_says_just_what_is_done_then(prefix, capfd):
    code, told, _ = install(capfd, "--dry-run", "--prefix", prefix)
    assert code == Exit.OK
    assert list(prefix.rglob("*")) == [prefix / "etc"]
    code, done, _ = install(capfd, "--prefix", prefix)
    assert (code, done["steps"]) == (Exit.OK, told["steps"])
    for step in done["steps"]:
        path = prefix / step["path"].lstrip("/")
        assert path.exists()
        if step["mode"]:
            assert f"{stat.S_IMODE(path.stat().st_mode):04o}" == step["mode"]


def test_a_second_time_changes_nothing(prefix, capfd):
    install(capfd, "--prefix", prefix)
    before = listed(prefix)
    _, told, _ = install(capfd, "--prefix", prefix)
    assert set(acts(told).values()) == {"keep"}
    assert listed(prefix) == before


def test_what_a_person_wrote_stays_and_what_is_ours_is_put_right(prefix, capfd):
    install(capfd, "--prefix", prefix)
    ours = prefix / "etc/systemd/system/trading-bot.service"
    config, key = prefix / "etc/trading-bot/bot.toml", prefix / "etc/credstore.encrypted/venue_key"
    wanted = ours.read_text()
    ours.write_text("[Service]\nExecStart=/bin/false\n")
    config.write_text("profile = 'moderate'\n")
    config.chmod(0o600)
    key.write_text("not a secret")
    (prefix / "var/lib/trading-bot").chmod(0o777)
    _, told, _ = install(capfd, "--prefix", prefix)
    changed = {path for path, act in acts(told).items() if act != "keep"}
    put_right = {"/etc/systemd/system/trading-bot.service", "/var/lib/trading-bot"}
    assert changed == {*put_right, "/etc/trading-bot/bot.toml"}
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert ours.read_text() == wanted
    assert (config.read_text(), key.read_text()) == ("profile = 'moderate'\n", "not a secret")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_users_groups_and_owners_are_those_of_the_system_below_the_prefix(prefix, capfd):
    install(capfd, "--prefix", prefix)
    users = {line.split(":")[0]: line.split(":") for line in lines(prefix / "etc/passwd")}
    groups = {line.split(":")[0]: line.split(":") for line in lines(prefix / "etc/group")}
    assert {"bot-view", "bot-ops", "bot-admin"} <= groups.keys()
    assert users["trading-bot"][3] == groups["bot-view"][2]
    assert groups["bot-ops"][3] == "trading-bot"
    state = (prefix / "var/lib/trading-bot").stat()
    assert (state.st_uid, state.st_gid) == (
        int(users["trading-bot"][2]),
        int(groups["bot-view"][2]),
    )
    assert (prefix / "var/lib/trading-bot/HALT").stat().st_gid == int(groups["bot-ops"][2])


def lines(path):
    return path.read_text().splitlines()


def test_units_name_the_code_and_the_python_that_are_really_used(prefix):
    plan = Installation(prefix, code=prefix / "usr/lib/bot", python=f"{prefix}/usr/bin/python3.13")
    texts = [item.body.decode() for item in plan.items() if item.path.suffix == ".service"]
    assert len(texts) == 5
    for text in texts:
        assert "/opt/trading-bot" not in text
        assert str(prefix) not in text, "as the installed system sees them"
        assert "ExecStart=/usr/bin/python3.13 " in text
        assert "-m bot" not in text or "PYTHONPATH=/usr/lib/bot" in text


def test_what_is_in_the_way_is_not_followed(prefix, capfd, tmp_path):
    install(capfd, "--prefix", prefix)
    target = tmp_path / "shadow"
    target.write_text("mine")
    for make in (Path.symlink_to, Path.hardlink_to):
        mark = prefix / "var/lib/trading-bot/HALT"
        mark.unlink()
        make(mark, target)
        code, told, _ = install(capfd, "--prefix", prefix)
        assert code == Exit.REFUSED
        assert told["error"] == f"expected a plain file at {mark}, found something else"
    assert target.read_text() == "mine"


def test_a_missing_folder_is_refused(tmp_path, capfd):
    code, told, _ = install(capfd, "--prefix", tmp_path / "nowhere")
    assert code == Exit.REFUSED
    assert told["error"] == f"expected a folder at --prefix {tmp_path}/nowhere, found none"


def test_who_is_not_root_is_refused(capfd, monkeypatch):
    monkeypatch.setattr(installation.os, "geteuid", lambda: 1000)
    code, told, _ = install(capfd, "--dry-run")
    assert code == Exit.REFUSED
    assert "expected root, found uid 1000: use sudo, or --prefix DIR" in told["error"]


def test_code_that_the_services_could_not_see_is_refused(tmp_path):
    for hidden in ("/home/ana/bot", "/tmp/bot", "/var/tmp/bot", "/run/user/1000/bot"):
        why = why_unreachable(Path(hidden))
        assert why is not None
        assert why.startswith("expected a path outside of /")
    assert "expected /nowhere/bot to be there" in (why_unreachable(Path("/nowhere/bot")) or "")
    assert why_unreachable(Path("/usr/bin")) is None


def test_a_path_that_a_unit_cannot_hold_is_refused(prefix):
    plan = Installation(prefix, code=Path("/opt/my bot"), python="/usr/bin/python3 -O")
    assert len(plan.why_not()) == 2
