"""The whole program in a real terminal, beside a real bot; and it ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from console.actions import SCREENS
from tests import nursery
from tests.console.terminal import Terminal
from tests.console.test_hostile_texts import spoilt
from tests.faults.places import Place


@pytest.fixture
def opened():
    """Opens consoles, and ends them whatever a test finds."""
    made = []

    def open_(folder, *args, **more):
        made.append(Terminal(folder, *args, **more))
        return made[-1]

    yield open_
    for one in made:
        one.close()


def test_a_person_pauses_a_real_bot_and_sees_the_hold(tmp_path, opened):
    place = Place(tmp_path / "p")
    try:
        with (place.folder / "bot.out").open("wb") as out:
            started = nursery.start("bot", "run", cwd=place.folder, stdout=out, stderr=out)
        place._started.append(started)
        place.until_state("process", "RUNNING")
        terminal = opened(place.folder)
        seen = terminal.until("LIVE", "PAPER embedded", "guard", "entries")
        terminal.type("P")
        seen = terminal.until("PAUSE embedded", "closes in", "┗", since=seen)
        terminal.type("y")
        place.until_state("hold", "HELD")
        seen = terminal.until("DONE, hold is HELD", "hold is HELD: ", since=seen)
        terminal.type("q")
        assert terminal.process.wait(20) == 0
        assert terminal.restored()
        assert started.poll() is None, "the bot goes on"
    finally:
        place.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_ends_it_and_the_terminal_is_as_before(number, state, opened):
    terminal = opened(state.parent)
    terminal.until("DEAD", "positions are NOT managed")
    assert not terminal.restored()
    terminal.process.send_signal(number)
    assert terminal.process.wait(20) == 0
    assert terminal.restored()


def test_a_lost_terminal_ends_it(state, opened):
    terminal = opened(state.parent)
    terminal.until("DEAD")
    terminal.hang_up()
    assert terminal.process.wait(20) in (0, 129)


def test_nothing_of_a_hostile_text_reaches_the_terminal(state, opened):
    terminal = opened(spoilt(state).parent, size=(120, 40))
    seen = terminal.until("HALT is set")
    for digit, screen in enumerate(SCREENS[1:8], 2):
        terminal.type(str(digit))
        seen = terminal.until(f"{digit} {screen}", since=seen)
    for evil in (
        "owned\x07",
        "\x1b]0;",
        "\x1b]52",
        "\x9b",
        "\x90",
        "\x9c",
        "\x1b[2J",
        "\x0b",
        "\u202e",
    ):
        at = terminal.raw.find(evil.encode())
        assert at < 0, terminal.raw[max(0, at - 80) : at + 80]


def test_without_a_terminal_it_says_what_needs_none(state):
    command = [sys.executable, "-m", "console", "--state", str(state)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert "expected a terminal" in done.stderr
    assert "python -m bot status" in done.stderr
    assert done.stdout == ""


def test_one_sqlite_and_nothing_heavy_is_loaded():
    probe = (
        "import sys, re\n"
        "from bot.desk.library import only_library; only_library()\n"
        "import console.start, pathlib\n"
        "heavy = [n for n in ('pandas', 'numpy', 'sklearn', 'talib', 'aiohttp') if sys.modules.get(n)]\n"
        "maps = pathlib.Path('/proc/self/maps').read_text()\n"
        "print(heavy, len(set(re.findall(r'\\S+sqlite\\S*[.]so', maps))))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] 1"
