"""Panic sets HALT, cancels entries, protects or closes positions, and writes it all down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal

import pytest

from bot.core.values import Side
from bot.edge.files import Halt
from bot.edge.venues.send import send_order
from bot.panic import panic
from tests.edge.worlds import (
    FALLS,
    RISES,
    conditional,
    entry,
    spawn_exchange,
    stop_exchange,
    venue_at,
)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("panic"), "--speed", "5")
    yield exchange
    stop_exchange(process)


@pytest.fixture
def halt(tmp_path):
    halt = Halt(tmp_path / "HALT")
    halt.create()
    return halt


async def resting(venue, symbol="BTCUSDT", factor=0.5) -> str:
    """A limit order far from the market: an entry that stays open."""
    (instrument,) = await venue.instruments([symbol])
    price = instrument.round_price(await venue.mark(symbol) * factor)
    submit = entry("0.01", symbol, price=price)
    assert (await send_order(venue, submit)).kind == "ACK"
    return submit.order


def outcomes(lines):
    return [(line["action"], line["outcome"]) for line in map(json.loads, lines)]


async def test_entries_are_cancelled_and_naked_positions_get_a_stop(exchange, halt, tmp_path):
    log = tmp_path / "panic.jsonl"
    async with exchange.venue() as venue:
        await resting(venue)
        mark = await venue.mark("ETHUSDT")
        (eth,) = await venue.instruments(["ETHUSDT"])
        held = eth.round_price(mark * 0.9)
        await send_order(venue, entry("0.5", "ETHUSDT", stop=held, take=eth.round_price(mark * 2)))
        await send_order(venue, entry("0.01", "BTCUSDT", Side.SELL))
        exchange.fault("drop", match="/v5/order/cancel-all", when="after")
        exchange.fault("http_status", match="/v5/position/list", status=502)
        lines = await panic(venue, halt, log, False, "anna", "drill", None)
        assert outcomes(lines)[-1] == ("end", "done"), lines
        assert await venue.open_orders() == ()
        stops = {position.symbol: position.stop for position in await venue.positions()}
        assert stops["ETHUSDT"] == held, "what is protected is left alone"
        distance = float(stops["BTCUSDT"]) / await venue.mark("BTCUSDT")
        assert distance == pytest.approx(1.02, abs=0.005)
    assert halt.is_set() == ("anna", "drill")
    assert log.read_text().splitlines() == lines
    assert ("verify stops", "failed") in outcomes(lines), "the 502 is written down"


async def test_entries_that_wait_for_a_trigger_go_one_by_one_and_what_protects_stays(
    exchange, halt, tmp_path
):
    async with exchange.venue() as venue:
        (eth,) = await venue.instruments(["ETHUSDT"])
        mark = await venue.mark("ETHUSDT")
        low, high = eth.round_price(mark * 0.8), eth.round_price(mark * 1.2)
        await send_order(venue, entry("0.5", "ETHUSDT", stop=low, take=high))
        await resting(venue)
        wait = ("ETHUSDT", high, RISES), ("ETHUSDT", low, FALLS), ("ETHUSDT", high, RISES)
        waiting = [await conditional(venue, *each) for each in wait]
        guard = await conditional(
            venue, "ETHUSDT", low, FALLS, side="Sell", qty="0.5", reduceOnly=True
        )
        exchange.fault("ret_code", match="/v5/order/cancel", code=10016)
        lines = await panic(venue, halt, tmp_path / "p", False, "anna", "drill", None)
        assert outcomes(lines)[-1] == ("end", "done"), lines
        done = next(line for line in map(json.loads, lines) if "cancelled" in line["detail"])
        assert done["detail"] == f"{len(waiting) + 1} cancelled, none open"
        assert await venue.open_orders() == ()
        query = {"category": "linear", "symbol": "ETHUSDT", "orderFilter": "StopOrder"}
        reply = await venue.rest.get("/v5/order/realtime", query)
        assert guard.encode() in bytes(reply.result), "it can only reduce"
        (position,) = [p for p in await venue.positions() if p.symbol == "ETHUSDT"]
        assert (position.stop, position.take) == (low, high)
        await venue.cancel("", "ETHUSDT", guard)


async def test_limits_that_can_only_reduce_are_left_and_the_entries_beside_them_go(
    exchange, halt, tmp_path
):
    async with exchange.venue() as venue:
        (eth,) = await venue.instruments(["ETHUSDT"])
        mark = await venue.mark("ETHUSDT")
        low, high = eth.round_price(mark * 0.8), eth.round_price(mark * 1.2)
        await send_order(venue, entry("0.5", "ETHUSDT", stop=low))
        target = entry("0.5", "ETHUSDT", Side.SELL, price=high, reduce_only=True)
        assert (await send_order(venue, target)).kind == "ACK"
        await resting(venue)
        await resting(venue, "ETHUSDT")
        await conditional(venue, "ETHUSDT", high, RISES)
        lines = await panic(venue, halt, tmp_path / "p", False, "anna", "drill", None)
        assert outcomes(lines)[-1] == ("end", "done"), lines
        done = next(line for line in map(json.loads, lines) if "cancelled" in line["detail"])
        assert done["detail"] == "3 cancelled, none open"
        assert [row.order for row in await venue.open_orders()] == [target.order]
        again = await panic(venue, halt, tmp_path / "p", False, "anna", "drill", None)
        assert "0 cancelled, none open" in "".join(again)
        await venue.cancel(target.order, "ETHUSDT")


async def test_everything_is_closed_if_asked(exchange, halt, tmp_path):
    async with exchange.venue() as venue:
        since = venue.clock.now()
        await send_order(venue, entry("0.4", "ETHUSDT"))
        exchange.fault("drop", match="/v5/order/create", when="after")
        exchange.fault("ret_code", match="/v5/order/create", code=10006)
        lines = await panic(venue, halt, tmp_path / "p", True, "anna", "drill", None)
        assert outcomes(lines)[-1] == ("end", "done"), lines
        assert await venue.positions() == ()
        closing = [fill for fill in await venue.fills(since) if fill.order.startswith("panic-")]
        assert closing
        for fill in closing:
            assert len(fill.order) <= 36
            query = {"category": "linear", "orderLinkId": fill.order}
            reply = await venue.rest.get("/v5/order/realtime", query)
            assert b'"reduceOnly":true' in bytes(reply.result), "it cannot open a position"


async def test_what_could_not_be_done_is_said(halt, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.panic.PAUSE_SECONDS", 0.0)
    async with venue_at("http://127.0.0.1:1") as venue:
        lines = await panic(venue, halt, tmp_path / "p", True, "dead-man", "silence", None)
    last = json.loads(lines[-1])
    assert last["outcome"] == "undone"
    for left in ("cancel entries", "flatten", "verify stops"):
        assert left in last["detail"]
    assert halt.is_set() == ("dead-man", "silence")


async def test_a_full_disk_stops_nothing(exchange, halt):
    async with exchange.venue() as venue:
        await resting(venue)
        nowhere = halt.path.parent / "no such directory" / "panic.jsonl"
        lines = await panic(venue, halt, nowhere, False, "anna", "drill", None)
        assert await venue.open_orders() == ()
    assert "line not written" in lines[-1]


HUNG = "import signal,sys\nif sys.argv[2]=='deaf': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
HUNG += "print('up', flush=True)\nwhile True: signal.pause()"


@pytest.mark.parametrize(
    ("name", "ears", "ended"),
    [("bot", "good", signal.SIGTERM), ("bot", "deaf", signal.SIGKILL), ("editor", "good", None)],
)
async def test_only_a_hung_bot_is_ended(halt, tmp_path, monkeypatch, name, ears, ended):
    monkeypatch.setattr("bot.panic.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("bot.panic.TERM_SECONDS", 0.5)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HUNG, name, ears), stdout=subprocess.PIPE
    )
    try:
        assert await child.stdout.readline() == b"up\n"
        async with venue_at("http://127.0.0.1:1") as venue:
            lines = await panic(venue, halt, tmp_path / "p", False, "anna", "hung", child.pid)
        if ended is None:
            assert child.returncode is None
            assert "is no bot" in json.loads(lines[-1])["detail"]
        else:
            assert await child.wait() == -ended
            assert ("end process", "done") in outcomes(lines)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_it_does_not_end_itself(halt, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.panic.PAUSE_SECONDS", 0.0)
    async with venue_at("http://127.0.0.1:1") as venue:
        lines = await panic(venue, halt, tmp_path / "p", False, "anna", "x", os.getpid())
    assert "is this process" in json.loads(lines[-1])["detail"]


def test_its_own_code_path_loads_no_database_and_no_models():
    code = "import sys, bot.panic; print(sorted(m for m in sys.modules if m.startswith('bot.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"bot.store", "bot.learn", "bot.engine"} & set(eval(done.stdout))
    assert Decimal("0.02") == __import__("bot.panic", fromlist=["x"]).STOP_DISTANCE
