"""`bot doctor` finds what is wrong before money is at risk, says what cures it, and changes nothing."""

import pytest

NAMES = [
    "sqlite",
    "config",
    "folder",
    "disk",
    "database",
    "state",
    "backup",
    "roles",
    "flags",
    "limits",
    "alerts",
]


def verdicts(bot, *flags):
    """Return the exit code and each verdict by its name."""
    ran = bot("doctor", "--json", *flags)
    return ran.code, {row["name"]: row for row in ran.data["verdicts"]}


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(empty):
    before = sorted(empty.folder.iterdir())
    code, found = verdicts(empty)
    assert code == 0
    assert list(found) == [*NAMES, "venue"]
    assert {row["verdict"] for row in found.values()} <= {"well", "warning"}
    assert sorted(empty.folder.iterdir()) == before


def test_everything_that_is_not_well_has_a_cure(bot):
    _, found = verdicts(bot)
    assert found["alerts"]["verdict"] == "warning", "nobody is told of anything"
    assert all(row["cure"] for row in found.values() if row["verdict"] != "well")


def test_a_wrong_configuration_is_named_and_nothing_is_guessed_behind_it(empty):
    (empty.folder / "bot.toml").write_text("[guard]\nwindw = 3\n")
    code, found = verdicts(empty)
    assert code == 1
    assert list(found) == ["sqlite", "config"]
    assert "windw" in found["config"]["said"]


def test_a_folder_that_everybody_may_write_is_wrong(empty):
    empty.folder.chmod(0o777)
    code, found = verdicts(empty)
    assert (code, found["folder"]["verdict"]) == (1, "wrong")
    assert "chmod o-w" in found["folder"]["cure"]


def test_a_damaged_database_is_wrong(bot):
    damaged = bytearray(bot.state.read_bytes())
    damaged[4096:12288] = bytes(8192)
    bot.state.write_bytes(damaged)
    code, found = verdicts(bot)
    assert (code, found["database"]["verdict"]) == (1, "wrong")


def test_a_latch_is_a_warning_that_says_who_and_why(bot):
    bot("do", "hold", "--reason", "news at noon")
    code, found = verdicts(bot)
    assert (code, found["state"]["verdict"]) == (0, "warning")
    assert "news at noon" in found["state"]["said"]


@pytest.mark.parametrize("url", ["hidden-host", "nosuch://hidden-host"])
def test_a_channel_that_cannot_be_is_wrong_and_its_address_is_not_told(empty, url):
    urls = empty.folder / "urls"
    urls.write_text(url)
    urls.chmod(0o400)
    (empty.folder / "bot.toml").write_text(f'[notify]\nurls_file = "{urls}"\n')
    code, found = verdicts(empty)
    assert (code, found["alerts"]["verdict"]) == (1, "wrong")
    assert "hidden-host" not in found["alerts"]["said"]


def test_a_venue_that_does_not_answer_is_wrong(empty):
    for name in ("key", "secret"):
        (empty.folder / name).write_text("x" * 20)
        (empty.folder / name).chmod(0o400)
    (empty.folder / "bot.toml").write_text(
        f"""[venue]
env = "sim"
rest_url = "http://127.0.0.1:9"
ws_url = "ws://127.0.0.1:9"
key_file = "{empty.folder / "key"}"
secret_file = "{empty.folder / "secret"}"
"""
    )
    code, found = verdicts(empty)
    assert (code, found["venue"]["verdict"]) == (1, "wrong")
    assert "127.0.0.1:9" in found["venue"]["said"]


def test_it_reads_like_this(empty):
    said = empty("doctor").out
    assert "well     sqlite" in said
    assert "→ notify.urls_file" in said
    assert said.endswith("nothing is wrong\n")
