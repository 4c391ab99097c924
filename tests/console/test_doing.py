"""What is asked of the bot is confirmed first, as strictly as it is dangerous, and truly sent."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from textual.events import Key, Paste

from bot.core.health_events import Sampled
from bot.desk import clock
from bot.edge.files import Halt
from console import app as console_app
from console.actions import ACTIONS, BY_NAME, PHRASE, QUICK, REASON, why_not
from console.dialogs import Confirm
from console.shell import FROZEN_SECONDS
from tests.console.seen import Bot, console, drawn, press, run, settled, text
from tests.desk import story
from tests.desk.test_client import bot as answering
from tests.desk.test_client import moved

DONE = [moved("PROPOSED", "asked"), moved("DONE", "the machine says so")]


def sent(state, keys, lines=DONE, *, stay=False, **more):
    """Press keys while a bot listens; return what it heard, and the screen at the end."""

    async def walk():
        async with console(state, **more) as (app, pilot):
            await press(pilot, *keys)
            if "y" in keys or "enter" in keys:
                await settled(
                    pilot, lambda: any(w in text(app) for w in ("DONE", "expected", ": it: "))
                )
            return text(app)

    (state.parent / "state.db.sock").unlink(missing_ok=True)
    with answering(state.parent, *lines, stay=stay) as heard:
        seen = run(walk())
    return heard, seen


def without_bot(state, *keys, **more):
    """Press keys where nothing listens; return the app's own view of it."""

    async def walk():
        async with console(state, **more) as (app, pilot):
            await press(pilot, *keys)
            return text(app)

    return run(walk())


def test_a_pause_takes_one_key_and_one_confirmation(bot, state):
    (heard,), seen = sent(state, ["P", "y"])
    assert (heard["verb"], heard["args"]) == ("hold", {})
    assert heard["reason"] == "asked in the console"
    assert 0 < heard["ttl"] <= 15
    assert "Pause embedded: DONE, the machine says so" in seen


@pytest.mark.parametrize("keys", [["P", "enter"], ["P", "escape"], ["P", "P", "escape"]])
def test_cancel_has_the_focus_and_the_key_that_asked_does_not_confirm(bot, state, keys):
    assert "nothing was done" in without_bot(state, *keys)


def typed(words):
    """The keys of a text."""
    return [{" ": "space"}.get(letter, letter) for letter in words]


def test_a_kill_needs_its_phrase_with_the_account(bot, state):
    (heard,), seen = sent(state, ["K", "tab", *typed("KILL embedded"), "enter"])
    assert heard["verb"] == "kill"
    assert "Kill embedded: DONE" in seen


