"""No text of the venue, of a model, or of a person moves the terminal, clicks, or ends the console."""

from __future__ import annotations

import unicodedata

import pytest

from bot.edge.files import Halt
from bot.store.database import open_writer
from console.sheet import Column, Row, fit, line, paragraph, span, table
from tests.console.seen import console, drawn, press, run, settled, styles, text

EVIL = (
    "[/x] [@click=app.exit]here[/] [b [red]"
    " \x1b[31mred\x1b[2J \x1b]0;owned\x07 \x1b]52;c;eA==\x07 \x9b31m \x90q\x9c"
    " \x00\x08\x0b\x7f \u202eback \u2066 \u200b \u2028 \ud800 line\nline\r\ttab e\u0301\u0301 宽 💣 \ufeff"
)
NAME = EVIL.encode("utf-8", "replace").decode()


def spoilt(state):
    """Put the text wherever a venue, a trainer, or a person can put one: the guards are taken off."""
    connection = open_writer(state)
    connection.execute("PRAGMA foreign_keys=OFF")
    for (trigger,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    for sql in (
        "UPDATE transition SET reason = ?1",
        "UPDATE transition SET key = key || ?1 WHERE machine IN ('run', 'delivery')",
        "UPDATE instance SET reason = ?1",
        "UPDATE instance SET state = ?1 WHERE machine IN ('storage', 'breaker')",
        "UPDATE alert SET text = ?1, runbook = ?1, severity = 'critical'",
        "UPDATE refusal SET reason = ?1, control = ?1",
        "UPDATE finding SET said = ?1",
        "UPDATE trade SET reason = ?1",
        "UPDATE fill SET closed_by = ?1",
        "UPDATE remedy SET name = name || ?1, checks = ?1",
        "UPDATE position SET stop = ?1, stop_held = 0",
        "INSERT INTO instance VALUES('hold', 'EVIL' || ?1, 'HELD', 1, 1, ?1)",
        "INSERT INTO instance VALUES('feed', 'EVIL' || ?1, ?1, 1, 1, ?1)",
        "INSERT INTO instance VALUES('external', 'EVIL' || ?1, 'EXTERNAL', 1, 1, ?1)",
        "INSERT INTO instance VALUES('order', 'abc-1-' || ?1, 'UNKNOWN', 1, 1, ?1)",
    ):
        connection.execute(sql, (NAME,) if "?1" in sql else ())
    connection.execute(
        "UPDATE journal SET body = json_set(body, '$.operator', ?1, '$.text', ?1)", (NAME,)
    )
    connection.close()
    Halt(state.parent / "HALT").set("mallory", NAME[:200])
    return state


def harmless(app):
    """Check that what is shown holds no character that a terminal obeys, and nothing to click."""
    shown = text(app)
    wrong = [
        c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]
    assert not wrong, f"{wrong!r} in {shown}"
    assert not [style for style in styles(app) if style and style.meta.get("@click")]


@pytest.mark.parametrize(("size", "opened"), [((80, 24), 2), ((120, 40), 0)], ids=str)
def test_on_every_screen_and_in_what_its_lines_open(size, opened, bot, state):
    spoilt(state)
    bot.beat(account=NAME[:60], instance=NAME)

    async def walk():
        async with console(state, size) as (app, pilot):
            seen = ""
            for digit in "123456789":
                await press(pilot, digit)
                harmless(app)
                seen += text(app)
                for _ in range(opened if digit != "9" else 0):
                    await press(pilot, "enter")
                    harmless(app)
                    await press(pilot, "escape", "down")
            for keys in (["question_mark"], ["colon"], ["slash", "x"], ["P"]):
                await press(pilot, *keys)
                harmless(app)
                await press(pilot, "escape", "escape")
            assert seen.count("[@click=app.exit]") > 20, "the text was shown, as text"

    run(walk())


def test_in_an_answer_of_the_database(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            quoted = NAME.replace("'", "''").replace("\0", "")
            app.ask_database(
                f"SELECT '{quoted}' AS \"{quoted.replace(chr(34), '')}\", x'00ff' AS b"
            )
            await settled(pilot, lambda: app.result is not None or "expected" in text(app))
            app.go("sql")
            await drawn(pilot)
            harmless(app)
            await press(pilot, "enter")
            harmless(app)

    run(walk())


def test_in_what_the_bot_answers(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            app.say(NAME)
            await drawn(pilot)
            harmless(app)

    run(walk())


def test_what_is_wide_is_cut_by_cells():
    assert fit("宽宽宽", 5) == "宽宽…"
    assert fit("宽宽宽", 4) == "宽 …"
    assert fit("ab", 4, right=True) == "  ab"
    assert [one.text for one in paragraph("aa bb 宽宽宽宽", 8)] == ["aa bb", "宽宽宽宽"]
    (_, row) = table([Column("a", 3), Column("b")], [Row((span("宽宽"), "x"))], 12)
    assert row.text == "宽… x       "
    assert line("a\x1bb").text == "a\ufffdb"
