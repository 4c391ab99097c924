"""Prices come from a seed, a file, or a live stream, and every view of them agrees."""

from __future__ import annotations

import asyncio
import csv
import gzip
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from aiohttp import web

from exchange.errors import BadStart
from exchange.generator import GeneratedPath
from exchange.instruments import Catalogue, symbol_names
from exchange.replay import read_tables
from tests import nursery
from tests.exchange.exchange_process import ROOT, Exchange, until

Start = Callable[..., Exchange]
ORIGIN_S = 1_700_000_040
REAL = ROOT.parent / "shared" / "data" / "binance_spot_BTCUSDT_1m_2026-03_05.csv.gz"


def test_generated_prices_depend_on_seed_symbol_and_origin_only() -> None:
    catalogue = Catalogue(symbol_names("20"))
    one, two = (GeneratedPath(3, catalogue, ORIGIN_S) for _ in range(2))
    later = GeneratedPath(3, catalogue, ORIGIN_S + 86_400)
    other = GeneratedPath(4, catalogue, ORIGIN_S)
    span = ORIGIN_S - 3 * 86_400, ORIGIN_S + 50_000
    whole = one.prices("C07USDT", *span)
    assert len(whole) == span[1] - span[0]
    assert np.isfinite(whole).all()
    assert whole.min() > 0
    piece = two.prices("C07USDT", ORIGIN_S + 14_000, ORIGIN_S + 15_000)  # over a block's edge
    assert np.array_equal(piece, whole[3 * 86_400 + 14_000 : 3 * 86_400 + 15_000])
    moved = later.prices("C07USDT", span[0] + 86_400, span[1] + 86_400)
    assert np.array_equal(moved, whole)
    assert not np.allclose(other.prices("C07USDT", *span), whole)
    assert not np.allclose(one.prices("C08USDT", *span) / 339.67, whole / 178.77)
    steps = np.abs(np.diff(np.log(whole)))
    assert steps.max() < 0.02, "no cliffs between blocks"


def test_regimes_last_20_to_120_minutes_and_behave_as_they_are_called() -> None:
    path = GeneratedPath(11, Catalogue(symbol_names(None)), ORIGIN_S)
    seen: dict[str, list[float]] = {}
    for block in range(120):
        regimes = path.regimes("ETHUSDT", block)
        assert regimes[0].start_m == 0
        assert regimes[-1].stop_m == 240
        for regime in regimes:
            assert 20 <= regime.stop_m - regime.start_m < 140
            start = ORIGIN_S + block * 14_400 + regime.start_m * 60
            prices = path.prices("ETHUSDT", start, ORIGIN_S + block * 14_400 + regime.stop_m * 60)
            change = float(np.log(prices[-1] / prices[0]))
            seen.setdefault(regime.name, []).append(change)
            minute = np.diff(np.log(prices[::60])).std()
            assert 0.0002 < minute < 0.02, regime
    assert np.mean(seen["up"]) > 0.004 > -0.004 > np.mean(seen["down"])
    assert np.mean(seen["crash"]) < -0.015
    assert np.abs(seen["range"]).max() < 0.004
    assert np.abs(seen["quiet"]).max() < 0.004


def test_candles_of_the_stream_equal_candles_of_rest(start: Start) -> None:
    client = start("--speed", "240").client
    stream = client.stream("linear", "kline.1.BTCUSDT", "kline.5.BTCUSDT")
    pushed: dict[tuple[str, str], list[str]] = {}
    while len(pushed) < 9:
        message = stream.next(lambda m: "data" in m and m["data"][0]["confirm"], "a closed candle")
        row = message["data"][0]
        names = ("open", "high", "low", "close", "volume", "turnover")
        pushed[row["interval"], str(row["start"])] = [row[name] for name in names]
        assert message["ts"] > row["end"]
    fives = 0
    for (interval, opened), row in pushed.items():
        path = f"/v5/market/kline?category=linear&symbol=BTCUSDT&interval={interval}"
        rest = client.public(f"{path}&start={opened}&end={opened}&limit=1")["list"]
        assert rest == [[opened, *row]]
        fives += interval == "5"
    assert fives, "expected a five-minute candle among nine"
    ones = sorted(int(opened) for interval, opened in pushed if interval == "1")
    assert [b - a for a, b in itertools.pairwise(ones)] == [60_000] * (len(ones) - 1)


