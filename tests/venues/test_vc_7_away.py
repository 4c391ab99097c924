"""Contract VC-56 to VC-59: a venue that may cancels the entries of a bot that is gone."""

from __future__ import annotations

import pytest
import websockets

from bot.config import load
from bot.core.events import FramesRefused, StreamLost, StreamUp
from bot.core.values import OrderStatus
from bot.edge.venues.dcp import Dcp
from bot.edge.venues.rest import Declined
from bot.edge.venues.send import send_order
from bot.edge.venues.stream import private_stream
from bot.errors import ConfigError
from tests.edge.worlds import Recorder, entry, running, spawn_exchange, stop_exchange, venue_at
from tests.venues.world import SYMBOL, WALLET, Ear, Scripted, flat, position_of, prices, resting

ARM, ARMED = "/v5/order/disconnected-cancel-all", "/v5/account/query-dcp-info"
WINDOW = 30  # market seconds


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("bot.edge.venues.dcp.SETTLE_REAL_SECONDS", 0.0)
    monkeypatch.setattr("bot.edge.venues.dcp.AGAIN_REAL_SECONDS", (0.01, 0.02))


@pytest.fixture(scope="module")
def institution(tmp_path_factory):
    """An exchange whose account may have the protection."""
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("dcp"), "--dcp", "--speed", "10")
    yield exchange
    stop_exchange(process)


async def passes(venue, exchange, seconds: int) -> None:
    """Let market time pass, and a moment of it by itself, so that everyone has seen it."""
    exchange.control("jump", seconds=seconds)
    await venue.sync_clock()
    jumped = venue.clock.venue_ms()
    while venue.clock.venue_ms() < jumped + 1000:
        await venue.sync_clock()


async def test_vc56_entries_go_and_the_stop_stays_once_the_bot_is_away(institution):
    post, said = Recorder(), []
    async with institution.venue() as venue:
        low, _, high = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL, stop=low, take=high))
        left = await resting(venue)
        async with running(
            private_stream(venue, [SYMBOL], post, dcp=Dcp(venue, WINDOW, said.append))
        ):
            await post.count(StreamUp, 1)
            while await venue.dcp_seconds() != WINDOW:
                pass
            await passes(venue, institution, 10 * WINDOW)
            row = await venue.find(left.order, SYMBOL)
            assert row.status is OrderStatus.OPEN, "a bot that is there keeps its entries"
        await passes(venue, institution, 2 * WINDOW)
        row = await venue.find(left.order, SYMBOL)
        assert (row.status, "CancelByDCP" in row.reason) == (OrderStatus.CANCELED, True)
        position = await position_of(venue)
        assert (position.stop, position.take) == (low, high)
        await flat(venue)
    assert not said
    assert not post.of(FramesRefused)


async def test_vc57_without_it_nothing_is_armed_and_nothing_is_cancelled(institution):
    async with institution.venue() as venue:
        left = await resting(venue)
        post = Recorder()
        async with running(private_stream(venue, [SYMBOL], post)):
            await post.count(StreamUp, 1)
        await passes(venue, institution, 2 * WINDOW)
        assert (await venue.find(left.order, SYMBOL)).status is OrderStatus.OPEN
        await venue.cancel(left.order, SYMBOL)


async def test_vc58_a_refusal_is_said_once_and_changes_nothing_else(world):
    post, said, ear = Recorder(), [], Ear()
    async with world.venue(ear.append) as venue:
        dcp = Dcp(venue, WINDOW, said.append)
        async with running(private_stream(venue, [SYMBOL], post, dcp=dcp)):
            await post.until(lambda: post.of(StreamUp))
            while not said:
                await venue.wallet()
            await dcp.arm()
            with pytest.raises(Declined, match="10005"):
                await venue.arm_dcp(WINDOW)
            assert await venue.dcp_seconds() == 0
            submit = await resting(venue)
            await venue.cancel(submit.order, SYMBOL)
    (sentence,) = said
    assert sentence.startswith("disconnect protection is not armed: ")
    assert "10005" in sentence
    assert not ear, "it is no trouble of the key: that would hold every entry"
    assert not post.of(StreamLost)


async def test_vc58_a_topic_that_is_refused_is_said_once_and_the_stream_stays():
    said, post = [], Recorder()

    async def serve(socket):
        for answer in ('"auth","success":true', '"subscribe","success":true'):
            await socket.recv()
            await socket.send(f'{{"op":{answer}}}')
        assert b"dcp.future" in (await socket.recv()).encode()
        for _ in range(2):
            await socket.send('{"op":"subscribe","success":false,"ret_msg":"no handler"}')
        await socket.send('{"topic":"execution","data":[{}]}')
        await socket.wait_closed()

    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue:
            dcp = Dcp(venue, WINDOW, said.append)
            async with running(private_stream(venue, [SYMBOL], post, dcp=dcp)):
                await post.count(FramesRefused, 1)
    assert said == ["disconnect protection is not armed: no handler"]
    assert [type(event) for event in post.events] == [StreamUp, FramesRefused]


async def test_vc58_whatever_code_says_no_is_a_refusal_and_no_new_code():
    scripted, ear = Scripted(), Ear()
    async with scripted.venue(ear.append) as venue:
        for code in (10005, 10001, 10029, 3_100_326):
            scripted.refuse(ARM, code, "not for you")
            with pytest.raises(Declined, match=str(code)):
                await venue.arm_dcp(WINDOW)
        assert not ear
        scripted.refuse(WALLET, 10005, "not for you")
        with pytest.raises(Declined):
            await venue.wallet()
        assert ear.kinds == ["key"], "of any other request it is trouble"


async def test_vc59_a_busy_venue_is_asked_again_and_what_does_not_stand_is_said():
    scripted, said = Scripted(), []
    scripted.refuse(ARM, 10016, "maintenance")
    async with scripted.venue() as venue:
        armed = Dcp(venue, WINDOW, said.append)

        def open_again():
            if scripted.asked.count(ARM) == 4:
                scripted.ok(ARM)

        scripted.seen = open_again
        scripted.ok(ARMED, dcpInfos=[dcp_info(product="SPOT"), dcp_info()])
        await armed.arm()
        assert (scripted.asked.count(ARM), said) == (4, [])
        scripted.ok(ARMED, dcpInfos=[dcp_info(timeWindow="10")])
        await armed.arm()
        assert said == ["disconnect protection is not armed: expected 30 s, found 10"]


def dcp_info(**changes):
    return {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(WINDOW)} | changes


@pytest.mark.parametrize(
    ("seconds", "fits"),
    [(0, True), (1, False), (2, False), (3, True), (300, True), (301, False), (-1, False)],
)
def test_vc59_its_window_is_one_that_the_venue_takes(tmp_path, seconds, fits):
    file = tmp_path / "bot.toml"
    file.write_text(f"[venue]\ndcp_seconds = {seconds}\n")
    if fits:
        assert load(file, {}).config.venue.dcp_seconds == seconds
    else:
        with pytest.raises(ConfigError, match=r"venue\.dcp_seconds: expected"):
            load(file, {})
