"""The oracle: stream handles equal TA-Lib's batch functions to the last bit, and leave no trace."""

import csv
import gzip
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import talib

from bot.core.settings import Strategy
from bot.core.turn import Question
from bot.core.values import Candle
from bot.learn.indicators import CROSS_AGE_MAX, Oracle
from exchange.generator import GeneratedPath
from exchange.instruments import Catalogue
from tests.given import BTC, MINUTE, T

LENGTH, WARMUP = 6_000, 1_000
DATA = Path(__file__).parents[3] / "shared" / "data" / "binance_spot_BTCUSDT_1m_2026-03_05.csv.gz"
PERIODS = Strategy()


def generated(number):
    """Return one-minute candles of the exchange's generator, a day before its origin and after."""
    start = T // 1000
    path = GeneratedPath(7, Catalogue((BTC,)), start)
    seconds = path.prices(BTC, start, start + number * 60).reshape(number, 60)
    return [
        Candle(T + n * MINUTE, *map(float, (row[0], row.max(), row.min(), row[-1])), 1.0)
        for n, row in enumerate(seconds)
    ]


def real(number):
    """Return real candles of BTCUSDT."""
    if not DATA.exists():
        pytest.skip(f"real market data is not there: {DATA}")
    with gzip.open(DATA, "rt") as file:
        rows = list(islice(csv.DictReader(file), number))
    names = ("open", "high", "low", "close", "volume")
    return [Candle(int(row["open_time_ms"]), *(float(row[name]) for name in names)) for row in rows]


@pytest.fixture(scope="module", params=[generated, real], ids=["generated", "real"])
def candles(request):
    return request.param(LENGTH)


def asked(oracle, *candles, reset=False):
    """Ask and take the answer in, as a committed turn does."""
    answer, state = oracle.ask(Question(BTC, tuple(candles), reset), at=1)
    oracle.swap({BTC: state})
    return answer


def running(candles, warmup=WARMUP):
    """Return an oracle that took every candle in one by one, and its answers."""
    oracle = Oracle(PERIODS, warmup)
    answers = [asked(oracle, candle) for candle in candles]
    return oracle, answers


def batch(candles):
    """Return EMA fast and slow, ADX, and ATR over all candles by TA-Lib's batch functions."""
    high, low, close = (
        np.array([getattr(c, n) for c in candles]) for n in ("high", "low", "close")
    )
    return np.array(
        [
            talib.EMA(close, PERIODS.ema_fast),
            talib.EMA(close, PERIODS.ema_slow),
            talib.ADX(high, low, close, PERIODS.adx_period),
            talib.ATR(high, low, close, PERIODS.atr_period),
        ]
    )


def values(answer):
    return answer.ema_fast, answer.ema_slow, answer.adx, answer.atr


def test_every_value_equals_the_batch_function_to_the_last_bit(candles):
    _, answers = running(candles)
    assert answers[: WARMUP - 1] == [None] * (WARMUP - 1)
    found = np.array([values(answer) for answer in answers[WARMUP - 1 :]]).T
    expected = batch(candles)[:, WARMUP - 1 :]
    assert found.shape == (4, LENGTH - WARMUP + 1)
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_the_warm_up_is_long_enough_that_the_start_does_not_matter(candles):
    """After 1,000 candles ADX and ATR may still differ from 5,000 by rounding, not by more."""
    long, short = batch(candles[:LENGTH])[:, -1], batch(candles[-WARMUP:])[:, -1]
    assert np.allclose(long, short, rtol=1e-14, atol=0)
    differences = [
        abs(batch(candles[:end])[:, -1] - batch(candles[end - WARMUP : end])[:, -1]).max()
        for end in range(2_000, LENGTH, 500)
    ]
    assert max(differences) < 1e-9


def test_an_answer_that_is_dropped_leaves_no_trace(candles):
    oracle, answers = running(candles[:1_200])
    for _ in range(3):
        answer, _ = oracle.ask(Question(BTC, (candles[1_200],)), at=1)
        again, _ = oracle.ask(Question(BTC, (candles[1_200],)), at=1)
        assert answer == again
    later = [asked(oracle, candle) for candle in candles[1_200:1_300]]
    assert later == running(candles[:1_300])[1][1_200:]
    assert answers[-1] is not None


def test_a_second_question_of_a_turn_goes_on_from_the_first(candles):
    oracle, _ = running(candles[:1_100])
    _, state = oracle.ask(Question(BTC, (candles[1_100],)), at=1)
    answer, state = oracle.ask(Question(BTC, (candles[1_101],)), at=1, base=state)
    assert answer == running(candles[:1_102])[1][-1]


def test_many_candles_at_once_are_the_same_as_one_by_one(candles):
    oracle, _ = running(candles[:1_100])
    assert asked(oracle, *candles[1_100:1_200]) == running(candles[:1_200])[1][-1]
    at_once = Oracle(PERIODS, WARMUP)
    assert asked(at_once, *candles[:WARMUP]) == running(candles[:WARMUP])[1][-1]


@pytest.mark.parametrize("cut", [1_000, 1_537, 2_500])
def test_rebuilt_from_stored_candles_it_goes_on_like_the_one_that_ran(candles, cut):
    rebuilt = Oracle(PERIODS, WARMUP)
    rebuilt.rebuild(BTC, candles[:cut])
    oracle, _ = running(candles[:cut])
    for candle in candles[cut : cut + 200]:
        mine, theirs = asked(rebuilt, candle), asked(oracle, candle)
        assert np.allclose(values(mine), values(theirs), rtol=1e-13, atol=0)
        assert mine.cross_age == theirs.cross_age or min(mine.cross_age, theirs.cross_age) > 900


def test_too_few_stored_candles_wait_until_there_are_enough(candles):
    oracle = Oracle(PERIODS, WARMUP)
    oracle.rebuild(BTC, candles[: WARMUP - 1])
    assert asked(oracle, candles[WARMUP - 1]) == running(candles[:WARMUP])[1][-1]


def test_a_new_warm_up_forgets_the_old_candles(candles):
    oracle, _ = running(candles[:1_100])
    assert asked(oracle, *candles[3_000:4_000], reset=True) == running(candles[3_000:4_000])[1][-1]


def recounted(candles):
    """Return the candles since the averages crossed, counted plainly from the start."""
    fast, slow = batch(candles)[:2]
    ages, age, above = [], CROSS_AGE_MAX, None
    for n in range(PERIODS.ema_slow, len(candles)):
        now = fast[n] > slow[n]
        age = 0 if above is not None and now != above else min(age + 1, CROSS_AGE_MAX)
        above = now
        ages.append(age)
    return ages


def test_the_age_of_a_cross_is_what_a_plain_recount_says(candles):
    ages = recounted(candles)[WARMUP - 1 - PERIODS.ema_slow :]
    found = [answer.cross_age for answer in running(candles)[1][WARMUP - 1 :]]
    first = ages.index(0)  # from the first cross on there is no doubt
    assert found[first:] == ages[first:]
    assert 0 in found
    assert max(found[first:]) > 20


def test_symbols_do_not_mix(candles):
    oracle, _ = running(candles[:1_100])
    before = asked(oracle, candles[1_100])
    _, state = oracle.ask(Question("ETHUSDT", tuple(candles[2_000:3_000])), at=1)
    oracle.swap({"ETHUSDT": state})
    assert oracle.symbols[BTC] is not oracle.symbols["ETHUSDT"]
    assert before == running(candles[:1_101])[1][-1]