def test_three_days_of_history_without_gaps_and_time_at_the_asked_rate(start: Start) -> None:
    exchange = start("--speed", "60", "--symbols", "20")
    client = exchange.client
    status, headers, _ = client.raw("GET", "/v5/market/time")
    assert status == 200
    assert headers["X-Market-Rate"] == "60"
    end, opens = client.now(), []
    while len(opens) < 4320:
        page = client.public(
            f"/v5/market/kline?category=spot&symbol=C19USDT&interval=1&limit=1000&end={end}"
        )["list"]
        opens += [int(row[0]) for row in page]
        end = opens[-1] - 1
    assert opens == list(range(opens[0], opens[0] - 60_000 * len(opens), -60_000))
    began = exchange.hello["market_ms"], exchange.hello["real_ms"]

    until(lambda: time.time() * 1000 - began[1] > 1500, "a second and a half")
    rate = (client.now() - began[0]) / (time.time() * 1000 - began[1])
    assert 58 < rate < 62


def test_tickers_begin_with_a_snapshot_and_deltas_merge_to_the_rest_row(start: Start) -> None:
    client = start("--speed", "20").client
    stream = client.stream("linear", "tickers.ETHUSDT")
    first = stream.next(lambda m: m.get("topic") == "tickers.ETHUSDT", "a snapshot")
    assert first["type"] == "snapshot"
    merged = dict(first["data"])
    for _ in range(5):
        delta = stream.next(lambda m: m.get("topic") == "tickers.ETHUSDT", "a delta")
        assert delta["type"] == "delta"
        assert len(delta["data"]) < len(merged)
        merged.update(delta["data"])
    rest = client.public("/v5/market/tickers?category=linear&symbol=ETHUSDT")["list"][0]
    assert merged.keys() == rest.keys()
    assert float(merged["bid1Price"]) < float(merged["lastPrice"]) < float(merged["ask1Price"])


def _candles(folder: Path, name: str, cells: list[list[str]]) -> Path:
    file = folder / name
    with gzip.open(file, "wt") if name.endswith(".gz") else file.open("w") as out:
        writer = csv.writer(out)
        writer.writerow(["open_time_ms", "open", "high", "low", "close", "volume"])
        writer.writerows(cells)
    return file


def _wave(count: int, minutes: int = 1) -> list[list[str]]:
    rows = []
    for n in range(count):
        base = 100 + (n % 7) * 0.5
        row = [base, base + 1.25, base - 0.75, base + 0.5, 6.0]
        rows.append([str(1_700_000_100_000 + n * minutes * 60_000), *map(str, row)])
    return rows


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_replayed_candles_are_the_files_candles(start: Start, tmp_path: Path, kind: str) -> None:
    cells = _wave(40, minutes=5)
    if kind == "parquet":
        file = tmp_path / "candles.parquet"
        columns = list(zip(*cells, strict=True))
        names = ["open_time_ms", "open", "high", "low", "close", "volume"]
        data: dict[str, list[object]] = {"open_time_ms": [int(v) for v in columns[0]]}
        for name, column in zip(names[1:], columns[1:], strict=True):
            data[name] = [float(value) for value in column]
        data["symbol"] = ["XYZUSDT"] * len(cells)
        pyarrow.parquet.write_table(pa.table(data), file)
    else:
        file = _candles(tmp_path, f"spot_XYZUSDT_5m.{kind}", cells)
    client = start("--replay", str(file), "--speed", "20000").client
    last = int(cells[-1][0])
    query = "/v5/market/kline?category=spot&symbol=XYZUSDT&interval=5&limit=100"
    until(lambda: int(client.public(query)["list"][0][0]) == last, "the end of the file")
    until(lambda: client.now() > last + 600_000, "time beyond the file")
    rows = client.public(query)["list"][::-1]
    found = [[float(value) for value in row[:6]] for row in rows]
    assert found == [[float(value) for value in row] for row in cells]


