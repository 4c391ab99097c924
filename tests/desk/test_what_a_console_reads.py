"""What a console reads beyond the status: pages of the audit, distances, orders, what may be asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core.runs import VERBS
from bot.core.settings import Settings
from bot.desk import asking, curve, distance, files, orders, pages, refusals, status, tables, views
from bot.desk.asking import ASKED, OF_A_LINE, OF_A_SYMBOL
from bot.desk.reading import Reader
from bot.store.database import open_writer
from bot.store.lease import Lease
from tests.desk.story import Story, tell
from tests.given import BTC, commanded


@pytest.fixture
def connection(state):
    found = files.open_state(state)
    yield found
    found.close()


# -- pages -----------------------------------------------------------------------------------------


def test_pages_meet_without_a_gap_in_both_directions(connection):
    newest = pages.page(connection, None, rows=40)
    head = views.head_id(connection)
    assert [move.id for move in newest.moves] == list(range(head, head - 40, -1))
    assert (newest.newer, newest.older) == (False, True)
    turned = pages.page(connection, newest.moves[-1].id, rows=40)
    ids = [move.id for move in turned.moves]
    assert ids == list(range(newest.moves[-1].id + 20, newest.moves[-1].id - 20, -1))
    assert (turned.newer, turned.older) == (True, True)
    oldest = pages.page(connection, 1, rows=40)
    assert (oldest.moves[-1].id, oldest.older) == (1, False)


def test_a_page_finds_text_in_any_column_and_its_absence(connection):
    held = pages.page(connection, None, "NEWS at")
    assert held.moves
    assert all("news at" in f"{move.reason}" for move in held.moves)
    without = pages.page(connection, None, "!delivery", rows=500)
    assert {move.machine for move in without.moves} >= {"guard", "order"}
    assert not [move for move in without.moves if "delivery" in move.machine]
    assert pages.page(connection, None, "no such text anywhere").moves == ()
    assert pages.page(connection, None, "%' OR 1=1").moves == ()


def test_a_transition_tells_its_cause_and_its_effects(connection):
    (sent,) = connection.execute(
        "SELECT seq FROM outbox WHERE kind = 'Submit' ORDER BY seq LIMIT 1"
    ).fetchone()
    number = connection.execute("SELECT min(id) FROM transition WHERE seq = ?", (sent,)).fetchone()[
        0
    ]
    story = pages.story(connection, number)
    assert story.kind == "Measured"
    assert "Submit" in [effect.kind for effect in story.effects]
    assert {move.machine for move in (story.move, *story.others)} == {"order", "position"}
    assert pages.story(connection, 10**9) is None


# -- distances -------------------------------------------------------------------------------------


def test_distances_follow_the_settings_and_the_parameters_that_are_set(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    connection = files.open_state(tmp_path / "state.db")
    assert distance.settings(connection) == story.world.settings
    given = {"name": "kill.daily_loss_max", "value": "0.01", "seconds": "3600"}
    story.command("set-parameter", "ana", "careful", **given)
    assert distance.settings(connection).kill.daily_loss_max == 0.01
    assert distance.settings(connection) == story.world.settings


def test_a_distance_is_used_up_at_its_limit():
    found = distance.Distance("drawdown", 0.05, 0.10, "guard PAUSED")
    assert found.used == pytest.approx(0.5)
    rate = distance.Distance("win rate", 0.7, 0.4, "guard REDUCED", floor=True)
    assert rate.used == pytest.approx(0.5)
    assert replace(rate, now=0.4).used == 1.0
    assert replace(found, limit=0.0).used == 1.0


def test_the_win_rate_is_that_which_the_guard_counts(connection):
    found = distance.distances(connection, Settings(), views.equity(connection))
    assert {one.now for one in found if one.floor} == {2 / 6}


def test_settings_of_another_shape_are_none_not_a_crash(state):
    writer = open_writer(state)
    writer.execute("DROP TRIGGER journal_kept_u")
    writer.execute(
        "UPDATE journal SET body = json_set(body, '$.settings.guard', 1) WHERE kind = 'Started'"
    )
    assert distance.settings(writer) is None
    writer.close()


# -- orders, refusals, the curve -------------------------------------------------------------------


def test_a_position_leads_to_the_order_that_opened_it_and_to_its_executions(connection):
    (order,), (fill,) = orders.opened_by(connection, BTC)
    assert (order.state, order.stop, order.take, order.exit) == ("FILLED", "98.0", "103.0", False)
    assert order.decided.startswith("EMA cross up")
    assert (fill.order, fill.price) == (order.order, "100")
    assert orders.opened_by(connection, "ETHUSDT") == ([], [])
    assert orders.marks(connection, (BTC, "ETHUSDT")) == {BTC: 100.0}


def test_an_order_in_doubt_is_on_its_way(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    order = story.doubt()
    (found,) = orders.underway(files.open_state(tmp_path / "state.db"))
    assert (found.order, found.state, found.reason) == (order, "UNKNOWN", "no answer within 5 s")


def test_refusals_are_counted_by_control_and_measures_are_the_newest(connection):
    found = {one.control: one for one in refusals.newest(connection)}
    assert found["permission"].reason == "hold account is HELD: ana: news at noon"
    assert [one.control for one in refusals.last(connection, BTC)] == ["price drift", "permission"]
    assert refusals.measures(connection)[BTC].adx == 40.0


@pytest.mark.parametrize("steps", [1, 7, 1_000])
def test_the_curve_keeps_both_extremes_in_any_number_of_steps(connection, steps):
    found = curve.read(connection, steps)
    low, high, deep = connection.execute(
        "SELECT min(CAST(equity AS REAL)), max(CAST(equity AS REAL)), max(drawdown) FROM equity"
    ).fetchone()
    assert len(found.steps) <= steps
    assert min(step.low for step in found.steps) == low
    assert max(step.high for step in found.steps) == high
    assert max(step.drawdown for step in found.steps) == deep
    assert sum(day.trades for day in found.days) == 6


# -- tables ----------------------------------------------------------------------------------------


def test_what_can_move_a_machine_is_what_its_table_says():
    assert [(way.on, way.to) for way in tables.next_ways("hold", "HELD")] == [("Commanded", "FREE")]
    assert tables.lowers("guard", "PAUSED") == "REDUCE_ONLY"
    assert tables.lowers("guard", "NORMAL") == ""
    assert tables.next_ways("no such", "X") == []


# -- what may be asked -----------------------------------------------------------------------------


def told(story):
    """A told day, a day that is held, and one that is killed, each with its bot running."""
    yield
    story.command("hold", "ana", "news")
    yield
    story.command("kill", "ana", "drill")
    yield
    story.minute()
    yield


def test_why_not_is_what_the_bot_itself_would_say(tmp_path, monkeypatch):
    story = tell(tmp_path / "state.db")
    monkeypatch.setattr(asking, "_why_no_bot", lambda found, verb: None)
    for _ in told(story):
        connection = files.open_state(tmp_path / "state.db")
        found = asking.possible(
            connection, status.document(connection, tmp_path / "state.db"), None
        )
        for verb, symbol in found:
            if verb not in OF_A_LINE:
                event = commanded(story.world, verb, **({"symbol": symbol} if symbol else {}))
                assert found[verb, symbol].why_not == VERBS[verb].why_not(story.world, event)
        connection.close()


def test_a_spent_budget_greys_what_the_bot_would_refuse_for_it_and_nothing_else(
    connection, state, monkeypatch
):
    monkeypatch.setattr(asking, "_why_no_bot", lambda found, verb: None)
    found = status.document(connection, state)
    spent = replace(found.health, objectives=(views.ObjectiveStanding("data", 9.0, 0.5, 2.0, 9.0),))
    possible = asking.possible(connection, replace(found, health=spent), None)
    greyed = {verb for (verb, _), one in possible.items() if "error budget" in (one.why_not or "")}
    assert greyed <= {"release", "rearm"}
    assert possible["approve", ""].why_not is None, "the bot takes a second person's word"


def test_every_command_of_a_console_is_one_of_the_bot_and_tells_its_effects(connection, state):
    found = asking.possible(connection, status.document(connection, state), None)
    assert {verb for verb, _ in found} == set(ASKED) <= set(VERBS)
    assert {verb for verb, symbol in found if symbol} == set(OF_A_SYMBOL)
    assert all(one.effects and one.meaning for one in found.values())
    assert all("python -m bot" in one.why_not for one in found.values()), "no bot runs"
    assert (
        found["flatten", ""].effects[0]
        == "positions 1, worth 999.4 at entry prices, CLOSED at market"
    )


# -- a reader that stays ---------------------------------------------------------------------------


def test_a_reader_opens_anew_when_a_writer_comes_and_when_it_goes(state):
    reader = Reader(state)
    before = reader.version()
    assert reader.version() == before
    lease = Lease(state, {"pid": 1})
    with_writer = reader.version()
    assert with_writer != before
    lease.release()
    assert reader.version() != with_writer
    reader.close()
