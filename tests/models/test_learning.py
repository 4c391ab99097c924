"""A model learns from what it is asked with later; nothing looks ahead; skill is told honestly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from bot.core.settings import Strategy
from bot.core.turn import Question
from bot.core.values import Candle
from bot.errors import Refused
from bot.learn import training
from bot.learn.features import FEATURES, feature_hash, vector
from bot.learn.indicators import Oracle
from bot.learn.scorer import examined
from tests.given import BTC, MINUTE, T
from tests.models.made import a_measure

STRATEGY = Strategy()
PLAN = training.Plan(horizon=5, cost=0.0002, holdout=0.25, penalty=0.1, rows_min=200)
START = training.warmup(STRATEGY)


def walk(number: int, seed: int = 1, drift: float = 0.0) -> list[Candle]:
    """Candles of a random walk."""
    chance, price, found = np.random.default_rng(seed), 100.0, []
    for n in range(number):
        before, price = price, price * math.exp(drift + 0.002 * chance.standard_normal())
        high, low = max(before, price) * 1.0005, min(before, price) * 0.9995
        found.append(Candle(T + n * MINUTE, before, high, low, price, 10.0))
    return found


def rows_of(candles: list[Candle], plan: training.Plan = PLAN) -> training.Examples:
    return training.examples(Oracle(STRATEGY, START), BTC, candles, plan)


@pytest.fixture(scope="module")
def candles():
    return walk(1_600)


@pytest.fixture(scope="module")
def made(candles):
    return training.make(rows_of(candles), PLAN, STRATEGY, (BTC,))


def test_rows_are_what_the_live_oracle_measures_bit_for_bit(candles):
    rows, oracle = rows_of(candles), Oracle(STRATEGY, START)
    oracle.rebuild(BTC, candles[:START])
    for n, candle in enumerate(candles[START : START + 300]):
        measured, state = oracle.ask(Question(BTC, (candle,)), candle.open_time)
        oracle.swap({BTC: state})
        assert rows.times[n] == candle.open_time
        assert rows.features[n].tobytes() == vector(measured, training.NAMES).tobytes()


def test_no_feature_knows_a_later_candle_and_no_label_one_beyond_its_horizon(candles):
    cut, safe, reached = START + 400, 400 - PLAN.horizon, False
    before = rows_of(candles)
    for price in (9e6, 1e-6):
        later = [replace(c, open=1.0, close=price, high=9e6, low=1e-6) for c in candles[cut:]]
        after = rows_of([*candles[:cut], *later])
        assert (before.features[:400] == after.features[:400]).all()
        assert (before.paid[:safe] == after.paid[:safe]).all()
        reached |= bool((before.paid[safe:400] != after.paid[safe:400]).any())
    assert reached, "a label does look as far as its horizon"


def test_the_label_is_the_trend_followed_from_the_next_open_after_costs(candles):
    rows = rows_of(candles)
    for n in (0, 17, 200):
        i, measured = START + n, rows.measured[n]
        side = 1 if measured.ema_fast > measured.ema_slow else -1
        earned = side * (candles[i + PLAN.horizon].close / candles[i + 1].open - 1)
        assert bool(rows.paid[n]) == (earned > PLAN.cost)


def test_between_what_is_learnt_and_what_is_held_out_no_label_reaches_over():
    times = np.arange(T, T + 1_000 * MINUTE, MINUTE)
    fit, held = training.split(times, PLAN)
    assert times[fit].max() + 2 * PLAN.horizon * MINUTE < times[held].min()
    assert held.sum() == 250


def test_the_same_candles_give_the_same_graph(candles, made):
    again = training.make(rows_of(candles), PLAN, STRATEGY, (BTC,))
    assert again.graph == made.graph
    assert again.manifest == made.manifest


def test_candles_after_the_held_out_part_began_change_no_weight(candles, made):
    rows = rows_of(candles)
    _, held = training.split(rows.times, PLAN)
    features, paid = rows.features.copy(), rows.paid.copy()
    features[held], paid[held] = features[held] * 3, ~paid[held]
    spoilt = replace(rows, features=features, paid=paid)
    mean, scale, model = training._fitted(
        features[training.split(rows.times, PLAN)[0]],
        paid[training.split(spoilt.times, PLAN)[0]],
        PLAN.penalty,
    )
    body = training.exported(mean, scale, model.coef_[0], float(model.intercept_[0]))
    assert body == made.graph


def test_a_random_walk_gives_a_model_that_claims_no_skill(made):
    metrics = made.manifest.metrics
    assert abs(metrics.auc - 0.5) < 0.15
    assert metrics.skill < 0.05


def test_a_planted_pattern_is_found(candles):
    rows = rows_of(candles)
    seen = rows.features[:, training.NAMES.index("adx")]
    planted = replace(rows, paid=seen > np.median(seen))
    metrics = training.make(planted, PLAN, STRATEGY, (BTC,)).manifest.metrics
    assert metrics.auc > 0.95
    assert metrics.skill > 0.3


def test_shuffled_labels_are_no_pattern(candles):
    rows = rows_of(candles)
    shuffled = np.random.default_rng(3).permutation(rows.paid)
    metrics = training.make(replace(rows, paid=shuffled), PLAN, STRATEGY, (BTC,)).manifest.metrics
    assert abs(metrics.auc - 0.5) < 0.12


def test_what_it_says_of_itself_passes_its_own_test(made):
    examined(made.manifest, made.graph)
    assert made.manifest.feature_hash == feature_hash(training.NAMES, STRATEGY)


def test_too_few_candles_and_one_outcome_are_refused_with_numbers(candles):
    rows = rows_of(candles[: START + 100])
    with pytest.raises(Refused, match="expected at least 200 usable candles, found 95"):
        training.make(rows, PLAN, STRATEGY, (BTC,))
    rows = rows_of(candles)
    with pytest.raises(Refused, match="expected both outcomes of the label"):
        training.make(replace(rows, paid=np.zeros_like(rows.paid)), PLAN, STRATEGY, (BTC,))


def test_the_hash_of_the_features_knows_names_order_and_periods():
    names = list(FEATURES)
    usual = feature_hash(names, STRATEGY)
    assert feature_hash(names[::-1], STRATEGY) != usual
    assert feature_hash(names, replace(STRATEGY, ema_fast=13)) != usual
    assert feature_hash(names, replace(STRATEGY, adx_min=30.0)) == usual


@pytest.mark.parametrize("changes", [{"atr": 0.0}, {"close": 0.0}, {"adx": math.inf}])
def test_a_candle_without_finite_features_has_no_row(changes):
    assert vector(a_measure(**changes), training.NAMES) is None


def test_up_and_down_are_one_case():
    up = a_measure(close=101.0, ema_fast=100.5, ema_slow=100.0)
    down = replace(up, close=101.0 * 2 - 102.0, ema_fast=100.5, ema_slow=101.0)
    names = ["gap_atr", "stretch_atr", "adx", "cross_age"]
    assert vector(up, names) == pytest.approx(vector(down, names), abs=1e-5)
