"""Reads files of real candles and replays them.

A file has the columns `open_time_ms, open, high, low, close, volume`, and optionally `symbol`;
without it the symbol is the part of the file's name that ends in USDT, as in
`binance_spot_BTCUSDT_1m.csv.gz`. Times are UTC milliseconds of the candle's open, ascending, whole
minutes apart. A hole in the times is played as a flat price without volume.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path as FilePath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from exchange.candles import CLOSE, HIGH, LOW, OPEN, VOLUME, CandleTable
from exchange.errors import BadStart
from exchange.paths import Floats

NUMBERS = ("open_time_ms", "open", "high", "low", "close", "volume")
_SYMBOL = re.compile(r"(?:^|[^A-Z0-9])([A-Z0-9]+USDT)(?:[^A-Z0-9]|$)")


class ReplayPath:
    """Prices from candle tables; with `loop` they begin again, joined without a jump."""

    def __init__(self, tables: dict[str, CandleTable], seed: int, loop: bool) -> None:
        self.tables = tables
        self._seed = seed
        self._loop = loop

    def span(self, symbol: str) -> tuple[int, int | None]:
        """The seconds of the file; endless with `loop`."""
        table = self.tables[symbol]
        return table.first_m * 60, None if self._loop else table.stop_m * 60

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """One price per second of [start_s, stop_s)."""
        table = self.tables[symbol]
        lap_s = (table.stop_m - table.first_m) * 60
        parts = []
        at = start_s
        while at < stop_s:
            lap = (at - table.first_m * 60) // lap_s
            shift = lap * lap_s
            end = min(stop_s, table.first_m * 60 + shift + lap_s)
            gain = float(table.rows[-1, CLOSE] / table.rows[0, OPEN]) ** lap
            parts.append(table.prices(at - shift, end - shift, self._seed) * gain)
            at = end
        return np.concatenate(parts) if parts else np.empty(0)

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        """Base coin traded in each minute of [start_m, stop_m)."""
        table = self.tables[symbol]
        lap_m = table.stop_m - table.first_m
        minutes = np.arange(start_m, stop_m) - table.first_m
        places = minutes % lap_m // table.minutes
        return np.asarray(table.rows[places, VOLUME] / table.minutes, dtype=np.float64)


def read_tables(files: tuple[FilePath, ...]) -> tuple[dict[str, CandleTable], dict[str, Decimal]]:
    """The candles of each symbol and the tick that its prices show; raises `BadStart`."""
    tables: dict[str, CandleTable] = {}
    ticks: dict[str, Decimal] = {}
    for file in files:
        columns = _read(file)
        symbols = columns.pop("symbol", None)
        names = [_symbol_of(file)] if symbols is None else sorted({str(name) for name in symbols})
        for name in names:
            if name in tables:
                raise BadStart(f"{file}: expected each symbol in one file, found {name} twice")
            chosen = None if symbols is None else symbols == name
            tables[name] = _table(file, name, columns, chosen)
            ticks[name] = _tick(columns, chosen)
    return tables, ticks


def _symbol_of(file: FilePath) -> str:
    found = _SYMBOL.search(file.name.upper().replace("_", " "))
    if found is None:
        raise BadStart(
            f"{file}: expected a symbol column or a name like BTCUSDT in the file's name"
        )
    return found[1]


def _read(file: FilePath) -> dict[str, NDArray[np.str_]]:
    """The file's columns as text, so that a bad cell can be shown as it stands."""
    try:
        if file.name.endswith(".parquet"):
            table = pyarrow.parquet.read_table(file)
        else:
            names = [*NUMBERS, "symbol"]
            convert = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names})
            table = pyarrow.csv.read_csv(file, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise BadStart(
            f"{file}: expected a CSV or Parquet file of candles, found: {error}"
        ) from None
    if set(NUMBERS) - set(table.column_names):
        wanted, found = ", ".join(NUMBERS), ", ".join(table.column_names)
        raise BadStart(f"{file}: expected the columns {wanted}, found {found}")
    if not table.num_rows:
        raise BadStart(f"{file}: expected at least two candles, found none")
    names = [name for name in (*NUMBERS, "symbol") if name in table.column_names]
    return {
        name: np.asarray(pc.fill_null(pc.cast(table[name], pa.string()), "").to_pylist(), dtype=str)
        for name in names
    }


def _table(
    file: FilePath,
    symbol: str,
    columns: dict[str, NDArray[np.str_]],
    chosen: NDArray[np.bool_] | None,
) -> CandleTable:
    """Checks the rows of one symbol and closes the holes between them."""
    lines = np.arange(len(columns["open"]))
    lines = lines if chosen is None else lines[chosen]
    times = _numbers(file, "open_time_ms", columns["open_time_ms"], lines).astype(np.int64)
    rows = np.stack([_numbers(file, name, columns[name], lines) for name in NUMBERS[1:]], axis=1)
    if len(rows) < 2:
        raise BadStart(f"{file}: expected at least two candles of {symbol}, found {len(rows)}")
    steps = np.diff(times)
    _check(file, lines[1:], steps > 0, "a later open_time_ms than in the row before", times[1:])
    minutes, rest = divmod(int(steps.min()), 60_000)
    if rest or not minutes:
        raise BadStart(f"{file}: expected whole minutes between candles, found {steps.min()} ms")
    aligned = np.asarray(times % (minutes * 60_000) == 0)
    _check(file, lines, aligned, f"an open_time_ms at a multiple of {minutes} min", times)
    _check_prices(file, lines, rows)
    places = (times - times[0]) // (minutes * 60_000)
    return CandleTable(symbol, int(times[0] // 60_000), minutes, _without_holes(places, rows))


def _numbers(
    file: FilePath, name: str, texts: NDArray[np.str_], lines: NDArray[np.int64]
) -> Floats:
    try:
        numbers = texts[lines].astype(np.float64)
    except ValueError:
        numbers = np.array([_number_or_nan(text) for text in texts[lines]])
    _check(file, lines, np.isfinite(numbers), f"a finite number as {name}", texts[lines])
    return numbers


def _number_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _check_prices(file: FilePath, lines: NDArray[np.int64], rows: Floats) -> None:
    prices = rows[:, :4]
    highs, lows = rows[:, HIGH], rows[:, LOW]
    body = rows[:, [OPEN, CLOSE]]
    above = np.asarray((prices > 0).all(axis=1), dtype=np.bool_)
    _check(file, lines, above, "prices above 0", prices.min(axis=1))
    _check(file, lines, highs >= body.max(axis=1), "a high not below open and close", highs)
    _check(file, lines, lows <= body.min(axis=1), "a low not above open and close", lows)
    _check(file, lines, rows[:, VOLUME] >= 0, "a volume of 0 or more", rows[:, VOLUME])


def _check(
    file: FilePath,
    lines: NDArray[np.int64],
    good: NDArray[np.bool_],
    expected: str,
    found: NDArray[np.generic],
) -> None:
    if not good.all():
        bad = int(np.argmin(good))
        row = int(lines[bad]) + 1
        raise BadStart(f"{file}: row {row}: expected {expected}, found {str(found[bad])!r}")


def _without_holes(places: NDArray[np.int64], rows: Floats) -> Floats:
    full = np.empty((int(places[-1]) + 1, 5))
    before = np.searchsorted(places, np.arange(len(full)), side="right") - 1
    full[:, :4] = rows[before, CLOSE][:, None]
    full[:, VOLUME] = 0.0
    full[places] = rows
    return full


def _tick(columns: dict[str, NDArray[np.str_]], chosen: NDArray[np.bool_] | None) -> Decimal:
    """The finest decimal place that the prices use, at most eight."""
    places = 0
    for name in ("open", "high", "low", "close"):
        texts = columns[name] if chosen is None else columns[name][chosen]
        places = max(places, *(len(text.partition(".")[2].rstrip("0")) for text in texts))
    return Decimal(1).scaleb(-min(places, 8))
