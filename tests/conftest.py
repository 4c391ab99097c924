"""What all tests share: Hypothesis is repeatable here; HYPOTHESIS_PROFILE=explore looks further."""

import os
import secrets

from hypothesis import HealthCheck, settings

_SEED = secrets.randbelow(2**32)

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    settings.get_profile("repeatable"),
    derandomize=False,
    max_examples=1_000,
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "repeatable")
settings.load_profile(PROFILE)


def pytest_configure(config):
    if PROFILE == "explore" and not config.getoption("--hypothesis-seed", default=None):
        config.option.hypothesis_seed = _SEED


def pytest_report_header(config):
    seed = getattr(config.option, "hypothesis_seed", None)
    return f"hypothesis: {PROFILE}" + (f", --hypothesis-seed={seed}" if seed else "")
