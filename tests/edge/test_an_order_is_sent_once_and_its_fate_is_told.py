"""The outcome of an order's request is ACK, EXISTS, REJECTED, NOT_SENT, or UNKNOWN."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from bot.core.values import OrderStatus
from bot.edge.venues import rest
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry, raw_server, venue_at

CREATE = "/v5/order/create"
FAULTS = [
    # fault, expected kind, whether the venue has the order
    (None, "ACK", True),
    ({"kind": "drop", "when": "before"}, "UNKNOWN", False),
    ({"kind": "drop", "when": "after"}, "UNKNOWN", True),
    ({"kind": "http_status", "status": 502, "when": "before"}, "UNKNOWN", False),
    ({"kind": "http_status", "status": 503, "when": "after"}, "UNKNOWN", True),
    ({"kind": "http_status", "status": 403}, "NOT_SENT", False),
    ({"kind": "http_status", "status": 429}, "NOT_SENT", False),
    ({"kind": "http_status", "status": 404}, "REJECTED", False),
    ({"kind": "garble", "how": "truncate"}, "UNKNOWN", True),
    ({"kind": "garble", "how": "json"}, "UNKNOWN", True),
    ({"kind": "ret_code", "code": 10002}, "NOT_SENT", False),
    ({"kind": "ret_code", "code": 10006}, "NOT_SENT", False),
    ({"kind": "ret_code", "code": 10018}, "NOT_SENT", False),
    ({"kind": "ret_code", "code": 10016}, "UNKNOWN", False),
    ({"kind": "ret_code", "code": 10000}, "UNKNOWN", False),
    ({"kind": "ret_code", "code": 170007}, "UNKNOWN", False),
    ({"kind": "ret_code", "code": 110007}, "REJECTED", False),
    ({"kind": "ret_code", "code": 10003}, "REJECTED", False),
]


@pytest.mark.parametrize(("fault", "kind", "there"), FAULTS)
async def test_each_fault_has_one_outcome(exchange, fault, kind, there):
    async with exchange.venue() as venue:
        if fault:
            exchange.fault(match=CREATE, **fault)
        submit = entry()
        outcome = await send_order(venue, submit)
        assert outcome.kind == kind, outcome
        row = await venue.find(submit.order, submit.symbol)
        assert (row is not None) == there
        assert bool(outcome.venue_id) == (kind == "ACK")
        assert outcome.reason


async def test_an_id_used_twice_exists_and_trades_once(exchange):
    async with exchange.venue() as venue:
        submit = entry()
        since = venue.clock.now() - 60_000
        first, second = await send_order(venue, submit), await send_order(venue, submit)
        assert (first.kind, second.kind) == ("ACK", "EXISTS")
        row = await venue.find(submit.order, submit.symbol)
        assert row.status is OrderStatus.FILLED
        mine = [fill for fill in await venue.fills(since) if fill.order == submit.order]
        assert sum(fill.qty for fill in mine) == submit.qty


async def test_too_small_an_order_is_rejected_with_the_venues_words(exchange):
    async with exchange.venue() as venue:
        outcome = await send_order(venue, entry(qty="0.0001"))
        assert outcome.kind == "REJECTED"
        assert str(outcome.code) in outcome.reason


async def test_a_refused_connection_means_not_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with venue_at(url) as venue:
        outcome = await send_order(venue, entry())
        assert outcome.kind == "NOT_SENT"
        assert venue.last_request_sent_ns == 0


async def _read_and_cut(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def _garbage(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x00\x01 no http at all\r\n\r\n")
    await writer.drain()


async def _half_an_answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"retCode":0')
    await writer.drain()


async def _redirect(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 307 X\r\nLocation: /v5/order/create\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        (_read_and_cut, "UNKNOWN"),
        (_garbage, "UNKNOWN"),
        (_half_an_answer, "UNKNOWN"),
        (_redirect, "REJECTED"),
    ],
)
async def test_an_answer_that_is_none_leaves_the_outcome_open(handle, kind):
    asked = []

    async def counted(reader, writer):
        asked.append(1)
        await handle(reader, writer)

    async with raw_server(counted) as url, venue_at(url) as venue:
        outcome = await send_order(venue, entry())
        assert outcome.kind == kind
        assert len(asked) == 1, "a POST is never repeated"
        assert venue.last_request_sent_ns > 0


async def test_an_answer_that_is_late_leaves_the_outcome_open(exchange, monkeypatch):
    monkeypatch.setattr(rest, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    async with exchange.venue() as venue:
        exchange.fault("delay", match=CREATE, when="after", ms=800)
        outcome = await send_order(venue, entry())
        assert outcome.kind == "UNKNOWN"


async def test_a_wrong_clock_is_mended_by_the_refusal_it_causes(exchange):
    async with exchange.venue() as venue:
        exchange.control("jump", seconds=3600)
        first = await send_order(venue, entry())
        second = await send_order(venue, entry())
        assert (first.kind, first.code, second.kind) == ("NOT_SENT", 10002, "ACK")
        assert abs(await venue.sync_clock() - 3_600_000) < 60_000
        assert await venue.sync_clock() == 0


async def test_what_forbids_an_order_is_asked_again_right_before_its_first_byte(exchange):
    async with exchange.venue() as venue:
        submit = entry()
        outcome = await send_order(venue, submit, lambda: "HALT set by ana: look at this")
        assert (outcome.kind, outcome.reason) == ("NOT_SENT", "HALT set by ana: look at this")
        assert await venue.find(submit.order, submit.symbol) is None
        assert (await send_order(venue, submit, lambda: None)).kind == "ACK"
