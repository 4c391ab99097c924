"""Every screen in every condition looks as the goldens say, in a small and in a large terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from console.actions import SCREENS
from tests.console.seen import console, drawn, press, run, same_as_golden, settled, text

SIZES = [(80, 24), (120, 40)]
CONDITIONS = ["live", "stale", "dead", "read-only", "empty", "damaged"]


def arranged(condition, bot, state):
    """Bring about a condition; return how the console is opened."""
    if condition == "stale":
        bot.beat(ago=5)
    if condition == "dead":
        bot.beat(ago=95)
        bot.die()
    if condition == "empty":
        state.unlink()
    if condition == "damaged":
        state.write_bytes(b"no database at all " * 500)
    return {"read_only": condition == "read-only"}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_screen_looks_as_its_golden(condition, size, bot, state, monkeypatch):
    more = arranged(condition, bot, state)
    monkeypatch.chdir(state.parent)  # a path of any length would break lines elsewhere

    async def walk():
        async with console(Path(state.name), size, **more) as (_, pilot):
            seen = []
            for digit, screen in enumerate(SCREENS, 1):
                await press(pilot, str(digit))
                seen.append(f"=== {digit} {screen}\n{text(pilot.app)}")
            found = "\n".join(seen)
            return re.sub(r"head [0-9a-f]+", "head …", found)  # it changes with every event

    same_as_golden(f"{condition}-{size[0]}x{size[1]}", run(walk()))


OPENED = {
    "position": ("2", "enter"),
    "order": ("2", "enter", "enter"),
    "machine": ("3", "down", "enter"),
    "move": ("4", "down", "down", "down", "enter"),
    "alert": ("5", "enter"),
    "model": ("6", "enter"),
    "symbol": ("8", "enter"),
}


def test_what_enter_opens_looks_as_its_golden_and_escape_comes_back(bot, state):
    async def walk():
        async with console(state, (100, 40)) as (app, pilot):
            seen = []
            for name, keys in OPENED.items():
                await press(pilot, *keys)
                assert app.want.opened[-1][0] == name
                seen.append(f"=== {name}\n{text(app)}")
                before = app.want.opened[-1]
                await press(pilot, "escape")
                assert app.page.key == before, "the cursor is where it was"
            return re.sub(r"head [0-9a-f]+", "head …", "\n".join(seen))

    same_as_golden("opened-100x40", run(walk()))


def test_help_and_palette_look_as_their_goldens(bot, state):
    async def walk():
        async with console(state, (100, 46)) as (app, pilot):
            await press(pilot, "question_mark")
            helped = text(app)
            await press(pilot, "escape", "colon", "p", "a")
            return f"=== help\n{helped}\n=== palette\n{text(app)}"

    same_as_golden("help-and-palette-100x46", run(walk()))


def test_every_screen_is_drawn_in_any_size_and_resized_to(bot, state):
    async def walk():
        async with console(state, (80, 24)) as (app, pilot):
            for number, digit in enumerate("1234567891"):
                size = ((40, 10), (20, 5), (200, 60), (80, 24))[number % 4]
                await pilot.resize_terminal(*size)
                await press(pilot, digit)
                found = text(app).splitlines()
                assert len(found) == size[1]
                assert max(map(cell_len, found)) <= size[0]
            await press(pilot, "K")
            await pilot.resize_terminal(40, 10)
            await drawn(pilot)
            assert app.screen.focused.id == "no", "Cancel keeps the focus"

    run(walk())


def test_an_answer_and_a_row_of_it_look_as_their_golden(bot, state):
    async def walk():
        async with console(state, (100, 30)) as (app, pilot):
            await press(pilot, "9", "down", "enter")
            await settled(pilot, lambda: app.result is not None)
            await drawn(pilot)
            answer = text(app)
            await press(pilot, "down", "enter")
            row = text(app)
            await press(pilot, "escape", "escape")
            assert app.result is None
            return f"=== answer\n{answer}\n=== row\n{row}"

    same_as_golden("answer-100x30", run(walk()))


PICTURE = Path(__file__).parents[2] / "docs" / "console.svg"
FACES = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)  # a picture fetches nothing


def test_the_picture_of_the_readme_is_what_it_looks_like(bot, state):
    async def walk():
        async with console(state, (120, 34)) as (app, pilot):
            await press(pilot, "down")
            return FACES.sub("\n", app.export_screenshot(title="python -m console"))

    same_as_golden(PICTURE, run(walk()))
