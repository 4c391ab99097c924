"""Carries out what is decided on models: verifies, loads, and deletes them; hears trainers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bot.core import models as core
from bot.core import trainings
from bot.core.effects import DiscardModel, Effect, VerifyModel
from bot.core.events import Delivered, Event
from bot.core.model_events import (
    ModelRefused,
    ModelVerified,
    Report,
    TrainingEnded,
    TrainingQueued,
)
from bot.core.settings import Strategy
from bot.core.text import safe_text
from bot.core.turn import Dispatch
from bot.core.world import World
from bot.desk import files
from bot.edge import artefacts
from bot.engine.effects import Carrier
from bot.errors import Refused
from bot.learn.scorer import Loaded, Scorer, examined

_report = msgspec.json.Decoder(Report).decode


class Models:
    """The models of one bot. ``strategy`` is what its indicators were made with."""

    def __init__(
        self,
        folder: Path,
        strategy: Strategy,
        *,
        world: Callable[[], World],
        now: Callable[[], int],
    ) -> None:
        self.folder, self.strategy, self.scorer = folder, strategy, Scorer()
        self.world, self.now = world, now

    def carriers(self) -> Mapping[type[Effect], Carrier]:
        """Return which effects are carried out here."""
        return {VerifyModel: self._verify, DiscardModel: self._discard}

    async def _verify(self, dispatch: Dispatch) -> list[Event]:
        done = Delivered(at=self.now(), effect=dispatch.id)
        return [await self.load(dispatch.effect.model), done]

    async def load(self, model: str) -> ModelVerified | ModelRefused:
        """Verify a model's files and load them; return what came of it, to be posted."""
        limit = self.world().settings.models.verify_real_seconds
        try:
            manifest, body, graph = await artefacts.verify(self.folder, model, self.strategy, limit)
            loaded = Loaded(manifest, await asyncio.to_thread(examined, manifest, graph))
        except Refused as error:
            why = safe_text(str(error), 500)
            return ModelRefused(at=self.now(), model=model, reason=why)
        self.scorer.load(model, loaded, core.wanted(self.world()))
        return ModelVerified(
            at=self.now(),
            model=model,
            manifest=body.decode(),
            trained_to=manifest.trained_to,
            skill=manifest.metrics.skill,
        )

    async def _discard(self, dispatch: Dispatch) -> list[Event]:
        await asyncio.to_thread(artefacts.discard, self.folder, dispatch.effect.model)
        return [Delivered(at=self.now(), effect=dispatch.id)]


def lost(state: Path, world: World, at: int) -> list[TrainingEnded]:
    """Return the end of each training whose trainer is gone without a word.

    A trainer holds its lease from before its first report until after its last, and the kernel
    frees it however the process ends. ``world`` was read before.
    """
    runs = list(world.machines.get("training", {}))
    holder = files.holder(files.Beside(state).training)
    return [
        TrainingEnded(
            at=at,
            run=run,
            attempt=0,
            cause="lost",
            reason="its trainer is gone without a word: it was ended, or the machine was",
            seconds=0.0,
            peak_mb=0,
            rows=0,
        )
        for run in runs
        if holder is None or holder.get("run", run) != run
    ]


def heard(report: dict[str, Any], world: World, at: int, operator: str) -> Report:
    """Return a trainer's report as an event. Raises Refused if it cannot be taken now."""
    try:
        event: Report = _report(msgspec.json.encode({**report, "at": at}))
    except msgspec.MsgspecError as error:
        raise Refused(f"report: {safe_text(str(error))}") from error
    if isinstance(event, TrainingQueued):
        event = msgspec.structs.replace(event, operator=operator)
    why = trainings.why_not(world, event)
    if why:
        raise Refused(why)
    return event