def test_a_bad_row_is_named_with_what_was_expected(tmp_path: Path) -> None:
    for place, value, sentence in (
        (4, "abc", "row 4: expected a finite number as close, found 'abc'"),
        (2, "1", "row 4: expected a high not below open and close, found '1.0'"),
        (0, "1700000100000", "row 4: expected a later open_time_ms"),
        (1, "-5", "row 4: expected prices above 0"),
        (5, "nan", "row 4: expected a finite number as volume, found 'nan'"),
    ):
        cells = _wave(10)
        cells[3][place] = value
        file = _candles(tmp_path, "XYZUSDT.csv", cells)
        with pytest.raises(BadStart) as refusal:
            read_tables((file,))
        assert f"{file}: {sentence}" in str(refusal.value)
    flags = ("--replay", str(file), "--book", str(tmp_path / "book.db"))
    result = nursery.run("exchange", *flags, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr


def test_a_looped_replay_goes_on_without_a_cliff(start: Start, tmp_path: Path) -> None:
    file = _candles(tmp_path, "XYZUSDT.csv", _wave(15))
    client = start("--replay", str(file), "--speed", "3000", "--loop").client
    end = 1_700_000_100_000 + 15 * 60_000
    until(lambda: client.now() > end + 25 * 60_000, "the third lap")
    rows = client.public("/v5/market/kline?category=linear&symbol=XYZUSDT&interval=1")["list"]
    closes = np.array([float(row[4]) for row in rows[::-1]])
    assert len(rows) > 35
    assert np.abs(np.diff(closes)).max() < 5


@pytest.mark.skipif(not REAL.exists(), reason=f"needs real candles at {REAL}, which is absent")
def test_real_candles_replay_exactly(start: Start) -> None:
    client = start("--replay", str(REAL), "--start", "2026-03-10T00:00").client
    rows = client.public(
        "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&limit=1000&end=1773100740000"
    )["list"][::-1]
    with gzip.open(REAL, "rt") as lines:
        real = {line.split(",")[0]: line.strip().split(",") for line in lines}
    assert len(rows) == 1000
    for row in rows:
        assert [float(v) for v in row[1:5]] == [float(v) for v in real[row[0]][1:5]], row
        assert float(row[5]) == pytest.approx(float(real[row[0]][5]), abs=1e-4)


class _FakeVenue:
    """A loopback stand-in for the real venue's public side, whose price a test sets."""

    def __init__(self) -> None:
        self.price = 50_000.0
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def _serve(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_get("/v5/market/kline", self._kline)
        app.router.add_get("/v5/market/instruments-info", self._instruments)
        app.router.add_get("/v5/public/linear", self._stream)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{runner.addresses[0][1]}"
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _kline(self, request: web.Request) -> web.Response:

        now_m = int(request.query.get("end", time.time() * 1000)) // 60_000
        rows = [
            [str((now_m - n) * 60_000), "49990", "50020", "49980", "50000", "3", "150000"]
            for n in range(1000)
        ]
        result = {"list": rows}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result})

    async def _instruments(self, request: web.Request) -> web.Response:
        lots = {"basePrecision": "0.0001", "qtyStep": "0.002"}
        row = {"lotSizeFilter": lots, "priceFilter": {"tickSize": "0.5"}}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": {"list": [row]}})

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while not (socket.closed or self._done.is_set()):
            data = {"symbol": "BTCUSDT", "lastPrice": str(self.price)}
            frame = {"topic": "tickers.BTCUSDT", "type": "delta", "data": data}
            await socket.send_str(json.dumps(frame))
            await asyncio.sleep(0.05)
        return socket

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(5)


@pytest.fixture
def fake_venue() -> Iterator[_FakeVenue]:
    venue = _FakeVenue()
    yield venue
    venue.close()


def test_live_prices_fill_paper_orders(start: Start, fake_venue: _FakeVenue) -> None:
    flags = ("--live-rest", f"http://{fake_venue.url}", "--live-stream", f"ws://{fake_venue.url}")
    client = start("--live", "bybit", "--no-rate-limit", *flags, "--symbols", "BTCUSDT").client
    rows = client.public("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&limit=500")
    assert len(rows["list"]) == 500
    assert rows["list"][-1][2] == "50020"
    info = client.public("/v5/market/instruments-info?category=linear&symbol=BTCUSDT")["list"][0]
    assert info["priceFilter"]["tickSize"] == "0.5"
    assert client.order(qty="0.01", stopLoss="49000")["retCode"] == 0
    fake_venue.price = 48_900.0
    fills = until(
        lambda: [
            f for f in client.rows("/v5/execution/list", "category=linear") if f["side"] == "Sell"
        ],
        "the stop fired on the live price",
    )
    assert 48_800 < float(fills[0]["execPrice"]) <= 48_900
