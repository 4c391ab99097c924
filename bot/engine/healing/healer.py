"""Carries remedies out when they are told to, within their time, and leaves reports as files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from bot.core.checks import CHECKS
from bot.core.effects import Effect, Heal, Report
from bot.core.events import Delivered, Event
from bot.core.health_events import Treated
from bot.core.text import safe_text
from bot.core.turn import Dispatch
from bot.edge.files import replace_file
from bot.engine.effects import Carrier
from bot.engine.healing.treatment import Means, treatments
from bot.errors import BotError
from bot.store.database import DriverError

REPORTS_KEPT = 100


class Healer:
    """Tries remedies. ``look`` is asked to make the checks of a pace soon, so that a cure shows."""

    def __init__(self, means: Means, look: Callable[[str], None]) -> None:
        self.means, self.look = means, look

    def carriers(self) -> Mapping[type[Effect], Carrier]:
        """Return which effects are carried out here."""
        return {Heal: self._heal, Report: self._report}

    async def _heal(self, dispatch: Dispatch) -> list[Event]:
        effect: Heal = dispatch.effect
        ok, said = await self._tried(effect)
        now = self.means.venue.clock.now()
        pace = CHECKS[effect.check.partition(" ")[0]].pace
        asyncio.get_running_loop().call_later(1.0, self.look, pace)
        told = Treated(at=now, run=effect.run, ok=ok, said=safe_text(said, 300))
        return [told, Delivered(at=now, effect=dispatch.id)]

    async def _tried(self, effect: Heal) -> tuple[bool, str]:
        """Return whether a remedy could be carried out, and a sentence."""
        treatment = treatments().get(effect.remedy)
        if treatment is None:
            return False, f"expected a remedy that this build has, found {effect.remedy!r}"
        limit = treatment.remedy.within_real_seconds
        try:
            async with asyncio.timeout(limit):
                return True, await treatment.act(self.means, effect.check.partition(" ")[2])
        except TimeoutError:
            return False, f"not carried out within {limit:g} s"
        except (BotError, OSError, *DriverError) as error:
            return False, f"{type(error).__name__}: {error}"

    async def _report(self, dispatch: Dispatch) -> list[Event]:
        """Write a report; one that cannot be written is a row of `escalations` all the same."""
        effect: Report = dispatch.effect
        with contextlib.suppress(BotError, OSError):
            await asyncio.to_thread(self._write, effect.name, effect.text)
        return [Delivered(at=self.means.venue.clock.now(), effect=dispatch.id)]

    def _write(self, name: str, text: str) -> None:
        folder = self.means.paths.reports
        folder.mkdir(mode=0o750, exist_ok=True)
        replace_file(folder / name, text.encode())
        old = sorted(folder.glob("*.md"), key=lambda path: path.stat().st_mtime)[:-REPORTS_KEPT]
        for path in old:
            path.unlink(missing_ok=True)
