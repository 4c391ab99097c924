"""Settings: the profiles have the mission's numbers, and nothing widens a ceiling."""

import msgspec
import pytest

from bot.core.settings import (
    PROFILES,
    Settings,
    cross_rules,
    keys,
    profile,
    value_of,
    why_not_value,
    why_wider,
    with_value,
)
from tests.given import tuned

NUMBERS = {
    "risk.leverage_max": (2, 3, 5),
    "risk.base_size": (0.01, 0.02, 0.03),
    "risk.size_max": (0.05, 0.10, 0.15),
    "risk.confidence_min": (0.65, 0.60, 0.55),
    "strategy.adx_min": (30, 25, 20),
    "guard.reduced_win_rate": (0.35, 0.40, 0.45),
    "guard.paused_win_rate": (0.25, 0.30, 0.35),
}


@pytest.mark.parametrize("key", NUMBERS)
def test_the_profiles_have_the_missions_numbers(key):
    names = ("conservative", "moderate", "aggressive")
    assert tuple(value_of(profile(name), key) for name in names) == NUMBERS[key]


def test_conservative_loses_at_most_3_percent_a_day_and_10_percent_in_all():
    kill = profile("conservative").kill
    assert (kill.daily_loss_max, kill.drawdown_max) == (0.03, 0.10)


def test_the_guards_lines_are_the_missions():
    guard = Settings().guard
    assert (guard.reduced_win_rate, guard.paused_win_rate, guard.recover_margin) == (
        0.40,
        0.30,
        0.05,
    )
    assert (guard.reduced_drawdown, guard.paused_drawdown) == (0.05, 0.10)
    assert (guard.reduced_factor, guard.trades_min) == (0.5, 5)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_is_within_its_own_ranges_and_rules(name):
    settings = profile(name)
    for key, hint, meta in keys():
        value = value_of(settings, key)
        assert why_not_value(hint, value) is None, key
        assert why_wider(settings, key, value, meta) is None, key
        assert meta.description.endswith("."), key
    assert list(cross_rules(settings)) == []


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_ceiling_can_be_tightened_and_never_widened(name):
    settings = profile(name)
    for key, _, meta in keys():
        side = (meta.extra or {}).get("tighter")
        if not side:
            continue
        ceiling = value_of(settings, key)
        more, less = ceiling * 1.01 + 0.001, ceiling * 0.99 - 0.001
        wider, tighter = (more, less) if side == "lower" else (less, more)
        assert why_wider(settings, key, tighter, meta) is None, key
        sentence = why_wider(settings, key, wider, meta)
        assert sentence is not None, key
        assert f"{ceiling:g}" in sentence
        assert f"profile {name}" in sentence
        assert why_wider(settings, key, float("nan"), meta), "what is no number is not tighter"


def test_a_tightened_configuration_does_not_become_the_ceiling_of_the_code():
    tight = tuned(risk__base_size=0.001)
    meta = next(meta for key, _, meta in keys() if key == "risk.base_size")
    assert why_wider(tight, "risk.base_size", 0.02, meta) is None
    assert why_wider(tight, "risk.base_size", 0.0201, meta)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("guard.paused_win_rate", "guard.reduced_win_rate"),
        ("guard.reduced_drawdown", "guard.paused_drawdown"),
        ("strategy.ema_fast", "strategy.ema_slow"),
        ("storage.full_mb", "storage.low_mb"),
        ("risk.base_size", "risk.size_max"),
        ("guard.trades_min", "guard.window"),
    ],
)
def test_rules_between_settings_are_sentences(small, large):
    broken = with_value(Settings(), small, value_of(Settings(), large) * 2)
    assert any(
        text.startswith(f"{small}: expected") and large in text for text in cross_rules(broken)
    )


def test_settings_survive_being_written_down():
    for name in PROFILES:
        body = msgspec.json.encode(profile(name))
        assert msgspec.json.encode(msgspec.json.decode(body, type=Settings)) == body
