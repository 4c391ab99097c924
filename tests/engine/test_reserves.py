"""What is laid by at the start, and what of it is put back: never another configuration, never for a person's change."""

import asyncio

import pytest

from bot.config import load
from bot.engine import reserves
from bot.engine.boot import Paths
from bot.engine.healing.restore_config import act
from bot.engine.healing.treatment import Means
from bot.errors import Refused

GOOD = "[guard]\nwindow = 30\n[storage]\nlow_mb = 16\nfull_mb = 8\nballast_mb = 2\n"


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "state.db")


def a_start(folder, text=GOOD):
    """Return the configuration of a bot that started with this file."""
    file = folder / "bot.toml"
    file.write_text(text)
    return load(file)


def put_back(loaded, paths):
    rest = dict.fromkeys(("venue", "loop", "link", "post", "load"))
    return asyncio.run(act(Means(paths=paths, loaded=loaded, **rest), "file"))


def test_the_space_is_really_taken(tmp_path, paths):
    reserves.lay_by(a_start(tmp_path), paths)
    taken = paths.ballast.stat()
    assert taken.st_size == 2 << 20
    assert taken.st_blocks * 512 >= 2 << 20
    before = taken.st_mtime_ns
    reserves.lay_by(a_start(tmp_path), paths)
    assert paths.ballast.stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [("ballast_mb = 2", "ballast_mb = 0"), ("16", "1000000")])
def test_none_is_taken_where_none_is_wanted_or_the_disk_would_be_low_with_it(
    tmp_path, paths, change
):
    reserves.lay_by(a_start(tmp_path, GOOD.replace(*change)), paths)
    assert not paths.ballast.exists()


def test_a_folder_that_takes_nothing_stops_no_start(tmp_path):
    away = Paths(tmp_path / "away" / "state.db")
    reserves.lay_by(a_start(tmp_path), away)
    assert not away.good.exists()


@pytest.mark.parametrize("broken", ["[guard\n", "[guard]\nwindow = -1\n", None])
def test_a_file_that_is_broken_or_gone_is_what_is_in_force_again(tmp_path, paths, broken):
    loaded = a_start(tmp_path)
    reserves.lay_by(loaded, paths)
    loaded.file.chmod(0o640)
    if broken is None:
        loaded.file.unlink()
    else:
        loaded.file.write_text(broken)
    put_back(loaded, paths)
    assert loaded.file.read_text() == GOOD
    assert loaded.file.stat().st_mode & 0o777 == (0o600 if broken is None else 0o640)
    assert [path.read_text() for path in tmp_path.glob("bot.toml.bad-*")] == [broken] * bool(broken)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ("[guard]\nwindow = 31\n", "found another configuration"),
        ("[guard\n", "cannot be used either"),
        (None, "cannot be used either"),
    ],
)
def test_a_copy_that_is_not_what_is_in_force_is_not_put_back(tmp_path, paths, kept, why):
    loaded = a_start(tmp_path)
    if kept is not None:
        paths.good.write_text(kept)
    loaded.file.write_text("[guard\n")
    with pytest.raises(Refused, match=why):
        put_back(loaded, paths)
    assert loaded.file.read_text() == "[guard\n"


def test_only_the_newest_broken_files_are_kept(tmp_path, paths):
    loaded = a_start(tmp_path)
    reserves.lay_by(loaded, paths)
    for nth in range(12):
        (tmp_path / f"bot.toml.bad-{nth:013d}").write_text("")
    loaded.file.write_text("[guard\n")
    put_back(loaded, paths)
    assert len(list(tmp_path.glob("bot.toml.bad-*"))) == 10
