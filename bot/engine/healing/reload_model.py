"""Loads the champion anew from its verified files, when it does not answer any more.

Files that do not verify quarantine it, and the champion before takes over: `bot/core/models.py`.
"""

from __future__ import annotations

from bot.core import models
from bot.core.model_events import ModelRefused
from bot.core.remedy import LOW, Remedy
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused


async def act(means: Means, subject: str) -> str:
    """Load it. Raises Refused if there is none, or if its files are not good."""
    model = models.champion(means.world())
    if not model:
        raise Refused("expected a model in use, found none")
    told = await means.load(model)
    means.post(told)
    if isinstance(told, ModelRefused):
        raise Refused(f"model {models.short(model)} cannot be loaded anew: {told.reason}")
    return f"model {models.short(model)} was verified and loaded anew"


TREATMENT = Treatment(
    Remedy(
        name="reload-model",
        meaning="Verify the files of the model in use and load them anew.",
        checks=("scores",),
        risk=LOW,
        attempts=6,
        cool_real_seconds=600.0,
        within_real_seconds=180.0,
        backs_up="",
        verified="the model answers the next candle",
    ),
    act,
)
