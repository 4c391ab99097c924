"""The running bot's metrics: on loopback and as a text file, read once however many ask."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
from functools import wraps

import aiohttp
import pytest

from bot.config.sections import Metrics
from bot.core.world import FeedData, World
from bot.desk import measures
from bot.desk.metrics import METRICS, Values
from bot.edge.clock import monotonic_ns
from bot.edge.venues.budget import Budget, Priority, Request
from bot.engine import metrics as module
from bot.engine.inbox import Inbox
from bot.engine.metrics import Exporter, Sources, quote_ages
from bot.engine.timings import Timings
from tests.desk.story import copied, told_in

LIVE = {metric.name for metric in METRICS.values() if metric.live}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return told_in(tmp_path_factory.mktemp("told"))


@pytest.fixture
def state(told, tmp_path):
    return copied(told, tmp_path)


class Loop:
    world, build = World(feeds={"BTCUSDT": FeedData(seen_at=4_000)}, at=64_000, rate=60.0), "abc"


class Runner:
    in_flight = frozenset({1, 2})


class Voice:
    dropped = 3


@pytest.fixture
def sources():
    budget = Budget()
    budget.take(Request("/v5/order/create", "linear", Priority.EXIT), monotonic_ns())
    return Sources(Timings(), Loop(), Inbox(10), Runner(), budget, Voice())


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.asynccontextmanager
async def exporting(exporter):
    tasks = [asyncio.create_task(sense) for sense in exporter.senses()]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def got(port, path="/metrics"):
    """Ask until somebody listens."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status, answer.headers["Content-Type"], await answer.text()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


def runs(test):
    """Run a coroutine test."""

    @wraps(test)
    def run(**fixtures):
        asyncio.run(test(**fixtures))

    run.__signature__ = inspect.signature(test)
    return run


def test_nothing_is_served_or_written_unless_it_is_named(state, sources):
    assert list(Exporter(Metrics(), state, sources, print).senses()) == []


def test_all_that_only_the_process_knows_is_told(sources):
    found = {metric.name: values for metric, values in sources.values().items()}
    assert set(found) == LIVE
    assert found["bot_feed_quote_age_seconds"] == {("BTCUSDT",): 1.0}
    assert found["bot_effects_in_flight"] == {(): 2}
    assert found["bot_log_lines_dropped_total"] == {(): 3}
    used = found["bot_api_budget_used_ratio"]
    assert 0 < used["address",] < used["/v5/order/create linear",] <= 0.1


def test_the_age_of_a_quote_is_real_time():
    assert list(quote_ages(Loop.world)) == [("BTCUSDT", 1.0)]


@runs
async def test_the_endpoint_serves_both_and_nothing_else(state, sources):
    port = free_port()
    async with exporting(Exporter(Metrics(port=port), state, sources, print)):
        status, kind, text = await got(port)
        assert (status, kind) == (200, module.CONTENT_TYPE)
        for part in ('machine="guard"', "bot_loop_lag_seconds_bucket", "bot_equity_quote"):
            assert part in text
        assert (await got(port, "/"))[0] == 404


@runs
async def test_however_many_ask_the_database_is_read_once_in_a_while(state, sources, monkeypatch):
    reads, real = [], measures.read
    monkeypatch.setattr(measures, "read", lambda path: (reads.append(path), real(path))[1])
    exporter = Exporter(Metrics(every_real_seconds=300), state, sources, print)
    texts = await asyncio.gather(*(exporter.text() for _ in range(20)))
    assert (len(reads), len(set(texts))) == (1, 1)
    exporter.config = Metrics(every_real_seconds=1e-9)
    await exporter.text()
    assert len(reads) == 2


@runs
async def test_the_event_loop_goes_on_while_the_database_is_read(state, sources, monkeypatch):
    loop, gate = asyncio.get_running_loop(), asyncio.Event()

    def slow(path):
        loop.call_soon_threadsafe(gate.set)  # seen only if the loop is free
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)
        return Values()

    monkeypatch.setattr(measures, "read", slow)
    async with asyncio.timeout(10):
        text = await Exporter(Metrics(), state, sources, print).text()
    assert gate.is_set()
    assert "bot_build_info" in text


@runs
async def test_a_database_that_cannot_be_read_is_said_and_ends_nothing(state, sources):
    port, said = free_port(), []
    state.unlink()
    config = Metrics(port=port, textfile=str(state.parent / "bot.prom"))
    async with exporting(Exporter(config, state, sources, said.append)) as tasks:
        status, _, text = await got(port)
        assert status == 503
        assert "expected a database" in text
        assert not any(task.done() for task in tasks)
    assert "is not renewed" in said[0]
    assert not (state.parent / "bot.prom").exists()


@runs
async def test_a_port_that_is_taken_is_told_once_and_taken_when_it_is_free(
    state, sources, monkeypatch
):
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    said, tried = [], asyncio.Event()

    def tell(text):
        said.append(text)
        tried.set()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exporter = Exporter(Metrics(port=port), state, sources, tell)
        async with exporting(exporter):
            await asyncio.wait_for(tried.wait(), 10)
            taken.close()
            assert (await got(port))[0] == 200
    assert len(said) == 1
    assert "cannot be served yet" in said[0]


@runs
async def test_the_text_file_is_replaced_whole(state, sources, monkeypatch):
    path, loop, written = state.parent / "bot.prom", asyncio.get_running_loop(), asyncio.Event()
    path.write_text("old")
    real = module.replace_file

    def replaced(path, body):
        real(path, body)
        loop.call_soon_threadsafe(written.set)

    monkeypatch.setattr(module, "replace_file", replaced)
    config = Metrics(textfile=str(path), every_real_seconds=300)
    async with exporting(Exporter(config, state, sources, print)), asyncio.timeout(10):
        await written.wait()
    assert "bot_equity_quote" in path.read_text()
    assert [one.name for one in state.parent.glob("bot.prom*")] == ["bot.prom"]
