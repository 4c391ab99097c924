"""Whatever a file says, an accepted configuration is within its ranges and profile's ceilings."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import load
from bot.core.settings import PROFILES, cross_rules, keys, profile, value_of
from bot.errors import ConfigError

NUMBERS = {key: meta for key, _, meta in keys() if meta.ge is not None}
TIGHTER = {key: meta.extra["tighter"] for key, meta in NUMBERS.items() if meta.extra["tighter"]}


def written(name: str, values: dict[str, float]) -> str:
    """Return a bot.toml; a top-level dotted key is a section's."""
    return "\n".join(
        [f'profile = "{name}"', *(f"{key} = {value}" for key, value in values.items())]
    )


@st.composite
def files(draw):
    """Few keys, near their ranges, so that many are accepted."""
    chosen = draw(st.lists(st.sampled_from(sorted(NUMBERS)), max_size=4, unique=True))
    return draw(st.sampled_from(sorted(PROFILES))), {
        key: draw(near(NUMBERS[key])) for key in chosen
    }


def near(meta):
    low, high = float(meta.ge), float(meta.le)
    inside = st.floats(low, high).map(lambda value: f"{value!r}")
    whole = st.integers(int(low), int(high)).map(str)
    wild = st.sampled_from(["nan", "inf", "-inf", "-1", "1e300", str(high * 1.01)])
    return st.one_of(inside, whole, whole, wild)


def read(name: str, values: dict):
    """Return the settings of a file that is accepted, or what was wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bot.toml"
        path.write_text(written(name, values))
        try:
            return load(path).config.settings, []
        except ConfigError as error:
            return None, error.problems


@settings(deadline=None)  # it reads files
@given(files())
def test_an_accepted_configuration_never_exceeds_its_profile(file):
    name, values = file
    accepted, problems = read(name, values)
    if accepted is None:
        assert problems
        return
    base = profile(name)
    for key, meta in NUMBERS.items():
        value = value_of(accepted, key)
        assert meta.ge <= value <= meta.le
        if TIGHTER.get(key) == "lower":
            assert value <= value_of(base, key)
        elif TIGHTER.get(key) == "higher":
            assert value >= value_of(base, key)
    assert not list(cross_rules(accepted))


def test_every_value_past_a_ceiling_is_refused():
    for name in PROFILES:
        for key, side in TIGHTER.items():
            ceiling, meta = value_of(profile(name), key), NUMBERS[key]
            step = 1 if side == "lower" else -1
            past = ceiling + step * (1 if isinstance(ceiling, int) else 0.001)
            if not meta.ge <= past <= meta.le:
                continue  # the range says no before the profile does
            _, problems = read(name, {key: past})
            assert any(key in problem for problem in problems), f"{name}: {key} = {past}"