def test_another_phrase_does_nothing(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            await press(pilot, "K", "tab")
            for words in ("", "kill embedded", "KILL", "KILL live", "FLATTEN embedded"):
                app.screen.focused.value = words
                await press(pilot, "enter")
                assert isinstance(app.screen, Confirm)
                assert "expected KILL embedded" in text(app)
                assert app.screen.query_one("#go").disabled

    run(walk())


def test_a_phrase_cannot_be_pasted(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            await press(pilot, "K", "tab")
            app.screen.focused.post_message(Paste("KILL embedded"))
            await drawn(pilot)
            assert app.screen.focused.value == ""

    run(walk())


def test_a_symbol_is_named_in_the_palette_and_in_the_phrase(bot, state):
    keys = ["colon", *typed("flatten btcusdt"), "enter"]
    (heard,), _ = sent(state, [*keys, "tab", *typed("FLATTEN BTCUSDT"), "enter"])
    assert (heard["verb"], heard["args"]) == ("flatten", {"symbol": "BTCUSDT"})


def test_a_symbol_that_is_not_there_is_refused_before_anything_is_asked(bot, state):
    seen = without_bot(state, "colon", *typed("pause btcusd"), "enter")
    assert "expected one of BTCUSDT; found 'BTCUSD'" in seen


def test_what_loosens_needs_a_reason_of_ones_own(held, bot):
    seen = without_bot(held, "R", "tab", *typed("short"))
    assert "the reason needs 3 more characters" in seen
    keys = ["R", "tab", *typed("news is over"), "enter", "enter"]
    (heard,), _ = sent(held, keys)
    assert (heard["verb"], heard["reason"]) == ("release", "news is over")


def test_its_preview_says_what_still_holds_entries_down(held, bot):
    seen = without_bot(held, "R")
    assert "RESUME embedded" in seen
    assert "entries still wait: guard account is REDUCED" in seen


def test_an_alert_is_acknowledged_where_the_cursor_is(bot, state):
    (heard,), _ = sent(state, ["5", "down", "A", "y"])
    assert (heard["verb"], heard["args"]) == ("ack", {"alert": "a200-0"})
    assert "put the cursor on an open alert first" in without_bot(state, "1", "A")


def test_the_target_is_that_of_the_moment_at_which_the_dialog_opened(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            await press(pilot, "K")
            bot.beat(account="another")
            app.look()
            await drawn(pilot)
            assert app.newest.account == "another"
            assert app.screen.target.phrase == "KILL embedded"

    run(walk())


def test_a_dialog_closes_by_itself_and_then_does_nothing(bot, state, monkeypatch):
    async def walk():
        async with console(state) as (app, pilot):
            await press(pilot, "P")
            dialog = app.screen
            later = clock.seconds() + 31
            monkeypatch.setattr(clock, "seconds", lambda: later)
            dialog._go()
            assert app.screen is dialog, "too late to confirm"
            dialog._tick()
            await drawn(pilot)
            assert not isinstance(app.screen, Confirm)
            assert "nothing was done" in text(app)

    run(walk())


def test_what_was_typed_while_the_line_was_frozen_is_dropped(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            await press(pilot, "P")
            late = Key("y", "y")
            late.time -= FROZEN_SECONDS + 1
            app.post_message(late)
            await drawn(pilot)
            assert not isinstance(app.screen, Confirm), "what waited to be confirmed is closed"
            assert "was not carried out" in text(app)
            await press(pilot, "2")
            assert app.want.screen == "positions", "the next key works"

    run(walk())


def test_a_read_only_console_offers_nothing_and_says_why(bot, state):
    async def walk():
        async with console(state, read_only=True) as (app, pilot):
            for action in ACTIONS:
                if action.verb:
                    await press(pilot, action.keys[0])
                    assert f"{action.label}: this console is read-only" in text(app)

    run(walk())


def test_a_dead_bot_is_asked_for_nothing_and_the_way_without_it_is_told(bot, state):
    bot.beat(ago=95)
    bot.die()
    assert "python -m bot do kill" in without_bot(state, "K")
    assert "python -m bot panic" in without_bot(state, "F")


@pytest.mark.parametrize("action", [a for a in ACTIONS if a.verb], ids=lambda a: a.name)
def test_the_more_it_may_harm_the_more_is_asked(action):
    wanted = {"kill": PHRASE, "flatten": PHRASE} | dict.fromkeys(
        ("release", "rearm", "approve"), REASON
    )
    assert action.confirm == wanted.get(action.verb, QUICK)


def test_no_two_actions_have_a_key_or_a_name_in_common():
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    assert len(BY_NAME) == len(ACTIONS)


def test_every_action_that_is_no_command_and_no_screen_has_a_way_to_be_done():
    own = {a.name for a in ACTIONS if not a.verb and not a.name.startswith("screen-")}
    assert own == set(console_app._KEYS)


def test_a_refusal_is_told_in_the_words_of_the_bot(bot, state):
    refused = [json.dumps({"error": "expected a reason, found none"})]
    _, seen = sent(state, ["P", "y"], refused)
    assert "Pause embedded: expected a reason, found none" in seen


def test_an_action_that_cannot_be_done_stays_in_footer_and_help(bot, state):
    async def walk():
        async with console(state) as (app, pilot):
            assert "(R Resume)" in text(app)
            why = why_not(BY_NAME["resume"], app.here)
            await press(pilot, "R")
            assert f"Resume: {why}" in text(app)

    run(walk())


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """A bot that proposed a remedy of high risk, and waits for a person's word."""
    folder = tmp_path / "waiting"
    folder.mkdir()
    monkeypatch.setattr(story, "REMEDY", replace(story.REMEDY, risk="high"))
    told = story.Story(folder / "state.db")
    told.start()
    for _ in range(2):
        told.say(Sampled(at=told.world.at, pace="fast", samples={"lag_ms": 999.0}))
    (run,) = told.world.attempts
    told.connection.close()
    Halt(folder / "HALT").create()
    running = Bot(folder / "state.db")
    yield folder / "state.db", run
    running.die()


def test_a_run_that_waits_is_declined_or_approved_where_the_cursor_is(waiting):
    state, run = waiting
    (heard,), seen = sent(state, ["1", "N", "y"])
    assert (heard["verb"], heard["args"]) == ("decline", {"run": run})
    assert f"Decline {run}: DONE" in seen
    (heard,), _ = sent(state, ["1", "Y", "tab", *typed("I saw it"), "enter", "enter"])
    assert (heard["verb"], heard["args"]) == ("approve", {"run": run})
    assert "put the cursor on a run that waits" in without_bot(state, "3", "Y")


def test_a_command_that_waits_for_a_second_person_is_left_waiting(bot, state):
    lines = [moved("PROPOSED", "asked"), moved("PROPOSED", "waits for another person: DONE then")]
    _, seen = sent(state, ["P", "y"], lines, stay=True)
    assert "Pause embedded: PROPOSED, waits for another person" in seen
