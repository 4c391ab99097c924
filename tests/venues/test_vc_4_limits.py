"""Contract VC-32 to VC-41: requests are budgeted, and trouble is told once and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from bot.edge.clock import monotonic_ns, time_from
from bot.edge.venues import rest
from bot.edge.venues.budget import CONNECTIONS, SECOND_NS, Priority, Request
from bot.edge.venues.rest import Busy, Declined
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry
from tests.venues.world import ORDER, POSITIONS, SYMBOL, WALLET, Ear, Scripted, flat, resting

LIMITS = "X-Bapi-Limit: 10\r\nX-Bapi-Limit-Status: {0}\r\n"


async def test_vc32_entries_leave_room_for_exits(monkeypatch):
    monkeypatch.setattr(rest, "PATIENCE_REAL_SECONDS", 0.0)
    scripted = Scripted()
    async with scripted.venue() as venue:
        sent = [await send_order(venue, entry()) for _ in range(10)]
        late = [outcome for outcome in sent if "no room" in outcome.reason]
        assert [outcome.kind for outcome in late] == ["NOT_SENT"] * 2
        assert "/v5/order/create linear: 10 a second" in late[0].reason
        for _ in range(2):
            assert "no room" not in (await send_order(venue, entry(reduce_only=True))).reason
        assert "no room" in (await send_order(venue, entry(reduce_only=True))).reason


async def test_vc33_a_request_that_waits_leaves_when_there_is_room(world):
    async with world.venue() as venue:
        outcomes = await asyncio.gather(*(send_order(venue, entry()) for _ in range(11)))
        assert [outcome.kind for outcome in outcomes] == ["ACK"] * 11
        assert not venue.rest.budget.waits
        await flat(venue, "BTCUSDT")


async def test_vc34_what_others_took_of_the_limit_is_known_from_the_answers(monkeypatch):
    monkeypatch.setattr(rest, "PATIENCE_REAL_SECONDS", 0.0)
    scripted = Scripted()
    scripted.headers = LIMITS.format(1)
    async with scripted.venue() as venue:
        await send_order(venue, entry())
        assert "no room" in (await send_order(venue, entry())).reason
        assert "no room" not in (await send_order(venue, entry(reduce_only=True))).reason


async def test_vc35_a_limit_that_the_venue_names_is_taken_over(monkeypatch):
    monkeypatch.setattr(rest, "PATIENCE_REAL_SECONDS", 0.0)
    scripted = Scripted()
    scripted.headers = "X-Bapi-Limit: 1000\r\nX-Bapi-Limit-Status: 999\r\n"
    async with scripted.venue() as venue:
        sent = [await send_order(venue, entry()) for _ in range(30)]
        assert not [outcome for outcome in sent if "no room" in outcome.reason]


async def test_vc36_a_ban_stops_everything_but_cancels_for_ten_minutes(world):
    ear, scripted = Ear(), Scripted()
    scripted.status = "403 Forbidden"
    scripted.answers[WALLET] = b'{"retCode":403,"retMsg":"access too frequent"}'
    async with scripted.venue(ear.append) as venue:
        with pytest.raises(Busy, match="access too frequent") as busy:
            await venue.wallet()
        wait = busy.value.retry_at - venue.clock.now()
        assert 590_000 < wait <= 600_000
        scripted.status = "200 OK"
        with pytest.raises(Busy, match="banned this address"):
            await venue.wallet()
        assert (await send_order(venue, entry(reduce_only=True))).kind == "NOT_SENT"
        assert scripted.asked == [WALLET]
        await venue.cancel("a", SYMBOL)
        assert scripted.asked == [WALLET, "/v5/order/cancel"]
        scripted.status = "403 Forbidden"
        scripted.answers["/v5/order/cancel"] = scripted.answers[WALLET]
        with time_from(lambda: time.monotonic_ns() + 60 * SECOND_NS, time.time_ns):
            for ask in (lambda: venue.cancel("a", SYMBOL), venue.wallet):
                with pytest.raises(Busy) as later:
                    await ask()
                left = later.value.retry_at - venue.clock.venue_ms()
                assert 530_000 < left <= 540_000, "nothing is prolonged"
    assert ear.kinds == ["banned", "answer", "banned"]
    assert ear[0].retry_at == busy.value.retry_at


async def test_vc37_system_protection_holds_back_what_does_not_protect(monkeypatch):
    monkeypatch.setattr(rest, "THROTTLED_REAL_SECONDS", (30.0, 30.0))
    scripted = Scripted()
    scripted.status = "429 X"
    async with scripted.venue() as venue:
        with pytest.raises(Busy, match="429"):
            await venue.positions()
        scripted.status = "200 OK"
        with pytest.raises(Busy, match="throttles all requests"):
            await venue.positions()
        assert (await send_order(venue, entry())).kind == "NOT_SENT"
        assert scripted.asked == [POSITIONS]
        await venue.cancel("a", SYMBOL)
        assert scripted.asked == [POSITIONS, "/v5/order/cancel"]
        await venue.ask(POSITIONS, {}, True, Priority.INQUIRE)  # one that went through opens it


async def test_vc37_and_lets_exits_through(monkeypatch):
    monkeypatch.setattr(rest, "THROTTLED_REAL_SECONDS", (30.0, 30.0))
    scripted = Scripted()
    scripted.status = "429 X"
    async with scripted.venue() as venue:
        with pytest.raises(Busy, match="429"):
            await venue.positions()
        assert (await send_order(venue, entry())).reason.startswith("the venue throttles")
        await send_order(venue, entry(reduce_only=True))
        assert scripted.asked == [POSITIONS, ORDER]


TROUBLE = {
    "throttled": ({"code": 10006}, "throttled"),
    "system": ({"status": 429}, "throttled"),
    "maintenance": ({"code": 10016}, "maintenance"),
    "restarting": ({"code": 10019}, "maintenance"),
    "gateway": ({"status": 503}, "maintenance"),
    "clock": ({"code": 10002}, "clock"),
    "key": ({"code": 10003}, "key"),
    "address": ({"code": 10010}, "key"),
    "trading banned": ({"code": 10027}, "key"),
}


@pytest.mark.parametrize(("fault", "kind"), TROUBLE.values(), ids=TROUBLE)
async def test_vc38_trouble_is_told_and_so_is_the_first_good_answer(world, fault, kind):
    ear = Ear()
    async with world.venue(ear.append) as venue:
        ear.clear()
        if "status" in fault:
            world.status(WALLET, fault["status"])
        else:
            world.code(WALLET, fault["code"])
        with pytest.raises((Busy, Declined)):
            await venue.wallet()
        assert ear.kinds == [kind]
        assert ear[0].reason
        await _until_good(venue)
        assert ear.kinds == [kind, "answer"]
        assert ear[1].after == (kind,)


async def _until_good(venue):
    """The budget keeps requests back after a refusal for the rate; wait for it."""
    while True:
        try:
            return await venue.wallet()
        except Busy:
            await asyncio.sleep(0)


async def test_vc38_an_unsigned_answer_does_not_end_trouble_with_the_key(world):
    ear = Ear()
    async with world.venue(ear.append) as venue:
        world.code(WALLET, 10003)
        with pytest.raises(Declined):
            await venue.wallet()
        await venue.sync_clock()
        assert ear.kinds == ["key"]


async def test_vc39_a_venue_that_cannot_be_reached_is_told_once_a_second(world):
    ear = Ear()
    async with world.venue(ear.append) as venue:
        world.cut(POSITIONS, processed=False)
        world.cut(WALLET, processed=True, count=2)  # the HTTP client itself asks once more
        for ask in (venue.wallet, venue.positions):
            with contextlib.suppress(Busy):
                await ask()
        assert ear.kinds in (["unreachable"], ["unreachable", "answer"])


async def test_vc40_a_refusal_for_the_rate_shuts_its_own_limit_until_the_reset(world, monkeypatch):
    monkeypatch.setattr(rest, "PATIENCE_REAL_SECONDS", 0.0)
    scripted = Scripted()
    async with scripted.venue() as venue:
        reset = venue.clock.venue_ms() + 5_000
        scripted.headers = f"X-Bapi-Limit-Reset-Timestamp: {reset}\r\n"
        scripted.refuse(WALLET, 10006, "Too many visits.")
        with pytest.raises(Busy, match="10006") as busy:
            await venue.wallet()
        assert 0 <= busy.value.retry_at - reset <= 400
        with pytest.raises(Busy, match="no room"):
            await venue.wallet()
        scripted.refuse("/v5/order/cancel", 110001, "Order does not exist")
        await venue.cancel("a", SYMBOL)
        with pytest.raises(Busy, match="no room"):
            await venue.wallet()


async def test_vc41_slow_requests_leave_connections_for_cancels(world):
    """However many questions are open, a cancel finds a connection of its own."""
    async with world.venue() as venue:
        submit = await resting(venue)
        world.exchange.fault("delay", match="/v5/market/kline", when="after", ms=1500, count=100)
        slow = [asyncio.create_task(venue.candles("BTCUSDT", 0, 5)) for _ in range(60)]
        await asyncio.sleep(0)
        began = monotonic_ns()
        await venue.cancel(submit.order, SYMBOL)
        took = (monotonic_ns() - began) / SECOND_NS
        assert not any(task.done() for task in slow), took
        world.clear()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_vc41_a_request_that_is_given_up_gives_back_its_place(world):
    async with world.venue() as venue:
        world.exchange.fault("delay", match="/v5/market/kline", when="after", ms=500, count=100)
        tasks = [asyncio.create_task(venue.candles("BTCUSDT", 0, 5)) for _ in range(80)]
        await asyncio.sleep(0)  # each runs up to its first wait
        assert venue.rest.budget.waits
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        budget, ask = venue.rest.budget, Request("/v5/market/time", "", Priority.CANCEL)
        waits = [budget.take(ask, monotonic_ns()) for _ in range(CONNECTIONS + 1)]
        assert [n for n, wait in enumerate(waits) if wait] == [CONNECTIONS], "all were given back"
        assert not budget.waits
