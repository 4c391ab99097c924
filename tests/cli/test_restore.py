"""A backup put back: the past, said so, with nothing loosened and nothing lost."""

from __future__ import annotations

import pytest


def heads(bot):
    return bot("audit", "verify", "--json").data


def backup_of(bot):
    made = bot("backup", "--json")
    assert made.code == 0, made.err
    return bot.folder / made.data["path"]


def test_the_round_trip_gives_the_past_back_and_says_so(bot):
    file, before = backup_of(bot), heads(bot)
    assert bot("do", "hold", "--reason", "after the backup").code == 0
    old = heads(bot)
    done = bot("restore", file, "--reason", "drill", "--json")
    assert done.code == 0, done.err
    assert done.data["old_head"] == old["head"]
    assert done.data["new_head"] == before["head"]
    assert done.data["epoch"] == 2
    now = heads(bot)
    assert now["head_id"] == before["head_id"] + 1
    (epoch,) = now["epochs"]
    assert (epoch["epoch"], epoch["reason"], epoch["old_head"]) == (2, "drill", old["head"])
    assert "restore from" in bot("audit", "verify").out
    assert bot("replay", "--check").code == 0
    assert bot("query", "operator_actions", "--json").data["rows"][-1]["reason"] == "drill"
    (kept,) = [bot.folder / name for name in done.data["kept"] if "-wal" not in name][:1]
    assert bot("audit", "verify", "--state", kept, "--json").data["head"] == old["head"]


def test_an_epoch_is_never_used_twice(bot):
    file = backup_of(bot)
    epochs = [bot("restore", file, "--reason", "drill", "--json").data["epoch"] for _ in range(3)]
    assert epochs == [2, 3, 4]
    bot.state.write_bytes(b"damaged" * 1000)
    epoch = bot("restore", file, "--reason", "it broke", "--json").data["epoch"]
    assert epoch > 1_000_000
    assert bot("restore", file, "--reason", "again", "--json").data["epoch"] == epoch + 1


def test_going_back_in_time_does_not_loosen(bot):
    file = backup_of(bot)
    assert bot("do", "hold", "--reason", "after the backup").code == 0
    done = bot("restore", file, "--reason", "drill")
    assert "hold account was HELD: root: after the backup" in done.err.replace("uid 0", "root")
    found = bot("status", "--json").data
    assert found["halt"]["set"]
    assert any("HALT is set" in why for why in found["why"])


def test_a_restore_that_loosens_nothing_leaves_halt_as_it_was(bot):
    done = bot("restore", backup_of(bot), "--reason", "drill", "--json")
    assert done.data["halted"] == ""
    assert not bot("status", "--json").data["halt"]["set"]


def test_an_unreadable_database_is_replaced_and_halts(bot):
    file = backup_of(bot)
    bot.state.write_bytes(b"\0" * 8192)
    done = bot("restore", file, "--reason", "disk", "--json")
    assert done.code == 0, done.err
    assert done.data["old_head"] == "unreadable"
    assert bot("status", "--json").data["halt"]["set"]


def test_a_missing_database_is_made_from_the_backup(bot):
    file = backup_of(bot)
    bot.state.unlink()
    (bot.folder / "HALT").unlink()
    done = bot("restore", file, "--reason", "lost", "--json")
    assert done.code == 0, done.err
    assert all(name.endswith(("-wal", "-shm")) for name in done.data["kept"]), "of what was lost"
    assert bot("audit", "verify").code == 0
    assert not bot("status", "--json").data["halt"]["set"], "the mark is made, clear"


@pytest.mark.parametrize("damage", ["cut", "changed", "text"])
def test_a_damaged_backup_is_refused_and_nothing_changes(bot, damage):
    file, before = backup_of(bot), bot.state.read_bytes()
    body = file.read_bytes()
    if damage == "cut":
        file.write_bytes(body[: len(body) // 2])
    elif damage == "text":
        file.write_text("hello")
    else:
        assert body.count(b"news at noon") > 1
        file.write_bytes(body.replace(b"news at noon", b"news at nine"))
    done = bot("restore", file, "--reason", "drill")
    assert done.code == 1, done.err
    assert bot.state.read_bytes() == before
    assert not list(bot.folder.glob("*.before-restore*"))


def test_a_restore_needs_a_reason_and_a_backup(bot):
    file = backup_of(bot)
    assert bot("restore", file).code == 2
    assert bot("restore", file, "--reason", " ").code == 3
    assert bot("restore", bot.state, "--reason", "x").code == 3
